"""Planted changes: each breaking one must be found, each additive one must pass."""

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Literal, cast
from uuid import UUID

import jsoncompat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, create_model

from contracts.base import Code, Event, Instant, Money, Number, OpenEnum, Publisher, Topic, Value
from contracts.compatibility import Break, compare_events, compare_schemas, compare_topics
from contracts.documents import event_schema, event_schemas, topic_documents

TESTING = Publisher("risk", Topic("risk.events"))
ELSEWHERE = Publisher("risk", Topic("elsewhere.events"))
LOCKED = Publisher("risk", Topic("risk.events", restricted=True))


def closed(name: str, *values: str) -> type[StrEnum]:
    return cast("type[StrEnum]", StrEnum(name, {value.upper(): value for value in values}))


def opened(name: str, *values: str) -> type[OpenEnum]:
    return cast("type[OpenEnum]", OpenEnum(name, {value.upper(): value for value in values} | {"UNKNOWN": "UNKNOWN"}))


An_id = Annotated[UUID, Field(examples=["0199a7c0-7777-7aaa-8aaa-000000000008"])]
A_day = Annotated[date, Field(examples=["2026-11-02"])]
A_count = Annotated[int, Field(ge=0, le=100, examples=[1])]

MaybeCode = Code | None
MaybeCount = A_count | None


def item(*, without: tuple[str, ...] = (), **fields: Any) -> Any:
    kept: dict[str, Any] = {"receivable_id": (An_id, ...), "amount": (Money, ...), "mark": (MaybeCode, None)} | fields
    return create_model("Item", __base__=Value, **{name: kept[name] for name in kept if name not in without})


Item = item()
FIELDS: dict[str, Any] = {
    "thing_id": (An_id, ...),
    "other_id": (An_id, ...),
    "count": (A_count, ...),
    "state": (closed("State", "on", "off"), ...),
    "reason": (opened("Reason", "rain", "snow"), ...),
    "rule": (Code, ...),
    "rate": (Number, ...),
    "seen_on": (A_day, ...),
    "kind": (Annotated[Literal["a"], Field(examples=["a"])], ...),
    "items": (tuple[Item, ...], ...),
    "flag": (bool, Field(default=True)),
    "note": (MaybeCode, Field(default=None, examples=["n1"])),
    "limit": (Money | None, None),
}
KWARGS: dict[str, Any] = {"publisher": TESTING, "name": "thing-happened", "key": "thing_id", "rely": ("client",)}


def thing(
    change: dict[str, Any] | None = None, *, without: tuple[str, ...] = (), meaning: str = "It happened.", **kwargs: Any
) -> dict[str, Any]:
    """The catalogue with that one event, its fields changed as said."""
    fields = {name: part for name, part in (FIELDS | (change or {})).items() if name not in without}
    event: type[Event] = create_model(
        "ThingHappened", __base__=Event, __doc__=meaning, __cls_kwargs__=KWARGS | kwargs, **fields
    )
    return {event.ce_type: event_schema(event)}


def made(annotation: Any, *examples: Any, **more: Any) -> Any:
    return (annotation, Field(examples=list(examples), **more))


BREAKING: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "removed required field": (lambda: thing(without=("count",)), "removed field"),
    "removed optional field": (lambda: thing(without=("note",)), "removed field"),
    "renamed field": (lambda: thing({"notice": FIELDS["note"]}, without=("note",)), "removed field"),
    "new required field": (lambda: thing({"added": (A_count, ...)}), "newly required field"),
    "optional field now required": (lambda: thing({"note": made(Code, "n1")}), "newly required field"),
    "required field now optional": (
        lambda: thing({"count": (MaybeCount, None)}), "no longer required field"),
    "integer now string": (lambda: thing({"count": made(Code, "1")}), "changed type"),
    "integer now integer or string": (lambda: thing({"count": made(int | Code, 1, ge=0, le=100)}), "changed"),
    "boolean now integer": (lambda: thing({"flag": made(int, 1)}), "changed type"),
    "list now single": (lambda: thing({"items": (Item, ...)}), "changed type"),
    "single now list": (lambda: thing({"limit": (tuple[Money, ...], ())}), "changed type"),
    "items of another type": (lambda: thing({"items": (tuple[Money, ...], ...)}), "removed field"),
    "lower bound raised": (lambda: thing({"count": made(int, 1, ge=1, le=100)}), "changed minimum"),
    "lower bound dropped": (lambda: thing({"count": made(int, 1, le=100)}), "changed minimum"),
    "upper bound lowered": (lambda: thing({"count": made(int, 1, ge=0, le=10)}), "changed maximum"),
    "upper bound raised": (lambda: thing({"count": made(int, 1, ge=0, le=1000)}), "changed maximum"),
    "list limited": (
        lambda: thing({"items": (tuple[Item, ...], Field(max_length=10))}), "changed maxItems"),
    "closed enum grew": (lambda: thing({"state": (closed("State", "on", "off", "maybe"), ...)}), "changed enum"),
    "closed enum shrank": (lambda: thing({"state": (closed("State", "on"), ...)}), "changed"),
    "closed enum value renamed": (lambda: thing({"state": (closed("State", "on", "out"), ...)}), "changed enum"),
    "open enum shrank": (lambda: thing({"reason": (opened("Reason", "rain"), ...)}), "changed"),
    "open enum closed": (lambda: thing({"reason": (closed("Reason", "rain", "snow"), ...)}), "changed openness"),
    "closed enum opened": (lambda: thing({"state": (opened("State", "on", "off"), ...)}), "changed openness"),
    "enum now any code": (lambda: thing({"state": made(Code, "on")}), "changed values"),
    "code now enum": (lambda: thing({"rule": (closed("Rule", "a", "b"), ...)}), "changed values"),
    "pattern narrowed": (lambda: thing({"rule": made(str, "A1", pattern="^[A-Z][0-9]$")}), "changed pattern"),
    "pattern widened": (lambda: thing({"rule": made(str, "A1", pattern="^.*$")}), "changed pattern"),
    "pattern dropped": (lambda: thing({"rule": made(str, "A1")}), "changed pattern"),
    "date now a moment": (lambda: thing({"seen_on": (Instant, ...)}), "changed format"),
    "uuid now any code": (lambda: thing({"other_id": made(Code, "x")}), "changed format"),
    "decimal string now integer": (lambda: thing({"rate": made(int, 1)}), "changed type"),
    "const changed": (lambda: thing({"kind": made(Literal["b"], "b")}), "changed const"),
    "const grew to an enum": (lambda: thing({"kind": made(Literal["a", "b"], "a")}), "changed enum"),
    "const dropped": (lambda: thing({"kind": made(Code, "a")}), "changed values"),
    "default changed": (lambda: thing({"flag": (bool, Field(default=False))}), "changed default"),
    "default dropped": (lambda: thing({"flag": (bool | None, None)}), "changed default"),
    "nested field removed": (
        lambda: thing({"items": (tuple[item(without=("mark",)), ...], ...)}),
        "removed field"),
    "nested field newly required": (
        lambda: thing({"items": (tuple[item(added=(A_count, ...)), ...], ...)}), "newly required field"),
    "nested type changed": (lambda: thing({"items": (tuple[item(amount=(Number, ...)), ...], ...)}), "changed type"),
    "key changed": (lambda: thing(key="other_id"), "changed key"),
    "topic changed": (lambda: thing(publisher=ELSEWHERE), "changed topic"),
    "now anonymous": (lambda: thing(anonymous=True), "changed anonymous"),
    "now restricted": (lambda: thing(publisher=LOCKED), "changed restricted"),
    "event removed": (dict, "removed event"),
    "event renamed": (lambda: thing(name="thing-occurred"), "removed event"),
    "new version in its place": (lambda: thing(version=2), "removed event"),
}  # fmt: skip

ADDITIVE: dict[str, Callable[[], dict[str, Any]]] = {
    "nothing": thing,
    "new optional field": lambda: thing({"added": (MaybeCode, Field(default=None, examples=["x"]))}),
    "new field with a default": lambda: thing({"added": (bool, Field(default=False))}),
    "new optional object": lambda: thing({"added": (Item | None, None)}),
    "new optional list": lambda: thing({"added": (tuple[Item, ...], ())}),
    "new optional nested field": lambda: thing({"items": (tuple[item(added=(MaybeCode, None)), ...], ...)}),
    "new optional field of a closed enum": lambda: thing({"added": (closed("Added", "x") | None, None)}),
    "open enum grew": lambda: thing({"reason": (opened("Reason", "rain", "snow", "hail"), ...)}),
    "enum's order": lambda: thing({"state": (closed("State", "off", "on"), ...)}),
    "enum renamed": lambda: thing({"state": (closed("Status", "on", "off"), ...)}),
    "fields' order": lambda: {
        name: {**schema, "properties": dict(reversed(schema["properties"].items()))} for name, schema in thing().items()
    },
    "meaning reworded": lambda: thing(meaning="It took place."),
    "description added": lambda: thing({"rule": (Code, Field(description="The rule."))}),
    "example changed": lambda: thing({"count": made(int, 7, ge=0, le=100)}),
    "others may rely on it": lambda: thing(rely=("client", "hr")),
    "new event": lambda: thing() | thing(name="thing-else-happened"),
    "new version beside the old": lambda: thing() | thing({"added": (A_count, ...)}, version=2),
}


def test_enough_is_planted() -> None:
    assert len(BREAKING) >= 20
    assert len(ADDITIVE) >= 10


@pytest.mark.parametrize("name", BREAKING)
def test_a_breaking_change_is_found(name: str) -> None:
    change, rule = BREAKING[name]
    found = compare_events(thing(), change())
    assert any(each.rule.startswith(rule) for each in found), found


@pytest.mark.parametrize("name", ADDITIVE)
def test_an_additive_change_passes(name: str) -> None:
    assert compare_events(thing(), ADDITIVE[name]()) == []


def test_a_break_says_where_and_what() -> None:
    change, _ = BREAKING["nested field newly required"]
    assert list(map(str, compare_events(thing(), change()))) == [
        "factoring.risk.thing-happened.v1 $.items[].added: newly required field: not every writer sends it"
    ]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"partitions": 24}, "changed partitions"),
        ({"restricted": True}, "changed restricted"),
        ({"retention_ms": 1000}, "shorter retention"),
        ({"max_bytes": 1000}, "smaller messages"),
        ({"name": "other.events"}, "removed topic"),
        ({"retention_ms": -1}, None),
        ({"max_bytes": 2_000_000}, None),
    ],
)
def test_topics_are_part_of_the_contract(change: dict[str, Any], rule: str | None) -> None:
    for topic in topic_documents():
        if topic["name"] == "gateway.events":
            assert [each.rule for each in compare_topics([topic], [topic | change])] == ([rule] if rule else [])


def test_every_event_is_compatible_with_itself() -> None:
    schemas = event_schemas()
    assert compare_events(schemas, deepcopy(dict(schemas))) == []


# --- one direction only, as an OpenAPI document needs it --------------------------------------------------------------

OBJECT = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"enum": ["x", "y"]}, "c": {"type": ["string", "null"]}},
    "required": ["a", "b"],
}


def changed(**properties: Any) -> dict[str, Any]:
    return OBJECT | {"properties": OBJECT["properties"] | properties}  # pyright: ignore[reportOperatorIssue, reportUnknownVariableType] (a literal of mixed values)


@pytest.mark.parametrize(
    ("new", "breaks_request", "breaks_response"),
    [
        (OBJECT, False, False),
        (OBJECT | {"required": ["a", "b", "c"]}, True, False),
        (OBJECT | {"required": ["a"]}, False, True),
        (changed(b={"enum": ["x", "y", "z"]}), False, True),
        (changed(b={"enum": ["x"]}), True, False),
        (changed(a={"type": "number"}), False, True),
        (changed(a={"type": "integer", "maximum": 5}), True, False),
        (changed(c={"type": "string"}), True, False),
        (changed(c={"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]}), False, True),
        (changed(d={"type": "string"}), False, False),
        (OBJECT | {"additionalProperties": False}, False, False),
        (OBJECT | {"properties": {"a": {"type": "integer"}, "b": {"enum": ["x", "y"]}}}, True, True),
    ],
)
def test_a_request_must_still_be_taken_and_an_answer_still_understood(
    new: dict[str, Any], breaks_request: bool, breaks_response: bool
) -> None:
    assert bool(compare_schemas(OBJECT, new, role="request")) is breaks_request
    assert bool(compare_schemas(OBJECT, new, role="response")) is breaks_response


def test_references_are_resolved_in_each_sides_own_document() -> None:
    old = {"components": {"schemas": {"Node": {"properties": {"next": {"$ref": "#/components/schemas/Node"}}}}}}
    new = {
        "components": {
            "schemas": {"Node": {"properties": {"next": {"$ref": "#/components/schemas/Node"}}, "required": ["next"]}}
        }
    }
    reference = {"$ref": "#/components/schemas/Node"}
    assert compare_schemas(reference, reference, role="request", old_root=old, new_root=old) == []
    assert compare_schemas(reference, reference, role="request", old_root=old, new_root=new) == [
        Break("$.next", "newly required field", "not every writer sends it")
    ]


def test_alternatives_may_grow_for_a_request_and_shrink_for_an_answer() -> None:
    fewer = {"oneOf": [{"type": "string"}, {"type": "object", "properties": {"a": {"type": "string"}}}]}
    more = {"oneOf": [*fewer["oneOf"], {"type": "integer"}]}
    assert compare_schemas(fewer, more, role="request") == []
    assert compare_schemas(more, fewer, role="response") == []
    assert compare_schemas(fewer, more, role="response") == [Break("$", "changed alternatives", "added integer")]
    assert compare_schemas(more, fewer, role="request") == [Break("$", "changed alternatives", "removed integer")]


# --- against another implementation -----------------------------------------------------------------------------------


DROPPED = ("x-", "default", "examples", "description", "$id")


def neutral(schema: Any, *, close: bool) -> Any:
    """The schema for jsoncompat: open enumerations are strings, the writer's objects are closed, defaults are gone."""
    if isinstance(schema, list):
        return [neutral(part, close=close) for part in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    given = cast("dict[str, Any]", schema)
    if given.get("x-open"):
        return {"type": "string"}
    plain: dict[str, Any] = {}
    for name, part in given.items():
        if name in ("properties", "$defs"):
            plain[name] = {field: neutral(of, close=close) for field, of in part.items()}
        elif not name.startswith(DROPPED):
            plain[name] = neutral(part, close=close)
    return plain | {"additionalProperties": False} if close and "properties" in plain else plain


def other_says_compatible(old: dict[str, Any], new: dict[str, Any]) -> bool:
    def text(schema: dict[str, Any], *, close: bool) -> str:
        return json.dumps(neutral(schema, close=close))

    backward = jsoncompat.check_compat(text(old, close=True), text(new, close=False), "deserializer")
    forward = jsoncompat.check_compat(text(old, close=False), text(new, close=True), "serializer")
    return backward and forward


@pytest.mark.parametrize("name", [*BREAKING, *ADDITIVE])
def test_whatever_jsoncompat_finds_is_found(name: str) -> None:
    new = BREAKING[name][0]() if name in BREAKING else ADDITIVE[name]()
    for ce_type, before in thing().items():
        if ce_type in new and not other_says_compatible(before, new[ce_type]):
            assert compare_schemas(before, new[ce_type], role="event")


leaves: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"type": "string"}, {"type": "integer"}, {"type": "number"}, {"type": "boolean"}, {"type": "null"},
        {"type": "integer", "minimum": 0}, {"type": "integer", "minimum": 1}, {"type": "integer", "maximum": 9},
        {"type": "string", "minLength": 1}, {"type": "string", "maxLength": 5},
        {"type": "string", "enum": ["a", "b"]}, {"type": "string", "enum": ["a"]},
        {"type": "string", "enum": ["a", "b", "c"]},
    ]
)  # fmt: skip


def list_of(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def nested(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    def of(properties: dict[str, Any], required: set[str]) -> dict[str, Any]:
        return {"type": "object", "properties": properties, "required": sorted(required & properties.keys())}

    return st.builds(
        of, st.dictionaries(st.sampled_from("pqr"), inner, max_size=3), st.sets(st.sampled_from("pqr"))
    ) | st.builds(list_of, inner)


shapes = st.recursive(leaves, nested, max_leaves=4)


@given(shapes, shapes)
def test_whatever_jsoncompat_finds_in_any_two_shapes_is_found(old: dict[str, Any], new: dict[str, Any]) -> None:
    if not compare_schemas(old, new, role="event"):
        assert other_says_compatible(old, new)


@given(shapes)
def test_any_shape_is_compatible_with_itself(shape: dict[str, Any]) -> None:
    for role in ("event", "request", "response"):
        assert compare_schemas(shape, deepcopy(shape), role=role) == []


@given(shapes, shapes)
def test_an_event_breaks_where_a_request_or_an_answer_does(old: dict[str, Any], new: dict[str, Any]) -> None:
    apart = {*compare_schemas(old, new, role="request"), *compare_schemas(old, new, role="response")}
    assert set(compare_schemas(old, new, role="event")) == apart
