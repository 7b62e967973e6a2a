"""A Kafka record as our handlers want it: an event, or the reason why it is none.

Every record has exactly one defined outcome: an event this group hears, a type it does not hear (skipped), or a fault
(parked at once, since trying again would not mend it).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from pydantic import ValidationError

from contracts import wire
from contracts.base import Event, Meta
from eventing.subscriptions import Heard

MAX_RECORD_BYTES: Final = 1_048_576


class Record(Protocol):
    """What the rails read of a Kafka record; aiokafka's ConsumerRecord is one. `timestamp` is the broker's, in ms."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record that does not come from a fetch: parked before, or made by a test."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class RecordFault(Exception):
    """The record itself is wrong; no second try can help."""


class TooLarge(RecordFault):
    """The value is over 1 MiB."""


class MalformedRecord(RecordFault):
    """A CloudEvents header is missing or cannot be read."""


class NotItsContract(RecordFault):
    """The value is not what the contract of its type says: bad bytes, a schema violation, an unknown closed value."""


class WrongKey(RecordFault):
    """The record's key is not the one its contract names, so its order means nothing."""


class ForeignTopic(RecordFault):
    """The type is told on a topic that is not its publisher's."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A record of a type that this group hears, decoded."""

    record: Record
    envelope: wire.Envelope
    event: Event
    heard: Heard


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record of a type that this group does not hear."""

    record: Record
    ce_type: str


@dataclass(frozen=True, slots=True)
class Faulty:
    """A record that is to be parked, and why."""

    record: Record
    fault: RecordFault


Read = Delivered | Skipped | Faulty


def known_at(record: Record) -> datetime:
    """The broker's timestamp."""
    return datetime.fromtimestamp(record.timestamp / 1000, UTC)


def key_of(record: Record) -> str:
    """The key by which a record's followers are held back; bytes that are no UTF-8 are kept recognisable."""
    return (record.key or b"").decode(errors="backslashreplace").replace("\x00", "\\x00")


def header(record: Record, name: str) -> str | None:
    """A header as text; None where it is missing, null or unreadable."""
    for each, value in record.headers:
        if each == name and value is not None:
            return value.decode(errors="backslashreplace").replace("\x00", "\\x00")
    return None


def read(record: Record, heard: Mapping[str, Heard]) -> Read:
    """What `record` is to a group that hears `heard` (CloudEvents type → handlers). Never raises."""
    try:
        if len(record.value or b"") > MAX_RECORD_BYTES:
            raise TooLarge(f"{len(record.value or b'')} bytes, at most {MAX_RECORD_BYTES}")
        ce_type = header(record, wire.TYPE)
        if ce_type is None:
            raise MalformedRecord(f"missing {wire.TYPE}")
        listener = heard.get(ce_type)
        if listener is None:
            return Skipped(record, ce_type)
        if listener.event.topic != record.topic:
            raise ForeignTopic(f"{ce_type} belongs on {listener.event.topic}")
        envelope = wire.read_headers((name, value) for name, value in record.headers if value is not None)
        event = listener.event.model_validate_json(record.value or b"")
        key = event.key
        if record.key is None or record.key != key.encode():
            raise WrongKey(f"the key of {ce_type} is its {listener.event.key_field}")
    except RecordFault as fault:
        return Faulty(record, fault)
    except wire.MalformedHeaders as error:
        return Faulty(record, MalformedRecord(str(error)))
    except ValidationError as error:
        return Faulty(record, NotItsContract(_without_values(error)))
    except ValueError as error:
        return Faulty(record, NotItsContract(type(error).__name__))
    meta = Meta(
        id=envelope.id,
        known_at=known_at(record),
        key=key,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        correlation_id=envelope.correlation_id,
        causation_id=envelope.causation_id,
        actor=envelope.actor,
        traceparent=envelope.traceparent,
    )
    return Delivered(record, envelope, event.delivered(meta), listener)


def _without_values(error: ValidationError) -> str:
    """Which field is wrong and how, without what it held."""
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or 'value'}: {each['type']}"
        for each in error.errors(include_url=False, include_context=False, include_input=False)
    )


def stored_headers(record: Record) -> list[list[str | None]]:
    """Headers as JSON: [[name, value], …]; bytes that are no UTF-8 are escaped (such a record is at fault anyway)."""
    return [
        [name, None if value is None else value.decode(errors="backslashreplace").replace("\x00", "\\x00")]
        for name, value in record.headers
    ]


def restored(row: Mapping[str, Any]) -> StoredRecord:
    """The record that a parked_event row holds."""
    return StoredRecord(
        topic=row["topic"],
        partition=row["partition"],
        offset=row["offset"],
        timestamp=round(row["known_at"].timestamp() * 1000),
        key=row["key"].encode(),
        value=row["value"],
        headers=[(name, None if text is None else text.encode()) for name, text in row["headers"]],
    )
