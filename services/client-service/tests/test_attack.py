"""client-service under attack: whatever is sent, it answers as its OpenAPI says."""

from pathlib import Path

import pytest

import attack
from client_service.app import app
from client_service.testing import LI, NORTH_LEAD, NOW, WANG, Desk, staffed
from servicekit.testing import Harness


async def seed(service: Harness) -> attack.Known:
    """A client with a manager, persons and contracts, and one that has signed."""
    service.clock.set(NOW)
    await service.receives_together(*staffed())
    desk = Desk(service)
    mine, signed = await desk.approved(), await desk.signed(name="烟台市西上电子有限公司")
    await desk.give(mine["id"], LI)
    await desk.rated(mine["id"])
    path = f"/clients/{mine['id']}/contact-persons"
    persons = [(await desk.operations.post(path, json={"name": f"王{n}"})).json()["id"] for n in range(6)]
    return {
        "client_id": [mine["id"], signed["id"]],
        "person_id": persons,
        "contract_id": [(await desk.draft(mine["id"]))["id"] for _ in range(3)],
        "staff_id": [str(LI), str(WANG)],
    }


@pytest.mark.timeout(attack.TIMEOUT)
def test_it_withstands_schemathesis(postgres_url: str, tmp_path: Path) -> None:
    staff = {"relationship_manager": LI, "team_lead": NORTH_LEAD}
    with attack.served(app, postgres_url, seed, staff) as target:
        attack.withstands(target, tmp_path)
