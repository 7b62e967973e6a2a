"""What schemathesis is told beside the OpenAPI document: a token that each operation accepts, and values that exist.

Loaded by schemathesis in its own process; `attack.py` sets ATTACK.
"""

# What schemathesis decorates with is typed by half.
# pyright: reportUnknownMemberType=false

import json
import os
import zlib
from typing import Any

import schemathesis

ATTACK: dict[str, Any] = json.loads(os.environ["ATTACK"])
TOKENS: dict[str, str] = ATTACK["tokens"]
KNOWN: dict[str, list[Any]] = ATTACK["known"]


@schemathesis.auth(refresh_interval=None)
class ByPermission:
    """The token of a role that may do the operation (not remembered from one operation to the next)."""

    def get(self, case: schemathesis.Case[Any], context: schemathesis.AuthContext) -> str:
        """Its token."""
        return TOKENS[case.operation.definition.raw["x-permission"][0]]

    def set(self, case: schemathesis.Case[Any], data: str, context: schemathesis.AuthContext) -> None:
        """Put it where it belongs."""
        case.headers["Authorization"] = f"Bearer {data}"


def _known(values: Any) -> Any:
    """Three times in four, a value that exists; which one follows from what was generated, so a run can be repeated."""
    if not isinstance(values, dict):
        return values
    mapped: dict[str, Any] = dict(values)  # pyright: ignore[reportUnknownArgumentType] - whatever was generated
    for name, value in mapped.items():
        drawn = zlib.crc32(str(value).encode(errors="replace"))
        if name in KNOWN and drawn % 4:
            mapped[name] = KNOWN[name][drawn // 4 % len(KNOWN[name])]
    return mapped


@schemathesis.hook
def map_path_parameters(context: schemathesis.HookContext, path_parameters: Any) -> Any:
    """Ids in the path."""
    return _known(path_parameters)


@schemathesis.hook
def map_query(context: schemathesis.HookContext, query: Any) -> Any:
    """Ids in the query."""
    return _known(query)


@schemathesis.hook
def map_headers(context: schemathesis.HookContext, headers: Any) -> Any:
    """A version that fits."""
    return _known(headers)


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: Any) -> Any:
    """Ids in the body."""
    return _known(body)
