"""What performance-service tells: the organisation, its staff, who may decide what, and how they do."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from pydantic import Field

from contracts.base import Code, Count, Currency, Event, Number, OpenEnum, Period, Publisher, Topic, UnitCode
from contracts.ids import StaffId, TeamId

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
    """A KPI's value over a period, from events alone; a higher revision replaces a lower. No value: nothing to measure."""

    kpi: Code = Field(examples=["visits-on-time"])
    subject_kind: KpiSubject
    subject_id: StaffId = Field(description="The member of staff or the team.")
    period: Period
    value: Number | None = Field(default=None, examples=["0.9167"])
    target: Number | None = Field(default=None, examples=["0.95"])
    evidence_count: Count
    revision: int = Field(ge=1, examples=[1])
