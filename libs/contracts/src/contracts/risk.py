"""What risk-service tells: ratings, limits, exposure, indicators and the alerts they raise, ledger breaks."""

from datetime import date
from enum import StrEnum

from pydantic import Field

from contracts.base import (
    Code,
    Count,
    Event,
    Hash,
    Instant,
    Money,
    Number,
    OpenEnum,
    Period,
    Publisher,
    Topic,
    Value,
    Version,
)
from contracts.ids import (
    AlertId,
    ClientId,
    ContractId,
    DebtorId,
    EventId,
    FundingId,
    LimitId,
    PartyId,
    ReceivableId,
    RecordId,
    StaffId,
)

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


class RiskDimension(OpenEnum):
    """One of the seven ways in which a client is a risk."""

    CREDIT = "credit"
    INDUSTRY = "industry"
    OPERATIONAL = "operational"
    LEGAL = "legal"
    COUNTRY = "country"
    MARKET = "market"
    MACROECONOMIC = "macroeconomic"
    UNKNOWN = "UNKNOWN"


class IneligibilityReason(OpenEnum):
    """Why a receivable does not count towards availability."""

    TOO_OLD = "too_old"
    PAST_DUE = "past_due"
    CROSS_AGED = "cross_aged"
    CONTRA = "contra"
    RELATED_PARTY = "related_party"
    PRE_BILLED = "pre_billed"
    DISPUTED = "disputed"
    ABOVE_LIMIT = "above_limit"
    FUTURE = "future"
    CONSIGNMENT = "consignment"
    UNCLEAR = "unclear"
    DUPLICATE = "duplicate"
    NOT_VERIFIED = "not_verified"
    UNKNOWN = "UNKNOWN"


class ReleaseReason(OpenEnum):
    """Why a reservation no longer holds headroom."""

    DRAWN = "drawn"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNKNOWN = "UNKNOWN"


class Decision(StrEnum):
    """What was decided (closed)."""

    APPROVED = "approved"
    CONDITIONAL = "conditional"
    REJECTED = "rejected"


class ListKind(StrEnum):
    """Which list a client is on (closed)."""

    WATCH = "watch"
    BLACK = "black"


class ListChange(StrEnum):
    """What happened to its entry (closed)."""

    ENTERED = "entered"
    LEFT = "left"


class FraudPattern(OpenEnum):
    """What looks wrong."""

    DUPLICATE_INVOICE = "duplicate_invoice"
    ALTERED_INVOICE = "altered_invoice"
    SUDDEN_VOLUME = "sudden_volume"
    CIRCULAR_TRADE = "circular_trade"
    DIVERTED_PAYMENT = "diverted_payment"
    ROUND_AMOUNTS = "round_amounts"
    NUMBER_GAP = "number_gap"
    REAGED_INVOICE = "reaged_invoice"
    UNKNOWN = "UNKNOWN"


class ResponseKind(StrEnum):
    """What is done about a risk (closed)."""

    AVOID = "avoid"
    REDUCE = "reduce"
    TRANSFER = "transfer"
    ACCEPT = "accept"
    DISPOSE = "dispose"


class MitigantKind(OpenEnum):
    """What stands behind a client besides itself."""

    GUARANTEE = "guarantee"
    COLLATERAL = "collateral"
    CREDIT_INSURANCE = "credit_insurance"
    REPURCHASE_AGREEMENT = "repurchase_agreement"
    UNKNOWN = "UNKNOWN"


class AssetCategory(StrEnum):
    """The five categories of risk classification (closed; 商业银行金融资产风险分类办法, 2023)."""

    PASS = "pass"  # nosec B105 # noqa: S105 (a category, not a password)
    SPECIAL_MENTION = "special_mention"
    SUBSTANDARD = "substandard"
    DOUBTFUL = "doubtful"
    LOSS = "loss"


class ReviewReason(OpenEnum):
    """Why a client's KYC file should be looked at again."""

    PERIODIC = "periodic"
    OWNER_CHANGED = "owner_changed"
    ALERT = "alert"
    COUNTRY_RISK = "country_risk"
    UNKNOWN = "UNKNOWN"


class DimensionScore(Value):
    """A client's score in one dimension of risk."""

    dimension: RiskDimension
    score: Number = Field(examples=["64"])


class RiskAssessed(
    Event, publisher=RISK, name="risk-assessed", key="client_id", rely=("client", "engagement", "reporting")
):
    """A client was assessed in all dimensions of risk."""

    client_id: ClientId
    assessment_id: RecordId
    dimensions: tuple[DimensionScore, ...]
    overall: Number = Field(examples=["61.5"])
    model_version: Version = Field(examples=["seven-dimensions-1.0"])
    valid_until: date = Field(examples=["2027-05-02"])
    next_review_on: date = Field(examples=["2027-04-15"])


class ReceivableAssessed(Event, publisher=RISK, name="receivable-assessed", key="client_id", rely=("client", "ledger")):
    """A receivable counts towards availability, or does not and why."""

    client_id: ClientId
    receivable_id: ReceivableId
    debtor_id: DebtorId
    eligible: bool = Field(examples=[False])
    reasons: tuple[IneligibilityReason, ...] = ()
    as_of: date = Field(examples=["2026-11-02"])


class LimitReserved(Event, publisher=RISK, name="limit-reserved", key="client_id", rely=("ledger",)):
    """Headroom is held under every limit named, until it is drawn, released or expires."""

    client_id: ClientId
    reservation_id: RecordId
    limit_ids: tuple[LimitId, ...]
    amount: Money
    expires_at: Instant


class ReservationReleased(Event, publisher=RISK, name="reservation-released", key="client_id", rely=("ledger",)):
    """A reservation no longer holds headroom."""

    client_id: ClientId
    reservation_id: RecordId
    reason: ReleaseReason


class FundingDecided(
    Event,
    publisher=RISK,
    name="funding-decided",
    key="client_id",
    rely=("client", "engagement", "ledger", "performance"),
):
    """A funding request may be paid out, may be once its conditions are met, or may not."""

    client_id: ClientId
    request_id: RecordId
    decision: Decision
    amount: Money
    conditions: tuple[Code, ...] = Field(default=(), examples=[["debtor-confirmed", "registered"]])
    reservation_id: RecordId | None = None


class WatchlistChanged(
    Event,
    publisher=RISK,
    name="watchlist-changed",
    key="client_id",
    rely=("client", "engagement", "performance", "ledger"),
):
    """A client came onto the watchlist or blacklist, or left it."""

    client_id: ClientId
    kind: ListKind
    change: ListChange
    reasons: tuple[Code, ...] = Field(examples=[["overdue-rate-high"]])


class FraudSuspected(Event, publisher=RISK, name="fraud-suspected", key="client_id", rely=("client", "ledger", "kyc")):
    """Postings look like fraud; the evidence is the events named."""

    client_id: ClientId
    suspicion_id: RecordId
    pattern: FraudPattern
    severity: Severity = Field(examples=["serious"])
    evidence: tuple[EventId, ...]


class ResponseDecided(
    Event, publisher=RISK, name="response-decided", key="client_id", rely=("client", "engagement", "performance")
):
    """How a risk will be dealt with, and what is expected to be left of it."""

    client_id: ClientId
    response_id: RecordId
    kind: ResponseKind
    alert_id: AlertId | None = None
    staff_id: StaffId
    risk_before: Number | None = Field(default=None, examples=["0.32"])
    risk_after: Number | None = Field(default=None, examples=["0.12"])


class CollectionRequested(Event, publisher=RISK, name="collection-requested", key="client_id", rely=("collection",)):
    """Receivables are to be collected by the collection system."""

    client_id: ClientId
    request_id: RecordId
    debtor_id: DebtorId
    receivable_ids: tuple[ReceivableId, ...]
    amount: Money


class MitigantRecorded(
    Event, publisher=RISK, name="mitigant-recorded", key="client_id", rely=("client", "ledger", "reporting")
):
    """A guarantee, collateral, insurance or repurchase agreement covers so much."""

    client_id: ClientId
    mitigant_id: RecordId
    kind: MitigantKind
    coverage: Money
    provider_id: PartyId | None = None
    expires_on: date | None = Field(default=None, examples=["2027-06-30"])


class MitigantExpiring(Event, publisher=RISK, name="mitigant-expiring", key="client_id", rely=("client", "engagement")):
    """A mitigant ends soon."""

    client_id: ClientId
    mitigant_id: RecordId
    kind: MitigantKind
    expires_on: date = Field(examples=["2027-06-30"])


class AssetClassified(
    Event, publisher=RISK, name="asset-classified", key="client_id", rely=("client", "ledger", "reporting")
):
    """A funding is in this regulatory category at a business date."""

    client_id: ClientId
    funding_id: FundingId
    category: AssetCategory
    previous: AssetCategory | None = None
    days_past_due: Count = Field(description="Of the funding, not the receivable.", examples=[0])
    as_of: date = Field(examples=["2026-11-02"])


class EclMeasured(Event, publisher=RISK, name="ecl-measured", key="client_id", rely=("client", "reporting")):
    """A client's expected credit loss at a date (IFRS 9)."""

    client_id: ClientId
    stage: int = Field(ge=1, le=3, examples=[1])
    ecl: Money
    ead: Money
    model_version: Version = Field(examples=["ecl-1.0"])
    as_of: date = Field(examples=["2026-10-31"])


class ContractReviewDecided(Event, publisher=RISK, name="contract-review-decided", key="client_id", rely=("client",)):
    """A contract may be signed, may be once its conditions are met, or may not."""

    client_id: ClientId
    review_id: RecordId
    contract_id: ContractId | None = None
    decision: Decision
    conditions: tuple[Code, ...] = Field(default=(), examples=[["dispute-clause-added"]])


class InspectionFindingRecorded(
    Event, publisher=RISK, name="inspection-finding-recorded", key="finding_id", rely=("performance", "reporting")
):
    """An inspection or audit found something that its owner has to put right in time."""

    finding_id: RecordId
    policy: Code = Field(examples=["IC-07"])
    severity: Severity = Field(examples=["warning"])
    owner_id: StaffId
    due_on: date = Field(examples=["2026-12-15"])


class ContingencyDrillHeld(
    Event, publisher=RISK, name="contingency-drill-held", key="drill_id", rely=("performance", "reporting")
):
    """A contingency plan was rehearsed."""

    drill_id: RecordId
    plan: Code = Field(examples=["CP-liquidity"])
    passed: bool
    findings: Count = Field(examples=[2])
    held_on: date = Field(examples=["2026-09-18"])


class ReportIssued(Event, publisher=RISK, name="report-issued", key="report_id", rely=("reporting",)):
    """A report is out, and can be told by its hash."""

    report_id: RecordId
    kind: Code = Field(examples=["monthly-risk-report"])
    period: Period
    sha256: Hash


class KycReviewRequested(Event, publisher=RISK, name="kyc-review-requested", key="client_id", rely=("kyc",)):
    """A client's KYC file should be reviewed by a date."""

    client_id: ClientId
    reason: ReviewReason
    due_on: date = Field(examples=["2026-12-31"])
