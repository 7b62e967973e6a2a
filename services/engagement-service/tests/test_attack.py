"""engagement-service under attack: whatever is sent, it answers as its OpenAPI says."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

import attack
from engagement_service.app import app
from servicekit.testing import Harness

from .complaints.test_lifecycle import file
from .words import ACME, AGENT, BOLT, CHEN, LI, WANG, alert_raised, the_office


async def seed(office: Harness) -> attack.Known:
    """The office with visits, contacts and complaints, two of which wait for a second person."""
    office.clock.set(datetime(2026, 2, 10, 1, 30, tzinfo=UTC))
    await office.receives_together(*the_office(), alert_raised(ACME), alert_raised(BOLT))
    agent = office.client("service_agent", staff_id=AGENT)
    complaints = [await file(agent) for _ in range(6)]
    for path in complaints[:2]:
        assert (await agent.post(f"{path}/extension/request")).status_code == 200
    body = {"client_id": str(ACME), "channel": "phone", "direction": "inbound", "outcome": "done"}
    logged = await agent.post("/contacts", json=body | {"started_at": "2026-02-10T01:00:00Z"})
    assert logged.status_code == 201, logged.text
    return {
        "client_id": [str(ACME), str(BOLT)],
        "complaint_id": [path.rpartition("/")[2] for path in complaints],
        "contact_id": [logged.json()["id"]],
        "visit_id": [each["id"] for each in (await agent.get("/visits")).json()["items"]],
        "staff_id": [str(LI), str(WANG)],
        "handler_id": [str(LI), str(CHEN)],
    }


@pytest.mark.timeout(attack.TIMEOUT)
def test_it_withstands_schemathesis(postgres_url: str, tmp_path: Path) -> None:
    staff = {"relationship_manager": LI, "team_lead": CHEN, "service_agent": AGENT}
    with attack.served(app, postgres_url, seed, staff) as target:
        attack.withstands(target, tmp_path)
