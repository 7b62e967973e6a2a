"""The organisation 组织 as one tree: legal entities, their branches, their teams. Calendar and time zone belong to the
legal entity, and a unit never leaves its entity."""

from datetime import datetime
from typing import Self
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo, available_timezones

from sqlalchemy.orm import Mapped, mapped_column

from contracts.performance import OrganisationChanged, UnitKind
from performance_service.model_base import Base
from servicekit.database import Versioned
from servicekit.problems import Conflict, Invalid

TEAMS = UUID("0b9ff1f6-25dc-5f3e-9f0c-9a3d5f0d7c11")
"""Namespace of team ids: a team's id follows from its entity and code, so that every system can compute it."""


class UnitUnderItself(Conflict):
    """A unit cannot stand below itself. Choose a parent higher up in the tree."""


class TeamIdTaken(Conflict):
    """Another unit has this team id. Team ids name one team each, across all legal entities."""


class UnknownUnit(Invalid):
    """The unit named is not in the organisation of this legal entity. Create it first, or correct the code."""


class Unit(Versioned, Base):
    """A node of the organisation. `team_id` is set on teams only; calendar, zone and currency on entities only."""

    __tablename__ = "unit"

    entity_id: Mapped[str] = mapped_column(primary_key=True)
    unit_id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[UnitKind]
    parent: Mapped[str | None]
    team_id: Mapped[UUID | None]
    calendar: Mapped[str]
    time_zone: Mapped[str]
    currency: Mapped[str]

    @classmethod
    def create(
        cls,
        entity_id: str,
        unit_id: str,
        kind: UnitKind,
        *,
        parent: str | None,
        team_id: UUID | None,
        calendar: str,
        zone: str,
        currency: str,
    ) -> Self:
        """`team_id` is HR's, for a team; without one it follows from entity and code."""
        if zone not in available_timezones():
            raise Invalid("body.time_zone", "not an IANA time zone, such as Asia/Shanghai")
        if kind is not UnitKind.TEAM:
            if team_id is not None:
                raise Invalid("body.team_id", "only a team has one")
        else:
            team_id = team_id or uuid5(TEAMS, f"{entity_id}/{unit_id}")
        return cls(
            entity_id=entity_id,
            unit_id=unit_id,
            kind=kind,
            parent=parent,
            team_id=team_id,
            calendar=calendar,
            time_zone=zone,
            currency=currency,
        )

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def changed(self, now: datetime) -> OrganisationChanged:
        return OrganisationChanged(
            entity_id=self.entity_id,
            occurred_at=now,
            unit_id=self.unit_id,
            kind=self.kind,
            parent=self.parent,
            team_id=self.team_id,
            calendar=self.calendar,
            time_zone=self.time_zone,
            currency=self.currency,
        )
