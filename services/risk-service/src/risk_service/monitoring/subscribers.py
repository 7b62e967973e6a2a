"""A client's figures move on its own day-close, and on a posting that comes after its day was closed."""

from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from contracts import BusinessDayClosed, PostingReversed
from eventing.subscriptions import Subscriptions
from risk_service.monitoring.evaluation import close_days, reach_back
from risk_service.receivables.model import DayClose
from risk_service.receivables.subscribers import POSTINGS

on = Subscriptions()


@on.react_batch(BusinessDayClosed)
async def evaluate_clients(events: list[BusinessDayClosed], tx: AsyncSession) -> None:
    """Snapshot the clients' figures of the day."""
    await close_days(tx, events)


async def evaluate_again(events: list[Any], tx: AsyncSession) -> None:
    """Correct the snapshots that a late posting makes wrong."""
    for event in await after_close(events, tx):
        since = event.value_date if isinstance(event, PostingReversed) else event.business_date
        await reach_back(tx, event, event.client_id, min(since, event.business_date))


for posting in POSTINGS:
    on.react_batch(posting)(evaluate_again)


async def after_close(events: list[Any], tx: AsyncSession) -> list[Any]:
    """Those postings whose day had been closed when they came."""
    days = {(event.entity_id, event.client_id, event.business_date) for event in events}
    known = select(DayClose.entity_id, DayClose.client_id, DayClose.business_date).where(
        tuple_(DayClose.entity_id, DayClose.client_id, DayClose.business_date).in_(days)
    )
    closed = {tuple(row) for row in await tx.execute(known)}
    return [event for event in events if (event.entity_id, event.client_id, event.business_date) in closed]
