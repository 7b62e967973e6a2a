"""An example of every request body and every good answer, made from what models and fields give as examples.

A model may give an example, whole or in part (`model_config = example(…)`), a field may (`Field(examples=[…])`). A
field without takes what all fields of its name and kind give, in the document or else in the events; a number, a date
or an id gets a plain one. A text that nobody gave an example stops the export, so none is ever missing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final

from pydantic import ConfigDict

from contracts.documents import event_schemas

Schema = Mapping[str, Any]
Kind = tuple[str, Any, Any]
"""A field's name, type and format."""

_NOTHING: Final = object()
_PLAIN: Final = {
    "uuid": "0199a7c0-eeee-7aaa-8aaa-000000000015",
    "date": "2026-11-02",
    "date-time": "2026-11-03T02:15:00Z",
}
_TELLS_LESS: Final = {"null": 2, "number": 1}


class NoExample(LookupError):
    """This field has no example; give it one: `Field(examples=[…])`."""


def example(**fields: Any) -> ConfigDict:
    """`model_config` of a model with an example: these fields; required ones left out are null, or else derived."""
    return ConfigDict(json_schema_extra={"examples": [fields]})


class Examples:
    """The examples of one document's schemas."""

    def __init__(self, models: Mapping[str, Schema]) -> None:
        self._models = models
        self._agreed = _known_to_all() | _agreed(models.values())

    def of(self, schema: Schema, name: str = "", model: str = "") -> Any:
        """A value that fits the schema, always the same.

        Args:
            name: of the field that has the schema. model: which has the field.

        Raises:
            NoExample: there is a text without one.
        """
        given = _given(schema)
        if given is not _NOTHING:
            return self._object(schema, given, model) if "properties" in schema else given
        if "$ref" in schema:
            model = schema["$ref"].rsplit("/", 1)[1]
            return self.of(self._models[model], name, model)
        if "anyOf" in schema:
            return self.of(_telling(schema), name, model)
        kind, form = schema.get("type"), schema.get("format")
        agreed = self._agreed.get((name, kind, form), _NOTHING)
        if agreed is not _NOTHING and (kind != "string" or re.search(schema.get("pattern", ""), agreed)):
            return agreed
        match kind:
            case "object":
                return self._object(schema, None, model)
            case "array":
                return [self.of(schema["items"], name, model)]
            case "integer" | "number":
                return max(1, schema.get("minimum", 1))
            case "boolean":
                return True
            case "string" if form in _PLAIN:
                return _PLAIN[form]
            case _:
                raise NoExample(f"{model}.{name}")

    def _object(self, schema: Schema, given: dict[str, Any] | None, model: str) -> dict[str, Any]:
        fields = schema.get("properties", {})
        if given is None:
            return {name: self.of(part, name, model) for name, part in fields.items()}
        lacking = {name: fields[name] for name in schema.get("required", ()) if name not in given}
        return given | {name: None if _empty(part) else self.of(part, name, model) for name, part in lacking.items()}


def _given(schema: Schema) -> Any:
    """What the schema itself offers."""
    if schema.get("examples"):
        return schema["examples"][0]
    if "const" in schema:
        return schema["const"]
    if schema.get("default") not in (None, "", []):
        return schema["default"]
    return schema["enum"][0] if "enum" in schema else _NOTHING


def _empty(schema: Schema) -> bool:
    """Whether null will do, for nothing else is offered."""
    return _given(schema) is _NOTHING and {"type": "null"} in schema.get("anyOf", ())


def _telling(schema: Schema) -> Schema:
    """Of alternatives the one that tells most: not null, and a decimal as text."""
    alternatives: list[Schema] = schema.get("anyOf", [schema])
    return min(alternatives, key=lambda each: _TELLS_LESS.get(each.get("type", ""), 0))


def _fields(model: Schema) -> Iterator[tuple[Kind, Any]]:
    for name, part in model.get("properties", {}).items():
        told = _telling(part)
        given = next((each for each in (_given(part), _given(told)) if each is not _NOTHING), None)
        if given is not None:
            yield (name, told.get("type"), told.get("format")), given


def _agreed(models: Iterable[Schema]) -> dict[Kind, Any]:
    """What all fields of a name and kind that give anything give alike."""
    given: dict[Kind, list[Any]] = {}
    for model in models:
        for kind, value in _fields(model):
            given.setdefault(kind, []).append(value)
    return {kind: values[0] for kind, values in given.items() if all(each == values[0] for each in values)}


@cache
def _known_to_all() -> dict[Kind, Any]:
    events = event_schemas().values()
    return _agreed(model for event in events for model in (event, *event.get("$defs", {}).values()))
