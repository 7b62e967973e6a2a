"""What becomes of records: effect once, in order, with a defined outcome for each kind of bad one."""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from eventing_bus import Bus, Colour, Other, Thing, note, noting, texts
from prometheus_client import REGISTRY
from sqlalchemy.ext.asyncio import AsyncSession

from eventing import ReleaseLooksBroken, Subscriptions, emit, parking
from eventing.records import StoredRecord, header
from eventing.streams import Stream


async def seen(bus: Bus) -> list[Any]:
    return texts(await bus.rows("SELECT n FROM seen ORDER BY seq"))


async def parked(bus: Bus) -> list[parking.ParkedEvent]:
    async with bus.engine.connect() as connection:
        return await parking.list_parked(connection)


async def stands(bus: Bus) -> int:
    return await bus.value("SELECT next_offset FROM consumer_offset")


def failing(bus: Bus, fails: Callable[[Thing], Exception | None]) -> Subscriptions:
    on = Subscriptions()

    @on.react(bus.Thing)
    async def hear(event: Thing, tx: AsyncSession) -> None:
        await note(tx, event)
        error = fails(event)
        if error is not None:
            raise error

    _ = hear
    return on


async def test_offset_inbox_and_effect_are_one_transaction(bus: Bus) -> None:
    on = noting(bus)
    await bus.execute("ALTER TABLE seen ADD CONSTRAINT never CHECK (n <> 1) NOT VALID")
    await bus.execute("ALTER TABLE seen ADD CONSTRAINT late UNIQUE (n) DEFERRABLE INITIALLY DEFERRED")
    key = uuid.uuid4()
    await bus.consumer(on).deliver([bus.record(bus.thing(0, key)), bus.record(bus.thing(0))])
    assert await seen(bus) == [0]
    assert await stands(bus) == 2
    assert len(await bus.rows("SELECT 1 FROM inbox")) == 1
    assert [(each.offset, each.error_class) for each in await parked(bus)] == [(1, "IntegrityError")]


async def test_a_delivery_that_comes_twice_has_its_effect_once_even_when_the_inbox_has_forgotten(bus: Bus) -> None:
    consumer, records = bus.consumer(noting(bus)), [bus.record(bus.thing(n)) for n in range(3)]
    await consumer.deliver(records)
    await bus.execute("DELETE FROM inbox")
    await consumer.deliver(records)
    await consumer.deliver([records[0], bus.record(bus.thing(3))])
    assert await seen(bus) == [0, 1, 2, 3]


async def test_an_event_that_is_twice_on_the_topic_has_its_effect_once(bus: Bus) -> None:
    consumer = bus.consumer(noting(bus))
    first = bus.record(bus.thing(1))
    await consumer.deliver([first, replace(first, offset=1)])
    await consumer.deliver([replace(first, offset=2, partition=0)])
    assert await seen(bus) == [1]
    assert await stands(bus) == 3


async def test_a_batch_that_does_not_begin_where_the_database_stands_is_dropped_and_sought_again(bus: Bus) -> None:
    consumer = bus.consumer(noting(bus))
    await consumer.deliver([bus.record(bus.thing(n)) for n in range(4)])
    for begins in (2, 9):
        stream = Stream(bus.topic)
        stream.begins = {0: begins}
        await consumer.poll(consumer.groups[0], stream, [bus.record(bus.thing(7), offset=begins)])
        assert stream.moved == {0}
    assert await seen(bus) == [0, 1, 2, 3]
    assert await stands(bus) == 4
    stream = Stream(bus.topic)
    stream.begins = {0: 4}
    await consumer.poll(consumer.groups[0], stream, [bus.record(bus.thing(8), offset=6)])
    assert await seen(bus) == [0, 1, 2, 3, 8]


async def test_a_poll_keeps_the_order_of_a_key_across_types(bus: Bus) -> None:
    on = Subscriptions()

    @on.react(bus.Thing)
    async def thing(event: Thing, tx: AsyncSession) -> None:
        await note(tx, event)

    @on.react_batch(bus.Other)
    async def other(events: list[Other], tx: AsyncSession) -> None:
        for event in events:
            await note(tx, event, f"run of {len(events)}")

    key = uuid.uuid4()
    kinds = [bus.thing, bus.other, bus.other, bus.thing, bus.other]
    await bus.consumer(on).deliver([bus.record(kind(n, key)) for n, kind in enumerate(kinds)])
    assert await bus.rows("SELECT n, what FROM seen ORDER BY seq") == [
        (0, ""), (1, "run of 2"), (2, "run of 2"), (3, ""), (4, "run of 1"),
    ]  # fmt: skip
    _ = thing, other


async def test_projections_of_an_event_come_before_the_reactions_to_it_and_after_those_before(bus: Bus) -> None:
    on = Subscriptions()

    @on.react(bus.Thing)
    async def act(event: Thing, tx: AsyncSession) -> None:
        await note(tx, event, "react")

    @on.project_batch(bus.Thing)
    async def keep(events: list[Thing], tx: AsyncSession) -> None:
        for event in events:
            await note(tx, event, "project")

    await bus.consumer(on).deliver([bus.record(bus.thing(n)) for n in range(2)])
    assert await bus.rows("SELECT n, what FROM seen ORDER BY seq") == [
        (0, "project"), (0, "react"), (1, "project"), (1, "react"),
    ]  # fmt: skip
    _ = act, keep


async def test_a_projection_neither_emits_nor_audits_nor_schedules(bus: Bus) -> None:
    on = Subscriptions()

    @on.project(bus.Thing)
    async def keep(event: Thing, tx: AsyncSession) -> None:
        emit(tx, bus.other(1))

    await bus.consumer(on).deliver([bus.record(bus.thing(1))])
    assert [each.error_class for each in await parked(bus)] == ["ProjectionActs"]
    assert await bus.rows("SELECT 1 FROM outbox") == []
    _ = keep


async def test_a_batch_handler_says_which_event_caused_what_it_tells(bus: Bus) -> None:
    on, silent = Subscriptions(), Subscriptions("silent")

    @on.react_batch(bus.Thing)
    async def tell(events: list[Thing], tx: AsyncSession) -> None:
        for event in events:
            emit(tx, bus.other(event.n), cause=event)

    @silent.react_batch(bus.Thing)
    async def forget(events: list[Thing], tx: AsyncSession) -> None:
        emit(tx, bus.other(9))

    records = [bus.record(bus.thing(n)) for n in range(2)]
    await bus.consumer(on, silent).deliver(records)
    causes = texts(await bus.rows("SELECT causationid FROM outbox ORDER BY seq"))
    assert causes == [header(record, "ce_id") for record in records]
    assert {each.error_class for each in await parked(bus)} == {"CauseNeeded"}
    _ = tell, forget


async def test_a_failed_batch_is_done_again_one_by_one_and_the_culprit_shows(bus: Bus) -> None:
    on = failing(bus, lambda event: ValueError("thirteen") if event.n == 13 else None)
    await bus.consumer(on).deliver([bus.record(bus.thing(n)) for n in range(20)])
    assert await seen(bus) == [n for n in range(20) if n != 13]
    (culprit,) = await parked(bus)
    assert (culprit.offset, culprit.error_class, culprit.error, culprit.attempts) == (13, "ValueError", "thirteen", 1)
    assert await stands(bus) == 20


def changed(record: StoredRecord, **headers: bytes | None) -> StoredRecord:
    """The record with other headers; None removes one."""
    kept = dict(record.headers) | headers
    return replace(record, headers=[(name, value) for name, value in kept.items() if value is not None])


BAD: dict[str, tuple[Callable[[Bus, StoredRecord], StoredRecord], str]] = {
    "bad bytes": (lambda _, r: replace(r, value=b"\xff\x00not json"), "NotItsContract"),
    "no value": (lambda _, r: replace(r, value=None), "NotItsContract"),
    "missing header": (lambda _, r: changed(r, ce_id=None), "MalformedRecord"),
    "null header": (
        lambda _, r: replace(r, headers=[(n, None if n == "ce_time" else v) for n, v in r.headers]),
        "MalformedRecord",
    ),
    "no type": (lambda _, r: changed(r, ce_type=None), "MalformedRecord"),
    "unreadable header": (lambda _, r: changed(r, ce_source=b"\xff"), "MalformedRecord"),
    "schema violation": (
        lambda _, r: replace(r, value=(r.value or b"").replace(b'"n":1', b'"n":"x"')),
        "NotItsContract",
    ),
    "unknown value of a closed enum": (
        lambda _, r: replace(r, value=(r.value or b"").replace(b'"ROUND"', b'"SQUARE"')),
        "NotItsContract",
    ),
    "a key that is not the contract's": (lambda _, r: replace(r, key=b"someone-else"), "WrongKey"),
    "no key": (lambda _, r: replace(r, key=None), "WrongKey"),
    "2 MB": (lambda _, r: replace(r, value=b" " * 2_000_000 + (r.value or b"")), "TooLarge"),
}


@pytest.mark.parametrize("kind", BAD)
async def test_a_bad_record_is_parked_at_once_with_its_reason_and_all_others_flow(bus: Bus, kind: str) -> None:
    spoil, error = BAD[kind]
    records = [bus.record(bus.thing(n)) for n in range(3)]
    records[1] = spoil(bus, records[1])
    await bus.consumer(noting(bus)).deliver(records)
    assert await seen(bus) == [0, 2]
    (bad,) = await parked(bus)
    assert (bad.offset, bad.error_class) == (1, error)
    assert bad.error
    assert await bus.value("SELECT value FROM parked_event") == records[1].value


async def test_a_type_on_a_foreign_topic_is_parked(bus: Bus) -> None:
    consumer = bus.consumer(noting(bus), noting(bus))
    consumer.groups[0].topics.append("foreign.events")
    await consumer.deliver([replace(bus.record(bus.thing(1)), topic="foreign.events")])
    assert await seen(bus) == []
    assert [each.error_class for each in await parked(bus)] == ["ForeignTopic"]


async def test_an_unknown_type_is_skipped_and_counted(bus: Bus) -> None:
    unknown = changed(bus.record(bus.thing(1)), ce_type=b"factoring.client.not-invented-yet.v9")
    await bus.consumer(noting(bus)).deliver([unknown, bus.record(bus.thing(2))])
    assert await seen(bus) == [2]
    assert await parked(bus) == []
    labels = {"group": bus.group, "type": "other", "outcome": "unknown"}
    assert REGISTRY.get_sample_value("eventing_events_total", labels) == 1


async def test_an_unknown_value_of_an_open_enum_is_delivered_as_unknown_and_extras_are_ignored(bus: Bus) -> None:
    told: list[Thing] = []
    on = Subscriptions()

    @on.react(bus.Thing)
    async def hear(event: Thing, tx: AsyncSession) -> None:
        told.append(event)

    record = bus.record(bus.thing(1))
    later = (record.value or b"").replace(b'"RED"', b'"MAUVE"').replace(b'{"', b'{"novelty":{"x":1},"', 1)
    extra = [*record.headers, ("id", b"x"), ("x-other", None)]
    await bus.consumer(on).deliver([replace(record, value=later, headers=extra)])
    assert [event.colour for event in told] == [Colour.UNKNOWN]
    assert told[0].meta is not None
    assert told[0].meta.known_at.timestamp() == record.timestamp / 1000
    _ = hear


async def test_a_parked_key_holds_its_later_events_and_replay_brings_them_in_order(bus: Bus) -> None:
    broken = True
    on = failing(bus, lambda event: ValueError("not yet") if broken and event.n == 1 else None)
    consumer, key = bus.consumer(on), uuid.uuid4()
    await consumer.deliver([bus.record(bus.thing(n, key)) for n in range(3)])
    await consumer.deliver([bus.record(bus.thing(3, key)), bus.record(bus.thing(100))])
    assert await seen(bus) == [0, 100]
    assert [(each.offset, each.behind) for each in await parked(bus)] == [(1, False), (2, True), (3, True)]
    async with bus.engine.connect() as connection:
        (waiting,) = await parking.list_parked_keys(connection)
    assert (waiting.key, waiting.events, waiting.error) == (str(key), 3, "not yet")
    again = await parking.replay(bus.sessions, consumer.groups[0], bus.topic, str(key), actor="op-1")
    assert (again.done, again.failed and again.failed.offset) == (0, 1)
    broken = False
    done = await parking.replay(bus.sessions, consumer.groups[0], bus.topic, str(key), actor="op-1")
    assert (done.done, done.failed) == (3, None)
    assert await seen(bus) == [0, 100, 1, 2, 3]
    await consumer.deliver([bus.record(bus.thing(4, key))])
    assert await seen(bus) == [0, 100, 1, 2, 3, 4]
    assert await bus.rows("SELECT 1 FROM parked_key") == []


async def test_nothing_is_left_behind_a_replay_that_finishes_while_a_delivery_is_under_way(bus: Bus) -> None:
    broken, waiting, go_on = True, asyncio.Event(), asyncio.Event()
    key, slow = uuid.uuid4(), uuid.uuid4()
    on = Subscriptions()

    @on.react(bus.Thing)
    async def hear(event: Thing, tx: AsyncSession) -> None:
        if event.thing_id == slow:
            waiting.set()
            await go_on.wait()
        if broken and event.thing_id == key:
            raise ValueError
        await note(tx, event)

    consumer = bus.consumer(on)
    await consumer.deliver([bus.record(bus.thing(1, key))])
    broken = False
    delivery = asyncio.create_task(consumer.deliver([bus.record(bus.thing(2, key)), bus.record(bus.thing(0, slow))]))
    await waiting.wait()
    replay = asyncio.create_task(parking.replay(bus.sessions, consumer.groups[0], bus.topic, str(key), actor="op"))
    await asyncio.wait([replay], timeout=0.5)
    go_on.set()
    await delivery
    assert (await replay).done == 2
    await consumer.deliver([bus.record(bus.thing(3, key))])
    assert texts(await bus.rows("SELECT n FROM seen WHERE thing_id = :k ORDER BY seq", k=key)) == [1, 2, 3]
    assert await parked(bus) == []
    _ = hear


async def test_discarding_asks_for_a_reason_is_recorded_and_lets_the_key_go_on(bus: Bus) -> None:
    on = failing(bus, lambda event: ValueError("never") if event.n == 0 else None)
    consumer, key = bus.consumer(on), uuid.uuid4()
    await consumer.deliver([bus.record(bus.thing(0, key))])
    (bad,) = await parked(bus)
    async with bus.engine.begin() as connection:
        with pytest.raises(parking.ReasonNeeded):
            await parking.discard(connection, bad.id, reason=" ", actor="op-1")
        with pytest.raises(parking.UnknownParked):
            await parking.discard(connection, bad.id + 1, reason="x", actor="op-1")
        await parking.discard(connection, bad.id, reason="sent in error, ticket 12", actor="op-1")
    await consumer.deliver([bus.record(bus.thing(1, key))])
    assert await seen(bus) == [1]
    async with bus.engine.connect() as connection:
        (kept,) = await parking.list_parked(connection, status="discarded")
    assert (kept.reason, kept.settled_by, kept.offset) == ("sent in error, ticket 12", "op-1", 0)
    assert kept.settled_at is not None


async def test_a_row_level_failure_is_tried_five_times_and_then_parked(bus: Bus) -> None:
    tries: dict[int, int] = {}
    on = Subscriptions()

    @on.react(bus.Thing)
    async def hear(event: Thing, tx: AsyncSession) -> None:
        tries[event.n] = tries.get(event.n, 0) + 1
        if event.n == 1 or (event.n == 2 and tries[2] < 4):
            await tx.execute(sa.text("SET LOCAL statement_timeout = '1ms'"))
            await tx.execute(sa.text("SELECT pg_sleep(1)"))
        await note(tx, event)

    await bus.consumer(on).deliver([bus.record(bus.thing(n)) for n in range(4)])
    assert await seen(bus) == [0, 2, 3]
    (bad,) = await parked(bus)
    assert (bad.offset, bad.attempts) == (1, 5)
    assert tries[1] == 1 + 5
    _ = hear


async def test_connectivity_is_nobodys_fault(bus: Bus) -> None:
    away = True
    on = failing(bus, lambda event: ConnectionRefusedError("the mail relay is away") if away else None)
    consumer, records = bus.consumer(on), [bus.record(bus.thing(n)) for n in range(2)]
    for _ in range(8):
        with pytest.raises(ConnectionRefusedError):
            await consumer.deliver(records)
    assert await parked(bus) == []
    away = False
    await consumer.deliver(records)
    assert await seen(bus) == [0, 1]


async def test_when_too_many_keys_park_the_consumer_stops_and_says_so(bus: Bus) -> None:
    on = failing(bus, lambda event: ValueError("a broken release") if event.n else None)
    consumer = bus.consumer(on, alarm_keys=20)
    await consumer.deliver([bus.record(bus.thing(0)) for _ in range(150)])
    await consumer.deliver([bus.record(bus.thing(1)) for _ in range(15)])
    with pytest.raises(ReleaseLooksBroken):
        await consumer.deliver([bus.record(bus.thing(1)) for _ in range(50)])
    assert len(await parked(bus)) <= 21
    halted = await consumer.halted(consumer.groups[0])
    assert halted is not None
    assert bus.group in halted
    assert bus.group in consumer.state.halted
    assert REGISTRY.get_sample_value("eventing_consumer_halted", {"group": bus.group}) == 1
    assert await bus.consumer(on).halted(consumer.groups[0]) == halted
    async with bus.engine.begin() as connection:
        await parking.resume_group(connection, bus.group)
    assert await consumer.halted(consumer.groups[0]) is None


async def test_many_poisoned_keys_among_very_many_do_not_stop_the_consumer(bus: Bus) -> None:
    on = failing(bus, lambda event: ValueError("poison") if event.n else None)
    consumer = bus.consumer(on, alarm_keys=5)
    await consumer.deliver([bus.record(bus.thing(0)) for _ in range(200)])
    await consumer.deliver([bus.record(bus.thing(1)) for _ in range(15)])
    assert len(await parked(bus)) == 15
    assert await consumer.halted(consumer.groups[0]) is None


async def test_what_decides_access_has_a_group_of_its_own(bus: Bus) -> None:
    access = Subscriptions("access")

    @access.project(bus.Thing)
    async def own(event: Thing, tx: AsyncSession) -> None:
        await note(tx, event, "access")

    on = failing(bus, lambda event: ValueError("main is stuck"))
    await bus.consumer(on, access).deliver([bus.record(bus.thing(1))])
    assert await bus.rows("SELECT n, what FROM seen") == [(1, "access")]
    assert {each.consumer_group for each in await parked(bus)} == {f"{bus.service}.main"}
    _ = own
