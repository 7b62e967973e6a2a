"""Checks each closed business day against the postings that came, and again when a late posting comes."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts import BreakResolution, BusinessDayClosed, LedgerBreakFound, LedgerBreakResolved, Money
from contracts.base import Event
from eventing.outbox import derived_id, emit
from eventing.subscriptions import Subscriptions
from risk_service.monitoring.subscribers import after_close
from risk_service.receivables.model import DayClose, Posting
from risk_service.receivables.subscribers import POSTINGS
from risk_service.reconciliation.model import BreakStatus, Control, Difference, LedgerBreak, Line, compare

on = Subscriptions()


@on.react(BusinessDayClosed)
async def check_day(event: BusinessDayClosed, tx: AsyncSession) -> None:
    """Compare counts and control totals per posting kind."""
    await check(tx, event, event.client_id, event.business_date, BreakResolution.LEDGER_CORRECTED)


async def check_again(events: list[Any], tx: AsyncSession) -> None:
    """A posting that came after its day was closed may end a break, or make one."""
    for event in await after_close(events, tx):
        await check(tx, event, event.client_id, event.business_date, BreakResolution.LATE_POSTING_ARRIVED)


for posting in POSTINGS:
    on.react_batch(posting)(check_again)


async def check(tx: AsyncSession, event: Event, client_id: UUID, day: date, how: BreakResolution) -> None:
    """Open, restate and resolve the breaks of one client's day, as of the causing event."""
    assert event.meta is not None
    key = (event.entity_id, client_id, day)
    lines = await tx.scalar(
        select(DayClose.lines).where(
            DayClose.entity_id == key[0], DayClose.client_id == key[1], DayClose.business_date == key[2]
        )
    )
    if lines is None:
        return
    counted = await tx.execute(
        select(Posting.kind, Posting.currency, func.count(), func.coalesce(func.sum(Posting.amount), 0))
        .where(
            Posting.entity_id == key[0],
            Posting.client_id == key[1],
            Posting.business_date == key[2],
            Posting.position <= event.meta.offset,
        )
        .group_by(Posting.kind, Posting.currency)
    )
    actual = {Line(kind, cur): Control(count, Decimal(total)) for kind, cur, count, total in counted.tuples()}
    expected = [(kind, cur, Control(count, Decimal(total))) for kind, count, total, cur in lines["lines"]]
    both = compare(expected, actual)
    known = {
        (found.posting_kind, found.currency): found
        for found in await tx.scalars(
            select(LedgerBreak).where(
                LedgerBreak.entity_id == key[0], LedgerBreak.client_id == key[1], LedgerBreak.business_date == key[2]
            )
        )
    }
    for (kind, currency), (ledger, ours) in sorted(both.items()):
        found = known.pop((kind, currency), None)
        if ledger != ours:
            _differs(tx, event, client_id, day, found, Difference(kind, currency, ledger, ours))
        elif found is not None:
            _agrees(tx, event, found, how, ours)
    for found in known.values():
        _agrees(tx, event, found, how, Control(0, Decimal(0)))


def _differs(
    tx: AsyncSession, event: Event, client_id: UUID, day: date, found: LedgerBreak | None, difference: Difference
) -> None:
    if found is None:
        found = LedgerBreak(
            id=derived_id(event, f"break:{day}:{difference.kind}:{difference.currency}"),
            entity_id=event.entity_id,
            client_id=client_id,
            business_date=day,
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
            business_date=day,
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
