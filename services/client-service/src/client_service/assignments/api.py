"""Assigning a relationship manager, and who it was before."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter
from pydantic import BaseModel, Field

from client_service.assignments.model import (
    AlreadyManager,
    EffectiveDayOutOfRange,
    RmAssignment,
    StaffDeparted,
    UnknownStaff,
)
from client_service.clients.model import UnknownClient
from client_service.clients.queries import get_client
from client_service.organisation.model import StaffMember, zone_of
from client_service.requests import Line
from contracts.client import RmAssigned
from eventing.outbox import emit
from servicekit.access import set_owner
from servicekit.auth import Principal, may
from servicekit.clock import Now
from servicekit.database import ReadTx, Tx
from servicekit.examples import example
from servicekit.problems import problems
from servicekit.requests import Body, Date

router = APIRouter(prefix="/clients/{client_id}", tags=["relationship managers"])


class NewManager(Body):
    """Who is to answer for the client, and why."""

    staff_id: UUID
    reason: Line = Field(examples=["Client moved to Shandong"])
    effective_on: Date | None = Field(
        default=None,
        description="From the start of this day in the legal entity's zone; not in the future. From now if not given.",
        examples=["2026-10-01"],
    )


class AssignmentView(BaseModel):
    """A relationship manager's time with a client begins."""

    model_config = example(reason="Client moved to Shandong", assigned_by="0199a7c0-4444-7aaa-8aaa-000000000005")

    id: UUID
    client_id: UUID
    staff_id: UUID
    from_staff_id: UUID | None
    reason: str
    assigned_at: datetime
    effective_at: datetime
    assigned_by: str

    @classmethod
    def of(cls, assignment: RmAssignment) -> Self:
        return cls(
            id=assignment.id,
            client_id=assignment.client_id,
            staff_id=assignment.staff_id,
            from_staff_id=assignment.from_staff_id,
            reason=assignment.reason,
            assigned_at=assignment.assigned_at,
            effective_at=assignment.effective_at,
            assigned_by=assignment.assigned_by,
        )


@router.post(
    "/relationship-manager",
    status_code=201,
    responses=problems(UnknownClient, UnknownStaff, StaffDeparted, AlreadyManager, EffectiveDayOutOfRange),
)
async def assign_relationship_manager(
    client_id: UUID, body: NewManager, tx: Tx, who: Annotated[Principal, may("assignments:assign")], now: Now
) -> AssignmentView:
    """Give the client to a relationship manager, who sees it from now on; the one before no longer does."""
    client = await get_client(tx, client_id, visible_to=who)
    staff = await tx.get(StaffMember, body.staff_id)
    latest = sa.select(RmAssignment).where(RmAssignment.client_id == client.id)
    before = await tx.scalar(latest.order_by(RmAssignment.effective_at.desc(), RmAssignment.id.desc()).limit(1))
    zone = await zone_of(tx, client.entity_id)
    assignment = RmAssignment.assign(
        client, staff, before, body.reason, who=who, now=now, effective_on=body.effective_on, zone=zone
    )
    tx.add(assignment)
    await set_owner(tx, client.id, client.entity_id, assignment.staff_id, now)
    emit(
        tx,
        RmAssigned(
            entity_id=client.entity_id,
            branch_id=client.branch_id,
            occurred_at=now,
            client_id=client.id,
            staff_id=assignment.staff_id,
            from_staff_id=assignment.from_staff_id,
            effective_at=assignment.effective_at,
        ),
    )
    return AssignmentView.of(assignment)


@router.get("/relationship-managers", responses=problems(UnknownClient))
async def list_relationship_managers(
    client_id: UUID, tx: ReadTx, who: Annotated[Principal, may("assignments:read")]
) -> list[AssignmentView]:
    """Who answered for the client over time, the latest first."""
    client = await get_client(tx, client_id, visible_to=who)
    found = await tx.scalars(
        sa.select(RmAssignment).where(RmAssignment.client_id == client.id).order_by(RmAssignment.id.desc())
    )
    return [AssignmentView.of(assignment) for assignment in found]
