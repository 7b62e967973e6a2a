"""The made-up portfolio: the same to the bit, and its clients as good or bad as they are said to be."""

import csv
import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from contracts import party_id
from contracts.bank.ledger import BusinessDayClosed
from ledger_feed.ledger import Ledger
from ledger_feed.report import RowReport
from ledger_feed.rows import LedgerFile
from ledger_feed.sequence import Sequence
from ledger_feed.shape import Book
from ledger_feed.synthetic import Portfolio
from ledger_feed.uscc import check_character, made_up

ANCHOR = date(2026, 11, 24)


@dataclass(frozen=True)
class Figures:
    """A client at one of its closed days, by the definitions of standards.md (shares, not percent)."""

    day: date
    receivables: int
    overdue_rate: float
    dso: float
    dilution: float
    dispute_rate: float
    top_share: float


def _figures(rows: list[dict[str, str]]) -> list[Figures]:
    """Recomputed from the CSV alone, day by day."""
    open_: dict[str, Decimal] = {}
    about: dict[str, dict[str, str]] = {}
    told: dict[str, dict[str, str]] = {}
    disputed: set[str] = set()
    reduced: list[tuple[date, Decimal]] = []
    found: list[Figures] = []
    days: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        days[row["business_date"]].append(row)
    for text, today in days.items():
        day = date.fromisoformat(text)
        for row in today:
            told[row["posting"]] = row
            amount, receivable = Decimal(row["amount"] or 0), row["receivable"]
            match row["kind"]:
                case "receivable-assigned":
                    open_[receivable], about[receivable] = amount, row
                case "invoice-voided":
                    open_[receivable] = Decimal(0)
                    del about[receivable]
                case "receivable-collected":
                    open_[receivable] -= amount
                case "credit-note-issued":
                    open_[receivable] -= amount
                    reduced.append((day, amount))
                case "receivable-disputed":
                    disputed.add(receivable)
                case "dispute-settled":
                    disputed.remove(receivable)
                case "posting-reversed":
                    open_[told[row["reverses"]]["receivable"]] += amount
                case _:
                    pass
        assert min(open_.values(), default=0) >= 0
        standing = {ref: rest for ref, rest in open_.items() if rest > 0}
        balance = sum(standing.values())
        since = day - timedelta(days=90)
        sales = sum(Decimal(row["amount"]) for row in about.values() if date.fromisoformat(row["issue_date"]) > since)
        if not balance or not sales:
            continue
        by_debtor: dict[str, Decimal] = defaultdict(Decimal)
        for ref, rest in standing.items():
            by_debtor[about[ref]["debtor"]] += rest
        late = sum(rest for ref, rest in standing.items() if about[ref]["due_date"] < text)
        found.append(
            Figures(
                day,
                len(standing),
                float(late / balance),
                float(balance / sales * 90),
                float(sum(amount for when, amount in reduced if when > since) / sales),
                float(sum(rest for ref, rest in standing.items() if ref in disputed) / balance),
                float(max(by_debtor.values()) / balance),
            )
        )
    return found


@pytest.fixture(scope="module", params=[(1, ANCHOR), (2, date(2027, 2, 28))])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    seed, anchor = request.param
    path = tmp_path_factory.mktemp("synthetic") / "portfolio.csv"
    return path, Portfolio(seed=seed, anchor=anchor).write(path)


Made = tuple[Path, dict[str, Any]]


@pytest.fixture(scope="module")
def by_client(made: Made) -> dict[str, list[dict[str, str]]]:
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    with made[0].open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            rows[row["client"]].append(row)
    return rows


def the(manifest: dict[str, Any], role: str) -> list[dict[str, Any]]:
    return [client for client in manifest["clients"] if client["role"] == role]


def test_the_same_seed_and_anchor_give_the_same_hash(tmp_path: Path) -> None:
    one = Portfolio(seed=7, anchor=ANCHOR, clients=5).write(tmp_path / "a" / "p.csv.gz")
    other = Portfolio(seed=7, anchor=ANCHOR, clients=5).write(tmp_path / "b" / "p.csv.gz")
    assert one == other
    assert (tmp_path / "a" / "p.csv.gz").read_bytes() == (tmp_path / "b" / "p.csv.gz").read_bytes()
    assert json.loads((tmp_path / "a" / "p.manifest.json").read_text(encoding="utf-8")) == one
    for changed in (
        Portfolio(seed=8, anchor=ANCHOR, clients=5),
        Portfolio(seed=7, anchor=date(2026, 11, 25), clients=5),
    ):
        assert changed.write(tmp_path / "c.csv")["sha256"] != one["sha256"]


def test_the_hash_is_the_known_one(tmp_path: Path) -> None:
    """On every platform and Python; it changes only when the portfolio is meant to change."""
    manifest = Portfolio(seed=1, anchor=ANCHOR).write(tmp_path / "p.csv")
    assert manifest["sha256"][:12] == "3395ad63ca53"
    assert manifest["sha256"] == hashlib.sha256((tmp_path / "p.csv").read_bytes()).hexdigest()


def test_it_is_labelled_synthetic_in_every_name(made: Made) -> None:
    _, manifest = made
    assert manifest["synthetic"] is True
    named = [*manifest["clients"], *manifest["debtors"], *manifest["staff"], *manifest["units"]]
    assert all(each["name"].startswith("Synthetic") for each in named)
    assert len(manifest["clients"]) == 20
    assert len(manifest["debtors"]) == 40
    codes = [each["identifiers"][0]["value"] for each in (*manifest["clients"], *manifest["debtors"])]
    assert len(set(codes)) == 60
    assert all(code[2:8] == "000000" and check_character(code[:17]) == code[17] for code in codes)
    roles = [person["role"] for person in manifest["staff"]]
    assert sorted(set(roles)) == ["relationship_manager", "risk_officer", "service_agent", "team_lead"]
    assert roles.count("team_lead") == 2
    managers = {person["staff_id"]: person["team_id"] for person in manifest["staff"]}
    assert all(managers[client["rm_id"]] == client["team_id"] for client in manifest["clients"])
    assert all(
        client["party_id"] == str(party_id(manifest["system"], client["number"])) for client in manifest["clients"]
    )


def test_a_known_code_has_the_check_character_of_the_standard() -> None:
    assert check_character("91110000600037341") == "L"
    assert made_up(1)[:8] == "91000000"


def test_every_row_is_good_and_no_day_lies_beyond_the_anchor(made: Made) -> None:
    path, manifest = made
    book = Book(manifest["entity"], manifest["currency"], manifest["system"])
    report, postings, last = RowReport(), 0, date.min
    with LedgerFile.open(path, Ledger.columns) as file:
        for out in Sequence.scan(file, Ledger(book), book, report):
            postings += not isinstance(out.event, BusinessDayClosed)
            last = max(last, out.event.occurred_at.date())
    assert report.findings == []
    assert postings == manifest["rows"]
    assert last <= date.fromisoformat(manifest["anchor"])


def test_whoever_has_funds_in_use_has_a_fee_at_each_month_s_end(
    made: Made, by_client: dict[str, list[dict[str, str]]]
) -> None:
    last_month = made[1]["anchor"][:7]
    for rows in by_client.values():
        in_use = Decimal(0)
        months: dict[str, tuple[Decimal, bool]] = {}
        for row in rows:
            amount = Decimal(row["amount"] or 0)
            in_use += {"funding-drawn": amount, "funding-repaid": -amount}.get(row["kind"], Decimal(0))
            _, fee = months.get(row["business_date"][:7], (Decimal(0), False))
            months[row["business_date"][:7]] = in_use, fee or row["kind"] == "fee-charged"
        assert in_use >= 0
        assert all(fee for month, (rest, fee) in months.items() if rest > 0 and month != last_month)


def test_the_healthy_stay_plainly_healthy(made: Made, by_client: dict[str, list[dict[str, str]]]) -> None:
    for client in the(made[1], "healthy"):
        figures = [each for each in _figures(by_client[client["number"]]) if each.receivables >= 10]
        assert max(each.overdue_rate for each in figures) < 0.06
        assert max(each.dilution for each in figures) < 0.03
        assert max(each.dispute_rate for each in figures) < 0.05
        assert max(each.top_share for each in figures) < 0.40
        assert max(_rise(figures, "dso")) < 0.25
        assert max(_rise(figures, "top_share")) < 0.25
        assert not [row for row in by_client[client["number"]] if row["kind"] == "funding-overdue"]


def _rise(figures: list[Figures], name: str) -> list[float]:
    """Against the median of the client's own half year, its newest quarter left out; from the hundredth day on."""
    rises = [0.0]
    for each in figures:
        past = [f for f in figures if each.day - timedelta(days=180) < f.day <= each.day - timedelta(days=45)]
        if past and past[0].day <= each.day - timedelta(days=100):
            rises.append(getattr(each, name) / median(getattr(f, name) for f in past) - 1)
    return rises


def test_the_bad_one_is_plainly_bad_long_before_it_defaults_on_the_stated_date(
    made: Made, by_client: dict[str, list[dict[str, str]]]
) -> None:
    [client] = the(made[1], "bad")
    assert client["name"] == "Synthetic – Harbour Textiles"
    story, rows = client["story"], by_client[client["number"]]
    default, anchor = date.fromisoformat(story["default_date"]), date.fromisoformat(made[1]["anchor"])
    assert timedelta(days=14) <= anchor - default <= timedelta(days=30)
    overdue = [
        (row["business_date"], row["funding"], int(row["days"])) for row in rows if row["kind"] == "funding-overdue"
    ]
    first = min(each for each in overdue if each[2] > 90)
    assert first == (story["default_date"], story["defaulted_funding"], 91)
    assert max(row["business_date"] for row in rows if row["kind"] == "receivable-assigned") <= story["stops_on"]
    figures = _figures(rows)
    well_before = [each for each in figures if each.day <= default - timedelta(days=100)]
    assert max(each.overdue_rate for each in well_before) > 0.25
    assert max(each.dispute_rate for each in well_before) > 0.05
    assert max(each.dilution for each in well_before) > 0.05
    quiet = [each for each in figures if str(each.day) < story["worsens_from"] and each.receivables >= 10]
    assert max(each.overdue_rate for each in quiet) < 0.06


def test_the_recovering_one_worsens_and_is_long_well_again(
    made: Made, by_client: dict[str, list[dict[str, str]]]
) -> None:
    [client] = the(made[1], "recovers")
    figures = _figures(by_client[client["number"]])
    assert max(each.overdue_rate for each in figures) > 0.2
    well_again = date.fromisoformat(client["story"]["normal_from"]) + timedelta(days=75)
    after = [each for each in figures if each.day > well_again]
    assert (after[-1].day - after[0].day).days > 120
    assert max(each.overdue_rate for each in after) < 0.06
    assert max(each.dispute_rate for each in after) < 0.05
    assert not [
        row for row in by_client[client["number"]] if row["kind"] == "funding-overdue" and int(row["days"]) > 30
    ]


def test_on_any_anchor_the_default_stands_where_it_is_said(tmp_path: Path) -> None:
    for nth in range(0, 400, 37):
        anchor = ANCHOR + timedelta(days=nth)
        manifest = Portfolio(seed=nth, anchor=anchor, clients=4, debtors=12).write(tmp_path / "p.csv")
        [client] = the(manifest, "bad")
        with (tmp_path / "p.csv").open(encoding="utf-8", newline="") as lines:
            defaults = [
                row["business_date"]
                for row in csv.DictReader(lines)
                if row["kind"] == "funding-overdue" and int(row["days"]) > 90
            ]
        assert min(defaults) == client["story"]["default_date"]
