"""How much is still on its way: rows in the four outboxes, and records on the topics that a consumer has not taken in.
The databases say what was consumed (consumer_offset), so the answer holds while workers die and come back."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

if TYPE_CHECKING:  # two seconds of `./crm up`, for an annotation
    from eventing.kafka import SeekingConsumer

QUIET = 4
PAUSE = 0.4


class NotSettled(Exception):
    """Something was still on its way when patience ran out."""


@dataclass(frozen=True)
class InFlight:
    """Events not yet published, events not yet consumed (once for each consumer), events parked."""

    waiting: int
    lag: int
    parked: int

    @property
    def total(self) -> int:
        return self.waiting + self.lag


class Flow:
    """Looks at the databases (libpq addresses by service) and at Kafka; an async context."""

    def __init__(self, databases: Mapping[str, str], bootstrap: str) -> None:
        self._databases = databases
        kafka = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
        self._consumer = cast("SeekingConsumer", kafka)

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    async def look(self) -> InFlight:
        """The state of things now; a database that does not answer counts as one event on its way."""
        seen = await asyncio.gather(*map(self._service, self._databases.values()))
        return InFlight(*(sum(each) for each in zip(*seen, strict=True)))

    async def settled(self, patience: float = 120, tell: Callable[[InFlight], None] = lambda _: None) -> InFlight:
        """Return once nothing has been on its way for a moment.

        Raises:
            NotSettled: something was on its way, and nothing moved for `patience` seconds.
        """
        clock = asyncio.get_running_loop().time
        before, since, quiet = None, clock(), 0
        while True:
            now = await self.look()
            tell(now)
            quiet = 0 if now.total else quiet + 1
            if quiet == QUIET:
                return now
            if now != before:
                before, since = now, clock()
            elif now.total and clock() - since > patience:
                waits = f"{now.waiting} events are not published, {now.lag} not consumed"
                raise NotSettled(f"{waits}, and nothing has moved for {patience:.0f} s")
            await asyncio.sleep(PAUSE)

    async def _service(self, database: str) -> tuple[int, int, int]:
        try:
            connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(database, timeout=5)
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return 1, 0, 0
        try:
            waiting = await connection.fetchval("SELECT count(*) FROM outbox")
            parked = await connection.fetchval("SELECT count(*) FROM parked_event WHERE status = 'parked'")
            offsets = await connection.fetch("SELECT topic, partition, next_offset FROM consumer_offset")
        finally:
            await connection.close()
        if not offsets:
            return waiting, 1, parked
        ends = await self._consumer.end_offsets({TopicPartition(row["topic"], row["partition"]) for row in offsets})
        behind = (ends[TopicPartition(row["topic"], row["partition"])] - row["next_offset"] for row in offsets)
        return waiting, sum(max(0, each) for each in behind), parked
