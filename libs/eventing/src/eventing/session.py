"""The sessions of a service: whatever must be written last in a transaction is, in one statement.

Invariant: if transaction B read or overwrote what A did, A's outbox rows have lower numbers than B's. It holds since
the statement that draws the numbers comes after every other write of its transaction, so behind all locks it waits for.
"""

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session, SessionTransaction

from eventing.schema import outbox

_LAST: Final = "eventing.last"
_TOLD: Final = "eventing.told"
_SAVEPOINTS: Final = "eventing.savepoints"
_SOURCE: Final = "eventing.source"
_CONTEXT: Final = "eventing.context"
_DELIVERY: Final = "eventing.delivery"


class ProjectionActs(RuntimeError):
    """A `project` handler emitted, scheduled or audited; it may only write projection tables (it is run again)."""


@dataclass(frozen=True, slots=True)
class Context:
    """Who causes what this transaction tells, and under which request and trace."""

    actor: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    traceparent: str | None = None


@dataclass(slots=True)
class Delivery:
    """What is being delivered in a transaction: whose reaction it is, and how many events each cause has made."""

    cause: Any
    """The one Event being handled; None while a batch handler runs over several."""
    handler: str
    reacts: bool
    made: dict[tuple[Any, str], int] = field(default_factory=dict[tuple[Any, str], int])


def bind(tx: AsyncSession, context: Context) -> None:
    """Say who acts in this transaction; `emit` copies it into every event."""
    tx.info[_CONTEXT] = context


def context(tx: AsyncSession) -> Context:
    """Who acts in this transaction; empty where nobody said."""
    return cast(Context, tx.info.get(_CONTEXT)) or Context()


def source(tx: AsyncSession) -> str:
    """The CloudEvents source of this service."""
    return cast(str, tx.info[_SOURCE])


def delivery(tx: AsyncSession) -> Delivery | None:
    """The delivery this transaction belongs to; None in an HTTP request or due work."""
    return cast(Delivery | None, tx.info.get(_DELIVERY))


@contextmanager
def delivering(tx: AsyncSession, current: Delivery) -> Generator[None]:
    """Run a handler as part of a delivery."""
    tx.info[_DELIVERY] = current
    try:
        yield
    finally:
        del tx.info[_DELIVERY]


def write_last(tx: AsyncSession, table: sa.Table, row: Mapping[str, Any]) -> None:
    """Insert `row` (column name → Python value) with the last statement of this transaction.

    Columns that are left out take the table's server default; Python-side defaults are not applied. ARRAY columns are
    not supported. Raises ProjectionActs inside a `project` handler. A rolled-back savepoint takes its rows with it.
    """
    current = delivery(tx)
    if current is not None and not current.reacts:
        raise ProjectionActs(f"{current.handler} is a projection and wrote to {table.name}")
    if not tx.in_transaction():
        tx.sync_session.begin()
    cast(list[tuple[sa.Table, Mapping[str, Any]]], tx.info.setdefault(_LAST, [])).append((table, row))


def sessions(
    engine: AsyncEngine, *, source: str, wake: Callable[[], None] | None = None
) -> async_sessionmaker[AsyncSession]:
    """Sessions whose commit writes what `write_last` and `emit` buffered.

    `source` is the CloudEvents source, such as "/factoring/risk-service". `wake` is called after each commit that put
    something into the outbox (see `waker.Waker`); the relay also polls, so it may be left out.
    """

    class LastWriting(Session):
        pass

    @sqlalchemy_event.listens_for(LastWriting, "before_commit")
    def write(session: Session) -> None:
        if session.in_nested_transaction():
            return
        session.flush()
        rows = session.info.pop(_LAST, None)
        if rows:
            session.info[_TOLD] = any(table is outbox for table, _ in rows)
            statement, parameters = _one_statement(rows, session.connection().dialect)
            session.connection().exec_driver_sql(statement, parameters)

    @sqlalchemy_event.listens_for(LastWriting, "after_commit")
    def tell(session: Session) -> None:
        if session.info.pop(_TOLD, False) and wake is not None:
            wake()

    @sqlalchemy_event.listens_for(LastWriting, "after_transaction_create")
    def remember(session: Session, transaction: SessionTransaction) -> None:
        if transaction.nested:
            session.info.setdefault(_SAVEPOINTS, {})[transaction] = len(session.info.get(_LAST, ()))

    @sqlalchemy_event.listens_for(LastWriting, "after_soft_rollback")
    def forget(session: Session, transaction: SessionTransaction) -> None:
        if transaction.nested:
            kept = session.info.get(_SAVEPOINTS, {}).pop(transaction, 0)
            del session.info.get(_LAST, [])[kept:]
        else:
            session.info.pop(_LAST, None)
            session.info.pop(_TOLD, None)

    @sqlalchemy_event.listens_for(LastWriting, "after_transaction_end")
    def end(session: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is None:
            session.info.pop(_SAVEPOINTS, None)

    return async_sessionmaker(engine, sync_session_class=LastWriting, expire_on_commit=False, info={_SOURCE: source})


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a column's values travel in an array parameter."""

    array: str
    cast: str
    bind: Callable[[Any], Any]


def _one_statement(
    rows: Sequence[tuple[sa.Table, Mapping[str, Any]]], dialect: Dialect
) -> tuple[str, tuple[list[Any], ...]]:
    """All rows as one `WITH a AS (INSERT … SELECT … FROM unnest(…)), b AS (…) SELECT`, in the order they were given."""
    groups: dict[tuple[sa.Table, tuple[str, ...]], list[Mapping[str, Any]]] = {}
    for table, row in rows:
        groups.setdefault((table, tuple(row)), []).append(row)
    statement, kinds = _statement(tuple(groups), dialect)
    return statement, tuple(
        [row[name] if row[name] is None else kind.bind(row[name]) for row in group]
        for ((_, columns), group), of in zip(groups.items(), kinds, strict=True)
        for name, kind in zip(columns, of, strict=True)
    )


@lru_cache(maxsize=1024)
def _statement(
    shapes: tuple[tuple[sa.Table, tuple[str, ...]], ...], dialect: Dialect
) -> tuple[str, tuple[tuple[_Kind, ...], ...]]:
    """The statement for rows of these tables and columns, and how each column's values travel in it."""
    inserts: list[str] = []
    kinds = tuple(tuple(_kind(table.c[name].type, dialect) for name in columns) for table, columns in shapes)
    first = 1
    for number, ((table, columns), of) in enumerate(zip(shapes, kinds, strict=True)):
        arrays = ", ".join(f"${first + i}::{kind.array}[]" for i, kind in enumerate(of))
        names = ", ".join(f'"{name}"' for name in columns)
        values = ", ".join(f"u.c{i}{kind.cast}" for i, kind in enumerate(of))
        aliases = ", ".join(f"c{i}" for i in range(len(columns)))
        inserts.append(
            f'w{number} AS (INSERT INTO "{table.name}" ({names}) SELECT {values} FROM unnest({arrays}) AS u({aliases})'  # nosec B608 # noqa: S608 - names from our own Table objects
            ")"
        )
        first += len(columns)
    return f"WITH {', '.join(inserts)} SELECT 1", kinds


def _as_is(value: Any) -> Any:
    return value


@lru_cache(maxsize=1024)
def _kind(column_type: sa.types.TypeEngine[Any], dialect: Dialect) -> _Kind:
    inner = column_type.dialect_impl(dialect)
    while isinstance(inner, sa.TypeDecorator):
        inner = inner.load_dialect_impl(dialect).dialect_impl(dialect)
    bind = column_type.dialect_impl(dialect).bind_processor(dialect) or _as_is
    if isinstance(inner, sa.ARRAY):
        raise TypeError("write_last does not support ARRAY columns; use JSONB")
    if isinstance(inner, sa.JSON):
        return _Kind("text", "::jsonb", bind if bind is not _as_is else json.dumps)
    if isinstance(inner, sa.String) and not (isinstance(inner, sa.Enum) and inner.native_enum):
        return _Kind("text", "", bind)
    if isinstance(inner, sa.Numeric):
        return _Kind("numeric", "", bind)
    return _Kind(dialect.type_compiler_instance.process(inner), "", bind)
