"""What handlers get of a poll: long runs across keys, and every key's events in its own order."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

from eventing_bus import ENTITY, SOURCE, STARTED, Other, Thing, other_on, thing_on
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from contracts import wire
from contracts.base import Event
from eventing import Subscriptions
from eventing.dispatch import dispatch
from eventing.records import Delivered, StoredRecord
from eventing.subscriptions import groups

THING, OTHER = thing_on("dispatch.events"), other_on("dispatch.events")
POLLS = st.lists(st.tuples(st.integers(0, 4), st.sampled_from([THING, OTHER])), max_size=40)


async def heard_of(poll: Sequence[tuple[int, type[Thing] | type[Other]]]) -> list[list[tuple[int, int]]]:
    """The runs that two batch handlers get, each as (key, place in the poll)."""
    runs: list[list[tuple[int, int]]] = []
    on = Subscriptions()

    async def things(events: list[Thing], tx: AsyncSession) -> None:
        runs.append([(event.thing_id.int, event.n) for event in events])

    async def others(events: list[Other], tx: AsyncSession) -> None:
        runs.append([(event.thing_id.int, event.n) for event in events])

    on.project_batch(THING)(things)
    on.project_batch(OTHER)(others)
    (group,) = groups("try", [on])
    deliveries: list[Delivered] = []
    for place, (key, kind) in enumerate(poll):
        event: Event = kind(entity_id=ENTITY, occurred_at=STARTED, thing_id=UUID(int=key), n=place)
        written = wire.to_wire(event, id=uuid4(), source=SOURCE, time=datetime.now(UTC))
        record = StoredRecord("dispatch.events", 0, place, 0, *written)
        deliveries.append(Delivered(record, wire.read_headers(written[2]), event, group.heard[kind.ce_type]))
    async with AsyncSession() as tx:
        await dispatch(tx, deliveries)
    return runs


@given(POLLS)
async def test_every_event_once_and_each_key_in_its_order(poll: list[tuple[int, type[Thing] | type[Other]]]) -> None:
    told = [each for run in await heard_of(poll) for each in run]
    assert sorted(place for _, place in told) == list(range(len(poll)))
    for key in {key for key, _ in poll}:
        places = [place for each, place in told if each == key]
        assert places == sorted(places)


async def test_runs_go_across_keys() -> None:
    """Three keys, each with a thing, another and a thing again: three runs of three, not nine of one."""
    poll = [(key, kind) for key in range(3) for kind in (THING, OTHER, THING)]
    assert await heard_of(poll) == [[(0, 0), (1, 3), (2, 6)], [(0, 1), (1, 4), (2, 7)], [(0, 2), (1, 5), (2, 8)]]
