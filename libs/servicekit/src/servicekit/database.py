"""The declarative base, the session of a request, and when it commits: after the handler, before the response.

Invariant: a request has one transaction; feature code never commits. What must come last in it (outbox, audit,
idempotency) goes through `eventing.session.write_last`.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, ClassVar
from uuid import UUID, uuid4

import sqlalchemy as sa
from fastapi import Depends, Request
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

from eventing.session import bind
from servicekit import idempotency
from servicekit.runtime import runtime_of
from servicekit.telemetry import request_context

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def _values(kind: type[Enum]) -> list[str]:
    return [member.value for member in kind]


class ModelBase:
    """Mixed into a service's base: `class Base(ModelBase, DeclarativeBase)`. Each base gets its own MetaData.

    Types: datetime → timestamptz, Decimal → numeric(20, 4), UUID → uuid, str → text, dict and list → jsonb,
    an enum → its value as text.
    `__table_args__ = {"info": {"projection": True}}` marks a projection: rebuilt, not audited.
    `{"info": {"audit": False}}` marks another table whose changes are not a person's commands (counters, caches).
    """

    type_annotation_map: ClassVar[Mapping[Any, Any]] = {
        datetime: sa.DateTime(timezone=True),
        Decimal: sa.Numeric(20, 4),
        UUID: sa.Uuid(),
        str: sa.Text(),
        dict[str, Any]: JSONB(none_as_null=True),
        list[Any]: JSONB(none_as_null=True),
        list[str]: JSONB(none_as_null=True),
        Enum: sa.Enum(Enum, native_enum=False, create_constraint=False, length=64, values_callable=_values),
    }

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if DeclarativeBase in cls.__bases__ and "metadata" not in cls.__dict__:
            cls.metadata = sa.MetaData(naming_convention=NAMING)  # pyright: ignore[reportAttributeAccessIssue] - DeclarativeBase declares it
        super().__init_subclass__(**kwargs)


class Versioned:
    """A row whose every UPDATE checks and raises `version`: the ETag of the HTTP API and the order of its events."""

    version: Mapped[int] = mapped_column(sa.Integer, nullable=False)

    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, Any]:
        return {"version_id_col": cls.version}


def make_engine(url: str, *, pool_size: int, statement_timeout_ms: int, name: str, pooler: bool = False) -> AsyncEngine:
    """An engine on asyncpg.

    Args:
        pooler: the address is a pooler in transaction mode, which keeps neither prepared statements nor settings;
            set statement_timeout on the role there.
    """
    arguments: dict[str, Any] = {"timeout": 5}
    if pooler:
        arguments |= {
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": _name,
        }
    else:
        settings = {"application_name": name, "statement_timeout": str(statement_timeout_ms), "timezone": "UTC"}
        arguments["server_settings"] = settings
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=5,
        pool_recycle=1800,
        hide_parameters=True,
        connect_args=arguments,
    )


def _name() -> str:
    return f"__asyncpg_{uuid4()}__"


async def transaction(request: Request) -> AsyncIterator[AsyncSession]:
    """The transaction of this request: takes a connection when first used, commits when the handler has returned."""
    async with runtime_of(request).sessions() as tx:
        bind(tx, request_context(request))
        tx.info["operation"] = request.state.operation
        tx.info["entity_id"] = request.state.principal.entity_id
        async with tx.begin():
            request.state.tx = tx
            await idempotency.claim(tx, request)
            yield tx


async def reading(request: Request) -> AsyncIterator[AsyncSession]:
    """A session that only reads: nothing is committed, whatever the handler did."""
    async with runtime_of(request).sessions() as tx:
        yield tx


Tx = Annotated[AsyncSession, Depends(transaction, scope="function")]
ReadTx = Annotated[AsyncSession, Depends(reading, scope="function")]
