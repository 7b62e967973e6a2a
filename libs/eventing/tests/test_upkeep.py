"""The inbox's retention, topics and rights from the catalogue, and one trace through everything."""

import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka.admin import AclOperation, AdminClient, ConfigResource, ResourceType
from eventing_bus import Bus, Thing, note, noting, running, texts, until
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY
from sqlalchemy.ext.asyncio import AsyncSession

from contracts import catalogue
from contracts.base import Topic
from eventing import Subscriptions, emit, topics, watching
from eventing.__main__ import main
from eventing.records import header
from eventing.seen import maintain_inbox


async def partitions(bus: Bus) -> list[Any]:
    return texts(
        await bus.rows(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'inbox'::regclass ORDER BY 1"
        )
    )


async def test_the_inbox_keeps_thirty_days_by_day_and_loses_none_of_them(bus: Bus) -> None:
    today = date(2026, 11, 24)
    consumer = bus.consumer(noting(bus))
    noon = datetime(2026, 11, 24, 12, tzinfo=UTC)
    first = bus.record(bus.thing(1), time=noon)
    old = bus.record(bus.thing(2), time=noon - timedelta(days=4000))
    await consumer.deliver([first, old])
    async with bus.engine.begin() as connection:
        await maintain_inbox(connection, today)
        await maintain_inbox(connection, today)
    days = [f"inbox_202611{day}" for day in (24, 25, 26, 27)]
    assert await partitions(bus) == [*days, "inbox_default"]
    assert await bus.value("SELECT count(*) FROM inbox_20261124") == 1
    assert await bus.value("SELECT count(*) FROM inbox_default") == 1
    for n, record in ((1, first), (2, old)):
        time = datetime.fromisoformat(header(record, "ce_time") or "")
        await consumer.deliver([bus.record(bus.thing(n), time=time, id=_id(record))])
    assert texts(await bus.rows("SELECT n FROM seen ORDER BY seq")) == [1, 2]
    async with bus.engine.begin() as connection:
        await maintain_inbox(connection, today + timedelta(days=29))
    assert "inbox_20261124" in await partitions(bus)
    await bus.execute("UPDATE inbox_default SET received_at = '2026-11-24'")
    async with bus.engine.begin() as connection:
        await maintain_inbox(connection, today + timedelta(days=31))
    assert "inbox_20261124" not in await partitions(bus)
    assert await bus.value("SELECT count(*) FROM inbox") == 0


async def test_a_replayed_event_is_kept_thirty_days_and_a_discarded_or_waiting_one_for_ever(bus: Bus) -> None:
    for offset, status in enumerate(("parked", "replayed", "discarded")):
        await bus.execute(
            'INSERT INTO parked_event (consumer_group, topic, partition, "offset", key, headers, known_at, error_class,'
            " error, behind, attempts, status, settled_at, reason) VALUES"
            f" ('g', 't', 0, {offset}, 'k', '[]', '2026-11-24', 'Fact', '', false, 1, '{status}', '2026-11-24', 'why')"
        )
    kept: list[list[Any]] = []
    for days in (29, 31):
        async with bus.engine.begin() as connection:
            await maintain_inbox(connection, date(2026, 11, 24) + timedelta(days=days))
        kept.append(texts(await bus.rows('SELECT status FROM parked_event ORDER BY "offset"')))
    assert kept == [["parked", "replayed", "discarded"], ["parked", "discarded"]]


def _id(record: Any) -> uuid.UUID:
    return uuid.UUID(dict(record.headers)["ce_id"].decode())


async def test_topics_are_created_and_set_as_declared_and_never_change_their_partitions(bus: Bus) -> None:
    declared = Topic(bus.topic, retention=timedelta(days=7), partitions=3, max_bytes=500_000)
    assert topics.create(bus.kafka, [declared]) == [bus.topic]
    forever = Topic(bus.topic, partitions=3)
    assert topics.create(bus.kafka, [forever]) == []
    admin = AdminClient(bus.kafka.confluent())
    resource = ConfigResource(ResourceType.TOPIC, bus.topic)
    found = {name: entry.value for name, entry in admin.describe_configs([resource])[resource].result().items()}
    assert found["retention.ms"] == "-1"
    assert found["max.message.bytes"] == "1000000"
    assert found["message.timestamp.type"] == "LogAppendTime"
    assert found["cleanup.policy"] == "delete"
    with pytest.raises(topics.WrongPartitions):
        topics.create(bus.kafka, [Topic(bus.topic, partitions=12)])


def test_the_command_creates_the_whole_catalogue(kafka_bootstrap: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["topics", "--bootstrap", kafka_bootstrap]) == 0
    assert main(["topics", "--bootstrap", kafka_bootstrap]) == 0
    assert capsys.readouterr().out.endswith("0 of them new\n")
    there = AdminClient({"bootstrap.servers": kafka_bootstrap}).list_topics(timeout=10).topics
    assert all(len(there[topic.name].partitions) == topic.partitions for topic in catalogue.topics())


def test_a_service_may_write_its_own_topic_and_read_what_it_hears_and_nothing_else() -> None:
    on, access = Subscriptions(), Subscriptions("access")
    events = {event.topic: event for event in catalogue.all_events()}

    async def hear(event: Any, tx: AsyncSession) -> None: ...

    on.react(events["ledger.events"])(hear)
    access.project(events["client.events"])(hear)
    mine = topics.access_of("risk", [on, access], catalogue.all_events())
    assert mine.groups == ("risk.access", "risk.main")
    assert mine.reads == ("client.events", "ledger.events")
    assert mine.writes == ("risk.events",)
    given = {(each.restype, each.name, each.operation) for each in topics.rights(mine, "User:risk-service")}
    assert given == {
        (ResourceType.TOPIC, "risk.events", AclOperation.WRITE),
        (ResourceType.TOPIC, "ledger.events", AclOperation.READ),
        (ResourceType.TOPIC, "client.events", AclOperation.READ),
        (ResourceType.GROUP, "risk.main", AclOperation.READ),
        (ResourceType.GROUP, "risk.access", AclOperation.READ),
    }


async def test_one_trace_leads_from_the_request_to_the_effect_and_what_that_tells(live: Bus) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    on = Subscriptions()

    @on.react(live.Thing)
    async def hear(event: Thing, tx: AsyncSession) -> None:
        await note(tx, event)
        if event.n < 3:
            emit(tx, live.other(event.n))

    with trace.get_tracer("test").start_as_current_span("POST /things") as request:
        await live.tell(*(live.thing(n) for n in range(3)))
    await live.tell(live.thing(3))
    mine = f"{request.get_span_context().trace_id:032x}"
    async with running(live.consumer(on).run, live.relay().run):

        async def all_told() -> bool:
            return await live.value("SELECT count(*) FROM seen") == 4

        await until(all_told)
        records = await live.read_topic(7)
    told = {record.key: dict(record.headers).get("traceparent", b"").decode() for record in records}
    assert sum(mine in parent for parent in told.values()) == 6
    handled = [span for span in exporter.get_finished_spans() if "thing-happened" in span.name]
    assert {f"{span.context.trace_id:032x}" for span in handled if span.context} == {mine}
    assert len(handled) == 3
    published = [span for span in exporter.get_finished_spans() if span.name == "outbox publish"]
    assert 0 < len(published) <= 7
    _ = hear


async def test_depth_parked_keys_and_lag_are_seen_from_outside_the_consumer(live: Bus) -> None:
    on = Subscriptions()

    @on.react(live.Thing)
    async def hear(event: Thing, tx: AsyncSession) -> None:
        if event.n == 1:
            raise ValueError

    consumer = live.consumer(on)
    await consumer.deliver([live.record(live.thing(n)) for n in range(2)])
    await live.publish([live.record(live.thing(n), partition=0) for n in range(7)])
    await live.tell(live.thing(9))
    async with live.engine.connect() as connection:
        await watching.observe(connection)
        (behind,) = await watching.lag(connection, live.kafka)
    assert (behind.group, behind.topic, behind.partition) == (live.group, live.topic, 0)
    assert (behind.consumed, behind.records) == (2, 5)
    for name in ("outbox_rows", "parked_keys", "parked_events"):
        assert REGISTRY.get_sample_value(f"eventing_{name}") == 1
    assert (REGISTRY.get_sample_value("eventing_outbox_oldest_age_seconds") or 0) > 0
    _ = hear
