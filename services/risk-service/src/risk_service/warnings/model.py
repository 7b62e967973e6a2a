"""Warning rules, what they have noticed of each client, and the alerts that come of it.

Invariants: time is the client's business date and nothing else. Between raising and clearing a rule stays breached
(hysteresis). While an alert of a cause is open, no second one of that cause is raised for the client. An alert ends
by a person's word or when every rule of its cause has cleared.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from contracts.risk import AlertOutcome, IndicatorCode
from risk_service.model_base import Base
from risk_service.monitoring.model import NOT_AUDITED
from servicekit.database import Versioned
from servicekit.problems import Conflict

ESCALATE_AFTER_DAYS = 7
HIGHEST_LEVEL = 3
"""Team lead, risk officer, management."""


class AlertAlreadyClosed(Conflict):
    """The alert is closed.

    Nothing more can be done with it; a new breach raises a new alert.
    """


class AlertAlreadyAcknowledged(Conflict):
    """Someone has taken the alert on already.

    Read the alert to see who; close it when it is handled.
    """


class Measure(StrEnum):
    """What a rule looks at, all from the client's daily snapshots."""

    OVERDUE_RATE = "overdue_rate"
    DSO_WORSENING = "dso_worsening"
    DILUTION = "dilution"
    DISPUTE_RATE = "dispute_rate"
    CONCENTRATION_RISE = "concentration_rise"

    @property
    def code(self) -> IndicatorCode:
        """The published indicator it belongs to."""
        return {
            Measure.OVERDUE_RATE: IndicatorCode.OVERDUE_RATE,
            Measure.DSO_WORSENING: IndicatorCode.DSO,
            Measure.DILUTION: IndicatorCode.DILUTION,
            Measure.DISPUTE_RATE: IndicatorCode.DISPUTE_RATE,
            Measure.CONCENTRATION_RISE: IndicatorCode.CONCENTRATION,
        }[self]

    @property
    def figure(self) -> str:
        """The snapshot figure it is measured on."""
        return {Measure.DSO_WORSENING: "dso", Measure.CONCENTRATION_RISE: "top_share"}.get(self, self.value)

    @property
    def own_history(self) -> bool:
        """Whether it compares the client with its own past: value ÷ median of the history window − 1."""
        return self in {Measure.DSO_WORSENING, Measure.CONCENTRATION_RISE}

    @property
    def volume(self) -> str:
        """The count that must reach the rule's minimal volume."""
        return {
            Measure.OVERDUE_RATE: "open_count",
            Measure.DSO_WORSENING: "sales_count",
            Measure.DILUTION: "sales_count",
            Measure.DISPUTE_RATE: "receivables",
            Measure.CONCENTRATION_RISE: "receivables",
        }[self]


class WarningRule(Base):
    """One version of a rule: it applies from its effective date until a later version does."""

    __tablename__ = "warning_rule"

    rule: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    entity_id: Mapped[str] = mapped_column(primary_key=True)
    """The legal entity whose rule it is; "*" for all that have none of their own."""
    effective_from: Mapped[date]
    measure: Mapped[str]
    cause: Mapped[str]
    raise_at: Mapped[Decimal]
    clear_at: Mapped[Decimal]
    raise_after: Mapped[int]
    """Closes in a row at or above `raise_at` before it counts."""
    history_days: Mapped[int]
    """How far back the client's own history goes, and as many of its newest days are left out of it as a quarter."""
    minimal_volume: Mapped[int]
    severity: Mapped[str]
    due_days: Mapped[int]
    enabled: Mapped[bool]

    @property
    def label(self) -> str:
        """`overdue-rate@1`."""
        return f"{self.rule}@{self.version}"


class RuleState(Base):
    """What a rule has noticed of a client so far."""

    __tablename__ = "warning_state"
    __table_args__ = NOT_AUDITED

    entity_id: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    rule: Mapped[str] = mapped_column(primary_key=True)
    as_of: Mapped[date]
    breached: Mapped[bool]
    streak: Mapped[int]
    value: Mapped[Decimal | None]


class AlertStatus(StrEnum):
    """Where an alert stands in its life."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    CLOSED = "closed"


class Alert(Versioned, Base):
    """A warning about a client, to be handled by its due date on the client's business clock."""

    __tablename__ = "alert"
    __table_args__ = (
        Index(
            "alert_one_open_per_cause",
            "entity_id",
            "client_id",
            "cause",
            unique=True,
            postgresql_where=text("status <> 'closed'"),
        ),
        Index("alert_list", "entity_id", "as_of"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    entity_id: Mapped[str]
    client_id: Mapped[UUID]
    rule: Mapped[str]
    rule_version: Mapped[int]
    cause: Mapped[str]
    cause_key: Mapped[str]
    severity: Mapped[str]
    indicator: Mapped[str]
    value: Mapped[Decimal]
    threshold: Mapped[Decimal]
    why: Mapped[dict[str, Any]]
    as_of: Mapped[date]
    due_on: Mapped[date]
    level: Mapped[int]
    status: Mapped[str]
    acknowledged_by: Mapped[str | None]
    outcome: Mapped[str | None]
    closed_as_of: Mapped[date | None]
    note: Mapped[str | None]

    @classmethod
    def of(cls, id: UUID, entity_id: str, client_id: UUID, rule: WarningRule, found: "Finding", as_of: date) -> Self:
        """The alert that a rule raises."""
        return cls(
            id=id,
            entity_id=entity_id,
            client_id=client_id,
            rule=rule.rule,
            rule_version=rule.version,
            cause=rule.cause,
            cause_key=f"{rule.cause}.{as_of}",
            severity=rule.severity,
            indicator=Measure(rule.measure).code.value,
            value=found.value,
            threshold=rule.raise_at,
            why=dict(found.why),
            as_of=as_of,
            due_on=as_of + timedelta(days=rule.due_days),
            level=0,
            status=AlertStatus.OPEN,
        )

    def acknowledge(self, by: str) -> None:
        """Someone takes it on."""
        if self.status == AlertStatus.CLOSED:
            raise AlertAlreadyClosed(self.id)
        if self.status == AlertStatus.ACKNOWLEDGED:
            raise AlertAlreadyAcknowledged(self.id)
        self.status, self.acknowledged_by = AlertStatus.ACKNOWLEDGED, by

    def close(self, outcome: AlertOutcome, as_of: date, note: str | None = None) -> None:
        """It is done with."""
        if self.status == AlertStatus.CLOSED:
            raise AlertAlreadyClosed(self.id)
        self.status, self.outcome, self.closed_as_of, self.note = AlertStatus.CLOSED, outcome.value, as_of, note

    def escalate(self, as_of: date) -> bool:
        """One level up when its due date has passed and nobody took it on; a week later the next, up to the highest."""
        if self.status != AlertStatus.OPEN or as_of <= self.due_on or self.level == HIGHEST_LEVEL:
            return False
        self.level += 1
        self.due_on = as_of + timedelta(days=ESCALATE_AFTER_DAYS)
        return True


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule's value for a client on a date, and why."""

    value: Decimal
    why: Mapping[str, Any]


class Step(StrEnum):
    """What became of a rule on a date."""

    NOTHING = "nothing"
    BREACHED = "breached"
    CLEARED = "cleared"


def advance(rule: WarningRule, state: RuleState, found: Finding | None, as_of: date) -> Step:
    """Move the state on by one close. Too little volume or no figure leaves a breach as it is and starts no other."""
    state.as_of = as_of
    state.value = found.value if found else None
    if found is None:
        state.streak = 0
        return Step.NOTHING
    if state.breached:
        if found.value <= rule.clear_at:
            state.breached, state.streak = False, 0
            return Step.CLEARED
        return Step.NOTHING
    state.streak = state.streak + 1 if found.value >= rule.raise_at else 0
    if state.streak >= rule.raise_after:
        state.breached = True
        return Step.BREACHED
    return Step.NOTHING


def find(rule: WarningRule, figures: Mapping[str, Any], usual: Decimal | None) -> Finding | None:
    """The rule's value from a snapshot's figures and, for a comparison with its own past, the client's usual figure."""
    measure = Measure(rule.measure)
    told = figures.get(measure.figure)
    volume = int(figures.get(measure.volume) or 0)
    if told is None or volume < rule.minimal_volume:
        return None
    now = Decimal(told)
    why: dict[str, Any] = {
        "rule": rule.label,
        "figure": measure.figure,
        "figure_value": str(now),
        "volume": {measure.volume: volume, "at_least": rule.minimal_volume},
        "raise_at": f"{rule.raise_at.normalize():f}",
        "clear_at": f"{rule.clear_at.normalize():f}",
        "closes_in_a_row": rule.raise_after,
    }
    if not measure.own_history:
        return Finding(now, why)
    if usual is None or usual <= 0:
        return None
    value = (now / usual - 1).quantize(Decimal("0.0001"))
    return Finding(value, {**why, "usual": f"{usual.normalize():f}", "formula": f"{measure.figure} ÷ usual − 1"})
