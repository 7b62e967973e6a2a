"""What is heard ends the same under any interleaving that keeps each key's order, whichever way it is batched."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import Event, Money
from performance_service.app import app
from servicekit.testing import Harness, Template

PROJECTIONS = sorted(app.projections().tables)
HEARD = sorted(
    (kind for each in app.subscriptions for kind, heard in each.heard.items() if heard.project),
    key=lambda kind: kind.__name__,
)
TOPICS = sorted({kind.topic for kind in HEARD})
PARTIES = [UUID(int=0xA1), UUID(int=0xA2)]
STAFF = [UUID(int=0xC1), UUID(int=0xC2)]
START = datetime(2026, 3, 1, tzinfo=UTC)

days = st.integers(0, 2).map(lambda n: date(2026, 3, 1) + timedelta(days=n))
moments = st.integers(0, 5).map(lambda n: START + timedelta(days=n))
amounts = st.integers(0, 9).map(lambda n: Money(amount=Decimal(n), currency="CNY"))


@st.composite
def heard(draw: st.DrawFn) -> Event:
    """An event of any kind that this service projects, about one of two parties and one of two things of theirs."""
    topic = draw(st.sampled_from(TOPICS))
    kind = draw(st.sampled_from([kind for kind in HEARD if kind.topic == topic]))
    party = draw(st.integers(0, 1))
    values: dict[str, Any] = {"entity_id": "DEMO-FACTOR", "occurred_at": draw(moments)}
    for name in kind.model_fields:
        if name == "client_id":
            values[name] = PARTIES[party]
        elif name == "staff_id":
            values[name] = draw(st.sampled_from(STAFF))
        elif name in {"complaint_id", "visit_id"}:
            values[name] = UUID(int=0xB000 + 16 * party + draw(st.integers(0, 1)))
        elif name == "aliases":
            values[name] = tuple(UUID(int=0xD000 + 16 * party + n) for n in draw(st.sets(st.integers(0, 2))))
        elif name in {"due_on", "completed_on", "answered_on", "as_of"}:
            values[name] = draw(days)
        elif name == "effective_at":
            values[name] = draw(moments)
        elif name == "revision":
            values[name] = draw(st.integers(1, 3))
        elif name in {"balance", "overdue"}:
            values[name] = draw(amounts)
    return kind.model_validate(dict(kind.example()) | values)


@pytest.fixture(scope="module")
async def shared(template: Template) -> AsyncIterator[Harness]:
    async with template.harness() as harness:
        harness.clock.set(datetime(2026, 4, 20, tzinfo=UTC))
        yield harness


async def empty(service: Harness) -> None:
    """As before anything was heard: the inbox too, so that the same events come again."""
    async with service.tx() as tx, tx.begin():
        await tx.execute(sa.text(f"TRUNCATE inbox, {', '.join(PROJECTIONS)}"))


def interleaved(draw: st.DataObject, events: list[tuple[UUID, Event]]) -> list[tuple[UUID, Event]]:
    """Another order of the same events, in which each topic and key keeps its own."""
    lanes: dict[tuple[str, str], list[tuple[UUID, Event]]] = {}
    for id, event in events:
        lanes.setdefault((event.topic, event.key), []).append((id, event))
    order = draw.draw(st.permutations([(event.topic, event.key) for _, event in events]))
    return [lanes[lane].pop(0) for lane in order]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=st.lists(heard(), min_size=1, max_size=30), size=st.sampled_from([1, 3, 500]), draw=st.data())
async def test_any_interleaving_ends_the_same(
    shared: Harness, told: list[Event], size: int, draw: st.DataObject
) -> None:
    events = [(uuid4(), event) for event in told]
    await empty(shared)
    await shared.receives(*told, ids=[id for id, _ in events])
    lived = await shared.rows(*PROJECTIONS)
    again = interleaved(draw, events)
    await empty(shared)
    await shared.receives_together(*(event for _, event in again), ids=[id for id, _ in again], size=size)
    assert await shared.rows(*PROJECTIONS) == lived
