"""Runs the warning rules over a client's snapshot of the day just closed, and raises, escalates and clears alerts."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Numeric, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts import (
    AlertClosed,
    AlertEscalated,
    AlertOutcome,
    AlertRaised,
    BusinessDayClosed,
    IndicatorBreached,
    IndicatorCleared,
    Severity,
)
from eventing.outbox import derived_id, emit
from eventing.subscriptions import Subscriptions
from risk_service.monitoring.model import Snapshot
from risk_service.warnings.model import (
    Alert,
    AlertStatus,
    Finding,
    Measure,
    RuleState,
    Step,
    WarningRule,
    advance,
    find,
)

on = Subscriptions()
SEVERITIES = list(Severity)


async def rules_on(tx: AsyncSession, entity_id: str, day: date, *, disabled_too: bool = False) -> list[WarningRule]:
    """A legal entity's rules on a date: its own where it has one, else those for all; the newest version of each."""
    rows = await tx.scalars(
        select(WarningRule)
        .where(WarningRule.entity_id.in_((entity_id, "*")), WarningRule.effective_from <= day)
        .order_by(
            WarningRule.rule,
            WarningRule.entity_id == "*",
            WarningRule.effective_from.desc(),
            WarningRule.version.desc(),
        )
    )
    chosen: dict[str, WarningRule] = {}
    for rule in rows:
        chosen.setdefault(rule.rule, rule)
    return [rule for rule in chosen.values() if rule.enabled or disabled_too]


@on.react(BusinessDayClosed)
async def watch(event: BusinessDayClosed, tx: AsyncSession) -> None:
    """Judge the client on the day just closed; a day before the last one judged changes nothing."""
    entity, client, day = event.entity_id, event.client_id, event.business_date
    states = {
        state.rule: state
        for state in await tx.scalars(
            select(RuleState).where(RuleState.entity_id == entity, RuleState.client_id == client)
        )
    }
    if any(state.as_of >= day for state in states.values()):
        return
    snapshots = list(
        await tx.scalars(
            select(Snapshot)
            .where(Snapshot.entity_id == entity, Snapshot.client_id == client, Snapshot.as_of == day)
            .order_by(Snapshot.currency)
        )
    )
    rules = await rules_on(tx, entity, day)
    usual = await _usual(tx, entity, client, day, rules)
    alerts = {
        alert.cause: alert
        for alert in await tx.scalars(
            select(Alert).where(
                Alert.entity_id == entity, Alert.client_id == client, Alert.status != AlertStatus.CLOSED
            )
        )
    }
    for rule in rules:
        state = states.get(rule.rule)
        if state is None:
            state = RuleState(
                entity_id=entity, client_id=client, rule=rule.rule, as_of=day, breached=False, streak=0, value=None
            )
            states[rule.rule] = state
            tx.add(state)
        found = _worst(rule, snapshots, usual)
        step = advance(rule, state, found, day)
        if step is Step.BREACHED and found is not None:
            _breached(tx, event, rule, found, alerts)
        elif step is Step.CLEARED and found is not None:
            _tell_cleared(tx, event, rule, found)
    _end(tx, event, rules, states, alerts)


async def _usual(
    tx: AsyncSession, entity: str, client: UUID, day: date, rules: list[WarningRule]
) -> dict[tuple[str, str], Decimal]:
    """(rule, currency) → median of the figure over the client's own history, its newest quarter left out."""
    usual: dict[tuple[str, str], Decimal] = {}
    for rule in rules:
        measure = Measure(rule.measure)
        if not measure.own_history:
            continue
        figure = cast(Snapshot.figures[measure.figure].astext, Numeric)
        until = day - timedelta(days=rule.history_days // 4)
        rows = await tx.execute(
            select(Snapshot.currency, func.percentile_cont(0.5).within_group(figure), func.min(Snapshot.as_of))
            .where(
                Snapshot.entity_id == entity,
                Snapshot.client_id == client,
                Snapshot.as_of > day - timedelta(days=rule.history_days),
                Snapshot.as_of <= until,
                Snapshot.figures[measure.figure].astext.is_not(None),
            )
            .group_by(Snapshot.currency)
        )
        for currency, median, since in rows.tuples():
            if since <= day - timedelta(days=rule.history_days // 2):
                usual[rule.rule, currency] = Decimal(str(median)).quantize(Decimal("0.000001"))
    return usual


def _worst(rule: WarningRule, snapshots: list[Snapshot], usual: dict[tuple[str, str], Decimal]) -> Finding | None:
    """A client with several currencies is judged by the worst of them."""
    found = [find(rule, s.figures, usual.get((rule.rule, s.currency))) for s in snapshots]
    return max((f for f in found if f is not None), key=lambda f: f.value, default=None)


def _common(event: BusinessDayClosed) -> dict[str, Any]:
    return {
        "entity_id": event.entity_id,
        "branch_id": event.branch_id,
        "occurred_at": event.occurred_at,
        "client_id": event.client_id,
    }


def _breached(
    tx: AsyncSession, event: BusinessDayClosed, rule: WarningRule, found: Finding, alerts: dict[str, Alert]
) -> None:
    code = Measure(rule.measure).code
    emit(
        tx,
        IndicatorBreached(
            **_common(event), code=code, value=found.value, threshold=rule.raise_at, as_of=event.business_date
        ),
    )
    known = alerts.get(rule.cause)
    if known is not None:
        known.why = {**known.why, "also": [*known.why.get("also", []), dict(found.why)]}
        if SEVERITIES.index(Severity(rule.severity)) > SEVERITIES.index(Severity(known.severity)):
            known.severity = rule.severity
        return
    alert = Alert.of(
        derived_id(event, f"alert:{rule.cause}"), event.entity_id, event.client_id, rule, found, event.business_date
    )
    alerts[rule.cause] = alert
    tx.add(alert)
    emit(
        tx,
        AlertRaised(
            **_common(event),
            alert_id=alert.id,
            rule=rule.rule,
            severity=Severity(rule.severity),
            cause_key=alert.cause_key,
            indicator=code,
            value=found.value,
            threshold=rule.raise_at,
            as_of=alert.as_of,
            due_on=alert.due_on,
        ),
    )


def _tell_cleared(tx: AsyncSession, event: BusinessDayClosed, rule: WarningRule, found: Finding) -> None:
    emit(
        tx,
        IndicatorCleared(
            **_common(event),
            code=Measure(rule.measure).code,
            value=found.value,
            threshold=rule.clear_at,
            as_of=event.business_date,
        ),
    )


def _end(
    tx: AsyncSession,
    event: BusinessDayClosed,
    rules: list[WarningRule],
    states: dict[str, RuleState],
    alerts: dict[str, Alert],
) -> None:
    """Close alerts whose every rule has cleared; escalate those past their due date."""
    still = {rule.cause for rule in rules if states[rule.rule].breached}
    for cause, alert in alerts.items():
        if cause not in still:
            alert.close(AlertOutcome.CLEARED, event.business_date)
            emit(
                tx,
                AlertClosed(
                    **_common(event), alert_id=alert.id, outcome=AlertOutcome.CLEARED, as_of=event.business_date
                ),
            )
        elif alert.escalate(event.business_date):
            emit(
                tx,
                AlertEscalated(
                    **_common(event),
                    alert_id=alert.id,
                    level=alert.level,
                    due_on=alert.due_on,
                    as_of=event.business_date,
                ),
            )
