"""What the HR system tells: who works where, who is away, and what became of results handed over."""

from datetime import date

from pydantic import Field

from contracts.base import Event, OpenEnum, Publisher, Topic
from contracts.ids import RecordId, StaffId, TeamId
from contracts.performance import ResultKind, StaffRole

HR = Publisher("hr", Topic("hr.events"))


class EmployeeJoined(Event, publisher=HR, name="employee-joined", key="staff_id", rely=("performance",)):
    """Someone started to work in a team."""

    staff_id: StaffId
    team_id: TeamId
    role: StaffRole
    joined_on: date = Field(examples=["2026-01-05"])


class EmployeeMoved(Event, publisher=HR, name="employee-moved", key="staff_id", rely=("performance",)):
    """Someone works in another team."""

    staff_id: StaffId
    team_id: TeamId
    from_team_id: TeamId | None = Field(default=None, examples=["0199a7c0-5555-7aaa-8aaa-000000000106"])
    role: StaffRole | None = None
    moved_on: date = Field(examples=["2026-07-01"])


class EmployeeLeft(Event, publisher=HR, name="employee-left", key="staff_id", rely=("performance",)):
    """Someone no longer works here."""

    staff_id: StaffId
    left_on: date = Field(examples=["2026-10-31"])


class EmployeeAbsent(Event, publisher=HR, name="employee-absent", key="staff_id", rely=("performance",)):
    """Someone is away for a time, with a deputy if there is one. The cause is never told."""

    staff_id: StaffId
    from_date: date = Field(examples=["2026-11-09"])
    to_date: date | None = Field(default=None, examples=["2026-11-13"])
    deputy_id: StaffId | None = Field(default=None, examples=["0199a7c0-4444-7aaa-8aaa-000000000105"])


class RejectionReason(OpenEnum):
    """Why HR did not carry a result out."""

    POLICY = "policy"
    BUDGET = "budget"
    LEFT = "left"
    APPEAL_OPEN = "appeal_open"
    OTHER = "other"
    UNKNOWN = "UNKNOWN"


class ResultExecuted(Event, publisher=HR, name="result-executed", key="staff_id", rely=("performance",)):
    """A consequence of an appraisal was carried out."""

    staff_id: StaffId
    result_id: RecordId
    kind: ResultKind = Field(examples=["training"])
    executed_on: date = Field(examples=["2027-01-15"])


class ResultRejected(Event, publisher=HR, name="result-rejected", key="staff_id", rely=("performance",)):
    """A consequence of an appraisal was not carried out."""

    staff_id: StaffId
    result_id: RecordId
    kind: ResultKind = Field(examples=["pay"])
    reason: RejectionReason
