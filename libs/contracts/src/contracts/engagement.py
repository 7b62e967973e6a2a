"""What engagement-service tells: contacts, visits, complaints and their deadlines, surveys, promises, churn."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from pydantic import Field

from contracts.base import Code, Event, Instant, OpenEnum, Publisher, Topic
from contracts.ids import AlertId, ClientId, ComplaintId, EventId, RecordId, StaffId, VisitId

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
