"""Evaluates clients at their own closed business dates: stores a snapshot of each, and says what of it is news.

Invariants: only the client's own postings up to the causing event's position count, so the outcome is the same however
events were fetched. A snapshot that differs from what it was has a higher revision.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts import ExposureChanged, Money
from contracts.base import Event
from risk_service.limits.model import CreditLimit, LimitStatus, limits_by_client
from risk_service.monitoring.indicators import indicators
from risk_service.monitoring.model import Snapshot
from risk_service.receivables.balances import (
    BUCKETS,
    CLOSES,
    DEFAULT_DAYS,
    CloseKey,
    Closes,
    funds_at,
    same_day,
    sums_at,
)
from risk_service.receivables.model import position

WINDOW_DAYS = 90
COUNTS = ("open_count", "overdue_count", "disputed_count", "receivables", "sales_count", "parties")


@dataclass(frozen=True, slots=True)
class Due:
    """A client to be evaluated as of a date, because of an event."""

    cause: Event
    client_id: UUID
    as_of: date

    @property
    def key(self) -> CloseKey:
        return self.cause.entity_id, self.client_id, self.as_of


@dataclass(frozen=True, slots=True)
class Figures:
    """A client's figures as of a date, by currency, and what of them is to be told."""

    snapshots: list[Snapshot] = field(default_factory=list[Snapshot])
    news: list[ExposureChanged] = field(default_factory=list[ExposureChanged])


async def evaluate(tx: AsyncSession, due: Sequence[Due]) -> dict[CloseKey, Figures]:
    """Compute these figures and store those that are new or different. No client and date may be due twice at once."""
    closes = Closes(tuple((*each.key, position(each.cause)) for each in due))
    sums, funds = await sums_at(tx, closes, window_days=WINDOW_DAYS), await funds_at(tx, closes)
    limits = await limits_by_client(tx, {each.key[:2] for each in due})
    known: dict[CloseKey, dict[str, Snapshot]] = defaultdict(dict)
    day = same_day(Snapshot.entity_id, Snapshot.client_id, Snapshot.as_of)
    for snapshot in await tx.scalars(select(Snapshot).join(CLOSES, and_(*day)), closes.parameters()):
        known[snapshot.entity_id, snapshot.client_id, snapshot.as_of][snapshot.currency] = snapshot
    found: dict[CloseKey, Figures] = {}
    for each in due:
        own, used, before = sums.get(each.key, {}), funds.get(each.key, {}), known[each.key]
        figures = found[each.key] = Figures()
        for currency in sorted({*own, *used, *before}):
            row = _row(each, currency, own.get(currency, {}), used.get(currency))
            _limit(row, limits.get(each.key[:2], []))
            snapshot = before.get(currency)
            if snapshot is None:
                snapshot = Snapshot(**row, revision=1)
                tx.add(snapshot)
            elif not _revised(snapshot, row):
                figures.snapshots.append(snapshot)
                continue
            figures.snapshots.append(snapshot)
            figures.news.append(_told(each.cause, snapshot))
    return found


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


def _limit(row: dict[str, Any], limits: list[CreditLimit]) -> None:
    limit = next((li for li in limits if li.currency == row["currency"] and li.in_force(row["as_of"])), None)
    used = row["balance"] if row["funds_in_use"] is None else row["funds_in_use"]
    row["limit_amount"] = limit.amount if limit else None
    row["headroom"] = (
        None if limit is None else limit.amount - used if limit.status == LimitStatus.ACTIVE else Decimal(0)
    )


def _revised(snapshot: Snapshot, row: dict[str, Any]) -> bool:
    told = ("balance", "overdue", "funds_in_use", "limit_amount", "headroom", "figures")
    if all(getattr(snapshot, name) == row[name] for name in told):
        return False
    for name in (*told, "position"):
        setattr(snapshot, name, row[name])
    snapshot.revision += 1
    return True


def _told(cause: Event, snapshot: Snapshot) -> ExposureChanged:
    def money(amount: Decimal | None) -> Money | None:
        return None if amount is None else Money(amount=amount, currency=snapshot.currency)

    return ExposureChanged(
        entity_id=cause.entity_id,
        branch_id=cause.branch_id,
        occurred_at=cause.occurred_at,
        client_id=snapshot.client_id,
        as_of=snapshot.as_of,
        revision=snapshot.revision,
        balance=Money(amount=snapshot.balance, currency=snapshot.currency),
        overdue=Money(amount=snapshot.overdue, currency=snapshot.currency),
        funds_in_use=money(snapshot.funds_in_use),
        limit=money(snapshot.limit_amount),
        headroom=money(snapshot.headroom),
    )
