"""What this service knows of legal entities: their calendar and time zone, a projection of OrganisationChanged.

An entity not heard of yet gets the fail-safe default: China's calendar and zone, whose rule book has the shortest
terms of those known and whose days end earliest, so that no deadline shown is later than the true one.
"""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from engagement_service.entities.calendars import WorkingDays, calendar, day_of
from engagement_service.model_base import Base

DEFAULT_CALENDAR = "CN"
DEFAULT_ZONE = "Asia/Shanghai"


class LegalEntity(Base):
    """A legal entity's calendar and zone, as last told. `told_at` keeps the last word under any order of arrival."""

    __tablename__ = "legal_entity"
    __table_args__ = {"info": {"projection": True}}

    id: Mapped[str] = mapped_column(primary_key=True)
    calendar: Mapped[str]
    time_zone: Mapped[str]
    told_at: Mapped[datetime]


@dataclass(frozen=True)
class Place:
    """Where an entity's clocks stand: its calendar's code and its zone. `assumed`: the entity is not heard of yet."""

    calendar: str
    zone: str
    assumed: bool = False

    @property
    def working_days(self) -> WorkingDays:
        return calendar(self.calendar)

    def day(self, at: datetime) -> date:
        """The date on the entity's wall at `at`."""
        return day_of(at, self.zone)


async def place_of(tx: AsyncSession, entity_id: str) -> Place:
    """The entity's calendar and zone, or the fail-safe default."""
    entity = await tx.get(LegalEntity, entity_id)
    return Place(entity.calendar, entity.time_zone) if entity else Place(DEFAULT_CALENDAR, DEFAULT_ZONE, assumed=True)
