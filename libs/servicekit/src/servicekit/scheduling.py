"""Durable due work: deadlines and reminders that survive restarts and that two replicas never run twice.

Invariant: work is removed in the transaction of its effect. Wall time is watched by the worker; a business clock moves
only when someone ticks it (`tick`), so that ten years of history do not escalate ten years of visits.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from opentelemetry import propagate
from opentelemetry.trace import SpanKind
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from eventing.session import Context, ProjectionActs, bind, context, delivery
from servicekit.metrics import DUE_LATE, DUE_RUN, DUE_STUCK
from servicekit.runtime import Runtime, runtime_in
from servicekit.tables import due_work
from servicekit.telemetry import redacted, tracer

log = logging.getLogger(__name__)
WALL: Final = "wall"
MAX_ATTEMPTS: Final = 10


@dataclass(frozen=True)
class Work:
    """A piece of due work: either `due_at` (wall time, UTC) or `due_on` (its business clock's date) is set."""

    id: UUID
    kind: str
    clock: str
    due_at: datetime | None
    due_on: date | None
    payload: Mapping[str, Any]


DueHandler = Callable[[Work, AsyncSession], Awaitable[None]]


class UnknownWork(LookupError):
    """Due work of a kind that no feature handles."""


class DueWork:
    """A feature's due work: `due = DueWork()`, then `@due("complaints.deadline")` on `async def f(work, tx)`."""

    def __init__(self) -> None:
        self.handlers: dict[str, DueHandler] = {}

    def __call__(self, kind: str) -> Callable[[DueHandler], DueHandler]:
        """Register the handler of this kind.

        Raises:
            ValueError: the kind has one.
        """

        def register(handler: DueHandler) -> DueHandler:
            if kind in self.handlers:
                raise ValueError(f"due work {kind} has a handler already")
            self.handlers[kind] = handler
            return handler

        return register


async def schedule(
    tx: AsyncSession,
    kind: str,
    *,
    id: UUID,
    clock: str = WALL,
    due_at: datetime | None = None,
    due_on: date | None = None,
    payload: Mapping[str, Any] | None = None,
) -> None:
    """Do this when it is due; the same id again moves it.

    Args:
        id: names the work (make it from what it is about, e.g. uuid5), so that it can be moved and cancelled.
        due_at: the moment, on wall time. due_on: the date, on a business clock such as "client:<id>".

    Raises:
        UnknownWork: no feature handles the kind. ValueError: not exactly one of due_at (wall) and due_on (business).
        ProjectionActs: in a `project` handler.
    """
    _refuse_projection(tx)
    if kind not in runtime_in(tx).due:
        raise UnknownWork(kind)
    if (due_at is None) == (due_on is None) or (clock == WALL) != (due_at is not None):
        raise ValueError("wall time needs due_at, a business clock needs due_on")
    who = context(tx)
    new = insert(due_work).values(
        id=id, kind=kind, clock=clock, due_at=due_at, due_on=due_on, payload=dict(payload or {}),
        correlation_id=who.correlation_id, traceparent=who.traceparent,
    )  # fmt: skip
    moved = {name: new.excluded[name] for name in ("kind", "clock", "due_at", "due_on", "payload")}
    await tx.execute(
        new.on_conflict_do_update(
            index_elements=[due_work.c.id], set_={**moved, "attempts": 0, "retry_at": None, "error": None}
        )
    )


async def cancel(tx: AsyncSession, id: UUID) -> bool:
    """Do it no more; whether it was still waiting."""
    _refuse_projection(tx)
    gone = await tx.execute(sa.delete(due_work).where(due_work.c.id == id).returning(due_work.c.id))
    return gone.first() is not None


async def tick(tx: AsyncSession, clock: str, on: date) -> int:
    """It is now this date on this business clock: run all that is due, oldest first, in this transaction. How many ran.

    What the handlers schedule for this date or earlier runs too.
    """
    _refuse_projection(tx)
    done = 0
    handlers = runtime_in(tx).due
    while True:
        row = (
            await tx.execute(
                sa.select(due_work)
                .where(due_work.c.clock == clock, due_work.c.due_on <= on)
                .order_by(due_work.c.due_on, due_work.c.id)
                .limit(1)
                .with_for_update()
            )
        ).one_or_none()
        if row is None:
            return done
        await tx.execute(sa.delete(due_work).where(due_work.c.id == row.id))
        await _handler(handlers, row.kind)(_work(row), tx)
        done += 1


def _refuse_projection(tx: AsyncSession) -> None:
    current = delivery(tx)
    if current is not None and not current.reacts:
        raise ProjectionActs(f"{current.handler} is a projection and touched due work")


def _work(row: Any) -> Work:
    return Work(row.id, row.kind, row.clock, row.due_at, row.due_on, row.payload)


def _handler(handlers: Mapping[str, DueHandler], kind: str) -> DueHandler:
    try:
        return handlers[kind]
    except KeyError:
        raise UnknownWork(kind) from None


class Runner:
    """Runs wall-time work as it comes due. Any number of them may run at once, in any number of processes."""

    def __init__(self, runtime: Runtime, *, poll_seconds: float = 1.0) -> None:
        self._runtime = runtime
        self._poll = poll_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop; finishes the piece it is at."""
        while not stop.is_set():
            try:
                busy = await self.run_one()
            except (OSError, SQLAlchemyError) as error:
                log.warning("due work waits for the database: %s", redacted(error))
                busy = False
            if not busy:
                try:
                    await asyncio.wait_for(stop.wait(), self._poll)
                except TimeoutError:
                    continue

    async def run_all(self) -> int:
        """Everything that is due by the service's clock; how many pieces were tried."""
        done = 0
        while await self.run_one():
            done += 1
        return done

    async def run_one(self) -> bool:
        """The piece that has been due the longest and that no one else is at; False if there is none."""
        now = self._runtime.clock()
        at = sa.func.coalesce(due_work.c.retry_at, due_work.c.due_at)
        async with self._runtime.sessions() as tx, tx.begin():
            row = (
                await tx.execute(
                    sa.select(due_work)
                    .where(due_work.c.clock == WALL, at <= now, due_work.c.attempts < MAX_ATTEMPTS)
                    .order_by(at)
                    .limit(1)
                    .with_for_update(skip_locked=True)
                )
            ).one_or_none()
            if row is None:
                return False
            parent = propagate.extract({"traceparent": row.traceparent} if row.traceparent else {})
            with tracer.start_as_current_span(
                f"due {row.kind}",
                context=parent,
                kind=SpanKind.CONSUMER,
                record_exception=False,
                set_status_on_exception=False,
            ):
                bind(
                    tx,
                    Context(
                        actor=None, correlation_id=row.correlation_id, causation_id=None, traceparent=row.traceparent
                    ),
                )
                tx.info["operation"] = f"due:{row.kind}"
                try:
                    async with tx.begin_nested():
                        await tx.execute(sa.delete(due_work).where(due_work.c.id == row.id))
                        await _handler(self._runtime.due, row.kind)(_work(row), tx)
                except Exception as error:
                    if isinstance(error, DBAPIError) and error.connection_invalidated:
                        raise
                    await self._failed(tx, row, now, error)
                else:
                    DUE_RUN.labels(row.kind, "done").inc()
        return True

    async def _failed(self, tx: AsyncSession, row: Any, now: datetime, error: Exception) -> None:
        DUE_RUN.labels(row.kind, "failed").inc()
        log.error("due work %s %s failed (attempt %d): %s", row.kind, row.id, row.attempts + 1, redacted(error))
        delay = timedelta(seconds=min(2.0**row.attempts, 3600.0))
        await tx.execute(
            sa.update(due_work)
            .where(due_work.c.id == row.id)
            .values(
                attempts=due_work.c.attempts + 1,
                retry_at=now + delay,
                error=f"{type(error).__module__}.{type(error).__qualname__}",
            )
        )

    async def measure(self) -> None:
        """Bring the gauges up to date."""
        now = self._runtime.clock()
        async with self._runtime.sessions() as tx:
            late, stuck = (
                await tx.execute(
                    sa.select(
                        sa.func.min(due_work.c.due_at).filter(due_work.c.due_at <= now),
                        sa.func.count().filter(due_work.c.attempts >= MAX_ATTEMPTS),
                    ).where(due_work.c.clock == WALL)
                )
            ).one()
        DUE_LATE.set((now - late).total_seconds() if late else 0)
        DUE_STUCK.set(stuck)
