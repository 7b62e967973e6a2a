"""The audit trail: who did which command to which row, before and after, seen by the session and not by each route.

Invariants: every flushed change of an audited model has its entry in the same transaction; bulk SQL on audited tables
raises; personal fields appear as ciphertext only; the database refuses to change or delete an entry (sealing apart).
"""

import base64
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Protocol, cast, runtime_checkable
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession, async_session, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, InstanceState, ORMExecuteState, Session, UOWTransaction

from eventing.session import context, delivery, write_last
from servicekit.runtime import INFO_KEY, Runtime
from servicekit.tables import audit


class BulkSqlOnAudited(RuntimeError):
    """Bulk SQL would change audited rows without an audit entry; load and change the objects instead."""


@runtime_checkable
class Ciphertext(Protocol):
    """A personal value, which shows its ciphertext only."""

    @property
    def ciphertext(self) -> bytes:
        """The sealed bytes."""
        ...


def audited_tables(base: type[DeclarativeBase]) -> frozenset[str]:
    """The tables of this base whose changes are audited: all but projections and those marked `audit: False`."""
    return frozenset(
        table.name
        for table in base.metadata.tables.values()
        if not table.info.get("projection") and table.info.get("audit", True)
    )


def watch(sessions: async_sessionmaker[AsyncSession]) -> None:
    """Hook the audit trail into the sessions of this factory."""
    session_class: type[Session] = sessions.kw["sync_session_class"]
    event.listen(session_class, "after_flush", _after_flush)
    event.listen(session_class, "do_orm_execute", _before_execute)


def _runtime(session: Session) -> Runtime | None:
    return session.info.get(INFO_KEY)


def _before_execute(state: ORMExecuteState) -> None:
    if not (state.is_update or state.is_delete or state.is_insert):
        return
    runtime = _runtime(state.session)
    table = getattr(state.statement, "table", None)
    if runtime is not None and table is not None and getattr(table, "name", None) in runtime.audited:
        raise BulkSqlOnAudited(f"bulk {type(state.statement).__name__.lower()} on {table.name}")


def _after_flush(session: Session, _: UOWTransaction) -> None:
    runtime = _runtime(session)
    if runtime is None:
        return
    changes = [*_of(session.new, "insert"), *_of(session.dirty, "update"), *_of(session.deleted, "delete")]
    if not changes:
        return
    tx = async_session(session)
    if tx is None:
        raise RuntimeError("an audited session is always the inside of an AsyncSession")
    who = context(tx)
    at = runtime.clock()
    for state, action in changes:
        table = state.mapper.persist_selectable.description
        if table not in runtime.audited:
            continue
        before, after = _images(state, action)
        if action == "update" and not after:
            continue
        write_last(
            tx,
            audit,
            {
                "at": at,
                "actor": who.actor,
                "entity_id": _entity(tx, state),
                "operation": _operation(tx),
                "table_name": table,
                "row_id": _row_id(state),
                "action": action,
                "before": before,
                "after": after,
                "correlation_id": who.correlation_id,
                "causation_id": who.causation_id,
            },
        )


def _operation(tx: AsyncSession) -> str:
    current = delivery(tx)
    return current.handler if current is not None else tx.info.get("operation", "unknown")


def _entity(tx: AsyncSession, state: InstanceState[Any]) -> str | None:
    """The legal entity of the row, or of the event or caller that changed it."""
    own = state.dict.get("entity_id")
    if isinstance(own, str):
        return own
    current = delivery(tx)
    cause = current.cause if current is not None else None
    return cause.entity_id if cause is not None else tx.info.get("entity_id")


def _of(objects: Iterable[object], action: str) -> list[tuple[InstanceState[Any], str]]:
    return [(sa.inspect(item), action) for item in objects]


def _images(state: InstanceState[Any], action: str) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    keys = [attribute.key for attribute in state.mapper.column_attrs]
    values = state.dict
    if action == "insert":
        return None, {key: plain(values[key]) for key in keys if key in values}
    if action == "delete":
        return {key: plain(values[key]) for key in keys if key in values}, None
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for key in keys:
        history = state.attrs[key].history
        if history.has_changes():
            before[key] = plain(history.deleted[0]) if history.deleted else None
            after[key] = plain(history.added[0]) if history.added else None
    return before, after


def _row_id(state: InstanceState[Any]) -> str:
    return ",".join(str(value) for value in state.mapper.primary_key_from_instance(state.obj()))


def plain(value: Any) -> Any:
    """A column's value as JSON; ciphertext and bytes as base64."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return value
    if isinstance(value, Ciphertext):
        return {"sealed": base64.b64encode(value.ciphertext).decode()}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, UUID | Decimal | timedelta):
        return str(value)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in cast("Iterable[Any]", value)]
    return str(value)


def append(tx: AsyncSession, *, table: str, row_id: str, action: str, after: dict[str, Any]) -> None:
    """An entry for a command that is no change of a model's row (an operator's decision, an export)."""
    runtime = tx.info[INFO_KEY]
    who = context(tx)
    write_last(
        tx,
        audit,
        {
            "at": runtime.clock(),
            "actor": who.actor,
            "entity_id": tx.info.get("entity_id"),
            "operation": _operation(tx),
            "table_name": table,
            "row_id": row_id,
            "action": action,
            "before": None,
            "after": plain(after),
            "correlation_id": who.correlation_id,
            "causation_id": who.causation_id,
        },
    )
