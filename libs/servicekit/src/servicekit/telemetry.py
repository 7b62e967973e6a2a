"""Traces, logs and request metrics: one trace from an HTTP request to its effect elsewhere, never with personal data.

Invariant: spans and logs carry routes, ids, statuses and error classes; no bodies, no query strings, no validation
input, no exception text of a request.
"""

import copy
import logging
import re
import sys
import traceback
from collections.abc import Callable
from time import perf_counter
from typing import Any
from uuid import uuid4

from fastapi import Request
from opentelemetry import propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, Status, StatusCode
from pythonjsonlogger.json import JsonFormatter
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils.compat import uuid7

from eventing.session import Context
from servicekit.metrics import HTTP_IN_FLIGHT, HTTP_REQUESTS, HTTP_SECONDS

tracer = trace.get_tracer("servicekit")
log = logging.getLogger("servicekit.http")
_CORRELATION = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")


def trace_id() -> str:
    """The current trace id, 32 hex digits; a fresh random one where nothing is traced."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else uuid4().hex


def traceparent() -> str | None:
    """The current span as a W3C traceparent."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent")


def request_context(request: Request) -> Context:
    """Who causes what this request does, for its events and audit entries."""
    return Context(
        actor=request.state.principal.subject,
        correlation_id=request.state.correlation_id,
        causation_id=None,
        traceparent=traceparent(),
    )


class RedactingFormatter(JsonFormatter):
    """JSON log lines with trace ids. An exception is logged as its class and where it was raised, without its text."""

    def __init__(self, service: str) -> None:
        super().__init__(  # pyright: ignore[reportUnknownMemberType] - the library leaves its arguments untyped
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "at", "levelname": "level", "name": "logger"},
            static_fields={"service": service},
            datefmt="%Y-%m-%dT%H:%M:%S%z",
        )

    def format(self, record: logging.LogRecord) -> str:
        """The line; an exception among the arguments is told without its text."""
        if isinstance(record.args, tuple) and any(isinstance(item, BaseException) for item in record.args):
            record = copy.copy(record)
            record.args = tuple(redacted(a) if isinstance(a, BaseException) else a for a in record.args or ())
        return super().format(record)

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        super().add_fields(log_data, record, message_dict)
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            log_data["trace_id"] = f"{context.trace_id:032x}"
            log_data["span_id"] = f"{context.span_id:016x}"

    def formatException(self, ei: Any) -> str:
        return redacted(ei[1])


def redacted(error: BaseException | None) -> str:
    """The classes and code places of an exception and its causes, without any message."""
    parts: list[str] = []
    while error is not None:
        frames = traceback.extract_tb(error.__traceback__)[-8:]
        places = " < ".join(
            f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in reversed(frames)
        )
        parts.append(f"{type(error).__module__}.{type(error).__qualname__} at {places}")
        error = error.__cause__ or error.__context__
    return " | caused by ".join(parts)


def configure(service: str, *, level: str, endpoint: str | None, sample: float = 1.0) -> TracerProvider:
    """Set up logging to stderr and tracing for this process; the provider must be shut down at the end."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactingFormatter(service))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("uvicorn.access", "httpx", "aiokafka", "faststream"):
        logging.getLogger(noisy).setLevel("WARNING")
    provider = TracerProvider(
        resource=Resource.create({"service.name": service}),
        sampler=ParentBased(TraceIdRatioBased(sample if endpoint else 0.0)),
    )
    if endpoint:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 (0.3 s of a start without it)
            OTLPSpanExporter,
        )

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")))
    trace.set_tracer_provider(provider)
    return provider


class RequestTelemetry:
    """ASGI middleware: a span, a metric and a correlation id per request; a failure is answered inside its span."""

    def __init__(self, app: ASGIApp, failed: Callable[[], Response]) -> None:
        self.app = app
        self.failed = failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        asked = headers.get("x-correlation-id", "")
        correlation_id = asked if _CORRELATION.match(asked) else str(uuid7())
        scope.setdefault("state", {})["correlation_id"] = correlation_id
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        status = 0
        started = perf_counter()

        async def respond(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Correlation-ID"] = correlation_id
            await send(message)

        HTTP_IN_FLIGHT.inc()
        with tracer.start_as_current_span(
            method,
            context=propagate.extract(headers),
            kind=SpanKind.SERVER,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                await self.app(scope, receive, respond)
            except Exception as error:
                log.error("request failed: %s", redacted(error))  # noqa: TRY400 - the text of the exception stays out
                if status:
                    raise
                await self.failed()(scope, receive, respond)
            finally:
                route = getattr(scope.get("route"), "path", "unmatched")
                span.update_name(f"{method} {route}")
                span.set_attributes(
                    {"http.request.method": method, "http.route": route, "http.response.status_code": status}
                )
                if status >= 500:
                    span.set_status(Status(StatusCode.ERROR))
                HTTP_IN_FLIGHT.dec()
                HTTP_REQUESTS.labels(method, route, str(status)).inc()
                HTTP_SECONDS.labels(method, route).observe(perf_counter() - started)


_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
