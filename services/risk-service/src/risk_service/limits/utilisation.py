"""How much of a limit is used: funds in use where funding is known, else the open balance (the exposure)."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from risk_service.limits.model import CreditLimit, LimitStatus, Reservation, ReservationStatus
from risk_service.receivables.balances import Moment, balances, funds_in_use
from risk_service.receivables.model import Posting

EVER = date.max


@dataclass(frozen=True, slots=True)
class Utilisation:
    """`basis` is what counts against the limit: "funds" or "balance"."""

    basis: str
    used: Decimal
    reserved: Decimal
    headroom: Decimal


async def utilisation(
    tx: AsyncSession, limit: CreditLimit, client_ids: list[UUID], now: datetime, as_of: date = EVER
) -> Utilisation:
    """What stands against the limit. Reservations are read first: a drawing booked meanwhile then counts twice, never
    not at all."""
    reserved = await tx.scalar(
        select(func.coalesce(func.sum(Reservation.amount), 0)).where(
            Reservation.limit_id == limit.id,
            Reservation.status == ReservationStatus.HELD,
            Reservation.expires_at > now,
        )
    )
    held = Decimal(reserved or 0)
    at = Moment(as_of)
    client = and_(Posting.entity_id == limit.entity_id, Posting.client_id.in_(client_ids))
    if limit.debtor_id is None:
        funds = (await funds_in_use(tx, client, at)).get(limit.currency)
        if funds is not None:
            return _of(limit, "funds", funds, held)
        return _of(limit, "balance", (await balances(tx, client, at)).get(limit.currency, Decimal(0)), held)
    return _of(limit, "balance", await on_debtor(tx, limit, client_ids, at), held)


async def on_debtor(tx: AsyncSession, limit: CreditLimit, client_ids: list[UUID], at: Moment) -> Decimal:
    """The client's open balance on the limit's debtor, in the limit's currency."""
    client = and_(Posting.entity_id == limit.entity_id, Posting.client_id.in_(client_ids))
    return (await balances(tx, client, at, debtor_id=limit.debtor_id)).get(limit.currency, Decimal(0))


def _of(limit: CreditLimit, basis: str, used: Decimal, reserved: Decimal) -> Utilisation:
    left = limit.amount - used - reserved if limit.status == LimitStatus.ACTIVE else Decimal(0)
    return Utilisation(basis, used, reserved, left)
