"""Cursor pagination by keyset: a page starts after the last row of the one before, whatever was inserted meanwhile.

Any order of columns works, descending and nullable ones too (nulls come last); the last column must be unique.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Annotated, Any, Generic, TypeVar, cast
from uuid import UUID

import orjson
import sqlalchemy as sa
from fastapi import Depends, Query
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import operators

from servicekit.problems import BadRequest

T = TypeVar("T")


class BadCursor(BadRequest):
    """The cursor does not belong to this list and order.

    Start again without a cursor, or repeat the request that gave it with nothing but the cursor added.
    """


class Page(BaseModel, Generic[T]):
    """One page of a list. Ask for the next one with its `next_cursor` until that is null."""

    items: list[T]
    next_cursor: str | None = Field(
        default=None,
        description="Pass it as `cursor` to get the next page; null on the last",
        examples=["WyI1ZjNhOWMwZSIsIjIwMjYtMTEtMDIiXQ"],
    )
    total: int | None = Field(
        default=None,
        description="How many rows there are in all; only when asked for by total=true",
        examples=[None],
    )


@dataclass(frozen=True)
class PageParams:
    """What the caller asks of a list."""

    limit: int = 50
    cursor: str | None = None
    total: bool = False


def page_params(
    limit: Annotated[int, Query(ge=1, le=500, description="Rows per page")] = 50,
    cursor: Annotated[str | None, Query(max_length=2000, description="`next_cursor` of the page before")] = None,
    total: Annotated[bool, Query(description="Count all rows too (slower)")] = False,
) -> PageParams:
    """The list parameters of a request."""
    return PageParams(limit, cursor, total)


Paging = Annotated[PageParams, Depends(page_params)]


async def paginate(
    tx: AsyncSession, stmt: sa.Select[*tuple[Any, ...]], *order: sa.ColumnElement[Any] | Any, page: PageParams
) -> tuple[list[Any], str | None]:
    """The page's rows in this order, and the next cursor.

    Args:
        stmt: selects one entity or column (rows are those) or several (rows are tuples); without order or limit.
        order: columns, each maybe `.desc()`; the last one unique and not null.

    Raises:
        BadCursor: the cursor was not made by this list in this order.
    """
    columns = [_Ordered.of(item) for item in order]
    signature = hashlib.sha256("|".join(str(column) for column in columns).encode()).hexdigest()[:8]
    width = len(stmt.column_descriptions)
    wanted = stmt.add_columns(*(column.column for column in columns)).order_by(*(column.ordering for column in columns))
    if page.cursor is not None:
        wanted = wanted.where(_after(columns, _decode(page.cursor, signature, columns)))
    rows = (await tx.execute(wanted.limit(page.limit + 1))).all()
    more = len(rows) > page.limit
    rows = rows[: page.limit]
    found = [row[0] if width == 1 else tuple(row[:width]) for row in rows]
    return found, _encode(signature, rows[-1][width:]) if more else None


async def total_of(tx: AsyncSession, stmt: sa.Select[*tuple[Any, ...]], page: PageParams) -> int | None:
    """How many rows the list has in all, if the caller asked."""
    if not page.total:
        return None
    return await tx.scalar(sa.select(sa.func.count()).select_from(stmt.order_by(None).subquery()))


@dataclass(frozen=True)
class _Ordered:
    column: sa.ColumnElement[Any]
    descending: bool

    @classmethod
    def of(cls, item: Any) -> "_Ordered":
        element: sa.ColumnElement[Any] = item.__clause_element__() if hasattr(item, "__clause_element__") else item
        if isinstance(element, sa.UnaryExpression) and element.modifier in {operators.desc_op, operators.asc_op}:
            return cls(element.element, element.modifier is operators.desc_op)
        return cls(element, False)

    def __str__(self) -> str:
        return f"{self.column} {'desc' if self.descending else 'asc'}"

    @property
    def ordering(self) -> sa.UnaryExpression[Any]:
        direction = self.column.desc() if self.descending else self.column.asc()
        return direction.nulls_last()

    def beyond(self, value: Any) -> sa.ColumnElement[bool]:
        if value is None:
            return sa.false()
        passed = self.column < value if self.descending else self.column > value
        return sa.or_(passed, self.column.is_(None))


def _after(columns: Sequence[_Ordered], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    alternatives: list[sa.ColumnElement[bool]] = []
    for index, column in enumerate(columns):
        same = [c.column.is_not_distinct_from(v) for c, v in zip(columns[:index], values[:index], strict=True)]
        alternatives.append(sa.and_(*same, column.beyond(values[index])))
    return sa.or_(*alternatives)


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID | Decimal) else value


def _encode(signature: str, values: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([signature, *map(_plain, values)])).decode().rstrip("=")


def _decode(cursor: str, signature: str, columns: Sequence[_Ordered]) -> list[Any]:
    try:
        document: Any = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(document, list):
            raise BadCursor
        values = cast("list[Any]", document)
        if len(values) != len(columns) + 1 or values[0] != signature:
            raise BadCursor
        return [_typed(column.column.type, value) for column, value in zip(columns, values[1:], strict=True)]
    except (ValueError, TypeError, binascii.Error, InvalidOperation, IndexError, UnicodeError):
        raise BadCursor from None


def _typed(kind: sa.types.TypeEngine[Any], value: Any) -> Any:
    if value is None:
        return None
    python = kind.python_type
    if issubclass(python, datetime | date):
        return python.fromisoformat(value)
    if issubclass(python, UUID | Decimal):
        return python(value)
    if issubclass(python, Enum):
        return python(value)
    if not isinstance(value, python) or (isinstance(value, str) and "\0" in value):
        raise BadCursor
    return value
