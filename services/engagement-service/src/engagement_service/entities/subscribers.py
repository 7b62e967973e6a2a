"""Where and by which calendar a legal entity works, as performance-service tells it."""

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.performance import OrganisationChanged, UnitKind
from engagement_service.entities.model import DEFAULT_CALENDAR, DEFAULT_ZONE, LegalEntity
from eventing.subscriptions import Subscriptions

on = Subscriptions()


@on.project(OrganisationChanged)
async def place_entity(event: OrganisationChanged, tx: AsyncSession) -> None:
    """New clocks start by the calendar and zone told last; those that run keep theirs."""
    if event.kind is not UnitKind.ENTITY:
        return
    new = insert(LegalEntity).values(
        id=event.unit_id,
        calendar=event.calendar or DEFAULT_CALENDAR,
        time_zone=event.time_zone or DEFAULT_ZONE,
        told_at=event.occurred_at,
    )
    told = {name: new.excluded[name] for name in ("calendar", "time_zone", "told_at")}
    later = LegalEntity.told_at <= new.excluded.told_at
    await tx.execute(new.on_conflict_do_update(index_elements=[LegalEntity.id], set_=told, where=later))
