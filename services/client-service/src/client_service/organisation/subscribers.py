"""Hearing performance-service, and ourselves: who belongs to which team, and who answers for which client.

What decides access has a consumer group of its own, so that nothing else can hold it up. Our own assignments and
aliases are written with the command that makes them; they are heard here too, so that a rebuild finds them again.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from client_service.organisation.model import KpiValue, StaffMember, Unit
from contracts.client import ClientProfileChanged, ClientRegistered, RmAssigned
from contracts.performance import KpiMeasured, OrganisationChanged, StaffJoined, StaffLeft, StaffMoved, StaffRole
from eventing.subscriptions import Subscriptions
from servicekit.access import add_alias, set_member, set_owner

access = Subscriptions("access")
on = Subscriptions()


@access.project(StaffJoined)
async def staff_joined(event: StaffJoined, tx: AsyncSession) -> None:
    """A member of staff belongs to a team."""
    await _member(tx, event, event.team_id, role=event.role, departed=False)


@access.project(StaffMoved)
async def staff_moved(event: StaffMoved, tx: AsyncSession) -> None:
    """A member of staff belongs to another team."""
    await _member(tx, event, event.team_id, role=event.role, departed=False)


@access.project(StaffLeft)
async def staff_left(event: StaffLeft, tx: AsyncSession) -> None:
    """A member of staff is gone and belongs to no team."""
    await _member(tx, event, None, role=None, departed=True)


async def _member(
    tx: AsyncSession,
    event: StaffJoined | StaffMoved | StaffLeft,
    team_id: UUID | None,
    *,
    role: StaffRole | None,
    departed: bool,
) -> None:
    assert event.meta is not None
    new = insert(StaffMember).values(
        staff_id=event.staff_id,
        entity_id=event.entity_id,
        team_id=team_id,
        role=role.value if role else None,
        departed=departed,
        known_at=event.meta.known_at,
    )
    named = ["entity_id", "team_id", "departed", "known_at", *(["role"] if role else [])]
    await tx.execute(
        new.on_conflict_do_update(
            index_elements=[StaffMember.staff_id], set_={name: new.excluded[name] for name in named}
        )
    )
    await set_member(tx, event.staff_id, event.entity_id, team_id, event.meta.known_at)


@access.project(RmAssigned)
async def rm_assigned(event: RmAssigned, tx: AsyncSession) -> None:
    """A member of staff answers for the client."""
    await set_owner(tx, event.client_id, event.entity_id, event.staff_id, event.effective_at)


@access.project(ClientRegistered)
async def client_registered(event: ClientRegistered, tx: AsyncSession) -> None:
    """The ids of other systems' numbers are the client's."""
    await _aliases(tx, event.client_id, event.aliases, event.occurred_at)


@access.project(ClientProfileChanged)
async def client_profile_changed(event: ClientProfileChanged, tx: AsyncSession) -> None:
    """The client may be known by more numbers."""
    await _aliases(tx, event.client_id, event.aliases, event.occurred_at)


async def _aliases(tx: AsyncSession, client_id: UUID, aliases: tuple[UUID, ...], at: datetime) -> None:
    for alias in aliases:
        await add_alias(tx, alias, client_id, at)


@on.project(OrganisationChanged)
async def organisation_changed(event: OrganisationChanged, tx: AsyncSession) -> None:
    """A unit is as stated."""
    new = insert(Unit).values(
        unit_id=event.unit_id,
        entity_id=event.entity_id,
        kind=event.kind.value,
        parent=event.parent,
        team_id=event.team_id,
        time_zone=event.time_zone,
        active=event.active,
    )
    named = ["kind", "parent", "team_id", "time_zone", "active"]
    await tx.execute(
        new.on_conflict_do_update(
            index_elements=[Unit.entity_id, Unit.unit_id], set_={name: new.excluded[name] for name in named}
        )
    )


@on.project(KpiMeasured)
async def kpi_measured(event: KpiMeasured, tx: AsyncSession) -> None:
    """A KPI's value, unless a higher revision is known."""
    assert event.meta is not None
    new = insert(KpiValue).values(
        subject_id=event.subject_id,
        kpi=event.kpi,
        period=event.period,
        entity_id=event.entity_id,
        subject_kind=event.subject_kind.value,
        value=event.value,
        target=event.target,
        evidence_count=event.evidence_count,
        revision=event.revision,
        known_at=event.meta.known_at,
    )
    named = ["value", "target", "evidence_count", "revision", "known_at"]
    await tx.execute(
        new.on_conflict_do_update(
            index_elements=[KpiValue.subject_id, KpiValue.kpi, KpiValue.period],
            set_={name: new.excluded[name] for name in named},
            where=KpiValue.revision < new.excluded.revision,
        )
    )
