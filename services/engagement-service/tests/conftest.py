"""engagement-service in this process on a real PostgreSQL, and the people who use it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from engagement_service.app import app
from servicekit.testing import Harness, Template

from .words import AGENT, CHEN, LI, WANG, the_office


@pytest.fixture(scope="session")
async def template(postgres_url: str) -> AsyncIterator[Template]:
    async with Template.of(app, postgres_url) as made:
        yield made


@pytest.fixture
async def engagement(template: Template) -> AsyncIterator[Harness]:
    """Nothing is known yet. It is Tuesday, 10 February 2026, 09:30 in Shanghai."""
    async with template.harness() as harness:
        harness.clock.set(datetime(2026, 2, 10, 1, 30, tzinfo=UTC))
        yield harness


@pytest.fixture
async def office(engagement: Harness) -> Harness:
    """The office of `words.the_office` is known."""
    await engagement.receives_together(*the_office())
    return engagement


@pytest.fixture
def as_agent(engagement: Harness) -> httpx.AsyncClient:
    return engagement.client("service_agent", staff_id=AGENT)


@pytest.fixture
def as_li(engagement: Harness) -> httpx.AsyncClient:
    return engagement.client("relationship_manager", staff_id=LI)


@pytest.fixture
def as_wang(engagement: Harness) -> httpx.AsyncClient:
    return engagement.client("relationship_manager", staff_id=WANG)


@pytest.fixture
def as_chen(engagement: Harness) -> httpx.AsyncClient:
    return engagement.client("team_lead", staff_id=CHEN)
