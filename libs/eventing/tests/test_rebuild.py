"""Projections made anew equal those that lived through it, whatever the interleaving."""

import asyncio
import random
import uuid
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa
from eventing_bus import Bus, Other, Thing, note, running, until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from eventing import Subscriptions, parking
from eventing import rebuild as rebuilding
from eventing.records import Record

METADATA = sa.MetaData()
TOTALS = sa.Table(
    "totals",
    METADATA,
    sa.Column("thing_id", sa.Uuid, primary_key=True),
    sa.Column("last", sa.Integer),
    sa.Column("sum", sa.Integer, nullable=False, server_default="0"),
    sa.Column("others", sa.Integer, nullable=False, server_default="0"),
    info={"projection": True},
)
sa.Index("totals_by_last", TOTALS.c.last)
CREATE = (
    "CREATE TABLE totals (thing_id uuid PRIMARY KEY, last int, sum int NOT NULL DEFAULT 0,"
    " others int NOT NULL DEFAULT 0)",
    "CREATE INDEX totals_by_last ON totals (last)",
)


def projecting(bus: Bus, fails: set[int] | None = None) -> Subscriptions:
    """A projection that needs each key's order, and counts what may come in any order."""
    on = Subscriptions()

    @on.project(bus.Thing)
    async def keep(event: Thing, tx: AsyncSession) -> None:
        if fails and event.n in fails:
            raise ValueError("cannot be understood")
        await tx.execute(
            sa.text(
                "INSERT INTO totals (thing_id, last, sum) VALUES (:t, :n, :n) ON CONFLICT (thing_id)"
                " DO UPDATE SET last = excluded.last, sum = totals.sum + excluded.sum"
            ),
            {"t": event.thing_id, "n": event.n},
        )

    @on.project_batch(bus.Other)
    async def count(events: list[Other], tx: AsyncSession) -> None:
        for event in sorted(events, key=lambda each: str(each.thing_id)):
            await tx.execute(
                sa.text(
                    "INSERT INTO totals (thing_id, others) VALUES (:t, :n) ON CONFLICT (thing_id)"
                    " DO UPDATE SET others = totals.others + excluded.others"
                ),
                {"t": event.thing_id, "n": event.n},
            )

    @on.react(bus.Thing)
    async def act(event: Thing, tx: AsyncSession) -> None:
        await note(tx, event)

    _ = keep, count, act
    return on


async def create(bus: Bus) -> None:
    for statement in CREATE:
        await bus.execute(statement)


async def totals(bus: Bus) -> list[tuple[Any, ...]]:
    return await bus.rows("SELECT * FROM totals ORDER BY thing_id")


async def test_a_rebuilt_projection_equals_the_one_that_lived_and_nothing_else_changes(live: Bus) -> None:
    await create(live)
    chance, keys = random.Random(3), [uuid.uuid4() for _ in range(20)]
    records = [
        live.record(chance.choice([live.thing, live.other])(n, keys[n % 20]), partition=n % 20 % 3) for n in range(300)
    ]
    records.append(live.record(live.thing(0, keys[0]), partition=0))
    records.append(live.record(live.thing(5, keys[0]), partition=0, id=uuid.UUID(int=7)))
    records.append(live.record(live.thing(5, keys[0]), partition=0, id=uuid.UUID(int=7), time=None))
    await live.publish([*records, records[-1]])
    fails = {7, 8}
    consumer = live.consumer(projecting(live, fails))
    async with running(consumer.run):
        await until(lambda: _consumed(live, 304))
    async with live.engine.begin() as connection:
        (first, *_) = await parking.list_parked(connection)
        await parking.discard(connection, first.id, reason="never mind", actor="op")
    lived, effects = await totals(live), await live.rows("SELECT n FROM seen ORDER BY seq")
    indexes = await live.rows("SELECT indexdef FROM pg_indexes WHERE tablename = 'totals' ORDER BY 1")
    parked_before = await live.rows("SELECT id, status FROM parked_event ORDER BY 1")
    assert parked_before
    await live.execute("UPDATE totals SET sum = 999")
    done = await rebuilding.rebuild(
        live.engine, live.kafka, service=live.service, subscriptions=[projecting(live, fails)], metadata=METADATA
    )
    assert done.tables == ("totals",)
    assert await totals(live) == lived
    assert await live.rows("SELECT indexdef FROM pg_indexes WHERE tablename = 'totals' ORDER BY 1") == indexes
    assert await live.rows("SELECT n FROM seen ORDER BY seq") == effects
    assert await live.rows("SELECT id, status FROM parked_event ORDER BY 1") == parked_before
    assert await live.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'rebuil%'") == []


async def _consumed(bus: Bus, count: int) -> bool:
    return await bus.value("SELECT coalesce(sum(next_offset), 0) FROM consumer_offset") >= count


async def test_a_rebuild_beside_a_living_consumer_misses_and_doubles_nothing(live: Bus) -> None:
    await create(live)
    keys = [uuid.uuid4() for _ in range(10)]
    made = 0

    async def flow(stop: asyncio.Event) -> None:
        nonlocal made
        while not stop.is_set():
            records = [live.record(live.thing(made + n, keys[n % 10]), partition=n % 10 % 3) for n in range(20)]
            await live.publish(records)
            made += 20
            await asyncio.sleep(0.1)

    async with running(live.consumer(projecting(live)).run):
        async with running(flow):
            await until(lambda: _consumed(live, 100))
            await live.execute("TRUNCATE totals")
            await rebuilding.rebuild(
                live.engine, live.kafka, service=live.service, subscriptions=[projecting(live)], metadata=METADATA
            )
        await until(lambda: _consumed(live, made), 60)
    assert await live.value("SELECT sum(sum) FROM totals") == sum(range(made))
    assert await live.value("SELECT count(*) FROM seen") == made


async def test_a_rebuild_goes_no_further_than_the_living_have_come(live: Bus) -> None:
    await create(live)
    await live.publish([live.record(live.thing(n)) for n in range(5)])
    async with running(live.consumer(projecting(live)).run):
        await until(lambda: _consumed(live, 5))
    await live.publish([live.record(live.thing(n)) for n in range(5, 9)])
    await rebuilding.rebuild(
        live.engine, live.kafka, service=live.service, subscriptions=[projecting(live)], metadata=METADATA
    )
    assert await live.value("SELECT sum(sum) FROM totals") == sum(range(5))
    async with running(live.consumer(projecting(live)).run):
        await until(lambda: _consumed(live, 9))
    assert await live.value("SELECT sum(sum) FROM totals") == sum(range(9))


async def test_a_rebuild_that_fails_leaves_the_living_as_they_were(live: Bus) -> None:
    await create(live)
    await live.publish([live.record(live.thing(n)) for n in range(5)])
    async with running(live.consumer(projecting(live)).run):
        await until(lambda: _consumed(live, 5))
    lived = await totals(live)
    with pytest.raises(ValueError, match="cannot be understood"):
        await rebuilding.rebuild(
            live.engine, live.kafka, service=live.service, subscriptions=[projecting(live, {3})], metadata=METADATA
        )
    stray = Subscriptions()

    @stray.project(live.Thing)
    async def elsewhere(event: Thing, tx: AsyncSession) -> None:
        await note(tx, event)

    with pytest.raises(rebuilding.WritesElsewhere, match="seen"):
        await rebuilding.rebuild(
            live.engine, live.kafka, service=live.service, subscriptions=[stray], metadata=METADATA
        )
    assert await totals(live) == lived
    assert await live.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'rebuil%'") == []
    _ = elsewhere


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_projections_end_the_same_under_any_interleaving(data: st.DataObject, interleaving: "Interleaving") -> None:
    lanes = [list(range(i * 8, i * 8 + 8)) for i in range(5)]
    order: list[int] = []
    while any(lanes):
        order.append(data.draw(st.sampled_from([lane for lane in lanes if lane])).pop(0))
    cuts = data.draw(st.lists(st.integers(1, 39), max_size=5).map(lambda some: sorted({0, 40, *some})))
    interleaving.holds([order[a:b] for a, b in pairwise(cuts)])


class Interleaving:
    """Runs polls of the same forty events, in whatever order, each on empty tables."""

    def __init__(self, bus: Bus, loop: asyncio.AbstractEventLoop) -> None:
        self._bus, self._loop = bus, loop
        keys = [uuid.uuid4() for _ in range(5)]
        self._records: list[Record] = []
        for lane in range(5):
            for n in range(8):
                event = bus.thing(n, keys[lane]) if n % 3 else bus.other(n, keys[(lane + n) % 5])
                self._records.append(bus.record(event, partition=lane))
        self._first: list[tuple[Any, ...]] | None = None

    def holds(self, polls: Sequence[Sequence[int]]) -> None:
        ended = self._loop.run_until_complete(self._run(polls))
        if self._first is None:
            self._first = ended
        assert ended == self._first

    async def _run(self, polls: Sequence[Sequence[int]]) -> list[tuple[Any, ...]]:
        await self._bus.execute("TRUNCATE totals, inbox, consumer_offset, seen")
        consumer = self._bus.consumer(projecting(self._bus))
        for poll in polls:
            await consumer.deliver([self._records[at] for at in poll])
        return await totals(self._bus)


@pytest.fixture
async def interleaving(bus: Bus) -> Interleaving:
    await create(bus)
    return Interleaving(bus, asyncio.get_running_loop())
