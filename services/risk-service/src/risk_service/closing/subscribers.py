"""What a client's day-close, and a posting that comes after it, set in motion.

Invariant: the outcome depends on the order of the client's own events and never on how they were fetched: each is
judged by what stood up to its own position. What is independent is loaded and computed together; an event that reaches
back to dates already evaluated has a turn of its own.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import and_, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from contracts import BusinessDayClosed, FundingDrawn, PostingReversed
from eventing.outbox import emit
from eventing.subscriptions import Subscriptions
from risk_service.limits.breaches import comparing, use_reservation
from risk_service.monitoring.evaluation import Due, evaluate
from risk_service.monitoring.model import Evaluation, Snapshot
from risk_service.receivables.balances import CLOSES, CloseKey, Closes, same_day
from risk_service.receivables.model import DayClose, position
from risk_service.receivables.subscribers import LEDGER_EVENTS, LedgerEvent
from risk_service.reconciliation.checking import checking
from risk_service.warnings.watching import watching

on = Subscriptions()
Key = tuple[str, UUID]


@dataclass(frozen=True, slots=True)
class Step:
    """An event that figures are due because of: of its own day, and of every earlier close it reaches back to."""

    cause: LedgerEvent
    since: date | None


async def close_days(events: Sequence[LedgerEvent], tx: AsyncSession) -> None:
    """Evaluate, check, watch and compare what these events close or change."""
    for event in events:
        if isinstance(event, FundingDrawn):
            await use_reservation(tx, event)
    for steps in await _turns(tx, events):
        await _take(tx, steps)


for heard in LEDGER_EVENTS:
    on.react_batch(heard)(close_days)


async def _turns(tx: AsyncSession, events: Sequence[LedgerEvent]) -> list[list[Step]]:
    """The events as steps that may be taken together, a client's own in order; how far each client is, kept."""
    known = await _evaluations(tx, events)
    closed = await _first_closes(tx, events)
    turns: dict[int, list[Step]] = defaultdict(list)
    latest: dict[Key, tuple[int, bool]] = {}
    for event in events:
        key = event.entity_id, event.client_id
        evaluation = known.get(key)
        if isinstance(event, BusinessDayClosed):
            step = Step(event, _reopened(evaluation, event.business_date))
            if evaluation is None:
                known[key] = evaluation = Evaluation(entity_id=key[0], client_id=key[1], as_of=event.business_date)
                tx.add(evaluation)
            evaluation.as_of, evaluation.reaches_to = max(evaluation.as_of, event.business_date), None
        else:
            counts = event.value_date if isinstance(event, PostingReversed) else event.business_date
            if evaluation is not None and counts <= evaluation.as_of:
                evaluation.reaches_to = min(evaluation.reaches_to or counts, counts)
            first_close = closed.get((*key, event.business_date))
            if first_close is None or first_close > position(event):
                continue
            step = Step(event, min(counts, event.business_date))
        turn, alone = latest.get(key, (0, False))
        turn += alone or step.since is not None
        latest[key] = turn, step.since is not None
        turns[turn].append(step)
    return [turns[turn] for turn in sorted(turns)]


def _reopened(evaluation: Evaluation | None, day: date) -> date | None:
    """From when on a close of `day` makes what is known of the client be evaluated again."""
    if evaluation is None:
        return None
    again = [day] if day <= evaluation.as_of else []
    return min([*again, *([evaluation.reaches_to] if evaluation.reaches_to else [])], default=None)


async def _evaluations(tx: AsyncSession, events: Sequence[LedgerEvent]) -> dict[Key, Evaluation]:
    keys = {(event.entity_id, event.client_id) for event in events}
    rows = await tx.scalars(select(Evaluation).where(tuple_(Evaluation.entity_id, Evaluation.client_id).in_(keys)))
    return {(each.entity_id, each.client_id): each for each in rows}


async def _first_closes(tx: AsyncSession, events: Sequence[LedgerEvent]) -> dict[CloseKey, int]:
    """Where each of these events' days was closed first; days not closed yet are missing."""
    day = DayClose.entity_id, DayClose.client_id, DayClose.business_date
    days = {(event.entity_id, event.client_id, event.business_date) for event in events}
    rows = await tx.execute(
        select(*day, func.min(DayClose.position)).join(CLOSES, and_(*same_day(*day))).group_by(*day),
        Closes(tuple((*each, 0) for each in days)).parameters(),
    )
    return {(entity, client, closed): first for entity, client, closed, first in rows}


async def _take(tx: AsyncSession, steps: Sequence[Step]) -> None:
    due = [await _due(tx, step) for step in steps]
    evaluated = await evaluate(tx, [each for own in due for each in own])
    closes = [step.cause for step in steps if isinstance(step.cause, BusinessDayClosed)]
    check = await checking(tx, [step.cause for step in steps])
    judge = await watching(tx, closes, evaluated)
    compare = await comparing(tx, closes, evaluated)
    for step, own in zip(steps, due, strict=True):
        for news in (news for each in own for news in evaluated[each.key].news):
            emit(tx, news, cause=step.cause)
        if isinstance(step.cause, BusinessDayClosed):
            await judge(step.cause)
            compare(step.cause)
        check(step.cause)


async def _due(tx: AsyncSession, step: Step) -> list[Due]:
    event = step.cause
    days = {event.business_date} if isinstance(event, BusinessDayClosed) else set[date]()
    if step.since is not None:
        days |= set(
            await tx.scalars(
                select(Snapshot.as_of).where(
                    Snapshot.entity_id == event.entity_id,
                    Snapshot.client_id == event.client_id,
                    Snapshot.as_of >= step.since,
                )
            )
        )
    return [Due(event, event.client_id, day) for day in sorted(days)]
