"""Client-service's assignments, kept over time; and the aliases by which other systems' ids find their client."""

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.client import ClientProfileChanged, ClientRegistered, RmAssigned
from eventing import Subscriptions
from performance_service.portfolios.model import Assignment
from servicekit.access import add_alias

on = Subscriptions()


@on.project(RmAssigned)
async def a_client_is_somebodys(event: RmAssigned, tx: AsyncSession) -> None:
    assert event.meta is not None
    await tx.execute(
        insert(Assignment)
        .values(
            event_id=event.meta.id,
            entity_id=event.entity_id,
            client_id=event.client_id,
            staff_id=event.staff_id,
            effective_at=event.effective_at,
        )
        .on_conflict_do_nothing()
    )


@on.project(ClientRegistered)
async def other_systems_know_it_by(event: ClientRegistered, tx: AsyncSession) -> None:
    for alias in event.aliases:
        await add_alias(tx, alias, event.client_id, event.occurred_at)


@on.project(ClientProfileChanged)
async def other_systems_also_know_it_by(event: ClientProfileChanged, tx: AsyncSession) -> None:
    for alias in event.aliases or ():
        await add_alias(tx, alias, event.client_id, event.occurred_at)
