"""Hearing the ledger: each posting becomes one row, wherever it stands in the order of things."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from client_service.facts.model import Measure, PostingFact
from contracts.bank.ledger import (
    CreditNoteIssued,
    FeeCharged,
    FundingDrawn,
    FundingRepaid,
    InvoiceReddened,
    InvoiceVoided,
    PostingReversed,
    ReceivableAssigned,
    ReceivableCollected,
)
from eventing.subscriptions import Subscriptions

on = Subscriptions()

Counted = (
    ReceivableAssigned
    | CreditNoteIssued
    | InvoiceReddened
    | InvoiceVoided
    | ReceivableCollected
    | FundingDrawn
    | FundingRepaid
    | FeeCharged
)

MEASURES: Mapping[type[Counted], Measure] = {
    ReceivableAssigned: Measure.ASSIGNED,
    CreditNoteIssued: Measure.CREDITED,
    InvoiceReddened: Measure.CREDITED,
    InvoiceVoided: Measure.VOIDED,
    ReceivableCollected: Measure.COLLECTED,
    FundingDrawn: Measure.FUNDED,
    FundingRepaid: Measure.REPAID,
    FeeCharged: Measure.FEES,
}
_TABLE = cast(sa.Table, PostingFact.__table__)
_BY_NAME: Mapping[str, Measure] = {kind.ce_type.split(".")[2]: measure for kind, measure in MEASURES.items()}
_REVERSAL = PostingReversed.ce_type.split(".")[2]


async def posted(events: Sequence[Counted | PostingReversed], tx: AsyncSession) -> None:
    """A posting counts in the month it was booked; a reversal from its value date, against what it undoes.

    Reversals of kinds that are not counted are left out.
    """
    rows: list[dict[str, Any]] = []
    for event in events:
        if not isinstance(event, PostingReversed):
            rows.append(_row(event, MEASURES[type(event)], event.business_date, 1))
        elif event.reversed_kind in _BY_NAME:
            rows.append(_row(event, _BY_NAME[event.reversed_kind], event.value_date, -1))
        elif event.reversed_kind == _REVERSAL:
            rows.append(_row(event, None, event.value_date, 1))
    if rows:
        await tx.execute(insert(_TABLE).on_conflict_do_nothing(), rows)
        await _follow_chains(tx, {row["client_id"] for row in rows if row["reversed_id"] is not None})


async def _follow_chains(tx: AsyncSession, clients: set[UUID]) -> None:
    """A reversal of a reversal counts in its measure, against it, once that is known: whichever came first."""
    parent = aliased(PostingFact)
    known = (
        sa.update(PostingFact)
        .values(measure=parent.measure, amount=-parent.count * PostingFact.amount, count=-parent.count)
        .where(
            PostingFact.client_id.in_(clients),
            PostingFact.measure.is_(None),
            parent.posting_id == PostingFact.reversed_id,
            parent.entity_id == PostingFact.entity_id,
            parent.client_id == PostingFact.client_id,
            parent.measure.is_not(None),
        )
        .returning(PostingFact.posting_id)
        .execution_options(synchronize_session=False)
    )
    while clients and (await tx.execute(known)).all():
        pass


for kind in (*MEASURES, PostingReversed):
    on.project_batch(kind)(posted)


def _row(event: Counted | PostingReversed, measure: Measure | None, day: date, sign: int) -> dict[str, Any]:
    assert event.meta is not None
    return {
        "entity_id": event.entity_id,
        "posting_id": event.posting_id,
        "client_id": event.client_id,
        "month": day.replace(day=1),
        "reversed_id": event.reversed_posting_id if isinstance(event, PostingReversed) else None,
        "measure": measure,
        "currency": event.amount.currency,
        "amount": sign * event.amount.amount,
        "count": sign,
        "known_at": event.meta.known_at,
    }
