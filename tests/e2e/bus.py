"""The real Kafka from outside, as another bank system sees it, and waiting for what the platform does about it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from contracts import Event, wire
from localplatform.testing import RunningPlatform
from localplatform.topology import SERVICES

T = TypeVar("T")
DATA = Path(__file__).parents[3] / "shared" / "data"


@dataclass(frozen=True)
class Told:
    """A record on the bus, as any consumer sees it."""

    topic: str
    partition: int
    offset: int
    at: datetime
    key: str
    headers: Mapping[str, str]
    data: Mapping[str, Any]

    @property
    def type(self) -> str:
        return self.headers["ce_type"].removeprefix("factoring.").rpartition(".v")[0]


class Bus:
    """The real Kafka, from outside: tell it events as another bank system would, and read what was told."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    async def tell(self, *events: Event, ids: Mapping[int, UUID] | None = None) -> None:
        """Publish in order, each under an id of its own."""
        async with AIOKafkaProducer(bootstrap_servers=self._bootstrap, enable_idempotence=True, acks="all") as producer:
            for number, event in enumerate(events):
                key, value, headers = wire.to_wire(
                    event, id=(ids or {}).get(number) or uuid4(), source="/bank/test", time=datetime.now(UTC)
                )
                await producer.send_and_wait(event.topic, value, key=key, headers=headers)

    async def told(self, *topics: str, where: Callable[[Told], bool] = lambda _: True) -> list[Told]:
        """Everything on these topics up to now, partition by partition in order."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, enable_auto_commit=False)
        found: list[Told] = []
        async with consumer:
            partitions = [TopicPartition(topic, number) for topic in topics for number in range(12)]
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            await consumer.seek_to_beginning()
            while any(await consumer.position(each) < ends[each] for each in partitions):
                for batch in (await consumer.getmany(timeout_ms=500)).values():
                    for record in batch:
                        told = Told(
                            record.topic,
                            record.partition,
                            record.offset,
                            datetime.fromtimestamp(record.timestamp / 1000, UTC),
                            (record.key or b"").decode(),
                            {name: value.decode() for name, value in record.headers},
                            json.loads(record.value or b"null"),
                        )
                        if where(told):
                            found.append(told)
        return found


async def eventually(ask: Callable[[], Awaitable[T]], good: Callable[[T], bool], *, seconds: float = 60) -> T:
    """Ask again until the answer is good. AssertionError with the last answer when time is up."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        answer = await ask()
        if good(answer):
            return answer
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"still not so after {seconds} s: {answer!r}"[:4000])
        await asyncio.sleep(0.2)


async def caught_up(platform: RunningPlatform, *services: str, seconds: float = 300) -> None:
    """Wait until these services (all, if none is named) have consumed everything and published what followed from it.

    They cause each other's events, so all must be seen idle in one look, twice.
    """
    quiet = 0
    deadline = asyncio.get_running_loop().time() + seconds
    while quiet < 2:
        waits = [each for service in services or SERVICES async for each in _waits(platform, service)]
        quiet = 0 if waits else quiet + 1
        assert asyncio.get_running_loop().time() < deadline, f"after {seconds} s still waiting: {waits[:10]}"
        await asyncio.sleep(0.3)


async def _waits(platform: RunningPlatform, service: str) -> AsyncIterator[str]:
    database = await asyncpg.connect(platform.database_url(service))
    consumer = AIOKafkaConsumer(bootstrap_servers=platform.kafka_bootstrap, enable_auto_commit=False)
    try:
        await consumer.start()
        rows = await database.fetch("SELECT consumer_group, topic, partition, next_offset FROM consumer_offset")
        ends = await consumer.end_offsets([TopicPartition(row["topic"], row["partition"]) for row in rows])
        for row in rows:
            lag = ends[TopicPartition(row["topic"], row["partition"])] - row["next_offset"]
            if lag > 0:
                yield f"{row['consumer_group']} {row['topic']}-{row['partition']}: {lag} behind"
        if waiting := await database.fetchval("SELECT count(*) FROM outbox"):
            yield f"{service}: {waiting} rows in the outbox"
        soon = "SELECT count(*) FROM due_work WHERE clock = 'wall' AND due_at < now() + interval '5 seconds'"
        if due := await database.fetchval(soon):
            yield f"{service}: {due} pieces of due work"
    finally:
        await consumer.stop()
        await database.close()
