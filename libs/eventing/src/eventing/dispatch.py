"""Handing decoded events to their handlers, in the order that makes the outcome independent of how they were fetched.

A poll keeps each key's order across types: it is never grouped by type. For each event all `project` handlers run
before any `react` handler. Batch handlers get runs of consecutive events of one type; where a type also has a `react`
handler for single events, that one must not see projections ahead of its event, so the run goes one by one.
"""

from collections.abc import Iterable, Iterator, Sequence

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.base import Event
from eventing.outbox import caused_by
from eventing.records import Delivered
from eventing.session import Context, Delivery, bind, delivering
from eventing.subscriptions import Handler, Heard

_tracer = trace.get_tracer("eventing")
_propagator = TraceContextTextMapPropagator()


async def dispatch(tx: AsyncSession, deliveries: Sequence[Delivered], *, react: bool = True) -> None:
    """Run the handlers of `deliveries` in order; `react=False` runs projections alone."""
    for heard, events in _runs(deliveries):
        reactions = heard.react if react else []
        if any(not handler.batch for handler in reactions):
            for event in events:
                await _run(tx, heard.project, [event], reacts=False)
                await _run(tx, reactions, [event], reacts=True)
        else:
            await _run(tx, heard.project, events, reacts=False)
            await _run(tx, reactions, events, reacts=True)


def _runs(deliveries: Iterable[Delivered]) -> Iterator[tuple[Heard, list[Event]]]:
    run: list[Event] = []
    heard: Heard | None = None
    for each in deliveries:
        if heard is not None and each.heard is not heard:
            yield heard, run
            run = []
        heard = each.heard
        run.append(each.event)
    if heard is not None:
        yield heard, run


async def _run(tx: AsyncSession, handlers: Sequence[Handler], events: list[Event], *, reacts: bool) -> None:
    for handler in handlers:
        if handler.batch:
            only = events[0] if len(events) == 1 else None
            bind(tx, caused_by(only) if only is not None else Context())
            with delivering(tx, Delivery(only, handler.name, reacts)):
                await handler.call(events, tx)
            continue
        for event in events:
            bind(tx, caused_by(event))
            with delivering(tx, Delivery(event, handler.name, reacts)):
                parent = event.meta and event.meta.traceparent
                if parent is None or not parent.endswith("1"):
                    await handler.call(event, tx)
                    continue
                with _tracer.start_as_current_span(
                    f"{type(event).ce_type} {handler.name.rpartition('.')[2]}",
                    context=_propagator.extract({"traceparent": parent}),
                    kind=trace.SpanKind.CONSUMER,
                ):
                    await handler.call(event, tx)
