"""Contact persons of a client: added, read, changed, erased. Nothing of this goes onto the bus."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from client_service.clients.model import Client, UnknownClient
from client_service.clients.queries import get_client
from client_service.persons.model import PERSONAL, ContactPerson, PersonErased, UnknownPerson
from client_service.requests import Line
from servicekit.auth import Principal, may
from servicekit.clock import Now
from servicekit.concurrency import IfMatch, etag, next_version
from servicekit.database import ReadTx, Tx
from servicekit.examples import example
from servicekit.personal import PersonKey, erase_person, key_of_person, person_keys
from servicekit.problems import PreconditionFailed, problems
from servicekit.requests import Body

router = APIRouter(prefix="/clients/{client_id}/contact-persons", tags=["contact persons"])

Phone = Annotated[str, Field(pattern=r"^\+?[0-9][0-9 ()/-]{3,30}$", examples=["+86 535 000 0000"])]
Email = Annotated[str, Field(pattern=r"^[^@\s]{1,64}@[^@\s]{1,190}$", examples=["person@example.com"])]
WeChat = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{5,19}$", examples=["wechat_id"])]


class NewPerson(Body):
    """A person at the client."""

    model_config = example(
        name="张三", position="Finance manager", phone="+86 535 000 0000", email="person@example.com"
    )

    name: Line
    position: Line | None = None
    phone: Phone | None = None
    email: Email | None = None
    wechat: WeChat | None = None


class PersonChange(Body):
    """What is to be changed of a person; what is left out stays."""

    model_config = example(position="Head of finance")

    name: Line = ""
    position: Line | None = None
    phone: Phone | None = None
    email: Email | None = None
    wechat: WeChat | None = None


class PersonView(BaseModel):
    """A contact person. After erasure only the id is left."""

    model_config = example(
        id="0199a7c0-3333-7aaa-8aaa-000000000004", position="Finance manager", name="张三", phone="+86 535 000 0000"
    )

    id: UUID
    client_id: UUID
    position: str | None
    name: str | None
    phone: str | None
    email: str | None
    wechat: str | None
    added_at: datetime
    erased_at: datetime | None
    version: int

    @classmethod
    def of(cls, person: ContactPerson, key: PersonKey) -> Self:
        return cls(
            id=person.id,
            client_id=person.client_id,
            position=person.position,
            added_at=person.added_at,
            erased_at=person.erased_at,
            version=next_version(person),
            **person.read(key),
        )


@router.post("", status_code=201, responses=problems(UnknownClient))
async def add_contact_person(
    client_id: UUID,
    body: NewPerson,
    response: Response,
    tx: Tx,
    who: Annotated[Principal, may("persons:change")],
    now: Now,
) -> PersonView:
    """Add a person whom we speak with at the client."""
    client = await get_client(tx, client_id, visible_to=who)
    person = ContactPerson(
        id=uuid7(),
        client_id=client.id,
        entity_id=client.entity_id,
        position=body.position,
        added_at=now,
        erased_at=None,
    )
    key = await key_of_person(tx, person.id, create=True)
    person.write(key, {field: getattr(body, field) for field in PERSONAL})
    tx.add(person)
    response.headers["Location"] = f"/clients/{client.id}/contact-persons/{person.id}"
    etag(response, person)
    return PersonView.of(person, key)


@router.get("", responses=problems(UnknownClient))
async def list_contact_persons(
    client_id: UUID, tx: ReadTx, who: Annotated[Principal, may("persons:read")]
) -> list[PersonView]:
    """The client's contact persons, in the order they were added, without those who were erased."""
    client = await get_client(tx, client_id, visible_to=who)
    persons = (
        await tx.scalars(
            sa.select(ContactPerson)
            .where(ContactPerson.client_id == client.id, ContactPerson.erased_at.is_(None))
            .order_by(ContactPerson.id)
        )
    ).all()
    keys = await person_keys(tx, [person.id for person in persons])
    return [PersonView.of(person, keys[person.id]) for person in persons]


@router.get("/{person_id}", responses=problems(UnknownClient, UnknownPerson))
async def get_contact_person(
    client_id: UUID, person_id: UUID, response: Response, tx: ReadTx, who: Annotated[Principal, may("persons:read")]
) -> PersonView:
    """One contact person."""
    person = await _person(tx, await get_client(tx, client_id, visible_to=who), person_id)
    etag(response, person)
    return PersonView.of(person, await key_of_person(tx, person.id))


@router.patch("/{person_id}", responses=problems(UnknownClient, UnknownPerson, PersonErased, PreconditionFailed))
async def change_contact_person(
    client_id: UUID,
    person_id: UUID,
    body: PersonChange,
    expected: IfMatch,
    response: Response,
    tx: Tx,
    who: Annotated[Principal, may("persons:change")],
) -> PersonView:
    """Change what is kept about a person."""
    person = await _person(tx, await get_client(tx, client_id, visible_to=who), person_id)
    expected.check(person)
    given: dict[str, Any] = {name: getattr(body, name) for name in body.model_fields_set}
    key = await key_of_person(tx, person.id)
    person.write(key, {field: text for field, text in given.items() if field in PERSONAL})
    if "position" in given:
        person.position = given["position"]
    etag(response, person)
    return PersonView.of(person, key)


@router.delete("/{person_id}", status_code=204, responses=problems(UnknownClient, UnknownPerson, PersonErased))
async def erase_contact_person(
    client_id: UUID, person_id: UUID, tx: Tx, who: Annotated[Principal, may("persons:change")], now: Now
) -> None:
    """Erase a person: from now on nobody can read what was kept, the audit trail included."""
    person = await _person(tx, await get_client(tx, client_id, visible_to=who), person_id)
    person.erase(now)
    await erase_person(tx, person.id)


async def _person(tx: AsyncSession, client: Client, person_id: UUID) -> ContactPerson:
    person = await tx.get(ContactPerson, person_id)
    if person is None or person.client_id != client.id:
        raise UnknownPerson(person_id)
    return person
