"""From the outbox to Kafka, in order: one active relay per service, which deletes exactly what Kafka acknowledged.

Invariants: rows of a key are published in the order of their numbers, and a later row never passes one that Kafka has
not acknowledged: a partition has one batch under way, and what follows a failure stays. Only the holder of the lease
deletes; a zombie may publish twice, and consumers drop that. Nothing is deleted that was not acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final, Literal, NamedTuple, cast
from uuid import UUID, uuid4

import asyncpg
import sqlalchemy as sa
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    CorruptRecordException,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    UnsupportedForMessageFormatError,
)
from aiokafka.partitioner import DefaultPartitioner
from opentelemetry import trace
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from contracts import wire
from eventing import metrics
from eventing.kafka import BatchProducer, KafkaSettings
from eventing.outbox import HEADERS
from eventing.schema import relay_refused
from eventing.waker import CHANNEL, plain_dsn

_log = logging.getLogger(__name__)
_tracer = trace.get_tracer("eventing")

_REFUSALS: Final = 3
_BATCH_BYTES: Final = 256 * 1024
_TURNS: Final = 16
_LONGEST_PAUSE: Final = 5.0
_THE_ROWS_FAULT: Final = (
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    CorruptRecordException,
    InvalidTimestampError,
    PolicyViolationError,
    UnsupportedForMessageFormatError,
)
"""What Kafka says of a row. Anything else (away, not authorised, no such topic) is not the row's fault: it waits."""

_HEADER_COLUMNS: Final = tuple((header, column) for header, column in HEADERS.items())
_READ: Final = (
    "SELECT seq, id::text, aggregatetype, aggregateid, type, payload, "  # nosec B608 # noqa: S608 - our own column names
    + ", ".join(column for _, column in _HEADER_COLUMNS)
    + " FROM outbox o WHERE seq > $1 AND aggregatetype <> ALL($2::text[]) AND NOT EXISTS (SELECT 1 FROM relay_refused r"
    " WHERE r.stopped AND r.topic = o.aggregatetype AND r.key = o.aggregateid)"
    " AND (SELECT count(*) FROM relay_refused WHERE stopped) = $4 ORDER BY seq LIMIT $3"
)
"""Nothing while a stopped key was let go on and we do not know yet: the floor has passed its rows."""
_TAKE: Final = (
    "INSERT INTO relay_lease AS l (name, holder, epoch, until)"
    " VALUES ($1, $2, 1, clock_timestamp() + $3 * interval '1 second')"
    " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, epoch = l.epoch + 1, until = excluded.until"
    " WHERE l.until < clock_timestamp() OR l.holder = excluded.holder RETURNING epoch"
)
_RENEW: Final = (
    "WITH lease AS (UPDATE relay_lease SET until = clock_timestamp() + $4 * interval '1 second'"
    " WHERE name = $1 AND holder = $2 AND epoch = $3 RETURNING 1),"
    " gone AS (DELETE FROM outbox WHERE seq = ANY($5::bigint[]) AND EXISTS (SELECT 1 FROM lease))"
    " SELECT count(*) FROM lease"
)
_REFUSE: Final = (
    "INSERT INTO relay_refused AS r (topic, key, seq, error, attempts, stopped) VALUES ($1, $2, $3, $4, 1, $5 <= 1)"
    " ON CONFLICT (topic, key) DO UPDATE SET seq = excluded.seq, error = excluded.error,"
    " attempts = CASE WHEN r.seq = excluded.seq THEN r.attempts + 1 ELSE 1 END,"
    " stopped = CASE WHEN r.seq = excluded.seq THEN r.attempts + 1 ELSE 1 END >= $5 RETURNING attempts, stopped"
)


class LeaseLost(Exception):
    """Another relay has taken over; this process must end."""


@dataclass(slots=True)
class RelayState:
    """What health says of the relay. `kafka` is "away" while rows wait for it; `error` says why."""

    role: Literal["starting", "standby", "leader", "stopped"] = "starting"
    kafka: Literal["unknown", "up", "away"] = "unknown"
    database: Literal["unknown", "up", "away"] = "unknown"
    error: str | None = None
    published: int = 0
    floor: int = 0


class _Row(NamedTuple):
    seq: int
    topic: str
    key: str
    record: asyncpg.Record


@dataclass(slots=True)
class _Sent:
    """What became of a partition's rows: which were acknowledged, and why the first that was not was not."""

    acknowledged: list[_Row] = field(default_factory=list[_Row])
    error: Exception | None = None
    alone: _Row | None = None
    """The row that was refused, when it was sent by itself; None when a whole batch was."""


class Relay:
    """Publishes one service's outbox. `direct_dsn` leads to PostgreSQL itself, never to a pooler: LISTEN needs it."""

    def __init__(
        self,
        direct_dsn: str,
        kafka: KafkaSettings,
        *,
        name: str = "relay",
        rows: int = 2000,
        lease_seconds: float = 10.0,
        poll_seconds: float = 0.5,
    ) -> None:
        self._dsn = plain_dsn(direct_dsn)
        self._kafka = kafka
        self._name = name
        self._rows = rows
        self._lease_seconds = lease_seconds
        self._poll_seconds = poll_seconds
        self._holder: Final[UUID] = uuid4()
        self._epoch: int | None = None
        self._producer: BatchProducer | None = None
        self._partitions: dict[str, int] = {}
        self._suspects: set[tuple[str, int]] = set()
        self._resting: dict[str, float] = {}
        self._refused: set[tuple[str, str]] = set()
        self._woken = asyncio.Event()
        self.state = RelayState()

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until `stop`, through any absence of Kafka or the database. After LeaseLost the process must end."""
        pause = 0.1
        try:
            while not stop.is_set():
                try:
                    await self._connected(stop)
                except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                    self.state.database, self.state.error = "away", repr(error)
                    _log.warning("relay waits for the database: %r", error)
                    await _until(stop, pause)
                    pause = min(pause * 2, _LONGEST_PAUSE)
        finally:
            self.state.role = "stopped"
            metrics.RELAY_LEADS.set(0)
            await self._close_producer()

    async def _connected(self, stop: asyncio.Event) -> None:
        connection = await asyncpg.connect(
            self._dsn,
            timeout=5,
            command_timeout=max(self._lease_seconds, 1.0),
            server_settings={
                "application_name": "eventing-relay",
                "tcp_keepalives_idle": "5",
                "tcp_keepalives_interval": "2",
                "tcp_keepalives_count": "3",
            },
        )
        try:
            await connection.add_listener(CHANNEL, self._wake)
            self.state.database = "up"
            while not stop.is_set() and not await self._take(connection):
                self.state.role = "standby"
                await _until(stop, self._lease_seconds / 5)
            if not stop.is_set():
                await self._lead(connection, stop)
                await connection.execute(
                    "UPDATE relay_lease SET until = clock_timestamp() WHERE name = $1 AND holder = $2 AND epoch = $3",
                    self._name,
                    self._holder,
                    self._epoch,
                )
        finally:
            connection.terminate()

    def _wake(self, *_: object) -> None:
        self._woken.set()

    async def _take(self, connection: asyncpg.Connection[asyncpg.Record]) -> bool:
        epoch = await connection.fetchval(_TAKE, self._name, self._holder, self._lease_seconds)
        if epoch is None and self._epoch is not None:
            raise LeaseLost(self._name)
        self._epoch = epoch
        return epoch is not None

    async def _lead(self, connection: asyncpg.Connection[asyncpg.Record], stop: asyncio.Event) -> None:
        self.state.role = "leader"
        metrics.RELAY_LEADS.set(1)
        floor = _Floor()
        pause = 0.05
        renewed = looked = 0.0
        while not stop.is_set():
            now = time.monotonic()
            if now - looked > 1:
                looked = now
                stopped = await self._stopped_keys(connection)
                if not self._refused <= stopped:
                    floor = _Floor()
                self._refused = stopped
                self._resting = {topic: until for topic, until in self._resting.items() if until > now}
                await floor.look(connection)
            self._woken.clear()
            rows = await self._read(connection, floor)
            if not rows:
                looked = 0.0 if self._refused else looked
                if now - renewed > self._lease_seconds / 3:
                    await self._renew(connection, [])
                    renewed = now
                await _until(stop, self._poll_seconds, self._woken)
                continue
            if await self._producing(connection):
                whole = await self._publish(connection, rows)
                renewed = time.monotonic()
                if whole:
                    pause = 0.05
                    continue
            await _until(stop, pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            await self._renew(connection, [])

    async def _read(self, connection: asyncpg.Connection[asyncpg.Record], floor: _Floor) -> list[_Row]:
        rows = await self._read_after(connection, floor.id)
        if not self._resting:
            floor.adopt(rows[0].seq if rows else None)
            self.state.floor = floor.id
        return rows

    async def _read_after(self, connection: asyncpg.Connection[asyncpg.Record], seq: int) -> list[_Row]:
        records = await connection.fetch(_READ, seq, list(self._resting), self._rows, len(self._refused))
        return [_Row(record[0], record[2], record[3], record) for record in records]

    async def _producing(self, connection: asyncpg.Connection[asyncpg.Record]) -> bool:
        """Have a started producer; False when Kafka is away."""
        if self._producer is not None:
            return True
        producer = cast(
            BatchProducer,
            AIOKafkaProducer(
                **self._kafka.aiokafka(),
                enable_idempotence=True,
                acks="all",
                max_batch_size=_BATCH_BYTES,
                max_request_size=4 * 1024 * 1024,
                request_timeout_ms=10_000,
                retry_backoff_ms=100,
            ),
        )
        starting = asyncio.create_task(producer.start())
        try:
            await self._while_renewing(connection, [starting])
            await starting
        except (KafkaError, OSError) as error:
            self._kafka_away(error)
            await producer.stop()
            return False
        self._producer = producer
        self.state.kafka = "up"
        return True

    async def _publish(self, connection: asyncpg.Connection[asyncpg.Record], rows: Sequence[_Row]) -> bool:
        """Send rows and those that follow, delete what was acknowledged, settle the rest. True when that was all.

        While a batch is on its way the one before is deleted and the next is read; it is sent once this one is
        acknowledged. Rows that commit late with lower numbers are found when reading begins at the floor again.
        """
        done: list[int] = []
        for turn in range(_TURNS):
            with _tracer.start_as_current_span("outbox publish", kind=trace.SpanKind.PRODUCER) as span:
                span.set_attribute("messaging.batch.message_count", len(rows))
                sending = asyncio.create_task(self._send(rows))
                try:
                    if done:
                        await self._renew(connection, done)
                    following = len(rows) == self._rows and turn + 1 < _TURNS
                    ahead = await self._read_after(connection, rows[-1].seq) if following else []
                    await self._while_renewing(connection, [sending])
                finally:
                    sending.cancel()
            results = sending.result()
            done = [row.seq for result in results for row in result.acknowledged]
            self.state.published += len(done)
            metrics.PUBLISHED.inc(len(done))
            errors = [result for result in results if result.error is not None]
            if errors or not ahead:
                await self._renew(connection, done)
                return await self._settle(connection, errors)
            rows = ahead
        raise AssertionError("the last turn reads nothing ahead")

    async def _settle(self, connection: asyncpg.Connection[asyncpg.Record], errors: Sequence[_Sent]) -> bool:
        if not errors:
            self.state.kafka, self.state.error = "up", None
            metrics.KAFKA_AWAY.set(0)
            return True
        await self._close_producer()
        for result in errors:
            if result.alone is not None and isinstance(result.error, _THE_ROWS_FAULT):
                await self._count_refusal(connection, result.alone, result.error)
            elif not isinstance(result.error, _THE_ROWS_FAULT):
                self._kafka_away(result.error)
        return False

    async def _send(self, rows: Sequence[_Row]) -> list[_Sent]:
        by_topic: dict[str, list[_Row]] = {}
        for row in rows:
            by_topic.setdefault(row.topic, []).append(row)
        sent = await asyncio.gather(*(self._send_topic(topic, some) for topic, some in by_topic.items()))
        return [each for some in sent for each in some]

    async def _send_topic(self, topic: str, rows: Sequence[_Row]) -> list[_Sent]:
        producer = self._producer
        assert producer is not None
        try:
            if topic not in self._partitions:
                self._partitions[topic] = len(await producer.partitions_for(topic))
        except (KafkaError, OSError, TimeoutError) as error:
            self._resting[topic] = time.monotonic() + _LONGEST_PAUSE
            return [_Sent(error=error)]
        by_partition: dict[int, list[_Row]] = {}
        for row in rows:
            by_partition.setdefault(_partition(row.key, self._partitions[topic]), []).append(row)
        return await asyncio.gather(
            *(self._send_partition(producer, topic, partition, some) for partition, some in by_partition.items())
        )

    async def _send_partition(self, producer: BatchProducer, topic: str, partition: int, rows: Sequence[_Row]) -> _Sent:
        """One batch after another, each acknowledged before the next is sent; the first error ends it."""
        sent = _Sent()
        one_by_one = (topic, partition) in self._suspects
        start = 0
        while start < len(rows):
            batch = producer.create_batch()
            end = start
            while end < len(rows) and not (one_by_one and end > start):
                row = rows[end]
                _, identity, _, key, ce_type, payload, *texts = row.record
                headers = [(wire.ID, identity.encode()), (wire.TYPE, ce_type.encode())]
                headers += [
                    (header, text.encode())
                    for (header, _), text in zip(_HEADER_COLUMNS, texts, strict=True)
                    if text is not None
                ]
                if batch.append(timestamp=None, key=key.encode(), value=payload.encode(), headers=headers) is None:
                    break
                end += 1
            batch.close()
            try:
                await (await producer.send_batch(batch, topic, partition=partition))
            except (KafkaError, OSError, TimeoutError) as error:
                sent.error = error
                sent.alone = rows[start] if end == start + 1 else None
                self._suspects.add((topic, partition))
                return sent
            sent.acknowledged += rows[start:end]
            start = end
        self._suspects.discard((topic, partition))
        return sent

    async def _while_renewing(
        self, connection: asyncpg.Connection[asyncpg.Record], tasks: Sequence[asyncio.Task[object]]
    ) -> None:
        """Wait for tasks, holding the lease however long Kafka takes."""
        pending: set[asyncio.Task[object]] = set(tasks)
        try:
            while pending:
                _, pending = await asyncio.wait(pending, timeout=self._lease_seconds / 3)
                if pending:
                    self.state.error = self.state.error or "Kafka has not acknowledged a batch yet"
                    metrics.KAFKA_AWAY.set(1)
                    self.state.kafka = "away"
                    await self._renew(connection, [])
        finally:
            for task in pending:
                task.cancel()

    async def _renew(self, connection: asyncpg.Connection[asyncpg.Record], done: Sequence[int]) -> None:
        """Hold the lease and, in the same transaction, delete what was published. Raises LeaseLost."""
        if not await connection.fetchval(_RENEW, self._name, self._holder, self._epoch, self._lease_seconds, done):
            raise LeaseLost(self._name)

    async def _count_refusal(self, connection: asyncpg.Connection[asyncpg.Record], row: _Row, error: Exception) -> None:
        counted = await connection.fetchrow(_REFUSE, row.topic, row.key, row.seq, repr(error)[:4000], _REFUSALS)
        if counted is not None and counted["stopped"]:
            self._refused.add((row.topic, row.key))
            self._suspects.discard((row.topic, _partition(row.key, self._partitions[row.topic])))
            _log.error("Kafka refused row %s; its key %s of %s stops: %r", row.seq, row.key, row.topic, error)
            metrics.REFUSED_KEYS.set(len(self._refused))

    async def _stopped_keys(self, connection: asyncpg.Connection[asyncpg.Record]) -> set[tuple[str, str]]:
        stopped = {
            (str(row["topic"]), str(row["key"]))
            for row in await connection.fetch("SELECT topic, key FROM relay_refused WHERE stopped")
        }
        metrics.REFUSED_KEYS.set(len(stopped))
        return stopped

    async def _close_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            closing = asyncio.create_task(producer.stop())
            await asyncio.wait([closing], timeout=2)
            if not closing.done():
                closing.cancel()

    def _kafka_away(self, error: Exception | None) -> None:
        if self.state.kafka != "away":
            _log.warning("outbox rows wait for Kafka: %r", error)
        self.state.kafka, self.state.error = "away", repr(error)
        metrics.KAFKA_AWAY.set(1)


class _Floor:
    """A number below which no row can appear any more, so that reading skips the dead ones at the head.

    Whoever draws a number holds a lock on the outbox from before until its transaction has ended. So a number is noted,
    then who holds such a lock; once they have all ended it can be adopted, up to the first row still there. (Waiting
    for a snapshot's xmin instead would let a long transaction in any database of the server hold it up.)
    """

    def __init__(self) -> None:
        self.id = 0
        self._noted: tuple[int, set[str]] | None = None
        self._ended: int | None = None

    async def look(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        """Note a number, or see whether the transactions of the noted one have ended."""
        if self._noted is None:
            drawn = await connection.fetchval("SELECT last_value - (NOT is_called)::int FROM outbox_seq")
            self._noted = (drawn, await self._writers(connection))
        elif not self._noted[1] & await self._writers(connection):
            self._ended, self._noted = self._noted[0], None

    async def _writers(self, connection: asyncpg.Connection[asyncpg.Record]) -> set[str]:
        rows = await connection.fetch(
            "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND relation = 'outbox'::regclass"
            " AND mode = 'RowExclusiveLock' AND pid IS DISTINCT FROM pg_backend_pid()"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        return {str(row[0]) for row in rows}

    def adopt(self, lowest: int | None) -> None:
        """Called after a read: `lowest` is the first row's number, None when nothing is there."""
        if self._ended is not None:
            self.id = max(self.id, self._ended if lowest is None else min(self._ended, lowest - 1))
            self._ended = None


@lru_cache(maxsize=200_000)
def _partition(key: str, partitions: int) -> int:
    """Where Kafka's Java client would put the key."""
    numbers = list(range(partitions))
    return cast(int, DefaultPartitioner()(key.encode(), numbers, numbers))


async def _until(stop: asyncio.Event, seconds: float, woken: asyncio.Event | None = None) -> None:
    """Wait for `stop`, for being woken, or for `seconds`."""
    waits = [asyncio.create_task(event.wait()) for event in (stop, woken) if event is not None]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


@dataclass(frozen=True, slots=True)
class RefusedKey:
    """A key whose next row Kafka refuses; `stopped` once it was refused three times."""

    topic: str
    key: str
    seq: int
    error: str
    attempts: int
    stopped: bool
    since: datetime


async def list_refused(conn: AsyncConnection | AsyncSession) -> list[RefusedKey]:
    """Keys that Kafka refuses, the longest first."""
    columns = [relay_refused.c[name] for name in RefusedKey.__slots__]
    rows = await conn.execute(sa.select(*columns).order_by(relay_refused.c.since).limit(10_000))
    return [RefusedKey(**row) for row in rows.mappings()]


async def resume_key(conn: AsyncConnection | AsyncSession, topic: str, key: str) -> int | None:
    """Let a stopped key be tried again (the topic's limit was raised, or the row was mended).

    Returns the outbox row that was refused; None where none of the key's was.
    """
    resumed = sa.delete(relay_refused).where(relay_refused.c.topic == topic, relay_refused.c.key == key)
    return (await conn.execute(resumed.returning(relay_refused.c.seq))).scalar()
