"""What happens by itself as a complaint's statutory deadline comes near and passes: on wall time, in its zone."""

from uuid import UUID, uuid5

from sqlalchemy.ext.asyncio import AsyncSession

from contracts.engagement import ComplaintDeadlineMissed
from engagement_service.complaints.deadlines import reminder_days
from engagement_service.complaints.model import Complaint
from engagement_service.entities.calendars import end_of, start_of
from eventing.outbox import emit
from servicekit.scheduling import DueWork, Work, cancel, schedule

due = DueWork()


def _deadline(complaint: Complaint) -> UUID:
    return uuid5(complaint.id, f"deadline:{complaint.round}")


def _reminder(complaint: Complaint, number: int) -> UUID:
    return uuid5(complaint.id, f"reminder:{complaint.round}:{number}")


async def set_alarms(tx: AsyncSession, complaint: Complaint) -> None:
    """Watch the deadline as it is now; an earlier watch moves."""
    payload = {"complaint_id": str(complaint.id), "round": complaint.round}
    at = end_of(complaint.due_on, complaint.zone)
    await schedule(tx, "complaints.deadline", id=_deadline(complaint), due_at=at, payload=payload)
    days = reminder_days(complaint.pack, complaint.started_on, complaint.due_on)
    for number, day in enumerate(days):
        at = start_of(day, complaint.zone)
        await schedule(tx, "complaints.reminder", id=_reminder(complaint, number), due_at=at, payload=payload)


async def silence_alarms(tx: AsyncSession, complaint: Complaint) -> None:
    """Nothing is left to watch."""
    await cancel(tx, _deadline(complaint))
    for number in range(len(complaint.pack.reminders)):
        await cancel(tx, _reminder(complaint, number))


@due("complaints.reminder")
async def remind(work: Work, tx: AsyncSession) -> None:
    """The handler's list shows the complaint as reminded."""
    complaint = await _of(work, tx)
    if complaint is not None and work.due_at is not None:
        complaint.remind(work.due_at)


@due("complaints.deadline")
async def miss_deadline(work: Work, tx: AsyncSession) -> None:
    """The last day has ended without an answer: said once for each round."""
    complaint = await _of(work, tx)
    if complaint is None or work.due_at is None or not complaint.miss(work.due_at):
        return
    emit(
        tx,
        ComplaintDeadlineMissed(
            entity_id=complaint.entity_id,
            occurred_at=work.due_at,
            client_id=complaint.client_id,
            complaint_id=complaint.id,
            due_on=complaint.due_on,
            rule=complaint.rule,
            clause=complaint.statutory.clause,
            staff_id=complaint.handler_id,
        ),
        id=uuid5(work.id, "missed"),
    )


async def _of(work: Work, tx: AsyncSession) -> Complaint | None:
    complaint = await tx.get(Complaint, UUID(work.payload["complaint_id"]))
    return complaint if complaint is not None and complaint.round == work.payload["round"] else None
