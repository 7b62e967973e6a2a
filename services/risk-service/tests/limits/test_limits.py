"""Limits: approved, adjusted, frozen, used; headroom reserved at once is never more than there is."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import pytest

from contracts import (
    ExposureChanged,
    LimitAdjusted,
    LimitApproved,
    LimitBreached,
    LimitExpired,
    LimitFrozen,
    LimitReserved,
    ReservationReleased,
)
from servicekit.testing import Harness

from ..words import Ledger

DAY = date(2026, 5, 4)


@pytest.fixture
async def officer(risk: Harness, acme: Ledger) -> httpx.AsyncClient:
    await risk.receives(acme.assigned("a", "1000.00", DAY, date(2026, 8, 1)), acme.closed(DAY))
    return risk.client("risk_officer")


def limit_of(amount: str, **more: Any) -> dict[str, Any]:
    return {"amount": {"amount": amount, "currency": "CNY"}, "effective_from": "2026-01-01", **more}


async def approve(officer: httpx.AsyncClient, acme: Ledger, amount: str, **more: Any) -> httpx.Response:
    answer = await officer.post(f"/clients/{acme.client}/limits", json=limit_of(amount, **more))
    assert answer.status_code == 201, answer.text
    return answer


def reservation(risk: Harness, amount: str, **more: Any) -> dict[str, Any]:
    until = (risk.clock() + timedelta(hours=2)).isoformat()
    return {"amount": {"amount": amount, "currency": "CNY"}, "expires_at": until, **more}


async def test_a_limit_shows_what_is_used_and_left(risk: Harness, acme: Ledger, officer: httpx.AsyncClient) -> None:
    told = (await approve(officer, acme, "1500.00")).json()
    assert (told["basis"], Decimal(told["used"]), Decimal(told["headroom"])) == ("balance", 1000, 500)
    assert (await risk.last_emitted(LimitApproved)).amount.amount == 1500
    again = await officer.post(f"/clients/{acme.client}/limits", json=limit_of("1.00"))
    assert (again.status_code, again.json()["type"]) == (409, "/problems/limit-exists")
    await risk.receives(acme.drawn("f", "300.00", DAY))
    listed = (await officer.get(f"/clients/{acme.client}/limits")).json()["limits"]
    assert (listed[0]["basis"], Decimal(listed[0]["used"]), Decimal(listed[0]["headroom"])) == ("funds", 300, 1200)
    debtor = (await approve(officer, acme, "900.00", debtor_id=str(acme.id("debtor")))).json()
    assert (debtor["kind"], Decimal(debtor["headroom"])) == ("client_debtor", -100)


async def test_adjusting_and_freezing_need_the_version_last_read(
    risk: Harness, acme: Ledger, officer: httpx.AsyncClient
) -> None:
    answer = await approve(officer, acme, "1500.00")
    limit, version = answer.json()["id"], answer.headers["etag"]
    change = {"amount": "2000.00", "reason": "review"}
    assert (await officer.put(f"/limits/{limit}", json=change)).status_code == 428
    assert (await officer.put(f"/limits/{limit}", json=change, headers={"If-Match": '"99"'})).status_code == 412
    adjusted = await officer.put(f"/limits/{limit}", json=change, headers={"If-Match": version})
    assert (adjusted.status_code, Decimal(adjusted.json()["amount"])) == (200, 2000)
    told = await risk.last_emitted(LimitAdjusted)
    assert told.previous_amount is not None
    assert told.previous_amount.amount == 1500
    frozen = await officer.post(
        f"/limits/{limit}/freeze", json={"reason": "alert"}, headers={"If-Match": adjusted.headers["etag"]}
    )
    assert (frozen.status_code, Decimal(frozen.json()["headroom"])) == (200, 0)
    assert (await risk.last_emitted(LimitFrozen)).reason == "alert"
    refused = await officer.post(f"/clients/{acme.client}/reservations", json=reservation(risk, "1.00"))
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/limit-not-active")
    manager = risk.client("relationship_manager", staff_id=UUID(int=1))
    assert (await manager.put(f"/limits/{limit}", json=change, headers={"If-Match": "*"})).status_code == 403
    abroad = risk.client("risk_officer", entity_id="OTHER-FACTOR")
    assert (await abroad.put(f"/limits/{limit}", json=change, headers={"If-Match": "*"})).status_code == 404


async def test_requests_at_once_never_overdraw(risk: Harness, acme: Ledger, officer: httpx.AsyncClient) -> None:
    await approve(officer, acme, "1500.00")
    path = f"/clients/{acme.client}/reservations"
    answers = await asyncio.gather(*(officer.post(path, json=reservation(risk, "200.00")) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201, 201, *[409] * 6]
    assert {a.json()["type"] for a in answers if a.status_code == 409} == {"/problems/headroom-exceeded"}
    left = (await officer.get(f"/clients/{acme.client}/limits")).json()["limits"][0]
    assert (Decimal(left["reserved"]), Decimal(left["headroom"])) == (400, 100)
    assert len(await risk.emitted(LimitReserved)) == 2


async def test_a_reservation_is_drawn_released_or_expires(
    risk: Harness, acme: Ledger, officer: httpx.AsyncClient
) -> None:
    await approve(officer, acme, "1500.00")
    path = f"/clients/{acme.client}/reservations"
    held = [(await officer.post(path, json=reservation(risk, "100.00"))).json()["id"] for _ in range(3)]
    await risk.receives(acme.drawn("f", "100.00", DAY, reservation=UUID(held[0])))
    assert (await officer.post(f"/reservations/{held[1]}/release")).json()["status"] == "released"
    assert (await officer.post(f"/reservations/{held[1]}/release")).status_code == 409
    risk.clock.advance(timedelta(hours=3))
    assert await risk.run_due() == 1
    reasons = [e.reason for e in await risk.emitted(ReservationReleased) if isinstance(e, ReservationReleased)]
    assert reasons == ["drawn", "cancelled", "expired"]
    left = (await officer.get(f"/clients/{acme.client}/limits")).json()["limits"][0]
    assert (left["basis"], Decimal(left["headroom"])) == ("funds", 1400)


async def test_wrong_requests_change_nothing(risk: Harness, acme: Ledger, officer: httpx.AsyncClient) -> None:
    path = f"/clients/{acme.client}"
    assert (await officer.post(f"{path}/reservations", json=reservation(risk, "1.00"))).status_code == 409
    for wrong in ("-1", "0", "1e3000", "NaN", "12.34567"):
        assert (await officer.post(f"{path}/limits", json=limit_of(wrong))).status_code == 422
    early = limit_of("5.00", expires_on="2025-01-01")
    assert (await officer.post(f"{path}/limits", json=early)).status_code == 422
    past = reservation(risk, "1.00", expires_at="2020-01-01T00:00:00Z")
    assert (await officer.post(f"{path}/reservations", json=past)).status_code == 422
    assert (await officer.post(f"/clients/{UUID(int=9)}/limits", json=limit_of("5.00"))).status_code == 404
    assert await risk.emitted(LimitApproved, LimitReserved) == []


async def test_a_breach_is_told_once_and_the_snapshot_shows_limit_and_headroom(
    risk: Harness, acme: Ledger, officer: httpx.AsyncClient
) -> None:
    await approve(officer, acme, "1200.00")
    second, third = DAY + timedelta(days=1), DAY + timedelta(days=2)
    await risk.receives(acme.assigned("b", "500.00", second), acme.closed(second), acme.closed(third))
    told = [e for e in await risk.emitted(LimitBreached) if isinstance(e, LimitBreached)]
    assert [(e.as_of, e.exposure.amount) for e in told] == [(second, 1500)]
    changed = await risk.last_emitted(ExposureChanged)
    assert changed.limit is not None
    assert changed.headroom is not None
    assert (changed.limit.amount, changed.headroom.amount) == (1200, -300)


async def test_a_limit_ends_at_its_date(risk: Harness, acme: Ledger, officer: httpx.AsyncClient) -> None:
    await approve(officer, acme, "1500.00", expires_on="2026-06-30")
    risk.clock.set(datetime(2026, 6, 30, 23, tzinfo=UTC))
    assert await risk.run_due() == 0
    risk.clock.set(datetime(2026, 7, 1, 1, tzinfo=UTC))
    assert await risk.run_due() == 1
    assert (await risk.last_emitted(LimitExpired)).expired_on == date(2026, 6, 30)
    assert (await officer.get(f"/clients/{acme.client}/limits")).json()["limits"] == []
