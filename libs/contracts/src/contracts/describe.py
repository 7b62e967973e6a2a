"""A model's JSON Schema in the writer's view, and an example made from the examples its fields declare.

Writer's view: what is put on the wire. Absent is absent (never null), an open enumeration lists what may be written.
"""

from __future__ import annotations

from typing import Any, cast

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema


class WritersView(GenerateJsonSchema):
    """Pydantic's generator without titles and without null: an optional field is left out."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        described = super().default_schema(schema)
        if "default" in described and described["default"] is None:
            del described["default"]
        return described


def writers_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The model's JSON Schema (draft 2020-12); definitions under `$defs`."""
    return model.model_json_schema(schema_generator=WritersView, mode="serialization")


def example_of(schema: dict[str, Any], definitions: dict[str, Any] | None = None) -> Any:
    """A JSON value that fits the schema: each part's first example, or its first enumerated value."""
    defs = cast(dict[str, Any], schema.get("$defs", {})) if definitions is None else definitions
    if schema.get("examples"):
        return schema["examples"][0]
    if "$ref" in schema:
        return example_of(defs[schema["$ref"].rsplit("/", 1)[1]], defs)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], defs)
    match schema.get("type"):
        case "object":
            return {name: example_of(part, defs) for name, part in schema.get("properties", {}).items()}
        case "array":
            return [example_of(schema["items"], defs)]
        case "boolean":
            return True
        case kind:
            raise ValueError(f"no example for {kind}: {schema}")
