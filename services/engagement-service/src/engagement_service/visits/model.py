"""What a visit is and may do. No I/O, no clock of its own.

A visit is planned, then completed or cancelled; one whose due date passes is missed, and may still be completed late.
A follow-up visit plans itself after warnings, which are its causes; it runs on its client's business dates, so that
feeding years of history escalates nothing. Other visits run on wall time.
"""

from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Self
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from contracts.engagement import VisitCancelReason, VisitReason
from engagement_service.clients.model import Client
from engagement_service.entities.model import Place
from engagement_service.model_base import Base
from servicekit.database import Versioned
from servicekit.personal import Personal, PersonalText
from servicekit.problems import Conflict, Forbidden, Invalid


class VisitState(StrEnum):
    """Where a visit stands."""

    PLANNED = "planned"
    MISSED = "missed"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


OPEN = (VisitState.PLANNED, VisitState.MISSED)
FURTHEST = timedelta(days=730)
"""How far ahead a visit is planned at most."""
FOLLOW_UP = (VisitReason.ALERT, VisitReason.RATING_FALL)


class VisitNotOpen(Conflict):
    """The visit is completed or cancelled.

    Plan another one if there is more to see.
    """


class DueDateBoundToCause(Conflict):
    """A visit that a warning planned keeps the due date that the warning's severity gives it.

    Move the day it is agreed for; a later one than the due date counts as late.
    """


class VisitAlreadyMissed(Conflict):
    """The due date has passed; moving it now would hide that.

    Complete the visit late, or cancel it with its reason and plan another one.
    """


class FollowUpNotYoursToCancel(Forbidden):
    """A visit that a warning planned is called off by the warning's end or by a team lead, not by the client's manager.

    Complete it, or ask your team lead.
    """


class DayOutOfRange(Invalid):
    """A visit's day does not fit.

    `errors` names the field and the days it may take.
    """


class Visit(Versioned, Base):
    """A visit to a client. Its clock counts from `raised_on`; `agreed_for` is the day agreed with the client."""

    __tablename__ = "visit"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    entity_id: Mapped[str]
    client_id: Mapped[UUID]
    reason: Mapped[VisitReason]
    state: Mapped[VisitState]
    zone: Mapped[str]
    policy: Mapped[str | None]
    raised_at: Mapped[datetime]
    raised_on: Mapped[date]
    due_on: Mapped[date]
    agreed_for: Mapped[date | None]
    planned_by: Mapped[UUID | None]
    missed_on: Mapped[date | None]
    completed_on: Mapped[date | None]
    completed_by: Mapped[UUID | None]
    on_time: Mapped[bool | None]
    met_id: Mapped[UUID | None]
    needs: Mapped[list[str]]
    progress: Mapped[PersonalText | None] = mapped_column(Personal)
    opinions: Mapped[PersonalText | None] = mapped_column(Personal)
    cancel_reason: Mapped[VisitCancelReason | None]

    @classmethod
    def plan(
        cls,
        client: Client,
        place: Place,
        now: datetime,
        *,
        reason: VisitReason,
        due_on: date,
        agreed_for: date | None,
        planned_by: UUID | None,
    ) -> Self:
        """Somebody plans a visit; it runs on wall time."""
        client.must_be_served()
        today = place.day(now)
        _between("due_on", due_on, today, today + FURTHEST)
        if agreed_for is not None:
            _between("agreed_for", agreed_for, today, due_on)
        return cls(
            id=uuid7(),
            entity_id=client.entity_id,
            client_id=client.id,
            reason=reason,
            state=VisitState.PLANNED,
            zone=place.zone,
            raised_at=now,
            raised_on=today,
            due_on=due_on,
            agreed_for=agreed_for,
            planned_by=planned_by,
            needs=[],
        )

    @classmethod
    def follow_up(
        cls,
        id: UUID,
        client_id: UUID,
        entity_id: str,
        place: Place,
        *,
        reason: VisitReason,
        raised_at: datetime,
        raised_on: date,
        due_on: date,
        policy: str,
    ) -> Self:
        """A warning plans a visit; it runs on the client's business dates."""
        return cls(
            id=id,
            entity_id=entity_id,
            client_id=client_id,
            reason=reason,
            state=VisitState.PLANNED,
            zone=place.zone,
            policy=policy,
            raised_at=raised_at,
            raised_on=raised_on,
            due_on=due_on,
            needs=[],
        )

    @property
    def person_id(self) -> UUID:
        """Whose key seals the report: that of the person met, or the visit's own where none is named."""
        return self.met_id or self.id

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    @property
    def is_follow_up(self) -> bool:
        return self.reason in FOLLOW_UP

    def bring_forward(self, due_on: date) -> bool:
        """Another warning is more urgent. Returns whether the visit is due earlier now."""
        if self.state is not VisitState.PLANNED or due_on >= self.due_on:
            return False
        self.due_on = due_on
        return True

    def reschedule(self, due_on: date | None, agreed_for: date | None, today: date) -> bool:
        """Agree another day, or move the due date of a visit planned by hand. Returns whether the due date moved."""
        self._must_be_open()
        moved = due_on is not None and due_on != self.due_on
        if moved and self.is_follow_up:
            raise DueDateBoundToCause(self.id)
        if moved and self.state is VisitState.MISSED:
            raise VisitAlreadyMissed(self.id)
        if moved and due_on is not None:
            _between("due_on", due_on, today, today + FURTHEST)
            self.due_on = due_on
        if agreed_for is not None:
            _between("agreed_for", agreed_for, self.raised_on if self.is_follow_up else today, today + FURTHEST)
            self.agreed_for = agreed_for
        return moved

    def complete(self, completed_on: date, by: UUID, met_id: UUID | None, needs: list[str], today: date) -> None:
        """It took place on `completed_on`, a date between what caused it and today."""
        self._must_be_open()
        _between("completed_on", completed_on, self.raised_on, today)
        self.state, self.completed_on, self.completed_by = VisitState.COMPLETED, completed_on, by
        self.met_id = met_id
        self.on_time, self.needs = completed_on <= self.due_on, needs

    def cancel(self, reason: VisitCancelReason) -> bool:
        """It will not take place. Returns whether that is nobody's miss: a miss that was told stands."""
        self._must_be_open()
        missed = self.state is VisitState.MISSED
        self.state, self.cancel_reason = VisitState.CANCELLED, reason
        return not missed

    def miss(self) -> bool:
        """The due date has passed. Returns whether that is news."""
        if self.state is not VisitState.PLANNED:
            return False
        self.state, self.missed_on = VisitState.MISSED, self.due_on + timedelta(days=1)
        return True

    def _must_be_open(self) -> None:
        if not self.is_open:
            raise VisitNotOpen(self.id)


class VisitCause(Base):
    """A warning behind a follow-up visit. `closed_on`: the business date on which the alert was closed."""

    __tablename__ = "visit_cause"

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    visit_id: Mapped[UUID]
    entity_id: Mapped[str]
    alert_id: Mapped[UUID | None]
    raised_on: Mapped[date]
    closed_on: Mapped[date | None]


async def first_alert(tx: AsyncSession, visit_id: UUID) -> UUID | None:
    """The alert that a follow-up visit answers; of several, the one that was raised first."""
    causes = sa.select(VisitCause.alert_id).where(VisitCause.visit_id == visit_id, VisitCause.alert_id.is_not(None))
    return await tx.scalar(causes.order_by(VisitCause.raised_on, VisitCause.event_id).limit(1))


def _between(field: str, day: date, first: date, last: date) -> None:
    if not first <= day <= last:
        raise DayOutOfRange(field, f"must lie between {first} and {last}")
