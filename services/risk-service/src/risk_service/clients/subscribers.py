"""Hears who the clients are, and in a consumer group of its own who may see them."""

from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from contracts import (
    ClientProfileChanged,
    ClientRegistered,
    ContractEnded,
    ContractSigned,
    LifecycleChanged,
    OrganisationChanged,
    RmAssigned,
    StaffJoined,
    StaffLeft,
    StaffMoved,
    UnitKind,
)
from eventing.subscriptions import Subscriptions
from risk_service.clients.model import Client, Contract, LegalEntity
from risk_service.model_base import Base
from servicekit.access import add_alias, set_member, set_owner

on = Subscriptions()
access = Subscriptions("access")


async def _put(tx: AsyncSession, model: type[Base], **values: Any) -> None:
    keys = [column.name for column in model.__table__.primary_key]
    put = insert(model).values(values)
    rest = {name: put.excluded[name] for name in values if name not in keys}
    await tx.execute(
        put.on_conflict_do_update(index_elements=keys, set_=rest)
        if rest
        else put.on_conflict_do_nothing(index_elements=keys)
    )


@on.project(ClientRegistered)
async def keep_client(event: ClientRegistered, tx: AsyncSession) -> None:
    """A client and its characteristics."""
    values = {
        "client_id": event.client_id,
        "entity_id": event.entity_id,
        "industry": event.industry,
        "size": event.size,
        "region": event.region,
    }
    await _put(tx, Client, **values)


@on.project(ClientProfileChanged)
async def keep_profile(event: ClientProfileChanged, tx: AsyncSession) -> None:
    """New characteristics; those not named stay."""
    told = {"industry": event.industry, "size": event.size, "region": event.region}
    changed = {name: value for name, value in told.items() if value is not None}
    await _put(tx, Client, client_id=event.client_id, entity_id=event.entity_id, **changed)


@on.project(LifecycleChanged)
async def keep_stage(event: LifecycleChanged, tx: AsyncSession) -> None:
    """Where the client stands in its life."""
    values = {"client_id": event.client_id, "entity_id": event.entity_id, "stage": event.to_stage.value}
    await _put(tx, Client, **values)


@on.project(ContractSigned)
async def keep_contract(event: ContractSigned, tx: AsyncSession) -> None:
    """A contract's limit and dates."""
    values = {
        "contract_id": event.contract_id,
        "client_id": event.client_id,
        "entity_id": event.entity_id,
        "limit_amount": event.limit.amount,
        "currency": event.limit.currency,
        "effective_from": event.effective_from,
        "expires_on": event.expires_on,
    }
    await _put(tx, Contract, **values)


@on.project(ContractEnded)
async def end_contract(event: ContractEnded, tx: AsyncSession) -> None:
    """A contract ended, whether or not its signing was heard of."""
    values = {
        "contract_id": event.contract_id,
        "client_id": event.client_id,
        "entity_id": event.entity_id,
        "ended_on": event.ended_on,
    }
    await _put(tx, Contract, **values)


@on.project(OrganisationChanged)
async def keep_entity(event: OrganisationChanged, tx: AsyncSession) -> None:
    """A legal entity's time zone."""
    if event.kind is UnitKind.ENTITY:
        await _put(tx, LegalEntity, entity_id=event.unit_id, time_zone=event.time_zone)


@access.project(ClientRegistered)
async def alias_client(event: ClientRegistered, tx: AsyncSession) -> None:
    """The ids of other systems stand for the client's."""
    for alias in event.aliases:
        await add_alias(tx, alias, event.client_id, event.occurred_at)


@access.project(ClientProfileChanged)
async def alias_more(event: ClientProfileChanged, tx: AsyncSession) -> None:
    """The client may be known by more numbers."""
    for alias in event.aliases:
        await add_alias(tx, alias, event.client_id, event.occurred_at)


@access.project(RmAssigned)
async def own_client(event: RmAssigned, tx: AsyncSession) -> None:
    """A relationship manager answers for the client."""
    await set_owner(tx, event.client_id, event.entity_id, event.staff_id, event.effective_at)


@access.project(StaffJoined)
async def staff_joined(event: StaffJoined, tx: AsyncSession) -> None:
    """Someone belongs to a team."""
    assert event.meta is not None
    await set_member(tx, event.staff_id, event.entity_id, event.team_id, event.meta.known_at)


@access.project(StaffMoved)
async def staff_moved(event: StaffMoved, tx: AsyncSession) -> None:
    """Someone belongs to another team."""
    assert event.meta is not None
    await set_member(tx, event.staff_id, event.entity_id, event.team_id, event.meta.known_at)


@access.project(StaffLeft)
async def staff_left(event: StaffLeft, tx: AsyncSession) -> None:
    """Someone belongs to no team any more."""
    assert event.meta is not None
    await set_member(tx, event.staff_id, event.entity_id, None, event.meta.known_at)
