"""What is exported and committed: a JSON Schema per event and the list of topics, as plain data.

The attributes a consumer relies on beside the shape (topic, key, …) stand in the schema under `x-` names, so that one
document holds the whole contract and a change of any of them can be seen.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from contracts.base import Event, Topic
from contracts.catalogue import all_events, topics
from contracts.describe import example_of, writers_schema
from contracts.wire import dataschema

Document = dict[str, Any]

SERVICES: Final = ("client", "risk", "engagement", "performance")


def meaning(event: type[Event]) -> str:
    """The event's one-line meaning: its docstring."""
    return " ".join((event.__doc__ or "").split())


def event_schema(event: type[Event]) -> Document:
    """An event's JSON Schema (draft 2020-12) in the writer's view, with its meaning, example, topic and key."""
    return json.loads(_schema_text(event))


@cache
def _schema_text(event: type[Event]) -> str:
    shape = writers_schema(event)
    example = example_of(shape)
    shape.pop("title", None)
    shape.pop("description", None)
    publisher = event.publisher
    assert publisher is not None
    document: Document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": dataschema(event.ce_type),
        "title": event.__name__,
        "description": meaning(event),
        "x-type": event.ce_type,
        "x-publisher": publisher.name,
        "x-topic": event.topic,
        "x-key": event.key_field,
        "x-rely": list(event.rely),
        "x-anonymous": event.anonymous,
        "x-restricted": event.restricted,
        **shape,
        "examples": [example],
    }
    return json.dumps(document)


def source_of(event: type[Event]) -> str:
    """The ce_source its publisher's records carry."""
    owner = event.publisher.name if event.publisher is not None else ""
    return f"/factoring/{owner}-service" if owner in SERVICES else f"/factoring/{owner}"


def event_schemas() -> Mapping[str, Document]:
    """Every event's schema by its type."""
    return {event.ce_type: event_schema(event) for event in all_events()}


def topic_document(topic: Topic) -> Document:
    """A topic's settings; `retention_ms` -1 keeps for ever."""
    return {
        "name": topic.name,
        "partitions": topic.partitions,
        "retention_ms": retention_ms(topic),
        "restricted": topic.restricted,
        "max_bytes": topic.max_bytes,
    }


def retention_ms(topic: Topic) -> int:
    """Kafka's retention.ms; -1 is for ever."""
    return -1 if topic.retention is None else int(topic.retention.total_seconds() * 1000)


def topic_documents() -> list[Document]:
    return [topic_document(topic) for topic in topics()]
