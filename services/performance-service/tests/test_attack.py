"""performance-service under attack: whatever is sent, it answers as its OpenAPI says."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

import attack
from contracts.client import RmAssigned
from performance_service.app import app
from servicekit.testing import Harness

from .conftest import Names, set_up
from .kpis.test_kpis import made, settle, visit


async def seed(performance: Harness) -> attack.Known:
    """The organisation with its staff, a portfolio, and figures of it."""
    performance.clock.set(datetime(2026, 4, 1, 9, tzinfo=UTC))
    teams = await set_up(performance)
    since = datetime(2026, 1, 1, tzinfo=UTC)
    await performance.receives(
        made(RmAssigned, client_id=Names.acme, staff_id=Names.li, effective_at=since),
        visit(1, Names.acme, datetime(2026, 3, 10, tzinfo=UTC).date()),
    )
    await settle(performance)
    staff = [str(id) for id in (Names.li, Names.wang, Names.lead, Names.zhou)]
    return {
        "staff_id": staff,
        "subject_id": [*staff, *(str(team) for team in teams)],
        "team_id": [str(team) for team in teams],
        "unit_id": ["NORTH", "SOUTH", Names.entity],
        "parent": [Names.entity],
        "period": ["2026-03"],
    }


@pytest.mark.timeout(attack.TIMEOUT)
def test_it_withstands_schemathesis(postgres_url: str, tmp_path: Path) -> None:
    with attack.served(app, postgres_url, seed, {"team_lead": Names.lead}) as target:
        attack.withstands(target, tmp_path)
