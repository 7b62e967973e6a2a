"""What a transaction tells the world, and in which order."""

import asyncio
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from eventing_bus import SOURCE, STARTED, Bus, Colour, running
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from contracts import wire
from eventing import Context, Waker, bind, derived_id, emit, outbox_depth, sessions, write_last
from eventing.schema import outbox
from eventing.waker import plain_dsn


class Base(DeclarativeBase):
    pass


class ZebraState(Base):
    """An aggregate whose name sorts after the outbox's, without a version column: nothing but the rail keeps order."""

    __tablename__ = "zebra_state"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    n: Mapped[int]


@contextmanager
def statements(bus: Bus) -> Generator[list[str]]:
    """Every statement that the block sends."""
    seen: list[str] = []

    def see(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    sqlalchemy_event.listen(bus.engine.sync_engine, "before_cursor_execute", see)
    try:
        yield seen
    finally:
        sqlalchemy_event.remove(bus.engine.sync_engine, "before_cursor_execute", see)


async def outbox_rows(bus: Bus) -> list[Any]:
    async with bus.engine.connect() as connection:
        return list((await connection.execute(sa.select(outbox).order_by(outbox.c.seq))).all())


async def test_an_event_is_told_only_if_the_transaction_commits(bus: Bus) -> None:
    async with bus.sessions() as tx:
        emit(tx, bus.thing(1))
        await tx.rollback()
        emit(tx, bus.thing(2))
        await tx.commit()
    assert ['"n":2' in row.payload for row in await outbox_rows(bus)] == [True]


async def test_a_rolled_back_savepoint_takes_its_events_with_it(bus: Bus) -> None:
    async with bus.sessions() as tx, tx.begin():
        emit(tx, bus.thing(1))
        savepoint = await tx.begin_nested()
        emit(tx, bus.thing(2))
        await savepoint.rollback()
        async with tx.begin_nested():
            emit(tx, bus.thing(3))
    assert ['"n":1' in row.payload or '"n":3' in row.payload for row in await outbox_rows(bus)] == [True, True]


async def test_the_last_event_of_a_key_is_its_last_state_however_writers_race(bus: Bus) -> None:
    await bus.execute("CREATE TABLE zebra_state (id uuid PRIMARY KEY, n int)")

    async def write(key: uuid.UUID, n: int) -> None:
        async with bus.sessions() as tx, tx.begin():
            state = await tx.get_one(ZebraState, key)
            state.n = n
            emit(tx, bus.thing(n, key))

    for _ in range(25):
        key = uuid.uuid4()
        async with bus.sessions() as tx, tx.begin():
            tx.add(ZebraState(id=key, n=0))
        await asyncio.gather(*(write(key, n) for n in range(1, 9)))
        state = await bus.value("SELECT n FROM zebra_state WHERE id = :k", k=key)
        told = await bus.value(
            "SELECT payload FROM outbox WHERE aggregateid = :k ORDER BY seq DESC LIMIT 1", k=str(key)
        )
        assert bus.Thing.model_validate_json(told).n == state


async def test_numbers_follow_the_order_of_commits_across_connections(bus: Bus) -> None:
    async with bus.engine.connect() as one, bus.engine.connect() as two:
        makers = [bus.sessions(bind=connection) for connection in (one, two)]
        for n in range(6):
            async with makers[n % 2] as tx, tx.begin():
                emit(tx, bus.thing(n))
    assert [bus.Thing.model_validate_json(row.payload).n for row in await outbox_rows(bus)] == list(range(6))


async def test_all_that_comes_last_is_one_statement_and_the_very_last(bus: Bus) -> None:
    await bus.execute("CREATE TABLE zebra_state (id uuid PRIMARY KEY, n int)")
    await bus.execute("CREATE TABLE side (id uuid, what text, more jsonb, at timestamptz, amount numeric(20,4))")
    side = sa.Table(
        "side",
        sa.MetaData(),
        sa.Column("id", sa.Uuid),
        sa.Column("what", sa.String(50)),
        sa.Column("more", sa.JSON),
        sa.Column("at", sa.DateTime(timezone=True)),
        sa.Column("amount", sa.Numeric(20, 4)),
    )
    with statements(bus) as seen:
        async with bus.sessions() as tx, tx.begin():
            emit(tx, bus.thing(1))
            write_last(tx, side, {"id": uuid.uuid4(), "what": "x", "more": {"a": [1]}, "at": STARTED, "amount": None})
            tx.add(ZebraState(id=uuid.uuid4(), n=1))
            emit(tx, bus.thing(2))
    assert "zebra_state" in seen[-2]
    assert "INSERT INTO" in seen[-1]
    assert "outbox" in seen[-1]
    assert "side" in seen[-1]
    assert await bus.rows("SELECT what, more, at FROM side") == [("x", {"a": [1]}, STARTED)]
    assert len(await outbox_rows(bus)) == 2


async def test_what_cannot_be_published_is_refused_at_once(bus: Bus) -> None:
    async with bus.sessions() as tx:
        with pytest.raises(wire.EventTooLarge):
            emit(tx, bus.thing(pad="x" * 900_001))
        with pytest.raises(wire.UnknownWritten):
            emit(tx, bus.thing(colour=Colour.UNKNOWN))
        await tx.commit()
    assert await outbox_rows(bus) == []


async def test_the_row_is_the_record_as_debezium_would_route_it(bus: Bus) -> None:
    event = bus.thing(7)
    async with bus.sessions() as tx, tx.begin():
        trace = f"00-{'a' * 32}-{'b' * 16}-01"
        bind(tx, Context(actor="staff-1", correlation_id="c", causation_id="b", traceparent=trace))
        identity = emit(tx, event)
    (row,) = await outbox_rows(bus)
    assert (row.id, row.aggregatetype, row.aggregateid, row.type) == (identity, bus.topic, event.key, event.ce_type)
    assert bus.Thing.model_validate_json(row.payload) == event
    assert (row.source, row.subject, row.specversion) == (SOURCE, event.key, "1.0")
    assert row.datacontenttype == "application/json"
    assert (row.correlationid, row.causationid, row.actor) == ("c", "b", "staff-1")
    assert row.traceparent == trace
    assert abs((datetime.now(UTC) - datetime.fromisoformat(row.time)).total_seconds()) < 60


async def test_what_a_delivered_event_causes_has_the_same_id_every_time(bus: Bus) -> None:
    cause = bus.record(bus.thing(1), actor="staff-1")
    told: list[uuid.UUID] = []

    for _ in range(2):
        on = bus.subscriptions()

        @on.react(bus.Thing)
        async def again(event: Any, tx: AsyncSession) -> None:
            told.extend([emit(tx, bus.other(1)), emit(tx, bus.other(2)), derived_id(event, "x", 1)])

        consumer = bus.consumer(on)
        await consumer.deliver([cause])
        rows = await outbox_rows(bus)
        await bus.execute("TRUNCATE inbox, consumer_offset, outbox")
        assert [row.id for row in rows] == told[-3:-1]
        assert all(row.causationid == row.correlationid == str(cause_id(cause)) for row in rows)
        assert rows[0].actor == "staff-1"
    assert told[:3] == told[3:]
    assert len(set(told[:3])) == 3


def cause_id(record: Any) -> uuid.UUID:
    return uuid.UUID(dict(record.headers)["ce_id"].decode())


async def test_depth_and_age_are_known(bus: Bus) -> None:
    async with bus.engine.connect() as connection:
        assert (await outbox_depth(connection)).rows_estimate == 0
    await bus.tell(*(bus.thing(n) for n in range(5)))
    await bus.execute("UPDATE outbox SET time = (now() - interval '1 minute')::text")
    async with bus.engine.connect() as connection:
        depth = await outbox_depth(connection)
    assert depth.rows_estimate == 5
    assert 59 < depth.oldest_age_seconds < 90


async def test_waking_happens_after_the_commit_on_a_connection_of_its_own_and_once_for_many(bus: Bus) -> None:
    waker = Waker(bus.dsn)
    make = sessions(bus.engine, source=SOURCE, wake=waker.wake)
    heard: list[int] = []
    listener: Any = await asyncpg.connect(plain_dsn(bus.dsn))

    def hear(_connection: Any, pid: int, *_: Any) -> None:
        heard.append(pid)

    await listener.add_listener("outbox", hear)
    own: set[int] = set()
    with statements(bus) as seen:
        async with running(waker.run):
            for n in range(100):
                async with make() as tx, tx.begin():
                    own.add(await tx.scalar(sa.text("SELECT pg_backend_pid()")) or 0)
                    emit(tx, bus.thing(n))
            async with make() as tx, tx.begin():
                await tx.execute(sa.text("SELECT 1"))
            await asyncio.sleep(0.3)
    await listener.close()
    assert not any("NOTIFY" in statement.upper() for statement in seen)
    assert heard
    assert not set(heard) & own
    assert len(heard) <= 100
