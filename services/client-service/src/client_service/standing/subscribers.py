"""Hearing risk and engagement: every event leaves its thing as it now is; none needs the client to be registered."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from client_service.model_base import Base
from client_service.standing.model import (
    Alert,
    Complaint,
    CreditLimit,
    Exposure,
    LastContact,
    LimitState,
    Rating,
    Visit,
    VisitState,
)
from contracts.base import Event
from contracts.engagement import (
    ComplaintClosed,
    ComplaintExtended,
    ComplaintFiled,
    ComplaintReopened,
    ComplaintResolved,
    ComplaintWithdrawn,
    ContactLogged,
    VisitCancelled,
    VisitCompleted,
    VisitMissed,
    VisitPlanned,
)
from contracts.risk import (
    AlertClosed,
    AlertEscalated,
    AlertRaised,
    ExposureChanged,
    LimitAdjusted,
    LimitApproved,
    LimitExpired,
    LimitFrozen,
    RatingAssigned,
    RatingExpired,
)
from eventing.subscriptions import Subscriptions

on = Subscriptions()


async def _put(
    tx: AsyncSession, model: type[Base], event: Event, *newer: InstrumentedAttribute[Any], **values: Any
) -> None:
    """Write these columns of the row that the event is about, known from when the broker had it.

    With `newer` (columns), only if the row's are not greater.
    """
    assert event.meta is not None
    key = [column.name for column in model.__table__.primary_key]
    new = insert(model).values(entity_id=event.entity_id, known_at=event.meta.known_at, **values)
    where = sa.tuple_(*newer) <= sa.tuple_(*(new.excluded[column.key] for column in newer)) if newer else None
    changed = {name: new.excluded[name] for name in [*values, "known_at"] if name not in key}
    await tx.execute(new.on_conflict_do_update(index_elements=key, set_=changed, where=where))


@on.project(RatingAssigned)
async def rating_assigned(event: RatingAssigned, tx: AsyncSession) -> None:
    """The client's rating is this one."""
    await _put(
        tx,
        Rating,
        event,
        client_id=event.client_id,
        rating_id=event.rating_id,
        grade=event.grade,
        valid_until=event.valid_until,
        expired=False,
    )


@on.project(RatingExpired)
async def rating_expired(event: RatingExpired, tx: AsyncSession) -> None:
    """The rating is no longer valid, if it is still the client's."""
    assert event.meta is not None
    new = insert(Rating).values(
        entity_id=event.entity_id,
        client_id=event.client_id,
        rating_id=event.rating_id,
        grade=event.grade,
        valid_until=event.valid_until,
        expired=True,
        known_at=event.meta.known_at,
    )
    await tx.execute(
        new.on_conflict_do_update(
            index_elements=[Rating.entity_id, Rating.client_id],
            set_={"expired": True, "known_at": new.excluded.known_at},
            where=Rating.rating_id == new.excluded.rating_id,
        )
    )


@on.project(LimitApproved)
async def limit_approved(event: LimitApproved, tx: AsyncSession) -> None:
    """The limit may be used."""
    await _limit(tx, event)


@on.project(LimitAdjusted)
async def limit_adjusted(event: LimitAdjusted, tx: AsyncSession) -> None:
    """The limit has another amount or end, and may be used."""
    await _limit(tx, event)


async def _limit(tx: AsyncSession, event: LimitApproved | LimitAdjusted) -> None:
    await _put(
        tx,
        CreditLimit,
        event,
        limit_id=event.limit_id,
        client_id=event.client_id,
        kind=event.kind.value,
        debtor_id=event.debtor_id,
        amount=event.amount.amount,
        currency=event.amount.currency,
        effective_from=event.effective_from,
        expires_on=event.expires_on,
        state=LimitState.APPROVED,
    )


@on.project(LimitFrozen)
async def limit_frozen(event: LimitFrozen, tx: AsyncSession) -> None:
    """Nothing more may be drawn on the limit."""
    await _limit_state(tx, event, LimitState.FROZEN)


@on.project(LimitExpired)
async def limit_expired(event: LimitExpired, tx: AsyncSession) -> None:
    """The limit has ended."""
    await _limit_state(tx, event, LimitState.EXPIRED)


async def _limit_state(tx: AsyncSession, event: LimitFrozen | LimitExpired, state: LimitState) -> None:
    await _put(
        tx,
        CreditLimit,
        event,
        limit_id=event.limit_id,
        client_id=event.client_id,
        kind=event.kind.value,
        debtor_id=event.debtor_id,
        state=state,
    )


@on.project(ExposureChanged)
async def exposure_changed(event: ExposureChanged, tx: AsyncSession) -> None:
    """The figures of a business date, unless a later date or a higher revision of it is known."""
    await _put(
        tx,
        Exposure,
        event,
        Exposure.as_of,
        Exposure.revision,
        client_id=event.client_id,
        currency=event.balance.currency,
        as_of=event.as_of,
        revision=event.revision,
        balance=event.balance.amount,
        overdue=event.overdue.amount,
        funds_in_use=event.funds_in_use.amount if event.funds_in_use else None,
        credit_limit=event.limit.amount if event.limit else None,
        headroom=event.headroom.amount if event.headroom else None,
    )


@on.project(AlertRaised)
async def alert_raised(event: AlertRaised, tx: AsyncSession) -> None:
    """A warning is open."""
    await _put(
        tx,
        Alert,
        event,
        alert_id=event.alert_id,
        client_id=event.client_id,
        rule=event.rule,
        severity=event.severity.value,
        indicator=event.indicator.value if event.indicator else None,
        value=event.value,
        threshold=event.threshold,
        as_of=event.as_of,
        due_on=event.due_on,
    )


@on.project(AlertEscalated)
async def alert_escalated(event: AlertEscalated, tx: AsyncSession) -> None:
    """A warning went to the next level."""
    await _put(
        tx, Alert, event, alert_id=event.alert_id, client_id=event.client_id, level=event.level, due_on=event.due_on
    )


@on.project(AlertClosed)
async def alert_closed(event: AlertClosed, tx: AsyncSession) -> None:
    """A warning is done with."""
    await _put(tx, Alert, event, alert_id=event.alert_id, client_id=event.client_id, closed=True)


@on.project(ComplaintFiled)
async def complaint_filed(event: ComplaintFiled, tx: AsyncSession) -> None:
    """The client complained."""
    await _put(
        tx,
        Complaint,
        event,
        complaint_id=event.complaint_id,
        client_id=event.client_id,
        category=event.category.value,
        received_on=event.received_on,
        due_on=event.due_on,
    )


@on.project(ComplaintExtended)
async def complaint_extended(event: ComplaintExtended, tx: AsyncSession) -> None:
    """The answer is owed later."""
    await _put(tx, Complaint, event, complaint_id=event.complaint_id, client_id=event.client_id, due_on=event.due_on)


@on.project(ComplaintResolved)
async def complaint_resolved(event: ComplaintResolved, tx: AsyncSession) -> None:
    """The complaint was answered; it stays open until it is closed."""
    await _put(
        tx,
        Complaint,
        event,
        complaint_id=event.complaint_id,
        client_id=event.client_id,
        answered_on=event.answered_on,
        due_on=event.due_on,
    )


@on.project(ComplaintReopened)
async def complaint_reopened(event: ComplaintReopened, tx: AsyncSession) -> None:
    """The complaint is open again, and an answer is owed."""
    await _put(
        tx,
        Complaint,
        event,
        complaint_id=event.complaint_id,
        client_id=event.client_id,
        due_on=event.due_on,
        answered_on=None,
        closed=False,
    )


@on.project(ComplaintClosed)
async def complaint_closed(event: ComplaintClosed, tx: AsyncSession) -> None:
    """Nothing is left to do on the complaint."""
    await _put(tx, Complaint, event, complaint_id=event.complaint_id, client_id=event.client_id, closed=True)


@on.project(ComplaintWithdrawn)
async def complaint_withdrawn(event: ComplaintWithdrawn, tx: AsyncSession) -> None:
    """The client took the complaint back."""
    await _put(tx, Complaint, event, complaint_id=event.complaint_id, client_id=event.client_id, closed=True)


@on.project(VisitPlanned)
async def visit_planned(event: VisitPlanned, tx: AsyncSession) -> None:
    """A visit is to take place by its due date."""
    await _visit(tx, event, VisitState.PLANNED, reason=event.reason.value, staff_id=event.staff_id, due_on=event.due_on)


@on.project(VisitMissed)
async def visit_missed(event: VisitMissed, tx: AsyncSession) -> None:
    """The visit's due date has passed."""
    await _visit(tx, event, VisitState.MISSED, due_on=event.due_on)


@on.project(VisitCompleted)
async def visit_completed(event: VisitCompleted, tx: AsyncSession) -> None:
    """The visit took place."""
    await _visit(
        tx,
        event,
        VisitState.COMPLETED,
        due_on=event.due_on,
        completed_on=event.completed_on,
        staff_id=event.staff_id,
    )


@on.project(VisitCancelled)
async def visit_cancelled(event: VisitCancelled, tx: AsyncSession) -> None:
    """The visit will not take place."""
    await _visit(tx, event, VisitState.CANCELLED)


async def _visit(
    tx: AsyncSession,
    event: VisitPlanned | VisitMissed | VisitCompleted | VisitCancelled,
    state: VisitState,
    **values: Any,
) -> None:
    await _put(tx, Visit, event, visit_id=event.visit_id, client_id=event.client_id, state=state, **values)


@on.project(ContactLogged)
async def contact_logged(event: ContactLogged, tx: AsyncSession) -> None:
    """Someone spoke with the client; the latest stays."""
    await _put(
        tx,
        LastContact,
        event,
        LastContact.at,
        LastContact.contact_id,
        client_id=event.client_id,
        contact_id=event.contact_id,
        at=event.occurred_at,
        channel=event.channel.value,
        direction=event.direction.value,
        outcome=event.outcome.value,
        staff_id=event.staff_id,
    )
