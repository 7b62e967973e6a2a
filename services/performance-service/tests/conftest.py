"""performance-service on a real PostgreSQL, and the people of these tests."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from contracts.performance import StaffRole
from performance_service.app import app
from servicekit.testing import Harness, Template


class Names:
    """Ids by which the tests know people, teams and clients."""

    entity = "DEMO-FACTOR"
    li = UUID(int=0x101)
    wang = UUID(int=0x102)
    lead = UUID(int=0x103)
    zhou = UUID(int=0x104)
    acme = UUID(int=0x201)
    bolt = UUID(int=0x202)
    acme_in_ledger = UUID(int=0x301)


@pytest.fixture(scope="session")
def names() -> Names:
    return Names()


@pytest.fixture(scope="session")
async def template(postgres_url: str) -> AsyncIterator[Template]:
    async with Template.of(app, postgres_url) as made:
        yield made


@pytest.fixture
async def performance(template: Template) -> AsyncIterator[Harness]:
    async with template.harness() as harness:
        harness.clock.set(datetime(2026, 4, 1, 9, tzinfo=UTC))
        yield harness


Staffed = Callable[[], Awaitable[tuple[UUID, UUID]]]


async def set_up(performance: Harness) -> tuple[UUID, UUID]:
    """The organisation: Li, Wang and their lead in team NORTH, Zhou in team SOUTH. Gives both teams' ids."""
    names = Names()
    bank = performance.client("administrator", entity_id=names.entity)
    await bank.put(f"/organisation/units/{names.entity}", json={"kind": "entity"})
    teams: list[UUID] = []
    for code in ("NORTH", "SOUTH"):
        answer = await bank.put(f"/organisation/units/{code}", json={"kind": "team", "parent": names.entity})
        teams.append(UUID(answer.json()["team_id"]))
    for who, team, role in (
        (names.li, teams[0], StaffRole.RELATIONSHIP_MANAGER),
        (names.wang, teams[0], StaffRole.RELATIONSHIP_MANAGER),
        (names.lead, teams[0], StaffRole.TEAM_LEAD),
        (names.zhou, teams[1], StaffRole.RELATIONSHIP_MANAGER),
    ):
        body = {"staff_id": str(who), "team_id": str(team), "role": role, "joined_on": str(date(2025, 1, 1))}
        answer = await bank.post("/staff", json=body)
        assert answer.status_code == 201, answer.text
    return teams[0], teams[1]


@pytest.fixture
def staffed(performance: Harness) -> Staffed:
    """`set_up` of the test's own service."""
    return lambda: set_up(performance)
