"""From the outbox to Kafka: in order, by one relay, deleting exactly what was acknowledged."""

import asyncio
import os
import socket
import time
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from statistics import median
from typing import Any

import pytest
import sqlalchemy as sa
from aiokafka.errors import KafkaConnectionError
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from eventing_bus import SOURCE, Bus, running, until

from contracts import wire
from eventing import KafkaSettings, LeaseLost, Relay, Waker, relay, sessions
from eventing.waker import CHANNEL


async def empty(bus: Bus) -> bool:
    return await bus.value("SELECT count(*) FROM outbox") == 0


async def numbers(bus: Bus, count: int) -> dict[str, list[int]]:
    """key → the numbers of its events, as they are on the topic."""
    told: dict[str, list[int]] = defaultdict(list)
    for record in await bus.read_topic(count):
        assert record.key is not None
        assert record.value is not None
        told[record.key.decode()].append(bus.Thing.model_validate_json(record.value).n)
    return told


async def test_rows_become_records_that_are_what_the_contract_says(live: Bus) -> None:
    event = live.thing(5)
    await live.tell(event, actor="staff-1", correlation_id="c", traceparent=f"00-{'a' * 32}-{'b' * 16}-01")
    row = (await live.rows("SELECT id, time FROM outbox"))[0]
    async with running(live.relay().run):
        (record,) = await live.read_topic(1)
        await until(lambda: empty(live))
    key, value, headers = wire.to_wire(
        event,
        id=row[0],
        source=SOURCE,
        time=datetime.fromisoformat(row[1]),
        actor="staff-1",
        correlation_id="c",
        traceparent=f"00-{'a' * 32}-{'b' * 16}-01",
    )
    assert (record.key, record.value, sorted(record.headers)) == (key, value, sorted(headers))
    assert record.timestamp_type == 1


async def test_order_per_key_is_kept_at_speed(live: Bus) -> None:
    keys = [uuid.uuid4() for _ in range(40)]
    async with running(live.relay(rows=70).run):
        for n in range(50):
            await live.tell(*(live.thing(n, key) for key in keys))
        await until(lambda: empty(live))
    told = await numbers(live, 2000)
    assert told == {str(key): list(range(50)) for key in keys}


async def test_a_row_is_published_soon_after_its_commit_and_without_waking_at_the_next_poll(live: Bus) -> None:
    waker = Waker(live.dsn)
    make = sessions(live.engine, source=SOURCE, wake=waker.wake)
    slow = live.relay(poll_seconds=60)
    async with running(slow.run, waker.run):
        await until(lambda: _is_leader(slow))
        await asyncio.sleep(0.2)
        live.sessions = make
        await live.tell(live.thing(1))
        await until(lambda: empty(live), 2)
    live.sessions = sessions(live.engine, source=SOURCE)
    polling = live.relay(poll_seconds=0.2)
    async with running(polling.run):
        await until(lambda: _is_leader(polling))
        await asyncio.sleep(0.5)
        await live.tell(live.thing(2))
        await until(lambda: empty(live), 5)


async def _is_leader(one: Relay) -> bool:
    return one.state.role == "leader"


async def test_one_leads_and_another_takes_over_when_it_dies(live: Bus) -> None:
    first, second = live.relay(lease_seconds=1), live.relay(lease_seconds=1)
    dying = asyncio.create_task(first.run(asyncio.Event()))
    await until(lambda: _is_leader(first))
    async with running(second.run):
        await asyncio.sleep(1.5)
        assert second.state.role == "standby"
        await live.tell(live.thing(1))
        await until(lambda: empty(live))
        assert second.state.published == 0
        dying.cancel()
        await asyncio.wait([dying])
        await live.tell(live.thing(2))
        await until(lambda: empty(live), 5)
        assert second.state.published == 1


async def test_a_relay_that_stops_in_order_hands_over_at_once(live: Bus) -> None:
    async with running(live.relay(lease_seconds=60).run):
        await live.tell(live.thing(1))
        await until(lambda: empty(live))
    async with running(live.relay(lease_seconds=60).run):
        await live.tell(live.thing(2))
        await until(lambda: empty(live), 5)


class Frozen(Relay):
    """A relay that stands still between publishing and deleting, as a frozen process does."""

    def __init__(self, bus: Bus) -> None:
        super().__init__(bus.dsn, bus.kafka, poll_seconds=0.1, lease_seconds=30)
        self.published = asyncio.Event()
        self.thawed = asyncio.Event()

    async def _send_topic(self, topic: str, rows: Sequence[Any]) -> Any:
        sent = await super()._send_topic(topic, rows)
        self.published.set()
        await self.thawed.wait()
        return sent


async def test_a_zombie_deletes_nothing_and_ends(live: Bus) -> None:
    zombie = Frozen(live)
    undead = asyncio.create_task(zombie.run(asyncio.Event()))
    await live.tell(live.thing(1))
    await zombie.published.wait()
    await live.execute(
        "UPDATE relay_lease SET holder = gen_random_uuid(), epoch = epoch + 1, until = now() + interval '1 hour'"
    )
    zombie.thawed.set()
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(undead, 10)
    assert await live.value("SELECT count(*) FROM outbox") == 1
    await live.execute("UPDATE relay_lease SET until = now()")
    async with running(live.relay().run):
        await until(lambda: empty(live))
    assert len(await live.read_topic(2)) == 2


async def test_losing_the_lease_while_idle_ends_the_relay_too(live: Bus) -> None:
    one = live.relay(lease_seconds=0.6)
    task = asyncio.create_task(one.run(asyncio.Event()))
    await until(lambda: _is_leader(one))
    await live.execute(
        "UPDATE relay_lease SET holder = gen_random_uuid(), epoch = epoch + 1, until = now() + interval '1 hour'"
    )
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(task, 10)


async def set_limit(bus: Bus, size: int) -> None:
    change = ConfigResource(
        ResourceType.TOPIC,
        bus.topic,
        incremental_configs=[ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)],
    )
    admin = AdminClient(bus.kafka.confluent())
    for future in admin.incremental_alter_configs([change]).values():
        await asyncio.to_thread(future.result)


class Interrupted(Relay):
    """A relay to which something happens between looking at the stopped keys and reading."""

    happens: Callable[[], Awaitable[None]] | None = None

    async def _read(self, connection: Any, floor: Any) -> Any:
        happens, self.happens = self.happens, None
        if happens is not None:
            await happens()
        return await super()._read(connection, floor)


async def test_no_later_row_of_its_key_passes_one_that_kafka_refuses(live: Bus) -> None:
    await set_limit(live, 3000)
    poisoned, others = uuid.uuid4(), [uuid.uuid4() for _ in range(12)]
    await live.tell(
        live.thing(0, poisoned),
        *(live.thing(0, key) for key in others),
        live.thing(1, poisoned, pad="x" * 5000),
        *(live.thing(1, key) for key in others),
        live.thing(2, poisoned),
        *(live.thing(2, key) for key in others),
    )
    one = Interrupted(live.dsn, live.kafka, poll_seconds=0.1)
    async with running(one.run):

        async def only_the_poisoned_are_left() -> bool:
            return await live.value("SELECT count(*) FROM outbox") == 2

        await until(only_the_poisoned_are_left, 30)

        async def shown() -> bool:
            async with live.engine.connect() as connection:
                return any(key.stopped for key in await relay.list_refused(connection))

        await until(shown)
        await live.tell(live.thing(3, poisoned), live.thing(3, others[0]))

        async def the_other_went_on() -> bool:
            return await live.value("SELECT count(*) FROM outbox") == 3

        await until(the_other_went_on)
        told = await numbers(live, 1 + 3 * 12 + 1)
        assert told[str(poisoned)] == [0]
        assert all(told[str(key)] == [0, 1, 2] for key in others[1:])
        async with live.engine.connect() as connection:
            (refused,) = await relay.list_refused(connection)
        assert (refused.topic, refused.key, refused.attempts) == (live.topic, str(poisoned), 3)
        assert "MessageSizeTooLarge" in refused.error or "RecordListTooLarge" in refused.error
        await until(lambda: _floor_has_passed(one, refused.seq), 60)
        await set_limit(live, 1_000_000)

        async def resume() -> None:
            async with live.engine.begin() as connection:
                await relay.resume_key(connection, live.topic, str(poisoned))

        one.happens = resume
        await until(lambda: empty(live), 30)
    assert (await numbers(live, 41))[str(poisoned)] == [0, 1, 2, 3]


async def test_rows_wait_while_kafka_is_away_and_health_says_so(live: Bus) -> None:
    host, _, port = live.kafka.bootstrap.rpartition(":")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        door = free.getsockname()[1]
    away = Relay(live.dsn, KafkaSettings(f"127.0.0.1:{door}"), poll_seconds=0.1, lease_seconds=1)
    async with running(away.run):
        await live.tell(live.thing(1))

        async def says_so() -> bool:
            return away.state.kafka == "away" and away.state.error is not None

        await until(says_so)
        await asyncio.sleep(2)
        assert await live.value("SELECT count(*) FROM outbox") == 1
        assert await live.rows("SELECT 1 FROM relay_refused") == []
        assert away.state.role == "leader"

        async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            other_reader, other_writer = await asyncio.open_connection(host, int(port))
            await asyncio.gather(_copy(reader, other_writer), _copy(other_reader, writer), return_exceptions=True)

        server = await asyncio.start_server(pass_on, "127.0.0.1", door)
        await until(lambda: empty(live))
        assert away.state.kafka == "up"
        server.close()


async def test_the_lease_is_held_while_kafka_does_not_answer(live: Bus) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    silent = KafkaSettings(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    leader, standby = Relay(live.dsn, silent, poll_seconds=0.1, lease_seconds=1), live.relay(lease_seconds=1)
    await live.tell(live.thing(1))
    stuck = asyncio.create_task(leader.run(asyncio.Event()))
    await until(lambda: _is_leader(leader))
    async with running(standby.run):
        await asyncio.sleep(3)
        assert (leader.state.role, standby.state.role) == ("leader", "standby")
        assert leader.state.kafka == "away"
        stuck.cancel()
        await asyncio.wait([stuck])
        server.close()
        await until(lambda: empty(live))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


class Faltering(Relay):
    """A relay whose producer loses its connection now and then, before anything of the batch is acknowledged."""

    failures = 4

    async def _send_partition(self, producer: Any, topic: str, partition: int, rows: Any) -> Any:
        if self.failures:
            self.failures -= 1
            return relay._Sent(error=KafkaConnectionError("lost"), alone=rows[0])  # pyright: ignore[reportPrivateUsage] - what the loss looks like inside
        return await super()._send_partition(producer, topic, partition, rows)


async def test_connection_errors_never_count_against_a_row(live: Bus) -> None:
    await live.tell(live.thing(1))
    async with running(Faltering(live.dsn, live.kafka, poll_seconds=0.1).run):
        await until(lambda: empty(live), 30)
    assert await live.rows("SELECT 1 FROM relay_refused") == []


async def test_a_row_that_commits_late_is_not_left_behind_the_floor(live: Bus) -> None:
    one = live.relay()
    await live.tell(live.thing(1))
    columns = "aggregatetype, aggregateid, type, payload, source, time, specversion, datacontenttype"
    async with live.engine.connect() as late:
        await late.execute(
            sa.text(f"INSERT INTO outbox (id, {columns}) SELECT gen_random_uuid(), {columns} FROM outbox")
        )  # fmt: skip
        async with running(one.run):
            for n in range(2, 5):
                await live.tell(live.thing(n))
                await asyncio.sleep(1.1)
            assert one.state.floor <= 1
            await late.commit()
            await until(lambda: empty(live))
            await until(lambda: _floor_has_passed(one, 5), 60)


async def _floor_has_passed(one: Relay, seq: int) -> bool:
    return one.state.floor >= seq


class Watched(Relay):
    """A relay that says from where it reads."""

    asked = 0

    async def _read_after(self, connection: Any, seq: int) -> Any:
        self.asked = seq
        return await super()._read_after(connection, seq)


async def test_reading_skips_the_dead_rows_that_an_old_snapshot_keeps(live: Bus) -> None:
    one = Watched(live.dsn, live.kafka, poll_seconds=0.1)
    async with live.engine.connect() as report:
        await report.execution_options(isolation_level="REPEATABLE READ")
        await report.execute(sa.text("SELECT count(*) FROM outbox"))
        async with running(one.run):
            for _ in range(4):
                await live.tell(*(live.thing(n) for n in range(2000)))
            await until(lambda: empty(live))
            await until(lambda: _floor_has_passed(one, 8000), 60)
            await asyncio.sleep(0.5)

            async def pages(floor: int) -> int:
                query = "SELECT seq FROM outbox WHERE seq > :f ORDER BY seq LIMIT 100"
                plan = await live.value(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}", f=floor)
                return plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"]

            assert await pages(one.asked) * 5 < await pages(0)


@pytest.mark.snapshot
@pytest.mark.timeout(900)
async def test_an_old_snapshot_held_open_at_full_load_costs_neither_half_the_rate_nor_twice_the_time(live: Bus) -> None:
    one = live.relay(lease_seconds=10.0)
    await live.tell(*(live.thing(n) for n in range(1000)))
    columns = "aggregatetype, aggregateid, type, payload, source, time, specversion, datacontenttype"
    await live.execute("CREATE TABLE copied AS SELECT * FROM outbox")
    copy = f"INSERT INTO outbox (id, {columns}) SELECT gen_random_uuid(), {columns} FROM copied"
    told = 1000

    async def rate(seconds: float) -> float:
        """Rows a second while more are waiting all the time, over the last ten seconds."""
        nonlocal told
        began, marks = time.monotonic(), [(time.monotonic(), one.state.published)]
        while (now := time.monotonic()) < began + seconds:
            marks.append((now, one.state.published))
            while told < one.state.published + 20_000:
                await live.execute(copy)
                told += 1000
            await asyncio.sleep(0.01)
        await until(lambda: empty(live), 120)
        since, before = next(mark for mark in marks if mark[0] > began + seconds - 10)
        return (marks[-1][1] - before) / (marks[-1][0] - since)

    async def latency() -> float:
        """Median seconds from a row's commit to Kafka's acknowledgement when no other waits."""
        nonlocal told
        taken: list[float] = []
        for _ in range(100):
            await live.execute(f"{copy} LIMIT 1")
            told, began = told + 1, time.monotonic()
            await live.execute(f"NOTIFY {CHANNEL}")
            while one.state.published < told:  # noqa: ASYNC110 - the state is not an event
                await asyncio.sleep(0.0005)
            taken.append(time.monotonic() - began)
        return median(taken)

    async with running(one.run):
        await until(lambda: empty(live), 60)
        calm = await rate(15), await latency()
        async with live.engine.connect() as report:
            await report.execution_options(isolation_level="REPEATABLE READ")
            await report.execute(sa.text("SELECT count(*) FROM outbox"))
            held = await rate(float(os.environ.get("SNAPSHOT_SECONDS", "60"))), await latency()
    said = ", ".join(
        f"{name}: {n:.0f} rows/s, {s * 1000:.1f} ms" for name, (n, s) in {"calm": calm, "held": held}.items()
    )
    print(said)  # noqa: T201 - what was measured is the point
    assert held[0] * 2 > calm[0], said
    assert held[1] < calm[1] * 2, said
