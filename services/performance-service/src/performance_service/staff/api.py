"""Staff over HTTP, for a bank whose HR system does not publish events, and for who wants to see a team."""

from datetime import date
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter
from pydantic import BaseModel, Field

from contracts.performance import StaffRole
from performance_service.organisation.model import Unit
from performance_service.staff import changes
from performance_service.staff.model import AlreadyOnStaff, NotOnStaff, StaffMember
from servicekit.access import visible
from servicekit.auth import Principal, may
from servicekit.clock import Now
from servicekit.database import ReadTx, Tx
from servicekit.pagination import Page, Paging, paginate, total_of
from servicekit.problems import Invalid, NotFound, problems
from servicekit.requests import Date

router = APIRouter(prefix="/staff", tags=["staff"])


class UnknownStaff(NotFound):
    """No member of staff with this id, or none you may see. Check the id, and whose figures your role opens."""


class UnknownTeam(Invalid):
    """The team named is not in the organisation of this legal entity. Create it first, or correct the id."""


class NewStaff(BaseModel):
    """Someone to take on."""

    staff_id: UUID
    team_id: UUID
    role: StaffRole
    joined_on: Date = Field(examples=["2026-01-05"])


class Move(BaseModel):
    """To which team, from which day on."""

    team_id: UUID
    moved_on: Date = Field(examples=["2026-07-01"])


class Leaving(BaseModel):
    """From which day on."""

    left_on: Date = Field(examples=["2026-10-31"])


class StaffView(BaseModel):
    """A member of staff as of now."""

    staff_id: UUID
    team_id: UUID
    role: StaffRole
    joined_on: date
    left_on: date | None = Field(examples=[None])

    @classmethod
    def of(cls, member: StaffMember) -> "StaffView":
        return cls(
            staff_id=member.staff_id,
            team_id=member.team_id,
            role=member.role,
            joined_on=member.joined_on,
            left_on=member.left_on,
        )


async def _team(tx: Tx, who: Principal, team_id: UUID) -> None:
    known = await tx.scalar(sa.select(Unit.unit_id).where(Unit.entity_id == who.entity_id, Unit.team_id == team_id))
    if known is None:
        raise UnknownTeam("body.team_id", "no such team in this legal entity")


async def _member(tx: Tx, who: Principal, staff_id: UUID) -> StaffMember:
    member = await tx.scalar(
        sa.select(StaffMember)
        .where(StaffMember.staff_id == staff_id, visible(who, StaffMember.staff_id, StaffMember.entity_id))
        .with_for_update()
    )
    if member is None:
        raise UnknownStaff(staff_id)
    return member


@router.post("", status_code=201, responses=problems(AlreadyOnStaff, UnknownTeam))
async def join_staff(body: NewStaff, tx: Tx, who: Annotated[Principal, may("staff:write")], now: Now) -> StaffView:
    """Take someone on in a team."""
    await _team(tx, who, body.team_id)
    member = await changes.join(tx, who.entity_id, body.staff_id, body.team_id, body.role, body.joined_on, now)
    return StaffView.of(member)


@router.post("/{staff_id}/move", responses=problems(UnknownStaff, NotOnStaff, UnknownTeam))
async def move_staff(
    staff_id: UUID, body: Move, tx: Tx, who: Annotated[Principal, may("staff:write")], now: Now
) -> StaffView:
    """Have someone work in another team from a day on."""
    await _team(tx, who, body.team_id)
    member = await _member(tx, who, staff_id)
    await changes.move(tx, member, body.team_id, body.moved_on, now)
    return StaffView.of(member)


@router.post("/{staff_id}/leave", responses=problems(UnknownStaff, NotOnStaff))
async def leave_staff(
    staff_id: UUID, body: Leaving, tx: Tx, who: Annotated[Principal, may("staff:write")], now: Now
) -> StaffView:
    """Record that someone no longer works here from a day on."""
    member = await _member(tx, who, staff_id)
    await changes.leave(tx, member, body.left_on, now)
    return StaffView.of(member)


@router.get("")
async def list_staff(
    tx: ReadTx,
    who: Annotated[Principal, may("staff:read")],
    page: Paging,
    team_id: UUID | None = None,
) -> Page[StaffView]:
    """The staff the asker may see, by id; of one team if asked."""
    wanted = sa.select(StaffMember).where(visible(who, StaffMember.staff_id, StaffMember.entity_id))
    if team_id is not None:
        wanted = wanted.where(StaffMember.team_id == team_id)
    rows, following = await paginate(tx, wanted, StaffMember.staff_id, page=page)
    return Page(
        items=[StaffView.of(row) for row in rows], next_cursor=following, total=await total_of(tx, wanted, page)
    )
