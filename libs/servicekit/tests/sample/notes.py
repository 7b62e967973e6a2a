"""Notes about clients: one aggregate, one projection, due work on both clocks."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Self
from uuid import UUID, uuid5

import sqlalchemy as sa
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from uuid_utils.compat import uuid7

from contracts.client import ClientRegistered, RmAssigned
from contracts.engagement import VisitMissed
from contracts.risk import ExposureChanged
from eventing.outbox import emit
from eventing.subscriptions import Subscriptions
from servicekit.access import add_alias, set_owner, visible
from servicekit.app import Feature
from servicekit.auth import Principal, may
from servicekit.clock import Now
from servicekit.concurrency import IfMatch, etag
from servicekit.database import ModelBase, ReadTx, Tx, Versioned
from servicekit.pagination import Page, Paging, paginate, total_of
from servicekit.personal import Personal, PersonalText, key_of_person
from servicekit.problems import Conflict, NotFound, PreconditionFailed, problems
from servicekit.scheduling import DueWork, Work, schedule, tick


class Base(ModelBase, DeclarativeBase):
    """The sample's tables."""


class Note(Versioned, Base):
    """A note about a client."""

    __tablename__ = "note"
    __table_args__ = (sa.UniqueConstraint("entity_id", "code", name="uq_note_code"),)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    client_id: Mapped[UUID]
    entity_id: Mapped[str]
    code: Mapped[str]
    size: Mapped[int | None]
    amount: Mapped[Decimal | None]
    phone: Mapped[PersonalText | None] = mapped_column(Personal)
    made_at: Mapped[datetime]


class SeenClient(Base):
    """What this service has heard of a client."""

    __tablename__ = "seen_client"
    __table_args__ = {"info": {"projection": True}}
    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    times: Mapped[int]


class CodeTaken(Conflict):
    """Another note has this code.

    Choose another code.
    """

    constraint = "uq_note_code"


class NoteTooBig(Conflict):
    """The note is bigger than a note may be.

    Make it smaller.
    """


class NewNote(BaseModel):
    """A note to be made."""

    client_id: UUID
    code: str = Field(max_length=50, examples=["N-1"])
    size: int | None = None
    amount: Decimal | None = Field(default=None, examples=["125000.00"])
    phone: str | None = Field(default=None, examples=["+86 535 000 0000"])
    remind_at: datetime | None = None


class NoteChange(BaseModel):
    """What may change."""

    size: int


class NoteView(BaseModel):
    """A note as it is shown."""

    id: UUID
    client_id: UUID
    code: str
    size: int | None
    amount: Decimal | None
    phone: str | None = None

    @classmethod
    def of(cls, note: Note, phone: str | None = None) -> Self:
        """From its row."""
        return cls(
            id=note.id, client_id=note.client_id, code=note.code, size=note.size, amount=note.amount, phone=phone
        )


router = APIRouter(prefix="/notes", tags=["notes"])
on = Subscriptions()
due = DueWork()


@router.post("", status_code=201, responses=problems(CodeTaken, NoteTooBig))
async def make_note(
    body: NewNote, tx: Tx, who: Annotated[Principal, may("notes:write")], now: Now, response: Response
) -> NoteView:
    """Make a note."""
    if body.size is not None and body.size > 1_000_000_000_000_000:
        raise NoteTooBig(body.size)
    note = Note(
        id=uuid7(),
        client_id=body.client_id,
        entity_id=who.entity_id,
        code=body.code,
        size=body.size,
        amount=body.amount,
        made_at=now,
    )
    if body.phone is not None:
        key = await key_of_person(tx, body.client_id, create=True)
        note.phone = key.seal(Note.phone, note.id, body.phone)
    tx.add(note)
    if body.remind_at is not None:
        await schedule(tx, "notes.remind", id=note.id, due_at=body.remind_at, payload={"note_id": str(note.id)})
    emit(tx, missed(note.client_id, who.entity_id, now, note.id))
    etag(response, note)
    return NoteView.of(note, body.phone)


@router.get("", responses=problems())
async def list_notes(
    tx: ReadTx, who: Annotated[Principal, may("notes:read")], page: Paging, code: str | None = None
) -> Page[NoteView]:
    """The notes one may see."""
    stmt = sa.select(Note).where(visible(who, Note.client_id, Note.entity_id))
    if code is not None:
        stmt = stmt.where(Note.code == code)
    rows, cursor = await paginate(tx, stmt, Note.size.desc(), Note.id, page=page)
    return Page(items=[NoteView.of(note) for note in rows], next_cursor=cursor, total=await total_of(tx, stmt, page))


@router.get("/{note_id}", responses=problems(NotFound))
async def get_note(
    note_id: UUID, tx: ReadTx, who: Annotated[Principal, may("notes:read")], response: Response
) -> NoteView:
    """One note."""
    note = await visible_note(tx, note_id, who)
    key = await key_of_person(tx, note.client_id)
    etag(response, note)
    return NoteView.of(note, key.read(Note.phone, note.id, note.phone))


@router.put("/{note_id}", responses=problems(NotFound, PreconditionFailed))
async def change_note(
    note_id: UUID,
    body: NoteChange,
    expected: IfMatch,
    tx: Tx,
    who: Annotated[Principal, may("notes:write")],
    response: Response,
) -> NoteView:
    """Change a note."""
    note = await visible_note(tx, note_id, who)
    expected.check(note)
    note.size = body.size
    etag(response, note)
    return NoteView.of(note)


@router.delete("/{note_id}", status_code=204, responses=problems(NotFound))
async def delete_note(note_id: UUID, tx: Tx, who: Annotated[Principal, may("notes:write")]) -> None:
    """Delete a note."""
    await tx.delete(await visible_note(tx, note_id, who))


async def visible_note(tx: AsyncSession, note_id: UUID, who: Principal) -> Note:
    """The note, if one may see it."""
    note = await tx.scalar(sa.select(Note).where(Note.id == note_id, visible(who, Note.client_id, Note.entity_id)))
    if note is None:
        raise NotFound(note_id)
    return note


def missed(client_id: UUID, entity_id: str, now: datetime, about: UUID) -> VisitMissed:
    """Any event of our own will do."""
    return VisitMissed(client_id=client_id, entity_id=entity_id, occurred_at=now, visit_id=about, due_on=now.date())


@on.project(ClientRegistered)
async def see(event: ClientRegistered, tx: AsyncSession) -> None:
    """Count how often we hear of a client, and know its aliases."""
    known = await tx.get(SeenClient, event.client_id)
    if known is None:
        tx.add(SeenClient(client_id=event.client_id, times=1))
    else:
        known.times += 1
    for alias_id in event.aliases:
        await add_alias(tx, alias_id, event.client_id, event.occurred_at)


@on.project(RmAssigned)
async def own(event: RmAssigned, tx: AsyncSession) -> None:
    """Who manages the client."""
    await set_owner(tx, event.client_id, event.entity_id, event.staff_id, event.effective_at)


@on.react(ExposureChanged)
async def move_clock(event: ExposureChanged, tx: AsyncSession) -> None:
    """A client's own clock."""
    work = uuid5(event.client_id, "check")
    await tick(tx, f"client:{event.client_id}", event.as_of)
    await schedule(
        tx,
        "notes.check",
        id=work,
        clock=f"client:{event.client_id}",
        due_on=event.as_of + timedelta(days=7),
        payload={"client_id": str(event.client_id), "entity_id": event.entity_id},
    )


@due("notes.remind")
async def remind(work: Work, tx: AsyncSession) -> None:
    """Tell that the note's moment has come."""
    note = await tx.get_one(Note, UUID(work.payload["note_id"]))
    assert work.due_at is not None
    note.size = (note.size or 0) + 1
    emit(tx, missed(note.client_id, note.entity_id, work.due_at, note.id))


@due("notes.check")
async def check(work: Work, tx: AsyncSession) -> None:
    """A week of the client's own clock has passed."""
    assert isinstance(work.due_on, date)
    client_id = UUID(work.payload["client_id"])
    moment = datetime.fromisoformat(f"{work.due_on}T00:00:00+00:00")
    emit(tx, missed(client_id, work.payload["entity_id"], moment, work.id))


feature = Feature("notes", router=router, subscriptions=[on], due=due)
