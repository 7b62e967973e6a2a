"""Alerts as people handle them, and the rules that raise them."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, BaseModel, Field, model_validator
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts import AlertAcknowledged, AlertClosed, AlertOutcome, Severity
from eventing.outbox import emit
from risk_service.receivables.model import Posting
from risk_service.receivables.queries import latest_date
from risk_service.requests import Day, DecimalText, Line
from risk_service.warnings.model import (
    Alert,
    AlertAlreadyAcknowledged,
    AlertAlreadyClosed,
    AlertStatus,
    Measure,
    WarningRule,
)
from risk_service.warnings.watching import rules_on
from servicekit.access import ids_of, visible
from servicekit.auth import Principal, may
from servicekit.clock import Now
from servicekit.concurrency import etag, next_version
from servicekit.database import ReadTx, Tx
from servicekit.examples import example
from servicekit.pagination import Page, Paging, paginate, total_of
from servicekit.problems import NotFound, problems
from servicekit.requests import Body, known

router = APIRouter(tags=["warnings"])


class UnknownAlert(NotFound):
    """There is no such alert, or it is not yours to see.

    `GET /alerts` lists those there are.
    """


class UnknownRule(NotFound):
    """There is no such warning rule.

    `GET /warning-rules` lists those there are.
    """


class AlertView(BaseModel):
    """An alert and why it was raised."""

    model_config = example(
        id="0199a7c0-aaaa-7aaa-8aaa-000000000011",
        rule="overdue-rate-high",
        severity="serious",
        indicator="overdue-rate",
        value="0.2150",
        threshold="0.2000",
        why={
            "rule": "overdue-rate-high@1",
            "figure": "overdue_rate",
            "figure_value": "0.2150",
            "raise_at": "0.2",
            "clear_at": "0.1",
        },
        due_on="2026-11-09",
        status="open",
    )

    id: UUID
    client_id: UUID
    rule: str
    rule_version: int
    cause_key: str
    severity: str
    indicator: str
    value: DecimalText
    threshold: DecimalText
    why: dict[str, Any]
    as_of: date
    due_on: date
    level: int
    status: str
    acknowledged_by: str | None
    outcome: str | None
    closed_as_of: date | None
    note: str | None
    version: int

    @classmethod
    def of(cls, alert: Alert) -> Self:
        names = [name for name in cls.model_fields if name != "version"]
        return cls(**{name: getattr(alert, name) for name in names}, version=next_version(alert))


def _human(outcome: AlertOutcome) -> AlertOutcome:
    if outcome is AlertOutcome.CLEARED:
        raise ValueError("only the figures themselves clear an alert; say handled or false_alarm")
    return known(outcome)


class Closing(Body):
    """What became of the alert."""

    model_config = example(
        outcome="handled", note="The debtor paid two of the three invoices; a plan covers the third."
    )

    outcome: Annotated[AlertOutcome, AfterValidator(_human)]
    note: Line | None = None


class RuleView(BaseModel):
    """A warning rule in force."""

    model_config = example(
        rule="overdue-rate-high",
        entity_id="*",
        effective_from="2026-01-01",
        measure="overdue_rate",
        cause="payment",
        raise_at="0.20",
        clear_at="0.10",
        raise_after=3,
        history_days=0,
        minimal_volume=5,
        severity="serious",
        due_days=7,
    )

    rule: str
    version: int
    entity_id: str = Field(description='"*": applies where the legal entity has none of its own')
    effective_from: date
    measure: Measure
    cause: str
    raise_at: DecimalText
    clear_at: DecimalText
    raise_after: int
    history_days: int
    minimal_volume: int
    severity: str
    due_days: int
    enabled: bool

    @classmethod
    def of(cls, rule: WarningRule) -> Self:
        return cls(**{name: getattr(rule, name) for name in cls.model_fields})


Threshold = Annotated[Decimal, Field(ge=0, le=1000, decimal_places=4, allow_inf_nan=False)]


class NewRuleVersion(Body):
    """A rule's new parameters from a date on, for the caller's legal entity."""

    model_config = example(
        effective_from="2026-12-01",
        raise_at="0.25",
        clear_at="0.12",
        raise_after=3,
        history_days=0,
        minimal_volume=5,
        severity="serious",
        due_days=7,
    )

    effective_from: Day
    raise_at: Threshold = Field(examples=["0.25"])
    clear_at: Threshold = Field(examples=["0.12"])
    raise_after: int = Field(ge=1, le=60)
    history_days: int = Field(ge=0, le=1830)
    minimal_volume: int = Field(ge=0, le=100_000)
    severity: Annotated[Severity, AfterValidator(known)]
    due_days: int = Field(ge=1, le=365)
    enabled: bool = True

    @model_validator(mode="after")
    def _hysteresis(self) -> Self:
        if self.clear_at >= self.raise_at:
            raise ValueError("clear_at must lie below raise_at")
        return self


@router.get("/alerts")
async def list_alerts(
    tx: ReadTx,
    who: Annotated[Principal, may("alerts:read")],
    page: Paging,
    client_id: UUID | None = None,
    status: AlertStatus | None = None,
    rule: Annotated[str | None, Query(max_length=64)] = None,
    severity: Severity | None = None,
    overdue_on: Annotated[Day | None, Query(description="Due before this date and not closed")] = None,
) -> Page[AlertView]:
    """The alerts about clients the caller may see, newest first."""
    query = select(Alert).where(visible(who, Alert.client_id, Alert.entity_id))
    if client_id is not None:
        query = query.where(Alert.client_id.in_(await ids_of(tx, client_id)))
    if status is not None:
        query = query.where(Alert.status == status)
    if rule is not None:
        query = query.where(Alert.rule == rule)
    if severity is not None:
        query = query.where(Alert.severity == severity.value)
    if overdue_on is not None:
        query = query.where(Alert.due_on < overdue_on, Alert.status != AlertStatus.CLOSED)
    rows, cursor = await paginate(tx, query, Alert.as_of.desc(), Alert.id, page=page)
    return Page(
        items=[AlertView.of(alert) for alert in rows], next_cursor=cursor, total=await total_of(tx, query, page)
    )


@router.get("/alerts/{alert_id}", responses=problems(UnknownAlert))
async def get_alert(
    alert_id: UUID, tx: ReadTx, who: Annotated[Principal, may("alerts:read")], response: Response
) -> AlertView:
    """An alert with its reason: figures, thresholds and the rule's version."""
    alert = await _alert(tx, who, alert_id)
    etag(response, alert)
    return AlertView.of(alert)


@router.post(
    "/alerts/{alert_id}/acknowledge", responses=problems(UnknownAlert, AlertAlreadyClosed, AlertAlreadyAcknowledged)
)
async def acknowledge_alert(
    alert_id: UUID, tx: Tx, who: Annotated[Principal, may("alerts:handle")], now: Now, response: Response
) -> AlertView:
    """Take an alert on."""
    alert = await _alert(tx, who, alert_id)
    alert.acknowledge(who.subject)
    emit(
        tx,
        AlertAcknowledged(
            entity_id=alert.entity_id,
            occurred_at=now,
            client_id=alert.client_id,
            alert_id=alert.id,
            staff_id=who.staff_id,
            as_of=await _date(tx, alert),
        ),
    )
    etag(response, alert)
    return AlertView.of(alert)


@router.post("/alerts/{alert_id}/close", responses=problems(UnknownAlert, AlertAlreadyClosed))
async def close_alert(
    alert_id: UUID, body: Closing, tx: Tx, who: Annotated[Principal, may("alerts:handle")], now: Now, response: Response
) -> AlertView:
    """Say what became of an alert. The same cause raises no new one until it has cleared."""
    alert = await _alert(tx, who, alert_id)
    as_of = await _date(tx, alert)
    alert.close(body.outcome, as_of, body.note)
    emit(
        tx,
        AlertClosed(
            entity_id=alert.entity_id,
            occurred_at=now,
            client_id=alert.client_id,
            alert_id=alert.id,
            outcome=body.outcome,
            as_of=as_of,
        ),
    )
    etag(response, alert)
    return AlertView.of(alert)


@router.get("/warning-rules")
async def list_warning_rules(
    tx: ReadTx, who: Annotated[Principal, may("warning-rules:read")], on: Day | None = None
) -> list[RuleView]:
    """The rules in force for the caller's legal entity on a date (default: the newest versions)."""
    return [RuleView.of(rule) for rule in await rules_on(tx, who.entity_id, on or date.max, disabled_too=True)]


@router.post("/warning-rules/{rule}/versions", status_code=201, responses=problems(UnknownRule))
async def change_warning_rule(
    rule: str, body: NewRuleVersion, tx: Tx, who: Annotated[Principal, may("warning-rules:change")]
) -> RuleView:
    """Give a rule other parameters from a date on; earlier dates keep theirs."""
    base = next((r for r in await rules_on(tx, who.entity_id, date.max, disabled_too=True) if r.rule == rule), None)
    if base is None:
        raise UnknownRule(rule[:64])
    newest = await tx.scalar(select(func.max(WarningRule.version)).where(WarningRule.rule == rule))
    version = WarningRule(
        rule=rule,
        version=(newest or 0) + 1,
        entity_id=who.entity_id,
        measure=base.measure,
        cause=base.cause,
        **body.model_dump(),
    )
    version.severity = body.severity.value
    tx.add(version)
    return RuleView.of(version)


async def _alert(tx: AsyncSession, who: Principal, alert_id: UUID) -> Alert:
    alert = await tx.scalar(select(Alert).where(Alert.id == alert_id, visible(who, Alert.client_id, Alert.entity_id)))
    if alert is None:
        raise UnknownAlert(alert_id)
    return alert


async def _date(tx: AsyncSession, alert: Alert) -> date:
    """Where the client's business clock stands."""
    scope = Posting.client_id == alert.client_id
    return max(alert.as_of, await latest_date(tx, alert.entity_id, [alert.client_id], scope))
