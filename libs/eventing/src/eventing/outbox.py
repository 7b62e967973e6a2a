"""Telling the world what changed: `emit` in the caller's transaction, and nothing reaches Kafka unless it commits.

What a handler creates takes its id from the event that caused it, so that handling it again creates the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast
from uuid import UUID, uuid5

import sqlalchemy as sa
from opentelemetry import trace
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from uuid_utils.compat import uuid7

from contracts import wire
from contracts.base import Event
from eventing.schema import outbox
from eventing.session import Context, context, delivery, source, write_last

_HANDLED: Final = UUID("0c6f4f0e-1d0a-5d9e-8f57-2f0b7b1a1c11")
HEADERS: Final = {
    wire.SOURCE: "source",
    wire.SUBJECT: "subject",
    wire.TIME: "time",
    wire.SPECVERSION: "specversion",
    wire.DATASCHEMA: "dataschema",
    wire.CONTENT_TYPE_HEADER: "datacontenttype",
    wire.CORRELATION_ID: "correlationid",
    wire.CAUSATION_ID: "causationid",
    wire.ACTOR: "actor",
    wire.TRACEPARENT: "traceparent",
}
"""Header → outbox column, besides ce_id and ce_type."""


class CauseNeeded(RuntimeError):
    """A batch handler must say which event caused what it emits: `emit(tx, event, cause=…)`."""


def derived_id(event: Event, handler: str, n: int = 0) -> UUID:
    """The id of the `n`-th thing that `handler` creates because of the delivered `event`: the same every time."""
    if event.meta is None:
        raise ValueError("only a delivered event has an id to derive from")
    return uuid5(_HANDLED, f"{event.meta.id}:{handler}:{n}")


def emit(
    tx: AsyncSession,
    event: Event,
    *,
    id: UUID | None = None,
    cause: Event | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> UUID:
    """Publish `event` if and when this transaction commits, in its key's order. Returns its CloudEvents id.

    Raises at once what could not be published (wire.EventTooLarge, wire.UnknownWritten), and ProjectionActs in a
    `project` handler. Inside a delivery the id derives from the causing event; a batch handler names the `cause`.
    """
    who = context(tx)
    current = delivery(tx)
    if current is not None:
        cause = cause or cast(Event | None, current.cause)
        if cause is None and id is None:
            raise CauseNeeded(current.handler)
        if cause is not None and cause.meta is not None:
            nth = current.made.get((cause.meta.id, current.handler), 0)
            current.made[cause.meta.id, current.handler] = nth + 1
            id = id or derived_id(cause, f"{current.handler}!emit", nth)
            who = who if cause is current.cause else caused_by(cause)
    here = current_traceparent()
    event_id = id or uuid7()
    key, value, headers = wire.to_wire(
        event,
        id=event_id,
        source=source(tx),
        time=now(),
        correlation_id=who.correlation_id,
        causation_id=who.causation_id,
        actor=who.actor,
        traceparent=here or who.traceparent if current is None else who.traceparent or here,
    )
    texts = {name: content.decode() for name, content in headers}
    row = {column: texts.get(header) for header, column in HEADERS.items()}
    write_last(
        tx,
        outbox,
        {
            "id": event_id,
            "aggregatetype": type(event).topic,
            "aggregateid": key.decode(),
            "type": type(event).ce_type,
            "payload": value.decode(),
            **row,
        },
    )
    return event_id


def caused_by(cause: Event) -> Context:
    """The context of what happens because of a delivered event: its actor and trace go on, its id is the cause."""
    meta = cause.meta
    if meta is None:
        return Context()
    if type(cause).anonymous:
        return Context(causation_id=str(meta.id))
    return Context(
        actor=meta.actor,
        correlation_id=meta.correlation_id or str(meta.id),
        causation_id=str(meta.id),
        traceparent=meta.traceparent,
    )


def current_traceparent() -> str | None:
    """The W3C traceparent of the running span; None outside of any."""
    span = trace.get_current_span().get_span_context()
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}" if span.is_valid else None


@dataclass(frozen=True, slots=True)
class OutboxDepth:
    """How many rows wait (an estimate above 10 000), and the age of the oldest in seconds (0 when none waits)."""

    rows_estimate: int
    oldest_age_seconds: float


async def outbox_depth(conn: AsyncConnection | AsyncSession) -> OutboxDepth:
    """What waits to be published; cheap at any depth."""
    row = (
        await conn.execute(
            sa.text(
                "SELECT (SELECT max(seq) FROM outbox) - (SELECT min(seq) FROM outbox) + 1,"
                " (SELECT count(*) FROM (SELECT 1 FROM outbox LIMIT 10001) few),"
                " (SELECT extract(epoch FROM clock_timestamp() - time::timestamptz)::float8"
                "  FROM outbox ORDER BY seq LIMIT 1)"
            )
        )
    ).one()
    spread, few, age = cast(tuple[int | None, int, float | None], tuple(row))
    return OutboxDepth(few if few <= 10_000 else max(spread or 0, few), max(age or 0.0, 0.0))
