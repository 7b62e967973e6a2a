"""Publishes a sequence of events so that order per key holds whatever fails.

One batch per partition is under way at a time, and the next round is sent only after all of this one are acknowledged:
nothing can pass a batch that failed. After a failure the producer is closed and opened anew (an idempotent producer's
sequence has moved on) and what was not acknowledged is sent again with the same ids.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, cast

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
)
from aiokafka.partitioner import DefaultPartitioner

from contracts.wire import to_wire
from ledger_feed.sequence import Outgoing

BATCH_BYTES: Final = 512 * 1024
ROUND: Final = 4_000
SOURCE: Final = "/bank/ledger-feed"
FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 10.0
FINAL: Final = (ClusterAuthorizationFailedError, TopicAuthorizationFailedError, MessageSizeTooLargeError)

log = logging.getLogger(__name__)
T = TypeVar("T")
Say = Callable[[str], None]


class KafkaAway(Exception):
    """Kafka did not answer for longer than it was waited for, or refused."""


class Batch(Protocol):
    """The part of aiokafka's batch builder used here; `append` gives None when the batch is full."""

    def append(
        self, *, timestamp: int | None, key: bytes, value: bytes, headers: list[tuple[str, bytes]]
    ) -> object: ...
    def close(self) -> None: ...


class Producer(Protocol):
    """The part of aiokafka's producer used here (the package carries no types)."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def partitions_for(self, topic: str) -> set[int]: ...
    def create_batch(self) -> Batch: ...
    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[object]: ...


@dataclass(frozen=True, slots=True)
class Kafka:
    """Where Kafka is, how to be let in, and for how many seconds to go on trying while it is away."""

    bootstrap: str
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "PLAIN"
    sasl_username: str | None = None
    sasl_password: str | None = None
    ca_file: Path | None = None
    patience: float = 120.0

    def connection(self) -> dict[str, Any]:
        """The keyword arguments that every aiokafka client takes."""
        tls = self.security_protocol.endswith("SSL")
        return {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": self.security_protocol,
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.sasl_username,
            "sasl_plain_password": self.sasl_password,
            "ssl_context": ssl.create_default_context(cafile=self.ca_file) if tls else None,
            "client_id": "ledger-feed",
        }

    def producer(self) -> Producer:
        """A new idempotent producer, not started."""
        return cast(
            Producer,
            AIOKafkaProducer(
                **self.connection(),
                enable_idempotence=True,
                acks="all",
                max_batch_size=BATCH_BYTES,
                request_timeout_ms=15_000,
            ),
        )

    async def cluster_id(self, say: Say) -> str:
        """The cluster's own id; KafkaAway once patience is over."""

        async def ask() -> str:
            admin: Any = AIOKafkaAdminClient(**self.connection())
            try:
                await admin.start()
                return str((await admin.describe_cluster())["cluster_id"])
            finally:
                await admin.close()

        return await self.patiently(ask, say)

    async def patiently(self, attempt: Callable[[], Awaitable[T]], say: Say) -> T:
        """The attempt's answer, tried again with growing waits while Kafka is away; KafkaAway once patience is over."""
        started, wait = time.monotonic(), FIRST_WAIT
        while True:
            try:
                return await attempt()
            except FINAL as error:
                raise KafkaAway(f"Kafka at {self.bootstrap} refuses: {error!r}") from error
            except (TimeoutError, KafkaError, OSError) as error:
                if time.monotonic() - started > self.patience:
                    raise KafkaAway(
                        f"Kafka at {self.bootstrap} did not take it for {self.patience:.0f} s ({error!r}). What was "
                        "acknowledged is remembered: run the same command again to go on from there."
                    ) from error
                say(f"Kafka at {self.bootstrap} is away ({type(error).__name__}); trying again in {wait:.1f} s")
                await asyncio.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT)


@dataclass(frozen=True, slots=True)
class _Record:
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


class Publisher:
    """Feeds one topic; `publish` may be called once."""

    def __init__(
        self, kafka: Kafka, topic: str, say: Say, *, rate: float | None = None, round_size: int = ROUND
    ) -> None:
        self._kafka = kafka
        self._topic = topic
        self._say = say
        self._rate = rate
        self._round = min(round_size, max(1, int(rate / 4))) if rate else round_size
        self._producer: Producer | None = None
        self._partitions: list[int] = []
        self._partition_of: dict[bytes, int] = {}

    async def publish(self, events: Iterator[Outgoing], acknowledged: Callable[[int], None]) -> int:
        """Sends every event that is not withheld; says after each round how many events of the iterator are done with.

        Returns how many records were acknowledged.
        """
        sent, done, started = 0, 0, time.monotonic()
        records: list[_Record] = []
        passed = 0
        try:
            for outgoing in events:
                passed += 1
                if not outgoing.withheld:
                    records.append(_record(outgoing))
                if len(records) >= self._round:
                    await self._deliver(records)
                    sent, done, passed, records = sent + len(records), done + passed, 0, []
                    acknowledged(done)
                    await self._keep_to_rate(sent, started)
            if passed:
                await self._deliver(records)
                sent, done = sent + len(records), done + passed
                acknowledged(done)
        finally:
            await self._close()
        return sent

    async def _keep_to_rate(self, sent: int, started: float) -> None:
        if self._rate:
            ahead = sent / self._rate - (time.monotonic() - started)
            if ahead > 0:
                await asyncio.sleep(ahead)

    async def _deliver(self, records: list[_Record]) -> None:
        """All records acknowledged, each key's in order; a failed partition's rest is sent again by a new producer."""
        left = records

        async def attempt() -> None:
            nonlocal left
            while left:
                left = await self._round_trip(left)

        await self._kafka.patiently(attempt, self._say)

    async def _round_trip(self, records: list[_Record]) -> list[_Record]:
        """Sends at most one batch to each partition; returns, in order, what did not fit. An error: nothing counts."""
        producer = await self._open()
        batches: dict[int, Batch] = {}
        full: set[int] = set()
        rest: list[_Record] = []
        for record in records:
            partition = self._partition(record.key)
            batch = batches.get(partition)
            if batch is None:
                batch = batches[partition] = producer.create_batch()
            if (
                partition in full
                or batch.append(timestamp=None, key=record.key, value=record.value, headers=record.headers) is None
            ):
                full.add(partition)
                rest.append(record)
        try:
            futures: list[asyncio.Future[object]] = []
            for partition, batch in batches.items():
                batch.close()
                futures.append(await producer.send_batch(batch, self._topic, partition=partition))
            outcomes = await asyncio.gather(*futures, return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome
        except (KafkaError, OSError):
            await self._close()
            raise
        return rest

    def _partition(self, key: bytes) -> int:
        partition = self._partition_of.get(key)
        if partition is None:
            choose = cast(Callable[[bytes, list[int], list[int]], int], DefaultPartitioner())
            partition = self._partition_of[key] = choose(key, self._partitions, self._partitions)
        return partition

    async def _open(self) -> Producer:
        if self._producer is None:
            producer = self._kafka.producer()
            try:
                await producer.start()
                self._partitions = sorted(await producer.partitions_for(self._topic))
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
            self._partition_of.clear()
        return self._producer

    async def _close(self) -> None:
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await producer.stop()


def _record(outgoing: Outgoing) -> _Record:
    key, value, headers = to_wire(outgoing.event, id=outgoing.id, source=SOURCE, time=outgoing.event.occurred_at)
    return _Record(key, value, headers)
