"""Contacts over HTTP: log one, read one, list them."""

from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from contracts.base import Code
from contracts.engagement import Channel, ContactDirection, ContactLogged, ContactOutcome
from engagement_service.clients.model import UnknownClient, get_client
from engagement_service.contacts.model import Contact, ContactTimesWrong
from engagement_service.known import Known, Moment, StaffNotStated, Text
from eventing.outbox import emit
from servicekit.access import ids_of, resolved, visible
from servicekit.auth import Principal, Scope, may
from servicekit.clock import Now
from servicekit.database import ReadTx, Tx
from servicekit.examples import example
from servicekit.pagination import Page, Paging, paginate, total_of
from servicekit.personal import key_of_person
from servicekit.problems import NotFound, problems
from servicekit.requests import Date

router = APIRouter(tags=["contacts"])


class UnknownContact(NotFound):
    """There is no such contact, or it is not yours to see.

    Check the id, and that the client is in your portfolio.
    """


class NewContact(BaseModel):
    """A contact as it is logged. `staff_id` may be stated by whoever sees all clients; others log their own."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "client_id": "0199a7c0-1111-7aaa-8aaa-000000000001",
                    "channel": "wechat",
                    "direction": "inbound",
                    "started_at": "2026-11-03T02:15:00Z",
                    "answered_at": "2026-11-03T02:22:00Z",
                    "outcome": "follow_up",
                    "next_step": "send-statement",
                    "next_step_on": "2026-11-05",
                    "note": "Asks for the October statement.",
                }
            ]
        },
    )

    client_id: UUID
    channel: Known[Channel]
    direction: ContactDirection
    started_at: Moment
    answered_at: Moment | None = None
    outcome: Known[ContactOutcome]
    staff_id: UUID | None = None
    debtor_id: UUID | None = Field(default=None, description="The debtor, where it was a debtor of the client.")
    contact_person_id: UUID | None = None
    next_step: Code | None = None
    next_step_on: Date | None = None
    note: Text | None = None


A_CONTACT: dict[str, Any] = {
    "contact_person_id": "0199a7c0-3333-7aaa-8aaa-000000000004",
    "channel": "wechat",
    "answered_at": "2026-11-03T02:22:00Z",
    "response_seconds": 420,
    "outcome": "follow_up",
    "next_step": "send-statement",
    "next_step_on": "2026-11-05",
    "logged_at": "2026-11-03T02:30:00Z",
}


class ContactLine(BaseModel):
    """A contact in a list: everything but the note."""

    model_config = example(**A_CONTACT) | ConfigDict(from_attributes=True)

    id: UUID
    client_id: UUID
    debtor_id: UUID | None
    contact_person_id: UUID | None
    staff_id: UUID
    channel: Channel
    direction: ContactDirection
    started_at: datetime
    answered_at: datetime | None
    response_seconds: int | None
    outcome: ContactOutcome
    next_step: str | None
    next_step_on: date | None
    logged_at: datetime

    @classmethod
    def of(cls, contact: Contact, client_id: UUID) -> Self:
        return cls.model_validate(contact).model_copy(update={"client_id": client_id})


class ContactView(ContactLine):
    """A contact with its note; null where there is none, or where the person was erased."""

    model_config = example(**A_CONTACT, note="Asks for the October statement.")

    note: str | None = None

    @classmethod
    def with_note(cls, contact: Contact, client_id: UUID, note: str | None) -> Self:
        return cls.model_validate(ContactLine.of(contact, client_id).model_dump() | {"note": note})


@router.post("/contacts", status_code=201, responses=problems(UnknownClient, ContactTimesWrong, StaffNotStated))
async def log_contact(
    body: NewContact, tx: Tx, who: Annotated[Principal, may("contacts:log")], now: Now
) -> ContactView:
    """Record that somebody spoke with a client or its debtor, or tried to."""
    client = await get_client(tx, body.client_id, visible_to=who)
    staff_id = body.staff_id if who.scope is Scope.ALL and body.staff_id else who.staff_id
    if staff_id is None or (body.staff_id is not None and body.staff_id != staff_id):
        raise StaffNotStated("staff_id", "is yours, or stated by somebody who sees all clients")
    contact = Contact.log(client, now, staff_id=staff_id, **body.model_dump(exclude={"client_id", "staff_id", "note"}))
    if body.note is not None:
        key = await key_of_person(tx, contact.person_id, create=True)
        contact.note = key.seal(Contact.note, contact.id, body.note)
    tx.add(contact)
    emit(
        tx,
        ContactLogged(
            entity_id=contact.entity_id,
            branch_id=client.branch_id,
            occurred_at=contact.started_at,
            client_id=contact.client_id,
            contact_id=contact.id,
            channel=contact.channel,
            direction=contact.direction,
            staff_id=contact.staff_id,
            response_seconds=contact.response_seconds,
            outcome=contact.outcome,
        ),
    )
    return ContactView.with_note(contact, client.id, body.note)


@router.get("/contacts/{contact_id}", responses=problems(UnknownContact))
async def get_contact(contact_id: UUID, tx: ReadTx, who: Annotated[Principal, may("contacts:read")]) -> ContactView:
    """One contact, with its note."""
    seen = visible(who, Contact.client_id, Contact.entity_id)
    row = (
        await tx.execute(sa.select(Contact, resolved(Contact.client_id)).where(Contact.id == contact_id, seen))
    ).one_or_none()
    if row is None:
        raise UnknownContact(contact_id)
    contact, client_id = row
    note = None
    if contact.note is not None:
        note = (await key_of_person(tx, contact.person_id)).read(Contact.note, contact.id, contact.note)
    return ContactView.with_note(contact, client_id, note)


@router.get("/contacts")
async def list_contacts(
    tx: ReadTx,
    who: Annotated[Principal, may("contacts:read")],
    page: Paging,
    client_id: UUID | None = None,
    staff_id: UUID | None = None,
    channel: Annotated[Known[Channel] | None, Query()] = None,
    direction: ContactDirection | None = None,
    outcome: Annotated[Known[ContactOutcome] | None, Query()] = None,
    next_step_by: Annotated[Date | None, Query(description="Only contacts whose next step is due by this day")] = None,
) -> Page[ContactLine]:
    """Contacts that the caller may see, the latest first."""
    wanted = sa.select(Contact, resolved(Contact.client_id)).where(visible(who, Contact.client_id, Contact.entity_id))
    if client_id is not None:
        wanted = wanted.where(Contact.client_id.in_(await ids_of(tx, client_id)))
    equal = {"staff_id": staff_id, "channel": channel, "direction": direction, "outcome": outcome}
    wanted = wanted.where(*(getattr(Contact, name) == value for name, value in equal.items() if value is not None))
    if next_step_by is not None:
        wanted = wanted.where(Contact.next_step_on <= next_step_by)
    rows, cursor = await paginate(tx, wanted, Contact.started_at.desc(), Contact.id.desc(), page=page)
    items = [ContactLine.of(contact, resolved_id) for contact, resolved_id in rows]
    return Page(items=items, next_cursor=cursor, total=await total_of(tx, wanted, page))
