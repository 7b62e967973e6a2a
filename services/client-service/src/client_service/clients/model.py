"""The client archive: who a client is, by which numbers it is known, and which duplicates are refused.

Invariants: within a legal entity an identifier belongs to one client. An external number belongs to one client of the
whole deployment, because the id that the bus knows it by (`contracts.base.party_id`) is the same for everyone; once
known it stays known, because other systems' records carry it.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Self, TypedDict
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from client_service.model_base import Base, words
from contracts.base import party_id
from contracts.client import SizeClass, Stage
from servicekit.database import Versioned
from servicekit.problems import Conflict, NotFound


class UnknownClient(NotFound):
    """There is no such client, or it is not yours to see.

    Check the id, and that the client belongs to your portfolio and legal entity.
    """


class IdentifierTaken(Conflict):
    """Another client of this legal entity has this identifier.

    Search with GET /clients?number=… for the client that has it; the two are probably one.
    """

    def __init__(
        self, *about: object, detail: str | None = None, field: str | None = None, reason: str | None = None
    ) -> None:
        super().__init__(*about, detail=detail, field=field or "body.identifiers", reason=reason)


class ExternalNumberTaken(Conflict):
    """Another client has this number of this system already.

    A system's code names one system of the whole deployment, and each of its numbers one client. Search with
    GET /clients?number=… for the client that has it, or use another code if you mean another system.
    """

    def __init__(
        self, *about: object, detail: str | None = None, field: str | None = None, reason: str | None = None
    ) -> None:
        super().__init__(*about, detail=detail, field=field or "body.external_numbers", reason=reason)


class ExternalNumberKept(Conflict):
    """A number that another system knows the client by cannot be removed.

    Send all external numbers the client already has, and the new ones.
    """

    def __init__(
        self, *about: object, detail: str | None = None, field: str | None = None, reason: str | None = None
    ) -> None:
        super().__init__(*about, detail=detail, field=field or "body.external_numbers", reason=reason)


class IdentifierRecord(TypedDict):
    """An identifier as it stands in the client's row: canonical value; country "" where the scheme needs none."""

    scheme: str
    country: str
    value: str


class NumberRecord(TypedDict):
    """An external number as it stands in the client's row."""

    system: str
    number: str


class Client(Versioned, Base):
    """A legal entity the factor deals with. `entity_id` is the factor's own legal entity, whose client it is;
    `contract_until` is the end of its longest signed contract."""

    __tablename__ = "client"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    entity_id: Mapped[str]
    branch_id: Mapped[str | None]
    name: Mapped[str]
    other_name: Mapped[str | None]
    search_name: Mapped[str] = mapped_column(
        sa.Computed("lower(name || ' ' || coalesce(other_name, ''))", persisted=True), deferred=True
    )
    identifiers: Mapped[list[IdentifierRecord]] = mapped_column(JSONB)
    external_numbers: Mapped[list[NumberRecord]] = mapped_column(JSONB)
    roles: Mapped[list[str]] = mapped_column(ARRAY(sa.Text))
    industry: Mapped[str | None]
    region: Mapped[str | None]
    size: Mapped[SizeClass | None] = mapped_column(words(SizeClass))
    stage: Mapped[Stage] = mapped_column(words(Stage))
    stage_since: Mapped[datetime]
    contract_until: Mapped[date | None]
    rm_id: Mapped[UUID | None]
    registered_at: Mapped[datetime]

    @property
    def aliases(self) -> tuple[UUID, ...]:
        """The ids by which the bus knows this client from other systems' numbers."""
        return tuple(party_id(known["system"], known["number"]) for known in self.external_numbers)

    def knows(self, numbers: Sequence[NumberRecord]) -> Self:
        """Replace the external numbers by these; ExternalNumberKept when one that is known is missing."""
        lost = [known for known in self.external_numbers if known not in numbers]
        if lost:
            raise ExternalNumberKept(self.id, field="body.external_numbers")
        self.external_numbers = list(numbers)
        return self


class ClientIdentifier(Base):
    """The claim of a client on an identifier: its key is what refuses the second client."""

    __tablename__ = "client_identifier"
    __table_args__ = {"info": {"audit": False}}

    entity_id: Mapped[str] = mapped_column(primary_key=True)
    scheme: Mapped[str] = mapped_column(primary_key=True)
    country: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[UUID] = mapped_column(index=True)


class ExternalNumber(Base):
    """The claim of a client on another system's number; `alias_id` is what the bus calls that party."""

    __tablename__ = "external_number"
    __table_args__ = {"info": {"audit": False}}

    alias_id: Mapped[UUID] = mapped_column(primary_key=True)
    entity_id: Mapped[str]
    system: Mapped[str]
    number: Mapped[str]
    client_id: Mapped[UUID] = mapped_column(index=True)
