"""Who the clients are, who serves them, and by which other ids they are known: projections, in any order of arrival."""

from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.client import ClientProfileChanged, ClientRegistered, LifecycleChanged, RmAssigned
from contracts.performance import StaffJoined, StaffLeft, StaffMoved
from contracts.risk import AlertRaised, RatingAssigned
from engagement_service.clients.model import Client
from eventing.subscriptions import Subscriptions
from servicekit.access import add_alias, set_member, set_owner

on = Subscriptions()
access = Subscriptions(group="access")


@on.project(ClientRegistered)
async def remember_client(event: ClientRegistered, tx: AsyncSession) -> None:
    """From here on it is a client and no longer a stub."""
    told = {"entity_id": event.entity_id, "branch_id": event.branch_id, "registered": True}
    await _upsert(tx, event.client_id, event.entity_id, told)


@on.project(LifecycleChanged)
async def follow_lifecycle(event: LifecycleChanged, tx: AsyncSession) -> None:
    """The stage decides whether complaints and visits are taken."""
    await _upsert(tx, event.client_id, event.entity_id, {"stage": event.to_stage})


@on.project(AlertRaised)
async def note_warned_party(event: AlertRaised, tx: AsyncSession) -> None:
    """A party that risk-service speaks of exists, registered or not."""
    await _upsert(tx, event.client_id, event.entity_id, {})


@on.project(RatingAssigned)
async def note_rated_party(event: RatingAssigned, tx: AsyncSession) -> None:
    """A party that risk-service rates exists, registered or not."""
    await _upsert(tx, event.client_id, event.entity_id, {})


async def _upsert(tx: AsyncSession, client_id: UUID, entity_id: str, told: dict[str, Any]) -> None:
    stub = insert(Client).values({"id": client_id, "entity_id": entity_id, "registered": False} | told)
    if told:
        await tx.execute(stub.on_conflict_do_update(index_elements=[Client.id], set_=told))
    else:
        await tx.execute(stub.on_conflict_do_nothing())


@access.project(ClientRegistered)
async def know_aliases(event: ClientRegistered, tx: AsyncSession) -> None:
    """What came under another system's number belongs to the client."""
    for alias in event.aliases:
        await add_alias(tx, alias, event.client_id, event.occurred_at)


@access.project(ClientProfileChanged)
async def know_more_aliases(event: ClientProfileChanged, tx: AsyncSession) -> None:
    """Numbers that were added later."""
    for alias in event.aliases:
        await add_alias(tx, alias, event.client_id, event.occurred_at)


@access.project(RmAssigned)
async def own_client(event: RmAssigned, tx: AsyncSession) -> None:
    """Whose portfolio the client is in."""
    await set_owner(tx, event.client_id, event.entity_id, event.staff_id, event.effective_at)


@access.project(StaffJoined)
async def join_team(event: StaffJoined, tx: AsyncSession) -> None:
    """Whose team lead sees the portfolio."""
    assert event.meta is not None
    await set_member(tx, event.staff_id, event.entity_id, event.team_id, event.meta.known_at)


@access.project(StaffMoved)
async def change_team(event: StaffMoved, tx: AsyncSession) -> None:
    """The portfolio goes with its manager to the new team."""
    assert event.meta is not None
    await set_member(tx, event.staff_id, event.entity_id, event.team_id, event.meta.known_at)


@access.project(StaffLeft)
async def leave_team(event: StaffLeft, tx: AsyncSession) -> None:
    """Nobody's team any more: what they owned is seen by scope ALL only, until it is handed over."""
    assert event.meta is not None
    await set_member(tx, event.staff_id, event.entity_id, None, event.meta.known_at)
