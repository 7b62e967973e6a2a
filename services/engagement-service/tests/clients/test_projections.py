"""What this service knows of clients, staff and legal entities ends the same, in whichever order it is told."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.base import Event
from contracts.client import Stage
from engagement_service.app import app
from engagement_service.clients.model import Client
from engagement_service.model_base import Base
from eventing.inbox import Consumer
from eventing.kafka import KafkaSettings
from eventing.subscriptions import Heard, Subscriptions
from servicekit.tables import access_member, access_owner, alias
from servicekit.testing import Harness, Template

from ..words import (
    ACME,
    ACME_IN_LEDGER,
    BOLT,
    CHEN,
    DEMO,
    LI,
    NORTH,
    SOUTH,
    WANG,
    ZHOU,
    alert_raised,
    aliases_added,
    client_registered,
    entity_placed,
    lifecycle_changed,
    rating_assigned,
    rm_assigned,
    staff_joined,
    staff_left,
)

BOLT_IN_LEDGER = UUID(int=0xB1)
NOW = datetime(2026, 2, 10, 1, 30, tzinfo=UTC)
LATER = datetime(2026, 1, 15, tzinfo=UTC)
STORY: list[Event] = [
    client_registered(ACME, ACME_IN_LEDGER),
    rm_assigned(ACME, LI),
    lifecycle_changed(ACME, Stage.ACTIVE),
    rm_assigned(ACME, WANG, at=LATER),
    lifecycle_changed(ACME, Stage.SUSPENDED, at=LATER),
    client_registered(BOLT),
    aliases_added(BOLT, BOLT_IN_LEDGER),
    rm_assigned(BOLT, ZHOU),
    alert_raised(ACME_IN_LEDGER),
    alert_raised(BOLT_IN_LEDGER),
    rating_assigned(ACME),
    staff_joined(LI, NORTH),
    staff_joined(WANG, NORTH),
    staff_left(LI),
    staff_joined(ZHOU, SOUTH),
    entity_placed(DEMO, "CN", "Asia/Shanghai"),
    entity_placed(DEMO, "GB", "Europe/London", at=LATER),
]


@st.composite
def interleavings(draw: st.DrawFn) -> list[Event]:
    """Any order that keeps the order of each topic's key: what partitions guarantee, and nothing more."""
    queues: dict[tuple[str, str], list[Event]] = {}
    for event in STORY:
        queues.setdefault((event.topic, event.key), []).append(event)
    order = draw(st.permutations([key for key, queue in queues.items() for _ in queue]))
    left = {key: iter(queue) for key, queue in queues.items()}
    return [next(left[key]) for key in order]


async def known(harness: Harness) -> dict[str, Any]:
    async with harness.tx() as tx:
        own = [Base.metadata.tables[name] for name in ("client", "legal_entity")]
        tables = [*own, access_owner, access_member, alias]
        return {table.name: sorted(map(str, await tx.execute(sa.select(table)))) for table in tables}


@pytest.fixture(scope="module")
async def told_in_order(template: Template) -> dict[str, Any]:
    async with template.harness() as harness:
        harness.clock.set(NOW)
        await harness.receives(*STORY)
        return await known(harness)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=interleavings())
async def test_any_interleaving_ends_the_same(
    template: Template, told_in_order: dict[str, Any], events: list[Event]
) -> None:
    async with template.harness() as harness:
        harness.clock.set(NOW)
        await harness.receives_together(*events, size=5)
        assert await known(harness) == told_in_order


async def test_projections_alone_equal_those_that_lived_through_it(
    template: Template, told_in_order: dict[str, Any]
) -> None:
    """A rebuild runs `project` alone, into empty tables; what users and reactions did in life leaves no trace."""
    async with template.harness() as lived:
        lived.clock.set(NOW)
        await lived.receives_together(*STORY[:9])
        agent = lived.client("service_agent")
        body = {"client_id": str(ACME), "category": "fees", "channel": "phone"}
        assert (await agent.post("/complaints", json=body)).status_code == 201
        await lived.receives(*STORY[9:])
        assert await known(lived) == told_in_order
        assert len(await lived.emitted()) == 3
    async with template.harness() as anew:
        anew.clock.set(NOW)
        anew.consumer = Consumer(
            anew.runtime.sessions,
            KafkaSettings("127.0.0.1:1"),
            service="engagement",
            subscriptions=[projections_of(each) for each in app.subscriptions],
        )
        await anew.receives_together(*STORY)
        assert await known(anew) == told_in_order
        assert await anew.emitted() == []


def projections_of(every: Subscriptions) -> Subscriptions:
    """The same subscriptions without their reactions."""
    only = Subscriptions(every.group)
    only.heard = {event: Heard(event, heard.project) for event, heard in every.heard.items() if heard.project}
    return only


async def test_a_stub_becomes_the_client(engagement: Harness) -> None:
    await engagement.receives(alert_raised(ACME), lifecycle_changed(ACME, Stage.ACTIVE))
    async with engagement.tx() as tx:
        stub = await tx.get_one(Client, ACME)
        assert (stub.registered, stub.stage, stub.entity_id) == (False, Stage.ACTIVE, DEMO)
    await engagement.receives(client_registered(ACME))
    async with engagement.tx() as tx:
        client = await tx.get_one(Client, ACME)
        assert (client.registered, client.stage) == (True, Stage.ACTIVE)


async def test_a_client_handed_over_is_seen_by_its_new_manager_only(office: Harness) -> None:
    li, wang = (office.client("relationship_manager", staff_id=who) for who in (LI, WANG))
    path = f"/clients/{ACME}/timeline"
    assert ((await li.get(path)).status_code, (await wang.get(path)).status_code) == (200, 404)
    await office.receives(rm_assigned(ACME, WANG, at=LATER), rm_assigned(ACME, ZHOU))
    assert ((await li.get(path)).status_code, (await wang.get(path)).status_code) == (404, 200)


async def test_whose_manager_has_left_is_seen_by_no_team(office: Harness) -> None:
    chen = office.client("team_lead", staff_id=CHEN)
    path = f"/clients/{ACME}/timeline"
    assert (await chen.get(path)).status_code == 200
    await office.receives(staff_left(LI))
    assert (await chen.get(path)).status_code == 404
    assert (await office.client("service_agent").get(path)).status_code == 200
