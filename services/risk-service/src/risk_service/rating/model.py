"""A client's ratings: assessed by the scorecard, or entered by a risk officer with a reason; each valid until a date.

Invariant: at most one rating of a client is current; a new one replaces it, and time ends it.
"""

from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from sqlalchemy import Index, Numeric, text
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from contracts.risk import Direction
from risk_service.model_base import Base
from risk_service.rating.scorecard import DEFAULT_GRADE, Model, Score, load_model
from servicekit.database import Versioned
from servicekit.problems import Conflict, Invalid

LONGEST_VALIDITY = timedelta(days=366)
EXPERT = "expert-1"


class NotEnoughHistory(Conflict):
    """The client has sales in fewer than three of the 24 full months before the date: the scorecard cannot judge it.

    A risk officer may enter a grade with a reason (`override`).
    """


class ModelNotApplicable(Conflict):
    """The scorecard was made for another currency than the client's invoices are in.

    A risk officer may enter a grade with a reason (`override`).
    """


class RatedMeanwhile(Conflict):
    """Somebody else rated the client at the same moment.

    Read the rating; rate again if it is not what you would say.
    """

    constraint = "rating_one_current"


class RatingStatus(StrEnum):
    """Where a rating stands in its life."""

    CURRENT = "current"
    REPLACED = "replaced"
    EXPIRED = "expired"


class Rating(Versioned, Base):
    """A grade and PD with its explanation."""

    __tablename__ = "rating"
    __table_args__ = (
        Index("rating_one_current", "entity_id", "client_id", unique=True, postgresql_where=text("status = 'current'")),
        Index("rating_history", "entity_id", "client_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    entity_id: Mapped[str]
    client_id: Mapped[UUID]
    as_of: Mapped[date]
    grade: Mapped[str]
    pd: Mapped[Decimal] = mapped_column(Numeric(12, 8))
    score: Mapped[Decimal | None]
    model_version: Mapped[str]
    override: Mapped[bool]
    reason: Mapped[str | None]
    valid_until: Mapped[date]
    previous_grade: Mapped[str | None]
    direction: Mapped[str]
    explanation: Mapped[dict[str, Any]]
    assigned_by: Mapped[str]
    status: Mapped[str]

    @classmethod
    def assess(
        cls,
        entity_id: str,
        client_id: UUID,
        score: Score,
        as_of: date,
        valid_until: date,
        by: str,
        before: "Rating | None",
    ) -> Self:
        """What the scorecard says."""
        return cls._new(
            entity_id=entity_id,
            client_id=client_id,
            as_of=as_of,
            grade=score.grade.name,
            pd=score.grade.pd,
            score=score.score,
            model_version=score.model_version,
            override=False,
            reason=None,
            valid_until=valid_until,
            explanation=explanation(score),
            assigned_by=by,
            before=before,
        )

    @classmethod
    def enter(
        cls,
        entity_id: str,
        client_id: UUID,
        grade: str,
        reason: str,
        as_of: date,
        valid_until: date,
        by: str,
        before: "Rating | None",
        said: Score | None,
    ) -> Self:
        """What a risk officer says, beside what the scorecard would have said."""
        return cls._new(
            entity_id=entity_id,
            client_id=client_id,
            as_of=as_of,
            grade=grade,
            pd=pd_of(load_model(), grade),
            score=None,
            model_version=EXPERT,
            override=True,
            reason=reason,
            valid_until=valid_until,
            explanation={"scorecard_would_say": explanation(said) if said else None},
            assigned_by=by,
            before=before,
        )

    @classmethod
    def _new(cls, *, before: "Rating | None", as_of: date, valid_until: date, grade: str, **values: Any) -> Self:
        if not as_of < valid_until <= as_of + LONGEST_VALIDITY:
            raise Invalid("body.valid_until", "must lie after the rating's date, at most a year")
        previous = before.grade if before else None
        return cls(
            id=uuid7(),
            as_of=as_of,
            valid_until=valid_until,
            grade=grade,
            previous_grade=previous,
            direction=direction(load_model(), previous, grade).value,
            status=RatingStatus.CURRENT,
            **values,
        )

    def replace(self) -> None:
        """A newer rating takes its place."""
        self.status = RatingStatus.REPLACED

    def expire(self) -> None:
        """It has come to its date."""
        self.status = RatingStatus.EXPIRED


def grades(model: Model) -> list[str]:
    """The master scale from best to worst, default last."""
    return [*(grade.name for grade in model.scale), DEFAULT_GRADE]


def pd_of(model: Model, grade: str) -> Decimal:
    """The PD a grade stands for; 1 in default."""
    found = {g.name: g.pd for g in model.scale} | {DEFAULT_GRADE: Decimal(1)}
    if grade not in found:
        raise Invalid("body.override.grade", f"is not on the master scale: {', '.join(found)}")
    return found[grade]


def direction(model: Model, previous: str | None, grade: str) -> Direction:
    """How a grade compares with the one before; up is better."""
    if previous is None:
        return Direction.FIRST
    scale = grades(model)
    before, now = scale.index(previous), scale.index(grade)
    return Direction.SAME if now == before else Direction.UP if now < before else Direction.DOWN


def explanation(score: Score) -> dict[str, Any]:
    """A score taken apart, as it is stored and shown."""
    return {
        "model_version": score.model_version,
        "base_points": str(score.base_points),
        "score": str(score.score),
        "model_pd": f"{score.model_pd:f}",
        "grade": score.grade.name,
        "formula": "score = base points + Σ points; PD = 1 ÷ (1 + e^((score − offset) ÷ factor)), at least 0.05 %",
        "factors": [
            {
                "factor": part.factor,
                "meaning": part.meaning,
                "value": f"{part.value:f}",
                "bin": part.bin,
                "woe": str(part.woe),
                "points": str(part.points),
            }
            for part in score.factors
        ],
    }
