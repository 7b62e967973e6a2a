"""What a feature listens to, and the handler that hears it.

`project` writes projection tables and nothing else, so that a rebuild may run it again; `react` changes the service's
own aggregates and may emit. The checker ties each decorator's event to its handler's parameter.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from contracts.base import Event

E = TypeVar("E", bound=Event)
One = Callable[[E, AsyncSession], Awaitable[None]]
Many = Callable[[list[E], AsyncSession], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Handler:
    """A function that hears an event type; `batch` takes a list of consecutive events of it."""

    name: str
    call: Callable[[Any, AsyncSession], Awaitable[None]]
    batch: bool


@dataclass(slots=True)
class Heard:
    """All handlers of one event type in one consumer group, in the order they were registered."""

    event: type[Event]
    project: list[Handler] = field(default_factory=list[Handler])
    react: list[Handler] = field(default_factory=list[Handler])


class Subscriptions:
    """The handlers of a feature. `group` names the consumer group within the service: projections that decide access
    have one of their own, so that nothing else can hold them up."""

    def __init__(self, group: str = "main") -> None:
        self.group = group
        self.heard: dict[type[Event], Heard] = {}

    def project(self, event: type[E]) -> Callable[[One[E]], One[E]]:
        """Hear `event` into a projection."""

        def register(handler: One[E]) -> One[E]:
            self._of(event).project.append(_handler(handler, batch=False))
            return handler

        return register

    def react(self, event: type[E]) -> Callable[[One[E]], One[E]]:
        """Hear `event` and act on it."""

        def register(handler: One[E]) -> One[E]:
            self._of(event).react.append(_handler(handler, batch=False))
            return handler

        return register

    def project_batch(self, event: type[E]) -> Callable[[Many[E]], Many[E]]:
        """Hear runs of consecutive `event`s into a projection."""

        def register(handler: Many[E]) -> Many[E]:
            self._of(event).project.append(_handler(handler, batch=True))
            return handler

        return register

    def react_batch(self, event: type[E]) -> Callable[[Many[E]], Many[E]]:
        """Hear runs of consecutive `event`s and act on them; name the `cause` when emitting."""

        def register(handler: Many[E]) -> Many[E]:
            self._of(event).react.append(_handler(handler, batch=True))
            return handler

        return register

    def _of(self, event: type[Event]) -> Heard:
        return self.heard.setdefault(event, Heard(event))


def _handler(call: Callable[[Any, AsyncSession], Awaitable[None]], *, batch: bool) -> Handler:
    return Handler(f"{call.__module__}.{getattr(call, '__qualname__', repr(call))}", call, batch)


class Group:
    """One consumer group's handlers, merged from all features, by CloudEvents type."""

    def __init__(self, service: str, name: str, subscriptions: Iterable[Subscriptions]) -> None:
        self.id = f"{service}.{name}"
        self.heard: dict[str, Heard] = {}
        for each in subscriptions:
            for event, heard in each.heard.items():
                mine = self.heard.setdefault(event.ce_type, Heard(event))
                mine.project += heard.project
                mine.react += heard.react
        self.topics = sorted({heard.event.topic for heard in self.heard.values()})


def groups(service: str, subscriptions: Iterable[Subscriptions]) -> list[Group]:
    """The consumer groups of a service, sorted by name."""
    by_name: dict[str, list[Subscriptions]] = {}
    for each in subscriptions:
        by_name.setdefault(each.group, []).append(each)
    return [Group(service, name, by_name[name]) for name in sorted(by_name)]
