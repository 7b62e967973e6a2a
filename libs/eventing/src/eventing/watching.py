"""What health and metrics say of a service's rails, and its consumers' lag as seen from outside of them."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any, Final, cast

import sqlalchemy as sa
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from eventing import metrics
from eventing.kafka import KafkaSettings
from eventing.outbox import outbox_depth
from eventing.schema import consumer_halt, consumer_offset

_log = logging.getLogger(__name__)
_TIMEOUT: Final = 10.0


@dataclass(frozen=True, slots=True)
class Lag:
    """How many records of a partition a group has not consumed, by the database's offset, not by Kafka's."""

    group: str
    topic: str
    partition: int
    consumed: int
    end: int

    @property
    def records(self) -> int:
        return max(self.end - self.consumed, 0)


async def lag(connection: AsyncConnection, kafka: KafkaSettings) -> list[Lag]:
    """The lag of every group in this database; needs no consumer to be alive. Raises KafkaException."""
    of = consumer_offset.c
    rows = await connection.execute(
        sa.select(of.consumer_group, of.topic, of.partition, of.next_offset).order_by(*list(of)[:3])
    )
    stands = [cast("tuple[str, str, int, int]", tuple(row)) for row in rows.all()]
    ends = await asyncio.to_thread(_ends, kafka, sorted({(topic, partition) for _, topic, partition, _ in stands}))
    return [Lag(group, topic, p, at, ends.get((topic, p), at)) for group, topic, p, at in stands]


def _ends(kafka: KafkaSettings, partitions: list[tuple[str, int]]) -> dict[tuple[str, int], int]:
    if not partitions:
        return {}
    admin = AdminClient(kafka.confluent())
    asked: dict[Any, Any] = {TopicPartition(topic, partition): OffsetSpec.latest() for topic, partition in partitions}
    found = cast(Any, admin).list_offsets(asked, request_timeout=_TIMEOUT)
    return {(tp.topic, tp.partition): future.result(_TIMEOUT).offset for tp, future in found.items()}


async def observe(connection: AsyncConnection) -> None:
    """Set the gauges that the database knows: outbox depth and age, parked and refused keys, stopped groups."""
    depth = await outbox_depth(connection)
    metrics.OUTBOX_ROWS.set(depth.rows_estimate)
    metrics.OUTBOX_AGE.set(depth.oldest_age_seconds)
    parked = await connection.execute(
        sa.text(
            "SELECT (SELECT count(*) FROM parked_key), (SELECT count(*) FROM parked_event WHERE status = 'parked'),"
            " (SELECT count(*) FROM relay_refused WHERE stopped)"
        )
    )
    keys, events, refused = cast("tuple[int, int, int]", tuple(parked.one()))
    metrics.PARKED_KEYS.set(keys)
    metrics.PARKED_EVENTS.set(events)
    metrics.REFUSED_KEYS.set(refused)
    halted = await connection.scalars(sa.select(consumer_halt.c.consumer_group))
    metrics.HALTED.clear()
    for group in halted:
        metrics.HALTED.labels(group).set(1)


async def watch(engine: AsyncEngine, kafka: KafkaSettings, stop: asyncio.Event, *, seconds: float) -> None:
    """Bring the gauges up to date every few seconds until `stop`, consumers and relay alive or not."""
    stopping = asyncio.create_task(stop.wait())
    try:
        while not stop.is_set():
            try:
                async with engine.connect() as connection:
                    await observe(connection)
                    for each in await lag(connection, kafka):
                        labels = each.group, each.topic, each.partition
                        metrics.CONSUMED.labels(*labels).set(each.consumed)
                        metrics.LAG.labels(*labels).set(each.records)
            except (OSError, SQLAlchemyError, KafkaException) as error:
                _log.warning("the watch waits: %s", type(error).__name__)
            await asyncio.wait({stopping}, timeout=seconds)
    finally:
        stopping.cancel()
