"""What risk-service tells: ratings, limits, exposure, indicators and the alerts they raise, ledger breaks."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from pydantic import Field

from contracts.base import Code, Count, Event, Money, Number, OpenEnum, Publisher, Topic, Version
from contracts.ids import AlertId, ClientId, DebtorId, LimitId, RecordId, StaffId

RISK = Publisher("risk", Topic("risk.events"))


class Direction(StrEnum):
    """How a rating compares with the one before (closed)."""

    UP = "up"
    DOWN = "down"
    SAME = "same"
    FIRST = "first"


class LimitKind(OpenEnum):
    """Whom a limit bounds: a client's funds, a debtor over all clients, or one client on one debtor."""

    CLIENT = "client"
    DEBTOR = "debtor"
    CLIENT_DEBTOR = "client_debtor"
    GROUP = "group"
    UNKNOWN = "UNKNOWN"


class LimitReason(OpenEnum):
    """Why a limit was changed or frozen."""

    REVIEW = "review"
    RATING_FALL = "rating_fall"
    ALERT = "alert"
    BREACH = "breach"
    CLIENT_REQUEST = "client_request"
    SUSPENSION = "suspension"
    OTHER = "other"
    UNKNOWN = "UNKNOWN"


class IndicatorCode(OpenEnum):
    """A measure of a client or debtor from the ledger's events."""

    OVERDUE_RATE = "overdue_rate"
    DEFAULT_RATE = "default_rate"
    DILUTION = "dilution"
    DSO = "dso"
    CONCENTRATION = "concentration"
    DISPUTE_RATE = "dispute_rate"
    TURNOVER = "turnover"
    LIMIT_UTILISATION = "limit_utilisation"
    VOID_SHARE = "void_share"
    VOLUME_CHANGE = "volume_change"
    DAYS_PAST_DUE = "days_past_due"
    UNKNOWN = "UNKNOWN"


class Severity(OpenEnum):
    """How urgent an alert is."""

    INFO = "info"
    WARNING = "warning"
    SERIOUS = "serious"
    CRITICAL = "critical"
    UNKNOWN = "UNKNOWN"


class AlertOutcome(OpenEnum):
    """What became of an alert."""

    HANDLED = "handled"
    FALSE_ALARM = "false_alarm"
    CLEARED = "cleared"
    UNKNOWN = "UNKNOWN"


class BreakKind(OpenEnum):
    """In what the ledger's day-close differs from the postings received."""

    COUNT = "count"
    TOTAL = "total"
    COUNT_AND_TOTAL = "count_and_total"
    MISSING_CLOSE = "missing_close"
    UNKNOWN = "UNKNOWN"


class BreakResolution(OpenEnum):
    """How a break ended."""

    LATE_POSTING_ARRIVED = "late_posting_arrived"
    LEDGER_CORRECTED = "ledger_corrected"
    EXPLAINED = "explained"
    UNKNOWN = "UNKNOWN"


class RatingAssigned(
    Event,
    publisher=RISK,
    name="rating-assigned",
    key="client_id",
    rely=("client", "engagement", "performance", "ledger", "reporting"),
):
    """A client has this grade and probability of default until it is replaced or expires."""

    client_id: ClientId
    rating_id: RecordId
    grade: Code = Field(examples=["B2"])
    pd: Number = Field(description="Probability of default within a year.", examples=["0.0235"])
    score: Number | None = Field(default=None, examples=["612"])
    model_version: Version
    override: bool = Field(examples=[False])
    valid_until: date = Field(examples=["2027-11-02"])
    previous_grade: Code | None = Field(default=None, examples=["B1"])
    direction: Direction = Field(examples=["down"])


class RatingExpired(
    Event,
    publisher=RISK,
    name="rating-expired",
    key="client_id",
    rely=("client", "engagement", "performance", "ledger"),
):
    """A client's rating is no longer valid; there is no signing or new funding on it."""

    client_id: ClientId
    rating_id: RecordId
    grade: Code = Field(examples=["B2"])
    valid_until: date = Field(examples=["2026-11-02"])


class LimitApproved(
    Event,
    publisher=RISK,
    name="limit-approved",
    key="client_id",
    rely=("client", "engagement", "performance", "ledger", "reporting"),
):
    """A limit may be used from its effective date."""

    client_id: ClientId
    limit_id: LimitId
    kind: LimitKind
    debtor_id: DebtorId | None = None
    amount: Money
    effective_from: date = Field(examples=["2026-11-03"])
    expires_on: date | None = Field(default=None, examples=["2027-11-02"])


class LimitAdjusted(
    Event, publisher=RISK, name="limit-adjusted", key="client_id", rely=("client", "engagement", "ledger", "reporting")
):
    """A limit has another amount or another end."""

    client_id: ClientId
    limit_id: LimitId
    kind: LimitKind
    debtor_id: DebtorId | None = None
    amount: Money
    previous_amount: Money | None = None
    effective_from: date = Field(examples=["2026-12-01"])
    expires_on: date | None = Field(default=None, examples=["2027-11-02"])
    reason: LimitReason


class LimitFrozen(
    Event, publisher=RISK, name="limit-frozen", key="client_id", rely=("client", "engagement", "ledger", "reporting")
):
    """Nothing more may be drawn on a limit; what is drawn stays."""

    client_id: ClientId
    limit_id: LimitId
    kind: LimitKind
    debtor_id: DebtorId | None = None
    reason: LimitReason = Field(examples=["alert"])
    effective_from: date = Field(examples=["2026-11-03"])


class LimitExpired(
    Event, publisher=RISK, name="limit-expired", key="client_id", rely=("client", "engagement", "ledger", "reporting")
):
    """A limit ended at its date."""

    client_id: ClientId
    limit_id: LimitId
    kind: LimitKind
    debtor_id: DebtorId | None = None
    expired_on: date = Field(examples=["2027-11-02"])


class LimitBreached(
    Event, publisher=RISK, name="limit-breached", key="client_id", rely=("client", "engagement", "ledger", "reporting")
):
    """At a business date more stands against a limit than it allows."""

    client_id: ClientId
    limit_id: LimitId
    debtor_id: DebtorId | None = None
    amount: Money = Field(description="The limit.")
    exposure: Money
    as_of: date = Field(examples=["2026-11-02"])


class IndicatorBreached(
    Event, publisher=RISK, name="indicator-breached", key="client_id", rely=("client", "engagement", "performance")
):
    """An indicator passed its threshold."""

    client_id: ClientId
    code: IndicatorCode
    debtor_id: DebtorId | None = None
    value: Number = Field(examples=["0.1632"])
    threshold: Number = Field(examples=["0.15"])
    as_of: date = Field(examples=["2026-11-02"])


class IndicatorCleared(
    Event, publisher=RISK, name="indicator-cleared", key="client_id", rely=("client", "engagement", "performance")
):
    """An indicator is back on the good side of its clearing threshold."""

    client_id: ClientId
    code: IndicatorCode
    debtor_id: DebtorId | None = None
    value: Number = Field(examples=["0.0812"])
    threshold: Number = Field(examples=["0.1"])
    as_of: date = Field(examples=["2026-11-30"])


class AlertRaised(
    Event,
    publisher=RISK,
    name="alert-raised",
    key="client_id",
    rely=("client", "engagement", "performance", "reporting"),
):
    """A warning rule fired; one alert per cause, to be handled by its due date."""

    client_id: ClientId
    alert_id: AlertId
    rule: Code = Field(examples=["overdue-rate-high"])
    severity: Severity = Field(examples=["serious"])
    cause_key: Code = Field(
        description="Alerts of one cause share it: no second one is raised while one is open.",
        examples=["overdue-rate-high.2026-11-02"],
    )
    indicator: IndicatorCode | None = None
    value: Number | None = Field(default=None, examples=["0.1632"])
    threshold: Number | None = Field(default=None, examples=["0.15"])
    as_of: date = Field(examples=["2026-11-02"])
    due_on: date = Field(examples=["2026-11-09"])


class AlertAcknowledged(
    Event, publisher=RISK, name="alert-acknowledged", key="client_id", rely=("engagement", "performance")
):
    """Someone has taken an alert on."""

    client_id: ClientId
    alert_id: AlertId
    staff_id: StaffId | None = None
    as_of: date = Field(examples=["2026-11-03"])


class AlertEscalated(
    Event, publisher=RISK, name="alert-escalated", key="client_id", rely=("client", "engagement", "performance")
):
    """An alert was not handled in time and went to the next level."""

    client_id: ClientId
    alert_id: AlertId
    level: int = Field(ge=1, examples=[1])
    due_on: date = Field(examples=["2026-11-09"])
    as_of: date = Field(examples=["2026-11-10"])


class AlertClosed(
    Event,
    publisher=RISK,
    name="alert-closed",
    key="client_id",
    rely=("client", "engagement", "performance", "reporting"),
):
    """An alert is done with: handled, a false alarm, or cleared by the figures themselves."""

    client_id: ClientId
    alert_id: AlertId
    outcome: AlertOutcome
    as_of: date = Field(examples=["2026-11-20"])


class ExposureChanged(
    Event,
    publisher=RISK,
    name="exposure-changed",
    key="client_id",
    rely=("client", "engagement", "performance", "ledger", "reporting"),
):
    """A client's figures at the close of a business date; a higher revision of the same date replaces a lower."""

    client_id: ClientId
    as_of: date = Field(examples=["2026-11-02"])
    revision: int = Field(ge=1, examples=[1])
    balance: Money = Field(description="Open balance of assigned receivables.")
    overdue: Money = Field(description="Of it, past due.")
    funds_in_use: Money | None = None
    limit: Money | None = None
    headroom: Money | None = None


class LedgerBreakFound(
    Event, publisher=RISK, name="ledger-break-found", key="client_id", rely=("ledger", "performance", "reporting")
):
    """A business day's postings of one kind differ from what the ledger's day-close says."""

    client_id: ClientId
    break_id: RecordId
    business_date: date = Field(examples=["2026-11-02"])
    kind: BreakKind
    posting_kind: Code | None = Field(default=None, examples=["receivable-assigned"])
    expected_count: Count
    actual_count: Count = Field(examples=[11])
    expected_total: Money
    actual_total: Money


class LedgerBreakResolved(
    Event, publisher=RISK, name="ledger-break-resolved", key="client_id", rely=("ledger", "performance", "reporting")
):
    """A break is gone or explained."""

    client_id: ClientId
    break_id: RecordId
    business_date: date = Field(examples=["2026-11-02"])
    resolution: BreakResolution
