"""The background half of a service: relay, consumers, due work and retention, in one process that ends when a part fails."""

import asyncio
from typing import TYPE_CHECKING

from servicekit.runtime import Runtime
from servicekit.scheduling import Runner

if TYPE_CHECKING:
    from servicekit.app import Service


async def run_worker(service: "Service", runtime: Runtime, stop: asyncio.Event) -> None:
    """Run every part until told to stop; an error of one ends all."""
    async with asyncio.TaskGroup() as group:
        group.create_task(Runner(runtime).run(stop), name="due work")
