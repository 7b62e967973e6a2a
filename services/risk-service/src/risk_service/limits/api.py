"""Approving, adjusting and freezing limits, and reserving headroom for a funding."""

from datetime import date, timedelta
from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from contracts import (
    LimitAdjusted,
    LimitApproved,
    LimitFrozen,
    LimitKind,
    LimitReason,
    LimitReserved,
    Money,
    ReservationReleased,
)
from contracts.risk import ReleaseReason
from eventing.outbox import emit
from risk_service.clients.model import Contract, UnknownClient, start_of, today
from risk_service.clients.queries import visible_ids
from risk_service.limits.deadlines import LIMIT_EXPIRY, RESERVATION_EXPIRY
from risk_service.limits.model import (
    CreditLimit,
    HeadroomExceeded,
    LimitExists,
    LimitNotActive,
    LimitStatus,
    NoLimit,
    Reservation,
    ReservationEnded,
    ReservationStatus,
    UnknownLimit,
    UnknownReservation,
    client_limits,
)
from risk_service.limits.utilisation import Utilisation, utilisation
from risk_service.requests import Day, DecimalText, NewMoney, Positive
from servicekit.access import visible
from servicekit.auth import Principal, may
from servicekit.clock import Now
from servicekit.concurrency import IfMatch, etag, next_version
from servicekit.database import ReadTx, Tx
from servicekit.examples import example
from servicekit.problems import Invalid, problems
from servicekit.requests import Body, Timestamp, known
from servicekit.scheduling import cancel, schedule

router = APIRouter(tags=["limits"])
ReasonCode = Annotated[LimitReason, AfterValidator(known)]
LONGEST_RESERVATION = timedelta(days=30)


class NewLimit(Body):
    """A limit on the client, or on the client with one debtor."""

    model_config = example(
        amount={"amount": "500000.00", "currency": "CNY"}, effective_from="2026-12-01", expires_on="2027-11-30"
    )

    amount: NewMoney
    debtor_id: UUID | None = None
    effective_from: Day
    expires_on: Day | None = None


class Adjustment(Body):
    """Another amount or end; lifts a freeze."""

    model_config = example(amount="750000.00", expires_on="2027-11-30", reason="review")

    amount: Positive = Field(examples=["750000.00"])
    expires_on: Day | None = None
    reason: ReasonCode


class Freeze(Body):
    """Why nothing more may be drawn."""

    reason: ReasonCode


class NewReservation(Body):
    """Headroom to put aside until a moment; under the client's limit and, if named, the debtor's too."""

    model_config = example(amount={"amount": "50000.00", "currency": "CNY"}, expires_at="2026-12-15T10:00:00Z")

    amount: NewMoney
    debtor_id: UUID | None = None
    expires_at: Timestamp = Field(examples=["2026-11-03T10:00:00Z"])


class LimitView(BaseModel):
    """A limit with what is used of it. `headroom` = amount − used − reserved; zero when it may not be used."""

    model_config = example(
        id="0199a7c0-9999-7aaa-8aaa-000000000010",
        kind="client",
        amount="500000.00",
        effective_from="2026-11-03",
        expires_on="2027-11-02",
        status="active",
        breached=False,
        basis="funds",
        used="320000.00",
        reserved="50000.00",
        headroom="130000.00",
    )

    id: UUID
    kind: str
    debtor_id: UUID | None
    amount: DecimalText
    currency: str
    effective_from: date
    expires_on: date | None
    status: str
    reason: str | None
    breached: bool
    version: int
    basis: str = Field(description="What counts against it: funds, or the open balance where no funding is known")
    used: DecimalText
    reserved: DecimalText
    headroom: DecimalText

    @classmethod
    def of(cls, limit: CreditLimit, use: Utilisation) -> Self:
        return cls(
            id=limit.id,
            kind=limit.kind,
            debtor_id=limit.debtor_id,
            amount=limit.amount,
            currency=limit.currency,
            effective_from=limit.effective_from,
            expires_on=limit.expires_on,
            status=limit.status,
            reason=limit.reason,
            breached=limit.breached,
            version=next_version(limit),
            basis=use.basis,
            used=use.used,
            reserved=use.reserved,
            headroom=use.headroom,
        )


class ContractCap(BaseModel):
    """What the signed contract allows at most; shown beside the limits, it is not one of them."""

    model_config = example(amount="2000000.00", effective_from="2026-12-01", expires_on="2027-11-30")

    contract_id: UUID
    amount: DecimalText
    currency: str
    effective_from: date | None
    expires_on: date | None


class LimitsView(BaseModel):
    """A client's limits and its contracts' caps."""

    client_id: UUID
    limits: list[LimitView]
    contract_caps: list[ContractCap]


class ReservationView(BaseModel):
    """What is put aside, and under which limits."""

    model_config = example(
        status="held",
        amount="50000.00",
        expires_at="2026-12-15T10:00:00Z",
        limit_ids=["0199a7c0-9999-7aaa-8aaa-000000000010"],
    )

    id: UUID
    status: str
    amount: DecimalText
    currency: str
    expires_at: AwareDatetime
    limit_ids: list[UUID]


@router.post("/clients/{client_id}/limits", status_code=201, responses=problems(UnknownClient, LimitExists))
async def approve_limit(
    client_id: UUID,
    body: NewLimit,
    tx: Tx,
    who: Annotated[Principal, may("limits:approve")],
    now: Now,
    response: Response,
) -> LimitView:
    """Approve a limit from its effective date on."""
    ids = await visible_ids(tx, who, client_id)
    amount = Money(amount=body.amount.amount, currency=body.amount.currency)
    same = await client_limits(tx, who.entity_id, ids, debtor_id=body.debtor_id, currency=amount.currency)
    if same:
        raise LimitExists(same[0].id)
    limit = CreditLimit.approve(who.entity_id, client_id, amount, body.debtor_id, body.effective_from, body.expires_on)
    tx.add(limit)
    await _schedule_expiry(tx, limit)
    emit(
        tx,
        LimitApproved(
            entity_id=who.entity_id,
            occurred_at=now,
            client_id=client_id,
            limit_id=limit.id,
            kind=LimitKind(limit.kind),
            debtor_id=limit.debtor_id,
            amount=amount,
            effective_from=limit.effective_from,
            expires_on=limit.expires_on,
        ),
    )
    etag(response, limit)
    return LimitView.of(limit, await utilisation(tx, limit, ids, now))


@router.get("/clients/{client_id}/limits", responses=problems(UnknownClient))
async def list_limits(
    client_id: UUID, tx: ReadTx, who: Annotated[Principal, may("limits:read")], now: Now
) -> LimitsView:
    """The client's limits with utilisation and headroom, and its contracts' caps."""
    ids = await visible_ids(tx, who, client_id)
    limits = [
        LimitView.of(limit, await utilisation(tx, limit, ids, now))
        for limit in await client_limits(tx, who.entity_id, ids)
    ]
    contracts = await tx.scalars(
        select(Contract).where(
            Contract.client_id.in_(ids), Contract.entity_id == who.entity_id, Contract.ended_on.is_(None)
        )
    )
    caps = [
        ContractCap(
            contract_id=contract.contract_id,
            amount=contract.limit_amount,
            currency=contract.currency,
            effective_from=contract.effective_from,
            expires_on=contract.expires_on,
        )
        for contract in contracts
        if contract.limit_amount is not None and contract.currency is not None
    ]
    return LimitsView(client_id=client_id, limits=limits, contract_caps=caps)


@router.put("/limits/{limit_id}", responses=problems(UnknownLimit, LimitNotActive))
async def adjust_limit(
    limit_id: UUID,
    body: Adjustment,
    tx: Tx,
    who: Annotated[Principal, may("limits:approve")],
    now: Now,
    expected: IfMatch,
    response: Response,
) -> LimitView:
    """Give a limit another amount or end; a frozen one may be used again."""
    limit = await _limit(tx, who, limit_id)
    expected.check(limit)
    previous = limit.adjust(body.amount, body.expires_on, body.reason)
    await _schedule_expiry(tx, limit)
    emit(
        tx,
        LimitAdjusted(
            entity_id=who.entity_id,
            occurred_at=now,
            client_id=limit.client_id,
            limit_id=limit.id,
            kind=LimitKind(limit.kind),
            debtor_id=limit.debtor_id,
            amount=limit.money,
            previous_amount=previous,
            effective_from=await today(tx, who.entity_id, now),
            expires_on=limit.expires_on,
            reason=body.reason,
        ),
    )
    etag(response, limit)
    return LimitView.of(limit, await utilisation(tx, limit, await visible_ids(tx, who, limit.client_id), now))


@router.post("/limits/{limit_id}/freeze", responses=problems(UnknownLimit, LimitNotActive))
async def freeze_limit(
    limit_id: UUID,
    body: Freeze,
    tx: Tx,
    who: Annotated[Principal, may("limits:approve")],
    now: Now,
    expected: IfMatch,
    response: Response,
) -> LimitView:
    """Let nothing more be drawn on a limit; what is drawn stays."""
    limit = await _limit(tx, who, limit_id)
    expected.check(limit)
    limit.freeze(body.reason)
    emit(
        tx,
        LimitFrozen(
            entity_id=who.entity_id,
            occurred_at=now,
            client_id=limit.client_id,
            limit_id=limit.id,
            kind=LimitKind(limit.kind),
            debtor_id=limit.debtor_id,
            reason=body.reason,
            effective_from=await today(tx, who.entity_id, now),
        ),
    )
    etag(response, limit)
    return LimitView.of(limit, await utilisation(tx, limit, await visible_ids(tx, who, limit.client_id), now))


@router.post(
    "/clients/{client_id}/reservations",
    status_code=201,
    responses=problems(UnknownClient, NoLimit, LimitNotActive, HeadroomExceeded),
)
async def reserve_headroom(
    client_id: UUID, body: NewReservation, tx: Tx, who: Annotated[Principal, may("limits:reserve")], now: Now
) -> ReservationView:
    """Put headroom aside under every limit that applies; two requests at once never get more than there is."""
    ids = await visible_ids(tx, who, client_id)
    if not now < body.expires_at <= now + LONGEST_RESERVATION:
        raise Invalid("body.expires_at", "lies in the past or more than 30 days ahead")
    limits = [
        limit
        for limit in await client_limits(tx, who.entity_id, ids, lock=True, currency=body.amount.currency)
        if limit.debtor_id in (None, body.debtor_id)
    ]
    if not any(limit.debtor_id is None for limit in limits):
        raise NoLimit(client_id)
    day = await today(tx, who.entity_id, now)
    reservation_id = uuid7()
    for limit in limits:
        use = await utilisation(tx, limit, ids, now)
        tx.add(Reservation.hold(reservation_id, limit, body.amount.amount, use.headroom, day, body.expires_at))
    await schedule(tx, RESERVATION_EXPIRY, id=reservation_id, due_at=body.expires_at)
    emit(
        tx,
        LimitReserved(
            entity_id=who.entity_id,
            occurred_at=now,
            client_id=client_id,
            reservation_id=reservation_id,
            limit_ids=tuple(limit.id for limit in limits),
            amount=Money(amount=body.amount.amount, currency=body.amount.currency),
            expires_at=body.expires_at,
        ),
    )
    return ReservationView(
        id=reservation_id,
        status=ReservationStatus.HELD,
        amount=body.amount.amount,
        currency=body.amount.currency,
        expires_at=body.expires_at,
        limit_ids=[limit.id for limit in limits],
    )


@router.post("/reservations/{reservation_id}/release", responses=problems(UnknownReservation, ReservationEnded))
async def release_reservation(
    reservation_id: UUID, tx: Tx, who: Annotated[Principal, may("limits:reserve")], now: Now
) -> ReservationView:
    """Give reserved headroom back."""
    held = list(
        await tx.scalars(
            select(Reservation)
            .where(Reservation.id == reservation_id, visible(who, Reservation.client_id, Reservation.entity_id))
            .with_for_update()
        )
    )
    if not held:
        raise UnknownReservation(reservation_id)
    for reservation in held:
        reservation.end(ReservationStatus.RELEASED)
    await cancel(tx, reservation_id)
    emit(
        tx,
        ReservationReleased(
            entity_id=who.entity_id,
            occurred_at=now,
            client_id=held[0].client_id,
            reservation_id=reservation_id,
            reason=ReleaseReason.CANCELLED,
        ),
    )
    return ReservationView(
        id=reservation_id,
        status=ReservationStatus.RELEASED,
        amount=held[0].amount,
        currency=held[0].currency,
        expires_at=held[0].expires_at,
        limit_ids=[reservation.limit_id for reservation in held],
    )


async def _limit(tx: AsyncSession, who: Principal, limit_id: UUID) -> CreditLimit:
    found = await tx.scalar(
        select(CreditLimit)
        .where(CreditLimit.id == limit_id, visible(who, CreditLimit.client_id, CreditLimit.entity_id))
        .with_for_update()
    )
    if found is None:
        raise UnknownLimit(limit_id)
    return found


async def _schedule_expiry(tx: AsyncSession, limit: CreditLimit) -> None:
    if limit.expires_on is None or limit.status == LimitStatus.EXPIRED:
        await cancel(tx, limit.id)
        return
    after = await start_of(tx, limit.entity_id, limit.expires_on + timedelta(days=1))
    await schedule(tx, LIMIT_EXPIRY, id=limit.id, due_at=after)
