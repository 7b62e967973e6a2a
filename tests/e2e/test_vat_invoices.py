"""102 847 real invoices through all four services, compared with SQL over the raw file; and what a wrong one shows."""

import csv
import gzip
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from bus import DATA, Bus
from contracts import party_id
from feeding import SALES, feed, some_rows
from localplatform.testing import RunningPlatform

CLIENTS = DATA / "vat-invoices" / "clients.csv"
SQL = Path(__file__).with_name("vat_invoices.sql")
ROWS = 102_847
pytestmark = [
    pytest.mark.skipif(not SALES.exists(), reason="the real invoices are not beside this checkout (shared/data)"),
]
OPTIONS = ("--currency", "CNY", "--term-days", "60")


@pytest.fixture(scope="module")
async def fed(platform: RunningPlatform, tmp_path_factory: pytest.TempPathFactory) -> str:
    said = await feed(
        platform, tmp_path_factory.mktemp("feed"), SALES, "vat-invoices", "VAT-SAMPLE",
        "--system", "vat", "--sellers", str(CLIENTS), *OPTIONS,
    )  # fmt: skip
    await platform.settled(1800)
    return said


async def test_every_row_arrives_and_repeats_are_flagged(platform: RunningPlatform, bus: Bus, fed: str) -> None:
    assert "102,847 rows" in fed
    told = await bus.told("ledger.events", where=lambda each: each.data["entity_id"] == "VAT-SAMPLE")
    kinds = Counter(each.type for each in told)
    assert kinds["ledger.receivable-assigned"] == 95_630 - 7_298
    assert kinds["ledger.credit-note-issued"] == 7_298
    assert kinds["ledger.invoice-voided"] == 7_217
    assert sum(kinds.values()) - kinds["ledger.business-day-closed"] == ROWS
    async with platform.http("risk", "risk_officer", "VAT-SAMPLE") as http:
        answer = await http.get("/receivables/suspected-duplicates", params={"total": "true", "limit": "1"})
        assert (answer.status_code, answer.json()["total"]) == (200, 1_943)


async def test_yearly_figures_of_every_client_equal_those_of_sql(platform: RunningPlatform, fed: str) -> None:
    expected = await sql_over_the_raw_file(platform)
    compared = 0
    async with platform.http("risk", "risk_officer", "VAT-SAMPLE") as http:
        for client in sorted({row["client"] for row in expected}):
            answer = await http.get(f"/clients/{party_id('vat', client)}/sales")
            assert answer.status_code == 200, answer.text
            ours = {year["year"]: year for year in answer.json()}
            for row in (row for row in expected if row["client"] == client):
                year = ours.pop(row["year"])
                for name in ("rows", "void_rows", "credit_rows"):
                    assert year[name] == row[name], (client, row["year"], name)
                for name in ("gross", "credit", "void_share", "credit_share", "top_debtor_share"):
                    known = None if year[name] is None else Decimal(year[name])
                    assert known == row[name], (client, row["year"], name)
                compared += row["rows"]
            assert set(ours) <= {None}
    assert compared == ROWS


async def sql_over_the_raw_file(platform: RunningPlatform) -> list[Any]:
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
        platform.postgres_url.replace("postgresql+asyncpg", "postgresql")
    )
    try:
        await connection.execute(
            "CREATE TEMPORARY TABLE sales (client text, invoice_no text, date date, debtor text,"
            " net numeric, tax numeric, gross numeric, status text)"
        )
        with gzip.open(SALES, "rt", encoding="utf-8") as file:
            records = [
                (
                    r["client"],
                    r["invoice_no"],
                    date.fromisoformat(r["date"]),
                    r["debtor"],
                    *(Decimal(r[name]) for name in ("net", "tax", "gross")),
                    r["status"],
                )
                for r in csv.DictReader(file)
            ]
        await connection.copy_records_to_table("sales", records=records)
        return await connection.fetch(SQL.read_text(encoding="utf-8"))
    finally:
        await connection.close()


async def test_every_client_day_closed_without_a_break(platform: RunningPlatform, fed: str) -> None:
    assert await breaks(platform, "VAT-SAMPLE") == []


async def breaks(platform: RunningPlatform, entity: str) -> list[dict[str, Any]]:
    async with platform.http("risk", "risk_officer", entity) as http:
        answer = await http.get("/ledger-breaks")
        assert answer.status_code == 200, answer.text
        return answer.json()["items"]


async def test_an_event_withheld_is_one_break_in_count_and_amount(platform: RunningPlatform, tmp_path: Path) -> None:
    file = some_rows(tmp_path / "sales.csv", "E10", 200)
    row = list(csv.DictReader(file.open(encoding="utf-8")))[49]
    assert (row["status"], row["gross"][0] != "-") == ("valid", True)
    await feed(
        platform, tmp_path, file, "vat-invoices", "DRILL-WITHHELD", "--system", "w", "--withhold", "50", *OPTIONS
    )
    await platform.settled(900)
    (found,) = await breaks(platform, "DRILL-WITHHELD")
    assert (found["business_date"], found["posting_kind"]) == (row["date"], "receivable-assigned")
    assert found["expected_count"] - found["actual_count"] == 1
    missing = Decimal(found["expected_total"]) - Decimal(found["actual_total"])
    assert missing == Decimal(row["gross"])


async def test_an_event_altered_is_one_break_in_amount_alone(platform: RunningPlatform, tmp_path: Path) -> None:
    file = some_rows(tmp_path / "sales.csv", "E10", 200)
    row = list(csv.DictReader(file.open(encoding="utf-8")))[49]
    more = Decimal(row["gross"]) + Decimal("0.01")
    drill = ("--system", "a", "--alter", f"50={more}")
    await feed(platform, tmp_path, file, "vat-invoices", "DRILL-ALTERED", *drill, *OPTIONS)
    await platform.settled(900)
    (found,) = await breaks(platform, "DRILL-ALTERED")
    assert (found["business_date"], found["posting_kind"]) == (row["date"], "receivable-assigned")
    assert found["expected_count"] == found["actual_count"]
    difference = Decimal(found["actual_total"]) - Decimal(found["expected_total"])
    assert difference == Decimal("0.01")


async def test_a_wrong_row_is_reported_and_stops_nothing(platform: RunningPlatform, tmp_path: Path) -> None:
    file = some_rows(tmp_path / "sales.csv", "E10", 20)
    lines = file.read_text(encoding="utf-8").splitlines()
    lines[5] = lines[5].replace(",valid", ",perhaps")
    lines[9] = "E10,1,2019-02-30,B1,1.00,0.00,1.00,valid"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    report = tmp_path / "report.csv"
    options = ("--system", "wrong", "--report", str(report), *OPTIONS)
    said = await feed(platform, tmp_path, file, "vat-invoices", "DRILL-WRONG", *options)
    assert "2 wrong rows" in said
    findings = list(csv.DictReader(report.open(encoding="utf-8")))
    assert [(each["row"], each["field"]) for each in findings] == [("5", "status"), ("9", "date")]
    await platform.settled(900)
    async with platform.http("risk", "risk_officer", "DRILL-WRONG") as http:
        answer = await http.get(f"/clients/{party_id('wrong', 'E10')}/sales")
    assert answer.json()[-1]["rows"] == 18
    assert await breaks(platform, "DRILL-WRONG") == []
