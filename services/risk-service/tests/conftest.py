"""risk-service on a real PostgreSQL, two clients and one of another legal entity, and the real data where they are."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from risk_service.app import app
from servicekit.testing import Harness, Template

from .words import Ledger

DATA = Path(__file__).parents[3].parent / "shared" / "data"


@pytest.fixture(scope="session")
async def template(postgres_url: str) -> AsyncIterator[Template]:
    async with Template.of(app, postgres_url) as made:
        yield made


@pytest.fixture
async def risk(template: Template) -> AsyncIterator[Harness]:
    async with template.harness(database_statement_timeout_ms=0) as harness:
        harness.clock.set(datetime(2026, 6, 1, 4, tzinfo=UTC))
        yield harness


@pytest.fixture
def acme() -> Ledger:
    return Ledger(UUID(int=0xACE))


@pytest.fixture
def bolt() -> Ledger:
    return Ledger(UUID(int=0xB017))


@pytest.fixture
def foreign() -> Ledger:
    """A client of another legal entity."""
    return Ledger(UUID(int=0xF0), entity="OTHER-FACTOR")


@pytest.fixture(scope="session")
def data() -> Path:
    """The real data beside the project; tests that need it are skipped where it is not."""
    if not DATA.is_dir():
        pytest.skip("the real data are not here (../shared/data beside the project)")
    return DATA
