"""Breaks between the ledger's day-closes and our postings: listed, owned, explained."""

from datetime import date
from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts import BreakResolution, LedgerBreakResolved
from eventing.outbox import emit
from risk_service.reconciliation.model import BreakNotOpen, BreakStatus, LedgerBreak
from risk_service.requests import Day, DecimalText, Reason, money
from servicekit.access import ids_of, visible
from servicekit.auth import Principal, may
from servicekit.clock import Now
from servicekit.concurrency import IfMatch, etag, next_version
from servicekit.database import ReadTx, Tx
from servicekit.examples import example
from servicekit.pagination import Page, Paging, paginate, total_of
from servicekit.problems import Forbidden, NotFound, problems
from servicekit.requests import Body

router = APIRouter(tags=["reconciliation"])


class UnknownBreak(NotFound):
    """There is no such break, or it is not yours to see.

    `GET /ledger-breaks` lists those there are.
    """


class BreakView(BaseModel):
    """What the ledger's day-close says of one posting kind, and what came."""

    model_config = example(
        kind="count",
        expected_total="1500000.00",
        actual_total="1375000.00",
        status="open",
    )

    id: UUID
    client_id: UUID
    business_date: date
    posting_kind: str
    kind: str
    currency: str
    expected_count: int
    actual_count: int
    expected_total: DecimalText
    actual_total: DecimalText
    status: str
    owner_id: UUID | None
    explanation: str | None
    resolution: str | None
    version: int

    @classmethod
    def of(cls, found: LedgerBreak) -> Self:
        names = [n for n in cls.model_fields if n not in {"version", "expected_total", "actual_total"}]
        return cls(
            **{name: getattr(found, name) for name in names},
            expected_total=money(found.expected_total),
            actual_total=money(found.actual_total),
            version=next_version(found),
        )


class Explanation(Body):
    """Why the two sides differ."""

    model_config = example(explanation="One assignment was booked after the day had closed; it follows tomorrow.")

    explanation: Reason


@router.get("/ledger-breaks")
async def list_ledger_breaks(
    tx: ReadTx,
    who: Annotated[Principal, may("breaks:read")],
    page: Paging,
    status: BreakStatus | None = None,
    client_id: UUID | None = None,
    since: Day | None = None,
    until: Day | None = None,
) -> Page[BreakView]:
    """The breaks, newest business date first."""
    query = select(LedgerBreak).where(visible(who, LedgerBreak.client_id, LedgerBreak.entity_id))
    if status is not None:
        query = query.where(LedgerBreak.status == status)
    if client_id is not None:
        query = query.where(LedgerBreak.client_id.in_(await ids_of(tx, client_id)))
    if since is not None:
        query = query.where(LedgerBreak.business_date >= since)
    if until is not None:
        query = query.where(LedgerBreak.business_date <= until)
    rows, cursor = await paginate(tx, query, LedgerBreak.business_date.desc(), LedgerBreak.id, page=page)
    return Page(
        items=[BreakView.of(found) for found in rows], next_cursor=cursor, total=await total_of(tx, query, page)
    )


@router.get("/ledger-breaks/{break_id}", responses=problems(UnknownBreak))
async def get_ledger_break(
    break_id: UUID, tx: ReadTx, who: Annotated[Principal, may("breaks:read")], response: Response
) -> BreakView:
    """One break."""
    found = await _break(tx, who, break_id)
    etag(response, found)
    return BreakView.of(found)


@router.post("/ledger-breaks/{break_id}/own", responses=problems(UnknownBreak, BreakNotOpen))
async def own_ledger_break(
    break_id: UUID, tx: Tx, who: Annotated[Principal, may("breaks:handle")], expected: IfMatch, response: Response
) -> BreakView:
    """Take a break on."""
    found = await _break(tx, who, break_id)
    expected.check(found)
    if who.staff_id is None:
        raise Forbidden(detail="Only a member of staff can own a break; the token names none.")
    found.own(who.staff_id)
    etag(response, found)
    return BreakView.of(found)


@router.post("/ledger-breaks/{break_id}/explain", responses=problems(UnknownBreak, BreakNotOpen))
async def explain_ledger_break(
    break_id: UUID,
    body: Explanation,
    tx: Tx,
    who: Annotated[Principal, may("breaks:handle")],
    now: Now,
    expected: IfMatch,
    response: Response,
) -> BreakView:
    """Say why the two sides differ; the break counts as explained until the numbers change."""
    found = await _break(tx, who, break_id)
    expected.check(found)
    found.explain(body.explanation)
    emit(
        tx,
        LedgerBreakResolved(
            entity_id=found.entity_id,
            occurred_at=now,
            client_id=found.client_id,
            break_id=found.id,
            business_date=found.business_date,
            resolution=BreakResolution.EXPLAINED,
        ),
    )
    etag(response, found)
    return BreakView.of(found)


async def _break(tx: AsyncSession, who: Principal, break_id: UUID) -> LedgerBreak:
    found = await tx.scalar(
        select(LedgerBreak).where(
            LedgerBreak.id == break_id, visible(who, LedgerBreak.client_id, LedgerBreak.entity_id)
        )
    )
    if found is None:
        raise UnknownBreak(break_id)
    return found
