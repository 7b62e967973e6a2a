"""What performance-service says of the organisation: entities with their time zone, teams, staff, and their KPIs."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from client_service.model_base import Base

_PROJECTION = {"info": {"projection": True}}


class Unit(Base):
    """A legal entity, branch or team as last stated."""

    __tablename__ = "unit"
    __table_args__ = _PROJECTION

    entity_id: Mapped[str] = mapped_column(primary_key=True)
    unit_id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    parent: Mapped[str | None]
    team_id: Mapped[UUID | None] = mapped_column(index=True)
    time_zone: Mapped[str | None]
    active: Mapped[bool]


class StaffMember(Base):
    """A member of staff as last heard of."""

    __tablename__ = "staff_member"
    __table_args__ = _PROJECTION

    staff_id: Mapped[UUID] = mapped_column(primary_key=True)
    entity_id: Mapped[str]
    team_id: Mapped[UUID | None]
    role: Mapped[str | None]
    departed: Mapped[bool]
    known_at: Mapped[datetime]


class KpiValue(Base):
    """A KPI of a member of staff or a team over a period, by its highest revision."""

    __tablename__ = "kpi_value"
    __table_args__ = _PROJECTION

    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    kpi: Mapped[str] = mapped_column(primary_key=True)
    period: Mapped[str] = mapped_column(primary_key=True)
    entity_id: Mapped[str]
    subject_kind: Mapped[str]
    value: Mapped[Decimal | None] = mapped_column(sa.Numeric(30, 12))
    target: Mapped[Decimal | None] = mapped_column(sa.Numeric(30, 12))
    evidence_count: Mapped[int]
    revision: Mapped[int]
    known_at: Mapped[datetime]


async def zone_of(tx: AsyncSession, entity_id: str) -> ZoneInfo:
    """The legal entity's time zone; UTC while the entity was not heard of."""
    zone = await tx.scalar(sa.select(Unit.time_zone).where(Unit.entity_id == entity_id, Unit.unit_id == entity_id))
    return ZoneInfo(zone or "UTC")


async def today(tx: AsyncSession, entity_id: str, now: datetime) -> date:
    """The date it is now in the legal entity's time zone."""
    return now.astimezone(await zone_of(tx, entity_id)).date()
