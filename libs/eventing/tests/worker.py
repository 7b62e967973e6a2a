"""A worker process to be killed: `python worker.py DSN BOOTSTRAP TOPIC SERVICE`."""

import asyncio
import signal
import sys

from eventing_bus import Thing, note, thing_on
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from eventing import Consumer, KafkaSettings, Subscriptions, sessions


async def main(dsn: str, bootstrap: str, topic: str, service: str) -> None:
    on = Subscriptions()

    @on.react(thing_on(topic))
    async def hear(event: Thing, tx: AsyncSession) -> None:
        await note(tx, event)

    _ = hear
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    engine = create_async_engine(dsn)
    await Consumer(
        sessions(engine, source="/worker"),
        KafkaSettings(bootstrap),
        service=service,
        subscriptions=[on],
        partitions=3,
        max_records=50,
    ).run(stop)
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
