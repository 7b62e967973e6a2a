"""Outbox rows as production writes them: eight event types, thousands of clients, every header, a trace.

Invariant: a row's id holds its number, and of each key the numbers rise, so a reader of the topic sees order kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from contracts import wire
from contracts.base import Event
from contracts.engagement import ComplaintAcknowledged, ComplaintFiled, ComplaintResolved, ContactLogged, VisitPlanned
from contracts.risk import ExposureChanged, LimitApproved, RatingAssigned
from eventing.outbox import HEADERS

KEYS = 5_000
TYPES: tuple[type[Event], ...] = (
    ContactLogged,
    VisitPlanned,
    ComplaintFiled,
    ComplaintAcknowledged,
    ComplaintResolved,
    RatingAssigned,
    LimitApproved,
    ExposureChanged,
)
_SPACE = UUID("7d5f3c1e-5b1f-4a57-9a53-2f3e9f1d2b10")
_TRACE = "00-{:032x}-{:016x}-00"


def row_id(number: int) -> UUID:
    """The id of row `number`: a valid UUIDv7 that sorts by it."""
    return UUID(int=(0x0199A7C0 << 96) | (0x7000 << 64) | (0x8 << 60) | number)


def number_of(identity: UUID | str) -> int:
    """The number in an id made by `row_id`."""
    return UUID(str(identity)).int & 0xFFFF_FFFF_FFFF


def rows(numbers: Iterator[int], topic: str) -> Iterator[dict[str, Any]]:
    """Rows of the outbox table; number n belongs to key n % KEYS."""
    templates: list[tuple[Mapping[str, Any], str]] = []
    for event_type in TYPES:
        event = event_type.example()
        key, value, headers = wire.to_wire(
            event,
            id=row_id(0),
            source="/factoring/bench-service",
            time=datetime.now(UTC),
            correlation_id=str(row_id(0)),
            causation_id=str(row_id(0)),
            actor="0199a7c0-5555-7aaa-8aaa-000000000007",
            traceparent=_TRACE.format(1, 1),
        )
        texts = {name: text.decode() for name, text in headers}
        templates.append(
            (
                {column: texts.get(header) for header, column in HEADERS.items()} | {"type": event.ce_type},
                value.decode().replace(key.decode(), "{key}", 1),
            )
        )
    keys = [str(uuid5(_SPACE, str(number))) for number in range(KEYS)]
    for number in numbers:
        columns, payload = templates[(number // KEYS + number) % len(templates)]
        key = keys[number % KEYS]
        yield {
            **columns,
            "id": row_id(number),
            "aggregatetype": topic,
            "aggregateid": key,
            "subject": key,
            "payload": payload.replace("{key}", key, 1),
            "traceparent": _TRACE.format(number + 1, number + 1),
        }
