"""The fetch loop: FastStream reads each topic in raw batches, and the database says where to read.

FastStream swallows whatever leaves a parser, decoder or handler and counts the batch as processed, so nothing leaves
ours: the parser reads nothing, decoding is `records`', and failures become pauses and seeks. Should something leave all
the same, the next batch does not begin where the database stands and is fetched again from there.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaMessage

from eventing import topics
from eventing.alarm import ReleaseLooksBroken
from eventing.kafka import SeekingConsumer
from eventing.records import Record

if TYPE_CHECKING:
    from eventing.inbox import Consumer
    from eventing.subscriptions import Group

_log = logging.getLogger(__name__)
_LONGEST_PAUSE: Final = 10.0


class Stream:
    """One group's reading of one topic.

    `begins` says where each partition's records in hand begin: the seek point or the previous batch's end, as known
    when they were fetched. Without a Kafka consumer it is empty, and delivery goes on where the database stands.
    """

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.begins: dict[int, int] = {}
        self.careful: set[int] = set()
        self.attempted: dict[int, int] = {}
        self.moved: set[int] = set()

    def seek(self, partition: int, offset: int) -> None:
        """Read on from `offset`; what was fetched from elsewhere is dropped."""
        self.moved.add(partition)


class KafkaStream(Stream, ConsumerRebalanceListener):
    """A stream that a Kafka consumer feeds."""

    def __init__(self, topic: str, group: Group, consumer: Consumer) -> None:
        super().__init__(topic)
        self.group = group
        self._consumer = consumer
        self._fetched: dict[int, int] = {}
        """partition → where the next fetch begins; a partition that is not here is not open (yet)."""
        self.consumed: dict[int, int] = {}
        self._running = asyncio.Lock()
        self._assigned = 0
        self._failures = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.kafka: Callable[[], SeekingConsumer | None] = lambda: None

    async def get(self, kafka: SeekingConsumer, max_records: int) -> tuple[Record, ...]:
        """The next records, and where they begin: noted in the same step of the event loop in which they are taken."""
        while True:
            found = await kafka.getmany(timeout_ms=1000, max_records=max_records)
            if not found:
                continue
            self.begins = {tp.partition: self._fetched[tp.partition] for tp in found if tp.partition in self._fetched}
            self.moved = set()
            for tp, records in found.items():
                if tp.partition in self._fetched:
                    self._fetched[tp.partition] = records[-1].offset + 1
            return tuple(
                cast(Record, record)
                for tp, records in found.items()
                if tp.partition in self.begins
                for record in records
            )

    async def consume(self, records: Sequence[Record]) -> None:
        """Deliver a batch; never raises."""
        async with self._running:
            open_now = [record for record in records if record.partition in self._fetched]
            if not open_now:
                return
            if self.group.id in self._consumer.state.halted:
                self._wait(sorted({record.partition for record in open_now}), None)
                self._later(self._until_resumed)
                return
            try:
                await self._consumer.poll(self.group, self, open_now)
            except ReleaseLooksBroken:
                self._wait(sorted({record.partition for record in open_now}), None)
                self._later(self._until_resumed)
                return
            except Exception as error:
                self._failures += 1
                pause = min(0.1 * 2**self._failures, _LONGEST_PAUSE)
                _log.warning("%s %s waits %.1f s: %r", self.group.id, self.topic, pause, error)
                self._consumer.state.waiting[f"{self.group.id} {self.topic}"] = repr(error)
                self._wait(sorted({record.partition for record in open_now}), pause)
                return
            self._failures = 0
            self._consumer.state.waiting.pop(f"{self.group.id} {self.topic}", None)
            self.consumed.update({p: at for p, at in self.begins.items() if p in self._fetched and p not in self.moved})

    def seek(self, partition: int, offset: int) -> None:
        super().seek(partition, offset)
        kafka = self.kafka()
        if kafka is None or partition not in self._fetched:
            return
        self._fetched[partition] = offset
        self.consumed[partition] = offset
        try:
            kafka.seek(TopicPartition(self.topic, partition), offset)
        except IllegalStateError:
            del self._fetched[partition]

    async def on_partitions_revoked(  # pyright: ignore[reportIncompatibleMethodOverride] - aiokafka awaits it
        self, revoked: set[TopicPartition]
    ) -> None:
        """Another may take them: finish the batch in hand, and say that this was no crash."""
        async with self._running:
            self._assigned += 1
            consumed, self.consumed = self.consumed, {}
            self._fetched.clear()
            self.careful.clear()
            self.attempted.clear()
        if consumed:
            try:
                await asyncio.wait_for(self._consumer.close(self.group, self.topic, consumed), 5)
            except Exception as error:
                _log.warning("%s %s: could not be closed in order: %r", self.group.id, self.topic, error)

    async def on_partitions_assigned(  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        self, assigned: set[TopicPartition]
    ) -> None:
        """Read nothing until the database has said from where."""
        kafka = self.kafka()
        self._assigned += 1
        if kafka is not None and assigned:
            kafka.pause(*assigned)
            generation = self._assigned
            self._later(lambda: self._open(kafka, assigned, generation))

    async def _open(self, kafka: SeekingConsumer, assigned: set[TopicPartition], generation: int) -> None:
        pause = 0.1
        while generation == self._assigned:
            try:
                if await self._consumer.halted(self.group) is None:
                    firsts = await kafka.beginning_offsets(assigned)
                    ends = await kafka.end_offsets(assigned)
                    starts = await self._consumer.open(
                        self.group, self.topic, {tp.partition: first for tp, first in firsts.items()}
                    )
                    if generation == self._assigned:
                        self._start(kafka, starts, {tp.partition: end for tp, end in ends.items()})
                    return
                pause = _LONGEST_PAUSE / 5
            except Exception as error:
                _log.warning("%s %s: cannot open yet: %r", self.group.id, self.topic, error)
                self._consumer.state.waiting[f"{self.group.id} {self.topic}"] = repr(error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _start(self, kafka: SeekingConsumer, starts: Mapping[int, tuple[int, bool]], ends: Mapping[int, int]) -> None:
        self._consumer.state.waiting.pop(f"{self.group.id} {self.topic}", None)
        for partition, (start, careful) in starts.items():
            if start > ends[partition]:
                lost = f"{self.topic}-{partition} ends at {ends[partition]}, but {start} events of it were consumed"
                self._consumer.state.waiting[f"{self.group.id} {self.topic}-{partition}"] = lost
                _log.critical("%s: Kafka has lost records: %s", self.group.id, lost)
                continue
            self._fetched[partition] = self.consumed[partition] = start
            if careful:
                self.careful.add(partition)
            tp = TopicPartition(self.topic, partition)
            kafka.seek(tp, start)
            kafka.resume(tp)

    def _wait(self, partitions: Sequence[int], seconds: float | None) -> None:
        """Read these partitions again from where the database stands, after a pause (None: until told)."""
        kafka = self.kafka()
        if kafka is None:
            return
        for partition in partitions:
            if partition not in self.moved:
                self.seek(partition, self.begins[partition])
        waiting = [TopicPartition(self.topic, p) for p in partitions if p in self._fetched]
        if not waiting:
            return
        kafka.pause(*waiting)
        if seconds is not None:
            asyncio.get_running_loop().call_later(seconds, self._resume, kafka, self._assigned)

    def _resume(self, kafka: SeekingConsumer, generation: int) -> None:
        if generation == self._assigned and self.group.id not in self._consumer.state.halted:
            kafka.resume(*(TopicPartition(self.topic, partition) for partition in self._fetched))

    async def _until_resumed(self) -> None:
        """Stay stopped until an operator lets the group go on."""
        generation = self._assigned
        while generation == self._assigned:
            await asyncio.sleep(1)
            try:
                if await self._consumer.halted(self.group) is None:
                    kafka = self.kafka()
                    if kafka is not None:
                        self._resume(kafka, generation)
                    return
            except Exception as error:
                _log.warning("%s: cannot see whether it may go on: %r", self.group.id, error)

    def _later(self, work: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            await work()

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        """End what runs in the background."""
        for task in list(self._tasks):
            task.cancel()

    async def check(self) -> None:
        """Go to where the database stands, should that not be where we are: it was restored to another moment, or a
        batch was swallowed on its way to us."""
        if self._running.locked():
            return
        async with self._running:
            stands = await self._consumer.offsets(self.group, self.topic)
            for partition, at in list(self._fetched.items()):
                there = stands.get(partition, at)
                if there != at:
                    _log.warning("%s %s-%s: not at %s but %s", self.group.id, self.topic, partition, at, there)
                    self.seek(partition, there)

    async def tell(self) -> None:
        """Commit to Kafka, for its own tools alone."""
        kafka = self.kafka()
        if kafka is None:
            return
        told = {TopicPartition(self.topic, p): at for p, at in self.consumed.items() if p in self._fetched}
        if told:
            try:
                await asyncio.wait_for(kafka.commit(told), 5)
            except (KafkaError, IllegalStateError, TimeoutError) as error:
                _log.debug("offsets not told to Kafka: %r", error)


async def _raw(message: KafkaMessage) -> Any:
    return message.raw_message


def _handler(stream: KafkaStream) -> Callable[[Any], Awaitable[None]]:
    async def handle(records: Any) -> None:
        try:
            await stream.consume(cast("Sequence[Record]", records))
        except Exception:
            _log.exception("%s %s: a batch was left; it will be fetched again", stream.group.id, stream.topic)

    return handle


async def _unread(records: tuple[Any, ...]) -> KafkaMessage:
    """A message that FastStream has not looked into: its own parser fails on a null or non-UTF-8 header."""
    return KafkaMessage(raw_message=records, body=b"", consumer=_NoConsumer())


class _NoConsumer:
    async def commit(self) -> None:
        """Nothing: offsets are the database's."""

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Nothing."""


def broker(consumer: Consumer) -> tuple[KafkaBroker, list[KafkaStream]]:
    """FastStream's broker with one raw batch subscriber per group and topic; also what AsyncAPI is made from."""
    kafka = KafkaBroker(
        consumer.kafka.bootstrap,
        security=consumer.kafka.faststream(),
        logger=logging.getLogger("eventing.faststream"),
        log_level=logging.DEBUG,
        graceful_timeout=30,
        apply_types=False,
    )
    streams: list[KafkaStream] = []
    for group in consumer.groups:
        for topic in group.topics:
            stream = KafkaStream(topic, group, consumer)
            subscriber = kafka.subscriber(
                topic,
                batch=True,
                group_id=group.id,
                listener=stream,
                parser=_unread,
                decoder=_raw,
                max_records=consumer.max_records,
                auto_offset_reset="earliest",
                ack_policy=AckPolicy.MANUAL,
                session_timeout_ms=6_000,
                heartbeat_interval_ms=1_500,
                fetch_max_wait_ms=500,
            )
            subscriber(_handler(stream))
            _connect(subscriber, stream, consumer.max_records)
            streams.append(stream)
    return kafka, streams


def _connect(subscriber: Any, stream: KafkaStream, max_records: int) -> None:
    """FastStream's own `get_msg` sleeps after an empty poll, and cannot say where a batch begins."""

    async def get_msg(kafka: SeekingConsumer) -> tuple[Record, ...]:
        return await stream.get(kafka, max_records)

    subscriber.get_msg = get_msg
    stream.kafka = lambda: subscriber.consumer


async def _look_after(streams: Sequence[KafkaStream]) -> None:
    await asyncio.gather(*(stream.tell() for stream in streams))
    for stream in streams:
        try:
            await stream.check()
        except Exception as error:
            _log.warning("cannot see where the database stands: %r", error)
            return


async def run_streams(consumer: Consumer, stop: asyncio.Event) -> None:
    """Consume until `stop`. Waits for Kafka and for topics that are not there yet."""
    stopping = asyncio.create_task(stop.wait())
    pause = 0.2
    try:
        while not stop.is_set():
            kafka, streams = broker(consumer)
            try:
                await topics.require(
                    consumer.kafka, {t for g in consumer.groups for t in g.topics}, consumer.partitions
                )
                await kafka.start()
            except (KafkaError, OSError, topics.MissingTopics) as error:
                _log.warning("consumer waits for Kafka: %r", error)
                consumer.state.waiting["kafka"] = repr(error)
                await kafka.stop()
                await asyncio.wait({stopping}, timeout=pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            consumer.state.waiting.pop("kafka", None)
            consumer.state.running = True
            try:
                told = time.monotonic()
                while not stop.is_set():
                    await asyncio.wait({stopping}, timeout=max(told + consumer.look_seconds - time.monotonic(), 0.1))
                    told = time.monotonic()
                    await _look_after(streams)
            finally:
                consumer.state.running = False
                for stream in streams:
                    await stream.on_partitions_revoked(set())
                    stream.cancel()
                await kafka.stop()
    finally:
        stopping.cancel()
