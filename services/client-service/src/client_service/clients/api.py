"""Registering, finding and changing clients."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Response
from pydantic import AfterValidator, BaseModel, Field, ValidationInfo, field_validator
from uuid_utils.compat import uuid7

from client_service.clients.identifiers import canonical
from client_service.clients.model import (
    Client,
    ExternalNumberKept,
    ExternalNumberTaken,
    IdentifierRecord,
    IdentifierTaken,
    NumberRecord,
    UnknownClient,
)
from client_service.clients.queries import (
    ClientFilter,
    claim_identifiers,
    claim_numbers,
    get_client,
    release_identifiers,
)
from client_service.requests import Line
from contracts.base import BranchId, Code, Token, party_id
from contracts.client import (
    ClientProfileChanged,
    ClientRegistered,
    PartyRole,
    RegistrationId,
    RegistrationScheme,
    SizeClass,
    Stage,
)
from contracts.client import ExternalNumber as PublishedNumber
from eventing.outbox import emit
from servicekit.access import add_alias
from servicekit.auth import Principal, may
from servicekit.clock import Now
from servicekit.concurrency import IfMatch, etag, next_version
from servicekit.database import ReadTx, Tx
from servicekit.examples import example
from servicekit.pagination import Page, Paging, paginate, total_of
from servicekit.problems import PreconditionFailed, problems
from servicekit.requests import Body, known

router = APIRouter(prefix="/clients", tags=["clients"])

Role = Annotated[PartyRole, AfterValidator(known)]
Size = Annotated[SizeClass, AfterValidator(known)]


class NewIdentifier(Body):
    """A register's number of the client; its check digits are verified and it is kept without separators."""

    scheme: Annotated[RegistrationScheme, AfterValidator(known)] = Field(examples=["uscc"])
    country: str = Field(
        default="",
        pattern=r"^([A-Z]{2}(-[A-Z0-9]{1,3})?)?$",
        description="ISO 3166 country, or subdivision, of the register; needed for tax and national",
        examples=["CN"],
    )
    value: str = Field(min_length=1, max_length=64, examples=["91370600679228211U"])

    @field_validator("value")
    @classmethod
    def _checked(cls, value: str, info: ValidationInfo) -> str:
        if "scheme" not in info.data or "country" not in info.data:
            return value
        return canonical(info.data["scheme"], value, info.data["country"])

    def record(self) -> IdentifierRecord:
        country = "" if self.scheme in {RegistrationScheme.USCC, RegistrationScheme.LEI} else self.country
        return {"scheme": self.scheme.value, "country": country, "value": self.value}


class NewExternalNumber(Body):
    """The number that another system knows the client by; what comes under it on the bus belongs to the client."""

    system: Code = Field(examples=["core-ledger"])
    number: Token = Field(examples=["S-004711"])

    def record(self) -> NumberRecord:
        return {"system": self.system, "number": self.number}


def _each_once(records: list[Any]) -> list[Any]:
    if len({str(record.record()) for record in records}) < len(records):
        raise ValueError("each may be named once")
    return records


Identifiers = Annotated[list[NewIdentifier], Field(max_length=20), AfterValidator(_each_once)]
Numbers = Annotated[list[NewExternalNumber], Field(max_length=50), AfterValidator(_each_once)]
Roles = Annotated[list[Role], Field(min_length=1, max_length=10)]


class NewClient(Body):
    """A client to be registered; it begins as a lead."""

    name: Line = Field(examples=["烟台市东上电子有限公司"])
    other_name: Line | None = Field(default=None, examples=["YANTAI DONSA ELECTRONIC CO.,LTD"])
    identifiers: Identifiers = []
    external_numbers: Numbers = []
    roles: Roles = [PartyRole.CLIENT]
    industry: Code | None = Field(default=None, examples=["C39"])
    region: Code | None = Field(default=None, examples=["CN-SD"])
    size: Size | None = Field(default=None, examples=["small"])
    branch_id: BranchId | None = None


class ClientChange(Body):
    """What is to be changed; what is left out stays. Lists are given whole."""

    model_config = example(name="烟台市东上电子有限公司", industry="C39", region="CN-SD", size="medium")

    name: Line = ""
    other_name: Line | None = None
    identifiers: Identifiers = []
    external_numbers: Numbers = Field(default=[], description="All that are known, and new ones: none is ever removed")
    roles: Roles = []
    industry: Code | None = None
    region: Code | None = None
    size: Size | None = None
    branch_id: BranchId | None = None

    def values(self) -> dict[str, Any]:
        """Attribute of Client → its new value, for what was given."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        for listed in {"identifiers", "external_numbers"} & given.keys():
            given[listed] = [each.record() for each in given[listed]]
        if "roles" in given:
            given["roles"] = _words(given["roles"])
        return given


def _words(roles: Sequence[PartyRole]) -> list[str]:
    return sorted({role.value for role in roles})


class IdentifierView(BaseModel):
    """A register's number of a client."""

    scheme: str
    country: str
    value: str


class ExternalNumberView(BaseModel):
    """Another system's number of a client, and the id the bus knows it by."""

    system: str
    number: str
    alias_id: UUID


class ClientView(BaseModel):
    """A client as it is on file."""

    model_config = example(
        id="0199a7c0-1111-7aaa-8aaa-000000000001",
        other_name="YANTAI DONSA ELECTRONIC CO.,LTD",
        industry="C39",
        region="CN-SD",
        size="small",
        stage="active",
        stage_since="2026-03-10T02:15:00Z",
        rm_id="0199a7c0-4444-7aaa-8aaa-000000000005",
        registered_at="2026-02-02T01:30:00Z",
        version=5,
    )

    id: UUID
    entity_id: str
    branch_id: str | None
    name: str
    other_name: str | None
    identifiers: list[IdentifierView]
    external_numbers: list[ExternalNumberView]
    roles: list[PartyRole]
    industry: str | None
    region: str | None
    size: SizeClass | None
    stage: Stage
    stage_since: datetime
    rm_id: UUID | None = Field(description="The relationship manager; null: none yet")
    registered_at: datetime
    version: int

    @classmethod
    def of(cls, client: Client) -> Self:
        return cls(
            id=client.id,
            entity_id=client.entity_id,
            branch_id=client.branch_id,
            name=client.name,
            other_name=client.other_name,
            identifiers=[IdentifierView(**record) for record in client.identifiers],
            external_numbers=[
                ExternalNumberView(**record, alias_id=party_id(record["system"], record["number"]))
                for record in client.external_numbers
            ],
            roles=[PartyRole(role) for role in client.roles],
            industry=client.industry,
            region=client.region,
            size=client.size,
            stage=client.stage,
            stage_since=client.stage_since,
            rm_id=client.rm_id,
            registered_at=client.registered_at,
            version=next_version(client),
        )


@router.post("", status_code=201, responses=problems(IdentifierTaken, ExternalNumberTaken))
async def register_client(
    body: NewClient, response: Response, tx: Tx, who: Annotated[Principal, may("clients:register")], now: Now
) -> ClientView:
    """Put a client on file, as a lead. What the bus said under its external numbers before is its own from now on."""
    client = Client(
        id=uuid7(),
        entity_id=who.entity_id,
        branch_id=body.branch_id,
        name=body.name,
        other_name=body.other_name,
        identifiers=[each.record() for each in body.identifiers],
        external_numbers=[each.record() for each in body.external_numbers],
        roles=_words(body.roles),
        industry=body.industry,
        region=body.region,
        size=body.size,
        stage=Stage.LEAD,
        stage_since=now,
        contract_until=None,
        rm_id=None,
        registered_at=now,
    )
    tx.add(client)
    await claim_identifiers(tx, client, client.identifiers)
    await claim_numbers(tx, client, client.external_numbers)
    for alias in client.aliases:
        await add_alias(tx, alias, client.id, now)
    emit(
        tx,
        ClientRegistered(
            entity_id=client.entity_id,
            branch_id=client.branch_id,
            occurred_at=now,
            client_id=client.id,
            external_numbers=tuple(PublishedNumber(**record) for record in client.external_numbers),
            aliases=client.aliases,
            roles=tuple(PartyRole(role) for role in client.roles),
            industry=client.industry,
            size=client.size,
            region=client.region,
            registration_ids=tuple(
                RegistrationId(scheme=RegistrationScheme(record["scheme"]), value=record["value"])
                for record in client.identifiers
            ),
        ),
    )
    response.headers["Location"] = f"/clients/{client.id}"
    etag(response, client)
    return ClientView.of(client)


class Sort(StrEnum):
    """How a list of clients is ordered."""

    NEWEST = "-registered_at"
    OLDEST = "registered_at"
    NAME = "name"
    STAGE_SINCE = "-stage_since"


_ORDER: dict[Sort, Any] = {
    Sort.NEWEST: sa.desc(Client.registered_at),
    Sort.OLDEST: sa.asc(Client.registered_at),
    Sort.NAME: sa.asc(Client.name),
    Sort.STAGE_SINCE: sa.desc(Client.stage_since),
}


@router.get("")
async def list_clients(
    tx: ReadTx,
    who: Annotated[Principal, may("clients:read")],
    wanted: Annotated[ClientFilter, Depends()],
    page: Paging,
    sort: Annotated[Sort, Query()] = Sort.NEWEST,
) -> Page[ClientView]:
    """Find clients by part of a name, by a number, by stage, manager, industry …"""
    found = wanted.select(who)
    clients, cursor = await paginate(tx, found, _ORDER[sort], Client.id, page=page)
    return Page(
        items=[ClientView.of(client) for client in clients],
        next_cursor=cursor,
        total=await total_of(tx, found, page),
    )


@router.get("/{client_id}", responses=problems(UnknownClient))
async def get_client_by_id(
    client_id: UUID, response: Response, tx: ReadTx, who: Annotated[Principal, may("clients:read")]
) -> ClientView:
    """A client, by its id or by any id the bus knows it by."""
    client = await get_client(tx, client_id, visible_to=who)
    etag(response, client)
    return ClientView.of(client)


@router.patch(
    "/{client_id}",
    responses=problems(UnknownClient, IdentifierTaken, ExternalNumberTaken, ExternalNumberKept, PreconditionFailed),
)
async def change_client(
    client_id: UUID,
    body: ClientChange,
    expected: IfMatch,
    response: Response,
    tx: Tx,
    who: Annotated[Principal, may("clients:change")],
    now: Now,
) -> ClientView:
    """Change what is on file. A change that changes nothing is no change: no new version, no event."""
    client = await get_client(tx, client_id, visible_to=who)
    expected.check(client)
    new = {name: value for name, value in body.values().items() if value != getattr(client, name)}
    if "identifiers" in new:
        lost = [record for record in client.identifiers if record not in new["identifiers"]]
        await release_identifiers(tx, client, lost)
        await claim_identifiers(tx, client, new["identifiers"], held=client.identifiers)
    if "external_numbers" in new:
        await claim_numbers(tx, client, new["external_numbers"], held=client.external_numbers)
        client.knows(new.pop("external_numbers"))
        for alias in client.aliases:
            await add_alias(tx, alias, client.id, now)
        changed = {*new, "external_numbers", "aliases"}
    else:
        changed = set(new)
    for name, value in new.items():
        setattr(client, name, value)
    if changed:
        emit(
            tx,
            ClientProfileChanged(
                entity_id=client.entity_id,
                branch_id=client.branch_id,
                occurred_at=now,
                client_id=client.id,
                version=next_version(client),
                fields=tuple(sorted(changed)),
                industry=client.industry,
                size=client.size,
                region=client.region,
                aliases=client.aliases,
            ),
        )
    etag(response, client)
    return ClientView.of(client)
