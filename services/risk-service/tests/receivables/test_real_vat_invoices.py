"""All 102 847 real sales rows: the API's yearly figures equal those of SQL over the raw file, which shares no code."""

import csv
import gzip
import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import asyncpg
import pytest

from contracts import (
    BusinessDayClosed,
    CloseLine,
    CreditNoteIssued,
    DueBasis,
    Event,
    InvoiceVoided,
    Money,
    ReceivableAssigned,
    party_id,
)
from servicekit.testing import Harness

ENTITY = "VAT-SAMPLE"
SPACE = UUID(int=0x7A7)
ORACLE = """
WITH r AS (
    SELECT client, extract(year FROM date)::int AS year, debtor, net, tax, gross, status FROM raw
), d AS (
    SELECT client, year, debtor, sum(gross) FILTER (WHERE status = 'valid' AND gross > 0) AS g
    FROM r GROUP BY GROUPING SETS ((client, year, debtor), (client, debtor))
), t AS (SELECT client, year, max(g) AS top FROM d GROUP BY client, year)
SELECT r.client, r.year, count(*) AS rows,
       coalesce(sum(gross) FILTER (WHERE status = 'valid' AND gross > 0), 0) AS gross,
       count(*) FILTER (WHERE status = 'void') AS void,
       -coalesce(sum(gross) FILTER (WHERE status = 'valid' AND gross < 0), 0) AS credit,
       (SELECT top FROM t WHERE t.client = r.client AND t.year IS NOT DISTINCT FROM r.year) AS top
FROM r GROUP BY GROUPING SETS ((client, year), (client))
"""


def events(rows: list[dict[str, str]]) -> list[Event]:
    """The rows as the ledger's postings in business order, with one close per client after its last day of a year."""
    told: list[Event] = []
    ends: dict[tuple[str, int], date] = {}
    for row in rows:
        day = date.fromisoformat(row["date"])
        ends[row["client"], day.year] = max(day, ends.get((row["client"], day.year), day))
    lines: dict[tuple[str, date], dict[str, list[Decimal]]] = {}
    ordered = sorted(enumerate(rows), key=lambda pair: (pair[1]["date"], pair[0]))
    for place, (number, row) in enumerate(ordered):
        day = date.fromisoformat(row["date"])
        gross = Decimal(row["gross"])
        common: dict[str, Any] = {
            "entity_id": ENTITY,
            "occurred_at": datetime(day.year, day.month, day.day, tzinfo=UTC),
            "client_id": party_id("tax", row["client"]),
            "posting_id": uuid5(SPACE, f"{number}"),
            "business_date": day,
            "debtor_id": party_id("tax", row["debtor"]),
            "invoice_number": row["invoice_no"],
            "issue_date": day,
        }
        own = uuid5(SPACE, f"row {number}")
        if row["status"] == "void":
            event: Event = InvoiceVoided(**common, receivable_id=own, amount=Money(amount=gross, currency="CNY"))
        elif gross < 0:
            event = CreditNoteIssued(**common, credit_note_id=own, amount=Money(amount=-gross, currency="CNY"))
        else:
            event = ReceivableAssigned(
                **common,
                receivable_id=own,
                due_date=day + timedelta(days=90),
                due_basis=DueBasis.STATED_TERM,
                amount=Money(amount=gross, currency="CNY"),
                net=Money(amount=Decimal(row["net"]), currency="CNY"),
                tax=Money(amount=Decimal(row["tax"]), currency="CNY"),
                settlement_tracked=False,
            )
        told.append(event)
        kind = type(event).ce_type.split(".")[2]
        lines.setdefault((row["client"], day), {}).setdefault(kind, []).append(
            abs(gross) if kind != "invoice-voided" else gross
        )
        if place + 1 == len(ordered) or ordered[place + 1][1]["date"] != row["date"]:
            for (client, year), last in sorted(ends.items()):
                if last == day and year == day.year:
                    told.append(_close(client, day, lines[client, day]))
    return told


def _close(client: str, day: date, kinds: dict[str, list[Decimal]]) -> BusinessDayClosed:
    return BusinessDayClosed(
        entity_id=ENTITY,
        occurred_at=datetime(day.year, day.month, day.day, 15, tzinfo=UTC),
        client_id=party_id("tax", client),
        business_date=day,
        lines=tuple(
            CloseLine(kind=kind, count=len(some), total=Money(amount=sum(some, Decimal(0)), currency="CNY"))
            for kind, some in sorted(kinds.items())
        ),
    )


def share(top: Decimal | int, bottom: Decimal | int) -> str | None:
    if not bottom:
        return None
    return f"{float(Decimal(top) / Decimal(bottom)):.6f}"


@pytest.mark.timeout(1800)
async def test_yearly_figures_equal_sql_over_the_raw_file(risk: Harness, data: Path) -> None:
    text = gzip.decompress((data / "vat-invoices" / "sales.csv.gz").read_bytes())
    rows = list(csv.DictReader(io.StringIO(text.decode())))
    assert len(rows) == 102_847
    await risk.receives_together(*events(rows), size=1000)

    raw = await asyncpg.connect(risk.settings.direct_dsn)
    await raw.execute(
        "CREATE TABLE raw (client text, invoice_no text, date date, debtor text, net numeric, tax numeric,"
        " gross numeric, status text)"
    )
    await raw.copy_to_table("raw", source=io.BytesIO(text), format="csv", header=True)
    expected = {(row["client"], row["year"]): row for row in await raw.fetch(ORACLE)}
    await raw.close()

    officer = risk.client("risk_officer", entity_id=ENTITY)
    seen = 0
    for client in sorted({row["client"] for row in rows}):
        answer = await officer.get(f"/clients/{party_id('tax', client)}/sales")
        assert answer.status_code == 200, answer.text
        for told in answer.json():
            want = expected[client, told["year"]]
            seen += 1
            where = f"{client} {told['year']}"
            assert told["rows"] == want["rows"], where
            assert Decimal(told["gross"]) == want["gross"], where
            assert Decimal(told["credit"]) == want["credit"], where
            assert told["void_rows"] == want["void"], where
            assert Decimal(told["top_debtor_gross"]) == (want["top"] or 0), where
            for name, top, bottom in (
                ("void_share", want["void"], want["rows"]),
                ("credit_share", want["credit"], want["gross"]),
                ("top_debtor_share", want["top"] or 0, want["gross"]),
            ):
                expect = share(top, bottom)
                assert (told[name] is None) == (expect is None), where
                if expect is not None:
                    assert abs(Decimal(told[name]) - Decimal(expect)) <= Decimal("0.000051"), where
    assert seen == len(expected)

    repeats = (await officer.get("/receivables/suspected-duplicates", params={"total": True, "limit": 1})).json()
    assert repeats["total"] == 1_943
    breaks = await risk.client("operations", entity_id=ENTITY).get("/ledger-breaks", params={"total": True})
    assert breaks.json()["total"] == 0
    portfolio = (await officer.get("/portfolio/indicators")).json()
    assert (portfolio["overdue"], portfolio["dso"], portfolio["default_rate"]) == ("0.00", None, None)
    gross = sum((Decimal(r["gross"]) for r in rows if r["status"] == "valid"), Decimal(0))
    assert Decimal(portfolio["balance"]) == gross
