"""Evaluates a client at its own closed business dates: stores a snapshot and tells what changed.

Invariants: only the client's own postings up to the causing event's position count, so the outcome is the same however
events were fetched. A posting that reaches back re-evaluates every snapshot from its value date on, each with a higher
revision where it differs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from contracts import BusinessDayClosed, ExposureChanged, Money
from contracts.base import Event
from eventing.outbox import emit
from risk_service.limits.model import CreditLimit, LimitStatus, limits_by_client
from risk_service.monitoring.indicators import indicators
from risk_service.monitoring.model import Evaluation, Snapshot
from risk_service.receivables.balances import BUCKETS, DEFAULT_DAYS, CloseKey, Closes, funds_at, sums_at
from risk_service.receivables.model import Posting

WINDOW_DAYS = 90
COUNTS = ("open_count", "overdue_count", "disputed_count", "receivables", "sales_count", "parties")
Key = tuple[str, UUID]


@dataclass(frozen=True, slots=True)
class Due:
    """A client to be evaluated as of a date, because of an event."""

    cause: Event
    client_id: UUID
    as_of: date

    @property
    def key(self) -> CloseKey:
        return self.cause.entity_id, self.client_id, self.as_of


async def close_days(tx: AsyncSession, events: Sequence[BusinessDayClosed]) -> None:
    """These clients' days are closed: evaluate them, and again every earlier date that postings since reach back to."""
    keys = {(event.entity_id, event.client_id) for event in events}
    last, reach = await _evaluated(tx, keys), await _reach(tx, keys)
    due: dict[CloseKey, Due] = {}
    for event in events:
        key = event.entity_id, event.client_id
        known = last.get(key)
        if known is not None:
            since = reach.pop(key, None)
            if event.business_date < known and (since is None or event.business_date < since):
                since = event.business_date
            if since is not None:
                for day in await _snapshots_since(tx, *key, since):
                    due[(*key, day)] = Due(event, event.client_id, day)
        due[(*key, event.business_date)] = Due(event, event.client_id, event.business_date)
        last[key] = max(known or event.business_date, event.business_date)
    await evaluate(tx, list(due.values()))
    positions = {(event.entity_id, event.client_id): position(event) for event in events}
    put = insert(Evaluation)
    await tx.execute(
        put.on_conflict_do_update(
            index_elements=[Evaluation.entity_id, Evaluation.client_id],
            set_={"as_of": put.excluded.as_of, "position": put.excluded.position},
        ),
        [
            {"entity_id": key[0], "client_id": key[1], "as_of": last[key], "position": positions[key]}
            for key in sorted(positions)
        ],
    )


async def reach_back(tx: AsyncSession, event: Event, client_id: UUID, since: date) -> None:
    """A posting came after its day was closed: evaluate the snapshots from its value date on again, now."""
    days = await _snapshots_since(tx, event.entity_id, client_id, since)
    await evaluate(tx, [Due(event, client_id, day) for day in days])


async def _evaluated(tx: AsyncSession, keys: set[Key]) -> dict[Key, date]:
    """How far these clients have been evaluated."""
    rows = await tx.execute(
        select(Evaluation.entity_id, Evaluation.client_id, Evaluation.as_of).where(
            tuple_(Evaluation.entity_id, Evaluation.client_id).in_(keys)
        )
    )
    return {(entity, client): as_of for entity, client, as_of in rows}


async def _reach(tx: AsyncSession, keys: set[Key]) -> dict[Key, date]:
    """The earliest date, already evaluated, that postings booked since then count from."""
    rows = await tx.execute(
        select(Posting.entity_id, Posting.client_id, func.min(Posting.value_date))
        .join(Evaluation, and_(Evaluation.entity_id == Posting.entity_id, Evaluation.client_id == Posting.client_id))
        .where(
            tuple_(Posting.entity_id, Posting.client_id).in_(keys),
            Posting.position > Evaluation.position,
            Posting.value_date <= Evaluation.as_of,
        )
        .group_by(Posting.entity_id, Posting.client_id)
    )
    return {(entity, client): since for entity, client, since in rows}


async def _snapshots_since(tx: AsyncSession, entity_id: str, client_id: UUID, since: date) -> list[date]:
    rows = await tx.scalars(
        select(Snapshot.as_of)
        .distinct()
        .where(Snapshot.entity_id == entity_id, Snapshot.client_id == client_id, Snapshot.as_of >= since)
    )
    return sorted(rows)


async def evaluate(tx: AsyncSession, due: Sequence[Due]) -> None:
    """Compute these figures; store and tell those that are new or different."""
    if not due:
        return
    closes = Closes(tuple((*each.key, position(each.cause)) for each in due))
    sums, funds = await sums_at(tx, closes, window_days=WINDOW_DAYS), await funds_at(tx, closes)
    limits = await limits_by_client(tx, {each.key[:2] for each in due})
    known = {
        (*key_of(snapshot), snapshot.currency): snapshot
        for snapshot in await tx.scalars(
            select(Snapshot).where(
                tuple_(Snapshot.entity_id, Snapshot.client_id, Snapshot.as_of).in_([each.key for each in due])
            )
        )
    }
    for each in due:
        own, used = sums.get(each.key, {}), funds.get(each.key, {})
        for currency in sorted({*own, *used}):
            row = _row(each, currency, own.get(currency, {}), used.get(currency))
            _store(tx, each, row, limits.get(each.key[:2], []), known.get((*each.key, currency)))


def key_of(snapshot: Snapshot) -> CloseKey:
    return snapshot.entity_id, snapshot.client_id, snapshot.as_of


def _row(due: Due, currency: str, sums: dict[str, Any], funds: Decimal | None) -> dict[str, Any]:
    """A client's figures in one currency, as columns of Snapshot (limit aside)."""
    ratios = indicators(sums, due.as_of, WINDOW_DAYS, DEFAULT_DAYS) if sums else {}
    return {
        "entity_id": due.cause.entity_id,
        "client_id": due.client_id,
        "as_of": due.as_of,
        "currency": currency,
        "position": position(due.cause),
        "balance": Decimal(sums.get("balance", 0)),
        "overdue": Decimal(sums.get("overdue", 0)),
        "funds_in_use": funds,
        "figures": {
            **{name: None if f.value is None else str(f.value) for name, f in ratios.items()},
            **{name: int(sums.get(name, 0)) for name in COUNTS},
            **{name: str(sums.get(name, 0)) for name in BUCKETS},
        },
    }


def _store(tx: AsyncSession, due: Due, row: dict[str, Any], limits: list[CreditLimit], known: Snapshot | None) -> None:
    limit = next((li for li in limits if li.currency == row["currency"] and li.in_force(due.as_of)), None)
    used = row["balance"] if row["funds_in_use"] is None else row["funds_in_use"]
    row["limit_amount"] = limit.amount if limit else None
    row["headroom"] = (
        None if limit is None else limit.amount - used if limit.status == LimitStatus.ACTIVE else Decimal(0)
    )
    if known is not None:
        told = ("balance", "overdue", "funds_in_use", "limit_amount", "headroom", "figures")
        if all(getattr(known, name) == row[name] for name in told):
            return
        for name in (*told, "position"):
            setattr(known, name, row[name])
        known.revision += 1
    else:
        known = Snapshot(**row, revision=1)
        tx.add(known)
    currency = known.currency

    def money(amount: Decimal | None) -> Money | None:
        return None if amount is None else Money(amount=amount, currency=currency)

    event = due.cause
    emit(
        tx,
        ExposureChanged(
            entity_id=event.entity_id,
            branch_id=event.branch_id,
            occurred_at=event.occurred_at,
            client_id=known.client_id,
            as_of=known.as_of,
            revision=known.revision,
            balance=Money(amount=known.balance, currency=currency),
            overdue=Money(amount=known.overdue, currency=currency),
            funds_in_use=money(known.funds_in_use),
            limit=money(known.limit_amount),
            headroom=money(known.headroom),
        ),
        cause=event,
    )


def position(event: Event) -> int:
    """Where a delivered event stands in its client's partition."""
    assert event.meta is not None
    return event.meta.offset
