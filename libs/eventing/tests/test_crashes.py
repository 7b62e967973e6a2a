"""A process that dies in the middle: nothing lost, nothing doubled, and only what kills three times is parked."""

import asyncio
import random
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

from eventing_bus import Bus, Thing, note, running, texts, until
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.base import Event
from eventing import Consumer, Subscriptions, parking
from eventing.records import Record
from eventing.streams import Stream


class Killed(BaseException):
    """What a SIGKILL does, without the wait: nothing catches it, the transaction is lost."""


async def process(bus: Bus, on: Subscriptions, records: Sequence[Record], batch: int = 100) -> Consumer:
    """A new worker takes the partition over and delivers until the end or its death."""
    consumer = bus.consumer(on)
    start, careful = (await consumer.open(consumer.groups[0], bus.topic, {0: 0}))[0]
    stream = Stream(bus.topic)
    if careful:
        stream.careful.add(0)
    for at in range(start, len(records), batch):
        stream.begins = {0: at}
        await consumer.poll(consumer.groups[0], stream, records[at : at + batch])
    return consumer


async def test_the_third_crash_on_an_event_parks_it_and_no_other(bus: Bus) -> None:
    deaths = 0
    on = Subscriptions()

    @on.react(bus.Thing)
    async def hear(event: Thing, tx: AsyncSession) -> None:
        nonlocal deaths
        await note(tx, event)
        if event.n == 13:
            deaths += 1
            raise Killed

    records = [bus.record(bus.thing(n)) for n in range(30)]
    for _ in range(10):
        try:
            await process(bus, on, records)
        except Killed:
            continue
        break
    assert texts(await bus.rows("SELECT n FROM seen ORDER BY seq")) == [n for n in range(30) if n != 13]
    async with bus.engine.connect() as connection:
        (bad,) = await parking.list_parked(connection)
    assert (bad.offset, bad.error_class) == (13, "CrashedThreeTimes")
    assert 3 <= deaths <= 4
    _ = hear


async def test_kills_at_random_park_nobody(bus: Bus) -> None:
    chance = random.Random(7)
    on = Subscriptions()

    @on.react(bus.Thing)
    async def hear(event: Thing, tx: AsyncSession) -> None:
        await note(tx, event)
        if chance.random() < 0.06:
            raise Killed

    records = [bus.record(bus.thing(n)) for n in range(200)]
    kills = 0
    while True:
        try:
            await process(bus, on, records, batch=20)
        except Killed:
            kills += 1
            continue
        break
    assert kills > 5
    assert texts(await bus.rows("SELECT n FROM seen ORDER BY seq")) == list(range(200))
    assert await bus.rows("SELECT 1 FROM parked_event") == []
    _ = hear


async def test_an_orderly_end_raises_no_suspicion(bus: Bus) -> None:
    consumer = bus.consumer(Subscriptions())
    on = Subscriptions()

    @on.react(bus.Thing)
    async def hear(event: Thing, tx: AsyncSession) -> None:
        await note(tx, event)

    consumer = bus.consumer(on)
    group = consumer.groups[0]
    assert await consumer.open(group, bus.topic, {0: 0}) == {0: (0, False)}
    await consumer.close(group, bus.topic, {0: 0})
    assert await consumer.open(group, bus.topic, {0: 0}) == {0: (0, False)}
    assert await consumer.open(group, bus.topic, {0: 0}) == {0: (0, True)}
    _ = hear


async def test_workers_killed_while_events_flow_lose_and_double_nothing(live: Bus) -> None:
    chance = random.Random(11)
    keys = [uuid.uuid4() for _ in range(30)]

    async def worker() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("worker.py")),
            live.dsn,
            live.kafka.bootstrap,
            live.topic,
            live.service,
        )

    workers = [await worker() for _ in range(2)]
    try:
        async with running(live.relay().run):
            for round_ in range(4):
                for n in range(round_ * 10, round_ * 10 + 10):
                    events: list[Event] = [live.thing(n, key) for key in keys]
                    await live.tell(*events)
                    await asyncio.sleep(0.05)
                await asyncio.sleep(chance.random())
                if round_ < 3:
                    victim = chance.randrange(2)
                    workers[victim].kill()
                    await workers[victim].wait()
                    workers[victim] = await worker()

            async def all_seen() -> bool:
                return await live.value("SELECT count(*) FROM seen") >= 1200

            await until(all_seen, 60)
    finally:
        for each in workers:
            each.terminate()
        await asyncio.gather(*(each.wait() for each in workers))
    for key in keys:
        told = texts(await live.rows("SELECT n FROM seen WHERE thing_id = :k ORDER BY seq", k=key))
        assert told == list(range(40))
    assert await live.rows("SELECT 1 FROM parked_event") == []
