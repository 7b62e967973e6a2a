"""A running process: starts the API, the worker or both, and drains at SIGTERM.

Order at the end: readiness turns false, running requests and the running batch finish, connections close.
"""

import asyncio
import logging
import signal
from typing import TYPE_CHECKING

import uvicorn

from servicekit import telemetry
from servicekit.settings import ServiceSettings
from servicekit.worker import run_worker

if TYPE_CHECKING:
    from servicekit.app import Service

log = logging.getLogger(__name__)


async def run(service: "Service", settings: ServiceSettings, *, api: bool, worker: bool) -> None:
    """Until SIGTERM or SIGINT, or until a part fails (which is raised)."""
    provider = telemetry.configure(
        f"{service.name}-service", level=settings.log_level, endpoint=settings.otel_exporter_otlp_endpoint
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runtime = service.runtime(settings)
    try:
        async with asyncio.TaskGroup() as group:
            if api:
                group.create_task(_serve(service.api(runtime), settings, stop))
            if worker:
                group.create_task(run_worker(service, runtime, stop))
    finally:
        await runtime.close()
        provider.shutdown()


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handlers: the process has one for all its parts."""

    def install_signal_handlers(self) -> None:
        """Nothing to install."""


async def _serve(app: "uvicorn._types.ASGIApplication", settings: ServiceSettings, stop: asyncio.Event) -> None:
    config = uvicorn.Config(
        app,
        host=settings.http_host,
        port=settings.http_port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=int(settings.shutdown_seconds),
        server_header=False,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve())
    await stop.wait()
    server.should_exit = True
    await serving
