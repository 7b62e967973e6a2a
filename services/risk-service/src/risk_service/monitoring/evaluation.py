"""Evaluates a client at its own closed business dates: stores a snapshot and tells what changed.

Invariants: only the client's own postings up to the causing event's position count, so the outcome is the same however
events were fetched. A posting that reaches back re-evaluates every snapshot from its value date on, each with a higher
revision where it differs.
"""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from contracts import ExposureChanged, Money
from contracts.base import Event
from eventing.outbox import emit
from risk_service.limits.model import CreditLimit, LimitStatus, client_limits
from risk_service.monitoring.indicators import indicators
from risk_service.monitoring.model import Evaluation, Snapshot
from risk_service.receivables.balances import BUCKETS, Moment, funds_in_use, totals
from risk_service.receivables.model import Posting
from servicekit.access import ids_of

WINDOW_DAYS = 90
DEFAULT_DAYS = 365
COUNTS = ("open_count", "overdue_count", "disputed_count", "receivables", "sales_count", "parties")


async def close_day(tx: AsyncSession, event: Event, client_id: UUID, business_date: date) -> None:
    """The client's day is closed: evaluate it, and again every earlier date that postings since then reach back to."""
    last = (
        await tx.execute(
            select(Evaluation.as_of, Evaluation.position).where(
                Evaluation.entity_id == event.entity_id, Evaluation.client_id == client_id
            )
        )
    ).one_or_none()
    dates = {business_date}
    position = _position(event)
    if last is not None:
        reach = await tx.scalar(
            select(func.min(Posting.value_date)).where(
                Posting.entity_id == event.entity_id,
                Posting.client_id == client_id,
                Posting.position > last.position,
                Posting.position < position,
                Posting.value_date <= last.as_of,
            )
        )
        since = min(filter(None, (reach, business_date if business_date < last.as_of else None)), default=None)
        if since is not None:
            dates |= await _snapshots_since(tx, event.entity_id, client_id, since)
    await evaluate(tx, event, client_id, dates)
    put = insert(Evaluation).values(
        entity_id=event.entity_id, client_id=client_id, as_of=business_date, position=position
    )
    await tx.execute(
        put.on_conflict_do_update(
            index_elements=[Evaluation.entity_id, Evaluation.client_id],
            set_={"as_of": func.greatest(Evaluation.as_of, put.excluded.as_of), "position": put.excluded.position},
        )
    )


async def reach_back(tx: AsyncSession, event: Event, client_id: UUID, since: date) -> None:
    """A posting came after its day was closed: evaluate the snapshots from its value date on again, now."""
    await evaluate(tx, event, client_id, await _snapshots_since(tx, event.entity_id, client_id, since))


async def _snapshots_since(tx: AsyncSession, entity_id: str, client_id: UUID, since: date) -> set[date]:
    return set(
        await tx.scalars(
            select(Snapshot.as_of.distinct()).where(
                Snapshot.entity_id == entity_id, Snapshot.client_id == client_id, Snapshot.as_of >= since
            )
        )
    )


async def evaluate(tx: AsyncSession, event: Event, client_id: UUID, dates: Iterable[date]) -> None:
    """Compute the client's figures as of these dates; store and tell those that are new or different."""
    ids = await ids_of(tx, client_id)
    limits = await client_limits(tx, event.entity_id, ids, debtor_id=None)
    for as_of in sorted(dates):
        for row in await figures(tx, event.entity_id, client_id, as_of, _position(event)):
            await _store(tx, event, row, limits)


async def figures(
    tx: AsyncSession, entity_id: str, client_id: UUID, as_of: date, position: int
) -> list[dict[str, Any]]:
    """A client's figures per currency, as columns of Snapshot (limit aside)."""
    scope = and_(Posting.entity_id == entity_id, Posting.client_id == client_id)
    at = Moment(as_of, position=position)
    sums = {row.currency: row._mapping for row in await tx.execute(totals(scope, at, window_days=WINDOW_DAYS))}
    funds = await funds_in_use(tx, scope, at)
    rows: list[dict[str, Any]] = []
    for currency in sorted({*sums, *funds} - {None}):
        own = sums.get(currency, {})
        ratios = indicators(own, as_of, WINDOW_DAYS, DEFAULT_DAYS) if own else {}
        rows.append(
            {
                "entity_id": entity_id,
                "client_id": client_id,
                "as_of": as_of,
                "currency": currency,
                "position": position,
                "balance": Decimal(own.get("balance", 0)),
                "overdue": Decimal(own.get("overdue", 0)),
                "funds_in_use": funds.get(currency),
                "figures": {
                    **{name: None if f.value is None else str(f.value) for name, f in ratios.items()},
                    **{name: int(own.get(name, 0)) for name in COUNTS},
                    **{name: str(own.get(name, 0)) for name in BUCKETS},
                },
            }
        )
    return rows


async def _store(tx: AsyncSession, event: Event, row: dict[str, Any], limits: list[CreditLimit]) -> None:
    limit = next((li for li in limits if li.currency == row["currency"] and li.in_force(row["as_of"])), None)
    used = row["balance"] if row["funds_in_use"] is None else row["funds_in_use"]
    row["limit_amount"] = limit.amount if limit else None
    row["headroom"] = (
        None if limit is None else limit.amount - used if limit.status == LimitStatus.ACTIVE else Decimal(0)
    )
    key = (row["entity_id"], row["client_id"], row["as_of"], row["currency"])
    known = await tx.get(Snapshot, key)
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

    def money(amount: Decimal | None) -> Money | None:
        return None if amount is None else Money(amount=amount, currency=known.currency)

    emit(
        tx,
        ExposureChanged(
            entity_id=event.entity_id,
            branch_id=event.branch_id,
            occurred_at=event.occurred_at,
            client_id=known.client_id,
            as_of=known.as_of,
            revision=known.revision,
            balance=Money(amount=known.balance, currency=known.currency),
            overdue=Money(amount=known.overdue, currency=known.currency),
            funds_in_use=money(known.funds_in_use),
            limit=money(known.limit_amount),
            headroom=money(known.headroom),
        ),
        cause=event,
    )


def _position(event: Event) -> int:
    assert event.meta is not None
    return event.meta.offset
