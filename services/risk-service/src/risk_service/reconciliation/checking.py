"""Checks closed business days against the postings that came."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from sqlalchemy import and_, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from contracts import BreakResolution, BusinessDayClosed, LedgerBreakFound, LedgerBreakResolved, Money
from contracts.base import Event
from eventing.outbox import derived_id, emit
from risk_service.receivables.balances import CLOSES, CloseKey, Closes, same_day
from risk_service.receivables.model import DayClose, Posting, position
from risk_service.receivables.subscribers import LedgerEvent
from risk_service.reconciliation.model import BreakStatus, Control, Difference, LedgerBreak, Line, compare


async def checking(tx: AsyncSession, causes: Sequence[LedgerEvent]) -> Callable[[LedgerEvent], None]:
    """What opens, restates and resolves the breaks of an event's day, as of that event; one call for each of these.

    A close is checked by its own lines; a posting that came after the close may end a break, or make one.
    """
    days: dict[CloseKey, LedgerEvent] = {
        (event.entity_id, event.client_id, event.business_date): event for event in causes
    }
    closes = Closes(tuple((*day, position(event)) for day, event in days.items()))
    lines = await _lines(tx, closes)
    actual = await _counted(tx, closes)
    known: dict[CloseKey, dict[tuple[str, str], LedgerBreak]] = defaultdict(dict)
    broken = same_day(LedgerBreak.entity_id, LedgerBreak.client_id, LedgerBreak.business_date)
    for found in await tx.scalars(select(LedgerBreak).join(CLOSES, and_(*broken)), closes.parameters()):
        known[found.entity_id, found.client_id, found.business_date][found.posting_kind, found.currency] = found

    def check(event: LedgerEvent) -> None:
        day = event.entity_id, event.client_id, event.business_date
        closed = isinstance(event, BusinessDayClosed)
        how = BreakResolution.LEDGER_CORRECTED if closed else BreakResolution.LATE_POSTING_ARRIVED
        _check_day(tx, event, day, compare(lines[day], actual[day]), known[day], how)

    return check


async def _lines(tx: AsyncSession, closes: Closes) -> dict[CloseKey, list[tuple[str, str, Control]]]:
    """The ledger's last word on each day up to the position."""
    at = CLOSES.c
    told = await tx.execute(
        select(at.entity_id, at.client_id, at.as_of, DayClose.lines)
        .ext(distinct_on(at.entity_id, at.client_id, at.as_of))
        .where(
            *same_day(DayClose.entity_id, DayClose.client_id, DayClose.business_date),
            DayClose.position <= at.position,
        )
        .order_by(at.entity_id, at.client_id, at.as_of, DayClose.position.desc()),
        closes.parameters(),
    )
    return {
        (entity, client, day): [
            (kind, currency, Control(count, Decimal(total))) for kind, count, total, currency in lines["lines"]
        ]
        for entity, client, day, lines in told
    }


async def _counted(tx: AsyncSession, closes: Closes) -> Mapping[CloseKey, dict[Line, Control]]:
    """What came for each day up to the position."""
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
            *same_day(Posting.entity_id, Posting.client_id, Posting.business_date),
            Posting.position <= CLOSES.c.position,
        )
        .group_by(Posting.entity_id, Posting.client_id, Posting.business_date, Posting.kind, Posting.currency),
        closes.parameters(),
    )
    actual: dict[CloseKey, dict[Line, Control]] = defaultdict(dict)
    for entity, client, day, kind, currency, count, total in counted:
        actual[entity, client, day][Line(kind, currency)] = Control(count, Decimal(total or 0))
    return actual


def _check_day(
    tx: AsyncSession,
    event: Event,
    day: CloseKey,
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


def _differs(tx: AsyncSession, event: Event, day: CloseKey, found: LedgerBreak | None, difference: Difference) -> None:
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
