"""Traces and logs: one trace from request to effect, correlation ids, and nothing personal in either."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY

from contracts.base import Meta
from contracts.risk import ExposureChanged
from eventing.schema import outbox
from servicekit.telemetry import RedactingFormatter, redacted
from servicekit.testing import Harness

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE = PARENT.split("-")[1]


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    memory = InMemorySpanExporter()
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    return memory


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Iterator[InMemorySpanExporter]:
    exporter.clear()
    yield exporter
    exporter.clear()


def of_trace(spans: InMemorySpanExporter) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.context and f"{span.context.trace_id:032x}" == TRACE]


async def test_a_request_carries_its_trace_into_the_outbox(sample: Harness, spans: InMemorySpanExporter) -> None:
    officer = sample.client("risk_officer", subject="alice")
    body = {"client_id": str(uuid4()), "code": "A", "phone": "13812345678"}
    answer = await officer.post("/notes?x=1", json=body, headers={"traceparent": PARENT, "X-Correlation-ID": "c-1"})
    assert answer.headers["x-correlation-id"] == "c-1"
    (span,) = of_trace(spans)
    assert span.name == "POST /notes"
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == "00f067aa0ba902b7"
    async with sample.tx() as tx:
        row = (await tx.execute(sa.select(outbox))).one()
    assert row.traceparent.split("-")[1] == TRACE
    assert span.context is not None
    assert row.traceparent.split("-")[2] == f"{span.context.span_id:016x}"
    assert (row.actor, row.correlationid) == ("alice", "c-1")
    assert "13812345678" not in span.to_json()


async def test_the_trace_goes_on_in_the_service_that_hears_the_event(
    sample: Harness, spans: InMemorySpanExporter
) -> None:
    """From the header of an event heard, through a handler, into what it emits."""
    client_id = uuid4()
    first = ExposureChanged.example().model_copy(update={"client_id": client_id, "as_of": date(2012, 1, 1)})
    later = ExposureChanged.example().model_copy(update={"client_id": client_id, "as_of": date(2012, 1, 20)})
    meta = Meta(
        uuid4(),
        datetime.now(UTC),
        str(client_id),
        "risk.events",
        0,
        0,
        correlation_id="c-7",
        actor="bob",
        traceparent=PARENT,
    )
    await sample.receives(first, later.delivered(meta))
    async with sample.tx() as tx:
        row = (await tx.execute(sa.select(outbox))).one()
    assert row.traceparent.split("-")[1] == TRACE
    assert (row.correlationid, row.actor, UUID(row.causationid)) == ("c-7", "bob", meta.id)
    assert any("move_clock" in span.name for span in of_trace(spans))


async def test_problems_name_the_trace(sample: Harness, spans: InMemorySpanExporter) -> None:
    officer = sample.client("risk_officer")
    refused = await officer.get("/notes/x", headers={"traceparent": PARENT})
    assert refused.json()["trace_id"] == TRACE
    unknown = await sample.anonymous().get("/notes", headers={"traceparent": PARENT})
    assert unknown.json()["trace_id"] == TRACE


async def test_a_failure_leaves_no_text_in_spans(
    sample: Harness, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("13812345678")

    monkeypatch.setattr("sample.notes.emit", broken)
    answer = await sample.client("risk_officer").post(
        "/notes", json={"client_id": str(uuid4()), "code": "A"}, headers={"traceparent": PARENT}
    )
    assert answer.json()["trace_id"] == TRACE
    text = " ".join(span.to_json() for span in spans.get_finished_spans())
    assert "13812345678" not in text
    assert '"http.response.status_code": 500' in text


async def test_a_strange_correlation_id_is_replaced(sample: Harness) -> None:
    for strange in ("a b", "x" * 65, "<script>", ""):
        answer = await sample.anonymous().get("/health/live", headers={"X-Correlation-ID": strange})
        assert UUID(answer.headers["x-correlation-id"])


async def test_red_metrics_by_route_and_never_by_address(sample: Harness) -> None:
    officer = sample.client("risk_officer")
    labels = {"method": "GET", "route": "/notes/{note_id}", "status": "404"}
    before = REGISTRY.get_sample_value("http_requests_total", labels) or 0
    await officer.get(f"/notes/{uuid4()}")
    assert REGISTRY.get_sample_value("http_requests_total", labels) == before + 1
    await officer.request("STRANGE", f"/{uuid4()}")
    routes = {
        s.labels["route"] for metric in REGISTRY.collect() if metric.name == "http_requests" for s in metric.samples
    }
    assert routes <= {
        "unmatched",
        *sample.app.openapi()["paths"],
        "/health/live",
        "/health/ready",
        "/docs",
        "/openapi.json",
        "/problems/{name}",
        "/docs/static",
    }
    assert "unmatched" in routes


def test_log_lines_are_json_with_trace_ids_and_without_exception_texts() -> None:
    formatter = RedactingFormatter("sample-service")
    with pytest.raises(KeyError) as caught:
        raise KeyError("13899999999") from ValueError("13812345678")
    error = caught.value
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "it failed", (), (KeyError, error, error.__traceback__))
    assert "caused by builtins.ValueError" in redacted(error)
    with trace.get_tracer("t").start_as_current_span("s"):
        line = json.loads(formatter.format(record))
    assert (line["service"], line["level"], line["message"]) == ("sample-service", "ERROR", "it failed")
    assert len(line["trace_id"]) == 32
    assert "KeyError" in line["exc_info"]
    assert "138" not in json.dumps(line)
    told = logging.LogRecord("x", logging.ERROR, __file__, 1, "batch failed: %r", (error,), None)
    assert "138" not in formatter.format(told)
    assert "KeyError" in formatter.format(told)
