"""Row scope: whose rows a caller sees. A service names the columns; this knows owners, groups and aliases.

Invariants: never another legal entity's rows; an object whose owner is not known is seen by scope ALL only; an id that
came as an alias is resolved when read, never rewritten. Writes are safe out of order: the latest `at` stands.
"""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from servicekit.auth import Principal, Scope
from servicekit.tables import access_member, access_owner, alias

UuidColumn = sa.ColumnElement[UUID] | InstrumentedAttribute[UUID]
TextColumn = sa.ColumnElement[str] | InstrumentedAttribute[str]


def visible(who: Principal, object_column: UuidColumn, entity_column: TextColumn) -> sa.ColumnElement[bool]:
    """The rows this caller may see under the current operation's permission; put it into every query.

    Raises:
        Forbidden: the caller does not have the permission at all.
    """
    entity = entity_column == who.entity_id
    scope = who.scope
    if scope is Scope.ALL:
        return entity
    if who.staff_id is None:
        return sa.false()
    owners = access_owner.c.owner_id == who.staff_id
    if scope is Scope.TEAM:
        mine = (
            sa.select(access_member.c.group_id)
            .where(access_member.c.member_id == who.staff_id, access_member.c.entity_id == who.entity_id)
            .scalar_subquery()
        )
        colleagues = sa.select(access_member.c.member_id).where(
            access_member.c.group_id == mine, access_member.c.entity_id == who.entity_id
        )
        owners = access_owner.c.owner_id.in_(colleagues)
    is_alias = sa.exists().where(alias.c.alias_id == access_owner.c.object_id)
    owned = sa.select(access_owner.c.object_id).where(owners, access_owner.c.entity_id == who.entity_id, ~is_alias)
    aliases = sa.select(alias.c.alias_id).where(alias.c.target_id.in_(owned))
    return sa.and_(entity, object_column.in_(owned.union_all(aliases)))


def resolved(column: UuidColumn) -> sa.ColumnElement[UUID]:
    """The canonical id of the id in this column: its alias's target, or itself."""
    target = sa.select(alias.c.target_id).where(alias.c.alias_id == column).correlate_except(alias).scalar_subquery()
    return sa.func.coalesce(target, column, type_=sa.Uuid())


async def canonical(tx: AsyncSession, id: UUID) -> UUID:
    """The id that this one stands for (itself, if it is no alias)."""
    return await tx.scalar(sa.select(alias.c.target_id).where(alias.c.alias_id == id)) or id


async def ids_of(tx: AsyncSession, id: UUID) -> list[UUID]:
    """The canonical id first, then every alias of it."""
    target = await canonical(tx, id)
    return [target, *(await tx.scalars(sa.select(alias.c.alias_id).where(alias.c.target_id == target)))]


async def set_owner(tx: AsyncSession, object_id: UUID, entity_id: str, owner_id: UUID | None, at: datetime) -> None:
    """From this moment on the object belongs to this owner (None: to nobody); an older moment changes nothing."""
    new = insert(access_owner).values(object_id=object_id, entity_id=entity_id, owner_id=owner_id, at=at)
    await tx.execute(
        new.on_conflict_do_update(
            index_elements=[access_owner.c.object_id],
            set_={"entity_id": new.excluded.entity_id, "owner_id": new.excluded.owner_id, "at": new.excluded.at},
            where=access_owner.c.at <= new.excluded.at,
        )
    )


async def set_member(tx: AsyncSession, member_id: UUID, entity_id: str, group_id: UUID | None, at: datetime) -> None:
    """From this moment on the member belongs to this group (None: to none); an older moment changes nothing."""
    new = insert(access_member).values(member_id=member_id, entity_id=entity_id, group_id=group_id, at=at)
    await tx.execute(
        new.on_conflict_do_update(
            index_elements=[access_member.c.member_id],
            set_={"entity_id": new.excluded.entity_id, "group_id": new.excluded.group_id, "at": new.excluded.at},
            where=access_member.c.at <= new.excluded.at,
        )
    )


async def add_alias(tx: AsyncSession, alias_id: UUID, target_id: UUID, at: datetime) -> None:
    """Let this id stand for another. Chains are flattened, in whichever order their links come; a circle is ignored."""
    target = await canonical(tx, target_id)
    if target == alias_id:
        return
    await tx.execute(sa.update(alias).where(alias.c.target_id == alias_id).values(target_id=target))
    new = insert(alias).values(alias_id=alias_id, target_id=target, at=at)
    await tx.execute(
        new.on_conflict_do_update(
            index_elements=[alias.c.alias_id],
            set_={"target_id": new.excluded.target_id, "at": new.excluded.at},
            where=alias.c.at <= new.excluded.at,
        )
    )
