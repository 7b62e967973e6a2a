"""What is heard ends the same under any interleaving that keeps each key's order, and when it is made anew."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client_service.app import app
from client_service.organisation.subscribers import access
from client_service.organisation.subscribers import on as organisation
from client_service.standing.subscribers import on as standing
from client_service.testing import ENTITY, NOW
from contracts.base import Event
from servicekit.testing import Harness, Template

HEARD = sorted({*standing.heard, *organisation.heard, *access.heard}, key=lambda kind: kind.__name__)
PROJECTIONS = sorted(app.projections().tables)
PARTIES = [UUID(int=0xA1), UUID(int=0xA2), UUID(int=0xA3)]
THINGS = [UUID(int=0xB1), UUID(int=0xB2)]


@st.composite
def heard(draw: st.DrawFn) -> Event:
    """An event of any kind that this service hears, about one of three parties and one of two things of theirs."""
    kind = draw(st.sampled_from(HEARD))
    event = kind.example()
    party = draw(st.integers(0, 2))
    values: dict[str, Any] = {"branch_id": None, "entity_id": ENTITY}
    for name in kind.model_fields:
        if name in {"client_id", "staff_id", "subject_id"}:
            values[name] = PARTIES[party]
        elif name in {"alert_id", "limit_id", "complaint_id", "visit_id", "contact_id", "rating_id", "team_id"}:
            values[name] = UUID(int=THINGS[draw(st.integers(0, 1))].int * 16 + party)
        elif name == "unit_id":
            values[name] = f"UNIT-{party}"
        elif name == "revision":
            values[name] = draw(st.integers(1, 3))
    return kind.model_validate(dict(event) | values)


@pytest.fixture(scope="module")
async def shared(template: Template) -> AsyncIterator[Harness]:
    async with template.harness() as harness:
        harness.clock.set(NOW)
        yield harness


async def empty(service: Harness) -> None:
    async with service.tx() as tx, tx.begin():
        await tx.execute(sa.text(f"TRUNCATE {', '.join(PROJECTIONS)}"))


def interleaved(draw: st.DataObject, events: Sequence[Event]) -> list[Event]:
    """Another order of the same events, in which each topic and key keeps its own."""
    lanes: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        lanes.setdefault((event.topic, event.key), []).append(event)
    order = draw.draw(st.permutations([(event.topic, event.key) for event in events]))
    return [lanes[lane].pop(0) for lane in order]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(heard(), min_size=1, max_size=20), draw=st.data())
async def test_any_interleaving_ends_the_same(shared: Harness, events: list[Event], draw: st.DataObject) -> None:
    await empty(shared)
    await shared.receives(*events)
    lived = await shared.rows(*PROJECTIONS)
    await empty(shared)
    await shared.receives_together(*interleaved(draw, events))
    assert await shared.rows(*PROJECTIONS) == lived


async def test_every_kind_that_is_heard_leaves_something_about_a_client_not_heard_of(shared: Harness) -> None:
    for kind in HEARD:
        await empty(shared)
        before = await shared.rows(*PROJECTIONS)
        await shared.receives(kind.example())
        assert await shared.rows(*PROJECTIONS) != before, kind.__name__
