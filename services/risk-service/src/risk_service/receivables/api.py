"""The receivables behind the figures, and rows the ledger seems to have told twice."""

from datetime import date
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Query
from pydantic import BaseModel
from sqlalchemy import and_, func, select

from risk_service.clients.model import UnknownClient
from risk_service.clients.queries import visible_ids
from risk_service.receivables.balances import Moment, items
from risk_service.receivables.model import ASSIGNED, CREDITED, VOIDED, Posting
from risk_service.receivables.queries import latest_date
from risk_service.requests import Day, DecimalText, money
from servicekit.access import visible
from servicekit.auth import Principal, may
from servicekit.database import ReadTx
from servicekit.examples import example
from servicekit.pagination import Page, Paging, paginate, total_of
from servicekit.problems import problems
from servicekit.requests import Timestamp

router = APIRouter(tags=["receivables"])
Reader = Annotated[Principal, may("receivables:read")]


class ReceivableView(BaseModel):
    """A receivable as of a business date."""

    model_config = example(
        debtor_id="0199a7c0-2222-7aaa-8aaa-000000000002",
        currency="CNY",
        amount="125000.00",
        open="45000.00",
        issue_date="2026-08-01",
        due_date="2026-10-30",
        days_past_due=3,
        disputed=False,
    )

    receivable_id: UUID
    client_id: UUID
    debtor_id: UUID | None
    currency: str | None
    amount: DecimalText
    open: DecimalText
    issue_date: date | None
    due_date: date | None
    days_past_due: int
    tracked: bool
    valid: bool
    disputed: bool
    settled_on: date | None


class RepeatedRow(BaseModel):
    """A row that repeats an earlier one exactly: same client, kind, number, debtor, issue date and amounts."""

    model_config = example(
        debtor_id="0199a7c0-2222-7aaa-8aaa-000000000002",
        receivable_id="0199a7c0-7777-7aaa-8aaa-000000000008",
        repeats="0199a7c0-f000-7aaa-8aaa-000000000015",
        kind="receivable-assigned",
        invoice_number="20919652",
        issue_date="2026-10-30",
    )

    posting_id: UUID
    repeats: UUID
    client_id: UUID
    debtor_id: UUID | None
    kind: str
    receivable_id: UUID | None
    invoice_number: str
    issue_date: date
    business_date: date
    amount: DecimalText
    currency: str


@router.get("/clients/{client_id}/receivables", responses=problems(UnknownClient))
async def list_receivables(
    client_id: UUID,
    tx: ReadTx,
    who: Reader,
    page: Paging,
    as_of: Day | None = None,
    known_at: Timestamp | None = None,
    debtor_id: UUID | None = None,
    open_only: Annotated[bool, Query(description="Only what is not settled")] = False,
    overdue_only: Annotated[bool, Query(description="Only what is past due")] = False,
) -> Page[ReceivableView]:
    """The client's receivables as of a business date, oldest due first."""
    ids = await visible_ids(tx, who, client_id)
    scope = and_(Posting.entity_id == who.entity_id, Posting.client_id.in_(ids))
    at = Moment(as_of or await latest_date(tx, who.entity_id, ids, scope), known_at)
    i = items(scope, at).c
    past_due = func.coalesce(and_(i.valid, i.tracked, i.open > 0, i.due_date < at.as_of), sa.false())
    query = select(
        i.item, i.client_id, i.debtor_id, i.currency, i.amount, i.open, i.issue_date, i.due_date, i.tracked, i.valid,
        i.disputed, i.settled_on, past_due,
    ).where(i.receivable)  # fmt: skip
    if debtor_id is not None:
        query = query.where(i.debtor_id == debtor_id)
    if open_only:
        query = query.where(i.open > 0)
    if overdue_only:
        query = query.where(past_due)
    rows, cursor = await paginate(tx, query, i.due_date, i.item, page=page)
    return Page(
        items=[
            ReceivableView(
                receivable_id=item,
                client_id=client,
                debtor_id=debtor,
                currency=currency,
                amount=money(amount),
                open=money(open_),
                issue_date=issue_date,
                due_date=due_date,
                days_past_due=(at.as_of - due_date).days if late else 0,
                tracked=tracked,
                valid=valid,
                disputed=disputed,
                settled_on=settled_on,
            )
            for (
                item, client, debtor, currency, amount, open_, issue_date, due_date, tracked, valid, disputed,
                settled_on, late,
            ) in rows
        ],
        next_cursor=cursor,
        total=await total_of(tx, query, page),
    )  # fmt: skip


@router.get("/receivables/suspected-duplicates", responses=problems(UnknownClient))
async def list_suspected_duplicates(
    tx: ReadTx, who: Reader, page: Paging, client_id: UUID | None = None
) -> Page[RepeatedRow]:
    """Invoice rows that repeat an earlier row of the same client in everything; they count, and are suspected."""
    scope = visible(who, Posting.client_id, Posting.entity_id)
    if client_id is not None:
        scope = and_(scope, Posting.client_id.in_(await visible_ids(tx, who, client_id)))
    same: dict[str, Any] = {
        "partition_by": [
            Posting.entity_id,
            Posting.client_id,
            Posting.kind,
            Posting.invoice_number,
            Posting.debtor_id,
            Posting.issue_date,
            Posting.amount,
            Posting.currency,
            Posting.net,
            Posting.tax,
        ],
        "order_by": [Posting.business_date, Posting.position, Posting.posting_id],
    }
    seen = (
        select(
            *(c for c in Posting.__table__.c if c.name in RepeatedRow.model_fields),
            func.row_number().over(**same).label("nth"),
            func.first_value(Posting.posting_id).over(**same).label("repeats"),
        )
        .where(*Moment(date.max).standing(scope, Posting.kind.in_((ASSIGNED, CREDITED, VOIDED))))
        .cte("seen")
    )
    names = list(RepeatedRow.model_fields)
    query = select(*(seen.c[name] for name in names)).where(seen.c.nth > 1)
    order = (seen.c.client_id, seen.c.issue_date, seen.c.posting_id)
    rows, cursor = await paginate(tx, query, *order, page=page)
    found = [dict(zip(names, row, strict=True)) for row in rows]
    return Page(
        items=[RepeatedRow.model_validate({**row, "amount": money(row["amount"])}) for row in found],
        next_cursor=cursor,
        total=await total_of(tx, query, page),
    )
