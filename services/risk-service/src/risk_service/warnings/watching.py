"""Runs the warning rules over clients' figures of days just closed, and raises, escalates and clears alerts."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Numeric, cast, func, select, tuple_
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
from risk_service.monitoring.evaluation import Figures
from risk_service.monitoring.model import Snapshot
from risk_service.receivables.balances import CLOSES, CloseKey, Closes
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

SEVERITIES = list(Severity)
SIX = Decimal("0.000001")
Key = tuple[str, UUID]
Usual = dict[tuple[str, int, str, UUID, date, str], Decimal]
"""(figure, history days, entity, client, as of, currency) → what is usual for the client."""


async def rules_on(tx: AsyncSession, entity_id: str, day: date, *, disabled_too: bool = False) -> list[WarningRule]:
    """A legal entity's rules on a date: its own where it has one, else those for all; the newest version of each."""
    return in_force(await _versions(tx, {entity_id}), entity_id, day, disabled_too=disabled_too)


async def _versions(tx: AsyncSession, entities: set[str]) -> list[WarningRule]:
    """All versions of the rules of these entities, in the order in which one prevails over the next."""
    rows = await tx.scalars(
        select(WarningRule)
        .where(WarningRule.entity_id.in_({*entities, "*"}))
        .order_by(
            WarningRule.rule,
            WarningRule.entity_id == "*",
            WarningRule.effective_from.desc(),
            WarningRule.version.desc(),
        )
    )
    return list(rows)


def in_force(
    versions: list[WarningRule], entity_id: str, day: date, *, disabled_too: bool = False
) -> list[WarningRule]:
    """Of each rule the version that prevails for the entity on that day."""
    chosen: dict[str, WarningRule] = {}
    for rule in versions:
        if rule.entity_id in (entity_id, "*") and rule.effective_from <= day:
            chosen.setdefault(rule.rule, rule)
    return [rule for rule in chosen.values() if rule.enabled or disabled_too]


async def watching(
    tx: AsyncSession, closes: Sequence[BusinessDayClosed], evaluated: Mapping[CloseKey, Figures]
) -> Callable[[BusinessDayClosed], Awaitable[None]]:
    """What judges a client on a day just closed, one call for each of these closes, in order.

    A day before the last one judged changes nothing.
    """
    keys = {(event.entity_id, event.client_id) for event in closes}
    versions = await _versions(tx, {event.entity_id for event in closes})
    states: dict[Key, dict[str, RuleState]] = defaultdict(dict)
    for state in await tx.scalars(select(RuleState).where(tuple_(RuleState.entity_id, RuleState.client_id).in_(keys))):
        states[state.entity_id, state.client_id][state.rule] = state
    alerts: dict[Key, dict[str, Alert]] = defaultdict(dict)
    for alert in await tx.scalars(
        select(Alert).where(tuple_(Alert.entity_id, Alert.client_id).in_(keys), Alert.status != AlertStatus.CLOSED)
    ):
        alerts[alert.entity_id, alert.client_id][alert.cause] = alert
    usual = await _usual(tx, [(event.entity_id, event.client_id, event.business_date) for event in closes], versions)

    async def judge(event: BusinessDayClosed) -> None:
        key = event.entity_id, event.client_id
        if any(state.as_of >= event.business_date for state in states[key].values()):
            return
        rules = in_force(versions, event.entity_id, event.business_date)
        snapshots = evaluated[(*key, event.business_date)].snapshots
        await _judge(tx, event, rules, states[key], alerts[key], snapshots, usual)

    return judge


async def _judge(
    tx: AsyncSession,
    event: BusinessDayClosed,
    rules: list[WarningRule],
    states: dict[str, RuleState],
    alerts: dict[str, Alert],
    snapshots: list[Snapshot],
    usual: Usual,
) -> None:
    entity, client, day = event.entity_id, event.client_id, event.business_date
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
    await _end(tx, event, rules, states, alerts)


async def _usual(tx: AsyncSession, days: list[CloseKey], versions: list[WarningRule]) -> Usual:
    """Median of each figure over each client's own history, its newest quarter left out; nothing where it is short."""
    usual: Usual = {}
    windows = {(Measure(r.measure).figure, r.history_days) for r in versions if Measure(r.measure).own_history}
    closes = Closes(tuple((*day, 0) for day in dict.fromkeys(days)))
    at = CLOSES.c
    for name, history in windows:
        figure = cast(Snapshot.figures[name].astext, Numeric)
        keys = (Snapshot.entity_id, Snapshot.client_id, at.as_of, Snapshot.currency)
        rows = await tx.execute(
            select(*keys, func.percentile_cont(0.5).within_group(figure))
            .where(
                Snapshot.entity_id == at.entity_id,
                Snapshot.client_id == at.client_id,
                Snapshot.as_of > at.as_of - history,
                Snapshot.as_of <= at.as_of - history // 4,
                Snapshot.figures[name].astext.is_not(None),
            )
            .group_by(*keys)
            .having(func.min(Snapshot.as_of) <= at.as_of - history // 2),
            closes.parameters(),
        )
        for entity, client, as_of, currency, median in rows:
            usual[name, history, entity, client, as_of, currency] = Decimal(str(median)).quantize(SIX)
    return usual


def _worst(rule: WarningRule, snapshots: list[Snapshot], usual: Usual) -> Finding | None:
    """A client with several currencies is judged by the worst of them."""
    figure, history = Measure(rule.measure).figure, rule.history_days
    found = [
        find(rule, s.figures, usual.get((figure, history, s.entity_id, s.client_id, s.as_of, s.currency)))
        for s in snapshots
    ]
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
        cause=event,
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
        cause=event,
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
        cause=event,
    )


async def _end(
    tx: AsyncSession,
    event: BusinessDayClosed,
    rules: list[WarningRule],
    states: dict[str, RuleState],
    alerts: dict[str, Alert],
) -> None:
    """Close alerts whose every rule has cleared; escalate those past their due date."""
    still = {rule.cause for rule in rules if states[rule.rule].breached}
    for cause, alert in sorted(alerts.items()):
        if cause not in still:
            del alerts[cause]
            alert.close(AlertOutcome.CLEARED, event.business_date)
            emit(
                tx,
                AlertClosed(
                    **_common(event), alert_id=alert.id, outcome=AlertOutcome.CLEARED, as_of=event.business_date
                ),
                cause=event,
            )
            await tx.flush()  # before another alert of this cause is written
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
                cause=event,
            )
