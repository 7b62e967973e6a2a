"""Each closed day agrees with the ledger, or the break says in what; a late posting ends it."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from contracts import LedgerBreakFound, LedgerBreakResolved, Money
from servicekit.testing import Harness

from ..words import Ledger

DAY = date(2026, 5, 4)


async def breaks(risk: Harness, **filters: Any) -> list[dict[str, Any]]:
    answer = await risk.client("operations").get("/ledger-breaks", params=filters)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def busy_day(ledger: Ledger) -> list[Any]:
    paid = ledger.collected("a", "30.00", DAY)
    return [
        ledger.assigned("a", "100.00", DAY, date(2026, 8, 1)),
        ledger.assigned("b", "50.00", DAY, date(2026, 8, 1)),
        paid,
        ledger.due_changed("b", date(2026, 9, 1), DAY),
        ledger.voided("v", "-7.00", DAY),
        ledger.reversed(paid, DAY),
        ledger.drawn("f", "80.00", DAY),
    ]


async def test_a_day_that_agrees_makes_no_break(risk: Harness, acme: Ledger) -> None:
    await risk.receives(*busy_day(acme), acme.closed(DAY))
    assert await breaks(risk) == []


async def test_withholding_one_posting_makes_that_one_break_and_its_arrival_ends_it(
    risk: Harness, acme: Ledger
) -> None:
    booked = busy_day(acme)
    withheld = booked.pop(1)
    await risk.receives(*booked, acme.closed(DAY))
    found = await breaks(risk)
    assert [(b["posting_kind"], b["kind"], b["expected_count"], b["actual_count"]) for b in found] == [
        ("receivable-assigned", "count_and_total", 2, 1)
    ]
    assert (found[0]["expected_total"], found[0]["actual_total"]) == ("150.00", "100.00")
    told = await risk.last_emitted(LedgerBreakFound)
    assert (told.expected_total.amount - told.actual_total.amount, len(await risk.emitted(LedgerBreakFound))) == (50, 1)
    await risk.receives(withheld)
    assert (await risk.last_emitted(LedgerBreakResolved)).resolution == "late_posting_arrived"
    assert await breaks(risk, status="open") == []


async def test_altering_one_posting_breaks_its_total_and_a_corrected_close_ends_it(risk: Harness, acme: Ledger) -> None:
    booked = busy_day(acme)
    close = acme.closed(DAY)
    booked[0] = booked[0].model_copy(update={"amount": Money(amount=Decimal("101.00"), currency="CNY")})
    await risk.receives(*booked, close)
    found = await breaks(risk)
    assert [(b["posting_kind"], b["kind"], b["expected_total"], b["actual_total"]) for b in found] == [
        ("receivable-assigned", "total", "150.00", "151.00")
    ]
    acme.booked[acme.booked.index(next(p for p in acme.booked if p.posting_id == booked[0].posting_id))] = booked[0]
    await risk.receives(acme.closed(DAY))
    assert (await risk.last_emitted(LedgerBreakResolved)).resolution == "ledger_corrected"


async def test_a_break_is_owned_and_explained_by_those_who_may(risk: Harness, acme: Ledger) -> None:
    booked = busy_day(acme)
    await risk.receives(*booked[1:], acme.closed(DAY))
    found = (await breaks(risk))[0]["id"]
    staff = UUID(int=0x0B)
    operations = risk.client("operations", staff_id=staff)
    read = await operations.get(f"/ledger-breaks/{found}")
    owned = await operations.post(f"/ledger-breaks/{found}/own", headers={"If-Match": read.headers["etag"]})
    assert owned.json()["owner_id"] == str(staff)
    reason = {"explanation": "The ledger booked it after its own cut-off."}
    stale = await operations.post(
        f"/ledger-breaks/{found}/explain", json=reason, headers={"If-Match": read.headers["etag"]}
    )
    assert stale.status_code == 412
    done = await operations.post(
        f"/ledger-breaks/{found}/explain", json=reason, headers={"If-Match": owned.headers["etag"]}
    )
    assert (done.status_code, done.json()["status"]) == (200, "explained")
    assert (await risk.last_emitted(LedgerBreakResolved)).resolution == "explained"
    manager = risk.client("relationship_manager", staff_id=staff)
    assert (await manager.get("/ledger-breaks")).status_code == 403
    abroad = risk.client("operations", entity_id="OTHER-FACTOR")
    assert (await abroad.get("/ledger-breaks", params={"total": True})).json()["total"] == 0
    assert (await abroad.get(f"/ledger-breaks/{found}")).status_code == 404
