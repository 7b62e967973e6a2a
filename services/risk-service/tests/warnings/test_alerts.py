"""Alerts: raised with a reason, once a cause, cleared by the figures, handled by those who may."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
from hypothesis import given
from hypothesis import strategies as st

from contracts import (
    AlertAcknowledged,
    AlertClosed,
    AlertEscalated,
    AlertRaised,
    Event,
    IndicatorBreached,
    IndicatorCleared,
    RmAssigned,
)
from risk_service.warnings.model import Finding, RuleState, Step, WarningRule, advance
from servicekit.testing import Harness

from ..words import ENTITY, Ledger

START = date(2026, 3, 2)
RM = UUID(int=0x5A)


async def names(risk: Harness) -> list[str]:
    kinds: tuple[type[Event], ...] = (
        IndicatorBreached, IndicatorCleared, AlertRaised, AlertEscalated, AlertClosed, AlertAcknowledged,
    )  # fmt: skip
    return [type(event).__name__ for event in await risk.emitted(*kinds)]


def overdue_client(ledger: Ledger, day: date) -> list[Event]:
    """Six receivables, four of them overdue on that day."""
    return [
        ledger.assigned(f"r{n}", "100.00", day - timedelta(days=30), day + timedelta(days=40 if n < 2 else -2))
        for n in range(6)
    ]


async def overdue_for_three_closes(risk: Harness, ledger: Ledger) -> date:
    await risk.receives(*overdue_client(ledger, START))
    for n in range(3):
        day = START + timedelta(days=n)
        await risk.receives(ledger.closed(day))
    return START + timedelta(days=2)


async def test_a_breach_must_last_then_raises_one_alert_that_says_why(risk: Harness, acme: Ledger) -> None:
    last = await overdue_for_three_closes(risk, acme)
    assert await names(risk) == ["IndicatorBreached", "AlertRaised"]
    officer = risk.client("risk_officer")
    listed = (await officer.get("/alerts", params={"total": True})).json()
    assert listed["total"] == 1
    alert = listed["items"][0]
    assert (alert["rule"], alert["as_of"], alert["status"]) == ("overdue-rate-high", str(last), "open")
    assert alert["why"]["rule"] == "overdue-rate-high@1"
    assert alert["why"]["figure_value"] == "0.6667"
    assert alert["value"] == "0.6667"


async def test_figures_clear_an_alert_and_time_escalates_it_on_the_business_clock(risk: Harness, acme: Ledger) -> None:
    last = await overdue_for_three_closes(risk, acme)
    risk.clock.advance(timedelta(days=400))
    await risk.receives(acme.closed(last + timedelta(days=7)))
    assert (await names(risk))[2:] == []
    await risk.receives(acme.closed(last + timedelta(days=8)))
    assert (await names(risk))[2:] == ["AlertEscalated"]
    paid = last + timedelta(days=9)
    await risk.receives(*(acme.collected(f"r{n}", "100.00", paid) for n in range(2, 6)), acme.closed(paid))
    assert (await names(risk))[3:] == []  # two receivables are too few to judge by
    await risk.receives(
        *(acme.assigned(f"new{n}", "100.00", paid, paid + timedelta(days=60)) for n in range(5)),
        acme.closed(paid + timedelta(days=1)),
    )
    assert (await names(risk))[3:] == ["IndicatorCleared", "AlertClosed"]
    closed = await risk.last_emitted(AlertClosed)
    assert closed.outcome == "cleared"


async def test_a_closed_cause_stays_quiet_until_it_has_cleared(risk: Harness, acme: Ledger) -> None:
    last = await overdue_for_three_closes(risk, acme)
    officer = risk.client("risk_officer")
    alert = (await officer.get("/alerts")).json()["items"][0]["id"]
    assert (await officer.post(f"/alerts/{alert}/acknowledge")).json()["status"] == "acknowledged"
    assert (await officer.post(f"/alerts/{alert}/acknowledge")).status_code == 409
    wrong = await officer.post(f"/alerts/{alert}/close", json={"outcome": "cleared"})
    assert wrong.status_code == 422
    done = await officer.post(f"/alerts/{alert}/close", json={"outcome": "false_alarm", "note": "Paid by bank draft"})
    assert (done.status_code, done.json()["outcome"]) == (200, "false_alarm")
    assert (await officer.post(f"/alerts/{alert}/close", json={"outcome": "handled"})).status_code == 409
    await risk.receives(acme.closed(last + timedelta(days=3)))
    assert (await names(risk))[2:] == ["AlertAcknowledged", "AlertClosed"]


async def test_alerts_are_seen_by_their_manager_and_nobody_elses(risk: Harness, acme: Ledger, bolt: Ledger) -> None:
    await overdue_for_three_closes(risk, acme)
    await overdue_for_three_closes(risk, bolt)
    await risk.receives(
        RmAssigned(
            entity_id=ENTITY,
            occurred_at=risk.clock(),
            client_id=acme.client,
            staff_id=RM,
            effective_at=risk.clock(),
        )
    )
    manager = risk.client("relationship_manager", staff_id=RM)
    seen = (await manager.get("/alerts", params={"total": True})).json()
    assert (seen["total"], seen["items"][0]["client_id"]) == (1, str(acme.client))
    other = [
        item["id"]
        for item in (await risk.client("risk_officer").get("/alerts")).json()["items"]
        if item["client_id"] == str(bolt.client)
    ]
    assert (await manager.get(f"/alerts/{other[0]}")).status_code == 404
    assert (await manager.post(f"/alerts/{other[0]}/acknowledge")).status_code == 404
    abroad = risk.client("risk_officer", entity_id="OTHER-FACTOR")
    assert (await abroad.get("/alerts", params={"total": True})).json()["total"] == 0


async def test_rules_are_changed_from_a_date_on(risk: Harness, acme: Ledger) -> None:
    officer = risk.client("risk_officer")
    rules = (await officer.get("/warning-rules")).json()
    assert len(rules) >= 5
    new: dict[str, Any] = {
        "effective_from": str(START), "raise_at": "0.90", "clear_at": "0.50", "raise_after": 1, "history_days": 0,
        "minimal_volume": 1, "severity": "critical", "due_days": 3,
    }  # fmt: skip
    path = "/warning-rules/overdue-rate-high/versions"
    assert (await officer.post(path, json=new | {"clear_at": "0.95"})).status_code == 422
    made = await officer.post(path, json=new)
    assert (made.status_code, made.json()["version"], made.json()["entity_id"]) == (201, 2, ENTITY)
    assert (await officer.post("/warning-rules/none/versions", json=new)).status_code == 404
    manager: httpx.AsyncClient = risk.client("relationship_manager", staff_id=RM)
    assert (await manager.post(path, json=new)).status_code == 403
    await overdue_for_three_closes(risk, acme)
    assert await names(risk) == []


rule = WarningRule(
    rule="r", version=1, entity_id="*", effective_from=START, measure="dilution", cause="c", raise_at=Decimal("0.5"),
    clear_at=Decimal("0.2"), raise_after=2, history_days=0, minimal_volume=0, severity="info", due_days=1, enabled=True,
)  # fmt: skip


@given(st.lists(st.one_of(st.none(), st.decimals(0, 1, places=2)), max_size=60))
def test_breaches_and_clearings_alternate_whatever_the_figures(values: list[Decimal | None]) -> None:
    state = RuleState(entity_id=ENTITY, client_id=RM, rule="r", as_of=START, breached=False, streak=0, value=None)
    steps: list[Step] = []
    for n, value in enumerate(values):
        found = None if value is None else Finding(value, {})
        step = advance(rule, state, found, START + timedelta(days=n))
        if step is Step.BREACHED:
            assert values[n - 1 : n + 1] == [v for v in values[n - 1 : n + 1] if v is not None and v >= rule.raise_at]
        if step is Step.CLEARED:
            assert value is not None
            assert value <= rule.clear_at
        if step is not Step.NOTHING:
            steps.append(step)
    assert steps == [Step.BREACHED if n % 2 == 0 else Step.CLEARED for n in range(len(steps))]
