"""An AsyncAPI 3 document of what a service sends and receives, made from the contracts alone.

A pure function of the events: whoever knows what a service subscribes to hands that in.
"""

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any

from contracts import wire
from contracts.base import Event, Publisher
from contracts.documents import Document, event_schema, meaning, retention_ms, source_of

BINDING = "0.5.0"
LEFT_OUT = ("$schema", "$id", "examples")
UUID_PATTERN = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
EXAMPLE_ID = "0199a7c0-dddd-7aaa-8aaa-000000000014"


def _header(description: str, example: str, **more: Any) -> Document:
    return {"type": "string", "description": description, "examples": [example], **more}


def headers_schema(*, anonymous: bool) -> Document:
    """CloudEvents 1.0 in Kafka's binary mode; an anonymous event's has nothing that leads to a person."""
    properties = {
        wire.ID: _header("The event; a repeat has the same.", EXAMPLE_ID, pattern=UUID_PATTERN),
        wire.TYPE: _header("What happened, with the version of its shape.", "factoring.client.client-registered.v1"),
        wire.SOURCE: _header("Who says so.", "/factoring/client-service", format="uri-reference"),
        wire.SUBJECT: _header("Whom it is about: the record's key.", "0199a7c0-1111-7aaa-8aaa-000000000001"),
        wire.TIME: _header(
            "When it was emitted, by the publisher's clock.", "2026-11-03T02:15:00Z", format="date-time"
        ),
        wire.SPECVERSION: _header("CloudEvents version.", "1.0", const="1.0"),
        wire.DATASCHEMA: _header(
            "Its JSON Schema's id.", "urn:factoring:schema:factoring.client.client-registered.v1", format="uri"
        ),
        wire.CONTENT_TYPE_HEADER: _header("How the value is written.", wire.CONTENT_TYPE, const=wire.CONTENT_TYPE),
    }
    if not anonymous:
        properties |= {
            wire.CORRELATION_ID: _header("What all events of one request share.", EXAMPLE_ID),
            wire.CAUSATION_ID: _header("The event or request that caused it.", EXAMPLE_ID),
            wire.ACTOR: _header("Who did it: a token's subject, by id.", "0199a7c0-4444-7aaa-8aaa-000000000005"),
            wire.TRACEPARENT: _header("W3C trace context.", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        }
    return {
        "type": "object",
        "description": "CloudEvents 1.0 attributes, binary mode" + (", anonymous." if anonymous else "."),
        "properties": properties,
        "required": [*wire.REQUIRED, wire.DATASCHEMA, wire.CONTENT_TYPE_HEADER],
    }


def _hoisted(value: Any) -> Any:
    """The same with references into `$defs` pointing at the document's components."""
    match value:
        case dict():
            return {name: _hoisted(part) for name, part in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case list():
            return [_hoisted(part) for part in value]  # pyright: ignore[reportUnknownVariableType]
        case str() if value.startswith("#/$defs/"):
            return value.replace("#/$defs/", "#/components/schemas/", 1)
        case _:
            return value


def _message(event: type[Event], schema: Document) -> Document:
    headers = "AnonymousHeaders" if event.anonymous else "CloudEventsHeaders"
    key = {name: part for name, part in schema["properties"][event.key_field].items() if name != "description"}
    example = schema["examples"][0]
    carried = {
        name: part["examples"][0] for name, part in headers_schema(anonymous=event.anonymous)["properties"].items()
    } | {
        wire.TYPE: event.ce_type,
        wire.DATASCHEMA: wire.dataschema(event.ce_type),
        wire.SOURCE: source_of(event),
        wire.SUBJECT: example[event.key_field],
    }
    message: Document = {
        "name": event.ce_type,
        "title": event.__name__,
        "summary": meaning(event),
        "contentType": wire.CONTENT_TYPE,
        "headers": {
            "allOf": [
                {"$ref": f"#/components/schemas/{headers}"},
                {
                    "type": "object",
                    "properties": {
                        wire.TYPE: {"const": event.ce_type},
                        wire.DATASCHEMA: {"const": wire.dataschema(event.ce_type)},
                    },
                },
            ]
        },
        "payload": {"$ref": f"#/components/schemas/{event.__name__}"},
        "tags": [{"name": f"publisher:{schema['x-publisher']}"}]
        + [{"name": f"rely:{system}"} for system in event.rely]
        + [{"name": mark} for mark in ("anonymous", "restricted") if schema[f"x-{mark}"]],
        "bindings": {"kafka": {"key": _hoisted(key), "bindingVersion": BINDING}},
        "examples": [{"name": "example", "summary": meaning(event), "headers": carried, "payload": example}],
        "x-key": event.key_field,
    }
    if not event.anonymous:
        message["correlationId"] = {"$ref": "#/components/correlationIds/correlation"}
    return message


def _channel(publisher: Publisher, events: Sequence[type[Event]]) -> Document:
    topic = publisher.topic
    return {
        "address": topic.name,
        "title": topic.name,
        "description": f"What {publisher.name} tells, in order per key."
        + (" Restricted: readable only by those it names." if topic.restricted else ""),
        "messages": {event.__name__: {"$ref": f"#/components/messages/{event.__name__}"} for event in events},
        "tags": [{"name": f"publisher:{publisher.name}"}] + ([{"name": "restricted"}] if topic.restricted else []),
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": ["delete"],
                    "retention.ms": retention_ms(topic),
                    "max.message.bytes": topic.max_bytes,
                },
                "bindingVersion": BINDING,
            }
        },
    }


def asyncapi(
    service: str,
    sends: Iterable[type[Event]],
    receives: Iterable[type[Event]],
    *,
    groups: Sequence[str] = (),
) -> Document:
    """The AsyncAPI 3.0 document of `service` ("client", "risk", …, "bank"); `groups` are its Kafka consumer groups."""
    sent, received = tuple(dict.fromkeys(sends)), tuple(dict.fromkeys(receives))
    events = tuple(dict.fromkeys(sent + received))
    by_topic: dict[str, list[type[Event]]] = {}
    publishers: dict[str, Publisher] = {}
    schemas: dict[str, Document] = {
        "CloudEventsHeaders": headers_schema(anonymous=False),
        "AnonymousHeaders": headers_schema(anonymous=True),
    }
    messages: dict[str, Document] = {}
    for event in events:
        assert event.publisher is not None
        by_topic.setdefault(event.topic, []).append(event)
        publishers[event.topic] = event.publisher
        schema = event_schema(event)
        messages[event.__name__] = _message(event, schema)
        for name, part in schema.pop("$defs", {}).items():
            schemas[name] = _hoisted(part)
        schemas[event.__name__] = _hoisted({name: part for name, part in schema.items() if name not in LEFT_OUT})

    def operation(action: str, event: type[Event]) -> Document:
        bindings: Document = {"bindingVersion": BINDING}
        if action == "receive" and groups:
            bindings["groupId"] = {"type": "string", "enum": list(groups)}
        return {
            "action": action,
            "channel": {"$ref": f"#/channels/{event.topic}"},
            "messages": [{"$ref": f"#/channels/{event.topic}/messages/{event.__name__}"}],
            "summary": meaning(event),
            "tags": [{"name": f"publisher:{messages[event.__name__]['tags'][0]['name'].split(':')[1]}"}],
            "bindings": {"kafka": bindings},
        }

    title = "The bank's other systems" if service == "bank" else f"{service}-service"
    return {
        "asyncapi": "3.0.0",
        "id": f"urn:factoring:service:{service}",
        "info": {
            "title": title,
            "version": version("contracts"),
            "description": f"What {title} sends and receives. At least once on the wire, in order per key; a repeat has"
            " the same ce_id. Ignore unknown types and fields; read an unknown value of an x-open enumeration as"
            " UNKNOWN. No personal data, no free text.",
            "tags": [{"name": service}],
        },
        "defaultContentType": wire.CONTENT_TYPE,
        "servers": {
            "kafka": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "description": "The bus.",
                "variables": {"bootstrap": {"description": "Host and port of a broker.", "default": "127.0.0.1:19092"}},
            }
        },
        "channels": {name: _channel(publishers[name], found) for name, found in by_topic.items()},
        "operations": {f"send{event.__name__}": operation("send", event) for event in sent}
        | {f"receive{event.__name__}": operation("receive", event) for event in received},
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "messages": messages,
            "correlationIds": {
                "correlation": {
                    "description": "What all events of one request share.",
                    "location": f"$message.header#/{wire.CORRELATION_ID}",
                }
            },
        },
    }
