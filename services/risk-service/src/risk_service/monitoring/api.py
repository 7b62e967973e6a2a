"""Indicators as of any business date, for a client, a debtor, a client with one debtor, or the caller's portfolio.

Each figure says why it is what it is. Nothing here reads a clock: the default date is the last one the ledger closed.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from risk_service.clients.model import Client, UnknownClient
from risk_service.clients.queries import visible_ids
from risk_service.monitoring.evaluation import WINDOW_DAYS
from risk_service.monitoring.indicators import Figure, indicators
from risk_service.monitoring.model import Snapshot
from risk_service.monitoring.records import PaymentBehaviour, YearOfSales, payment_behaviour, yearly_sales
from risk_service.receivables.balances import BUCKETS, DEFAULT_DAYS, Moment, funds_in_use, sums_of
from risk_service.receivables.model import Posting
from risk_service.receivables.queries import latest_date
from risk_service.requests import Currency, Day, DecimalText, money
from servicekit.access import ids_of, resolved, visible
from servicekit.auth import Principal, may
from servicekit.database import ReadTx
from servicekit.examples import example
from servicekit.pagination import Page, Paging, paginate, total_of
from servicekit.problems import NotFound, problems
from servicekit.requests import Timestamp

router = APIRouter(tags=["indicators"])
Reader = Annotated[Principal, may("indicators:read")]
Window = Annotated[int, Query(ge=1, le=1830, description="Days of sales that DSO and dilution look at")]
KnownAt = Annotated[
    Timestamp | None, Query(description="As it was known at this broker time; default: all that is known now")
]


class UnknownDebtor(NotFound):
    """No receivable of such a debtor is known here, or it is not yours to see.

    Check the id. A debtor is known once the ledger has booked a receivable on it.
    """


class WhyView(BaseModel):
    """How a figure came about."""

    model_config = example(
        formula="overdue balance ÷ balance",
        numerator="60000",
        denominator="400000",
        dates="as of 2026-11-02",
        source="receivables whose settlement is tracked",
    )

    formula: str
    numerator: DecimalText
    denominator: DecimalText
    dates: str
    source: str


class Ageing(BaseModel):
    """The balance by days past due; what is untracked or tied to no receivable stands apart. Sums to the balance."""

    model_config = example(
        current="340000.00",
        days_1_30="45000.00",
        days_31_60="15000.00",
        days_61_90="0.00",
        days_over_90="0.00",
        untracked="0.00",
        unallocated="0.00",
    )

    current: DecimalText
    days_1_30: DecimalText
    days_31_60: DecimalText
    days_61_90: DecimalText
    days_over_90: DecimalText
    untracked: DecimalText
    unallocated: DecimalText


class IndicatorsView(BaseModel):
    """Figures of one scope and currency at a business date. A ratio is null where its denominator is zero."""

    model_config = example(
        known_at="2026-11-03T02:15:00Z",
        currency="CNY",
        other_currencies=["USD"],
        window_days=365,
        balance="400000.00",
        funds_in_use="320000.00",
        open_count=8,
        open_balance="400000.00",
        overdue_count=2,
        overdue="60000.00",
        overdue_rate="0.1500",
        overdue_rate_by_count="0.2500",
        default_rate="0.0000",
        default_rate_by_count="0.0000",
        dilution="0.0200",
        dispute_rate="0.0000",
        dso="48.6667",
        turnover="7.5000",
        top_share="0.4000",
        hhi="0.2800",
        parties=4,
        explain={
            "overdue_rate": {
                "formula": "overdue balance ÷ balance",
                "numerator": "60000",
                "denominator": "400000",
                "dates": "as of 2026-11-02",
                "source": "receivables whose settlement is tracked",
            }
        },
    )

    as_of: date
    known_at: AwareDatetime | None
    currency: str | None = Field(description="Asked for, or the one with the most receivables")
    other_currencies: list[str]
    window_days: int
    balance: DecimalText = Field(description="Exposure: open balance of assigned receivables less unallocated credit")
    funds_in_use: DecimalText | None = Field(description="Funds drawn less repaid; null where no funding is known")
    open_count: int = Field(description="Open receivables whose settlement is tracked")
    open_balance: DecimalText = Field(description="Their open balance")
    overdue_count: int
    overdue: DecimalText
    overdue_rate: DecimalText | None
    overdue_rate_by_count: DecimalText | None
    default_rate: DecimalText | None
    default_rate_by_count: DecimalText | None
    dilution: DecimalText | None
    dispute_rate: DecimalText | None
    dso: DecimalText | None
    turnover: DecimalText | None
    top_share: DecimalText | None
    hhi: DecimalText | None
    parties: int = Field(description="Debtors (of a debtor: clients) with an open balance")
    ageing: Ageing
    explain: dict[str, WhyView]


class SnapshotView(BaseModel):
    """A client's figures as stored at the close of a business date."""

    model_config = example(
        balance="400000.00",
        overdue="60000.00",
        funds_in_use="320000.00",
        limit="500000.00",
        headroom="180000.00",
        figures={"overdue_rate": "0.1500", "open_count": 8},
    )

    as_of: date
    currency: str
    revision: int
    balance: DecimalText
    overdue: DecimalText
    funds_in_use: DecimalText | None
    limit: DecimalText | None
    headroom: DecimalText | None
    figures: dict[str, Any]


NOTHING: dict[str, Any] = {
    **dict.fromkeys(("top", "positive", "squares", "balance", "tracked_balance", "overdue", "disputed"), Decimal(0)),
    **dict.fromkeys(("receivable_balance", "sales", "tracked_sales", "reduced", "matured", "defaulted"), Decimal(0)),
    **dict.fromkeys(("open_count", "overdue_count", "matured_count", "defaulted_count", "parties"), 0),
    **dict.fromkeys(BUCKETS, Decimal(0)),
}
"""The sums of a scope in which nothing was booked."""


def _view(
    sums: dict[str, dict[str, Any]], funds: Mapping[str, Decimal], at: Moment, asked: str | None, window: int
) -> IndicatorsView:
    currencies = sorted({c for c in (*sums, *funds) if c})
    chosen = asked or max(
        currencies,
        key=lambda c: (sums.get(c, {}).get("receivables", 0), sums.get(c, {}).get("sales_count", 0)),
        default=None,
    )
    own: dict[str, Any] = NOTHING | sums.get(chosen or "", {})
    ratios: dict[str, Figure] = indicators(own, at.as_of, window, DEFAULT_DAYS)
    used = funds.get(chosen or "")
    return IndicatorsView(
        as_of=at.as_of,
        known_at=at.known_at,
        currency=chosen,
        other_currencies=[c for c in currencies if c != chosen],
        window_days=window,
        balance=money(own["balance"]),
        funds_in_use=None if used is None else money(used),
        open_count=own["open_count"],
        open_balance=money(own["tracked_balance"]),
        overdue_count=own["overdue_count"],
        overdue=money(own["overdue"]),
        parties=own["parties"],
        ageing=Ageing(**{name: money(own[name]) for name in BUCKETS}),
        explain={
            name: WhyView(
                formula=f.why.formula,
                numerator=f.why.numerator,
                denominator=f.why.denominator,
                dates=f.why.dates,
                source=f.why.source,
            )
            for name, f in ratios.items()
        },
        **{name: f.value for name, f in ratios.items()},
    )


async def _figures(
    tx: AsyncSession,
    scope: ColumnElement[bool],
    as_of: date | None,
    known_at: Any,
    currency: str | None,
    window: int,
    *,
    entity_id: str,
    clients: list[UUID] | None = None,
    by: str = "debtor_id",
) -> IndicatorsView:
    at = Moment(as_of or await latest_date(tx, entity_id, clients, scope), known_at)
    sums = await sums_of(tx, scope, at, window_days=window, by=by)
    return _view(sums, await funds_in_use(tx, scope, at), at, currency, window)


@router.get("/clients/{client_id}/indicators", responses=problems(UnknownClient))
async def get_client_indicators(
    client_id: UUID,
    tx: ReadTx,
    who: Reader,
    as_of: Day | None = None,
    known_at: KnownAt = None,
    currency: Currency | None = None,
    window_days: Window = WINDOW_DAYS,
) -> IndicatorsView:
    """A client's exposure, overdue, DSO, dilution and the rest at a business date, each with its reason."""
    ids = await visible_ids(tx, who, client_id)
    scope = and_(Posting.entity_id == who.entity_id, Posting.client_id.in_(ids))
    return await _figures(tx, scope, as_of, known_at, currency, window_days, entity_id=who.entity_id, clients=ids)


@router.get("/clients/{client_id}/debtors/{debtor_id}/indicators", responses=problems(UnknownClient))
async def get_client_debtor_indicators(
    client_id: UUID,
    debtor_id: UUID,
    tx: ReadTx,
    who: Reader,
    as_of: Day | None = None,
    known_at: KnownAt = None,
    currency: Currency | None = None,
    window_days: Window = WINDOW_DAYS,
) -> IndicatorsView:
    """The same of what one debtor owes one client."""
    ids = await visible_ids(tx, who, client_id)
    client = and_(Posting.entity_id == who.entity_id, Posting.client_id.in_(ids))
    scope = and_(client, _on_debtor(client, await ids_of(tx, debtor_id)))
    return await _figures(tx, scope, as_of, known_at, currency, window_days, entity_id=who.entity_id, clients=ids)


@router.get("/debtors/{debtor_id}/indicators", responses=problems(UnknownDebtor))
async def get_debtor_indicators(
    debtor_id: UUID,
    tx: ReadTx,
    who: Reader,
    as_of: Day | None = None,
    known_at: KnownAt = None,
    currency: Currency | None = None,
    window_days: Window = WINDOW_DAYS,
) -> IndicatorsView:
    """The same of what a debtor owes to all clients the caller may see; concentration is by client."""
    mine = visible(who, Posting.client_id, Posting.entity_id)
    debtors = await ids_of(tx, debtor_id)
    if not await tx.scalar(select(exists().where(mine, Posting.debtor_id.in_(debtors)))):
        raise UnknownDebtor(debtor_id)
    scope = and_(mine, _on_debtor(mine, debtors))
    return await _figures(tx, scope, as_of, known_at, currency, window_days, entity_id=who.entity_id, by="client_id")


@router.get("/portfolio/indicators")
async def get_portfolio_indicators(
    tx: ReadTx,
    who: Reader,
    as_of: Day | None = None,
    known_at: KnownAt = None,
    currency: Currency | None = None,
    window_days: Window = WINDOW_DAYS,
    industry: Annotated[str | None, Query(max_length=64, description="Clients of this industry code only")] = None,
) -> IndicatorsView:
    """The same of all the caller may see: own clients, the team's, or the legal entity's."""
    scope = visible(who, Posting.client_id, Posting.entity_id)
    if industry is not None:
        same = select(Client.client_id).where(Client.industry == industry, Client.entity_id == who.entity_id)
        scope = and_(scope, resolved(Posting.client_id).in_(same))
    return await _figures(tx, scope, as_of, known_at, currency, window_days, entity_id=who.entity_id)


def _on_debtor(within: ColumnElement[bool], debtors: list[UUID]) -> ColumnElement[bool]:
    """Postings on a debtor's receivables, those included that do not name the debtor."""
    theirs = select(Posting.receivable_id).where(
        within, Posting.debtor_id.in_(debtors), Posting.receivable_id.is_not(None)
    )
    return or_(Posting.debtor_id.in_(debtors), Posting.receivable_id.in_(theirs))


@router.get("/clients/{client_id}/payment-behaviour", responses=problems(UnknownClient))
async def get_payment_behaviour(
    client_id: UUID,
    tx: ReadTx,
    who: Reader,
    as_of: Day | None = None,
    known_at: KnownAt = None,
    currency: Currency | None = None,
) -> PaymentBehaviour:
    """How the client's debtors have paid: late and disputed shares, days to settle, days late."""
    ids = await visible_ids(tx, who, client_id)
    scope = and_(Posting.entity_id == who.entity_id, Posting.client_id.in_(ids))
    at = Moment(as_of or await latest_date(tx, who.entity_id, ids, scope), known_at)
    return await payment_behaviour(tx, scope, at, currency)


@router.get("/clients/{client_id}/sales", responses=problems(UnknownClient))
async def list_yearly_sales(
    client_id: UUID,
    tx: ReadTx,
    who: Reader,
    year: Annotated[
        int | None, Query(ge=1990, le=2200, description="One year only; default: all, and their total")
    ] = None,
    as_of: Day | None = None,
    currency: Currency | None = None,
) -> list[YearOfSales]:
    """Yearly invoice totals, void, credit-note and largest debtor's shares; the last row (year null) is all years."""
    ids = await visible_ids(tx, who, client_id)
    scope = and_(Posting.entity_id == who.entity_id, Posting.client_id.in_(ids))
    at = Moment(as_of or await latest_date(tx, who.entity_id, ids, scope))
    return await yearly_sales(tx, scope, at, year, currency)


@router.get("/clients/{client_id}/snapshots", responses=problems(UnknownClient))
async def list_snapshots(
    client_id: UUID,
    tx: ReadTx,
    who: Reader,
    page: Paging,
    since: Day | None = None,
    until: Day | None = None,
) -> Page[SnapshotView]:
    """The figures stored at each close of the client's business days, newest first."""
    ids = await visible_ids(tx, who, client_id)
    query = select(Snapshot).where(Snapshot.entity_id == who.entity_id, Snapshot.client_id.in_(ids))
    if since is not None:
        query = query.where(Snapshot.as_of >= since)
    if until is not None:
        query = query.where(Snapshot.as_of <= until)
    rows, cursor = await paginate(tx, query, Snapshot.as_of.desc(), Snapshot.currency, Snapshot.client_id, page=page)
    return Page(
        items=[
            SnapshotView(
                as_of=row.as_of,
                currency=row.currency,
                revision=row.revision,
                balance=money(row.balance),
                overdue=money(row.overdue),
                funds_in_use=None if row.funds_in_use is None else money(row.funds_in_use),
                limit=None if row.limit_amount is None else money(row.limit_amount),
                headroom=None if row.headroom is None else money(row.headroom),
                figures=row.figures,
            )
            for row in rows
        ],
        next_cursor=cursor,
        total=await total_of(tx, query, page),
    )
