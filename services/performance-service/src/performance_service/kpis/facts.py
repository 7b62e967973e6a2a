"""The facts that KPIs count, as projections: complaints and visits with their verdict, exposure as of each day.

A fact names the events it was made from, so that a score drills down to them.
"""

from datetime import date
from decimal import Decimal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from performance_service.kpis.definitions import Kpi
from performance_service.model_base import Base


class Deed(Base):
    """Something that had to be done by a day: a complaint to answer, a visit to make.

    `decided_on` is the day it was done or its deadline passed, whichever came first; `kept` the verdict. Both are
    null while it is open, and for what was withdrawn or cancelled. A reopened complaint has a deed for each round: the
    first is named by the complaint, the next by the event that reopened it (`continued_by`).
    """

    __tablename__ = "deed"
    __table_args__ = (
        sa.Index("deed_decided", "entity_id", "kpi", "decided_on"),
        {"info": {"projection": True}},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kpi: Mapped[Kpi]
    entity_id: Mapped[str]
    client_id: Mapped[UUID]
    continued_by: Mapped[UUID | None]
    due_on: Mapped[date | None]
    done_on: Mapped[date | None]
    missed: Mapped[bool] = mapped_column(default=False)
    dropped: Mapped[bool] = mapped_column(default=False)
    decided_on: Mapped[date | None]
    kept: Mapped[bool | None]
    event_ids: Mapped[list[UUID]] = mapped_column(ARRAY(sa.Uuid))

    def decide(self) -> None:
        """Settle day and verdict from what is known."""
        done, due = self.done_on, self.due_on
        self.decided_on = self.kept = None
        if self.dropped or due is None:
            return
        if done is not None:
            self.decided_on, self.kept = min(done, due), done <= due
        elif self.missed:
            self.decided_on, self.kept = due, False


class Exposure(Base):
    """A party's balance and overdue balance as of a business day, at the highest revision heard of."""

    __tablename__ = "exposure"
    __table_args__ = (sa.Index("exposure_entity", "entity_id", "as_of"), {"info": {"projection": True}})

    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    as_of: Mapped[date] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(primary_key=True)
    entity_id: Mapped[str]
    revision: Mapped[int]
    balance: Mapped[Decimal]
    overdue: Mapped[Decimal]
    event_id: Mapped[UUID]
