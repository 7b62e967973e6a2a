"""What stands open, read from the postings as of a business date, and if asked as it was known at a broker time.

Invariant: every figure is a pure function of the postings with value date ≤ as-of (and known at ≤ known-at) that are
not undone by a reversal under the same two dates.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Select, and_, case, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from risk_service.receivables.model import (
    ASSIGNED,
    COLLECTED,
    CREDITED,
    DISPUTE_SETTLED,
    DISPUTED,
    DUE_CHANGED,
    GONE,
    ON_RECEIVABLES,
    REDDENED,
    REVERSED,
    VOIDED,
    WRITTEN_OFF,
    Posting,
)

Scope = ColumnElement[bool]
"""A condition on Posting: whose postings. It always names the legal entity."""


@dataclass(frozen=True, slots=True)
class Moment:
    """As of which business date; as known at which broker time, or up to which position of a client's partition."""

    as_of: date
    known_at: datetime | None = None
    position: int | None = None

    def _seen(self, row: Any) -> list[ColumnElement[bool]]:
        seen = [row.value_date <= self.as_of]
        if self.known_at is not None:
            seen.append(row.known_at <= self.known_at)
        if self.position is not None:
            seen.append(row.position <= self.position)
        return seen

    def standing(self, scope: Scope, *conditions: ColumnElement[bool]) -> list[ColumnElement[bool]]:
        """Conditions on Posting: in scope, seen at this moment, and not undone."""
        undo = aliased(Posting)
        undone = (
            select(undo.root_id)
            .where(
                undo.kind == REVERSED,
                undo.root_id == Posting.posting_id,
                undo.entity_id == Posting.entity_id,
                undo.client_id == Posting.client_id,
                *self._seen(undo),
            )
            .group_by(undo.root_id)
            .having(func.sum(undo.sign) < 0)
            .correlate(Posting)
            .exists()
        )
        return [scope, Posting.kind != REVERSED, *self._seen(Posting), *conditions, ~undone]


def _sum(column: Any, *conditions: ColumnElement[bool]) -> ColumnElement[Decimal]:
    return func.coalesce(func.sum(column).filter(*conditions), literal(Decimal(0), sa.Numeric()))


def items(scope: Scope, at: Moment, *, window_days: int = 90) -> sa.CTE:
    """One row per receivable (and per credit note that is tied to none): what it is and what of it is open.

    Columns: entity_id, client_id, debtor_id, currency, item, receivable (bool), valid (assigned and not void), amount,
    open, issue_date, due_date, tracked, disputed (now), ever_disputed, settled_on, written_off, reduced (non-cash
    reductions with a value date in the window).
    """
    kind = Posting.kind
    assigned = kind == ASSIGNED
    start = at.as_of - timedelta(days=window_days)
    item = func.coalesce(Posting.receivable_id, Posting.posting_id).label("item")
    raw = (
        select(
            Posting.entity_id,
            Posting.client_id,
            item,
            func.any_value(Posting.debtor_id).label("debtor_id"),
            func.any_value(Posting.currency).label("currency"),
            func.count().filter(assigned).label("assignments"),
            func.coalesce(func.bool_or(kind == VOIDED), sa.false()).label("voided"),
            func.coalesce(func.bool_or(kind.in_(GONE)), sa.false()).label("gone"),
            _sum(Posting.amount, assigned).label("assigned"),
            func.sum(Posting.balance).label("moved"),
            func.max(Posting.issue_date).filter(assigned).label("issue_date"),
            func.max(Posting.due_date).filter(assigned).label("first_due"),
            func.bool_and(Posting.tracked).filter(assigned).label("tracked"),
            func.count().filter(kind == DISPUTED).label("disputes"),
            func.count().filter(kind == DISPUTE_SETTLED).label("settlements"),
            _sum(Posting.amount, kind == COLLECTED).label("collected"),
            func.max(Posting.value_date).filter(kind == COLLECTED).label("collected_on"),
            _sum(Posting.amount, kind == WRITTEN_OFF).label("written_off"),
            _sum(Posting.amount, kind.in_((CREDITED, REDDENED)), Posting.value_date > start).label("reduced"),
        )
        .where(*at.standing(scope, kind.in_(ON_RECEIVABLES)))
        .group_by(Posting.entity_id, Posting.client_id, item)
        .cte("raw")
    )
    moved_due = (
        select(Posting.receivable_id, Posting.due_date)
        .distinct(Posting.receivable_id)
        .where(*at.standing(scope, kind == DUE_CHANGED))
        .order_by(Posting.receivable_id, Posting.value_date.desc(), Posting.position.desc(), Posting.posting_id)
        .cte("moved_due")
    )
    receivable = raw.c.assignments > 0
    valid = and_(receivable, ~raw.c.voided)
    open_ = case(
        (and_(receivable, raw.c.gone), literal(Decimal(0), sa.Numeric())),
        (and_(receivable, raw.c.voided), raw.c.moved - raw.c.assigned),
        else_=raw.c.moved,
    ).label("open")
    return (
        select(
            raw.c.entity_id,
            raw.c.client_id,
            raw.c.debtor_id,
            raw.c.currency,
            raw.c.item,
            receivable.label("receivable"),
            valid.label("valid"),
            raw.c.assigned.label("amount"),
            open_,
            raw.c.issue_date,
            func.coalesce(moved_due.c.due_date, raw.c.first_due).label("due_date"),
            func.coalesce(raw.c.tracked, sa.false()).label("tracked"),
            (raw.c.disputes > raw.c.settlements).label("disputed"),
            (raw.c.disputes > 0).label("ever_disputed"),
            case((and_(valid, raw.c.collected > 0, open_ <= 0), raw.c.collected_on)).label("settled_on"),
            raw.c.written_off,
            raw.c.reduced,
        )
        .select_from(raw.outerjoin(moved_due, moved_due.c.receivable_id == raw.c.item))
        .cte("items")
    )


BUCKETS = ("current", "days_1_30", "days_31_60", "days_61_90", "days_over_90", "untracked", "unallocated")
"""Ageing: tracked receivables by days past due, untracked ones, what is tied to none. They sum to the balance."""


def totals(
    scope: Scope, at: Moment, *, window_days: int, default_days: int = 365, by: str = "debtor_id"
) -> Select[Any]:
    """Per currency: every sum the indicators are made of. `by` is the column whose concentration is measured."""
    i = items(scope, at, window_days=window_days).c
    tracked = and_(i.valid, i.tracked)
    standing = and_(tracked, i.open > 0)
    past_due = and_(standing, i.due_date < at.as_of)
    days = case((past_due, literal(at.as_of, sa.Date()) - i.due_date), else_=0)
    bucket = case(
        (~i.receivable, "unallocated"),
        (~i.tracked, "untracked"),
        (days > 90, "days_over_90"),
        (days > 60, "days_61_90"),
        (days > 30, "days_31_60"),
        (days > 0, "days_1_30"),
        else_="current",
    )
    sold = and_(i.valid, i.issue_date > at.as_of - timedelta(days=window_days), i.issue_date <= at.as_of)
    matured = and_(tracked, i.due_date > at.as_of - timedelta(days=default_days), i.due_date <= at.as_of)
    defaulted = and_(matured, or_(i.written_off > 0, days > 90))
    party = i[by]
    columns: dict[str, ColumnElement[Any]] = {
        "balance": _sum(i.open),
        "tracked_balance": _sum(i.open, tracked),
        "open_count": func.count().filter(standing),
        "overdue_count": func.count().filter(past_due),
        "overdue": _sum(i.open, past_due),
        "disputed_count": func.count().filter(and_(i.valid, i.open > 0, i.disputed)),
        "disputed": _sum(i.open, and_(i.valid, i.open > 0, i.disputed)),
        "receivables": func.count().filter(and_(i.valid, i.open > 0)),
        "receivable_balance": _sum(i.open, and_(i.valid, i.open > 0)),
        "sales": _sum(i.amount, sold),
        "sales_count": func.count().filter(sold),
        "tracked_sales": _sum(i.amount, sold, i.tracked),
        "reduced": _sum(i.reduced),
        "matured_count": func.count().filter(matured),
        "matured": _sum(i.amount, matured),
        "defaulted_count": func.count().filter(defaulted),
        "defaulted": _sum(i.amount, defaulted),
        **{name: _sum(i.open, bucket == name) for name in BUCKETS},
    }
    each = (
        select(i.currency, party.label("party"), *(column.label(name) for name, column in columns.items()))
        .group_by(i.currency, party)
        .cte("each")
    )
    positive = each.c.balance > 0
    return select(
        each.c.currency,
        func.count().filter(positive).label("parties"),
        func.coalesce(func.max(each.c.balance).filter(positive), 0).label("top"),
        _sum(each.c.balance, positive).label("positive"),
        _sum(each.c.balance * each.c.balance, positive).label("squares"),
        *(func.sum(each.c[name]).label(name) for name in columns),
    ).group_by(each.c.currency)


async def funds_in_use(tx: AsyncSession, scope: Scope, at: Moment) -> dict[str, Decimal]:
    """Funds drawn less repaid, per currency; a currency in which nothing was ever drawn is missing."""
    rows = await tx.execute(
        select(Posting.currency, func.sum(Posting.funds))
        .where(*at.standing(scope, Posting.funds != 0))
        .group_by(Posting.currency)
    )
    return {currency: amount for currency, amount in rows.tuples() if currency is not None}


async def balances(tx: AsyncSession, scope: Scope, at: Moment, *, debtor_id: UUID | None = None) -> dict[str, Decimal]:
    """Open balance per currency, of all debtors or of one."""
    i = items(scope, at).c
    query = select(i.currency, func.sum(i.open)).group_by(i.currency)
    rows = await tx.execute(query if debtor_id is None else query.where(i.debtor_id == debtor_id))
    return {currency: amount for currency, amount in rows.tuples() if currency is not None}
