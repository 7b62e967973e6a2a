"""HR's staff changes become ours, and we tell them on: performance-service owns who is on which team."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.bank.hr import EmployeeJoined, EmployeeLeft, EmployeeMoved
from eventing import Subscriptions
from performance_service.staff import changes
from performance_service.staff.model import NotOnStaff, StaffMember

on = Subscriptions()


async def _member(tx: AsyncSession, event: EmployeeMoved | EmployeeLeft) -> StaffMember:
    """HR's events about a person come in order, so one about a stranger is a fault to be looked at, and parks."""
    member = await tx.scalar(
        sa.select(StaffMember)
        .where(StaffMember.staff_id == event.staff_id, StaffMember.entity_id == event.entity_id)
        .with_for_update()
    )
    if member is None:
        raise NotOnStaff(event.staff_id)
    return member


@on.react(EmployeeJoined)
async def someone_joins(event: EmployeeJoined, tx: AsyncSession) -> None:
    """Someone HR says has joined, and whom we have on this team already (over the API), stays as they are."""
    known = await tx.get(StaffMember, event.staff_id)
    if known is not None and known.left_on is None and known.team_id == event.team_id:
        return
    await changes.join(
        tx, event.entity_id, event.staff_id, event.team_id, event.role, event.joined_on, event.occurred_at
    )


@on.react(EmployeeMoved)
async def someone_moves(event: EmployeeMoved, tx: AsyncSession) -> None:
    await changes.move(tx, await _member(tx, event), event.team_id, event.moved_on, event.occurred_at)


@on.react(EmployeeLeft)
async def someone_leaves(event: EmployeeLeft, tx: AsyncSession) -> None:
    await changes.leave(tx, await _member(tx, event), event.left_on, event.occurred_at)
