"""A warning plans a follow-up visit by itself, its end calls it off, and the client's business dates make it due.

One follow-up visit is open per client at a time: a further warning becomes one more of its causes.
"""

from datetime import date
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.base import Event
from contracts.client import LifecycleChanged, Stage
from contracts.engagement import VisitCancelled, VisitCancelReason, VisitPlanned, VisitReason
from contracts.risk import AlertClosed, AlertRaised, Direction, ExposureChanged, RatingAssigned
from engagement_service.entities.model import place_of
from engagement_service.visits.due import business_clock, unwatch, watch
from engagement_service.visits.model import FOLLOW_UP, OPEN, Visit, VisitCause, VisitState
from engagement_service.visits.policy import policy_on
from eventing.outbox import derived_id, emit
from eventing.subscriptions import Subscriptions
from servicekit.access import ids_of
from servicekit.scheduling import tick

on = Subscriptions()


@on.react(AlertRaised)
async def visit_after_alert(event: AlertRaised, tx: AsyncSession) -> None:
    """The severity decides how soon; one not known here counts as critical."""
    days = policy_on(event.as_of).after_alert(event.severity)
    await _warned(tx, event, event.client_id, VisitReason.ALERT, event.as_of, days, event.alert_id)


@on.react(RatingAssigned)
async def visit_after_fall(event: RatingAssigned, tx: AsyncSession) -> None:
    """A rating that falls asks for a visit; any other does not."""
    if event.direction is not Direction.DOWN:
        return
    raised_on = (await place_of(tx, event.entity_id)).day(event.occurred_at)
    days = policy_on(raised_on).rating_fall
    await _warned(tx, event, event.client_id, VisitReason.RATING_FALL, raised_on, days, None)


@on.react(AlertClosed)
async def call_off(event: AlertClosed, tx: AsyncSession) -> None:
    """A visit is not needed any more once its last cause is closed before it was due."""
    mine = sa.and_(VisitCause.alert_id == event.alert_id, VisitCause.entity_id == event.entity_id)
    for cause in await tx.scalars(sa.select(VisitCause).where(mine, VisitCause.closed_on.is_(None))):
        cause.closed_on = event.as_of
        await tx.flush()
        visit = await tx.get_one(Visit, cause.visit_id)
        others = sa.exists().where(VisitCause.visit_id == visit.id, VisitCause.closed_on.is_(None))
        due = visit.state is not VisitState.PLANNED or event.as_of > visit.due_on
        if not due and not await tx.scalar(sa.select(others)):
            await _cancel(tx, event, visit, VisitCancelReason.ALERT_CLOSED)


@on.react(LifecycleChanged)
async def call_off_after_end(event: LifecycleChanged, tx: AsyncSession) -> None:
    """A client whose relationship has ended is visited no more."""
    if event.to_stage is not Stage.TERMINATED:
        return
    theirs = Visit.client_id.in_(await ids_of(tx, event.client_id))
    planned = sa.select(Visit).where(theirs, Visit.entity_id == event.entity_id, Visit.state.in_(OPEN))
    for visit in await tx.scalars(planned.order_by(Visit.id)):
        await _cancel(tx, event, visit, VisitCancelReason.CLIENT_TERMINATED)


@on.react(ExposureChanged)
async def pass_business_date(event: ExposureChanged, tx: AsyncSession) -> None:
    """The client's business clock moves; what was due before this date is missed."""
    await tick(tx, business_clock(event.client_id), event.as_of)


async def _warned(
    tx: AsyncSession,
    event: Event,
    client_id: UUID,
    reason: VisitReason,
    raised_on: date,
    days: int,
    alert_id: UUID | None,
) -> None:
    """Plan the visit, or add this cause to the one that is open, bringing it forward where it is more urgent."""
    assert event.meta is not None, "an event that was delivered"
    ids = await ids_of(tx, client_id)
    await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(str(ids[0]), 0))))
    place = await place_of(tx, event.entity_id)
    due_on = place.working_days.after(raised_on, days)
    open_one = sa.and_(Visit.reason.in_(FOLLOW_UP), Visit.state.in_(OPEN), Visit.entity_id == event.entity_id)
    theirs = sa.select(Visit).where(Visit.client_id.in_(ids), open_one).order_by(Visit.due_on, Visit.id).limit(1)
    visit = await tx.scalar(theirs)
    news = visit is None
    if visit is None:
        visit = Visit.follow_up(
            derived_id(event, "visits.follow_up"),
            client_id,
            event.entity_id,
            place,
            reason=reason,
            raised_at=event.occurred_at,
            raised_on=raised_on,
            due_on=due_on,
            policy=policy_on(raised_on).version,
        )
        tx.add(visit)
    else:
        news = visit.bring_forward(due_on)
    tx.add(
        VisitCause(
            event_id=event.meta.id,
            visit_id=visit.id,
            entity_id=event.entity_id,
            alert_id=alert_id,
            raised_on=raised_on,
        )
    )
    if news:
        await watch(tx, visit)
        emit(
            tx,
            VisitPlanned(
                entity_id=visit.entity_id,
                branch_id=event.branch_id,
                occurred_at=event.occurred_at,
                client_id=visit.client_id,
                visit_id=visit.id,
                reason=visit.reason,
                cause_event=event.meta.id,
                alert_id=alert_id,
                due_on=visit.due_on,
                planned_on=raised_on,
            ),
        )


async def _cancel(tx: AsyncSession, event: Event, visit: Visit, reason: VisitCancelReason) -> None:
    told_as_missed = not visit.cancel(reason)
    await unwatch(tx, visit)
    if told_as_missed:
        return
    emit(
        tx,
        VisitCancelled(
            entity_id=visit.entity_id,
            occurred_at=event.occurred_at,
            client_id=visit.client_id,
            visit_id=visit.id,
            reason=reason,
        ),
    )
