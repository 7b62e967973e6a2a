"""Rating a client: by the scorecard as of a date, or by a risk officer's word with a reason."""

from datetime import date, timedelta
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field
from sqlalchemy import select

from contracts import Direction, RatingAssigned
from eventing.outbox import emit
from risk_service.clients.model import UnknownClient, start_of, today
from risk_service.clients.queries import visible_ids
from risk_service.rating.behaviour import behaviour_of, score_of
from risk_service.rating.deadlines import RATING_EXPIRY
from risk_service.rating.model import (
    ModelNotApplicable,
    NotEnoughHistory,
    RatedMeanwhile,
    Rating,
    RatingStatus,
    explanation,
    grades,
)
from risk_service.rating.scorecard import DEFAULT_GRADE, load_model
from risk_service.requests import Day, DecimalText, Reason
from servicekit.auth import Principal, may
from servicekit.clock import Now
from servicekit.concurrency import etag
from servicekit.database import ReadTx, Tx
from servicekit.examples import example
from servicekit.pagination import Page, Paging, paginate, total_of
from servicekit.problems import problems
from servicekit.requests import Body
from servicekit.scheduling import cancel, schedule

router = APIRouter(tags=["ratings"])
VALIDITY = timedelta(days=365)


class Override(Body):
    """A risk officer's grade in place of the scorecard's."""

    grade: str = Field(max_length=8, examples=["G4"])
    reason: Reason = Field(examples=["New client without history; audited accounts of 2025 reviewed."])


class NewRating(Body):
    """Assess as of a business date (default: today), or enter a grade by `override`."""

    model_config = example(
        override={"grade": "G4", "reason": "New client without history; audited accounts of 2025 reviewed."},
        valid_until="2027-11-30",
    )

    as_of: Day | None = None
    override: Override | None = None
    valid_until: Day | None = Field(default=None, description="Default: 365 days after as_of")


EXPLANATION: dict[str, Any] = {
    "model_version": "behaviour-2026.1",
    "base_points": "529.0",
    "score": "612.40",
    "model_pd": "0.0095",
    "grade": "G4",
    "formula": "score = base points + Σ points; PD = 1 ÷ (1 + e^((score − offset) ÷ factor)), at least 0.05 %",
    "factors": [
        {
            "factor": "top_debtor_share",
            "meaning": "largest debtor's share of gross sales",
            "value": "0.25",
            "bin": "0.1903 to 0.4939",
            "woe": "0.194934",
            "points": "2.43",
        }
    ],
}
"""A score taken apart, as an example."""


class RatingView(BaseModel):
    """A rating and why it is what it is."""

    model_config = example(
        grade="G4",
        pd="0.0095",
        score="612.40",
        model_version="behaviour-2026.1",
        override=False,
        valid_until="2027-11-02",
        previous_grade="G5",
        direction="up",
        status="current",
        assigned_by="0199a7c0-4444-7aaa-8aaa-000000000005",
        explanation=EXPLANATION,
    )

    id: UUID
    client_id: UUID
    as_of: date
    grade: str
    pd: DecimalText
    score: DecimalText | None
    model_version: str
    override: bool
    reason: str | None
    valid_until: date
    previous_grade: str | None
    direction: str
    status: str
    assigned_by: str
    explanation: dict[str, Any]

    @classmethod
    def of(cls, rating: Rating) -> Self:
        return cls(
            id=rating.id,
            client_id=rating.client_id,
            as_of=rating.as_of,
            grade=rating.grade,
            pd=rating.pd,
            score=rating.score,
            model_version=rating.model_version,
            override=rating.override,
            reason=rating.reason,
            valid_until=rating.valid_until,
            previous_grade=rating.previous_grade,
            direction=rating.direction,
            status=rating.status,
            assigned_by=rating.assigned_by,
            explanation=rating.explanation,
        )


class ScaleStep(BaseModel):
    """One grade of the master scale."""

    model_config = example(grade="G4", pd_up_to="0.0150", pd="0.0095")

    grade: str
    pd_up_to: DecimalText
    pd: DecimalText


class ScorecardView(BaseModel):
    """The scorecard in force: its master scale, and what is known of its quality."""

    model_config = example(
        version="behaviour-2026.1",
        grades=["G1", "G2", "G3", "G4", "G5", "G6", "G7", "G8", "G9", "D"],
        factors={"late_share": [{"below": "0.1", "woe": "0.61", "points": "18"}]},
    )

    version: str
    currency: str
    master_scale: list[ScaleStep]
    grades: list[str]
    factors: dict[str, list[dict[str, Any]]]


@router.post(
    "/clients/{client_id}/ratings",
    status_code=201,
    responses=problems(UnknownClient, NotEnoughHistory, ModelNotApplicable, RatedMeanwhile),
)
async def assign_rating(
    client_id: UUID,
    body: NewRating,
    tx: Tx,
    who: Annotated[Principal, may("ratings:assign")],
    now: Now,
    response: Response,
) -> RatingView:
    """Rate a client; the rating replaces the one before."""
    ids = await visible_ids(tx, who, client_id)
    as_of = body.as_of or await today(tx, who.entity_id, now)
    valid_until = body.valid_until or as_of + VALIDITY
    before = await tx.scalar(
        select(Rating)
        .where(Rating.entity_id == who.entity_id, Rating.client_id.in_(ids))
        .order_by(Rating.id.desc())
        .limit(1)
        .with_for_update()
    )
    facts, currencies = await behaviour_of(tx, who.entity_id, ids, as_of)
    said = score_of(load_model(), facts, currencies)
    if body.override is not None:
        rating = Rating.enter(
            who.entity_id,
            client_id,
            body.override.grade,
            body.override.reason,
            as_of,
            valid_until,
            who.subject,
            before,
            said,
        )
    elif said is not None:
        rating = Rating.assess(who.entity_id, client_id, said, as_of, valid_until, who.subject, before)
    elif facts.sufficient:
        raise ModelNotApplicable(client_id)
    else:
        raise NotEnoughHistory(client_id)
    if before is not None and before.status == RatingStatus.CURRENT:
        before.replace()
        await cancel(tx, before.id)
        await tx.flush()
    tx.add(rating)
    await schedule(
        tx, RATING_EXPIRY, id=rating.id, due_at=await start_of(tx, who.entity_id, valid_until + timedelta(days=1))
    )
    emit(
        tx,
        RatingAssigned(
            entity_id=who.entity_id,
            occurred_at=now,
            client_id=client_id,
            rating_id=rating.id,
            grade=rating.grade,
            pd=rating.pd,
            score=rating.score,
            model_version=rating.model_version,
            override=rating.override,
            valid_until=rating.valid_until,
            previous_grade=rating.previous_grade,
            direction=Direction(rating.direction),
        ),
    )
    etag(response, rating)
    return RatingView.of(rating)


@router.get("/clients/{client_id}/ratings", responses=problems(UnknownClient))
async def list_ratings(
    client_id: UUID, tx: ReadTx, who: Annotated[Principal, may("ratings:read")], page: Paging
) -> Page[RatingView]:
    """The client's ratings, newest first, each with its explanation."""
    ids = await visible_ids(tx, who, client_id)
    query = select(Rating).where(Rating.entity_id == who.entity_id, Rating.client_id.in_(ids))
    rows, cursor = await paginate(tx, query, Rating.id.desc(), page=page)
    return Page(items=[RatingView.of(r) for r in rows], next_cursor=cursor, total=await total_of(tx, query, page))


@router.get(
    "/clients/{client_id}/ratings/preview", responses=problems(UnknownClient, NotEnoughHistory, ModelNotApplicable)
)
async def preview_rating(
    client_id: UUID, tx: ReadTx, who: Annotated[Principal, may("ratings:read")], now: Now, as_of: Day | None = None
) -> Annotated[dict[str, Any], Field(examples=[EXPLANATION])]:
    """What the scorecard would say as of a date; nothing is assigned."""
    ids = await visible_ids(tx, who, client_id)
    facts, currencies = await behaviour_of(tx, who.entity_id, ids, as_of or await today(tx, who.entity_id, now))
    said = score_of(load_model(), facts, currencies)
    if said is None:
        raise ModelNotApplicable(client_id) if facts.sufficient else NotEnoughHistory(client_id)
    return explanation(said)


@router.get("/rating-scale")
async def get_rating_scale(who: Annotated[Principal, may("ratings:read")]) -> ScorecardView:
    """The scorecard in force and its master scale."""
    model = load_model()
    return ScorecardView(
        version=model.version,
        currency=model.currency,
        master_scale=[
            *(ScaleStep(grade=g.name, pd_up_to=g.upper, pd=g.pd) for g in model.scale),
            ScaleStep(grade=DEFAULT_GRADE, pd_up_to=model.scale[-1].upper, pd=model.scale[-1].upper),
        ],
        grades=grades(model),
        factors={
            name: [
                {"below": None if b.below is None else str(b.below), "woe": str(b.woe), "points": str(b.points)}
                for b in bins
            ]
            for name, bins in model.bins.items()
        },
    )
