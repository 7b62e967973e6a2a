"""Credit limits and what is reserved on them.

Invariant: utilisation + standing reservations + a new reservation never exceed the limit: whoever reserves holds the
limit's row locked until the end of the transaction. A frozen or expired limit has no headroom.
"""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from sqlalchemy import Index, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from contracts import Money
from contracts.risk import LimitKind, LimitReason
from risk_service.model_base import Base
from servicekit.access import ids_of
from servicekit.database import Versioned
from servicekit.problems import Conflict, Invalid, NotFound
from servicekit.tables import alias


class LimitExists(Conflict):
    """There is a limit of this kind already.

    Adjust it instead of approving a second one.
    """

    constraint = "credit_limit_one_active"


class LimitNotActive(Conflict):
    """The limit is frozen or expired.

    Look at its status; a frozen one must be adjusted (which lifts the freeze) before it can be used.
    """


class HeadroomExceeded(Conflict):
    """The amount is more than what the limit has left.

    Ask for at most the headroom that `GET /clients/{id}/limits` shows, or have the limit adjusted.
    """


class NoLimit(Conflict):
    """The client has no limit in this currency.

    Have one approved first: `POST /clients/{client_id}/limits`.
    """


class UnknownLimit(NotFound):
    """There is no such limit, or it is not yours to see.

    `GET /clients/{client_id}/limits` lists those there are.
    """


class UnknownReservation(NotFound):
    """There is no such reservation, or it is not yours to see.

    Check the id that reserving returned.
    """


class ReservationEnded(Conflict):
    """The reservation has been used, released or has expired.

    Make a new one.
    """


class LimitStatus(StrEnum):
    """Where a limit stands in its life."""

    ACTIVE = "active"
    FROZEN = "frozen"
    EXPIRED = "expired"


class ReservationStatus(StrEnum):
    """Where a reservation stands in its life."""

    HELD = "held"
    USED = "used"
    RELEASED = "released"
    EXPIRED = "expired"


class CreditLimit(Versioned, Base):
    """How much may stand against a client (or against one client on one debtor)."""

    __tablename__ = "credit_limit"
    __table_args__ = (
        Index(
            "credit_limit_one_active",
            "entity_id",
            "client_id",
            "kind",
            "debtor_id",
            "currency",
            unique=True,
            postgresql_where=text("status <> 'expired'"),
            postgresql_nulls_not_distinct=True,
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    entity_id: Mapped[str]
    client_id: Mapped[UUID]
    kind: Mapped[str]
    debtor_id: Mapped[UUID | None]
    amount: Mapped[Decimal]
    currency: Mapped[str]
    effective_from: Mapped[date]
    expires_on: Mapped[date | None]
    status: Mapped[str]
    reason: Mapped[str | None]
    breached: Mapped[bool]

    @classmethod
    def approve(
        cls,
        entity_id: str,
        client_id: UUID,
        amount: Money,
        debtor_id: UUID | None,
        effective_from: date,
        expires_on: date | None,
    ) -> Self:
        """A new limit; on one debtor if one is named, else on the client as a whole."""
        _dates(effective_from, expires_on)
        return cls(
            id=uuid7(),
            entity_id=entity_id,
            client_id=client_id,
            kind=(LimitKind.CLIENT_DEBTOR if debtor_id else LimitKind.CLIENT).value,
            debtor_id=debtor_id,
            amount=amount.amount,
            currency=amount.currency,
            effective_from=effective_from,
            expires_on=expires_on,
            status=LimitStatus.ACTIVE,
            breached=False,
        )

    def adjust(self, amount: Decimal, expires_on: date | None, reason: LimitReason) -> Money:
        """Another amount or end; lifts a freeze. Returns the amount before."""
        if self.status == LimitStatus.EXPIRED:
            raise LimitNotActive(self.id)
        _dates(self.effective_from, expires_on)
        previous = self.money
        self.amount, self.expires_on, self.reason = amount, expires_on, reason.value
        self.status = LimitStatus.ACTIVE
        return previous

    def freeze(self, reason: LimitReason) -> None:
        """No more may be drawn."""
        if self.status != LimitStatus.ACTIVE:
            raise LimitNotActive(self.id)
        self.status, self.reason = LimitStatus.FROZEN, reason.value

    def expire(self) -> None:
        """It ended at its date."""
        self.status = LimitStatus.EXPIRED

    @property
    def money(self) -> Money:
        return Money(amount=self.amount, currency=self.currency)

    def usable_on(self, day: date) -> bool:
        """Whether something may be drawn on it on that date."""
        return self.status == LimitStatus.ACTIVE and self.in_force(day)

    def in_force(self, day: date) -> bool:
        """Whether it bounds anything on that date, frozen or not."""
        return self.effective_from <= day and (self.expires_on is None or day <= self.expires_on)


class Reservation(Versioned, Base):
    """Headroom put aside under one limit for a funding about to be drawn, until it is drawn, released or expires.

    A reservation under several limits is as many rows with one id.
    """

    __tablename__ = "limit_reservation"
    __table_args__ = (Index("limit_reservation_held", "limit_id", postgresql_where=text("status = 'held'")),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    limit_id: Mapped[UUID] = mapped_column(primary_key=True)
    entity_id: Mapped[str]
    client_id: Mapped[UUID]
    amount: Mapped[Decimal]
    currency: Mapped[str]
    status: Mapped[str]
    expires_at: Mapped[datetime]

    @classmethod
    def hold(cls, id: UUID, limit: CreditLimit, amount: Decimal, headroom: Decimal, day: date, until: datetime) -> Self:
        """Put `amount` aside if the limit may be used that day and has so much left."""
        if not limit.usable_on(day):
            raise LimitNotActive(limit.id)
        if amount > headroom:
            raise HeadroomExceeded(limit.id)
        return cls(
            id=id,
            limit_id=limit.id,
            entity_id=limit.entity_id,
            client_id=limit.client_id,
            amount=amount,
            currency=limit.currency,
            status=ReservationStatus.HELD,
            expires_at=until,
        )

    def end(self, status: ReservationStatus) -> None:
        """Used, released or expired: it holds nothing any more."""
        if self.status != ReservationStatus.HELD:
            raise ReservationEnded(self.id)
        self.status = status


def _dates(effective_from: date, expires_on: date | None) -> None:
    if expires_on is not None and expires_on < effective_from:
        raise Invalid("body.expires_on", "lies before effective_from")


async def client_limits(
    tx: AsyncSession, entity_id: str, client_ids: list[UUID], *, lock: bool = False, **equal: Any
) -> list[CreditLimit]:
    """The limits of a client under all its ids that have not expired, oldest first."""
    query = (
        select(CreditLimit)
        .where(
            CreditLimit.entity_id == entity_id,
            CreditLimit.client_id.in_(client_ids),
            CreditLimit.status != LimitStatus.EXPIRED,
        )
        .filter_by(**equal)
        .order_by(CreditLimit.id)
    )
    return list(await tx.scalars(query.with_for_update() if lock else query))


async def limits_by_client(
    tx: AsyncSession, clients: set[tuple[str, UUID]], *, debtors_too: bool = False
) -> dict[tuple[str, UUID], list[CreditLimit]]:
    """(entity, client) → its limits that have not expired, found under any of the client's ids; oldest first."""
    asked = {client for _, client in clients}
    meant = select(alias.c.target_id).where(alias.c.alias_id.in_(asked))
    found = list(
        await tx.scalars(
            select(CreditLimit)
            .where(
                CreditLimit.entity_id.in_({entity for entity, _ in clients}),
                CreditLimit.status != LimitStatus.EXPIRED,
                CreditLimit.client_id.in_(asked)
                | CreditLimit.client_id.in_(meant)
                | CreditLimit.client_id.in_(select(alias.c.alias_id).where(alias.c.target_id.in_(meant)))
                | CreditLimit.client_id.in_(select(alias.c.alias_id).where(alias.c.target_id.in_(asked))),
            )
            .order_by(CreditLimit.id)
        )
    )
    if not found:
        return {}
    ids = {client: set(await ids_of(tx, client)) for client in asked}
    limits: dict[tuple[str, UUID], list[CreditLimit]] = {}
    for entity, client in clients:
        own = [li for li in found if li.entity_id == entity and li.client_id in ids[client]]
        limits[entity, client] = [li for li in own if debtors_too or li.debtor_id is None]
    return limits
