"""The consumers that are measured, each alone in its process: `python -m bench.consumers NAME BOOTSTRAP DSN GROUP N`.
Each says its rate between a tenth and the whole of N, so that starting and joining a group do not count."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import sqlalchemy as sa
import uvloop
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.middlewares import AckPolicy
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from bench.contenders import say, until_stopped
from contracts.bank.ledger import ReceivableAssigned
from eventing import Consumer, KafkaSettings, Subscriptions
from eventing.session import sessions
from servicekit.processes import spare_the_collector

TOPIC = ReceivableAssigned.topic
UPSERT = sa.text(
    "INSERT INTO receivable (id, client_id, debtor_id, amount, due_date)"
    " SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:clients AS uuid[]), CAST(:debtors AS uuid[]),"
    " CAST(:amounts AS numeric[]), CAST(:dues AS date[])) ON CONFLICT (id) DO UPDATE SET amount = excluded.amount,"
    " due_date = excluded.due_date"
)


class Rate:
    """Counts, and says the rate when all have come."""

    def __init__(self, count: int) -> None:
        self._count, self._first, self._seen, self._began = count, count // 10, 0, 0.0

    def add(self, n: int) -> None:
        before, self._seen = self._seen, self._seen + n
        if before < self._first <= self._seen:
            self._began, self._first = time.monotonic(), self._seen
        if before < self._count <= self._seen:
            self.rate = (self._seen - self._first) / (time.monotonic() - self._began)


async def ours(bootstrap: str, dsn: str, group: str, count: int) -> None:
    """eventing's Consumer with a projection's batch handler; what counts has been committed."""
    spare_the_collector()
    engine = create_async_engine(dsn.replace("postgresql", "postgresql+asyncpg", 1))
    on, rate = Subscriptions(), Rate(count)

    @on.project_batch(ReceivableAssigned)
    async def keep(events: list[ReceivableAssigned], tx: AsyncSession) -> None:  # pyright: ignore[reportUnusedFunction] - registered
        latest = {event.receivable_id: event for event in events}
        await tx.execute(
            UPSERT,
            {
                "ids": list(latest),
                "clients": [event.client_id for event in latest.values()],
                "debtors": [event.debtor_id for event in latest.values()],
                "amounts": [event.amount.amount for event in latest.values()],
                "dues": [event.due_date for event in latest.values()],
            },
        )
        rate.add(len(events))

    open_session = sessions(engine, source="/factoring/bench-service")
    consumer = Consumer(open_session, KafkaSettings(bootstrap), service=group, subscriptions=[on])
    stop = until_stopped()
    running = asyncio.create_task(consumer.run(stop))
    async with engine.connect() as connection:
        while await connection.scalar(sa.text("SELECT coalesce(sum(next_offset), 0) FROM consumer_offset")) < count:  # pyright: ignore[reportOptionalOperand]
            await connection.rollback()
            await asyncio.sleep(0.1)
    say(rate=rate.rate)
    await running
    await engine.dispose()


async def peer(name: str, bootstrap: str, group: str, count: int) -> None:
    """FastStream's subscribers, which only count."""
    broker, rate, stop = KafkaBroker(bootstrap, logger=None), Rate(count), until_stopped()
    options: Any = {"group_id": group, "auto_offset_reset": "earliest", "ack_policy": AckPolicy.ACK}

    async def as_bytes(message: KafkaMessage) -> Any:
        return message.body

    async def many(messages: list[dict[str, Any]]) -> None:
        rate.add(len(messages))

    async def raw(messages: list[bytes]) -> None:
        rate.add(len(messages))

    async def one(message: dict[str, Any]) -> None:
        rate.add(1)

    if name == "batch":
        broker.subscriber(TOPIC, batch=True, max_records=1000, **options)(many)
    elif name == "bytes":
        broker.subscriber(TOPIC, batch=True, max_records=1000, decoder=as_bytes, **options)(raw)
    else:
        broker.subscriber(TOPIC, **options)(one)
    await broker.start()
    while not hasattr(rate, "rate"):  # noqa: ASYNC110 - a look ten times a second costs it nothing
        await asyncio.sleep(0.1)
    say(rate=rate.rate)
    await stop.wait()
    await broker.stop()


if __name__ == "__main__":
    chosen, bootstrap_servers, address, group_id, number = sys.argv[1:]
    uvloop.run(
        ours(bootstrap_servers, address, group_id, int(number))
        if chosen == "ours"
        else peer(chosen, bootstrap_servers, group_id, int(number))
    )
