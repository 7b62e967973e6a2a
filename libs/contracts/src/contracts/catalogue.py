"""Every event there is, as data: what a program lists, creates topics from and looks types up in."""

from __future__ import annotations

from functools import cache
from types import ModuleType

from contracts import client, engagement, performance, risk
from contracts.bank import collection, gateway, hr, kyc, ledger, market, registry
from contracts.base import Event, Topic

MODULES: tuple[ModuleType, ...] = (
    client,
    risk,
    engagement,
    performance,
    ledger,
    registry,
    collection,
    gateway,
    kyc,
    hr,
    market,
)


@cache
def all_events() -> tuple[type[Event], ...]:
    """All events, publisher by publisher, as their modules list them."""
    return tuple(
        found
        for module in MODULES
        for found in vars(module).values()
        if isinstance(found, type)
        and issubclass(found, Event)
        and found.publisher is not None
        and found.__module__ == module.__name__
    )


@cache
def _types() -> dict[str, type[Event]]:
    return {event.ce_type: event for event in all_events()}


def by_type(ce_type: str) -> type[Event] | None:
    """The event of a CloudEvents type; None for one this version does not know."""
    return _types().get(ce_type)


@cache
def topics() -> tuple[Topic, ...]:
    """Every topic, once, in the order of the catalogue."""
    return tuple(dict.fromkeys(event.publisher.topic for event in all_events() if event.publisher is not None))
