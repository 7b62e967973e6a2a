"""Pages by keyset: any order, nulls included, nothing twice and nothing left out while rows are added."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sample.notes import Note

from servicekit.pagination import BadCursor, PageParams, paginate, total_of
from servicekit.testing import Harness, Template

AT = datetime(2026, 1, 1, tzinfo=UTC)
ORDERS: dict[str, tuple[Any, ...]] = {
    "size desc": (Note.size.desc(), Note.id),
    "size": (Note.size, Note.id),
    "amount desc, made at": (Note.amount.desc(), Note.made_at, Note.id),
    "made at desc, id desc": (Note.made_at.desc(), Note.id.desc()),
    "code": (Note.code,),
    "size asc()": (Note.size.asc(), Note.code.desc()),
}


@pytest.fixture(scope="module")
async def shared(template: Template) -> AsyncIterator[Harness]:
    async with template.harness() as harness:
        yield harness


def row(size: int | None, amount: Decimal | None, days: int, entity: str) -> Note:
    return Note(
        id=uuid4(), client_id=uuid4(), entity_id=entity, code=uuid4().hex, size=size, amount=amount,
        made_at=AT + timedelta(days=days),
    )  # fmt: skip


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(
            st.none() | st.integers(0, 3),
            st.none() | st.decimals(0, 1, places=1),
            st.integers(0, 2),
        ),
        max_size=12,
    ),
    limit=st.integers(1, 5),
    order=st.sampled_from(sorted(ORDERS)),
)
async def test_the_pages_are_the_list(
    shared: Harness, rows: list[tuple[Any, Any, int]], limit: int, order: str
) -> None:
    entity = uuid4().hex
    stmt = sa.select(Note).where(Note.entity_id == entity)
    columns = ORDERS[order]
    async with shared.tx() as tx, tx.begin():
        tx.add_all(row(*values, entity) for values in rows)
        await tx.flush()
        whole, end = await paginate(tx, stmt, *columns, page=PageParams(limit=100))
        assert end is None
        assert len(whole) == len(rows) == await total_of(tx, stmt, PageParams(total=True))
        found: list[UUID] = []
        cursor: str | None = None
        while True:
            page, cursor = await paginate(tx, stmt, *columns, page=PageParams(limit=limit, cursor=cursor))
            found += [note.id for note in page]
            assert len(page) <= limit
            if cursor is None:
                break
        assert found == [note.id for note in whole]


async def test_the_order_is_the_one_asked_for_with_nulls_last(shared: Harness) -> None:
    entity = uuid4().hex
    async with shared.tx() as tx, tx.begin():
        tx.add_all(row(size, None, 0, entity) for size in (2, None, 3, 1))
        await tx.flush()
        stmt = sa.select(Note.size).where(Note.entity_id == entity)
        down, _ = await paginate(tx, stmt, Note.size.desc(), Note.id, page=PageParams())
        up, _ = await paginate(tx, stmt, Note.size, Note.id, page=PageParams())
    assert (down, up) == ([3, 2, 1, None], [1, 2, 3, None])


async def test_a_row_added_meanwhile_neither_repeats_nor_hides_one(shared: Harness) -> None:
    entity = uuid4().hex
    stmt = sa.select(Note).where(Note.entity_id == entity)
    async with shared.tx() as tx, tx.begin():
        tx.add_all(row(size, None, 0, entity) for size in (10, 20, 30, 40))
        await tx.flush()
        first, cursor = await paginate(tx, stmt, Note.size, Note.id, page=PageParams(limit=2))
        tx.add(row(5, None, 0, entity))
        await tx.flush()
        second, _ = await paginate(tx, stmt, Note.size, Note.id, page=PageParams(limit=2, cursor=cursor))
    assert [note.size for note in [*first, *second]] == [10, 20, 30, 40]


async def test_several_columns_come_as_tuples(shared: Harness) -> None:
    entity = uuid4().hex
    async with shared.tx() as tx, tx.begin():
        tx.add(row(1, None, 0, entity))
        await tx.flush()
        stmt = sa.select(Note.size, Note.entity_id).where(Note.entity_id == entity)
        rows, _ = await paginate(tx, stmt, Note.id, page=PageParams())
    assert rows == [(1, entity)]


async def test_a_cursor_belongs_to_its_order(shared: Harness) -> None:
    entity = uuid4().hex
    stmt = sa.select(Note).where(Note.entity_id == entity)
    async with shared.tx() as tx, tx.begin():
        tx.add_all(row(size, None, 0, entity) for size in (1, 2))
        await tx.flush()
        _, cursor = await paginate(tx, stmt, Note.size, Note.id, page=PageParams(limit=1))
        for wrong in (cursor, "x", "", "////", "W10", "WyJhIl0"):
            with pytest.raises(BadCursor):
                await paginate(tx, stmt, Note.code, page=PageParams(limit=1, cursor=wrong))
