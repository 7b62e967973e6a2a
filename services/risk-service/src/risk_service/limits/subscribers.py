"""What a drawing and a day-close do to limits and reservations."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts import BusinessDayClosed, FundingDrawn, LimitBreached, Money, ReservationReleased
from contracts.risk import ReleaseReason
from eventing.outbox import emit
from eventing.subscriptions import Subscriptions
from risk_service.limits.model import CreditLimit, Reservation, ReservationStatus, limits_by_client
from risk_service.limits.utilisation import utilisation
from servicekit.access import ids_of
from servicekit.scheduling import cancel

on = Subscriptions()


@on.react(FundingDrawn)
async def use_reservation(event: FundingDrawn, tx: AsyncSession) -> None:
    """What was reserved is drawn: it counts as funds in use from now on."""
    if event.reservation_id is None:
        return
    held = list(
        await tx.scalars(
            select(Reservation)
            .where(
                Reservation.id == event.reservation_id,
                Reservation.entity_id == event.entity_id,
                Reservation.status == ReservationStatus.HELD,
            )
            .with_for_update()
        )
    )
    for reservation in held:
        reservation.end(ReservationStatus.USED)
    if held:
        await cancel(tx, event.reservation_id)
        emit(
            tx,
            ReservationReleased(
                entity_id=event.entity_id,
                branch_id=event.branch_id,
                occurred_at=event.occurred_at,
                client_id=held[0].client_id,
                reservation_id=event.reservation_id,
                reason=ReleaseReason.DRAWN,
            ),
        )


@on.react_batch(BusinessDayClosed)
async def compare_with_limits(events: list[BusinessDayClosed], tx: AsyncSession) -> None:
    """A limit that is exceeded at the close is told once, until it is kept again."""
    limits = await limits_by_client(tx, {(event.entity_id, event.client_id) for event in events}, debtors_too=True)
    for event in events:
        for limit in limits.get((event.entity_id, event.client_id), []):
            if limit.in_force(event.business_date):
                await _compare(tx, event, limit)


async def _compare(tx: AsyncSession, event: BusinessDayClosed, limit: CreditLimit) -> None:
    use = await utilisation(tx, limit, await ids_of(tx, event.client_id), event.occurred_at, event.business_date)
    exceeded = use.used > limit.amount
    if exceeded and not limit.breached:
        emit(
            tx,
            LimitBreached(
                entity_id=event.entity_id,
                branch_id=event.branch_id,
                occurred_at=event.occurred_at,
                client_id=limit.client_id,
                limit_id=limit.id,
                debtor_id=limit.debtor_id,
                amount=limit.money,
                exposure=Money(amount=use.used, currency=limit.currency),
                as_of=event.business_date,
            ),
            cause=event,
        )
    if exceeded != limit.breached:
        limit.breached = exceeded
