"""Finding clients: always within what the caller may see, by any id the client is known by."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar
from uuid import UUID

import sqlalchemy as sa
from fastapi import Query
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from client_service.clients.model import (
    Client,
    ClientIdentifier,
    ExternalNumber,
    ExternalNumberTaken,
    IdentifierRecord,
    IdentifierTaken,
    NumberRecord,
    UnknownClient,
)
from contracts.base import Code, party_id
from contracts.client import PartyRole, Stage
from servicekit.access import resolved, visible
from servicekit.auth import Principal


async def get_client(tx: AsyncSession, id: UUID, *, visible_to: Principal) -> Client:
    """The client of this id or alias; UnknownClient if there is none or the caller may not see it."""
    found = await tx.scalar(
        sa.select(Client).where(
            Client.id == resolved(sa.literal(id, sa.Uuid())), visible(visible_to, Client.id, Client.entity_id)
        )
    )
    if found is None:
        raise UnknownClient(id)
    return found


@dataclass(frozen=True)
class ClientFilter:
    """Which clients a list is about; every condition given must hold."""

    q: Annotated[
        str | None,
        Query(min_length=1, max_length=100, description="Part of a name, in any script; two characters are enough"),
    ] = None
    number: Annotated[
        str | None,
        Query(min_length=1, max_length=128, description="An identifier, or another system's number, exactly"),
    ] = None
    system: Annotated[Code | None, Query(description="With number: only this system's numbers")] = None
    stage: Annotated[list[Stage] | None, Query(description="Any of these stages")] = None
    role: Annotated[PartyRole | None, Query(description="Has this role")] = None
    industry: Annotated[Code | None, Query(description="Industry code, or the beginning of one")] = None
    region: Annotated[Code | None, Query()] = None
    rm: Annotated[UUID | None, Query(description="The relationship manager")] = None
    unassigned: Annotated[bool | None, Query(description="true: only clients without a relationship manager")] = None

    def select(self, who: Principal) -> sa.Select[Client]:
        """The clients the caller may see that meet all conditions."""
        found = sa.select(Client).where(visible(who, Client.id, Client.entity_id))
        if self.q is not None:
            for word in self.q.lower().split():
                found = found.where(Client.search_name.contains(word, autoescape=True))
        if self.number is not None:
            found = found.where(Client.id.in_(self._numbered(who.entity_id, self.number.strip())))
        if self.stage:
            found = found.where(Client.stage.in_(self.stage))
        if self.role is not None:
            found = found.where(Client.roles.contains([self.role.value]))
        if self.industry is not None:
            found = found.where(Client.industry.startswith(self.industry, autoescape=True))
        if self.region is not None:
            found = found.where(Client.region == self.region)
        if self.rm is not None:
            found = found.where(Client.rm_id == self.rm)
        if self.unassigned is not None:
            found = found.where(Client.rm_id.is_(None) if self.unassigned else Client.rm_id.is_not(None))
        return found

    def _numbered(self, entity_id: str, number: str) -> sa.Select[UUID] | sa.CompoundSelect[UUID]:
        if self.system is not None:
            return sa.select(ExternalNumber.client_id).where(ExternalNumber.alias_id == party_id(self.system, number))
        spellings = {number.upper(), "".join(each for each in number.upper() if each not in " -.")}
        return sa.union(
            sa.select(ClientIdentifier.client_id).where(
                ClientIdentifier.entity_id == entity_id, ClientIdentifier.value.in_(spellings)
            ),
            sa.select(ExternalNumber.client_id).where(
                ExternalNumber.entity_id == entity_id, ExternalNumber.number == number
            ),
        )


async def claim_identifiers(
    tx: AsyncSession, client: Client, records: Sequence[IdentifierRecord], *, held: Sequence[IdentifierRecord] = ()
) -> None:
    """Take these identifiers, but for those already held, waiting for whoever is just taking one of them.

    Raises IdentifierTaken with the field of the first that another client of the legal entity has.
    """
    for index, record in _in_one_order(records, held):
        taken = await tx.execute(
            insert(ClientIdentifier)
            .values(entity_id=client.entity_id, client_id=client.id, **record)
            .on_conflict_do_nothing()
            .returning(ClientIdentifier.client_id)
        )
        if taken.first() is None:
            raise IdentifierTaken(field=f"body.identifiers.{index}.value")


async def release_identifiers(tx: AsyncSession, client: Client, records: Sequence[IdentifierRecord]) -> None:
    """Give these identifiers of the client up."""
    for record in records:
        await tx.execute(
            sa.delete(ClientIdentifier).where(
                ClientIdentifier.client_id == client.id,
                ClientIdentifier.scheme == record["scheme"],
                ClientIdentifier.country == record["country"],
                ClientIdentifier.value == record["value"],
            )
        )


async def claim_numbers(
    tx: AsyncSession, client: Client, records: Sequence[NumberRecord], *, held: Sequence[NumberRecord] = ()
) -> None:
    """Take these external numbers, but for those already held; ExternalNumberTaken names the field of one taken."""
    for index, record in _in_one_order(records, held):
        taken = await tx.execute(
            insert(ExternalNumber)
            .values(
                alias_id=party_id(record["system"], record["number"]),
                entity_id=client.entity_id,
                client_id=client.id,
                **record,
            )
            .on_conflict_do_nothing()
            .returning(ExternalNumber.client_id)
        )
        if taken.first() is None:
            raise ExternalNumberTaken(field=f"body.external_numbers.{index}.number")


R = TypeVar("R", IdentifierRecord, NumberRecord)


def _in_one_order(records: Sequence[R], held: Sequence[R]) -> list[tuple[int, R]]:
    """Two transactions that claim the same numbers do it in the same order, so that they never wait for each other."""
    new = [(index, record) for index, record in enumerate(records) if record not in held]
    return sorted(new, key=lambda each: tuple(map(str, each[1].values())))
