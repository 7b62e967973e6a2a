"""Events become facts (`project`), and facts that changed ask for a new measurement (`react`).

A measurement is due work, so that a thousand events in a month cost one measurement and not a thousand.
"""

from datetime import date, timedelta
from typing import Final
from uuid import UUID, uuid5

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from contracts import Event
from contracts.client import RmAssigned
from contracts.engagement import (
    ComplaintDeadlineMissed,
    ComplaintExtended,
    ComplaintFiled,
    ComplaintReopened,
    ComplaintResolved,
    ComplaintWithdrawn,
    VisitCancelled,
    VisitCompleted,
    VisitMissed,
    VisitPlanned,
)
from contracts.risk import ExposureChanged
from eventing import Subscriptions
from performance_service.kpis.definitions import Kpi, Month
from performance_service.kpis.facts import Deed, Exposure
from servicekit.scheduling import schedule

MEASUREMENTS: Final = UUID("f2a1b1e7-6a52-5b0a-8f3f-2d4f5f6e7a81")

on = Subscriptions()

COMPLAINTS, VISITS = Kpi.COMPLAINT_DEADLINES_KEPT, Kpi.VISITS_ON_TIME


async def _deed(tx: AsyncSession, kpi: Kpi, deed_id: UUID, event: Event, client_id: UUID) -> Deed:
    """The fact the event is about, in its latest round; made where this is the first we hear of it."""
    assert event.meta is not None
    deed = await _latest(tx, deed_id) or _new(tx, kpi, deed_id, event, client_id)
    deed.event_ids = [*deed.event_ids, event.meta.id]
    return deed


async def _latest(tx: AsyncSession, deed_id: UUID) -> Deed | None:
    deed = await tx.get(Deed, deed_id, with_for_update=True)
    while deed is not None and deed.continued_by is not None:
        deed = await tx.get(Deed, deed.continued_by, with_for_update=True)
    return deed


def _new(tx: AsyncSession, kpi: Kpi, deed_id: UUID, event: Event, client_id: UUID) -> Deed:
    deed = Deed(
        id=deed_id,
        kpi=kpi,
        entity_id=event.entity_id,
        client_id=client_id,
        continued_by=None,
        due_on=None,
        done_on=None,
        missed=False,
        dropped=False,
        event_ids=[],
    )
    tx.add(deed)
    return deed


@on.project(ComplaintFiled)
async def a_complaint_is_to_be_answered(event: ComplaintFiled, tx: AsyncSession) -> None:
    deed = await _deed(tx, COMPLAINTS, event.complaint_id, event, event.client_id)
    deed.due_on = event.due_on
    deed.decide()


@on.project(ComplaintExtended)
async def its_deadline_moves(event: ComplaintExtended, tx: AsyncSession) -> None:
    deed = await _deed(tx, COMPLAINTS, event.complaint_id, event, event.client_id)
    deed.due_on, deed.missed = event.due_on, False
    deed.decide()


@on.project(ComplaintResolved)
async def it_is_answered(event: ComplaintResolved, tx: AsyncSession) -> None:
    deed = await _deed(tx, COMPLAINTS, event.complaint_id, event, event.client_id)
    deed.due_on, deed.done_on = event.due_on, event.answered_on
    deed.decide()


@on.project(ComplaintReopened)
async def it_is_to_be_answered_again(event: ComplaintReopened, tx: AsyncSession) -> None:
    """The verdict on the answer before stands; the new round has its own deadline and verdict."""
    assert event.meta is not None
    before = await _deed(tx, COMPLAINTS, event.complaint_id, event, event.client_id)
    before.continued_by = event.meta.id
    again = _new(tx, COMPLAINTS, event.meta.id, event, event.client_id)
    again.event_ids = [event.meta.id]
    again.due_on = event.due_on
    again.decide()


@on.project(ComplaintDeadlineMissed)
async def its_deadline_passed(event: ComplaintDeadlineMissed, tx: AsyncSession) -> None:
    deed = await _deed(tx, COMPLAINTS, event.complaint_id, event, event.client_id)
    deed.due_on, deed.missed = event.due_on, True
    deed.decide()


@on.project(ComplaintWithdrawn)
async def it_is_withdrawn(event: ComplaintWithdrawn, tx: AsyncSession) -> None:
    deed = await _deed(tx, COMPLAINTS, event.complaint_id, event, event.client_id)
    deed.dropped = True
    deed.decide()


@on.project(VisitPlanned)
async def a_visit_is_to_be_made(event: VisitPlanned, tx: AsyncSession) -> None:
    deed = await _deed(tx, VISITS, event.visit_id, event, event.client_id)
    deed.due_on = event.due_on
    deed.decide()


@on.project(VisitCompleted)
async def it_is_made(event: VisitCompleted, tx: AsyncSession) -> None:
    deed = await _deed(tx, VISITS, event.visit_id, event, event.client_id)
    deed.due_on, deed.done_on = event.due_on, event.completed_on
    deed.decide()


@on.project(VisitMissed)
async def its_day_passed(event: VisitMissed, tx: AsyncSession) -> None:
    deed = await _deed(tx, VISITS, event.visit_id, event, event.client_id)
    deed.due_on, deed.missed = event.due_on, True
    deed.decide()


@on.project(VisitCancelled)
async def it_is_cancelled(event: VisitCancelled, tx: AsyncSession) -> None:
    deed = await _deed(tx, VISITS, event.visit_id, event, event.client_id)
    deed.dropped = True
    deed.decide()


@on.project_batch(ExposureChanged)
async def exposure_as_of_a_day(events: list[ExposureChanged], tx: AsyncSession) -> None:
    """The highest revision of a day wins, in whatever order revisions come."""
    latest: dict[tuple[UUID, date, str], ExposureChanged] = {}
    for event in events:
        figure = (event.client_id, event.as_of, event.balance.currency)
        if figure not in latest or latest[figure].revision < event.revision:
            latest[figure] = event
    fresh = insert(Exposure).values(
        [
            {
                "client_id": event.client_id,
                "as_of": event.as_of,
                "entity_id": event.entity_id,
                "revision": event.revision,
                "balance": event.balance.amount,
                "overdue": event.overdue.amount,
                "currency": event.balance.currency,
                "event_id": event.meta.id if event.meta else None,
            }
            for event in latest.values()
        ]
    )
    columns = ("entity_id", "revision", "balance", "overdue", "event_id")
    await tx.execute(
        fresh.on_conflict_do_update(
            index_elements=["client_id", "as_of", "currency"],
            set_={column: fresh.excluded[column] for column in columns},
            where=Exposure.revision < fresh.excluded.revision,
        )
    )


async def measure_soon(tx: AsyncSession, event: Event, kpi: Kpi, since: date) -> None:
    """Have the months from `since` on measured again shortly.

    All that ask within two seconds ask for the same piece of work.
    """
    assert event.meta is not None
    month, moment = Month.of(since), event.meta.known_at.replace(microsecond=0)
    due_at = moment + timedelta(seconds=2 - moment.second % 2)
    await schedule(
        tx,
        "kpis.measure",
        due_at=due_at,
        id=uuid5(MEASUREMENTS, f"{kpi}/{event.entity_id}/{month}/{due_at.isoformat()}"),
        payload={"kpi": kpi, "entity_id": event.entity_id, "since": str(month)},
    )


async def _deed_changed(tx: AsyncSession, event: Event, deed_id: UUID) -> None:
    deed = await _latest(tx, deed_id)
    assert deed is not None
    days = [day for day in (deed.decided_on, deed.due_on) if day is not None]
    if days:
        await measure_soon(tx, event, deed.kpi, min(days))


async def measure_complaint_deadlines(
    event: ComplaintExtended | ComplaintResolved | ComplaintWithdrawn | ComplaintDeadlineMissed, tx: AsyncSession
) -> None:
    await _deed_changed(tx, event, event.complaint_id)


async def measure_visits(event: VisitCompleted | VisitMissed | VisitCancelled, tx: AsyncSession) -> None:
    await _deed_changed(tx, event, event.visit_id)


on.react(ComplaintExtended)(measure_complaint_deadlines)
on.react(ComplaintResolved)(measure_complaint_deadlines)
on.react(ComplaintWithdrawn)(measure_complaint_deadlines)
on.react(ComplaintDeadlineMissed)(measure_complaint_deadlines)
on.react(VisitCompleted)(measure_visits)
on.react(VisitMissed)(measure_visits)
on.react(VisitCancelled)(measure_visits)


@on.react_batch(ExposureChanged)
async def measure_overdue_rate(events: list[ExposureChanged], tx: AsyncSession) -> None:
    """One request for each legal entity, from the earliest day that was told of it."""
    earliest: dict[str, ExposureChanged] = {}
    for event in events:
        known = earliest.get(event.entity_id)
        if known is None or event.as_of < known.as_of:
            earliest[event.entity_id] = event
    for event in earliest.values():
        await measure_soon(tx, event, Kpi.PORTFOLIO_OVERDUE_RATE, event.as_of)


@on.react(RmAssigned)
async def measure_what_a_handover_moves(event: RmAssigned, tx: AsyncSession) -> None:
    """A client that changes hands takes its figures along from that day on."""
    for kpi in Kpi:
        await measure_soon(tx, event, kpi, event.effective_at.date())
