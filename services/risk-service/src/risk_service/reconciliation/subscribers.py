"""Checks each closed business day against the postings that came, and again when a late posting comes."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from contracts import BreakResolution, BusinessDayClosed, LedgerBreakFound, LedgerBreakResolved, Money
from contracts.base import Event
from eventing.outbox import derived_id, emit
from eventing.subscriptions import Subscriptions
from risk_service.monitoring.evaluation import position
from risk_service.monitoring.subscribers import after_close
from risk_service.receivables.balances import CLOSES, Closes
from risk_service.receivables.model import DayClose, Posting
from risk_service.receivables.subscribers import POSTINGS
from risk_service.reconciliation.model import BreakStatus, Control, Difference, LedgerBreak, Line, compare

on = Subscriptions()


Day = tuple[str, UUID, date]


@on.react_batch(BusinessDayClosed)
async def check_days(events: list[BusinessDayClosed], tx: AsyncSession) -> None:
    """Compare counts and control totals per posting kind; of a day closed twice the later word counts."""
    days: dict[Day, Event] = {(event.entity_id, event.client_id, event.business_date): event for event in events}
    await check(tx, days, BreakResolution.LEDGER_CORRECTED)


async def check_again(events: list[Any], tx: AsyncSession) -> None:
    """A posting that came after its day was closed may end a break, or make one."""
    for event in await after_close(events, tx):
        day = event.entity_id, event.client_id, event.business_date
        await check(tx, {day: event}, BreakResolution.LATE_POSTING_ARRIVED)


for posting in POSTINGS:
    on.react_batch(posting)(check_again)


async def check(tx: AsyncSession, days: Mapping[Day, Event], how: BreakResolution) -> None:
    """Open, restate and resolve the breaks of these days, each as of the event that causes the check."""
    closes = Closes(tuple((*day, position(event)) for day, event in days.items()))
    lines: dict[Day, list[tuple[str, str, Control]]] = {}
    close = DayClose.entity_id, DayClose.client_id, DayClose.business_date
    for entity, client, day, told in await tx.execute(select(*close, DayClose.lines).where(tuple_(*close).in_(days))):
        lines[entity, client, day] = [
            (kind, currency, Control(count, Decimal(total))) for kind, count, total, currency in told["lines"]
        ]
    counted = await tx.execute(
        select(
            Posting.entity_id,
            Posting.client_id,
            Posting.business_date,
            Posting.kind,
            Posting.currency,
            func.count(),
            func.sum(Posting.amount),
        )
        .where(
            Posting.entity_id == CLOSES.c.entity_id,
            Posting.client_id == CLOSES.c.client_id,
            Posting.business_date == CLOSES.c.as_of,
            Posting.position <= CLOSES.c.position,
        )
        .group_by(Posting.entity_id, Posting.client_id, Posting.business_date, Posting.kind, Posting.currency),
        closes.parameters(),
    )
    actual: dict[Day, dict[Line, Control]] = defaultdict(dict)
    for entity, client, day, kind, currency, count, total in counted:
        actual[entity, client, day][Line(kind, currency)] = Control(count, Decimal(total or 0))
    known: dict[Day, dict[tuple[str, str], LedgerBreak]] = defaultdict(dict)
    broken = LedgerBreak.entity_id, LedgerBreak.client_id, LedgerBreak.business_date
    for found in await tx.scalars(select(LedgerBreak).where(tuple_(*broken).in_(days))):
        known[found.entity_id, found.client_id, found.business_date][found.posting_kind, found.currency] = found
    for day, event in days.items():
        if day in lines:
            _check_day(tx, event, day, compare(lines[day], actual[day]), known[day], how)


def _check_day(
    tx: AsyncSession,
    event: Event,
    day: Day,
    both: Mapping[tuple[str, str], tuple[Control, Control]],
    known: dict[tuple[str, str], LedgerBreak],
    how: BreakResolution,
) -> None:
    for (kind, currency), (ledger, ours) in sorted(both.items()):
        found = known.pop((kind, currency), None)
        if ledger != ours:
            _differs(tx, event, day, found, Difference(kind, currency, ledger, ours))
        elif found is not None:
            _agrees(tx, event, found, how, ours)
    for found in known.values():
        _agrees(tx, event, found, how, Control(0, Decimal(0)))


def _differs(tx: AsyncSession, event: Event, day: Day, found: LedgerBreak | None, difference: Difference) -> None:
    _, client_id, business_date = day
    if found is None:
        found = LedgerBreak(
            id=derived_id(event, f"break:{business_date}:{difference.kind}:{difference.currency}"),
            entity_id=event.entity_id,
            client_id=client_id,
            business_date=business_date,
            posting_kind=difference.kind,
            currency=difference.currency,
            kind=difference.of.value,
            expected_count=-1,
            actual_count=-1,
            expected_total=Decimal(0),
            actual_total=Decimal(0),
            status=BreakStatus.OPEN,
        )
        tx.add(found)
    if not found.state(difference):
        return
    emit(
        tx,
        LedgerBreakFound(
            entity_id=event.entity_id,
            branch_id=event.branch_id,
            occurred_at=event.occurred_at,
            client_id=client_id,
            break_id=found.id,
            business_date=business_date,
            kind=difference.of,
            posting_kind=difference.kind,
            expected_count=difference.expected.count,
            actual_count=difference.actual.count,
            expected_total=Money(amount=difference.expected.total, currency=difference.currency),
            actual_total=Money(amount=difference.actual.total, currency=difference.currency),
        ),
        cause=event,
    )


def _agrees(tx: AsyncSession, event: Event, found: LedgerBreak, how: BreakResolution, now: Control) -> None:
    if not found.resolve(how, now):
        return
    emit(
        tx,
        LedgerBreakResolved(
            entity_id=event.entity_id,
            branch_id=event.branch_id,
            occurred_at=event.occurred_at,
            client_id=found.client_id,
            break_id=found.id,
            business_date=found.business_date,
            resolution=how,
        ),
        cause=event,
    )
