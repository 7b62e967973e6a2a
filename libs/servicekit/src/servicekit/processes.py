"""A running process: starts the API, the worker, both, or the watch, and drains at SIGTERM.

Order at the end: readiness turns false, running requests and the running batch finish, connections close. A part that
fails ends the process with one clear line; whoever supervises it starts it again.
"""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import AsyncGenerator, Coroutine, Generator
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.types import ASGIApp

from eventing import watching
from eventing.waker import Waker
from servicekit import telemetry
from servicekit.metrics_port import metrics_app
from servicekit.runtime import Runtime
from servicekit.settings import ServiceSettings, WrongSettings
from servicekit.worker import worker_parts

if TYPE_CHECKING:
    from servicekit.app import Service

log = logging.getLogger(__name__)
Part = tuple[str, Coroutine[Any, Any, None]]


class PartEnded(RuntimeError):
    """A part of the process returned though nobody had asked it to."""


async def run(service: "Service", settings: ServiceSettings, *, api: bool, worker: bool, watch: bool = False) -> None:
    """Until SIGTERM or SIGINT, or until a part fails.

    Raises:
        SystemExit: a part failed (status 1), or a port is taken.
    """
    spare_the_collector()
    process = f"{service.name}-service"
    provider = telemetry.configure(
        process,
        level=settings.log_level,
        endpoint=settings.otel_exporter_otlp_endpoint,
        sample=settings.otel_traces_ratio,
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as closing:
        front = listen(settings.http_host, settings.http_port, "HTTP_PORT") if api else None
        back = listen(settings.metrics_host, settings.metrics_port, "METRICS_PORT") if settings.metrics_port else None
        waker = Waker(settings.direct_dsn)
        parts: list[Part] = [("waker", waker.run(stop))]
        runtimes: list[Runtime] = []
        if front is not None:
            runtime = await closing.enter_async_context(_open(service.runtime(settings, wake=waker.wake)))
            runtimes.append(runtime)
            parts.append(("http", serve(service.api(runtime), front, settings, stop, runtimes)))
        if worker:
            runtime = await closing.enter_async_context(_open(service.runtime(settings, wake=waker.wake, worker=True)))
            runtimes.append(runtime)
            parts += worker_parts(service, runtime, settings, stop)
        if watch:
            runtime = await closing.enter_async_context(_open(service.runtime(settings, worker=True)))
            runtimes.append(runtime)
            parts.append(
                ("watch", watching.watch(runtime.engine, settings.kafka(), stop, seconds=settings.gauges_seconds))
            )
        if back is not None:
            parts.append(("metrics", serve(metrics_app(service, runtimes[-1], tokens=api), back, settings, stop, ())))
        log.info("%s started: %s", process, ", ".join(name for name, _ in parts))
        try:
            await run_parts(parts, stop, settings.shutdown_seconds)
        finally:
            await asyncio.to_thread(provider.shutdown)
    log.info("%s ended in good order", process)


def spare_the_collector() -> None:
    """Let Python's cycle collector pass over what stays until the end (modules, schemas), and come less often: in a
    busy consumer it took a quarter of the processor time (bench/README.md)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


@contextlib.asynccontextmanager
async def _open(runtime: Runtime) -> AsyncGenerator[Runtime]:
    try:
        yield runtime
    finally:
        await runtime.close()


async def run_parts(parts: list[Part], stop: asyncio.Event, patience: float) -> None:
    """Run all until `stop`; then give them `patience` seconds (and a little) to finish what they are at.

    Raises:
        SystemExit: one failed or ended too early; the others were stopped in good order first.
    """
    tasks = {asyncio.create_task(work, name=name) for name, work in parts}
    stopping = asyncio.create_task(stop.wait())
    failed = False
    await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
    early = {task for task in tasks if task.done()} if not stop.is_set() else set[asyncio.Task[None]]()
    for task in early:
        failed = True
        error = task.exception() or PartEnded(task.get_name())
        log.critical("%s failed, so this process ends: %s", task.get_name(), telemetry.redacted(error))
    stop.set()
    _, late = await asyncio.wait(tasks, timeout=patience + 2) if tasks else (None, set[asyncio.Task[None]]())
    for task in late:
        log.error("%s did not finish within %s s and is cut off", task.get_name(), patience)
        task.cancel()
    for task in (await asyncio.wait(late))[0] if late else ():
        failed = failed or (not task.cancelled() and task.exception() is not None)
    for task in tasks - early:
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            failed = True
            log.critical("%s failed while ending: %s", task.get_name(), telemetry.redacted(error))
    stopping.cancel()
    if failed:
        raise SystemExit(1)


def listen(host: str, port: int, variable: str) -> socket.socket:
    """A listening socket.

    Raises:
        WrongSettings: the port is taken or the address is not ours; names the variable.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise WrongSettings(
            f"{variable}: cannot listen on {host}:{port} ({error.strerror}); choose another one"
        ) from None
    listening.listen(2048)
    return listening


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handlers: the process has one for all its parts."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Nothing to capture."""
        yield


async def serve(
    app: ASGIApp,
    listening: socket.socket,
    settings: ServiceSettings,
    stop: asyncio.Event,
    drained: "list[Runtime] | tuple[()]",
) -> None:
    """Serve HTTP until `stop`; then turn unready, wait DRAIN_DELAY_SECONDS, and finish the running requests."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=max(1, round(settings.shutdown_seconds)),
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not serving.done():
        for runtime in drained:
            runtime.draining = True
        await asyncio.sleep(settings.drain_delay_seconds if drained else 0)
        server.should_exit = True
    await serving
