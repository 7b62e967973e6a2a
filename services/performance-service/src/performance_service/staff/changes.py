"""What happens to a member of staff, told once: by HR's events or over the API, with the same effect.

Each change keeps its place in time (`Membership`), renews what decides access, and is published.
"""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from contracts.performance import StaffJoined, StaffLeft, StaffMoved, StaffRole
from eventing import emit
from performance_service.staff.model import AlreadyOnStaff, Membership, StaffMember
from servicekit.access import set_member, set_owner


async def _belongs(tx: AsyncSession, entity_id: str, staff_id: UUID, since: date, team_id: UUID | None) -> None:
    known = await tx.get(Membership, (staff_id, since))
    if known is None:
        tx.add(Membership(staff_id=staff_id, since=since, entity_id=entity_id, team_id=team_id))
    else:
        known.team_id = team_id


async def join(
    tx: AsyncSession, entity_id: str, staff_id: UUID, team_id: UUID, role: StaffRole, on: date, now: datetime
) -> StaffMember:
    """Take someone on, or take them on again after they left. Raises AlreadyOnStaff."""
    member = await tx.get(StaffMember, staff_id, with_for_update=True)
    if member is None:
        member = StaffMember(
            staff_id=staff_id, entity_id=entity_id, team_id=team_id, role=role, joined_on=on, left_on=None
        )
        tx.add(member)
    elif member.left_on is None or member.entity_id != entity_id:
        raise AlreadyOnStaff(staff_id)
    else:
        member.team_id, member.role, member.joined_on, member.left_on = team_id, role, on, None
    await tx.flush()
    await _belongs(tx, entity_id, staff_id, on, team_id)
    await set_member(tx, staff_id, entity_id, team_id, now)
    await set_owner(tx, staff_id, entity_id, staff_id, now)
    emit(
        tx,
        StaffJoined(entity_id=entity_id, occurred_at=now, staff_id=staff_id, team_id=team_id, role=role, joined_on=on),
    )
    return member


async def move(tx: AsyncSession, member: StaffMember, team_id: UUID, on: date, now: datetime) -> None:
    """To another team from a day on. Raises NotOnStaff."""
    before = member.team_id
    member.move(team_id)
    await _belongs(tx, member.entity_id, member.staff_id, on, team_id)
    await set_member(tx, member.staff_id, member.entity_id, team_id, now)
    emit(
        tx,
        StaffMoved(
            entity_id=member.entity_id,
            occurred_at=now,
            staff_id=member.staff_id,
            team_id=team_id,
            from_team_id=before,
            role=member.role,
            moved_on=on,
        ),
    )


async def leave(tx: AsyncSession, member: StaffMember, on: date, now: datetime) -> None:
    """Gone from a day on: no team any more, and nothing to see. Raises NotOnStaff."""
    member.leave(on)
    await _belongs(tx, member.entity_id, member.staff_id, on, None)
    await set_member(tx, member.staff_id, member.entity_id, None, now)
    emit(
        tx,
        StaffLeft(
            entity_id=member.entity_id,
            occurred_at=now,
            staff_id=member.staff_id,
            team_id=member.team_id,
            left_on=on,
        ),
    )
