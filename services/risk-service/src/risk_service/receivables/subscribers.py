"""Keeps every posting of the ledger and every day-close. Nothing is interpreted here, so nothing depends on order."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from contracts.bank import ledger
from contracts.catalogue import all_events
from eventing.subscriptions import Subscriptions
from risk_service.clients.queries import note_clients
from risk_service.receivables.model import REVERSED, DayClose, Posting, position, row_of

on = Subscriptions()
LONGEST_CHAIN = 8

POSTINGS: tuple[type[ledger.Posting], ...] = tuple(e for e in all_events() if issubclass(e, ledger.Posting))
LedgerEvent = ledger.Posting | ledger.BusinessDayClosed
LEDGER_EVENTS: tuple[type[LedgerEvent], ...] = (*POSTINGS, ledger.BusinessDayClosed)
"""All heard by the same handlers, so that a poll is one run of them (eventing.dispatch)."""


async def keep(events: Sequence[LedgerEvent], tx: AsyncSession) -> None:
    """One row a posting and one each time a day is closed; what is known already stays as it was."""
    postings = [event for event in events if isinstance(event, ledger.Posting)]
    closes = [event for event in events if isinstance(event, ledger.BusinessDayClosed)]
    if postings:
        await note_clients(tx, ((event.entity_id, event.client_id) for event in postings))
        rows = [row_of(event) for event in postings]
        await tx.execute(insert(Posting).on_conflict_do_nothing().execution_options(render_nulls=True), rows)
    if reversed_in := {event.client_id for event in postings if isinstance(event, ledger.PostingReversed)}:
        await _follow_chains(tx, reversed_in)
    if closes:
        await tx.execute(insert(DayClose).on_conflict_do_nothing(), [_close(event) for event in closes])


def _close(event: ledger.BusinessDayClosed) -> dict[str, Any]:
    assert event.meta is not None
    return {
        "entity_id": event.entity_id,
        "client_id": event.client_id,
        "business_date": event.business_date,
        "position": position(event),
        "known_at": event.meta.known_at,
        "lines": {"lines": [[li.kind, li.count, str(li.total.amount), li.total.currency] for li in event.lines]},
    }


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


for heard in LEDGER_EVENTS:
    on.project_batch(heard)(keep)
