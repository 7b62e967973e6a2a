"""Monthly facts: each posting once, in its month, whatever came first; reversals where they count."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client_service.facts.subscribers import MEASURES, Counted
from client_service.testing import LI, NOW, OTHER_ENTITY, Desk, cny, said, staffed
from contracts.bank.ledger import (
    CreditNoteIssued,
    FeeCharged,
    FundingDrawn,
    FundingRepaid,
    InvoiceReddened,
    InvoiceVoided,
    PostingReversed,
    ReceivableAssigned,
    ReceivableCollected,
    WriteOffBooked,
)
from contracts.base import Event, Money, party_id
from servicekit.testing import Harness, Template

SELLER = party_id("core", "S-1")
NUMBERS = [{"system": "core", "number": "S-1"}]
_posting = iter(range(1, 10**9))


def booked(kind: type[Counted | WriteOffBooked], day: str, yuan: str, /, **more: Any) -> Counted | WriteOffBooked:
    values = {
        "client_id": SELLER,
        "posting_id": UUID(int=next(_posting)),
        "business_date": date.fromisoformat(day),
        "amount": cny(yuan),
    }
    return said(kind, **(values | more))


def undone(posting: Counted | WriteOffBooked | PostingReversed, day: str, value_day: str) -> PostingReversed:
    return said(
        PostingReversed,
        client_id=posting.client_id,
        posting_id=UUID(int=next(_posting)),
        business_date=date.fromisoformat(day),
        value_date=date.fromisoformat(value_day),
        reversed_posting_id=posting.posting_id,
        reversed_kind=type(posting).ce_type.split(".")[2],
        amount=posting.amount,
    )


async def facts(desk: Desk, client_id: str | UUID, **query: str) -> dict[tuple[str, str], dict[str, tuple[str, int]]]:
    answer = await desk.operations.get(f"/clients/{client_id}/facts", params=query)
    assert answer.status_code == 200, answer.text
    return {
        (month.pop("month"), month.pop("currency")): {
            name: (figure["amount"]["amount"], figure["count"]) for name, figure in month.items() if figure["count"]
        }
        for month in answer.json()["months"]
    }


async def test_each_measure_by_month_and_currency(desk: Desk) -> None:
    client = await desk.register(external_numbers=NUMBERS)
    await desk.service.receives(
        booked(ReceivableAssigned, "2026-09-30", "100.10"),
        booked(ReceivableAssigned, "2026-10-01", "200"),
        booked(ReceivableAssigned, "2026-10-31", "300"),
        booked(ReceivableAssigned, "2026-10-31", "9.99", amount=Money(amount=Decimal("9.99"), currency="USD")),
        booked(CreditNoteIssued, "2026-10-02", "20"),
        booked(InvoiceReddened, "2026-10-02", "5"),
        booked(InvoiceVoided, "2026-10-03", "7"),
        booked(ReceivableCollected, "2026-10-20", "150.5"),
        booked(FundingDrawn, "2026-10-04", "80"),
        booked(FundingRepaid, "2026-10-21", "80"),
        booked(FeeCharged, "2026-10-22", "1.25"),
        booked(WriteOffBooked, "2026-10-22", "1"),
    )
    assert await facts(desk, client["id"]) == {
        ("2026-09", "CNY"): {"assigned": ("100.1000", 1)},
        ("2026-10", "CNY"): {
            "assigned": ("500.0000", 2),
            "credited": ("25.0000", 2),
            "voided": ("7.0000", 1),
            "collected": ("150.5000", 1),
            "funded": ("80.0000", 1),
            "repaid": ("80.0000", 1),
            "fees": ("1.2500", 1),
        },
        ("2026-10", "USD"): {"assigned": ("9.9900", 1)},
    }
    assert list(await facts(desk, client["id"], **{"from": "2026-10"})) == [("2026-10", "CNY"), ("2026-10", "USD")]
    assert list(await facts(desk, client["id"], to="2026-09")) == [("2026-09", "CNY")]
    answer = (await desk.operations.get(f"/clients/{client['id']}/facts")).json()
    assert answer["known_at"] == NOW.isoformat().replace("+00:00", "Z")


async def test_a_reversal_is_undone_in_the_month_from_which_it_counts(desk: Desk) -> None:
    client = await desk.register(external_numbers=NUMBERS)
    collected = booked(ReceivableCollected, "2026-09-15", "40")
    other = booked(ReceivableCollected, "2026-09-16", "2")
    fee = booked(FeeCharged, "2026-09-16", "3")
    written_off = booked(WriteOffBooked, "2026-09-16", "3")
    await desk.service.receives(undone(collected, "2026-10-08", "2026-09-15"), collected, other, fee, written_off)
    await desk.service.receives(
        undone(fee, "2026-10-08", "2026-10-08"), undone(written_off, "2026-10-08", "2026-09-16")
    )
    assert await facts(desk, client["id"]) == {
        ("2026-09", "CNY"): {"collected": ("2.0000", 1), "fees": ("3.0000", 1)},
        ("2026-10", "CNY"): {"fees": ("-3.0000", -1)},
    }


async def test_a_reversal_that_is_reversed_restores_what_it_undid(desk: Desk) -> None:
    client = await desk.register(external_numbers=NUMBERS)
    collected = booked(ReceivableCollected, "2026-09-15", "40")
    written_off = booked(WriteOffBooked, "2026-09-16", "3")
    reversal, uncounted = (undone(each, "2026-10-08", "2026-09-15") for each in (collected, written_off))
    restored = undone(reversal, "2026-10-09", "2026-10-09")
    await desk.service.receives(collected, reversal, restored)
    await desk.service.receives(undone(uncounted, "2026-10-09", "2026-10-09"), uncounted, written_off)
    assert await facts(desk, client["id"]) == {
        ("2026-09", "CNY"): {},
        ("2026-10", "CNY"): {"collected": ("40.0000", 1)},
    }
    await desk.service.receives(undone(restored, "2026-11-02", "2026-10-09"))
    assert await facts(desk, client["id"]) == {("2026-09", "CNY"): {}, ("2026-10", "CNY"): {}}


async def test_what_came_before_the_registration_is_found_after_it(desk: Desk) -> None:
    await desk.service.receives(booked(ReceivableAssigned, "2026-10-01", "200"))
    client = await desk.register(external_numbers=NUMBERS)
    await desk.service.receives(booked(ReceivableAssigned, "2026-10-02", "50", client_id=UUID(client["id"])))
    assert await facts(desk, client["id"]) == {("2026-10", "CNY"): {"assigned": ("250.0000", 2)}}
    assert await facts(desk, SELLER) == await facts(desk, client["id"])


async def test_a_client_of_which_nothing_was_heard_says_so(desk: Desk) -> None:
    client = await desk.register()
    assert (await desk.operations.get(f"/clients/{client['id']}/facts")).json() == {
        "client_id": client["id"],
        "months": [],
        "known_at": None,
    }


async def test_the_same_posting_in_two_deliveries_counts_once(desk: Desk) -> None:
    """Not only the same event twice: the ledger's feed may send a posting again as another event."""
    client = await desk.register(external_numbers=NUMBERS)
    posting = booked(ReceivableAssigned, "2026-10-01", "200")
    await desk.service.receives(posting)
    await desk.service.receives(posting)
    assert await facts(desk, client["id"]) == {("2026-10", "CNY"): {"assigned": ("200.0000", 1)}}


async def test_another_entitys_postings_are_not_this_ones(desk: Desk) -> None:
    client = await desk.register(external_numbers=NUMBERS)
    await desk.service.receives(booked(ReceivableAssigned, "2026-10-01", "200", entity_id=OTHER_ENTITY))
    assert await facts(desk, client["id"]) == {}


async def test_only_who_sees_the_client_sees_its_facts(desk: Desk) -> None:
    client = await desk.managed(LI)
    assert (await desk.li.get(f"/clients/{client['id']}/facts")).status_code == 200
    for caller in (desk.wang, desk.south_lead, desk.elsewhere):
        assert (await caller.get(f"/clients/{client['id']}/facts")).status_code == 404


@pytest.mark.parametrize(
    "query", [{"from": "2026"}, {"from": "2026-13"}, {"to": "0000-01"}, {"from": "2026-10", "to": "2026-09"}]
)
async def test_months_that_are_none_are_refused(desk: Desk, query: dict[str, str]) -> None:
    client = await desk.register()
    assert (await desk.operations.get(f"/clients/{client['id']}/facts", params=query)).status_code == 422


kinds = st.sampled_from(sorted(MEASURES, key=lambda kind: kind.__name__))
days = st.dates(date(2026, 8, 1), date(2026, 11, 3))
amounts = st.decimals(Decimal("-1000"), Decimal("1000000"), places=2)


@st.composite
def ledgers(draw: st.DrawFn) -> tuple[list[Event], dict[tuple[str, str], tuple[Decimal, int]]]:
    """Postings with chains of reversals in any order, and what they come to: (month, measure) → amount, count."""
    events: list[Event] = []
    expected: defaultdict[tuple[str, str], tuple[Decimal, int]] = defaultdict(lambda: (Decimal(0), 0))

    def count(day: date, measure: str, amount: Decimal, sign: int) -> None:
        total, n = expected[f"{day:%Y-%m}", measure]
        expected[f"{day:%Y-%m}", measure] = total + sign * amount, n + sign

    for kind, day, amount in draw(st.lists(st.tuples(kinds, days, amounts), max_size=12)):
        posting = booked(kind, str(day), str(amount))
        events.append(posting)
        count(day, MEASURES[kind].value, amount, 1)
        last: Counted | WriteOffBooked | PostingReversed = posting
        for depth, value_day in enumerate(draw(st.lists(days, max_size=3))):
            last = undone(last, str(max(day, value_day)), str(value_day))
            events.append(last)
            count(value_day, MEASURES[kind].value, amount, 1 if depth % 2 else -1)
    order = draw(st.permutations(events))
    repeats = draw(st.lists(st.sampled_from(events), max_size=4)) if events else []
    return [*order, *repeats], {key: value for key, value in expected.items() if value != (0, 0)}


@pytest.fixture(scope="session")
async def shared(template: Template) -> Any:
    async with template.harness() as harness:
        harness.clock.set(NOW)
        await harness.receives(*staffed())
        yield harness


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ledger=ledgers(), together=st.booleans())
async def test_any_order_comes_to_the_same(
    shared: Harness, ledger: tuple[Sequence[Event], dict[tuple[str, str], tuple[Decimal, int]]], together: bool
) -> None:
    events, expected = ledger
    async with shared.tx() as tx, tx.begin():
        await tx.execute(sa.text("TRUNCATE posting_fact"))
    if together:
        await shared.receives_together(*events)
    else:
        await shared.receives(*events)
    async with shared.tx() as tx:
        rows = await tx.execute(
            sa.text(
                "SELECT to_char(month, 'YYYY-MM'), measure, sum(amount), sum(count) FROM posting_fact"
                " WHERE measure IS NOT NULL GROUP BY 1, 2"
            )
        )
        found = {(month, measure): (amount, count) for month, measure, amount, count in rows}
    assert {key: value for key, value in found.items() if value != (0, 0)} == expected
