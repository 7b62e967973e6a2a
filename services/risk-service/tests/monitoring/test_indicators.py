"""Figures as of a date: what each booking does, what its reversal undoes, and that order never matters."""

import random
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import ExposureChanged, Posting
from risk_service.monitoring.indicators import indicators
from servicekit.testing import Harness, Template

from ..words import Ledger

D = date
JAN = D(2026, 1, 5)


@pytest.fixture
def officer(risk: Harness) -> httpx.AsyncClient:
    return risk.client("risk_officer")


async def figures(client: httpx.AsyncClient, ledger: Ledger, as_of: date, **more: Any) -> dict[str, Any]:
    answer = await client.get(f"/clients/{ledger.client}/indicators", params={"as_of": str(as_of), **more})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert sum(map(Decimal, told["ageing"].values())) == Decimal(told["balance"])
    return told


async def test_balance_overdue_ageing_and_what_is_untracked(
    risk: Harness, acme: Ledger, officer: httpx.AsyncClient
) -> None:
    await risk.receives(
        acme.assigned("a", "100.00", JAN, D(2026, 2, 4)),
        acme.assigned("b", "50.00", JAN, D(2026, 3, 6), debtor="other"),
        acme.assigned("c", "30.00", JAN, D(2026, 1, 10), tracked=False),
        acme.credited("n1", "10.00", D(2026, 1, 20)),
        acme.credited("n2", "20.00", D(2026, 1, 20), of="a"),
        acme.collected("a", "30.00", D(2026, 2, 10)),
    )
    told = await figures(officer, acme, D(2026, 2, 20))
    assert told["balance"] == "120.00"
    assert told["ageing"] == {
        "current": "50.00", "days_1_30": "50.00", "days_31_60": "0.00", "days_61_90": "0.00", "days_over_90": "0.00",
        "untracked": "30.00", "unallocated": "-10.00",
    }  # fmt: skip
    assert (told["overdue"], told["overdue_rate"]) == ("50.00", "0.5000")
    assert told["dso"] == "60.0000"  # 100 open ÷ 150 sold × 90
    assert told["dilution"] == "0.1667"  # 30 ÷ 180
    assert (await figures(officer, acme, D(2026, 2, 4)))["overdue"] == "0.00"
    assert (await figures(officer, acme, D(2026, 2, 5)))["overdue"] == "80.00"
    assert (await figures(officer, acme, D(2026, 5, 6)))["ageing"]["days_over_90"] == "50.00"
    assert (await figures(officer, acme, D(2026, 5, 6)))["default_rate"] == "0.6667"


async def test_a_reversal_undoes_exactly_its_posting_from_its_value_date(
    risk: Harness, acme: Ledger, officer: httpx.AsyncClient
) -> None:
    await risk.receives(acme.assigned("a", "100.00", JAN, D(2026, 2, 4)))
    paid = acme.collected("a", "100.00", D(2026, 1, 20))
    undone = acme.reversed(paid, D(2026, 1, 30), D(2026, 1, 25))
    await risk.receives(paid, undone)
    assert [(await figures(officer, acme, day))["balance"] for day in (D(2026, 1, 20), D(2026, 1, 24))] == ["0.00"] * 2
    assert (await figures(officer, acme, D(2026, 1, 25)))["balance"] == "100.00"
    await risk.receives(acme.reversed(undone, D(2026, 2, 1)))
    assert (await figures(officer, acme, D(2026, 1, 31)))["balance"] == "100.00"
    assert (await figures(officer, acme, D(2026, 2, 1)))["balance"] == "0.00"


async def test_due_dates_disputes_voids_and_red_invoices(
    risk: Harness, acme: Ledger, officer: httpx.AsyncClient
) -> None:
    moved = [acme.assigned("a", "100.00", JAN, D(2026, 2, 4)), acme.due_changed("a", D(2026, 3, 31), D(2026, 2, 1))]
    await risk.receives(*moved)
    assert (await figures(officer, acme, D(2026, 2, 20)))["overdue"] == "0.00"
    await risk.receives(acme.reversed(moved[1], D(2026, 2, 15)))
    assert (await figures(officer, acme, D(2026, 2, 20)))["overdue"] == "100.00"
    await risk.receives(acme.disputed("a", "100.00", D(2026, 2, 21)))
    assert (await figures(officer, acme, D(2026, 2, 21)))["dispute_rate"] == "1.0000"
    await risk.receives(acme.dispute_settled("a", D(2026, 2, 25)))
    assert (await figures(officer, acme, D(2026, 2, 25)))["dispute_rate"] == "0.0000"
    await risk.receives(acme.reddened("a", "40.00", D(2026, 2, 26)))
    assert (await figures(officer, acme, D(2026, 2, 26)))["balance"] == "60.00"
    await risk.receives(acme.assigned("b", "70.00", D(2026, 2, 26)), acme.voided("b", "70.00", D(2026, 2, 27)))
    told = await figures(officer, acme, D(2026, 2, 27))
    assert (told["balance"], told["explain"]["dilution"]["denominator"]) == ("60.00", "100")


async def test_funds_are_shown_beside_the_balance_and_never_mixed_with_another_currency(
    risk: Harness, acme: Ledger, officer: httpx.AsyncClient
) -> None:
    await risk.receives(
        acme.assigned("a", "100.00", JAN), acme.drawn("f", "80.00", JAN), acme.repaid("f", "30.00", D(2026, 1, 9))
    )
    acme.currency = "EUR"
    await risk.receives(acme.assigned("e", "7.00", JAN))
    told = await figures(officer, acme, D(2026, 2, 1), currency="CNY")
    assert (told["balance"], told["funds_in_use"], told["other_currencies"]) == ("100.00", "50.00", ["EUR"])
    assert (await figures(officer, acme, D(2026, 2, 1), currency="EUR"))["balance"] == "7.00"


async def test_what_was_known_then_is_told_as_it_was_known(
    risk: Harness, acme: Ledger, officer: httpx.AsyncClient
) -> None:
    await risk.receives(acme.assigned("a", "100.00", JAN))
    then = risk.clock()
    risk.clock.advance(timedelta(days=1))
    await risk.receives(acme.collected("a", "60.00", JAN))
    assert (await figures(officer, acme, JAN))["balance"] == "40.00"
    assert (await figures(officer, acme, JAN, known_at=then.isoformat()))["balance"] == "100.00"


async def test_each_scope_sees_its_own_and_nobody_another_entity(
    risk: Harness, acme: Ledger, bolt: Ledger, foreign: Ledger
) -> None:
    for ledger, amount in ((acme, "100.00"), (bolt, "40.00"), (foreign, "9.00")):
        await risk.receives(ledger.assigned("a", amount, JAN))
    officer = risk.client("risk_officer")
    assert (await officer.get("/portfolio/indicators")).json()["balance"] == "140.00"
    assert (await officer.get(f"/clients/{foreign.client}/indicators")).status_code == 404
    assert (await officer.get(f"/debtors/{foreign.id('debtor')}/indicators")).status_code == 404
    nobody = risk.client("relationship_manager", staff_id=UUID(int=1))
    assert (await nobody.get("/portfolio/indicators")).json()["balance"] == "0.00"
    assert (await nobody.get(f"/clients/{acme.client}/indicators")).status_code == 404
    assert (await risk.anonymous().get("/portfolio/indicators")).status_code == 401


async def test_bad_input_is_refused(risk: Harness, acme: Ledger, officer: httpx.AsyncClient) -> None:
    await risk.receives(acme.assigned("a", "100.00", JAN))
    path = f"/clients/{acme.client}/indicators"
    for wrong in ({"as_of": "yesterday"}, {"as_of": "0001-01-01"}, {"window_days": "0"}, {"currency": "yuan"}):
        assert (await officer.get(path, params=wrong)).status_code == 422
    assert (await officer.get("/clients/none/indicators")).status_code == 422
    assert (await officer.get(f"/clients/{UUID(int=404)}/indicators")).status_code == 404


async def test_snapshots_are_revised_when_a_posting_reaches_back(
    risk: Harness, acme: Ledger, officer: httpx.AsyncClient
) -> None:
    days = [D(2026, 1, 5), D(2026, 1, 6), D(2026, 1, 7)]
    await risk.receives(acme.assigned("a", "100.00", days[0]), acme.closed(days[0]))
    paid = acme.collected("a", "30.00", days[1])
    await risk.receives(paid, acme.closed(days[1]))
    await risk.receives(acme.reversed(paid, days[2], days[1]), acme.closed(days[2]))
    told = [e for e in await risk.emitted(ExposureChanged) if isinstance(e, ExposureChanged)]
    assert [(e.as_of.day, e.revision, e.balance.amount) for e in told] == [
        (5, 1, 100),
        (6, 1, 70),
        (6, 2, 100),
        (7, 1, 100),
    ]
    late = acme.assigned("late", "5.00", days[0])
    await risk.receives(late)
    told = [e for e in await risk.emitted(ExposureChanged) if isinstance(e, ExposureChanged)][4:]
    assert [(e.as_of.day, e.revision, e.balance.amount) for e in told] == [(5, 2, 105), (6, 3, 105), (7, 2, 105)]
    listed = (await officer.get(f"/clients/{acme.client}/snapshots", params={"total": True})).json()
    assert (listed["total"], listed["items"][0]["as_of"], listed["items"][0]["balance"]) == (3, "2026-01-07", "105.00")


amounts = st.integers(1, 999).map(lambda n: f"{n}.00")
days = st.integers(0, 200).map(lambda n: JAN + timedelta(days=n))
steps = st.lists(
    st.tuples(
        st.sampled_from(["assign", "collect", "credit", "void", "due", "dispute", "reverse"]), amounts, days, days
    ),
    min_size=1,
    max_size=14,
)


def book(ledger: Ledger, plan: list[tuple[str, str, date, date]]) -> None:
    """Carry a random plan out; what a step needs and is not there makes it another step."""
    names: list[str] = []
    for step, amount, day, other in plan:
        open_postings = [p for p in ledger.booked if type(p).__name__ != "PostingReversed"]
        if step == "assign" or not names:
            names.append(f"r{len(names)}")
            ledger.assigned(names[-1], amount, day, max(day, other), debtor=f"d{len(names) % 3}")
        elif step == "collect":
            ledger.collected(names[-1], amount, day)
        elif step == "credit":
            ledger.credited(f"n{ledger.number}", amount, day, of=names[0] if day > other else None)
        elif step == "void":
            ledger.voided(names[0], amount, day)
        elif step == "due":
            ledger.due_changed(names[-1], other, day)
        elif step == "dispute":
            ledger.disputed(names[-1], amount, day)
        else:
            ledger.reversed(random.Random(ledger.number).choice(open_postings), day, other)


def naive(booked: list[Posting], as_of: date) -> Decimal:
    """The balance by the slowest and plainest reading of the bookings."""
    told: list[Any] = list(booked)
    undone = {p.reversed_posting_id for p in told if type(p).__name__ == "PostingReversed" and p.value_date <= as_of}
    live = [
        p
        for p in told
        if p.business_date <= as_of and p.posting_id not in undone and type(p).__name__ != "PostingReversed"
    ]
    voided = {p.receivable_id for p in live if type(p).__name__ == "InvoiceVoided"}
    total = Decimal(0)
    for p in live:
        name = type(p).__name__
        if name == "ReceivableAssigned" and p.receivable_id not in voided:
            total += p.amount.amount
        elif name in ("ReceivableCollected", "CreditNoteIssued"):
            total -= p.amount.amount
    return total


@pytest.mark.timeout(900)
@given(plan=steps, seed=st.integers(0, 2**32), as_of=days)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_order_and_repeats_never_change_a_figure(
    template: Template, plan: list[tuple[str, str, date, date]], seed: int, as_of: date
) -> None:
    ledger = Ledger(UUID(int=0xACE))
    book(ledger, plan)
    shuffled = list(ledger.booked)
    random.Random(seed).shuffle(shuffled)
    found: list[dict[str, Any]] = []
    for events in (ledger.booked, [*shuffled, *shuffled]):
        async with template.harness() as risk:
            await risk.receives_together(*events, size=5)
            told = await figures(risk.client("risk_officer"), ledger, as_of)
            found.append({name: told[name] for name in told if name not in ("as_of", "known_at")})
    assert found[0] == found[1]
    assert Decimal(found[0]["balance"]) == naive(ledger.booked, as_of)


@given(
    st.fixed_dictionaries(
        {
            name: st.decimals(0, 10**9, places=2)
            for name in (
                "overdue", "tracked_balance", "tracked_sales", "reduced", "sales", "disputed", "receivable_balance",
                "defaulted", "matured", "top", "positive", "squares",
            )
        }
        | {n: st.integers(0, 999) for n in ("overdue_count", "open_count", "defaulted_count", "matured_count")}
    )
)  # fmt: skip
def test_every_ratio_is_its_numerator_over_its_denominator(sums: dict[str, Any]) -> None:
    for name, figure in indicators(sums, JAN, 90, 365).items():
        if name == "turnover":
            continue
        top, bottom = figure.why.numerator, figure.why.denominator
        if bottom == 0:
            assert figure.value is None
        else:
            times = 90 if name == "dso" else 1
            assert figure.value is not None
            assert abs(figure.value - top / bottom * times) <= Decimal("0.00005")
