"""Portfolios over time 客户组合: which relationship manager answered for which client on any day.

A projection of client-service's assignments. Instants are kept as they came; what "on a day" means is asked with the
legal entity's zone, so no row depends on what another topic has said.
"""

from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from performance_service.model_base import Base


class Assignment(Base):
    """From `effective_at` on, `staff_id` answers for the client, until a later assignment says otherwise."""

    __tablename__ = "assignment"
    __table_args__ = (
        sa.Index("assignment_client", "client_id", "effective_at"),
        sa.Index("assignment_staff", "staff_id"),
        {"info": {"projection": True}},
    )

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    entity_id: Mapped[str]
    client_id: Mapped[UUID]
    staff_id: Mapped[UUID]
    effective_at: Mapped[datetime]


def end_of(day: date, zone: ZoneInfo) -> datetime:
    """The first instant after `day` in the zone: an assignment counts for a day if it was effective before this."""
    return datetime.combine(day + timedelta(days=1), time.min, zone)
