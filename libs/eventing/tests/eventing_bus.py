"""What the tests of the rails share: two event types, a database and a topic of one's own, and ways to look at them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from contracts import wire
from contracts.base import Event, OpenEnum, Publisher, Topic
from eventing import Consumer, Context, KafkaSettings, Relay, Subscriptions, bind, emit
from eventing.records import StoredRecord

SOURCE = "/factoring/try-service"
ENTITY = "TRY-FACTOR"
STARTED = datetime(2026, 11, 1, tzinfo=UTC)
SEEN = "CREATE TABLE seen (seq bigserial PRIMARY KEY, thing_id uuid, n int, what text)"


class Colour(OpenEnum):
    """May grow."""

    RED = "RED"
    UNKNOWN = "UNKNOWN"


class Shape(StrEnum):
    """May not."""

    ROUND = "ROUND"


class Thing(Event):
    """Something happened to a thing."""

    thing_id: UUID
    n: int
    colour: Colour = Colour.RED
    shape: Shape = Shape.ROUND
    pad: str = ""


class Other(Event):
    """Something else happened to a thing."""

    thing_id: UUID
    n: int


def thing_on(topic: str) -> type[Thing]:
    """The event, told on `topic`."""

    class ThingHappened(Thing, publisher=Publisher("client", Topic(topic)), name="thing-happened", key="thing_id"):
        pass

    return ThingHappened


def other_on(topic: str) -> type[Other]:
    """The other event, told on the same or another topic."""

    class OtherHappened(Other, publisher=Publisher("client", Topic(topic)), name="other-happened", key="thing_id"):
        pass

    return OtherHappened


@dataclass
class Bus:
    """One test's database and topics."""

    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]
    dsn: str
    kafka: KafkaSettings
    topic: str
    service: str
    Thing: type[Thing]
    Other: type[Other]
    _next: dict[int, int]

    def thing(self, n: int = 0, key: UUID | None = None, **more: Any) -> Thing:
        return self.Thing(entity_id=ENTITY, occurred_at=STARTED, thing_id=key or uuid.uuid4(), n=n, **more)

    def other(self, n: int = 0, key: UUID | None = None) -> Other:
        return self.Other(entity_id=ENTITY, occurred_at=STARTED, thing_id=key or uuid.uuid4(), n=n)

    def record(
        self,
        event: Event,
        *,
        partition: int = 0,
        offset: int | None = None,
        id: UUID | None = None,
        time: datetime | None = None,
        actor: str | None = None,
        traceparent: str | None = None,
    ) -> StoredRecord:
        """`event` as Kafka would hand it over; offsets count up by themselves."""
        at = self._next.get(partition, 0) if offset is None else offset
        self._next[partition] = max(self._next.get(partition, 0), at + 1)
        key, value, headers = wire.to_wire(
            event,
            id=id or uuid.uuid4(),
            source=SOURCE,
            time=time or datetime.now(UTC),
            actor=actor,
            traceparent=traceparent,
        )
        return StoredRecord(type(event).topic, partition, at, 1_760_000_000_000 + at, key, value, headers)

    def subscriptions(self, group: str = "main") -> Subscriptions:
        return Subscriptions(group)

    def consumer(self, *on: Subscriptions, **settings: Any) -> Consumer:
        settings = {"service": self.service, "partitions": 3} | settings
        return Consumer(self.sessions, self.kafka, subscriptions=on, **settings)

    def relay(self, **settings: Any) -> Relay:
        return Relay(self.dsn, self.kafka, **dict[str, Any]({"poll_seconds": 0.1, "lease_seconds": 3.0} | settings))

    @property
    def group(self) -> str:
        return f"{self.service}.main"

    async def tell(self, *events: Event, **context: Any) -> None:
        """Emit events in one transaction."""
        async with self.sessions() as tx, tx.begin():
            bind(tx, Context(**context))
            for event in events:
                emit(tx, event)

    async def rows(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        async with self.engine.connect() as connection:
            return [tuple(row) for row in await connection.execute(sa.text(statement), parameters)]

    async def value(self, statement: str, **parameters: Any) -> Any:
        return (await self.rows(statement, **parameters))[0][0]

    async def execute(self, statement: str, **parameters: Any) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(sa.text(statement), parameters)

    async def read_topic(self, count: int, topic: str | None = None) -> list[ConsumerRecord[bytes, bytes]]:
        """The first `count` records of a topic, each partition in order."""
        consumer: Any = AIOKafkaConsumer(bootstrap_servers=self.kafka.bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        try:
            consumer.assign([TopicPartition(topic or self.topic, p) for p in range(3)])
            await consumer.seek_to_beginning()
            found: list[ConsumerRecord[bytes, bytes]] = []
            async with asyncio.timeout(20):
                while len(found) < count:
                    for records in (await consumer.getmany(timeout_ms=200)).values():
                        found += records
            return found
        finally:
            await consumer.stop()

    async def publish(self, records: Iterable[StoredRecord]) -> None:
        """Put records on the real topic, as they are."""
        producer: Any = AIOKafkaProducer(
            bootstrap_servers=self.kafka.bootstrap, max_request_size=4_000_000, max_batch_size=1_000_000
        )
        await producer.start()
        try:
            sent = [
                await producer.send(
                    each.topic, key=each.key, value=each.value, headers=each.headers, partition=each.partition
                )
                for each in records
            ]
            for future in sent:
                await future
        finally:
            await producer.stop()


@asynccontextmanager
async def running(*runs: Callable[[asyncio.Event], Awaitable[None]]) -> AsyncGenerator[asyncio.Event]:
    """Run relays and consumers for the length of a block."""
    stop = asyncio.Event()
    tasks = [asyncio.ensure_future(run(stop)) for run in runs]
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 30)


async def until(ready: Callable[[], Awaitable[object]], seconds: float = 20) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(seconds):
        while not await ready():  # noqa: ASYNC110 - what is waited for is in a database
            await asyncio.sleep(0.02)


def database(url: str, name: str) -> str:
    return f"{url.rpartition('/')[0]}/{name}"


async def note(tx: AsyncSession, event: Thing | Other, what: str = "") -> None:
    """An effect a test can see."""
    await tx.execute(
        sa.text("INSERT INTO seen (thing_id, n, what) VALUES (:t, :n, :w)"),
        {"t": event.thing_id, "n": event.n, "w": what},
    )


def noting(bus: Bus) -> Subscriptions:
    """Handlers that note what they hear."""
    on = Subscriptions()

    @on.react(bus.Thing)
    async def hear(event: Thing, tx: AsyncSession) -> None:
        await note(tx, event)

    _ = hear
    return on


def texts(rows: Sequence[tuple[Any, ...]]) -> list[Any]:
    """The first column."""
    return [row[0] for row in rows]
