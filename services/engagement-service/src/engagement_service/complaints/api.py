"""Complaints over HTTP, from filing to closing: load, decide, say what happened."""

from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.engagement import (
    Channel,
    ComplaintAcknowledged,
    ComplaintCategory,
    ComplaintClosed,
    ComplaintExtended,
    ComplaintFiled,
    ComplaintOutcome,
    ComplaintReopened,
    ComplaintReopenReason,
    ComplaintResolved,
    ComplaintWithdrawn,
)
from engagement_service.clients.model import ClientTerminated, UnknownClient, get_client
from engagement_service.complaints.deadlines import Complexity
from engagement_service.complaints.due import set_alarms, silence_alarms
from engagement_service.complaints.model import (
    AWAITING_ANSWER,
    ENDED,
    AlreadyExtended,
    Complaint,
    ComplaintAlreadyAcknowledged,
    ComplaintEnded,
    ComplaintNotAnswered,
    ComplaintNotAwaitingAnswer,
    ComplaintNotClosed,
    ComplaintState,
    ComplexityOnlyRises,
    DeadlinePassed,
    ExtensionAlreadyRequested,
    ExtensionNotForeseen,
    HandlerHasConflictOfInterest,
    HandlerHasLeft,
    NoExtensionRequested,
    ReceivedInFuture,
    SecondPersonNeeded,
    WithdrawnOutOfRange,
)
from engagement_service.entities.model import place_of
from engagement_service.known import Known, Moment, Text
from eventing.outbox import emit
from servicekit.access import canonical, ids_of, resolved, visible
from servicekit.auth import Principal, may
from servicekit.clock import Now
from servicekit.concurrency import IfMatch, etag
from servicekit.database import ReadTx, Tx
from servicekit.examples import example
from servicekit.pagination import Page, Paging, paginate, total_of
from servicekit.personal import key_of_person
from servicekit.problems import NotFound, PreconditionFailed, problems
from servicekit.requests import Date
from servicekit.tables import access_member, access_owner

router = APIRouter(prefix="/complaints", tags=["complaints"])


class UnknownComplaint(NotFound):
    """There is no such complaint, or it is not yours to see.

    Check the id, and that the client is in your portfolio; nobody sees complaints about themselves.
    """


class NewComplaint(BaseModel):
    """A complaint as it is filed. `received_at` starts its clocks; left out, it arrived now."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "client_id": "0199a7c0-1111-7aaa-8aaa-000000000001",
                    "category": "fees",
                    "channel": "hotline",
                    "received_at": "2026-02-10T01:30:00Z",
                    "narrative": "Handling fee charged twice in January.",
                }
            ]
        },
    )

    client_id: UUID
    category: Known[ComplaintCategory]
    channel: Known[Channel]
    complexity: Complexity = Complexity.SIMPLE
    received_at: Moment | None = None
    complainant_id: UUID | None = Field(default=None, description="The contact person who complains, by id.")
    about_staff_id: UUID | None = Field(default=None, description="The member of staff complained about.")
    narrative: Text | None = None


class Clock(BaseModel):
    """One deadline of a complaint, and why it is that day."""

    due_on: date
    rule: str
    clause: str
    says: str
    how: str
    calendar: str
    provisional: bool = Field(description="A year it touches has no published calendar yet.")


class ComplaintLine(BaseModel):
    """A complaint in a list: everything but what was written."""

    model_config = example(
        id="0199a7c0-cccc-7aaa-8aaa-000000000013",
        channel="hotline",
        state="acknowledged",
        complainant_id="0199a7c0-3333-7aaa-8aaa-000000000004",
        handler_id="0199a7c0-4444-7aaa-8aaa-000000000005",
        received_at="2026-11-03T01:30:00Z",
        received_on="2026-11-03",
        rule="cn-cbirc-2020-3@1",
        due_on="2026-11-18",
        target_on="2026-11-10",
        extended=False,
        acknowledged_at="2026-11-03T02:15:00Z",
        version=2,
    ) | ConfigDict(from_attributes=True)

    id: UUID
    client_id: UUID
    category: ComplaintCategory
    complexity: Complexity
    channel: Channel
    state: ComplaintState
    complainant_id: UUID | None
    about_staff_id: UUID | None
    handler_id: UUID | None
    received_at: datetime
    received_on: date
    rule: str
    due_on: date
    target_on: date
    round: int
    extended: bool
    acknowledged_at: datetime | None
    reminded_at: datetime | None
    missed_at: datetime | None
    answered_on: date | None
    on_time: bool | None
    outcome: ComplaintOutcome | None
    closed_at: datetime | None
    withdrawn_on: date | None
    version: int

    @classmethod
    def of(cls, complaint: Complaint, client_id: UUID) -> Self:
        return cls.model_validate(complaint).model_copy(update={"client_id": client_id})


class ComplaintView(ComplaintLine):
    """A complaint with its clocks and texts; a text is null where there is none, or where the person was erased."""

    zone: str = Field(examples=["Asia/Shanghai"])
    place_assumed: bool = Field(
        description="The legal entity was not heard of: the fail-safe calendar and zone apply.", examples=[False]
    )
    clocks: dict[str, Clock] = Field(
        examples=[
            {
                "statutory": {
                    "due_on": "2026-11-18",
                    "rule": "cn-cbirc-2020-3@1",
                    "clause": "art-20-simple",
                    "says": "simple cases are answered within 15 days of receipt",
                    "how": "2026-11-03 + 15 calendar days",
                    "calendar": "gregorian",
                    "provisional": False,
                }
            }
        ]
    )
    extension_requested_at: datetime | None
    narrative: str | None = None
    answer: str | None = None

    @classmethod
    async def shown(cls, tx: AsyncSession, complaint: Complaint) -> Self:
        texts: dict[str, Any] = {"narrative": None, "answer": None}
        if complaint.narrative is not None or complaint.answer is not None:
            key = await key_of_person(tx, complaint.person_id)
            texts["narrative"] = key.read(Complaint.narrative, complaint.id, complaint.narrative)
            texts["answer"] = key.read(Complaint.answer, complaint.id, complaint.answer)
        fields = {name: getattr(complaint, name) for name in cls.model_fields if name not in texts}
        return cls.model_validate(fields | texts | {"client_id": await canonical(tx, complaint.client_id)})


def _seen(who: Principal) -> sa.ColumnElement[bool]:
    """Complaints of the clients a caller sees, except those about the caller."""
    theirs = visible(who, Complaint.client_id, Complaint.entity_id)
    return sa.and_(theirs, Complaint.about_staff_id.is_distinct_from(who.staff_id)) if who.staff_id else theirs


async def _get(tx: AsyncSession, complaint_id: UUID, who: Principal) -> Complaint:
    complaint = await tx.scalar(sa.select(Complaint).where(Complaint.id == complaint_id, _seen(who)))
    if complaint is None:
        raise UnknownComplaint(complaint_id)
    return complaint


@router.post("", status_code=201, responses=problems(UnknownClient, ClientTerminated, ReceivedInFuture))
async def file_complaint(
    body: NewComplaint, response: Response, tx: Tx, who: Annotated[Principal, may("complaints:file")], now: Now
) -> ComplaintView:
    """Record a complaint and start its clocks."""
    client = await get_client(tx, body.client_id, visible_to=who)
    place = await place_of(tx, client.entity_id)
    fields = body.model_dump(exclude={"client_id", "narrative", "received_at"})
    complaint = Complaint.file(client, place, now, received_at=body.received_at or now, **fields)
    if body.narrative is not None:
        key = await key_of_person(tx, complaint.person_id, create=True)
        complaint.narrative = key.seal(Complaint.narrative, complaint.id, body.narrative)
    tx.add(complaint)
    await set_alarms(tx, complaint)
    emit(
        tx,
        ComplaintFiled(
            entity_id=complaint.entity_id,
            branch_id=client.branch_id,
            occurred_at=complaint.received_at,
            client_id=complaint.client_id,
            complaint_id=complaint.id,
            category=complaint.category,
            received_on=complaint.received_on,
            due_on=complaint.due_on,
            rule=complaint.rule,
            clause=complaint.statutory.clause,
            channel=complaint.channel,
        ),
    )
    return await _changed(tx, complaint, response)


class ComplaintTotals(BaseModel):
    """How many complaints there are within what the caller may see."""

    model_config = example(
        total=12,
        awaiting_answer=3,
        overdue=1,
        answered_on_time=8,
        answered_late=1,
        by_state={"filed": 1, "acknowledged": 2, "closed": 9},
        by_category={"fees": 7, "service": 5},
    )

    total: int
    awaiting_answer: int
    overdue: int = Field(description="Awaiting an answer, with the statutory deadline missed.")
    answered_on_time: int
    answered_late: int
    by_state: dict[ComplaintState, int]
    by_category: dict[ComplaintCategory, int]


@router.get("/totals")
async def total_complaints(
    tx: ReadTx,
    who: Annotated[Principal, may("complaints:read")],
    received_from: Date | None = None,
    received_to: Date | None = None,
) -> ComplaintTotals:
    """Counts by state and category."""
    overdue = Complaint.missed_at.is_not(None) & Complaint.state.in_(AWAITING_ANSWER)
    stmt = sa.select(
        Complaint.state,
        Complaint.category,
        sa.func.count(),
        sa.func.count().filter(overdue),
        sa.func.count().filter(Complaint.answered_on <= Complaint.due_on),
        sa.func.count().filter(Complaint.answered_on > Complaint.due_on),
    ).where(_seen(who), *_received(received_from, received_to))
    stmt = stmt.group_by(Complaint.state, Complaint.category)
    by_state: dict[ComplaintState, int] = {}
    by_category: dict[ComplaintCategory, int] = {}
    overdue_now = on_time = late = 0
    for state, category, count, missed, kept, broken in (await tx.execute(stmt)).all():
        by_state[state] = by_state.get(state, 0) + count
        by_category[category] = by_category.get(category, 0) + count
        overdue_now, on_time, late = overdue_now + missed, on_time + kept, late + broken
    return ComplaintTotals(
        total=sum(by_state.values()),
        awaiting_answer=sum(by_state.get(state, 0) for state in AWAITING_ANSWER),
        overdue=overdue_now,
        answered_on_time=on_time,
        answered_late=late,
        by_state=by_state,
        by_category=by_category,
    )


def _received(first: date | None, last: date | None) -> list[sa.ColumnElement[bool]]:
    wanted: list[sa.ColumnElement[bool]] = []
    if first is not None:
        wanted.append(Complaint.received_on >= first)
    if last is not None:
        wanted.append(Complaint.received_on <= last)
    return wanted


@router.get("")
async def list_complaints(
    tx: ReadTx,
    who: Annotated[Principal, may("complaints:read")],
    page: Paging,
    client_id: UUID | None = None,
    handler_id: UUID | None = None,
    category: Annotated[Known[ComplaintCategory] | None, Query()] = None,
    state: ComplaintState | None = None,
    open: Annotated[bool | None, Query(description="true: not yet closed or withdrawn; false: those that are")] = None,
    overdue: Annotated[bool | None, Query(description="true: deadline missed and still no answer")] = None,
    reminded: Annotated[bool | None, Query(description="true: a reminder of the deadline has been given")] = None,
    due_before: Annotated[Date | None, Query(description="Statutory deadline earlier than this day")] = None,
    received_from: Date | None = None,
    received_to: Date | None = None,
) -> Page[ComplaintLine]:
    """Complaints that the caller may see, the most urgent deadline first."""
    wanted = sa.select(Complaint, resolved(Complaint.client_id)).where(_seen(who))
    if client_id is not None:
        wanted = wanted.where(Complaint.client_id.in_(await ids_of(tx, client_id)))
    equal = {"handler_id": handler_id, "category": category, "state": state}
    wanted = wanted.where(*(getattr(Complaint, name) == value for name, value in equal.items() if value is not None))
    if open is not None:
        wanted = wanted.where(Complaint.state.not_in(ENDED) if open else Complaint.state.in_(ENDED))
    if overdue is not None:
        late = Complaint.missed_at.is_not(None) & Complaint.state.in_(AWAITING_ANSWER)
        wanted = wanted.where(late if overdue else ~late)
    if reminded is not None:
        wanted = wanted.where(Complaint.reminded_at.is_not(None) if reminded else Complaint.reminded_at.is_(None))
    if due_before is not None:
        wanted = wanted.where(Complaint.due_on < due_before)
    wanted = wanted.where(*_received(received_from, received_to))
    rows, cursor = await paginate(tx, wanted, Complaint.due_on, Complaint.id, page=page)
    items = [ComplaintLine.of(complaint, resolved_id) for complaint, resolved_id in rows]
    return Page(items=items, next_cursor=cursor, total=await total_of(tx, wanted, page))


@router.get("/{complaint_id}", responses=problems(UnknownComplaint))
async def get_complaint(
    complaint_id: UUID, response: Response, tx: ReadTx, who: Annotated[Principal, may("complaints:read")]
) -> ComplaintView:
    """One complaint: its clocks with rule, clause and calendar, and what was written."""
    complaint = await _get(tx, complaint_id, who)
    etag(response, complaint)
    return await ComplaintView.shown(tx, complaint)


@router.post(
    "/{complaint_id}/acknowledge",
    responses=problems(UnknownComplaint, ComplaintNotAwaitingAnswer, ComplaintAlreadyAcknowledged),
)
async def acknowledge_complaint(
    complaint_id: UUID, response: Response, tx: Tx, who: Annotated[Principal, may("complaints:handle")], now: Now
) -> ComplaintView:
    """The complainant has been told that the complaint arrived."""
    complaint = await _get(tx, complaint_id, who)
    complaint.acknowledge(now)
    emit(
        tx,
        ComplaintAcknowledged(
            entity_id=complaint.entity_id,
            occurred_at=now,
            client_id=complaint.client_id,
            complaint_id=complaint.id,
            acknowledged_at=now,
            staff_id=complaint.handler_id,
        ),
    )
    return await _changed(tx, complaint, response)


class Classification(BaseModel):
    """What the complaint is about, and whether the case is complex."""

    model_config = ConfigDict(extra="forbid")

    category: Known[ComplaintCategory]
    complexity: Complexity


@router.put(
    "/{complaint_id}/classification",
    responses=problems(
        UnknownComplaint, ComplaintNotAwaitingAnswer, ComplexityOnlyRises, DeadlinePassed, PreconditionFailed
    ),
)
async def classify_complaint(
    complaint_id: UUID,
    body: Classification,
    expected: IfMatch,
    response: Response,
    tx: Tx,
    who: Annotated[Principal, may("complaints:handle")],
    now: Now,
) -> ComplaintView:
    """Correct the category, or find the case complex, which gives it the longer statutory term."""
    complaint = await _get(tx, complaint_id, who)
    expected.check(complaint)
    before = complaint.due_on
    if complaint.classify(body.category, body.complexity, now):
        await _say_extended(tx, complaint, before, now)
    return await _changed(tx, complaint, response)


class Assignment(BaseModel):
    """Who handles the complaint."""

    model_config = ConfigDict(extra="forbid")

    handler_id: UUID = Field(examples=["0199a7c0-4444-7aaa-8aaa-000000000005"])


@router.put(
    "/{complaint_id}/handler",
    responses=problems(
        UnknownComplaint, ComplaintNotAwaitingAnswer, HandlerHasConflictOfInterest, HandlerHasLeft, PreconditionFailed
    ),
)
async def assign_complaint(
    complaint_id: UUID,
    body: Assignment,
    expected: IfMatch,
    response: Response,
    tx: Tx,
    who: Annotated[Principal, may("complaints:assign")],
) -> ComplaintView:
    """Give the complaint to a handler without an interest in it. Staff not heard of yet are taken on trust."""
    complaint = await _get(tx, complaint_id, who)
    expected.check(complaint)
    member = (
        await tx.execute(sa.select(access_member).where(access_member.c.member_id == body.handler_id))
    ).one_or_none()
    if member is not None and (member.group_id is None or member.entity_id != complaint.entity_id):
        raise HandlerHasLeft(body.handler_id)
    client_id = await canonical(tx, complaint.client_id)
    manager = await tx.scalar(sa.select(access_owner.c.owner_id).where(access_owner.c.object_id == client_id))
    complaint.assign(body.handler_id, manager)
    return await _changed(tx, complaint, response)


@router.post(
    "/{complaint_id}/extension/request",
    responses=problems(
        UnknownComplaint,
        ComplaintNotAwaitingAnswer,
        ExtensionNotForeseen,
        AlreadyExtended,
        ExtensionAlreadyRequested,
        DeadlinePassed,
    ),
)
async def request_extension(
    complaint_id: UUID, response: Response, tx: Tx, who: Annotated[Principal, may("complaints:handle")], now: Now
) -> ComplaintView:
    """Ask for the exceptional extension; a second person decides."""
    complaint = await _get(tx, complaint_id, who)
    complaint.request_extension(who.subject, now)
    return await _changed(tx, complaint, response)


@router.post(
    "/{complaint_id}/extension/approve",
    responses=problems(
        UnknownComplaint, ComplaintNotAwaitingAnswer, NoExtensionRequested, SecondPersonNeeded, DeadlinePassed
    ),
)
async def approve_extension(
    complaint_id: UUID, response: Response, tx: Tx, who: Annotated[Principal, may("complaints:approve")], now: Now
) -> ComplaintView:
    """Approve the extension as a second person; the complainant is to be told."""
    complaint = await _get(tx, complaint_id, who)
    before = complaint.due_on
    complaint.approve_extension(who.subject, who.staff_id, now)
    await _say_extended(tx, complaint, before, now)
    return await _changed(tx, complaint, response)


@router.post(
    "/{complaint_id}/extension/decline",
    responses=problems(UnknownComplaint, ComplaintNotAwaitingAnswer, NoExtensionRequested, SecondPersonNeeded),
)
async def decline_extension(
    complaint_id: UUID, response: Response, tx: Tx, who: Annotated[Principal, may("complaints:approve")]
) -> ComplaintView:
    """Decline the extension as a second person; the deadline stands."""
    complaint = await _get(tx, complaint_id, who)
    complaint.decline_extension(who.subject, who.staff_id)
    return await _changed(tx, complaint, response)


class Resolution(BaseModel):
    """How the complaint was answered."""

    model_config = example(outcome="upheld", answer="The second fee is refunded.") | ConfigDict(extra="forbid")

    outcome: Known[ComplaintOutcome]
    answer: Text | None = None


@router.post("/{complaint_id}/resolve", responses=problems(UnknownComplaint, ComplaintNotAwaitingAnswer))
async def resolve_complaint(
    complaint_id: UUID,
    body: Resolution,
    response: Response,
    tx: Tx,
    who: Annotated[Principal, may("complaints:handle")],
    now: Now,
) -> ComplaintView:
    """The complainant has the answer; this stops the statutory clock."""
    complaint = await _get(tx, complaint_id, who)
    complaint.resolve(body.outcome, now)
    if body.answer is not None:
        key = await key_of_person(tx, complaint.person_id, create=True)
        complaint.answer = key.seal(Complaint.answer, complaint.id, body.answer)
    await silence_alarms(tx, complaint)
    emit(
        tx,
        ComplaintResolved(
            entity_id=complaint.entity_id,
            occurred_at=now,
            client_id=complaint.client_id,
            complaint_id=complaint.id,
            answered_on=complaint.place_day(now),
            due_on=complaint.due_on,
            on_time=bool(complaint.on_time),
            outcome=body.outcome,
            staff_id=complaint.handler_id,
        ),
    )
    return await _changed(tx, complaint, response)


class Closing(BaseModel):
    """What the complainant said of the answer, if anything."""

    model_config = ConfigDict(extra="forbid")

    satisfied: bool | None = None


@router.post("/{complaint_id}/close", responses=problems(UnknownComplaint, ComplaintNotAnswered, ComplaintEnded))
async def close_complaint(
    complaint_id: UUID,
    body: Closing,
    response: Response,
    tx: Tx,
    who: Annotated[Principal, may("complaints:handle")],
    now: Now,
) -> ComplaintView:
    """Nothing is left to do."""
    complaint = await _get(tx, complaint_id, who)
    complaint.close(now)
    emit(
        tx,
        ComplaintClosed(
            entity_id=complaint.entity_id,
            occurred_at=now,
            client_id=complaint.client_id,
            complaint_id=complaint.id,
            closed_on=complaint.place_day(now),
            satisfied=body.satisfied,
        ),
    )
    return await _changed(tx, complaint, response)


class Reopening(BaseModel):
    """Why the complaint goes on."""

    model_config = ConfigDict(extra="forbid")

    reason: Known[ComplaintReopenReason]


@router.post("/{complaint_id}/reopen", responses=problems(UnknownComplaint, ComplaintNotClosed))
async def reopen_complaint(
    complaint_id: UUID,
    body: Reopening,
    response: Response,
    tx: Tx,
    who: Annotated[Principal, may("complaints:handle")],
    now: Now,
) -> ComplaintView:
    """The complainant disputes the answer: the clocks start again, today."""
    complaint = await _get(tx, complaint_id, who)
    complaint.reopen(now)
    await set_alarms(tx, complaint)
    emit(
        tx,
        ComplaintReopened(
            entity_id=complaint.entity_id,
            occurred_at=now,
            client_id=complaint.client_id,
            complaint_id=complaint.id,
            reason=body.reason,
            due_on=complaint.due_on,
            rule=complaint.rule,
            clause=complaint.statutory.clause,
        ),
    )
    return await _changed(tx, complaint, response)


class Withdrawal(BaseModel):
    """The day the withdrawal arrived; left out, it arrived today."""

    model_config = ConfigDict(extra="forbid")

    withdrawn_on: Date | None = None


@router.post("/{complaint_id}/withdraw", responses=problems(UnknownComplaint, ComplaintEnded, WithdrawnOutOfRange))
async def withdraw_complaint(
    complaint_id: UUID,
    body: Withdrawal,
    response: Response,
    tx: Tx,
    who: Annotated[Principal, may("complaints:handle")],
    now: Now,
) -> ComplaintView:
    """The complainant takes the complaint back; the case ends the day that arrived."""
    complaint = await _get(tx, complaint_id, who)
    withdrawn_on = complaint.withdraw(body.withdrawn_on, now)
    await silence_alarms(tx, complaint)
    emit(
        tx,
        ComplaintWithdrawn(
            entity_id=complaint.entity_id,
            occurred_at=now,
            client_id=complaint.client_id,
            complaint_id=complaint.id,
            withdrawn_on=withdrawn_on,
        ),
    )
    return await _changed(tx, complaint, response)


async def _say_extended(tx: AsyncSession, complaint: Complaint, before: date, now: datetime) -> None:
    await set_alarms(tx, complaint)
    emit(
        tx,
        ComplaintExtended(
            entity_id=complaint.entity_id,
            occurred_at=now,
            client_id=complaint.client_id,
            complaint_id=complaint.id,
            due_on=complaint.due_on,
            previous_due_on=before,
            rule=complaint.rule,
            clause=complaint.statutory.clause,
        ),
    )


async def _changed(tx: AsyncSession, complaint: Complaint, response: Response) -> ComplaintView:
    await tx.flush()
    etag(response, complaint)
    return await ComplaintView.shown(tx, complaint)
