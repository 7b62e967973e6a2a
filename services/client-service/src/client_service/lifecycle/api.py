"""Where a client stands, where it may go next and why not elsewhere, and taking the step."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Response
from pydantic import AfterValidator, BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from client_service.clients.api import ClientView
from client_service.clients.model import Client, UnknownClient
from client_service.clients.queries import get_client
from client_service.lifecycle.model import LifecycleStep
from client_service.lifecycle.rules import (
    NEXT,
    ComplaintOpen,
    ExposureOpen,
    NoRating,
    NoSignedContract,
    RatingNotValid,
    StageNotReachable,
    Standing,
    blocked,
)
from client_service.lifecycle.standing import standing_of
from client_service.requests import Line
from contracts.client import LifecycleChanged, LifecycleReason, Stage
from eventing.outbox import emit
from servicekit.auth import Principal, may
from servicekit.clock import Now
from servicekit.concurrency import etag
from servicekit.database import ReadTx, Tx
from servicekit.examples import example
from servicekit.problems import problems, slug
from servicekit.requests import Body, known

router = APIRouter(prefix="/clients/{client_id}/lifecycle", tags=["lifecycle"])


class Move(Body):
    """A step to another stage, and why."""

    model_config = example(
        to="prospect", reason="qualified", note="Met the finance manager; two years of invoices received."
    )

    to: Stage = Field(examples=["prospect"])
    reason: Annotated[LifecycleReason, AfterValidator(known)] = Field(examples=["qualified"])
    note: Line | None = None


class NextStage(BaseModel):
    """A stage that comes next, and what stands in the way if anything does."""

    model_config = example(
        stage="signed", allowed=False, blocked_by="no-rating", why="A client is signed only with a valid rating."
    )

    stage: Stage
    allowed: bool
    blocked_by: str | None = Field(
        description="The problem that the step would be answered with", examples=["no-rating"]
    )
    why: str | None


class StepView(BaseModel):
    """A step that was taken."""

    model_config = example(
        from_stage="under_assessment",
        to_stage="approved",
        reason="assessment_passed",
        taken_by="0199a7c0-4444-7aaa-8aaa-000000000005",
        staff_id="0199a7c0-4444-7aaa-8aaa-000000000005",
    )

    from_stage: Stage
    to_stage: Stage
    reason: LifecycleReason
    note: str | None
    taken_at: datetime
    taken_by: str
    staff_id: UUID | None

    @classmethod
    def of(cls, step: LifecycleStep) -> Self:
        return cls(
            from_stage=step.from_stage,
            to_stage=step.to_stage,
            reason=step.reason,
            note=step.note,
            taken_at=step.taken_at,
            taken_by=step.taken_by,
            staff_id=step.staff_id,
        )


class LifecycleView(BaseModel):
    """Where the client stands, where it may go, and how it came here (the first step first)."""

    model_config = example(stage="approved")

    client_id: UUID
    stage: Stage
    since: datetime
    next: list[NextStage]
    steps: list[StepView]


def _next(stage: Stage, standing: Standing) -> list[NextStage]:
    reasons = {to: blocked(stage, to, standing) for to in sorted(NEXT[stage], key=list(Stage).index)}
    return [
        NextStage(
            stage=to,
            allowed=problem is None,
            blocked_by=slug(type(problem)) if problem else None,
            why=problem.detail if problem else None,
        )
        for to, problem in reasons.items()
    ]


async def _steps(tx: AsyncSession, client: Client) -> list[StepView]:
    steps = await tx.scalars(
        sa.select(LifecycleStep).where(LifecycleStep.client_id == client.id).order_by(LifecycleStep.id)
    )
    return [StepView.of(step) for step in steps]


@router.get("", responses=problems(UnknownClient))
async def get_lifecycle(
    client_id: UUID, tx: ReadTx, who: Annotated[Principal, may("lifecycle:read")], now: Now
) -> LifecycleView:
    """The client's stage, the stages that may follow, and for each that may not yet, why."""
    client = await get_client(tx, client_id, visible_to=who)
    return LifecycleView(
        client_id=client.id,
        stage=client.stage,
        since=client.stage_since,
        next=_next(client.stage, await standing_of(tx, client, now)),
        steps=await _steps(tx, client),
    )


@router.post(
    "",
    status_code=201,
    responses=problems(
        UnknownClient, StageNotReachable, NoRating, RatingNotValid, NoSignedContract, ExposureOpen, ComplaintOpen
    ),
)
async def move_client(
    client_id: UUID,
    body: Move,
    response: Response,
    tx: Tx,
    who: Annotated[Principal, may("lifecycle:move")],
    now: Now,
) -> ClientView:
    """Take the client to another stage."""
    client = await get_client(tx, client_id, visible_to=who)
    standing = await standing_of(tx, client, now)
    step = LifecycleStep.take(client, body.to, body.reason, known=standing, who=who, now=now, note=body.note)
    tx.add(step)
    emit(
        tx,
        LifecycleChanged(
            entity_id=client.entity_id,
            branch_id=client.branch_id,
            occurred_at=now,
            client_id=client.id,
            from_stage=step.from_stage,
            to_stage=step.to_stage,
            reason=step.reason,
        ),
    )
    etag(response, client)
    return ClientView.of(client)
