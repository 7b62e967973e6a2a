"""risk-service under attack: whatever is sent, it answers as its OpenAPI says."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

import attack
from risk_service.app import app
from servicekit.testing import Harness

from .reconciliation.test_breaks import busy_day
from .warnings.test_alerts import overdue_for_three_closes
from .words import Ledger


async def seed(risk: Harness) -> attack.Known:
    """Two clients with alerts, limits, a reservation and a rating; a third with a break."""
    risk.clock.set(datetime(2026, 6, 1, 4, tzinfo=UTC))
    acme, bolt, cedar = Ledger(UUID(int=0xACE)), Ledger(UUID(int=0xB017)), Ledger(UUID(int=0xCED))
    for ledger in (acme, bolt):
        await overdue_for_three_closes(risk, ledger)
    day = date(2026, 5, 4)
    booked = busy_day(cedar)
    await risk.receives(*booked[1:], cedar.closed(day))
    officer = risk.client("risk_officer")
    amount = {"amount": "90000.00", "currency": "CNY"}
    limits: list[str] = []
    for ledger, debtor in ((acme, None), (acme, str(acme.id("debtor"))), (bolt, None)):
        body = {"amount": amount, "effective_from": "2026-01-01", "debtor_id": debtor}
        answer = await officer.post(f"/clients/{ledger.client}/limits", json=body)
        assert answer.status_code == 201, answer.text
        limits.append(answer.json()["id"])
    until = (risk.clock() + timedelta(hours=20)).isoformat()
    reserved = await officer.post(
        f"/clients/{acme.client}/reservations", json={"amount": amount | {"amount": "10.00"}, "expires_at": until}
    )
    assert reserved.status_code == 201, reserved.text
    return {
        "client_id": [str(ledger.client) for ledger in (acme, bolt, cedar)],
        "debtor_id": [str(acme.id("debtor")), str(bolt.id("debtor"))],
        "limit_id": limits,
        "reservation_id": [reserved.json()["id"]],
        "alert_id": [alert["id"] for alert in (await officer.get("/alerts")).json()["items"]],
        "break_id": [each["id"] for each in (await officer.get("/ledger-breaks")).json()["items"]],
        "rule": [each["rule"] for each in (await officer.get("/warning-rules")).json()],
    }


@pytest.mark.timeout(attack.TIMEOUT)
def test_it_withstands_schemathesis(postgres_url: str, tmp_path: Path) -> None:
    with attack.served(app, postgres_url, seed, {}) as target:
        attack.withstands(target, tmp_path)
