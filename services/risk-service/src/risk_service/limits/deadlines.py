"""Reservations and limits that end by themselves, on wall time in the legal entity's zone."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts import LimitExpired, ReservationReleased
from contracts.risk import LimitKind, ReleaseReason
from eventing.outbox import emit
from risk_service.limits.model import CreditLimit, LimitStatus, Reservation, ReservationStatus
from servicekit.runtime import runtime_in
from servicekit.scheduling import DueWork, Work

due = DueWork()
RESERVATION_EXPIRY = "limits.reservation-expiry"
LIMIT_EXPIRY = "limits.limit-expiry"


@due(RESERVATION_EXPIRY)
async def expire_reservation(work: Work, tx: AsyncSession) -> None:
    """A reservation that was not drawn in time holds nothing any more."""
    held = list(
        await tx.scalars(
            select(Reservation)
            .where(Reservation.id == work.id, Reservation.status == ReservationStatus.HELD)
            .with_for_update()
        )
    )
    for reservation in held:
        reservation.end(ReservationStatus.EXPIRED)
    if held:
        emit(
            tx,
            ReservationReleased(
                entity_id=held[0].entity_id,
                occurred_at=runtime_in(tx).clock(),
                client_id=held[0].client_id,
                reservation_id=work.id,
                reason=ReleaseReason.EXPIRED,
            ),
        )


@due(LIMIT_EXPIRY)
async def expire_limit(work: Work, tx: AsyncSession) -> None:
    """A limit ended at its date."""
    limit = await tx.get(CreditLimit, work.id, with_for_update=True)
    if limit is None or limit.expires_on is None or limit.status == LimitStatus.EXPIRED:
        return
    limit.expire()
    emit(
        tx,
        LimitExpired(
            entity_id=limit.entity_id,
            occurred_at=runtime_in(tx).clock(),
            client_id=limit.client_id,
            limit_id=limit.id,
            kind=LimitKind(limit.kind),
            debtor_id=limit.debtor_id,
            expired_on=limit.expires_on,
        ),
    )
