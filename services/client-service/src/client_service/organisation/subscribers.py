"""Hearing performance-service: the organisation, its KPIs, and who belongs to which team.

What decides access has a consumer group of its own, so that nothing else can hold it up.
"""

from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from client_service.organisation.model import KpiValue, StaffMember, Unit
from contracts.performance import KpiMeasured, OrganisationChanged, StaffJoined, StaffLeft, StaffMoved, StaffRole
from eventing.subscriptions import Subscriptions
from servicekit.access import set_member

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
