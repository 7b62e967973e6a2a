"""The background half of a service: relay, consumers, due work, retention and gauges; an error of one ends the process.

Kafka's absence is no error: relay and consumers wait for it.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from eventing.inbox import Consumer
from eventing.relay import Relay
from eventing.seen import maintain_inbox
from eventing.watching import observe
from servicekit import idempotency
from servicekit.runtime import Runtime
from servicekit.scheduling import Runner
from servicekit.settings import ServiceSettings
from servicekit.telemetry import redacted

if TYPE_CHECKING:
    from servicekit.app import Service

log = logging.getLogger(__name__)


def worker_parts(
    service: "Service", runtime: Runtime, settings: ServiceSettings, stop: asyncio.Event
) -> list[tuple[str, Coroutine[Any, Any, None]]]:
    """The parts of a worker process, by name."""
    runner = Runner(runtime)
    consumer = Consumer(runtime.sessions, settings.kafka(), service=service.name, subscriptions=service.subscriptions)
    return [
        ("relay", Relay(settings.direct_dsn, settings.kafka()).run(stop)),
        ("consumer", consumer.run(stop)),
        ("due work", runner.run(stop)),
        ("retention", _every(3600, stop, lambda: retain(runtime))),
        ("gauges", _every(settings.gauges_seconds, stop, lambda: measure(runtime, runner))),
    ]


async def _every(seconds: float, stop: asyncio.Event, work: Any) -> None:
    """Do it now and again, waiting out a database that is away."""
    while not stop.is_set():
        try:
            await work()
            pause = seconds
        except (OSError, SQLAlchemyError) as error:
            log.warning("housekeeping waits for the database: %s", redacted(error))
            pause = min(seconds, 5)
        try:
            await asyncio.wait_for(stop.wait(), pause)
        except TimeoutError:
            continue


async def retain(runtime: Runtime) -> None:
    """Delete what its declared retention has ended: idempotency keys after 24 h, the inbox and replayed parked events
    after 30 days. Audit entries and discarded events stay; due work is deleted when done."""
    now = runtime.clock()
    async with runtime.engine.begin() as connection:
        await maintain_inbox(connection, now.date())
    async with runtime.engine.begin() as connection:
        forgotten = await idempotency.forget_old(connection, now - idempotency.KEPT)
    log.info("retention done; %d idempotency keys forgotten", forgotten)


async def measure(runtime: Runtime, runner: Runner) -> None:
    """Bring the gauges up to date."""
    async with runtime.engine.connect() as connection:
        await observe(connection)
    await runner.measure()
