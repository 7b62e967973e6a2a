"""A client's invoice record as the scorecard sees it, read from this service's own postings as of a date."""

from datetime import date
from uuid import UUID

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from risk_service.rating.scorecard import (
    Behaviour,
    InvoiceRow,
    Model,
    RowKind,
    Score,
    behaviour,
    factor_values,
    score,
)
from risk_service.receivables.balances import Moment
from risk_service.receivables.model import ASSIGNED, CREDITED, VOIDED, Posting

KINDS = {ASSIGNED: RowKind.SALE, CREDITED: RowKind.CREDIT, VOIDED: RowKind.VOID}


async def behaviour_of(
    tx: AsyncSession, entity_id: str, client_ids: list[UUID], as_of: date
) -> tuple[Behaviour, set[str]]:
    """The summed record and the currencies it is in. An assigned receivable that was voided is a void row."""
    scope = and_(Posting.entity_id == entity_id, Posting.client_id.in_(client_ids))
    found = (
        await tx.execute(
            select(
                Posting.kind,
                Posting.issue_date,
                Posting.debtor_id,
                Posting.amount,
                Posting.receivable_id,
                Posting.currency,
            ).where(*Moment(as_of).standing(scope, Posting.kind.in_(KINDS)))
        )
    ).all()
    voided = {row.receivable_id for row in found if row.kind == VOIDED}
    rows = [
        InvoiceRow(KINDS[row.kind], row.issue_date, row.debtor_id, abs(row.amount))
        for row in found
        if not (row.kind == ASSIGNED and row.receivable_id in voided)
    ]
    return behaviour(rows, as_of), {row.currency for row in found}


def score_of(model: Model, facts: Behaviour, currencies: set[str]) -> Score | None:
    """The score, or None where the model cannot judge."""
    if not facts.sufficient or currencies != {model.currency}:
        return None
    return score(model, factor_values(facts))
