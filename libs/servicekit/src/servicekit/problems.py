"""RFC 9457 problems: every error a caller sees is a class that states a fact, with a page that says its cause and fix.

Invariant: a problem document never echoes input and never carries the text of an unexpected exception; it has the
trace id, under which the logs tell the rest. A problem's docstring is its page: what happened, then how to mend it.
"""

import html
import logging
import re
from collections.abc import Iterable, Sequence
from datetime import date
from enum import Enum
from typing import Any, ClassVar
from uuid import UUID

import orjson
import sqlalchemy.exc as sa_exc
from asyncpg.exceptions import DataError as AsyncpgDataError
from asyncpg.exceptions import InterfaceError as AsyncpgInterfaceError
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from servicekit.telemetry import trace_id

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"


class FieldError(BaseModel):
    """One wrong field: where it is (dotted path) and why it is wrong."""

    field: str = Field(examples=["body.amount.currency"])
    reason: str = Field(examples=["Input should be a valid string"])


class ProblemDocument(BaseModel):
    """RFC 9457 problem details."""

    type: str = Field(description="Leads to a page with cause and fix", examples=["/problems/not-found"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no such thing, or it is not yours to see."])
    trace_id: str = Field(
        description="Find the request in traces and logs by it", examples=["4bf92f3577b34da6a3ce929d0e0e4736"]
    )
    about: list[str] = Field(default=[], description="The ids that the problem is about")
    errors: list[FieldError] = Field(default=[], description="The fields that are wrong")


_by_slug: "dict[str, type[Problem]]" = {}
_by_constraint: "dict[str, type[Problem]]" = {}


def slug(cls: type["Problem"]) -> str:
    """ClientTerminated → client-terminated."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", cls.__name__).lower()


class Problem(Exception):
    """The request could not be done."""

    status: ClassVar[int] = 500
    retry_after: ClassVar[int | None] = None
    constraint: ClassVar[str | None] = None
    """Name of a database constraint whose violation means this problem."""

    def __init__(
        self, *about: object, detail: str | None = None, field: str | None = None, reason: str | None = None
    ) -> None:
        super().__init__(*about)
        self.about = [_about(item) for item in about]
        self.detail = detail or first_paragraph(type(self))
        self.errors = [FieldError(field=field, reason=reason or self.detail)] if field else []
        self.headers: dict[str, str] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        known = _by_slug.get(slug(cls))
        if known is not None and known.__qualname__ != cls.__qualname__:
            raise TypeError(f"two problems are called {slug(cls)}: {known.__module__} and {cls.__module__}")
        _by_slug[slug(cls)] = cls
        if "constraint" in cls.__dict__ and cls.constraint:
            _by_constraint[cls.constraint] = cls


def _about(item: object) -> str:
    if isinstance(item, Enum):
        return str(item.value)
    if isinstance(item, UUID | int | date | str):
        return str(item)
    raise TypeError(f"a problem is about ids, numbers, dates or codes, not {type(item).__name__}")


class Conflict(Problem):
    """The request does not fit the present state.

    Read the present state, then decide again.
    """

    status = 409


class NotFound(Problem):
    """There is no such thing, or it is not yours to see.

    Check the id, and that your role and portfolio include it.
    """

    status = 404


class Invalid(Problem):
    """The request breaks a rule.

    `errors` names each field and what is wrong with it.
    """

    status = 422

    def __init__(self, field: object = None, reason: object = None, *about: object, detail: str | None = None) -> None:
        if isinstance(field, str) and isinstance(reason, str):
            super().__init__(*about, detail=detail, field=field, reason=reason)
        else:
            super().__init__(*(item for item in (field, reason, *about) if item is not None), detail=detail)


class Forbidden(Problem):
    """Your roles do not allow this.

    Ask whoever administers roles for the permission that the detail names.
    """

    status = 403


class Unauthenticated(Problem):
    """The request carries no valid access token.

    Get a token from the identity provider and send it as `Authorization: Bearer …`.
    """

    status = 401


class PreconditionFailed(Problem):
    """Somebody else has changed this since you read it.

    Read it again, then send the change with the new ETag in If-Match.
    """

    status = 412


class PreconditionRequired(Problem):
    """A change must say which version it changes.

    Send the ETag of your last read in the If-Match header.
    """

    status = 428


class Unavailable(Problem):
    """The service cannot do this right now.

    Try again after the seconds that Retry-After names; an Idempotency-Key makes that safe.
    """

    status = 503
    retry_after = 2


class BadRequest(Problem):
    """The request cannot be read.

    Send well-formed JSON in UTF-8 and well-formed headers.
    """

    status = 400


class MethodNotAllowed(Problem):
    """This address does not take this method.

    The Allow header and /docs list those it takes.
    """

    status = 405


class BodyTooLarge(Problem):
    """The request body is larger than this service takes.

    Send less at a time.
    """

    status = 413


class UnsupportedMediaType(Problem):
    """The body's content type is not one this operation takes.

    Send `Content-Type: application/json`.
    """

    status = 415


class ConcurrentChange(Conflict):
    """Two requests changed the same thing at the same moment, and the other came first.

    Read it again and repeat the request.
    """


class ValueOutOfRange(Invalid):
    """A value is too large, too precise or not representable for what it is.

    Check numbers, dates and texts against the ranges that OpenAPI states.
    """


class InternalError(Problem):
    """Something went wrong on our side.

    Report the trace id; the logs hold the cause under it.
    """

    status = 500


def title(cls: type[Problem]) -> str:
    """ClientTerminated → "Client terminated"."""
    return slug(cls).replace("-", " ").capitalize()


def _paragraphs(cls: type[Problem]) -> list[str]:
    doc = next((c.__doc__ for c in cls.__mro__ if c.__doc__), "")
    return [" ".join(part.split()) for part in (doc or "").strip().split("\n\n") if part.strip()]


def first_paragraph(cls: type[Problem]) -> str:
    """What happened, from the docstring."""
    return _paragraphs(cls)[0]


def _fix(cls: type[Problem]) -> str:
    for known in cls.__mro__:
        if issubclass(known, Problem) and len(_paragraphs(known)) > 1:
            return " ".join(_paragraphs(known)[1:])
    return ""


def problem_response(problem: Problem) -> Response:
    """The problem as the answer the caller gets."""
    document: dict[str, Any] = {
        "type": f"/problems/{slug(type(problem))}",
        "title": title(type(problem)),
        "status": problem.status,
        "detail": problem.detail,
        "trace_id": trace_id(),
    }
    if problem.about:
        document["about"] = problem.about
    if problem.errors:
        document["errors"] = [error.model_dump() for error in problem.errors]
    headers = dict(problem.headers)
    if problem.retry_after is not None:
        headers.setdefault("Retry-After", str(problem.retry_after))
    return Response(orjson.dumps(document), status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)


def problems(*classes: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """`responses=` of an operation: each status with its problems as examples."""
    by_status: dict[int | str, list[type[Problem]]] = {}
    for cls in classes:
        by_status.setdefault(cls.status, []).append(cls)
    return {status: response_of(found) for status, found in by_status.items()}


def response_of(classes: Sequence[type[Problem]]) -> dict[str, Any]:
    """One OpenAPI response object for problems that share a status."""
    return {
        "description": " · ".join(title(cls) for cls in classes),
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/ProblemDocument"},
                "examples": {slug(cls): {"value": example(cls)} for cls in classes},
            }
        },
    }


def example(cls: type[Problem]) -> dict[str, Any]:
    """The document of this problem, for OpenAPI."""
    return {
        "type": f"/problems/{slug(cls)}",
        "title": title(cls),
        "status": cls.status,
        "detail": first_paragraph(cls),
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    }


def _sqlstate(error: sa_exc.DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)


def _constraint(error: sa_exc.DBAPIError) -> str | None:
    cause = error.orig.__cause__ if error.orig is not None else None
    return getattr(cause, "constraint_name", None)


def of_database(error: sa_exc.SQLAlchemyError | OSError, *, conditional: bool) -> Problem | None:
    """What a database error means to the caller; None: it is our own mistake (500).

    Args:
        conditional: the request carried If-Match, so a lost race is 412 and not 409.
    """
    if isinstance(error, StaleDataError):
        return PreconditionFailed() if conditional else ConcurrentChange()
    if isinstance(error, OSError | sa_exc.TimeoutError):
        return Unavailable(detail="The database does not answer.")
    if not isinstance(error, sa_exc.DBAPIError):
        return None
    state = _sqlstate(error) or ""
    cause = error.orig.__cause__ if error.orig is not None else None
    if isinstance(error, sa_exc.IntegrityError):
        known = _by_constraint.get(_constraint(error) or "")
        return known() if known else None
    if error.statement is None and state not in {"40001", "40P01"}:
        return Unavailable(detail="The database does not answer.")
    if state.startswith("22") or isinstance(cause, AsyncpgDataError):
        return ValueOutOfRange()
    if state in {"40001", "40P01", "55P03"}:
        return ConcurrentChange()
    if (
        error.connection_invalidated
        or state.startswith(("08", "57P", "53"))
        or isinstance(cause, AsyncpgInterfaceError | OSError)
    ):
        return Unavailable(detail="The database does not answer.")
    if state == "57014":
        return Unavailable(detail="The database took too long.")
    return None


def _dotted(loc: Iterable[int | str]) -> str:
    return ".".join(str(part) for part in loc)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(error)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors: Sequence[Any] = error.errors()
    if any(item["type"] == "json_invalid" for item in errors):
        return problem_response(BadRequest(detail="The body is not JSON."))
    problem = Invalid()
    problem.errors = [FieldError(field=_dotted(item["loc"]), reason=_reason(item)) for item in errors]
    return problem_response(problem)


def _reason(item: dict[str, Any]) -> str:
    """Pydantic's message without anything that came from the caller."""
    if item["type"] in _SAFE_MESSAGES:
        return str(item["msg"])
    if item["type"] in {"value_error", "assertion_error"}:
        return str(item["msg"]).partition(", ")[2] or "is not valid"
    return str(item["type"]).replace("_", " ")


_SAFE_MESSAGES = frozenset(
    [
        "missing",
        "extra_forbidden",
        "greater_than",
        "greater_than_equal",
        "less_than",
        "less_than_equal",
        "multiple_of",
        "string_too_short",
        "string_too_long",
        "string_type",
        "string_pattern_mismatch",
        "string_unicode",
        "int_type",
        "int_parsing",
        "int_from_float",
        "int_parsing_size",
        "bool_type",
        "bool_parsing",
        "float_type",
        "float_parsing",
        "decimal_type",
        "decimal_parsing",
        "decimal_max_digits",
        "decimal_max_places",
        "decimal_whole_digits",
        "list_type",
        "dict_type",
        "model_type",
        "model_attributes_type",
        "too_short",
        "too_long",
        "uuid_type",
        "uuid_version",
        "date_type",
        "date_past",
        "datetime_type",
        "timezone_aware",
        "enum",
        "literal_error",
        "finite_number",
        "set_type",
        "tuple_type",
        "none_required",
        "bytes_type",
    ]
)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kinds: dict[int, type[Problem]] = {
        404: NotFound,
        405: MethodNotAllowed,
        413: BodyTooLarge,
        415: UnsupportedMediaType,
        401: Unauthenticated,
        403: Forbidden,
        400: BadRequest,
    }
    problem = kinds.get(error.status_code, BadRequest)()
    problem.headers = dict(error.headers or {})
    if error.status_code == 405:
        problem.headers["Allow"] = ", ".join(_methods_of(request))
    return problem_response(problem)


def _methods_of(request: Request) -> list[str]:
    """What the address takes, over all of its routes (the router names the first one's only)."""
    routes: Sequence[BaseRoute] = request.app.router.routes
    asked = ({**request.scope, "method": method} for method in ("DELETE", "GET", "PATCH", "POST", "PUT"))
    return [scope["method"] for scope in asked if any(route.matches(scope)[0] is Match.FULL for route in routes)]


async def _on_database(request: Request, error: Exception) -> Response:
    assert isinstance(error, sa_exc.SQLAlchemyError | StaleDataError | OSError)
    problem = of_database(error, conditional="if-match" in request.headers)
    if problem is None:
        raise error
    log.warning("database error answered as %s", slug(type(problem)), extra={"error_class": type(error).__name__})
    return problem_response(problem)


def internal_error() -> Response:
    """The answer to a failure that nobody foresaw."""
    return problem_response(InternalError())


def install(app: FastAPI) -> None:
    """Answer every error of this application as a problem, and serve the problems' pages."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(sa_exc.SQLAlchemyError, _on_database)
    app.add_exception_handler(StaleDataError, _on_database)
    app.add_exception_handler(OSError, _on_database)

    @app.get("/problems/{name}", include_in_schema=False)
    async def problem_page(name: str) -> Response:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        cls = _by_slug.get(name)
        if cls is None:
            raise NotFound
        page = (
            f"<!doctype html><meta charset=utf-8><title>{title(cls)}</title><h1>{title(cls)} ({cls.status})</h1>"
            f"<h2>Cause</h2><p>{html.escape(first_paragraph(cls))}</p><h2>Fix</h2><p>{html.escape(_fix(cls))}</p>"
        )
        return HTMLResponse(page)
