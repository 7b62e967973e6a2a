"""Rules that every event keeps, read off the catalogue."""

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, cast

import pytest

import contracts
from contracts import Event, wire
from contracts.base import SYSTEMS
from contracts.catalogue import MODULES, all_events, by_type, topics
from contracts.documents import event_schema, meaning

EVENTS = pytest.mark.parametrize("event", all_events(), ids=lambda event: event.ce_type)

# Personal data and free text are known by what fields are called …
TELLTALE = re.compile(
    r"(^|_)(name|names|phone|mobile|tel|fax|e?mail|address|street|birth|birthday|sex|gender|age|passport|identity|"
    r"salary|wage|iban|note|notes|comment|comments|remark|remarks|text|body|message|subject_line|description|narrative|"
    r"title|label|story|opinion|answer_text|question)$"
)
# … and by what they would take.
FREE_TEXT = (
    "Called, will pay on Friday", "张三", "Zhang San", "zhang.san@example.com", "+86 138 1234 5678", "1 Main St", "",
)  # fmt: skip


def strings(schema: dict[str, Any], path: str = "$") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every place in an event where a string may stand."""
    if schema.get("type") == "string":
        yield path, schema
    for name, part in (schema.get("properties", {}) | schema.get("$defs", {})).items():
        yield from strings(part, f"{path}.{name}")
    if isinstance(schema.get("items"), dict):
        yield from strings(schema["items"], f"{path}[]")
    for part in schema.get("anyOf", ()):
        yield from strings(part, path)


def parts(schema: object) -> Iterator[dict[str, Any]]:
    """Every object inside a schema."""
    if isinstance(schema, dict):
        found = cast("dict[str, Any]", schema)
        yield found
        for part in found.values():
            yield from parts(part)
    elif isinstance(schema, list):
        for part in cast("list[object]", schema):
            yield from parts(part)


def fields(schema: dict[str, Any]) -> Iterator[str]:
    """The names of all fields of an event, those of its parts included."""
    for part in (schema, *schema.get("$defs", {}).values()):
        yield from part.get("properties", {})


def test_the_foundation_and_more_is_there() -> None:
    assert len(all_events()) > 150
    assert len({event.ce_type for event in all_events()}) == len(all_events())
    assert {event.__name__ for event in all_events()} <= set(contracts.__all__)


@EVENTS
def test_types_topics_and_names_follow_one_rule(event: type[Event]) -> None:
    publisher = event.publisher
    assert publisher is not None
    assert re.fullmatch(rf"factoring\.{publisher.name}\.[a-z]+(-[a-z]+)*\.v[1-9]", event.ce_type)
    assert event.topic in (f"{publisher.name}.events", "kyc.screening.events")
    assert by_type(event.ce_type) is event


@EVENTS
def test_it_says_what_it_means_and_who_may_rely_on_it(event: type[Event]) -> None:
    assert re.fullmatch(r"[A-Z].{10,200}[.]", meaning(event))
    assert event.rely
    assert set(event.rely) <= SYSTEMS
    assert event.publisher is not None
    assert event.publisher.name not in event.rely


@EVENTS
def test_its_key_is_never_null_and_is_the_client_where_there_is_one(event: type[Event]) -> None:
    assert event.model_fields[event.key_field].is_required()
    assert re.fullmatch(r"[A-Za-z0-9-]+", event.example().key)
    client = event.model_fields.get("client_id")
    if client is not None and client.is_required():
        assert event.key_field == "client_id"


@EVENTS
def test_its_example_is_written_by_hand(event: type[Event]) -> None:
    example = event_schema(event)["examples"][0]
    assert set(example) == set(event.model_fields)
    assert event.example().model_dump(mode="json") == example


@EVENTS
def test_no_field_is_named_like_personal_data_or_free_text(event: type[Event]) -> None:
    assert [name for name in fields(event_schema(event)) if TELLTALE.search(name)] == []


@EVENTS
def test_no_field_takes_free_text(event: type[Event]) -> None:
    for path, schema in strings(event_schema(event)):
        limited = "enum" in schema or "const" in schema or schema.get("format") in ("uuid", "date", "date-time")
        if not limited:
            assert "pattern" in schema, path
            assert [text for text in FREE_TEXT if re.search(schema["pattern"], text)] == [], path


@EVENTS
def test_no_field_is_a_float_and_what_is_left_out_is_not_null(event: type[Event]) -> None:
    schema = event_schema(event)
    assert "number" not in {part.get("type") for part in parts(schema)}
    for name, field in event.model_fields.items():
        if not field.is_required():
            assert name not in schema["required"]


def test_the_lint_sees_what_it_should() -> None:
    assert all(TELLTALE.search(name) for name in ("contact_name", "email", "phone", "remarks", "date_of_birth", "note"))
    assert not any(TELLTALE.search(name) for name in ("message_id", "invoice_number", "description_hash", "stage"))


def test_what_is_anonymous_or_restricted_says_so() -> None:
    assert [event.__name__ for event in all_events() if event.anonymous] == ["FeedbackSubmitted"]
    assert {event.__name__ for event in all_events() if event.restricted} == {"ScreeningHit", "ScreeningCleared"}
    assert {event.topic for event in all_events() if event.restricted} == {"kyc.screening.events"}
    assert {event.rely for event in all_events() if event.restricted} == {("risk",)}


def test_every_topic_declares_its_retention_and_projections_can_be_rebuilt() -> None:
    assert {topic.name: topic.retention.days if topic.retention else None for topic in topics()} == {
        "client.events": None,
        "risk.events": None,
        "engagement.events": None,
        "performance.events": None,
        "ledger.events": None,
        "registry.events": None,
        "collection.events": None,
        "gateway.events": 400,
        "kyc.screening.events": 3653,
        "kyc.events": None,
        "hr.events": None,
        "market.events": None,
    }
    assert {topic.partitions for topic in topics()} == {12}
    assert all(topic.max_bytes > wire.MAX_BYTES for topic in topics())


def test_every_module_has_one_publisher() -> None:
    for module in MODULES:
        found = [event for event in all_events() if event.__module__ == module.__name__]
        assert len({event.publisher.name for event in found if event.publisher}) == 1


def test_at_run_time_contracts_pull_pydantic_only() -> None:
    script = (
        "import sys, contracts, contracts.wire, contracts.asyncapi, contracts.compatibility\n"
        "print(*{name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    brought = {name for name in done.stdout.split() if not name.startswith(("__", "_"))}
    assert brought <= {
        "contracts", "pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection",
    }  # fmt: skip
