"""Visits over HTTP: the due list, planning by hand, the visit report."""

from datetime import date, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.base import Code
from contracts.engagement import VisitCancelled, VisitCancelReason, VisitCompleted, VisitPlanned, VisitReason
from engagement_service.clients.model import ClientTerminated, UnknownClient, get_client
from engagement_service.entities.calendars import day_of
from engagement_service.entities.model import place_of
from engagement_service.known import Known, StaffNotStated, Text
from engagement_service.visits.due import unwatch, watch
from engagement_service.visits.model import (
    OPEN,
    DayOutOfRange,
    DueDateBoundToCause,
    FollowUpNotYoursToCancel,
    Visit,
    VisitAlreadyMissed,
    VisitCause,
    VisitNotOpen,
    VisitState,
    first_alert,
)
from eventing.outbox import emit
from servicekit.access import canonical, ids_of, resolved, visible
from servicekit.auth import Principal, Scope, may
from servicekit.clock import Now
from servicekit.concurrency import IfMatch, etag
from servicekit.database import ReadTx, Tx
from servicekit.examples import example
from servicekit.pagination import Page, Paging, paginate, total_of
from servicekit.personal import key_of_person
from servicekit.problems import NotFound, PreconditionFailed, problems
from servicekit.requests import Date
from servicekit.tables import access_owner

router = APIRouter(prefix="/visits", tags=["visits"])


class UnknownVisit(NotFound):
    """There is no such visit, or it is not yours to see.

    Check the id, and that the client is in your portfolio.
    """


class NewVisit(BaseModel):
    """A visit planned by hand: due on a day, perhaps agreed with the client for an earlier one."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"client_id": "0199a7c0-1111-7aaa-8aaa-000000000001", "reason": "manual", "due_on": "2026-12-11"}
            ]
        },
    )

    client_id: UUID
    reason: Literal["manual", "scheduled"] = "manual"
    due_on: Date
    agreed_for: Date | None = None


class Cause(BaseModel):
    """A warning behind a follow-up visit."""

    model_config = ConfigDict(from_attributes=True)

    event_id: UUID
    alert_id: UUID | None
    raised_on: date
    closed_on: date | None = Field(examples=[None])


class VisitLine(BaseModel):
    """A visit in a list: everything but the report's words."""

    model_config = example(
        id="0199a7c0-bbbb-7aaa-8aaa-000000000012",
        due_on="2026-11-09",
        agreed_for="2026-11-06",
        needs=[],
    ) | ConfigDict(from_attributes=True)

    id: UUID
    client_id: UUID
    reason: VisitReason
    state: VisitState
    raised_on: date
    due_on: date
    agreed_for: date | None
    missed_on: date | None
    completed_on: date | None
    completed_by: UUID | None
    on_time: bool | None
    needs: list[str]
    cancel_reason: VisitCancelReason | None
    version: int

    @classmethod
    def of(cls, visit: Visit, client_id: UUID) -> Self:
        return cls.model_validate(visit).model_copy(update={"client_id": client_id})


class VisitView(VisitLine):
    """A visit with its causes and its report; a text is null where there is none, or where the person was erased."""

    model_config = example(
        id="0199a7c0-bbbb-7aaa-8aaa-000000000012",
        due_on="2026-11-09",
        agreed_for="2026-11-06",
        completed_on="2026-11-06",
        completed_by="0199a7c0-4444-7aaa-8aaa-000000000005",
        on_time=True,
        needs=["longer-terms"],
        state="completed",
        policy="serious-7-days",
        met_id="0199a7c0-3333-7aaa-8aaa-000000000004",
        progress="Orders recovered since September.",
        opinions="Wants statements earlier.",
        version=2,
    )

    policy: str | None = Field(
        description="The follow-up policy that set the due date; null for visits planned by hand."
    )
    raised_at: datetime
    met_id: UUID | None
    causes: list[Cause]
    progress: str | None = None
    opinions: str | None = None

    @classmethod
    async def shown(cls, tx: AsyncSession, visit: Visit) -> Self:
        own: dict[str, Any] = {"progress": None, "opinions": None}
        if visit.progress is not None or visit.opinions is not None:
            key = await key_of_person(tx, visit.person_id)
            own["progress"] = key.read(Visit.progress, visit.id, visit.progress)
            own["opinions"] = key.read(Visit.opinions, visit.id, visit.opinions)
        causes = sa.select(VisitCause).where(VisitCause.visit_id == visit.id).order_by(VisitCause.raised_on)
        own["causes"] = [Cause.model_validate(cause) for cause in await tx.scalars(causes)]
        own["client_id"] = await canonical(tx, visit.client_id)
        return cls.model_validate({name: getattr(visit, name) for name in cls.model_fields if name not in own} | own)


async def _get(tx: AsyncSession, visit_id: UUID, who: Principal) -> Visit:
    seen = visible(who, Visit.client_id, Visit.entity_id)
    visit = await tx.scalar(sa.select(Visit).where(Visit.id == visit_id, seen))
    if visit is None:
        raise UnknownVisit(visit_id)
    return visit


@router.post("", status_code=201, responses=problems(UnknownClient, ClientTerminated, DayOutOfRange))
async def plan_visit(
    body: NewVisit, response: Response, tx: Tx, who: Annotated[Principal, may("visits:plan")], now: Now
) -> VisitView:
    """Plan a visit by hand; it is due on wall time, in the calendar and zone of the client's legal entity."""
    client = await get_client(tx, body.client_id, visible_to=who)
    place = await place_of(tx, client.entity_id)
    visit = Visit.plan(
        client,
        place,
        now,
        reason=VisitReason(body.reason),
        due_on=body.due_on,
        agreed_for=body.agreed_for,
        planned_by=who.staff_id,
    )
    tx.add(visit)
    await watch(tx, visit)
    await _say_planned(tx, visit, now)
    return await _changed(tx, visit, response)


@router.get("")
async def list_visits(
    tx: ReadTx,
    who: Annotated[Principal, may("visits:read")],
    page: Paging,
    client_id: UUID | None = None,
    state: VisitState | None = None,
    open: Annotated[bool | None, Query(description="true: planned or missed, so still to be done")] = None,
    overdue: Annotated[bool | None, Query(description="true: missed and not made up for")] = None,
    reason: Annotated[Known[VisitReason] | None, Query()] = None,
    due_before: Annotated[Date | None, Query(description="Due earlier than this day")] = None,
    manager_id: Annotated[UUID | None, Query(description="Visits to the clients of this relationship manager")] = None,
) -> Page[VisitLine]:
    """Visits that the caller may see, the most urgent first: a manager's own due list, a lead's of the team."""
    wanted = sa.select(Visit, resolved(Visit.client_id)).where(visible(who, Visit.client_id, Visit.entity_id))
    if client_id is not None:
        wanted = wanted.where(Visit.client_id.in_(await ids_of(tx, client_id)))
    equal = {"state": state, "reason": reason}
    wanted = wanted.where(*(getattr(Visit, name) == value for name, value in equal.items() if value is not None))
    if open is not None:
        wanted = wanted.where(Visit.state.in_(OPEN) if open else Visit.state.not_in(OPEN))
    if overdue is not None:
        wanted = wanted.where((Visit.state == VisitState.MISSED) == overdue)
    if due_before is not None:
        wanted = wanted.where(Visit.due_on < due_before)
    if manager_id is not None:
        portfolio = sa.select(access_owner.c.object_id).where(access_owner.c.owner_id == manager_id)
        wanted = wanted.where(resolved(Visit.client_id).in_(portfolio))
    rows, cursor = await paginate(tx, wanted, Visit.due_on, Visit.id, page=page)
    items = [VisitLine.of(visit, resolved_id) for visit, resolved_id in rows]
    return Page(items=items, next_cursor=cursor, total=await total_of(tx, wanted, page))


@router.get("/{visit_id}", responses=problems(UnknownVisit))
async def get_visit(
    visit_id: UUID, response: Response, tx: ReadTx, who: Annotated[Principal, may("visits:read")]
) -> VisitView:
    """One visit, with what caused it and its report."""
    visit = await _get(tx, visit_id, who)
    etag(response, visit)
    return await VisitView.shown(tx, visit)


class Rescheduling(BaseModel):
    """Another day agreed with the client, or another due date for a visit planned by hand."""

    model_config = example(agreed_for="2026-12-09") | ConfigDict(extra="forbid")

    due_on: Date | None = None
    agreed_for: Date | None = None


@router.patch(
    "/{visit_id}",
    responses=problems(
        UnknownVisit, VisitNotOpen, DueDateBoundToCause, VisitAlreadyMissed, DayOutOfRange, PreconditionFailed
    ),
)
async def reschedule_visit(
    visit_id: UUID,
    body: Rescheduling,
    expected: IfMatch,
    response: Response,
    tx: Tx,
    who: Annotated[Principal, may("visits:carry-out")],
    now: Now,
) -> VisitView:
    """Agree another day. The due date that a warning set does not move."""
    visit = await _get(tx, visit_id, who)
    expected.check(visit)
    if visit.reschedule(body.due_on, body.agreed_for, day_of(now, visit.zone)):
        await watch(tx, visit)
        await _say_planned(tx, visit, now)
    return await _changed(tx, visit, response)


class Report(BaseModel):
    """The visit report: when it took place, what was learned. `staff_id` is whoever went, if not the caller."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "completed_on": "2026-11-06",
                    "needs": ["longer-terms"],
                    "progress": "Orders recovered since September.",
                    "opinions": "Wants statements earlier.",
                }
            ]
        },
    )

    completed_on: Date
    staff_id: UUID | None = None
    met_id: UUID | None = Field(default=None, description="The contact person met, by id.")
    needs: Annotated[list[Code], Field(max_length=20)] = []
    progress: Text | None = None
    opinions: Text | None = None


@router.post("/{visit_id}/complete", responses=problems(UnknownVisit, VisitNotOpen, DayOutOfRange, StaffNotStated))
async def complete_visit(
    visit_id: UUID,
    body: Report,
    response: Response,
    tx: Tx,
    who: Annotated[Principal, may("visits:carry-out")],
    now: Now,
) -> VisitView:
    """The visit took place. Its day is stated by whoever went, and compared with the due date."""
    visit = await _get(tx, visit_id, who)
    staff_id = body.staff_id or who.staff_id
    if staff_id is None:
        raise StaffNotStated("staff_id", "is needed")
    visit.complete(body.completed_on, staff_id, body.met_id, list(body.needs), day_of(now, visit.zone))
    if body.progress is not None or body.opinions is not None:
        key = await key_of_person(tx, visit.person_id, create=True)
        visit.progress = key.seal(Visit.progress, visit.id, body.progress) if body.progress else None
        visit.opinions = key.seal(Visit.opinions, visit.id, body.opinions) if body.opinions else None
    await unwatch(tx, visit)
    emit(
        tx,
        VisitCompleted(
            entity_id=visit.entity_id,
            occurred_at=now,
            client_id=visit.client_id,
            visit_id=visit.id,
            alert_id=await first_alert(tx, visit.id),
            due_on=visit.due_on,
            completed_on=body.completed_on,
            on_time=bool(visit.on_time),
            staff_id=staff_id,
        ),
    )
    return await _changed(tx, visit, response)


class Cancellation(BaseModel):
    """Why the visit will not take place. A warning's end cancels by itself."""

    model_config = ConfigDict(extra="forbid")

    reason: Literal["client_declined", "replaced", "other"]


@router.post("/{visit_id}/cancel", responses=problems(UnknownVisit, VisitNotOpen, FollowUpNotYoursToCancel))
async def cancel_visit(
    visit_id: UUID,
    body: Cancellation,
    response: Response,
    tx: Tx,
    who: Annotated[Principal, may("visits:carry-out")],
    now: Now,
) -> VisitView:
    """The visit will not take place. A miss that was told before stands."""
    visit = await _get(tx, visit_id, who)
    if visit.is_follow_up and who.scope is Scope.OWN:
        raise FollowUpNotYoursToCancel(visit.id)
    reason = VisitCancelReason(body.reason)
    nobodys_miss = visit.cancel(reason)
    await unwatch(tx, visit)
    if nobodys_miss:
        emit(
            tx,
            VisitCancelled(
                entity_id=visit.entity_id,
                occurred_at=now,
                client_id=visit.client_id,
                visit_id=visit.id,
                reason=reason,
            ),
        )
    return await _changed(tx, visit, response)


async def _say_planned(tx: AsyncSession, visit: Visit, now: datetime) -> None:
    """The latest `visit-planned` of a visit says by when it is to take place."""
    emit(
        tx,
        VisitPlanned(
            entity_id=visit.entity_id,
            occurred_at=now,
            client_id=visit.client_id,
            visit_id=visit.id,
            reason=visit.reason,
            staff_id=visit.planned_by,
            due_on=visit.due_on,
            planned_on=visit.raised_on,
        ),
    )


async def _changed(tx: AsyncSession, visit: Visit, response: Response) -> VisitView:
    await tx.flush()
    etag(response, visit)
    return await VisitView.shown(tx, visit)
