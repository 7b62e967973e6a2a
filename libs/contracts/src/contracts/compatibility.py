"""Whether a changed JSON Schema still fits those who read and write by the old one.

A reader ignores unknown fields and a writer writes only declared ones; under that rule a schema *accepts* another when
whatever the other writes, it can read. An event must hold both ways, for its topic is kept for ever and its readers are
not released with it; a request must be accepted by the new schema, a response by the old one. Beyond that nothing
declared may vanish, and what a reader relies on beside the shape (topic, key, anonymity, openness) may not change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

Schema = Mapping[str, Any]
Role = Literal["event", "request", "response"]

_LOWER: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_SAME_OR_ABSENT: Final = ("pattern", "format", "multipleOf", "uniqueItems", "contentEncoding", "contentMediaType")
_OPAQUE: Final = (
    "not", "if", "then", "else", "contains", "dependentRequired", "dependentSchemas", "patternProperties",
    "propertyNames", "unevaluatedProperties", "unevaluatedItems",
)  # fmt: skip
_FIXED: Final = ("x-type", "x-publisher", "x-topic", "x-key", "x-anonymous", "x-restricted")
_JSON_NAMES: Final[Mapping[type[object], str]] = {
    bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null", list: "array",
}  # fmt: skip
_TYPES: Final = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})


@dataclass(frozen=True, slots=True, order=True)
class Break:
    """One thing that would no longer fit. `path` leads into the schema, `rule` names what was broken."""

    path: str
    rule: str
    detail: str

    def __str__(self) -> str:
        return f"{self.path}: {self.rule}: {self.detail}"


def compare_schemas(
    old: Schema, new: Schema, *, role: Role, old_root: Schema | None = None, new_root: Schema | None = None
) -> list[Break]:
    """Every break between two versions of a schema, sorted; none means the change is additive.

    References (`#/…`) are resolved in the roots, which are the schemas themselves where not given: hand in the whole
    OpenAPI documents to compare parts of them.
    """
    roots = (old if old_root is None else old_root, new if new_root is None else new_root)
    found: set[Break] = set()
    if role in ("event", "request"):
        found.update(_Reading(reads=roots[1], wrote=roots[0], old_wrote=True).breaks(new, old, "$"))
    if role in ("event", "response"):
        found.update(_Reading(reads=roots[0], wrote=roots[1], old_wrote=False).breaks(old, new, "$"))
    return sorted(found)


def compare_events(old: Mapping[str, Schema], new: Mapping[str, Schema]) -> list[Break]:
    """Every break between two catalogues of event schemas, by type; a new event is none."""
    found: list[Break] = []
    for ce_type, before in old.items():
        after = new.get(ce_type)
        if after is None:
            found.append(Break(ce_type, "removed event", "publish a new version beside it instead"))
            continue
        found += [
            Break(ce_type, f"changed {name[2:]}", f"{before.get(name)!r} became {after.get(name)!r}")
            for name in _FIXED
            if before.get(name) != after.get(name)
        ]
        found += [
            Break(f"{ce_type} {each.path}", each.rule, each.detail)
            for each in compare_schemas(before, after, role="event")
        ]
    return found


def compare_topics(old: Sequence[Schema], new: Sequence[Schema]) -> list[Break]:
    """Breaks between two lists of topics: one is gone, re-partitioned (keys would move), kept shorter or restricted."""
    now = {topic["name"]: topic for topic in new}
    found: list[Break] = []
    for before in old:
        name = before["name"]
        after = now.get(name)
        if after is None:
            found.append(Break(name, "removed topic", "its history is somebody's projection"))
            continue
        for setting in ("partitions", "restricted"):
            if before[setting] != after[setting]:
                found.append(Break(name, f"changed {setting}", f"{before[setting]} became {after[setting]}"))
        was, is_ = (float("inf") if each["retention_ms"] == -1 else each["retention_ms"] for each in (before, after))
        if is_ < was:
            found.append(Break(name, "shorter retention", f"{was} ms became {is_} ms"))
        if after["max_bytes"] < before["max_bytes"]:
            found.append(Break(name, "smaller messages", f"{before['max_bytes']} became {after['max_bytes']}"))
    return found


@dataclass(frozen=True, slots=True)
class _Reading:
    """One direction: what stops a reader from reading all that a writer may write."""

    reads: Schema
    wrote: Schema
    old_wrote: bool

    def breaks(self, reader: Schema, writer: Schema, path: str) -> list[Break]:
        return self._any(reader, writer, path, frozenset())

    def _any(self, reader: Any, writer: Any, path: str, seen: frozenset[tuple[str, str]]) -> list[Break]:
        names = (_reference(reader), _reference(writer))
        if names != ("", "") and names in seen:
            return []
        seen |= {names}
        reader, writer = _resolved(reader, self.reads), _resolved(writer, self.wrote)
        readers, writers = _alternatives(reader, self.reads), _alternatives(writer, self.wrote)
        if len(readers) == 1 and len(writers) == 1:
            return self._one(readers[0], writers[0], path, seen)
        found: list[Break] = []
        for each in writers:
            if not any(not self._one(one, each, path, seen) for one in readers):
                alike = [one for one in readers if _types(one) == _types(each)]
                if len(alike) == 1:
                    found += self._one(alike[0], each, path, seen)
                else:
                    word = "removed" if self.old_wrote else "added"
                    found.append(Break(path, "changed alternatives", f"{word} {_name(each)}"))
        return found

    def _one(self, reader: Schema, writer: Schema, path: str, seen: frozenset[tuple[str, str]]) -> list[Break]:
        found = self._values(reader, writer, path)
        if _known(writer) is None or _known(reader) is None:
            found += self._types(reader, writer, path)
        found += self._bounds(reader, writer, path)
        found += self._fields(reader, writer, path, seen)
        found += self._items(reader, writer, path, seen)
        return found

    def _values(self, reader: Schema, writer: Schema, path: str) -> list[Break]:
        read, written = _known(reader), _known(writer)
        is_open = bool(reader.get("x-open"))
        if read is not None and written is not None and is_open != bool(writer.get("x-open")):
            return [Break(path, "changed openness", "readers were told whether values may be added")]
        if read is None:
            return []
        if written is None:
            word = "limited to" if self.old_wrote else "no longer limited to"
            return [Break(path, "changed values", f"{word} {read}")]
        extra = [value for value in written if value not in read]
        if not extra or (is_open and not self.old_wrote):
            return []
        rule = "changed const" if "const" in reader and "const" in writer else "changed enum"
        word = "removed" if self.old_wrote else "added to an enumeration not marked open"
        return [Break(path, rule, f"{extra} {word}")]

    def _types(self, reader: Schema, writer: Schema, path: str) -> list[Break]:
        lacking = _types(writer) - _types(reader)
        if "number" in _types(reader):
            lacking -= {"integer"}
        if not lacking:
            return []
        word = "no longer read" if self.old_wrote else "newly written"
        return [Break(path, "changed type", f"{', '.join(sorted(lacking))} {word}")]

    def _bounds(self, reader: Schema, writer: Schema, path: str) -> list[Break]:
        found: list[Break] = []
        for name in (*_LOWER, *_UPPER):
            if name not in reader:
                continue
            limit, other = reader[name], writer.get(name)
            if other is None or (other < limit if name in _LOWER else other > limit):
                found.append(Break(path, f"changed {name}", f"{other} against {limit}"))
        found += [
            Break(path, f"changed {name}", f"{writer.get(name)!r} against {reader[name]!r}")
            for name in _SAME_OR_ABSENT
            if reader.get(name) and reader[name] != writer.get(name)
        ]
        found += [
            Break(path, f"changed {name}", "compared as a whole")
            for name in _OPAQUE
            if reader.get(name) != writer.get(name)
        ]
        if self.old_wrote and "default" in writer and writer["default"] != reader.get("default"):
            found.append(Break(path, "changed default", "what is left out means something else"))
        return found

    def _fields(self, reader: Schema, writer: Schema, path: str, seen: frozenset[tuple[str, str]]) -> list[Break]:
        if not {"object"} & _types(reader) & _types(writer):
            return []
        read = cast(Schema, reader.get("properties", {}))
        written = cast(Schema, writer.get("properties", {}))
        more_read, more_written = reader.get("additionalProperties", True), writer.get("additionalProperties", True)
        found: list[Break] = []
        gone = (written.keys() - read.keys()) if self.old_wrote else (read.keys() - written.keys())
        for name in gone:
            found.append(Break(f"{path}.{name}", "removed field", "it was declared"))
        for name in reader.get("required", ()):
            if name not in writer.get("required", ()) and name not in gone:
                rule = "newly required field" if self.old_wrote else "no longer required field"
                found.append(Break(f"{path}.{name}", rule, "not every writer sends it"))
        for name, part in written.items():
            if name in read:
                found += self._any(read[name], part, f"{path}.{name}", seen)
            elif more_read is False and name not in gone:
                found.append(Break(f"{path}.{name}", "refused field", "the reader takes no others"))
            elif isinstance(more_read, Mapping):
                found += self._any(more_read, part, f"{path}.{name}", seen)
        if isinstance(more_read, Mapping) and isinstance(more_written, Mapping):
            found += self._any(more_read, more_written, f"{path}.*", seen)
        elif isinstance(more_written, Mapping) and more_read is False:
            found.append(Break(f"{path}.*", "refused field", "the reader takes no others"))
        elif isinstance(more_read, Mapping) and not written and more_written is True:
            found.append(Break(f"{path}.*", "changed type", "any value against a described one"))
        return found

    def _items(self, reader: Schema, writer: Schema, path: str, seen: frozenset[tuple[str, str]]) -> list[Break]:
        if not {"array"} & _types(reader) & _types(writer):
            return []
        first_read, first_written = reader.get("prefixItems", ()), writer.get("prefixItems", ())
        if len(first_read) != len(first_written):
            return [Break(path, "changed prefixItems", f"{len(first_written)} against {len(first_read)}")]
        found = [
            each
            for at, (one, other) in enumerate(zip(first_read, first_written, strict=True))
            for each in self._any(one, other, f"{path}[{at}]", seen)
        ]
        if reader.get("items", True) is not True:
            found += self._any(reader["items"], writer.get("items", {}), f"{path}[]", seen)
        return found


def _reference(schema: Any) -> str:
    return cast(Schema, schema).get("$ref", "") if isinstance(schema, Mapping) else ""


def _resolved(schema: Any, root: Schema) -> Schema:
    if schema is True:
        return {}
    if schema is False:
        return {"not": {}}
    while "$ref" in schema:
        target: Any = root
        for step in cast(str, schema["$ref"]).removeprefix("#/").split("/"):
            target = target[step.replace("~1", "/").replace("~0", "~")]
        schema = {**target, **{name: part for name, part in schema.items() if name != "$ref"}}
    parts = schema.get("allOf")
    if parts is None:
        return cast(Schema, schema)
    merged: dict[str, Any] = {}
    for part in (*(_resolved(each, root) for each in parts), {n: p for n, p in schema.items() if n != "allOf"}):
        for name, value in part.items():
            if name in ("properties", "$defs"):
                merged[name] = {**merged.get(name, {}), **value}
            elif name == "required":
                merged[name] = [*merged.get(name, ()), *value]
            else:
                merged[name] = value
    return merged


def _alternatives(schema: Schema, root: Schema) -> list[Schema]:
    for word in ("anyOf", "oneOf"):
        if word in schema:
            rest = {name: part for name, part in schema.items() if name != word}
            return [
                one
                for each in schema[word]
                for one in _alternatives(_resolved({**rest, **_resolved(each, root)}, root), root)
            ]
    if isinstance(schema.get("type"), list):
        return [{**schema, "type": each} for each in schema["type"]]
    return [schema]


def _known(schema: Schema) -> list[Any] | None:
    """The only values there are, or None where any of its type will do."""
    if "const" in schema:
        return [schema["const"]]
    return cast("list[Any] | None", schema.get("enum"))


def _types(schema: Schema) -> frozenset[str]:
    if "type" in schema:
        return frozenset({cast(str, schema["type"])})
    if (values := _known(schema)) is not None:
        return frozenset(_JSON_NAMES.get(cast(type[object], type(value)), "object") for value in values)
    if "properties" in schema:
        return frozenset({"object"})
    return _TYPES


def _name(schema: Schema) -> str:
    return cast(str, schema.get("title") or "/".join(sorted(_types(schema))))
