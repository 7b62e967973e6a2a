"""What performance-service tells: the organisation, its staff, who may decide what, and how they do."""

from datetime import date
from enum import StrEnum

from pydantic import Field

from contracts.base import (
    Code,
    Count,
    Currency,
    Event,
    Money,
    Number,
    OpenEnum,
    Period,
    Publisher,
    Topic,
    UnitCode,
    Value,
)
from contracts.ids import EventId, RecordId, StaffId, TeamId

PERFORMANCE = Publisher("performance", Topic("performance.events"))


class UnitKind(StrEnum):
    """What a node of the organisation is (closed)."""

    ENTITY = "entity"
    BRANCH = "branch"
    TEAM = "team"


class StaffRole(OpenEnum):
    """What a member of staff does."""

    RELATIONSHIP_MANAGER = "relationship_manager"
    TEAM_LEAD = "team_lead"
    RISK_OFFICER = "risk_officer"
    SERVICE_AGENT = "service_agent"
    OPERATIONS = "operations"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"
    UNKNOWN = "UNKNOWN"


class KpiSubject(StrEnum):
    """Whose figure a KPI is (closed)."""

    STAFF = "staff"
    TEAM = "team"


class OrganisationChanged(
    Event,
    publisher=PERFORMANCE,
    name="organisation-changed",
    key="unit_id",
    rely=("client", "risk", "engagement", "reporting"),
):
    """A legal entity, branch or team is as stated from now on; calendar and time zone belong to the entity."""

    unit_id: UnitCode
    kind: UnitKind
    parent: UnitCode | None = Field(default=None, examples=["DEMO-FACTOR"])
    team_id: TeamId | None = None
    calendar: Code | None = Field(default=None, examples=["CN"])
    time_zone: str | None = Field(
        default=None, pattern=r"^[A-Za-z]+(/[A-Za-z_+-]+[0-9]*)*$", max_length=64, examples=["Asia/Shanghai"]
    )
    currency: Currency | None = None
    active: bool = True


class StaffJoined(
    Event, publisher=PERFORMANCE, name="staff-joined", key="staff_id", rely=("client", "risk", "engagement")
):
    """A member of staff belongs to a team; decides what they and their team lead see."""

    staff_id: StaffId
    team_id: TeamId
    role: StaffRole
    joined_on: date = Field(examples=["2026-01-05"])


class StaffMoved(
    Event, publisher=PERFORMANCE, name="staff-moved", key="staff_id", rely=("client", "risk", "engagement")
):
    """A member of staff belongs to another team."""

    staff_id: StaffId
    team_id: TeamId
    from_team_id: TeamId | None = Field(default=None, examples=["0199a7c0-5555-7aaa-8aaa-000000000106"])
    role: StaffRole | None = None
    moved_on: date = Field(examples=["2026-07-01"])


class StaffLeft(Event, publisher=PERFORMANCE, name="staff-left", key="staff_id", rely=("client", "risk", "engagement")):
    """A member of staff is gone; what they owned needs an owner."""

    staff_id: StaffId
    team_id: TeamId | None = None
    left_on: date = Field(examples=["2026-10-31"])


class KpiMeasured(
    Event, publisher=PERFORMANCE, name="kpi-measured", key="subject_id", rely=("client", "hr", "reporting")
):
    """A KPI over a period, from events alone; a higher revision replaces a lower. No value: nothing to measure."""

    kpi: Code = Field(examples=["visits-on-time"])
    subject_kind: KpiSubject
    subject_id: StaffId = Field(description="The member of staff or the team.")
    period: Period
    value: Number | None = Field(default=None, examples=["0.9167"])
    target: Number | None = Field(default=None, examples=["0.95"])
    evidence_count: Count
    revision: int = Field(ge=1, examples=[1])


class FeedbackRelation(StrEnum):
    """From where a rater sees the person rated (closed)."""

    SUPERIOR = "superior"
    PEER = "peer"
    SUBORDINATE = "subordinate"
    CLIENT = "client"


class ResultKind(OpenEnum):
    """What a result of appraisal does."""

    PAY = "pay"
    TRAINING = "training"
    POST = "post"
    REWARD = "reward"
    UNKNOWN = "UNKNOWN"


class AppealOutcome(OpenEnum):
    """What became of an appeal."""

    OPEN = "open"
    UPHELD = "upheld"
    REJECTED = "rejected"
    UNKNOWN = "UNKNOWN"


class ImprovementPhase(OpenEnum):
    """How far an improvement is."""

    OBJECTIVE = "objective"
    PRESENT_STATE = "present_state"
    PLAN = "plan"
    IMPLEMENTATION = "implementation"
    MONITORING = "monitoring"
    CLOSED = "closed"
    UNKNOWN = "UNKNOWN"


class RecognitionKind(OpenEnum):
    """What a recognition is for."""

    SERVICE = "service"
    RESULT = "result"
    IDEA = "idea"
    TEAMWORK = "teamwork"
    UNKNOWN = "UNKNOWN"


class ItemScore(Value):
    """A rating on one item of a form, 1 to 5."""

    item: Code = Field(examples=["keeps-promises"])
    score: int = Field(ge=1, le=5, examples=[4])


class AbsenceRecorded(
    Event, publisher=PERFORMANCE, name="absence-recorded", key="staff_id", rely=("client", "risk", "engagement")
):
    """A member of staff is away; the deputy sees and does their work meanwhile."""

    staff_id: StaffId
    from_date: date = Field(examples=["2026-11-09"])
    to_date: date | None = Field(default=None, examples=["2026-11-13"])
    deputy_id: StaffId | None = Field(default=None, examples=["0199a7c0-4444-7aaa-8aaa-000000000105"])


class AuthorityGranted(
    Event, publisher=PERFORMANCE, name="authority-granted", key="staff_id", rely=("client", "risk", "engagement")
):
    """A member of staff may decide an action, up to a ceiling and until a date if there is one."""

    staff_id: StaffId
    grant_id: RecordId
    action: Code = Field(examples=["limits.approve"])
    ceiling: Money | None = None
    until: date | None = Field(default=None, examples=["2027-12-31"])


class AuthorityDelegated(
    Event, publisher=PERFORMANCE, name="authority-delegated", key="staff_id", rely=("client", "risk", "engagement")
):
    """A member of staff handed an authority to another for a time."""

    staff_id: StaffId = Field(description="Who now has it.")
    grant_id: RecordId
    from_staff_id: StaffId = Field(examples=["0199a7c0-4444-7aaa-8aaa-000000000105"])
    action: Code = Field(examples=["limits.approve"])
    ceiling: Money | None = None
    until: date = Field(examples=["2026-11-13"])


class AuthorityRevoked(
    Event, publisher=PERFORMANCE, name="authority-revoked", key="staff_id", rely=("client", "risk", "engagement")
):
    """An authority no longer holds."""

    staff_id: StaffId
    grant_id: RecordId
    action: Code = Field(examples=["limits.approve"])


class GoalAgreed(Event, publisher=PERFORMANCE, name="goal-agreed", key="subject_id", rely=("hr", "reporting")):
    """A person or team agreed to reach a target of a KPI."""

    subject_id: StaffId = Field(description="The member of staff or the team.")
    subject_kind: KpiSubject
    goal_id: RecordId
    kpi: Code = Field(examples=["visits-on-time"])
    period: Period
    target: Number = Field(examples=["0.95"])
    weight: Number = Field(examples=["0.3"])


class GoalCheckedIn(Event, publisher=PERFORMANCE, name="goal-checked-in", key="subject_id", rely=("reporting",)):
    """How far a goal is."""

    subject_id: StaffId = Field(description="The member of staff or the team.")
    goal_id: RecordId
    progress: Number = Field(description="0 to 1, more if exceeded.", examples=["0.6"])
    checked_on: date = Field(examples=["2026-10-15"])


class FeedbackSubmitted(
    Event, publisher=PERFORMANCE, name="feedback-submitted", key="subject_id", rely=("reporting",), anonymous=True
):
    """Someone rated a colleague. Nothing here or in its headers says who."""

    subject_id: StaffId = Field(description="The person rated.")
    cycle: Code = Field(examples=["2026-H2"])
    relation: FeedbackRelation = Field(examples=["peer"])
    scores: tuple[ItemScore, ...]


class SelfEvaluationSubmitted(
    Event, publisher=PERFORMANCE, name="self-evaluation-submitted", key="staff_id", rely=("reporting",)
):
    """Someone rated themselves."""

    staff_id: StaffId
    cycle: Code = Field(examples=["2026-H2"])
    scores: tuple[ItemScore, ...]


class AppraisalFinalised(
    Event, publisher=PERFORMANCE, name="appraisal-finalised", key="staff_id", rely=("hr", "reporting")
):
    """A person's appraisal is signed off."""

    staff_id: StaffId
    appraisal_id: RecordId
    cycle: Code = Field(examples=["2026-H2"])
    score: Number = Field(examples=["86.5"])
    grade: Code = Field(examples=["B+"])


class AppraisalAppealed(
    Event, publisher=PERFORMANCE, name="appraisal-appealed", key="staff_id", rely=("hr", "reporting")
):
    """A person does not accept an appraisal, or that was decided."""

    staff_id: StaffId
    appraisal_id: RecordId
    appeal_id: RecordId
    outcome: AppealOutcome


class ResultApplied(Event, publisher=PERFORMANCE, name="result-applied", key="staff_id", rely=("hr",)):
    """An approved consequence of an appraisal, for HR to carry out. How much is HR's own matter."""

    staff_id: StaffId
    result_id: RecordId
    appraisal_id: RecordId | None = None
    kind: ResultKind = Field(examples=["training"])
    policy: Code = Field(examples=["rewards-2026"])
    effective_from: date = Field(examples=["2027-01-01"])


class ImprovementOpened(
    Event, publisher=PERFORMANCE, name="improvement-opened", key="improvement_id", rely=("engagement", "reporting")
):
    """Something is going to be improved, because of the events named."""

    improvement_id: RecordId
    theme: Code = Field(examples=["response-time"])
    indicator: Code = Field(examples=["first-response-hours"])
    causes: tuple[EventId, ...] = ()
    request_id: RecordId | None = None


class ImprovementPhaseAdvanced(
    Event,
    publisher=PERFORMANCE,
    name="improvement-phase-advanced",
    key="improvement_id",
    rely=("engagement", "reporting"),
):
    """An improvement is in its next phase."""

    improvement_id: RecordId
    phase: ImprovementPhase = Field(examples=["implementation"])


class ImprovementEffectMeasured(
    Event,
    publisher=PERFORMANCE,
    name="improvement-effect-measured",
    key="improvement_id",
    rely=("engagement", "reporting"),
):
    """What an improvement changed in its indicator."""

    improvement_id: RecordId
    indicator: Code = Field(examples=["first-response-hours"])
    before: Number = Field(examples=["9.5"])
    after: Number = Field(examples=["4.2"])
    measured_on: date = Field(examples=["2027-02-28"])


class TrainingCompleted(
    Event, publisher=PERFORMANCE, name="training-completed", key="staff_id", rely=("hr", "reporting")
):
    """A member of staff finished a course."""

    staff_id: StaffId
    course: Code = Field(examples=["aml-2026"])
    completed_on: date = Field(examples=["2026-09-30"])
    score: Number | None = Field(default=None, examples=["92"])


class RecognitionGiven(
    Event, publisher=PERFORMANCE, name="recognition-given", key="staff_id", rely=("hr", "reporting")
):
    """A member of staff was recognised for something."""

    staff_id: StaffId
    kind: RecognitionKind
    given_on: date = Field(examples=["2026-10-30"])
