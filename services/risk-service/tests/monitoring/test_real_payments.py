"""Every figure that data/README.md states of `payments`, through the API to the cent and the fourth decimal."""

import csv
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid5

import httpx
import pytest

from contracts import (
    BusinessDayClosed,
    CloseLine,
    DueBasis,
    Event,
    Money,
    ReceivableAssigned,
    ReceivableCollected,
    ReceivableDisputed,
    party_id,
)
from servicekit.testing import Harness

ENTITY = "DEMO-PAYMENTS"
SELLER = party_id("payments", "seller")
SPACE = UUID(int=0x9A7)


def us_date(text: str) -> date:
    month, day, year = map(int, text.split("/"))
    return date(year, month, day)


def ledger_events(path: Path) -> list[Event]:
    """The file as the ledger's events in business order, a close after each month's last booking."""
    booked: list[tuple[date, int, Event]] = []
    with path.open(encoding="utf-8-sig") as file:
        for number, row in enumerate(csv.DictReader(file)):
            issued, due, settled = (us_date(row[c]) for c in ("InvoiceDate", "DueDate", "SettledDate"))
            receivable = uuid5(SPACE, str(number))
            amount = Money(amount=Decimal(row["InvoiceAmount"]), currency="USD")

            def common(day: date, kind: str, number: int = number) -> dict[str, object]:
                return {
                    "entity_id": ENTITY,
                    "occurred_at": datetime(day.year, day.month, day.day, tzinfo=UTC),
                    "client_id": SELLER,
                    "posting_id": uuid5(SPACE, f"{number}:{kind}"),
                    "business_date": day,
                }

            debtor = party_id("payments", row["customerID"])
            assigned = ReceivableAssigned.model_validate(
                {
                    **common(issued, "assigned"),
                    "receivable_id": receivable,
                    "debtor_id": debtor,
                    "invoice_number": row["invoiceNumber"],
                    "issue_date": issued,
                    "due_date": due,
                    "due_basis": DueBasis.INVOICE,
                    "amount": amount,
                }
            )
            on = {"receivable_id": receivable, "debtor_id": debtor, "amount": amount}
            booked.append((issued, 0, assigned))
            if row["Disputed"] == "Yes":
                dispute = {"dispute_id": uuid5(receivable, "dispute"), **on}
                booked.append((issued, 1, ReceivableDisputed.model_validate(common(issued, "disputed") | dispute)))
            collected = ReceivableCollected.model_validate(common(settled, "collected") | on)
            booked.append((settled, 2, collected))
    booked.sort(key=lambda item: item[:2])
    events: list[Event] = []
    for index, (day, _, event) in enumerate(booked):
        events.append(event)
        following = booked[index + 1][0] if index + 1 < len(booked) else day + timedelta(days=31)
        if (following.year, following.month) != (day.year, day.month):
            events.append(_close(day, [e for d, _, e in booked if d == day]))
    return events


def _close(day: date, postings: list[Event]) -> BusinessDayClosed:
    kinds: dict[str, list[Decimal]] = {}
    for event in postings:
        assert isinstance(event, ReceivableAssigned | ReceivableDisputed | ReceivableCollected)
        kinds.setdefault(type(event).ce_type.split(".")[2], []).append(event.amount.amount)
    return BusinessDayClosed(
        entity_id=ENTITY,
        occurred_at=datetime(day.year, day.month, day.day, 15, tzinfo=UTC),
        client_id=SELLER,
        business_date=day,
        lines=tuple(
            CloseLine(kind=kind, count=len(amounts), total=Money(amount=sum(amounts, Decimal(0)), currency="USD"))
            for kind, amounts in sorted(kinds.items())
        ),
    )


@pytest.fixture
async def officer(risk: Harness, data: Path) -> httpx.AsyncClient:
    await risk.receives_together(*ledger_events(data / "payments" / "receivables.csv"), size=1000)
    return risk.client("risk_officer", entity_id=ENTITY)


async def test_the_record_of_payments_is_that_of_the_file(officer: httpx.AsyncClient) -> None:
    answer = await officer.get(f"/clients/{SELLER}/payment-behaviour")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["count"] == told["settled_count"] == 2466
    assert told["total"] == "147703.18"
    assert (told["late_count"], told["late_share"]) == (877, "0.3556")
    assert (told["disputed_count"], told["disputed_share"]) == (561, "0.2275")
    assert told["mean_days_to_settle"] == "26.4448"
    assert told["mean_days_late"] == "3.4424"
    assert told["mean_days_late_when_late"] == "9.6796"
    assert told["max_days_late"] == 45


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        (
            "2012-12-31",
            {"open_count": 99, "balance": "5725.06", "overdue_count": 13, "overdue": "788.74"}
            | {"overdue_rate": "0.1378", "dso": "26.8407"},
        ),
        (
            "2013-06-30",
            {"open_count": 84, "balance": "5119.85", "overdue_count": 12, "overdue": "835.56"}
            | {"overdue_rate": "0.1632", "dso": "23.1508"},
        ),
    ],
)
async def test_overdue_and_dso_as_of_a_date(
    officer: httpx.AsyncClient, as_of: str, expected: dict[str, object]
) -> None:
    for path in (f"/clients/{SELLER}/indicators", "/portfolio/indicators"):
        told = (await officer.get(path, params={"as_of": as_of})).json()
        assert {name: told[name] for name in expected} == expected
        assert sum(map(Decimal, told["ageing"].values())) == Decimal(told["balance"])
        why = told["explain"]["overdue_rate"]
        assert (why["numerator"], why["denominator"]) == (expected["overdue"], expected["balance"])
