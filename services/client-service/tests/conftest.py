"""client-service in this process, on a real PostgreSQL with its real migrations."""

from collections.abc import AsyncIterator

import pytest

from client_service.app import app
from client_service.testing import NOW, Desk, staffed
from servicekit.testing import Harness, Template


@pytest.fixture(scope="session")
async def template(postgres_url: str) -> AsyncIterator[Template]:
    async with Template.of(app, postgres_url) as made:
        yield made


@pytest.fixture
async def service(template: Template) -> AsyncIterator[Harness]:
    async with template.harness() as harness:
        harness.clock.set(NOW)
        yield harness


@pytest.fixture
async def desk(service: Harness) -> Desk:
    """The service, with the organisation known."""
    await service.receives_together(*staffed())
    return Desk(service)
