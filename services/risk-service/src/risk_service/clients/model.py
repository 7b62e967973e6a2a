"""What this service knows of clients and legal entities: projections of what client- and performance-service tell.

An event about a client not heard of yet leaves a stub, never an error.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from risk_service.model_base import Base
from servicekit.problems import NotFound

PROJECTION: dict[str, Any] = {"info": {"projection": True}}


class UnknownClient(NotFound):
    """No such client is known here, or it is not yours to see.

    Check the id. A client is known once it is registered or the ledger has booked something for it.
    """


class Client(Base):
    """A client as client-service last told, or a stub under the id that the ledger uses."""

    __tablename__ = "client"
    __table_args__ = PROJECTION

    entity_id: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    industry: Mapped[str | None]
    size: Mapped[str | None]
    region: Mapped[str | None]
    stage: Mapped[str | None]


class Contract(Base):
    """A signed factoring contract; its limit is a cap that is shown beside the credit limits."""

    __tablename__ = "client_contract"
    __table_args__ = PROJECTION

    contract_id: Mapped[UUID] = mapped_column(primary_key=True)
    client_id: Mapped[UUID] = mapped_column(index=True)
    entity_id: Mapped[str]
    limit_amount: Mapped[Decimal | None]
    currency: Mapped[str | None]
    effective_from: Mapped[date | None]
    expires_on: Mapped[date | None]
    ended_on: Mapped[date | None]


class LegalEntity(Base):
    """A legal entity's time zone, for dates that run on wall time."""

    __tablename__ = "legal_entity"
    __table_args__ = PROJECTION

    entity_id: Mapped[str] = mapped_column(primary_key=True)
    time_zone: Mapped[str | None]


async def today(tx: AsyncSession, entity_id: str, now: datetime) -> date:
    """The date it is now where the legal entity is; in UTC while it was not heard of."""
    return now.astimezone(await zone_of(tx, entity_id)).date()


async def zone_of(tx: AsyncSession, entity_id: str) -> ZoneInfo:
    """The legal entity's time zone."""
    name = await tx.scalar(select(LegalEntity.time_zone).where(LegalEntity.entity_id == entity_id))
    return ZoneInfo(name or "UTC")


async def start_of(tx: AsyncSession, entity_id: str, day: date) -> datetime:
    """The moment at which that date begins in the legal entity, UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=await zone_of(tx, entity_id)).astimezone(UTC)
