"""Fetching from real Kafka: the database says where to read, and nothing is swallowed."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError
from eventing_bus import Bus, Thing, note, noting, running, texts, until
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.base import Topic
from eventing import Subscriptions, parking, streams, topics
from eventing.records import Record


async def seen(bus: Bus) -> list[Any]:
    return texts(await bus.rows("SELECT n FROM seen ORDER BY n, seq"))


async def saw(bus: Bus, count: int) -> bool:
    return len(await seen(bus)) >= count


async def test_records_that_faststream_would_choke_on_are_parked_and_the_rest_flows(live: Bus) -> None:
    records = [live.record(live.thing(n), partition=n % 3) for n in range(6)]
    records[1] = replace(records[1], headers=[(n, None if n == "ce_id" else v) for n, v in records[1].headers])
    records[2] = replace(records[2], headers=[*records[2].headers, ("x-raw", b"\xff\xfe"), ("x-null", None)])
    records[3] = replace(records[3], value=b"\xff\xfe")
    await live.publish(records)
    async with running(live.consumer(noting(live)).run):
        await until(lambda: saw(live, 3))

        async def all_parked() -> bool:
            return await live.value("SELECT count(*) FROM parked_event") == 3

        await until(all_parked)
    assert await seen(live) == [0, 4, 5]
    async with live.engine.connect() as connection:
        errors = {each.error_class for each in await parking.list_parked(connection)}
    assert errors == {"MalformedRecord", "NotItsContract"}


async def test_a_2_mb_record_is_parked_not_delivered(live: Bus) -> None:
    await asyncio.to_thread(topics.create, live.kafka, [Topic(live.topic, partitions=3, max_bytes=3_000_000)])
    big, small = live.record(live.thing(1, pad="x" * 10)), live.record(live.thing(2))
    oversized = [replace(big, value=b" " * 2_000_000 + (big.value or b"")), small]
    while True:  # the broker takes a changed setting in its own time
        try:
            await live.publish(oversized)
            break
        except MessageSizeTooLargeError:
            await asyncio.sleep(0.2)
    async with running(live.consumer(noting(live)).run):
        await until(lambda: saw(live, 1))
    assert await seen(live) == [2]
    assert texts(await live.rows("SELECT error_class FROM parked_event")) == ["TooLarge"]


async def test_a_database_restored_to_an_earlier_moment_catches_up_by_itself(live: Bus) -> None:
    await live.publish([live.record(live.thing(n)) for n in range(20)])
    async with running(live.consumer(noting(live), look_seconds=0.3).run):
        await until(lambda: saw(live, 20))
        async with live.engine.begin() as connection:
            for statement in (
                "UPDATE consumer_offset SET next_offset = 5 WHERE partition = 0",
                "DELETE FROM seen WHERE n >= 5",
                "DELETE FROM inbox",
            ):
                await connection.exec_driver_sql(statement)
        await until(lambda: saw(live, 20))
        await live.publish([live.record(live.thing(20))])
        await until(lambda: saw(live, 21))
    assert await seen(live) == list(range(21))


async def test_kafkas_own_commit_decides_nothing(live: Bus) -> None:
    await live.publish([live.record(live.thing(n)) for n in range(10)])
    async with running(live.consumer(noting(live), look_seconds=0.2).run):
        await until(lambda: saw(live, 10))
        await asyncio.sleep(0.5)
    await live.execute("TRUNCATE seen, inbox, consumer_offset")
    async with running(live.consumer(noting(live)).run):
        await until(lambda: saw(live, 10))
    assert await seen(live) == list(range(10))


async def test_a_batch_that_is_swallowed_on_its_way_is_fetched_again(
    live: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = streams.KafkaStream.consume
    swallowed: list[int] = []

    async def swallow(stream: streams.KafkaStream, records: Sequence[Record]) -> None:
        if not swallowed:
            swallowed.append(len(records))
            raise RuntimeError("something that nobody thought of")
        await honest(stream, records)

    monkeypatch.setattr(streams.KafkaStream, "consume", swallow)
    await live.publish([live.record(live.thing(n)) for n in range(10)])
    async with running(live.consumer(noting(live), look_seconds=0.3).run):
        await until(lambda: saw(live, 10))
    assert swallowed
    assert await seen(live) == list(range(10))


async def test_what_is_away_is_waited_for_and_nothing_is_parked(live: Bus) -> None:
    tries = 0
    on = Subscriptions()

    @on.react(live.Thing)
    async def hear(event: Thing, tx: AsyncSession) -> None:
        nonlocal tries
        tries += 1
        if tries <= 4:
            raise ConnectionResetError("the mail relay is away")
        await note(tx, event)

    consumer = live.consumer(on)
    await live.publish([live.record(live.thing(n)) for n in range(3)])
    async with running(consumer.run):

        async def says_so() -> bool:
            return "away" in str(consumer.state.waiting)

        await until(says_so)
        await until(lambda: saw(live, 3))
        assert consumer.state.waiting == {}
    assert await seen(live) == [0, 1, 2]
    assert await live.rows("SELECT 1 FROM parked_event") == []
    _ = hear


async def test_a_worker_waits_for_its_topics_and_refuses_another_number_of_partitions(bus: Bus) -> None:
    consumer = bus.consumer(noting(bus))
    async with running(consumer.run):

        async def waits() -> bool:
            return "kafka" in consumer.state.waiting

        await until(waits)
        await asyncio.to_thread(topics.create, bus.kafka, [Topic(bus.topic, partitions=3)])
        await bus.publish([bus.record(bus.thing(1))])
        await until(lambda: saw(bus, 1))
    with pytest.raises(topics.WrongPartitions, match="has 3"):
        await bus.consumer(noting(bus), partitions=12).run(asyncio.Event())


async def test_a_group_that_was_stopped_stays_stopped_until_it_is_let_go_on(live: Bus) -> None:
    broken = True
    on = Subscriptions()

    @on.react(live.Thing)
    async def hear(event: Thing, tx: AsyncSession) -> None:
        if broken:
            raise ValueError("a broken release")
        await note(tx, event)

    await live.publish([live.record(live.thing(n)) for n in range(30)])
    consumer = live.consumer(on, alarm_keys=10)
    async with running(consumer.run):

        async def stopped() -> bool:
            return live.group in consumer.state.halted

        await until(stopped)
        count = await live.value("SELECT count(*) FROM parked_event")
        assert count <= 10
        await asyncio.sleep(0.5)
        assert await live.value("SELECT count(*) FROM parked_event") == count
    again = live.consumer(on, alarm_keys=10)
    async with running(again.run):
        await until(lambda: _halted(again, live.group))
        broken = False
        async with live.engine.begin() as connection:
            await parking.resume_group(connection, live.group)
        await until(lambda: saw(live, 30 - count))
    _ = hear


async def _halted(consumer: Any, group: str) -> bool:
    return group in consumer.state.halted
