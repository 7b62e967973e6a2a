"""What engagement-service tells: contacts, visits, complaints and their deadlines, surveys, promises, churn."""

from datetime import date
from enum import StrEnum

from pydantic import Field

from contracts.base import Code, Count, Event, Instant, Money, Number, OpenEnum, Publisher, Topic, Value, Version
from contracts.client import NeedKind
from contracts.ids import AlertId, ClientId, ComplaintId, EventId, PersonId, ReceivableId, RecordId, StaffId, VisitId

ENGAGEMENT = Publisher("engagement", Topic("engagement.events"))


class Channel(OpenEnum):
    """By which way people spoke."""

    PHONE = "phone"
    HOTLINE = "hotline"
    EMAIL = "email"
    WECHAT = "wechat"
    QQ = "qq"
    WEIBO = "weibo"
    APP = "app"
    CHAT = "chat"
    SMS = "sms"
    VISIT = "visit"
    VIDEO = "video"
    PORTAL = "portal"
    LETTER = "letter"
    REGULATOR = "regulator"
    UNKNOWN = "UNKNOWN"


class ContactDirection(StrEnum):
    """Who began (closed)."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class ContactOutcome(OpenEnum):
    """What a contact came to."""

    DONE = "done"
    FOLLOW_UP = "follow_up"
    NO_ANSWER = "no_answer"
    DECLINED = "declined"
    COMPLAINT = "complaint"
    PROMISE = "promise"
    UNKNOWN = "UNKNOWN"


class VisitReason(OpenEnum):
    """Why a visit is planned."""

    ALERT = "alert"
    RATING_FALL = "rating_fall"
    SCHEDULED = "scheduled"
    MANUAL = "manual"
    UNKNOWN = "UNKNOWN"


class VisitCancelReason(OpenEnum):
    """Why a visit will not take place."""

    ALERT_CLOSED = "alert_closed"
    CLIENT_DECLINED = "client_declined"
    CLIENT_TERMINATED = "client_terminated"
    REPLACED = "replaced"
    OTHER = "other"
    UNKNOWN = "UNKNOWN"


class ComplaintCategory(OpenEnum):
    """What a complaint is about."""

    FEES = "fees"
    FUNDING = "funding"
    LIMIT = "limit"
    COLLECTION = "collection"
    NOTICE = "notice"
    SERVICE = "service"
    STAFF_CONDUCT = "staff_conduct"
    PRIVACY = "privacy"
    SYSTEM = "system"
    OTHER = "other"
    UNKNOWN = "UNKNOWN"


class ComplaintOutcome(OpenEnum):
    """How a complaint was answered."""

    UPHELD = "upheld"
    PARTLY_UPHELD = "partly_upheld"
    REJECTED = "rejected"
    SETTLED = "settled"
    UNKNOWN = "UNKNOWN"


class ComplaintReopenReason(OpenEnum):
    """Why a closed complaint is open again."""

    NOT_SATISFIED = "not_satisfied"
    NEW_FACTS = "new_facts"
    REVIEW = "review"
    UNKNOWN = "UNKNOWN"


class ContactLogged(
    Event, publisher=ENGAGEMENT, name="contact-logged", key="client_id", rely=("client", "performance", "reporting")
):
    """Someone spoke with a client, or tried to."""

    client_id: ClientId
    contact_id: RecordId
    channel: Channel
    direction: ContactDirection
    staff_id: StaffId
    response_seconds: int | None = Field(default=None, ge=0, examples=[420])
    outcome: ContactOutcome


class VisitPlanned(
    Event, publisher=ENGAGEMENT, name="visit-planned", key="client_id", rely=("client", "risk", "performance")
):
    """A visit is to take place by its due date."""

    client_id: ClientId
    visit_id: VisitId
    reason: VisitReason
    cause_event: EventId | None = Field(default=None, description="The event that planned it.")
    alert_id: AlertId | None = None
    staff_id: StaffId | None = None
    due_on: date = Field(examples=["2026-11-09"])
    planned_on: date = Field(description="The day it was planned.", examples=["2026-11-02"])


class VisitCompleted(
    Event, publisher=ENGAGEMENT, name="visit-completed", key="client_id", rely=("client", "risk", "performance")
):
    """A planned visit took place."""

    client_id: ClientId
    visit_id: VisitId
    alert_id: AlertId | None = None
    due_on: date = Field(examples=["2026-11-09"])
    completed_on: date = Field(examples=["2026-11-06"])
    on_time: bool
    staff_id: StaffId


class VisitMissed(
    Event, publisher=ENGAGEMENT, name="visit-missed", key="client_id", rely=("client", "risk", "performance")
):
    """A visit's due date passed without it; it may still be completed late."""

    client_id: ClientId
    visit_id: VisitId
    alert_id: AlertId | None = None
    staff_id: StaffId | None = None
    due_on: date = Field(examples=["2026-11-09"])


class VisitCancelled(
    Event, publisher=ENGAGEMENT, name="visit-cancelled", key="client_id", rely=("client", "risk", "performance")
):
    """A planned visit will not take place, and that is no one's miss."""

    client_id: ClientId
    visit_id: VisitId
    reason: VisitCancelReason


class ComplaintFiled(
    Event,
    publisher=ENGAGEMENT,
    name="complaint-filed",
    key="client_id",
    rely=("client", "risk", "performance", "reporting"),
):
    """A client complained; the due date follows from a rule and its clause."""

    client_id: ClientId
    complaint_id: ComplaintId
    category: ComplaintCategory
    received_on: date = Field(examples=["2026-11-03"])
    due_on: date = Field(examples=["2026-11-18"])
    rule: Code = Field(examples=["cn-complaints-2020"])
    clause: Code = Field(examples=["art-18-simple"])
    channel: Channel
    staff_id: StaffId | None = Field(default=None, description="Who answers for it.")


class ComplaintAcknowledged(
    Event, publisher=ENGAGEMENT, name="complaint-acknowledged", key="client_id", rely=("client", "performance")
):
    """The client was told that the complaint is being handled."""

    client_id: ClientId
    complaint_id: ComplaintId
    acknowledged_at: Instant
    staff_id: StaffId | None = None


class ComplaintExtended(
    Event, publisher=ENGAGEMENT, name="complaint-extended", key="client_id", rely=("client", "performance", "reporting")
):
    """A complaint's statutory deadline moved, by a rule that allows it."""

    client_id: ClientId
    complaint_id: ComplaintId
    due_on: date = Field(examples=["2026-12-03"])
    previous_due_on: date | None = Field(default=None, examples=["2026-11-18"])
    rule: Code = Field(examples=["cn-complaints-2020"])
    clause: Code = Field(examples=["art-18-complex"])


class ComplaintResolved(
    Event,
    publisher=ENGAGEMENT,
    name="complaint-resolved",
    key="client_id",
    rely=("client", "risk", "performance", "reporting"),
):
    """A complaint was answered; this stops its statutory clock."""

    client_id: ClientId
    complaint_id: ComplaintId
    answered_on: date = Field(examples=["2026-11-12"])
    due_on: date = Field(examples=["2026-11-18"])
    on_time: bool
    outcome: ComplaintOutcome
    staff_id: StaffId | None = None


class ComplaintClosed(
    Event, publisher=ENGAGEMENT, name="complaint-closed", key="client_id", rely=("client", "performance", "reporting")
):
    """Nothing is left to do on a complaint."""

    client_id: ClientId
    complaint_id: ComplaintId
    closed_on: date = Field(examples=["2026-11-20"])
    satisfied: bool | None = Field(default=None, description="What the client said of the answer.")


class ComplaintReopened(
    Event, publisher=ENGAGEMENT, name="complaint-reopened", key="client_id", rely=("client", "performance", "reporting")
):
    """A closed complaint is open again, with a new due date."""

    client_id: ClientId
    complaint_id: ComplaintId
    reason: ComplaintReopenReason
    due_on: date = Field(examples=["2026-12-20"])
    rule: Code | None = Field(default=None, examples=["cn-complaints-2020"])
    clause: Code | None = Field(default=None, examples=["art-18-simple"])


class ComplaintWithdrawn(
    Event,
    publisher=ENGAGEMENT,
    name="complaint-withdrawn",
    key="client_id",
    rely=("client", "performance", "reporting"),
):
    """The client took a complaint back; the case ends that day."""

    client_id: ClientId
    complaint_id: ComplaintId
    withdrawn_on: date = Field(examples=["2026-11-05"])


class ComplaintDeadlineMissed(
    Event,
    publisher=ENGAGEMENT,
    name="complaint-deadline-missed",
    key="client_id",
    rely=("client", "risk", "performance", "reporting"),
):
    """A complaint's statutory due date passed without an answer."""

    client_id: ClientId
    complaint_id: ComplaintId
    due_on: date = Field(examples=["2026-11-18"])
    rule: Code = Field(examples=["cn-complaints-2020"])
    clause: Code | None = Field(default=None, examples=["art-18-simple"])
    staff_id: StaffId | None = None


class PromiseBy(OpenEnum):
    """Who promised."""

    CLIENT = "client"
    DEBTOR = "debtor"
    US = "us"
    UNKNOWN = "UNKNOWN"


class PromiseAbout(OpenEnum):
    """What was promised."""

    PAYMENT = "payment"
    DOCUMENTS = "documents"
    DECISION = "decision"
    CALL_BACK = "call_back"
    CORRECTION = "correction"
    OTHER = "other"
    UNKNOWN = "UNKNOWN"


class EnquiryTopic(OpenEnum):
    """What an enquiry is about."""

    FUNDING = "funding"
    LIMIT = "limit"
    FEES = "fees"
    COLLECTION = "collection"
    CONTRACT = "contract"
    SYSTEM = "system"
    OTHER = "other"
    UNKNOWN = "UNKNOWN"


class EscalationLevel(OpenEnum):
    """To whom something went."""

    TEAM_LEAD = "team_lead"
    COMPLAINTS_OFFICER = "complaints_officer"
    MANAGEMENT = "management"
    UNKNOWN = "UNKNOWN"


class EscalationCause(OpenEnum):
    """Why it went there."""

    DEADLINE_NEAR = "deadline_near"
    DEADLINE_MISSED = "deadline_missed"
    LIMIT_FROZEN = "limit_frozen"
    SEVERITY = "severity"
    MANUAL = "manual"
    UNKNOWN = "UNKNOWN"


class ReviewDecision(StrEnum):
    """What became of the answer that was reviewed (closed)."""

    CONFIRMED = "confirmed"
    CHANGED = "changed"


class SurveyMeasure(OpenEnum):
    """A scale of satisfaction."""

    NPS = "nps"
    CSAT = "csat"
    CES = "ces"
    SERVQUAL = "servqual"
    LOYALTY = "loyalty"
    UNKNOWN = "UNKNOWN"


class RetentionAction(OpenEnum):
    """What was done to keep a client."""

    CALL = "call"
    VISIT = "visit"
    PRICE_OFFER = "price_offer"
    SERVICE_OFFER = "service_offer"
    RM_CHANGE = "rm_change"
    UNKNOWN = "UNKNOWN"


class ActivityKind(OpenEnum):
    """What was held."""

    TRAINING = "training"
    SEMINAR = "seminar"
    APPRECIATION = "appreciation"
    VISIT = "visit"
    COMMUNITY = "community"
    JOINT_MARKETING = "joint_marketing"
    UNKNOWN = "UNKNOWN"


class WorkKind(OpenEnum):
    """What a piece of work is."""

    VISIT = "visit"
    COMPLAINT = "complaint"
    ENQUIRY = "enquiry"
    ALERT = "alert"
    PROMISE = "promise"
    OTHER = "other"
    UNKNOWN = "UNKNOWN"


class WorkOutcome(OpenEnum):
    """How a piece of work ended."""

    DONE = "done"
    CANCELLED = "cancelled"
    UNKNOWN = "UNKNOWN"


class SurveyScore(Value):
    """An answer's figure on one scale."""

    measure: SurveyMeasure
    item: Code | None = Field(default=None, examples=["responsiveness"])
    score: Number = Field(examples=["9"])


class NeedHeard(Event, publisher=ENGAGEMENT, name="need-heard", key="client_id", rely=("client",)):
    """A contact or visit brought up a need."""

    client_id: ClientId
    contact_id: RecordId
    kind: NeedKind


class PromiseMade(
    Event, publisher=ENGAGEMENT, name="promise-made", key="client_id", rely=("client", "risk", "performance")
):
    """Someone promised something by a date."""

    client_id: ClientId
    promise_id: RecordId
    by: PromiseBy
    about: PromiseAbout
    due_on: date = Field(examples=["2026-11-13"])
    receivable_id: ReceivableId | None = None


class PromiseKept(
    Event, publisher=ENGAGEMENT, name="promise-kept", key="client_id", rely=("client", "risk", "performance")
):
    """A promise was kept in time."""

    client_id: ClientId
    promise_id: RecordId
    by: PromiseBy
    about: PromiseAbout
    due_on: date = Field(examples=["2026-11-13"])
    kept_on: date = Field(examples=["2026-11-12"])


class PromiseBroken(
    Event, publisher=ENGAGEMENT, name="promise-broken", key="client_id", rely=("client", "risk", "performance")
):
    """A promise's date passed without it being kept."""

    client_id: ClientId
    promise_id: RecordId
    by: PromiseBy
    about: PromiseAbout
    due_on: date = Field(examples=["2026-11-13"])


class EnquiryReceived(
    Event, publisher=ENGAGEMENT, name="enquiry-received", key="client_id", rely=("client", "performance")
):
    """A client asked something; the answer has a target time."""

    client_id: ClientId
    enquiry_id: RecordId
    about: EnquiryTopic
    channel: Channel
    due_at: Instant


class EnquiryAnswered(
    Event, publisher=ENGAGEMENT, name="enquiry-answered", key="client_id", rely=("client", "performance", "reporting")
):
    """An enquiry was answered."""

    client_id: ClientId
    enquiry_id: RecordId
    response_seconds: int = Field(ge=0, examples=[5400])
    on_time: bool
    staff_id: StaffId


class ComplaintEscalated(
    Event, publisher=ENGAGEMENT, name="complaint-escalated", key="client_id", rely=("client", "performance")
):
    """A complaint went to a higher level."""

    client_id: ClientId
    complaint_id: ComplaintId
    to: EscalationLevel
    cause: EscalationCause
    cause_event: EventId | None = None


class ComplaintReviewDecided(
    Event,
    publisher=ENGAGEMENT,
    name="complaint-review-decided",
    key="client_id",
    rely=("client", "performance", "reporting"),
):
    """A branch's answer to a complaint was reviewed on the client's request."""

    client_id: ClientId
    complaint_id: ComplaintId
    decision: ReviewDecision
    decided_on: date = Field(examples=["2026-12-28"])
    due_on: date = Field(examples=["2027-01-05"])
    rule: Code = Field(examples=["cn-complaints-2020"])


class SurveySent(Event, publisher=ENGAGEMENT, name="survey-sent", key="client_id", rely=("client", "performance")):
    """A client was asked to answer a questionnaire."""

    client_id: ClientId
    survey_id: RecordId
    questionnaire: Code = Field(examples=["annual-2026"])
    version: int = Field(ge=1, examples=[3])
    channel: Channel


class SurveyAnswered(
    Event, publisher=ENGAGEMENT, name="survey-answered", key="client_id", rely=("client", "performance", "reporting")
):
    """A client answered, in figures; what it wrote stays where it was written."""

    client_id: ClientId
    survey_id: RecordId
    questionnaire: Code = Field(examples=["annual-2026"])
    version: int = Field(ge=1, examples=[3])
    scores: tuple[SurveyScore, ...]


class SatisfactionChanged(
    Event,
    publisher=ENGAGEMENT,
    name="satisfaction-changed",
    key="client_id",
    rely=("client", "performance", "reporting"),
):
    """A client's satisfaction on one scale is now this."""

    client_id: ClientId
    measure: SurveyMeasure
    value: Number = Field(examples=["8.5"])
    previous: Number | None = Field(default=None, examples=["7.2"])


class ChurnAssessed(
    Event, publisher=ENGAGEMENT, name="churn-assessed", key="client_id", rely=("client", "performance", "reporting")
):
    """How likely a client is to leave within the horizon, and why."""

    client_id: ClientId
    probability: Number = Field(examples=["0.18"])
    reasons: tuple[Code, ...] = Field(default=(), examples=[["volume-falling", "complaint-open"]])
    horizon_months: int = Field(ge=1, examples=[6])
    model_version: Version = Field(examples=["churn-1.0"])


class ChurnRiskRaised(
    Event, publisher=ENGAGEMENT, name="churn-risk-raised", key="client_id", rely=("client", "performance")
):
    """A client is likely enough to leave that something should be done."""

    client_id: ClientId
    probability: Number = Field(examples=["0.42"])
    threshold: Number = Field(examples=["0.35"])


class ChurnRiskCleared(
    Event, publisher=ENGAGEMENT, name="churn-risk-cleared", key="client_id", rely=("client", "performance")
):
    """A client is no longer likely to leave."""

    client_id: ClientId
    probability: Number = Field(examples=["0.21"])
    threshold: Number = Field(examples=["0.25"])


class RetentionActionTaken(
    Event, publisher=ENGAGEMENT, name="retention-action-taken", key="client_id", rely=("client", "performance")
):
    """Something was done to keep a client."""

    client_id: ClientId
    action_id: RecordId
    action: RetentionAction
    staff_id: StaffId | None = None


class ActivityHeld(
    Event, publisher=ENGAGEMENT, name="activity-held", key="activity_id", rely=("client", "performance", "reporting")
):
    """A training, seminar or other activity took place, with the clients that came."""

    activity_id: RecordId
    kind: ActivityKind
    held_on: date = Field(examples=["2026-10-22"])
    invited: Count = Field(examples=[40])
    attended: Count = Field(examples=[27])
    client_ids: tuple[ClientId, ...] = Field(default=(), description="Whose people came.")
    cost: Money | None = None


class ServicePlanAgreed(
    Event, publisher=ENGAGEMENT, name="service-plan-agreed", key="client_id", rely=("client", "performance")
):
    """What a client may expect: how often it is visited and how soon answered."""

    client_id: ClientId
    plan_id: RecordId
    visits_per_year: Count = Field(examples=[6])
    response_hours: int = Field(ge=1, examples=[8])
    valid_from: date = Field(examples=["2026-11-01"])
    valid_until: date | None = Field(default=None, examples=["2027-10-31"])


class ValueAddedServiceDelivered(
    Event,
    publisher=ENGAGEMENT,
    name="value-added-service-delivered",
    key="client_id",
    rely=("client", "performance", "reporting"),
):
    """A client was given a service beyond its contract."""

    client_id: ClientId
    service: Code = Field(examples=["debtor-credit-report"])
    staff_id: StaffId | None = None
    delivered_on: date = Field(examples=["2026-10-28"])


class ImprovementRequested(
    Event, publisher=ENGAGEMENT, name="improvement-requested", key="request_id", rely=("performance",)
):
    """What clients say points at something to improve; the evidence is the events named."""

    request_id: RecordId
    theme: Code = Field(examples=["response-time"])
    evidence: tuple[EventId, ...]


class MessageRequested(Event, publisher=ENGAGEMENT, name="message-requested", key="client_id", rely=("gateway",)):
    """A consented message should go to a contact person; the gateway looks name, address and text up itself."""

    client_id: ClientId
    message_id: RecordId
    person_id: PersonId
    template: Code = Field(examples=["visit-reminder"])
    template_version: int = Field(ge=1, examples=[2])
    channel: Channel = Field(examples=["sms"])
    expires_at: Instant | None = None


class WorkItemOpened(Event, publisher=ENGAGEMENT, name="work-item-opened", key="work_item_id", rely=("performance",)):
    """There is something to do."""

    work_item_id: RecordId
    kind: WorkKind
    client_id: ClientId | None = None
    staff_id: StaffId | None = None
    due_on: date | None = Field(default=None, examples=["2026-11-09"])
    cause_event: EventId | None = None


class WorkItemClosed(Event, publisher=ENGAGEMENT, name="work-item-closed", key="work_item_id", rely=("performance",)):
    """A piece of work is done or no longer needed."""

    work_item_id: RecordId
    kind: WorkKind
    outcome: WorkOutcome
    staff_id: StaffId | None = None
