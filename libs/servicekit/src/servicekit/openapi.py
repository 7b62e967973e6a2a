"""The OpenAPI document of a service: exported, committed, and checked for breaking changes like the events."""

from typing import Any, cast

from fastapi import FastAPI

from servicekit import problems as p

COMMON: dict[int, type[p.Problem]] = {
    400: p.BadRequest,
    401: p.Unauthenticated,
    403: p.Forbidden,
    413: p.BodyTooLarge,
    422: p.Invalid,
    503: p.Unavailable,
}


def install(app: FastAPI) -> None:
    """Let the document say what the rails do: permissions, problems, idempotency."""
    plain = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            complete(plain())
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = document  # pyright: ignore[reportAttributeAccessIssue] - FastAPI documents this way of extending


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Add to every operation what its route does by itself."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas.setdefault(
        "ProblemDocument", p.ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    )
    for name, definition in schemas["ProblemDocument"].pop("$defs", {}).items():
        schemas.setdefault(name, definition)
    for item in document.get("paths", {}).values():
        for method, operation in item.items():
            if isinstance(operation, dict) and "responses" in operation:
                _complete_operation(method, cast(dict[str, Any], operation))
    return document


def _complete_operation(method: str, operation: dict[str, Any]) -> None:
    permissions = [
        scope for requirement in operation.get("security", []) for scopes in requirement.values() for scope in scopes
    ]
    operation["x-permission"] = permissions
    if permissions:
        needs = " and ".join(f"`{permission}`" for permission in permissions)
        operation["description"] = (
            f"{operation.get('description', '').rstrip()}\n\nNeeds the permission {needs}.".lstrip()
        )
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422", "")):
        del responses["422"]
    for status, cls in COMMON.items():
        responses.setdefault(str(status), _response(cls))
    if method == "post":
        responses.setdefault("409", _response(p.Conflict))
        operation.setdefault("parameters", []).append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "Makes repeating this request safe: the same key and body get the same answer for 24 hours.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
                "example": "2f1c7f0a-3a34-4e51-b9d0-6d0f6f2f9a11",
            }
        )
    if "{" in str(operation.get("operationId")) or any(
        each.get("in") == "path" for each in operation.get("parameters", [])
    ):
        responses.setdefault("404", _response(p.NotFound))
    if any(each.get("name", "").lower() == "if-match" for each in operation.get("parameters", [])):
        responses.setdefault("412", _response(p.PreconditionFailed))
        responses.setdefault("428", _response(p.PreconditionRequired))


def _response(cls: type[p.Problem]) -> dict[str, Any]:
    found = p.response_of([cls])
    found.pop("model", None)
    return found
