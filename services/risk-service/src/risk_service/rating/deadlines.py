"""A rating ends at its date, on wall time in the legal entity's zone."""

from sqlalchemy.ext.asyncio import AsyncSession

from contracts import RatingExpired
from eventing.outbox import emit
from risk_service.rating.model import Rating, RatingStatus
from servicekit.runtime import runtime_in
from servicekit.scheduling import DueWork, Work

due = DueWork()
RATING_EXPIRY = "rating.expiry"


@due(RATING_EXPIRY)
async def expire_rating(work: Work, tx: AsyncSession) -> None:
    """No signing and no new funding on it from now on."""
    rating = await tx.get(Rating, work.id, with_for_update=True)
    if rating is None or rating.status != RatingStatus.CURRENT:
        return
    rating.expire()
    emit(
        tx,
        RatingExpired(
            entity_id=rating.entity_id,
            occurred_at=runtime_in(tx).clock(),
            client_id=rating.client_id,
            rating_id=rating.id,
            grade=rating.grade,
            valid_until=rating.valid_until,
        ),
    )
