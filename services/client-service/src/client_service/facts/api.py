"""Monthly facts of a client: what was assigned, credited, voided, collected, funded, repaid and charged."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from client_service.clients.model import UnknownClient
from client_service.clients.queries import get_client
from client_service.facts.model import Measure, PostingFact
from contracts.base import Money
from servicekit.access import ids_of
from servicekit.auth import Principal, may
from servicekit.database import ReadTx
from servicekit.examples import example
from servicekit.problems import Invalid, problems

router = APIRouter(prefix="/clients/{client_id}/facts", tags=["facts"])

Month = Annotated[str, Query(pattern=r"^[12][0-9]{3}-(0[1-9]|1[0-2])$", examples=["2026-10"])]


class MonthsReversed(Invalid):
    """The first month comes after the last.

    Exchange `from` and `to`.
    """


class Figure(BaseModel):
    """A month's figure: amount and number of postings, reversals taken off."""

    amount: Money
    count: int


class MonthFacts(BaseModel):
    """One month in one currency."""

    model_config = example(
        assigned={"amount": {"amount": "1250000.00", "currency": "CNY"}, "count": 12},
        credited={"amount": {"amount": "25000.00", "currency": "CNY"}, "count": 1},
        voided={"amount": {"amount": "0.00", "currency": "CNY"}, "count": 0},
        collected={"amount": {"amount": "900000.00", "currency": "CNY"}, "count": 9},
        funded={"amount": {"amount": "800000.00", "currency": "CNY"}, "count": 4},
        repaid={"amount": {"amount": "720000.00", "currency": "CNY"}, "count": 3},
        fees={"amount": {"amount": "6250.00", "currency": "CNY"}, "count": 12},
    )

    month: str = Field(examples=["2026-10"])
    currency: str
    assigned: Figure
    credited: Figure
    voided: Figure
    collected: Figure
    funded: Figure
    repaid: Figure
    fees: Figure


class FactsView(BaseModel):
    """A client's months in which anything was booked, the earliest first."""

    client_id: UUID
    months: list[MonthFacts]
    known_at: datetime | None = Field(description="When the bus had the latest posting counted here; null: unknown yet")


@router.get("", responses=problems(UnknownClient, MonthsReversed))
async def get_facts(
    client_id: UUID,
    tx: ReadTx,
    who: Annotated[Principal, may("facts:read")],
    first: Annotated[Month | None, Query(alias="from", description="The first month")] = None,
    last: Annotated[Month | None, Query(alias="to", description="The last month")] = None,
) -> FactsView:
    """The client's monthly facts from the ledger, under whichever id the ledger told them."""
    if first is not None and last is not None and first > last:
        raise MonthsReversed("query.from", "must not come after to")
    client = await get_client(tx, client_id, visible_to=who)
    wanted = (
        sa.select(
            PostingFact.month,
            PostingFact.currency,
            PostingFact.measure,
            sa.func.sum(PostingFact.amount).label("amount"),
            sa.func.sum(PostingFact.count).label("postings"),
            sa.func.max(PostingFact.known_at).label("known_at"),
        )
        .where(PostingFact.client_id.in_(await ids_of(tx, client.id)), PostingFact.entity_id == client.entity_id)
        .where(PostingFact.measure.is_not(None))
        .group_by(PostingFact.month, PostingFact.currency, PostingFact.measure)
        .order_by(PostingFact.month, PostingFact.currency)
    )
    if first is not None:
        wanted = wanted.where(PostingFact.month >= _day(first))
    if last is not None:
        wanted = wanted.where(PostingFact.month <= _day(last))
    months: dict[tuple[str, str], dict[str, Figure]] = {}
    known_at: datetime | None = None
    for row in await tx.execute(wanted):
        figures = months.setdefault((f"{row.month:%Y-%m}", row.currency), {})
        figures[row.measure.value] = Figure(amount=Money(amount=row.amount, currency=row.currency), count=row.postings)
        known_at = max(known_at or row.known_at, row.known_at)
    return FactsView(
        client_id=client.id,
        months=[
            MonthFacts(month=month, currency=currency, **(_nothing(currency) | figures))
            for (month, currency), figures in months.items()
        ],
        known_at=known_at,
    )


def _day(month: str) -> date:
    return date.fromisoformat(f"{month}-01")


def _nothing(currency: str) -> dict[str, Figure]:
    return {measure.value: Figure(amount=Money.zero(currency), count=0) for measure in Measure}
