"""What stands open, read from the postings as of a business date, and if asked as it was known at a broker time.

Invariant: every figure is a pure function of the postings with value date ≤ as-of (and known at ≤ known-at) that are
not undone by a reversal under the same two dates.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Select, and_, bindparam, case, column, func, literal, or_, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on
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

    def standing(self, scope: Scope, *conditions: ColumnElement[bool]) -> list[ColumnElement[bool]]:
        """Conditions on Posting: in scope, seen at this moment, and not undone."""
        return _standing(self, scope, *conditions)


@dataclass(frozen=True, slots=True)
class Closes:
    """Many moments at once, each of one client: rows (entity, client, as of, position), no two the same."""

    rows: tuple[tuple[str, UUID, date, int], ...]

    def parameters(self) -> dict[str, list[Any]]:
        """What a statement over CLOSES is executed with."""
        return {name: [row[place] for row in self.rows] for place, name in enumerate(_CLOSES)}


_CLOSES = {
    "close_entities": ("entity_id", sa.Text()),
    "close_clients": ("client_id", sa.Uuid()),
    "close_dates": ("as_of", sa.Date()),
    "close_positions": ("position", sa.BigInteger()),
}


def _closes(alias: str) -> Any:
    given = func.unnest(*(bindparam(name, type_=ARRAY(kind)) for name, (_, kind) in _CLOSES.items()))
    return given.table_valued(*(column(name, kind) for name, kind in _CLOSES.values())).render_derived(name=alias)


CLOSES: Any = _closes("closes")
"""The rows of `Closes` as a table to join: entity_id, client_id, as_of, position."""


def same_day(entity_id: Any, client_id: Any, day: Any) -> list[ColumnElement[bool]]:
    """Conditions that tie these columns to a row of CLOSES."""
    return [entity_id == CLOSES.c.entity_id, client_id == CLOSES.c.client_id, day == CLOSES.c.as_of]


class _EachClose:
    """The moment that a row of CLOSES stands for."""

    as_of: ColumnElement[date] = CLOSES.c.as_of
    position: ColumnElement[int] = CLOSES.c.position
    known_at = None
    scope: Scope = and_(Posting.entity_id == CLOSES.c.entity_id, Posting.client_id == CLOSES.c.client_id)


def _seen(at: Moment | _EachClose, row: Any) -> list[ColumnElement[bool]]:
    seen: list[ColumnElement[bool]] = [row.value_date <= at.as_of]
    if at.known_at is not None:
        seen.append(row.known_at <= at.known_at)
    if at.position is not None:
        seen.append(row.position <= at.position)
    return seen


def _standing(at: Moment | _EachClose, scope: Scope, *conditions: ColumnElement[bool]) -> list[ColumnElement[bool]]:
    return [scope, Posting.kind != REVERSED, *_seen(at, Posting), *conditions, ~_undone(at)]


def _undone(at: Moment | _EachClose) -> ColumnElement[bool]:
    """Whether the posting is undone at the moment."""
    undo = aliased(Posting)
    net = select(undo.root_id).where(undo.root_id.is_not(None)).group_by(undo.root_id).having(func.sum(undo.sign) < 0)
    if isinstance(at, Moment):
        own = (
            undo.root_id == Posting.posting_id,
            undo.entity_id == Posting.entity_id,
            undo.client_id == Posting.client_id,
        )
        return net.where(*own, *_seen(at, undo)).correlate(Posting).exists()
    each = _closes("undoing")
    mine = undo.entity_id == each.c.entity_id, undo.client_id == each.c.client_id
    seen = undo.value_date <= each.c.as_of, undo.position <= each.c.position
    undone = net.add_columns(each.c.as_of).where(*mine, *seen).group_by(each.c.as_of)  # once, not for each posting
    return tuple_(Posting.posting_id, CLOSES.c.as_of).in_(undone)


def _sum(what: Any, *conditions: ColumnElement[bool]) -> ColumnElement[Decimal]:
    return func.coalesce(func.sum(what).filter(*conditions), literal(Decimal(0), sa.Numeric()))


def _before(day: Any, days: int) -> ColumnElement[date]:
    return sa.type_coerce(day - literal(days, sa.Integer()), sa.Date())


def items(scope: Scope, at: Moment, *, window_days: int = 90) -> sa.CTE:
    """One row per receivable (and per credit note that is tied to none): what it is and what of it is open.

    Columns: as_of, entity_id, client_id, debtor_id, currency, item, receivable (bool), valid (assigned and not void),
    amount, open, issue_date, due_date, tracked, disputed (now), ever_disputed, settled_on, written_off, reduced
    (non-cash reductions with a value date in the window).
    """
    return _items(scope, at, window_days)


def _items(scope: Scope, at: Moment | _EachClose, window_days: int) -> sa.CTE:
    kind = Posting.kind
    assigned = kind == ASSIGNED
    as_of: ColumnElement[date] = literal(at.as_of, sa.Date()) if isinstance(at, Moment) else at.as_of
    dates = [] if isinstance(at, Moment) else [as_of]
    item = func.coalesce(Posting.receivable_id, Posting.posting_id).label("item")
    raw = (
        select(
            as_of.label("as_of"),
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
            _sum(
                Posting.amount, kind.in_((CREDITED, REDDENED)), Posting.value_date > _before(as_of, window_days)
            ).label("reduced"),
        )
        .where(*_standing(at, scope, kind.in_(ON_RECEIVABLES)))
        .group_by(Posting.entity_id, Posting.client_id, item, *dates)
        .cte("raw")
    )
    moved_due = (
        select(as_of.label("as_of"), Posting.receivable_id, Posting.due_date)
        .ext(distinct_on(Posting.receivable_id, *dates))
        .where(*_standing(at, scope, kind == DUE_CHANGED))
        .order_by(Posting.receivable_id, *dates, Posting.value_date.desc(), Posting.position.desc(), Posting.posting_id)
        .cte("moved_due")
    )
    receivable = raw.c.assignments > 0
    valid = and_(receivable, ~raw.c.voided)
    open_ = case(
        (and_(receivable, raw.c.gone), literal(Decimal(0), sa.Numeric())),
        (and_(receivable, raw.c.voided), raw.c.moved - raw.c.assigned),
        else_=raw.c.moved,
    ).label("open")
    same = and_(moved_due.c.receivable_id == raw.c.item, moved_due.c.as_of == raw.c.as_of)
    return (
        select(
            raw.c.as_of,
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
        .select_from(raw.outerjoin(moved_due, same))
        .cte("items")
    )


BUCKETS = ("current", "days_1_30", "days_31_60", "days_61_90", "days_over_90", "untracked", "unallocated")
"""Ageing: tracked receivables by days past due, untracked ones, what is tied to none. They sum to the balance."""


def _totals(i: Any, *, window_days: int, default_days: int, by: str, keys: tuple[str, ...]) -> Select[*tuple[Any, ...]]:
    """Per key and currency every sum the indicators are made of. `by` is the column whose concentration is measured."""
    tracked = and_(i.valid, i.tracked)
    standing = and_(tracked, i.open > 0)
    past_due = and_(standing, i.due_date < i.as_of)
    days = case((past_due, i.as_of - i.due_date), else_=0)
    bucket = case(
        (~i.receivable, "unallocated"),
        (~i.tracked, "untracked"),
        (days > 90, "days_over_90"),
        (days > 60, "days_61_90"),
        (days > 30, "days_31_60"),
        (days > 0, "days_1_30"),
        else_="current",
    )
    sold = and_(i.valid, i.issue_date > _before(i.as_of, window_days), i.issue_date <= i.as_of)
    matured = and_(tracked, i.due_date > _before(i.as_of, default_days), i.due_date <= i.as_of)
    defaulted = and_(matured, or_(i.written_off > 0, days > 90))
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
    over = [i[name] for name in keys]
    each = (
        select(*over, i.currency, *(total.label(name) for name, total in columns.items()))
        .group_by(*over, i.currency, i[by])
        .cte("each")
    )
    positive = each.c.balance > 0
    grouped = [each.c[name] for name in (*keys, "currency")]
    return select(
        *grouped,
        func.count().filter(positive).label("parties"),
        func.coalesce(func.max(each.c.balance).filter(positive), 0).label("top"),
        _sum(each.c.balance, positive).label("positive"),
        _sum(each.c.balance * each.c.balance, positive).label("squares"),
        *(func.sum(each.c[name]).label(name) for name in columns),
    ).group_by(*grouped)


DEFAULT_DAYS = 365
"""The window of the default rate: receivables due in the year before."""
CloseKey = tuple[str, UUID, date]


def _named(row: Any) -> dict[str, Any]:
    return {str(name): row[name] for name in row}


async def sums_of(
    tx: AsyncSession, scope: Scope, at: Moment, *, window_days: int, by: str = "debtor_id"
) -> dict[str, dict[str, Any]]:
    """Currency → every sum the indicators are made of, over the whole scope. `by`: whose concentration is measured."""
    query = _totals(
        items(scope, at, window_days=window_days).c, window_days=window_days, default_days=DEFAULT_DAYS, by=by, keys=()
    )
    return {row["currency"]: _named(row) for row in (await tx.execute(query)).mappings() if row["currency"] is not None}


@cache
def _sums_at(window_days: int) -> Select[*tuple[Any, ...]]:
    i = _items(_EachClose.scope, _EachClose(), window_days).c
    keys = ("entity_id", "client_id", "as_of")
    return _totals(i, window_days=window_days, default_days=DEFAULT_DAYS, by="debtor_id", keys=keys)


async def sums_at(tx: AsyncSession, closes: Closes, *, window_days: int) -> dict[CloseKey, dict[str, dict[str, Any]]]:
    """The same of many clients, each at its own close: (entity, client, as of) → currency → sums."""
    query = _sums_at(window_days)
    found: dict[CloseKey, dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in (await tx.execute(query, closes.parameters())).mappings():
        if row["currency"] is not None:
            found[row["entity_id"], row["client_id"], row["as_of"]][row["currency"]] = _named(row)
    return found


_FUNDS_AT = (
    select(Posting.entity_id, Posting.client_id, _EachClose.as_of, Posting.currency, func.sum(Posting.funds))
    .where(*_standing(_EachClose(), _EachClose.scope, Posting.funds != 0))
    .group_by(Posting.entity_id, Posting.client_id, _EachClose.as_of, Posting.currency)
)


async def funds_at(tx: AsyncSession, closes: Closes) -> dict[CloseKey, dict[str, Decimal]]:
    """Funds in use of many clients, each at its own close."""
    found: dict[CloseKey, dict[str, Decimal]] = defaultdict(dict)
    for entity, client, as_of, currency, amount in await tx.execute(_FUNDS_AT, closes.parameters()):
        if currency is not None:
            found[entity, client, as_of][currency] = amount
    return found


async def funds_in_use(tx: AsyncSession, scope: Scope, at: Moment) -> dict[str, Decimal]:
    """Funds drawn less repaid, per currency; a currency in which nothing was ever drawn is missing."""
    rows = await tx.execute(
        select(Posting.currency, func.sum(Posting.funds))
        .where(*at.standing(scope, Posting.funds != 0))
        .group_by(Posting.currency)
    )
    return {currency: amount for currency, amount in rows if currency is not None}


async def balances(tx: AsyncSession, scope: Scope, at: Moment, *, debtor_id: UUID | None = None) -> dict[str, Decimal]:
    """Open balance per currency, of all debtors or of one."""
    i = items(scope, at).c
    query = select(i.currency, func.sum(i.open)).group_by(i.currency)
    rows = await tx.execute(query if debtor_id is None else query.where(i.debtor_id == debtor_id))
    return {currency: amount for currency, amount in rows if currency is not None}
