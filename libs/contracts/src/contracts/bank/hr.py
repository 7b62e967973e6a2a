"""What the HR system tells: who works where, who is away, and what became of results handed over."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from contracts.base import Event, Publisher, Topic
from contracts.ids import StaffId, TeamId
from contracts.performance import StaffRole

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
