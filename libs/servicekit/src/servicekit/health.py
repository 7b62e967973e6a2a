"""Liveness, readiness and the outbox bound: what an orchestrator and a caller are told about this process.

Kafka's absence never makes an api unready: work is accepted into the outbox up to its bound, then refused with 503.
"""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from eventing.outbox import outbox_depth
from servicekit import migrations
from servicekit.problems import Unavailable
from servicekit.runtime import Runtime, runtime_of

log = logging.getLogger(__name__)


class OutboxFull(Unavailable):
    """More events wait to be published than this service takes; Kafka is probably away.

    Try again later with the same Idempotency-Key. Reading still works.
    """

    retry_after = 30


class OutboxBound:
    """Refuses changes while the outbox is full, by an estimate that is at most a few seconds old.

    The estimate is refreshed behind the scenes, so a request never waits for it (but the very first).
    """

    def __init__(self, engine: AsyncEngine, limit: int, *, fresh_seconds: float = 2.0) -> None:
        self._engine = engine
        self._limit = limit
        self._fresh = fresh_seconds
        self._depth = 0
        self._measured = -1e9
        self._task: asyncio.Task[None] | None = None

    async def check(self) -> None:
        """Go on, or refuse.

        Raises:
            OutboxFull: the outbox holds more rows than its limit.
        """
        if monotonic() - self._measured > self._fresh:
            if self._task is None or self._task.done():
                self._task = asyncio.get_running_loop().create_task(self.measure())
            if self._measured < 0 or self._depth > self._limit:
                await asyncio.shield(self._task)
        if self._depth > self._limit:
            raise OutboxFull

    async def measure(self) -> None:
        """Look now."""
        try:
            async with self._engine.connect() as connection:
                self._depth = (await outbox_depth(connection)).rows_estimate
        except (OSError, SQLAlchemyError):
            log.warning("the outbox could not be measured; keeping the last figure")
        self._measured = monotonic()


def install(app: FastAPI, migrations_dir: Path) -> None:
    """`/health/live` and `/health/ready`, open without a token."""
    known = migrations.known(migrations_dir)

    @app.get("/health/live", include_in_schema=False)
    async def live() -> Response:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        return JSONResponse({"status": "live"})

    @app.get("/health/ready", include_in_schema=False)
    async def ready(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        return await readiness(runtime_of(request), known)


async def readiness(runtime: Runtime, known: Sequence[str], *, tokens: bool = True) -> Response:
    """200 when this process can serve: the database answers and is migrated, and the issuer's keys are known.

    Without `tokens` to check, the keys are not asked for.
    """
    checks: dict[str, str] = {}
    if runtime.draining:
        checks["process"] = "shutting down"
    try:
        async with asyncio.timeout(3), runtime.engine.connect() as connection:
            current = await migrations.migrated(connection, known)
        checks["database"] = "ok" if current else "migrations are missing: run `migrate`"
    except (OSError, SQLAlchemyError, TimeoutError):
        checks["database"] = "does not answer"
    if tokens:
        keys = runtime.authenticator.keys
        if not keys.known:
            await keys.refresh()
        checks["identity provider"] = "ok" if keys.known else "its keys are not known yet"
    good = all(state == "ok" for state in checks.values())
    return JSONResponse(
        {"status": "ready" if good else "not ready", "checks": checks}, status_code=200 if good else 503
    )
