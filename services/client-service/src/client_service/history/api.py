"""Every change of what is on file about a client: who, when, by which command, before and after (the audit trail)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter
from pydantic import BaseModel, Field

from client_service.clients.model import Client, UnknownClient
from client_service.clients.queries import get_client
from client_service.factoring_contracts.model import FactoringContract
from client_service.persons.model import ContactPerson
from servicekit.auth import Principal, may
from servicekit.database import ReadTx
from servicekit.examples import example
from servicekit.pagination import Page, Paging, paginate, total_of
from servicekit.problems import problems
from servicekit.tables import audit

router = APIRouter(prefix="/clients", tags=["clients"])


class ChangeView(BaseModel):
    """One change. Of a personal field it says that it changed, never what it was."""

    model_config = example(
        actor="0199a7c0-4444-7aaa-8aaa-000000000005",
        operation="change_client",
        record_id="0199a7c0-1111-7aaa-8aaa-000000000001",
        before={"industry": "C38"},
        after={"industry": "C39"},
    )

    at: datetime
    actor: str | None = Field(description="The subject of the token that did it")
    operation: str
    record: str = Field(examples=["client"])
    record_id: str
    action: str = Field(examples=["update"])
    before: dict[str, Any] | None = Field(description="The fields that changed, as they were; null for a new record")
    after: dict[str, Any] | None = Field(description="The same fields, as they became")

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Self:
        return cls(
            at=entry["at"],
            actor=entry["actor"],
            operation=entry["operation"],
            record=entry["table_name"],
            record_id=entry["row_id"],
            action=entry["action"],
            before=_unsealed(entry["before"]),
            after=_unsealed(entry["after"]),
        )


_SHOWN = ("at", "actor", "operation", "table_name", "row_id", "action", "before", "after")


def _unsealed(image: dict[str, Any] | None) -> dict[str, Any] | None:
    if image is None:
        return None
    return {name: "sealed" if isinstance(value, dict) and "sealed" in value else value for name, value in image.items()}


@router.get("/{client_id}/history", responses=problems(UnknownClient))
async def list_client_history(
    client_id: UUID, tx: ReadTx, who: Annotated[Principal, may("clients:history")], page: Paging
) -> Page[ChangeView]:
    """All changes of the client, its contracts and its contact persons, the latest first."""
    client = await get_client(tx, client_id, visible_to=who)
    text = sa.Text()
    contracts = sa.select(FactoringContract.id.cast(text)).where(FactoringContract.client_id == client.id)
    persons = sa.select(ContactPerson.id.cast(text)).where(ContactPerson.client_id == client.id)
    record, row = audit.c.table_name, audit.c.row_id
    changes = sa.select(*(audit.c[name] for name in _SHOWN)).where(
        sa.or_(
            sa.and_(record == Client.__tablename__, row == str(client.id)),
            sa.and_(record == FactoringContract.__tablename__, row.in_(contracts)),
            sa.and_(record == ContactPerson.__tablename__, row.in_(persons)),
        )
    )
    rows, cursor = await paginate(tx, changes, audit.c.id.desc(), page=page)
    return Page(
        items=[ChangeView.of(dict(zip(_SHOWN, each, strict=True))) for each in rows],
        next_cursor=cursor,
        total=await total_of(tx, changes, page),
    )
