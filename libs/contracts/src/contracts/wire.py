"""An event as a Kafka record: CloudEvents 1.0 in binary mode, JSON value, key in UTF-8. Pure functions, no I/O.

An anonymous event carries no actor, correlation, causation or trace, whatever the caller hands in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from contracts.base import Event, OpenEnum, Value

MAX_BYTES: Final = 900_000
CONTENT_TYPE: Final = "application/json"

ID: Final = "ce_id"
TYPE: Final = "ce_type"
SOURCE: Final = "ce_source"
SUBJECT: Final = "ce_subject"
TIME: Final = "ce_time"
SPECVERSION: Final = "ce_specversion"
DATASCHEMA: Final = "ce_dataschema"
CORRELATION_ID: Final = "ce_correlationid"
CAUSATION_ID: Final = "ce_causationid"
ACTOR: Final = "ce_actor"
TRACEPARENT: Final = "traceparent"
CONTENT_TYPE_HEADER: Final = "content-type"

REQUIRED: Final = (ID, TYPE, SOURCE, TIME, SPECVERSION)

Headers = list[tuple[str, bytes]]


class EventTooLarge(ValueError):
    """An event's JSON exceeds MAX_BYTES."""


class UnknownWritten(ValueError):
    """An event to be written holds UNKNOWN: only a reader may see that."""


class MalformedHeaders(ValueError):
    """A record lacks a CloudEvents header, or one cannot be read."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A record's CloudEvents attributes. `time` is when the event was emitted, by its publisher's clock."""

    id: UUID
    type: str
    source: str
    time: datetime
    subject: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    actor: str | None = None
    traceparent: str | None = None


def dataschema(ce_type: str) -> str:
    """The name under which a type's JSON Schema is published."""
    return f"urn:factoring:schema:{ce_type}"


def _has_unknown(value: object) -> bool:
    if isinstance(value, OpenEnum):
        return value.name == "UNKNOWN"
    if isinstance(value, Event | Value):
        return any(_has_unknown(part) for part in value.__dict__.values())
    if isinstance(value, tuple):
        return any(map(_has_unknown, value))  # pyright: ignore[reportUnknownArgumentType]
    return False


def to_wire(
    event: Event,
    *,
    id: UUID,
    source: str,
    time: datetime,
    correlation_id: str | None = None,
    causation_id: str | None = None,
    actor: str | None = None,
    traceparent: str | None = None,
) -> tuple[bytes, bytes, Headers]:
    """Key, value and headers of the record. Raises EventTooLarge, UnknownWritten; `time` must be aware."""
    if time.tzinfo is None:
        raise ValueError("ce_time needs a time zone")
    value = event.model_dump_json(exclude_none=True).encode()
    if len(value) > MAX_BYTES:
        raise EventTooLarge(f"{event.ce_type}: {len(value)} bytes, at most {MAX_BYTES}")
    if b'"UNKNOWN"' in value and _has_unknown(event):
        raise UnknownWritten(event.ce_type)
    key = event.key
    headers = [
        (ID, str(id)),
        (TYPE, event.ce_type),
        (SOURCE, source),
        (SUBJECT, key),
        (TIME, time.astimezone(UTC).isoformat().replace("+00:00", "Z")),
        (SPECVERSION, "1.0"),
        (DATASCHEMA, dataschema(event.ce_type)),
        (CONTENT_TYPE_HEADER, CONTENT_TYPE),
    ]
    if not event.anonymous:
        optional = {
            CORRELATION_ID: correlation_id,
            CAUSATION_ID: causation_id,
            ACTOR: actor,
            TRACEPARENT: traceparent,
        }
        headers += [(name, text) for name, text in optional.items() if text is not None]
    return key.encode(), value, [(name, text.encode()) for name, text in headers]


def read_headers(headers: Iterable[tuple[str, bytes]]) -> Envelope:
    """The record's attributes; MalformedHeaders says which header is missing or wrong."""
    try:
        found = {name: value.decode() for name, value in headers}
    except UnicodeDecodeError:
        raise MalformedHeaders("a header is not UTF-8") from None
    missing = [name for name in REQUIRED if not found.get(name)]
    if missing:
        raise MalformedHeaders(f"missing {', '.join(missing)}")
    if found[SPECVERSION] != "1.0":
        raise MalformedHeaders(f"{SPECVERSION} is not 1.0")
    if not found.get(CONTENT_TYPE_HEADER, CONTENT_TYPE).startswith(CONTENT_TYPE):
        raise MalformedHeaders(f"{CONTENT_TYPE_HEADER} is not {CONTENT_TYPE}")
    try:
        identity, time = UUID(found[ID]), datetime.fromisoformat(found[TIME])
    except ValueError:
        raise MalformedHeaders(f"{ID} is no UUID or {TIME} no time") from None
    if time.tzinfo is None:
        raise MalformedHeaders(f"{TIME} has no time zone")
    return Envelope(
        id=identity,
        type=found[TYPE],
        source=found[SOURCE],
        time=time.astimezone(UTC),
        subject=found.get(SUBJECT),
        correlation_id=found.get(CORRELATION_ID),
        causation_id=found.get(CAUSATION_ID),
        actor=found.get(ACTOR),
        traceparent=found.get(TRACEPARENT),
    )
