"""The processes that are measured, each alone in its own: `python -m bench.contenders NAME …`. They talk in lines of
JSON: what they say first means they are ready."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop
from aiokafka import AIOKafkaProducer
from sqlalchemy.ext.asyncio import create_async_engine

from bench.rows import KEYS, rows
from eventing import KafkaSettings, Relay
from eventing.outbox import HEADERS
from eventing.schema import outbox
from eventing.session import sessions, write_last
from servicekit.processes import spare_the_collector

WRITERS, IN_ONE = 2, 250


def say(**words: Any) -> None:
    """Answer whoever started us."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


async def told() -> str:
    """The next word from whoever started us."""
    return (await asyncio.to_thread(sys.stdin.readline)).strip()


def until_stopped() -> asyncio.Event:
    """Set at SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    return stop


async def relay(dsn: str, bootstrap: str) -> None:
    """Ours, as a worker runs it."""
    spare_the_collector()
    stop = until_stopped()
    say(ready=True)
    await Relay(dsn, KafkaSettings(bootstrap)).run(stop)


async def load(dsn: str, topic: str, first: str, count: str) -> None:
    """Fill the outbox by the statement that `emit` ends in: transactions of 250 rows on two connections, each key
    written by one of them. Says when it began and ended (the machine's monotonic clock)."""
    start, end = int(first), int(first) + int(count)
    parts = [list(rows(iter(range(start + part, end, WRITERS)), topic)) for part in range(WRITERS)]
    engine = create_async_engine(dsn.replace("postgresql", "postgresql+asyncpg", 1), pool_size=WRITERS)
    open_session = sessions(engine, source="/factoring/bench-service")

    async def write(part: list[dict[str, Any]]) -> None:
        for at in range(0, len(part), IN_ONE):
            async with open_session() as tx, tx.begin():
                for row in part[at : at + IN_ONE]:
                    write_last(tx, outbox, row)

    say(ready=True)
    while await told() == "go":
        began = time.monotonic()
        await asyncio.gather(*map(write, parts))
        say(began=began, ended=time.monotonic())
    await engine.dispose()


async def producer(bootstrap: str, topic: str, count: str) -> None:
    """The limit of the client: the same records from memory, idempotent, acks=all, linger 5 ms, 256 KB batches."""
    names = {column: header for header, column in HEADERS.items()}
    records = [
        (
            row["aggregateid"].encode(),
            row["payload"].encode(),
            [("ce_id", str(row["id"]).encode()), ("ce_type", row["type"].encode())]
            + [(header, row[column].encode()) for column, header in names.items() if row[column] is not None],
        )
        for row in rows(iter(range(int(count))), topic)
    ]
    sender: Any = AIOKafkaProducer(
        bootstrap_servers=bootstrap, enable_idempotence=True, acks="all", linger_ms=5, max_batch_size=256 * 1024
    )
    await sender.start()
    say(ready=True)
    while await told() == "go":
        began = time.monotonic()
        sent = [await sender.send(topic, value, key=key, headers=headers) for key, value, headers in records]
        await asyncio.gather(*sent)
        say(began=began, ended=time.monotonic())
    await sender.stop()


COMMANDS: dict[str, Callable[..., Awaitable[None]]] = {"relay": relay, "load": load, "producer": producer}
assert KEYS % WRITERS == 0

if __name__ == "__main__":
    uvloop.run(COMMANDS[sys.argv[1]](*sys.argv[2:]))  # pyright: ignore[reportArgumentType] - each is a coroutine function
