"""Which client is meant, and whether the caller may see it."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from risk_service.clients.model import Client, UnknownClient
from servicekit.access import ids_of, visible
from servicekit.auth import Principal


async def visible_ids(tx: AsyncSession, who: Principal, client_id: UUID) -> list[UUID]:
    """All ids of a client that this caller may see, the canonical one first.

    Raises:
        UnknownClient: there is none, or it is not the caller's to see.
    """
    ids = await ids_of(tx, client_id)
    known = select(exists().where(Client.client_id.in_(ids), visible(who, Client.client_id, Client.entity_id)))
    if not await tx.scalar(known):
        raise UnknownClient(client_id)
    return ids


async def note_clients(tx: AsyncSession, clients: Iterable[tuple[str, UUID]]) -> None:
    """Leave a stub of each (entity, client) not heard of yet."""
    rows = [{"entity_id": entity, "client_id": client} for entity, client in sorted(set(clients))]
    await tx.execute(insert(Client).on_conflict_do_nothing(), rows)
