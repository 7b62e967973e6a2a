"""The sample service on a real PostgreSQL."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from servicekit.testing import Harness, Template

sys.path.insert(0, str(Path(__file__).parent))

from sample.app import app


@pytest.fixture(scope="session")
async def template(postgres_url: str) -> AsyncIterator[Template]:
    async with Template.of(app, postgres_url) as made:
        yield made


@pytest.fixture
async def sample(template: Template) -> AsyncIterator[Harness]:
    async with template.harness() as harness:
        yield harness
