"""The real Kafka from outside, as another bank system sees it, and waiting for what the platform does about it."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (aiokafka carries no types)

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from contracts import Event, wire

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
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        found: list[Told] = []
        async with consumer:
            partitions = [TopicPartition(topic, number) for topic in topics for number in range(12)]
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            await consumer.seek_to_beginning()
            while [each for each in partitions if await consumer.position(each) < ends[each]]:
                for batch in (await consumer.getmany(timeout_ms=500)).values():
                    for record in batch:
                        headers = {name: value.decode() for name, value in record.headers}
                        if "ce_type" not in headers:  # another test's bad bytes
                            continue
                        told = Told(
                            record.topic,
                            record.partition,
                            record.offset,
                            datetime.fromtimestamp(record.timestamp / 1000, UTC),
                            (record.key or b"").decode(),
                            headers,
                            json.loads(record.value or b"null"),
                        )
                        if where(told):
                            found.append(told)
        return found


async def eventually(ask: Callable[[], Awaitable[T]], good: Callable[[T], bool], *, seconds: float = 240) -> T:
    """Ask again until the answer is good. AssertionError with the last answer when time is up."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        answer = await ask()
        if good(answer):
            return answer
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"still not so after {seconds} s: {answer!r}"[:4000])
        await asyncio.sleep(0.2)
