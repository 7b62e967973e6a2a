"""Handing decoded events to their handlers, in the order that makes the outcome independent of how they were fetched.

A poll keeps each key's order across types, and no order between keys. For each event all `project` handlers run before
any `react` handler. Batch handlers get runs of events that exactly the same handlers hear; where a `react` handler for
single events hears too, it must not see projections ahead of its event, so the run goes one by one.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.base import Event
from eventing import metrics
from eventing.outbox import caused_by, current_traceparent
from eventing.records import Delivered, key_of
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
    """Runs of events that exactly the same handlers hear, longest across keys: a key's events stay in order, because
    one that other handlers hear goes to a later round than the event of its key before it."""
    rounds: list[dict[tuple[tuple[Handler, ...], ...], tuple[Heard, list[Event]]]] = []
    latest: dict[tuple[str, str], tuple[int, tuple[tuple[Handler, ...], ...]]] = {}
    for each in deliveries:
        heard, key = each.heard, (each.record.topic, key_of(each.record))
        handlers = (tuple(heard.project), tuple(heard.react))
        number, before = latest.get(key, (0, handlers))
        if before != handlers:
            number += 1
        latest[key] = number, handlers
        if number == len(rounds):
            rounds.append({})
        rounds[number].setdefault(handlers, (heard, []))[1].append(each.event)
    for each_round in rounds:
        yield from each_round.values()


async def _run(tx: AsyncSession, handlers: Sequence[Handler], events: list[Event], *, reacts: bool) -> None:
    for handler in handlers:
        began = time.perf_counter()
        if not handler.batch:
            for event in events:
                await _call(tx, handler, event, event, reacts)
        elif len(events) == 1:
            await _call(tx, handler, events[0], events, reacts)
        else:
            bind(tx, Context())
            with delivering(tx, Delivery(None, handler.name, reacts)):
                await handler.call(events, tx)
        metrics.HANDLER_SECONDS.labels(type(events[0]).ce_type).observe((time.perf_counter() - began) / len(events))


async def _call(tx: AsyncSession, handler: Handler, cause: Event, argument: Event | list[Event], reacts: bool) -> None:
    """One event's handler, in the trace that the event belongs to if that is sampled."""
    context = caused_by(cause)
    bind(tx, context)
    with delivering(tx, Delivery(None if handler.batch else cause, handler.name, reacts)):
        if context.traceparent is None or not is_sampled(context.traceparent):
            await handler.call(argument, tx)
            return
        with _tracer.start_as_current_span(
            f"{type(cause).ce_type} {handler.name.rpartition('.')[2]}",
            context=_propagator.extract({"traceparent": context.traceparent}),
            kind=trace.SpanKind.CONSUMER,
        ):
            bind(tx, replace(context, traceparent=current_traceparent() or context.traceparent))
            await handler.call(argument, tx)


def is_sampled(traceparent: str) -> bool:
    """Whether somebody records the trace."""
    try:
        return int(traceparent.rpartition("-")[2], 16) & 1 == 1
    except ValueError:
        return False
