"""Who answered for which clients on a day."""

from datetime import date
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy.dialects.postgresql import distinct_on

from contracts.base import Instant
from performance_service.organisation.model import Unit
from performance_service.portfolios.model import Assignment, end_of
from performance_service.staff.api import UnknownStaff
from performance_service.staff.model import StaffMember
from servicekit.access import visible
from servicekit.auth import Principal, may
from servicekit.clock import Now
from servicekit.database import ReadTx
from servicekit.problems import problems
from servicekit.requests import Date

router = APIRouter(prefix="/staff", tags=["portfolios"])


class Held(BaseModel):
    """A client in the portfolio, and since when this member of staff answers for it."""

    client_id: UUID
    since: Instant


class Portfolio(BaseModel):
    """The clients a member of staff answered for at the end of a day in the legal entity's zone."""

    staff_id: UUID
    on: date
    clients: list[Held]


@router.get("/{staff_id}/portfolio", responses=problems(UnknownStaff))
async def get_portfolio(
    staff_id: UUID,
    tx: ReadTx,
    who: Annotated[Principal, may("portfolios:read")],
    now: Now,
    on: Date | None = None,
) -> Portfolio:
    """The portfolio on a day; today's if none is given."""
    known = sa.select(StaffMember.staff_id).where(
        StaffMember.staff_id == staff_id, visible(who, StaffMember.staff_id, StaffMember.entity_id)
    )
    if await tx.scalar(known) is None:
        raise UnknownStaff(staff_id)
    entity = await tx.get(Unit, (who.entity_id, who.entity_id))
    zone = entity.zone if entity else ZoneInfo("UTC")
    day = on or now.astimezone(zone).date()
    holders = (
        sa.select(Assignment)
        .where(Assignment.entity_id == who.entity_id, Assignment.effective_at < end_of(day, zone))
        .ext(distinct_on(Assignment.client_id))
        .order_by(Assignment.client_id, Assignment.effective_at.desc(), Assignment.event_id.desc())
        .subquery()
    )
    held = await tx.execute(
        sa.select(holders.c.client_id, holders.c.effective_at)
        .where(holders.c.staff_id == staff_id)
        .order_by(holders.c.client_id)
    )
    return Portfolio(staff_id=staff_id, on=day, clients=[Held(client_id=c, since=at) for c, at in held])
