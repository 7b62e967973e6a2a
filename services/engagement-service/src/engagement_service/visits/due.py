"""What happens by itself when a visit's due date passes, on the client's business dates or on wall time."""

from datetime import timedelta
from uuid import UUID, uuid5

from sqlalchemy.ext.asyncio import AsyncSession

from contracts.engagement import VisitMissed
from engagement_service.entities.calendars import end_of
from engagement_service.visits.model import Visit, first_alert
from eventing.outbox import emit
from servicekit.scheduling import DueWork, Work, cancel, schedule

due = DueWork()


def business_clock(client_id: UUID) -> str:
    """The clock of a client's business dates, ticked by risk-service's figures of that client."""
    return f"client:{client_id}"


async def watch(tx: AsyncSession, visit: Visit) -> None:
    """Notice when the due date has passed; an earlier watch moves."""
    payload = {"visit_id": str(visit.id)}
    if visit.is_follow_up:
        clock, day_after = business_clock(visit.client_id), visit.due_on + timedelta(days=1)
        await schedule(tx, "visits.due", id=_watch(visit), clock=clock, due_on=day_after, payload=payload)
    else:
        at = end_of(visit.due_on, visit.zone)
        await schedule(tx, "visits.due", id=_watch(visit), due_at=at, payload=payload)


async def unwatch(tx: AsyncSession, visit: Visit) -> None:
    """Nothing can be missed any more."""
    await cancel(tx, _watch(visit))


def _watch(visit: Visit) -> UUID:
    return uuid5(visit.id, "due")


@due("visits.due")
async def miss_visit(work: Work, tx: AsyncSession) -> None:
    """The due date has passed without the visit: said once."""
    visit = await tx.get(Visit, UUID(work.payload["visit_id"]))
    if visit is None or not visit.miss():
        return
    emit(
        tx,
        VisitMissed(
            entity_id=visit.entity_id,
            occurred_at=end_of(visit.due_on, visit.zone),
            client_id=visit.client_id,
            visit_id=visit.id,
            alert_id=await first_alert(tx, visit.id),
            staff_id=visit.planned_by,
            due_on=visit.due_on,
        ),
        id=uuid5(work.id, "missed"),
    )
