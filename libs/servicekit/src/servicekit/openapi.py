"""The OpenAPI document of a service: exported, committed, and checked for breaking changes like the events.

Whoever calls us was written against the committed document. So an operation stays, a request that was good stays good,
and an answer keeps its fields; additions are free.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

from fastapi import FastAPI

from contracts.compatibility import Break, Role, compare_schemas
from servicekit import problems as p
from servicekit.examples import Examples

Document = Mapping[str, Any]
_METHODS: Final = ("get", "put", "post", "delete", "patch", "head", "options")
_COMMON: Final[dict[str, type[p.Problem]]] = {
    "400": p.BadRequest,
    "401": p.Unauthenticated,
    "403": p.Forbidden,
    "422": p.Invalid,
    "503": p.Unavailable,
}
_IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes repeating this request safe: the same key and body get the same answer for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
    "example": "2f1c7f0a-3a34-4e51-b9d0-6d0f6f2f9a11",
}


def install(app: FastAPI) -> None:
    """Let the document say what the rails do (permissions, problems, idempotency, ETags), with examples."""
    plain = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            complete(plain())
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = document


def complete(document: dict[str, Any]) -> None:
    """Add to every operation what its route does by itself."""
    components: dict[str, Any] = document.setdefault("components", {})
    schemas: dict[str, Any] = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    described = p.ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(described.pop("$defs", {}))
    schemas["ProblemDocument"] = described
    examples = Examples(schemas)
    for name, schema in schemas.items():
        if "properties" in schema and "examples" in schema:
            schema["examples"] = [examples.of(schema, model=name)]
    shared: dict[str, Any] = components.setdefault("responses", {})
    for _, method, operation in operations(document):
        _complete_operation(method, cast("dict[str, Any]", operation), shared)
        for content in json_contents(operation):
            content["example"] = examples.of(content["schema"])


def _complete_operation(method: str, operation: dict[str, Any], shared: dict[str, Any]) -> None:
    permissions = permissions_of(operation)
    operation["x-permission"] = permissions
    if permissions:
        needs = " and ".join(f"`{permission}`" for permission in permissions)
        operation["description"] = (
            f"{operation.get('description', '').rstrip()}\n\nNeeds the permission {needs}.".lstrip()
        )
    responses: dict[str, Any] = operation["responses"]
    if "HTTPValidationError" in json.dumps(responses.get("422", {})):
        del responses["422"]
    parameters: list[dict[str, Any]] = operation.setdefault("parameters", [])
    common = dict(_COMMON)
    if method == "post":
        parameters.append(dict(_IDEMPOTENCY_KEY))
        common["409"] = p.Conflict
    if "requestBody" in operation:
        common["413"] = p.BodyTooLarge
    if any(each["in"] == "path" for each in parameters):
        common["404"] = p.NotFound
    if any(each["name"].lower() == "if-match" for each in parameters):
        common |= {"409": p.ConcurrentChange, "412": p.PreconditionFailed, "428": p.PreconditionRequired}
    for status, cls in common.items():
        if status not in responses:
            shared.setdefault(cls.__name__, p.response_of([cls]))
            responses[status] = {"$ref": f"#/components/responses/{cls.__name__}"}


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    """Path, method and operation of each."""
    for path, item in document.get("paths", {}).items():
        for method in _METHODS:
            if method in item:
                yield path, method, item[method]


def json_contents(operation: Document) -> Iterator[dict[str, Any]]:
    """The JSON body that the operation takes, and those of its good answers."""
    good = [operation["responses"][status] for status in sorted(_good(operation["responses"]))]
    for each in (operation.get("requestBody", {}), *good):
        if "application/json" in each.get("content", {}):
            yield each["content"]["application/json"]


def permissions_of(operation: Document) -> list[str]:
    """The permissions that an operation's security asks for."""
    asked = operation.get("security", [])
    return [scope for requirement in asked for scopes in requirement.values() for scope in scopes]


def text_of(document: Document) -> str:
    """The document as it is committed."""
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def check(document: Document, committed: Path) -> list[str]:
    """What is wrong with the committed document: breaking changes, or that it is stale. Empty: nothing."""
    if not committed.exists():
        return [f"{committed.name} is missing: write it with `openapi --write`"]
    before = json.loads(committed.read_text(encoding="utf-8"))
    found = [str(each) for each in compare(before, document)]
    if not found and text_of(document) != committed.read_text(encoding="utf-8"):
        found.append(f"{committed.name} is stale: write it again with `openapi --write`")
    return found


def compare(old: Document, new: Document) -> list[Break]:
    """Every change by which a caller written against `old` may fail against `new`, sorted."""
    now = {(path, method): operation for path, method, operation in operations(new)}
    found: list[Break] = []
    for path, method, before in operations(old):
        name = f"{method.upper()} {path}"
        after = now.get((path, method))
        if after is None:
            found.append(Break(name, "removed operation", "callers still call it"))
            continue
        comparison = _Comparison(name, old, new)
        found += comparison.operation(before, after)
    return sorted(set(found))


class _Comparison:
    """One operation, in both documents."""

    def __init__(self, name: str, old: Document, new: Document) -> None:
        self.name = name
        self.old = old
        self.new = new

    def operation(self, before: Document, after: Document) -> Iterator[Break]:
        if before.get("operationId") != after.get("operationId"):
            yield self._break("changed operation id", before.get("operationId"), after.get("operationId"))
        if sorted(permissions_of(before)) != sorted(permissions_of(after)):
            yield self._break("changed permission", permissions_of(before), permissions_of(after))
        yield from self._parameters(before, after)
        yield from self._body(before, after)
        yield from self._responses(before, after)

    def _break(self, rule: str, was: object, now: object, where: str = "") -> Break:
        return Break(f"{self.name}{where}", rule, f"{was!r} became {now!r}")

    def _parameters(self, before: Document, after: Document) -> Iterator[Break]:
        was = self._by_name(before, self.old)
        now = self._by_name(after, self.new)
        for key, parameter in was.items():
            where = f" {key[0]} {key[1]}"
            if key not in now:
                yield self._break("removed parameter", key[1], None, where)
                continue
            if now[key].get("required") and not parameter.get("required"):
                yield self._break("newly required parameter", "optional", "required", where)
            yield from self._schemas(parameter.get("schema", {}), now[key].get("schema", {}), "request", where)
        for key, parameter in now.items():
            if key not in was and parameter.get("required"):
                yield self._break("new required parameter", None, key[1], f" {key[0]} {key[1]}")

    def _by_name(self, operation: Document, root: Document) -> dict[tuple[str, str], Document]:
        found = [_resolve(each, root) for each in operation.get("parameters", [])]
        return {(each["in"], each["name"].lower() if each["in"] == "header" else each["name"]): each for each in found}

    def _body(self, before: Document, after: Document) -> Iterator[Break]:
        was = _resolve(before.get("requestBody", {}), self.old)
        now = _resolve(after.get("requestBody", {}), self.new)
        if now.get("required") and not was.get("required"):
            yield self._break("newly required body", "optional" if was else None, "required", " body")
        for kind, content in was.get("content", {}).items():
            if kind not in now.get("content", {}):
                yield self._break("removed body type", kind, None, " body")
                continue
            yield from self._schemas(
                content.get("schema", {}), now["content"][kind].get("schema", {}), "request", " body"
            )

    def _responses(self, before: Document, after: Document) -> Iterator[Break]:
        was, now = before["responses"], after["responses"]
        for status in sorted(_good(was) ^ _good(now)):
            yield self._break("changed success status", sorted(_good(was)), sorted(_good(now)), f" {status}")
        for status, response in was.items():
            where = f" {status}"
            if status not in now:
                continue
            old, new = _resolve(response, self.old), _resolve(now[status], self.new)
            for header in set(old.get("headers", {})) - set(new.get("headers", {})):
                yield self._break("removed response header", header, None, where)
            for kind, content in old.get("content", {}).items():
                if kind not in new.get("content", {}):
                    yield self._break("removed response type", kind, None, where)
                    continue
                yield from self._schemas(
                    content.get("schema", {}), new["content"][kind].get("schema", {}), "response", where
                )

    def _schemas(self, was: Document, now: Document, role: Role, where: str) -> Iterator[Break]:
        for each in compare_schemas(was, now, role=role, old_root=self.old, new_root=self.new):
            yield Break(f"{self.name}{where} {each.path}", each.rule, each.detail)


def _good(responses: Document) -> frozenset[str]:
    return frozenset(status for status in responses if status.startswith("2"))


def _resolve(part: Document, root: Document) -> Document:
    while "$ref" in part:
        found: Any = root
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step.replace("~1", "/").replace("~0", "~")]
        part = found
    return part
