"""What a drawing does to a reservation, and a day-close to a limit."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts import BusinessDayClosed, FundingDrawn, LimitBreached, Money, ReservationReleased
from contracts.risk import ReleaseReason
from eventing.outbox import emit
from risk_service.limits.model import CreditLimit, Reservation, ReservationStatus, limits_by_client
from risk_service.limits.utilisation import on_debtor, utilisation
from risk_service.monitoring.evaluation import Figures
from risk_service.receivables.balances import CloseKey, Moment
from risk_service.receivables.model import position
from servicekit.access import ids_of
from servicekit.scheduling import cancel


async def use_reservation(tx: AsyncSession, event: FundingDrawn) -> None:
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
            cause=event,
        )


async def comparing(
    tx: AsyncSession, closes: Sequence[BusinessDayClosed], evaluated: Mapping[CloseKey, Figures]
) -> Callable[[BusinessDayClosed], None]:
    """What compares a client's limits with a close, one call for each of these closes, in order.

    A limit that is exceeded is told once, until it is kept again.
    """
    limits = await limits_by_client(tx, {(event.entity_id, event.client_id) for event in closes}, debtors_too=True)
    ids = {client: await ids_of(tx, client) for _, client in limits}
    used: dict[tuple[CloseKey, UUID], Decimal] = {}
    for event in closes:
        key = event.entity_id, event.client_id, event.business_date
        for limit in limits.get(key[:2], []):
            if limit.in_force(event.business_date):
                used[key, limit.id] = await _used(tx, event, limit, ids[event.client_id], evaluated[key])

    def compare(event: BusinessDayClosed) -> None:
        key = event.entity_id, event.client_id, event.business_date
        for limit in limits.get(key[:2], []):
            if limit.in_force(event.business_date):
                _compare(tx, event, limit, used[key, limit.id])

    return compare


async def _used(
    tx: AsyncSession, event: BusinessDayClosed, limit: CreditLimit, ids: list[UUID], figures: Figures
) -> Decimal:
    if limit.debtor_id is not None:
        return await on_debtor(tx, limit, ids, Moment(event.business_date, position=position(event)))
    if len(ids) > 1:
        return (await utilisation(tx, limit, ids, event.occurred_at, event.business_date)).used
    own = next((each for each in figures.snapshots if each.currency == limit.currency), None)
    return Decimal(0) if own is None else own.balance if own.funds_in_use is None else own.funds_in_use


def _compare(tx: AsyncSession, event: BusinessDayClosed, limit: CreditLimit, used: Decimal) -> None:
    exceeded = used > limit.amount
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
                exposure=Money(amount=used, currency=limit.currency),
                as_of=event.business_date,
            ),
            cause=event,
        )
    if exceeded != limit.breached:
        limit.breached = exceeded
