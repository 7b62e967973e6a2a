"""Keeps every posting of the ledger and every day-close. Nothing is interpreted here, so nothing depends on order."""

from typing import Any

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from contracts.bank import ledger
from contracts.base import Event
from contracts.catalogue import all_events
from eventing.subscriptions import Subscriptions
from risk_service.clients.queries import note_clients
from risk_service.receivables.model import REVERSED, DayClose, Posting, row_of

on = Subscriptions()
LONGEST_CHAIN = 8

POSTINGS: tuple[type[ledger.Posting], ...] = tuple(e for e in all_events() if issubclass(e, ledger.Posting))


async def keep_postings(events: list[Any], tx: AsyncSession) -> None:
    """One row a posting; one that is known already stays as it was."""
    await note_clients(tx, ((event.entity_id, event.client_id) for event in events))
    await tx.execute(insert(Posting).on_conflict_do_nothing(), [row_of(event) for event in events])
    reversals = [event for event in events if isinstance(event, ledger.PostingReversed)]
    if reversals:
        await _follow_chains(tx, {event.client_id for event in reversals})


async def _follow_chains(tx: AsyncSession, clients: set[Any]) -> None:
    """Point reversals of reversals at the posting at the end of their chain, whichever came first."""
    parent = aliased(Posting)
    for _ in range(LONGEST_CHAIN):
        moved = await tx.execute(
            update(Posting)
            .values(root_id=parent.root_id, sign=-parent.sign)
            .where(
                Posting.client_id.in_(clients),
                Posting.kind == REVERSED,
                parent.posting_id == Posting.reversed_id,
                parent.kind == REVERSED,
                parent.entity_id == Posting.entity_id,
                parent.client_id == Posting.client_id,
                (Posting.root_id != parent.root_id) | (Posting.sign != -parent.sign),
            )
            .returning(Posting.posting_id)
            .execution_options(synchronize_session=False)
        )
        if not moved.all():
            return


for posting in POSTINGS:
    on.project_batch(posting)(keep_postings)


@on.project_batch(ledger.BusinessDayClosed)
async def keep_day_closes(events: list[ledger.BusinessDayClosed], tx: AsyncSession) -> None:
    """What the ledger says of a day; said again, the later word counts."""
    for event in events:
        meta = _meta(event)
        row = {
            "entity_id": event.entity_id,
            "client_id": event.client_id,
            "business_date": event.business_date,
            "position": meta.offset,
            "known_at": meta.known_at,
            "lines": {"lines": [[li.kind, li.count, str(li.total.amount), li.total.currency] for li in event.lines]},
        }
        put = insert(DayClose).values(row)
        await tx.execute(
            put.on_conflict_do_update(
                index_elements=[DayClose.entity_id, DayClose.client_id, DayClose.business_date],
                set_={name: put.excluded[name] for name in ("position", "known_at", "lines")},
                where=DayClose.position < put.excluded.position,
            )
        )


def _meta(event: Event) -> Any:
    assert event.meta is not None
    return event.meta
