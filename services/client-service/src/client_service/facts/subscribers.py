"""Hearing the ledger: each posting becomes one row, wherever it stands in the order of things."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

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
_BY_NAME: Mapping[str, Measure] = {kind.ce_type.split(".")[2]: measure for kind, measure in MEASURES.items()}


def _row(event: Counted | PostingReversed, measure: Measure, day: date, sign: int) -> dict[str, Any]:
    assert event.meta is not None
    return {
        "entity_id": event.entity_id,
        "posting_id": event.posting_id,
        "client_id": event.client_id,
        "month": day.replace(day=1),
        "measure": measure,
        "currency": event.amount.currency,
        "amount": sign * event.amount.amount,
        "count": sign,
        "known_at": event.meta.known_at,
    }


async def _write(tx: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        await tx.execute(insert(PostingFact.__table__).on_conflict_do_nothing(), rows)


@on.project_batch(ReceivableAssigned)
@on.project_batch(CreditNoteIssued)
@on.project_batch(InvoiceReddened)
@on.project_batch(InvoiceVoided)
@on.project_batch(ReceivableCollected)
@on.project_batch(FundingDrawn)
@on.project_batch(FundingRepaid)
@on.project_batch(FeeCharged)
async def posted(events: Sequence[Counted], tx: AsyncSession) -> None:
    """Postings count in the month they were booked."""
    await _write(tx, [_row(event, MEASURES[type(event)], event.business_date, 1) for event in events])


@on.project_batch(PostingReversed)
async def posting_reversed(events: list[PostingReversed], tx: AsyncSession) -> None:
    """Reversals count from their value date, against what they undo; those of kinds we do not count are left out."""
    await _write(
        tx,
        [
            _row(event, _BY_NAME[event.reversed_kind], event.value_date, -1)
            for event in events
            if event.reversed_kind in _BY_NAME
        ],
    )
