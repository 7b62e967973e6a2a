"""faststream-outbox relaying to Kafka, in its own process: `python -m bench.peers_outbox DSN BOOTSTRAP TOPIC MODE`.
MODE is readme (its README's settings), one or eight (tuned, with so many workers; eight lose the order)."""

from __future__ import annotations

import importlib
import sys
import time
from typing import Any

import uvloop
from faststream.kafka import KafkaBroker
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from bench.contenders import say, told

TUNED: dict[str, Any] = {
    "fetch_batch_size": 1000,
    "min_fetch_interval": 0.005,
    "max_fetch_interval": 0.05,
    "terminal_flush_batch_size": 500,
}
MODES: dict[str, dict[str, Any]] = {"readme": {}, "one": TUNED, "eight": TUNED | {"max_workers": 8}}


async def main(dsn: str, bootstrap: str, topic: str, mode: str) -> None:
    """Relays until stdin says stop; `load N` inserts N rows by its own publish_batch, `one N` a single row."""
    peer: Any = importlib.import_module("faststream_outbox")  # installed beside our environment, not locked
    metadata = MetaData()
    table: Any = peer.make_outbox_table(metadata, table_name="fs_outbox")
    engine = create_async_engine(dsn.replace("postgresql", "postgresql+asyncpg", 1), pool_size=16)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    broker: Any = peer.OutboxBroker(engine, outbox_table=table, logger=None)
    kafka = KafkaBroker(bootstrap, enable_idempotence=True, acks="all", logger=None)
    relayed = kafka.publisher(topic)

    @relayed
    @broker.subscriber("bench", propagate_inbound_headers=True, **MODES[mode])
    async def relay(body: dict[str, Any]) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction] - registered by its decorators
        return body

    open_session = async_sessionmaker(engine, expire_on_commit=False)
    await kafka.start()
    await broker.start()
    say(ready=True)
    pad = "x" * 380
    while (line := await told()) and line != "stop":
        word, _, number = line.partition(" ")
        began = time.monotonic()
        if word == "one":
            async with open_session() as tx, tx.begin():
                await broker.publish({"n": int(number), "pad": pad}, queue="bench", session=tx)
        else:
            for at in range(0, int(number), 250):
                bodies = [{"n": n, "pad": pad} for n in range(at, min(at + 250, int(number)))]
                async with open_session() as tx, tx.begin():
                    await broker.publish_batch(*bodies, queue="bench", session=tx, headers={"traceparent": "00-1-1-00"})
        say(began=began, ended=time.monotonic())
    await broker.stop()
    await kafka.stop()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
