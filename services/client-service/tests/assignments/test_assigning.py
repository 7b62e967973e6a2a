"""Relationship managers: assigned with a reason, told, and from then on the ones who see the client."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest

from client_service.testing import LI, NORTH, NORTH_LEAD, NOW, OTHER_ENTITY, SOUTH, WANG, ZHAO, Desk, said
from contracts.client import RmAssigned
from contracts.performance import StaffJoined, StaffLeft, StaffMoved


async def sees(caller: httpx.AsyncClient, client_id: str) -> bool:
    one = (await caller.get(f"/clients/{client_id}")).status_code
    listed = (await caller.get("/clients", params={"total": True})).json()
    assert (one == 200) == (client_id in [each["id"] for each in listed["items"]])
    assert listed["total"] == len(listed["items"])
    return one == 200


async def test_a_new_client_is_seen_by_all_scopes_only(desk: Desk) -> None:
    answer = await desk.li.post("/clients", json={"name": "新客户"})
    assert answer.status_code == 201  # the registrar's own reply shows it
    client_id = answer.json()["id"]
    for caller in (desk.operations, desk.risk_officer, desk.auditor, desk.agent, desk.administrator, desk.bank):
        assert await sees(caller, client_id)
    for caller in (desk.li, desk.north_lead, desk.elsewhere):
        assert not await sees(caller, client_id)


async def test_whoever_is_assigned_sees_the_client_and_the_one_before_no_longer(desk: Desk) -> None:
    client = await desk.managed(LI)
    assert await sees(desk.li, client["id"])
    assert await sees(desk.north_lead, client["id"])
    assert not await sees(desk.wang, client["id"])
    assert not await sees(desk.south_lead, client["id"])
    answer = await desk.north_lead.post(
        f"/clients/{client['id']}/relationship-manager", json={"staff_id": str(ZHAO), "reason": "moved south"}
    )
    assert answer.status_code == 201
    told = await desk.service.last_emitted(RmAssigned)
    assert (told.staff_id, told.from_staff_id, told.effective_at) == (ZHAO, LI, NOW)
    assert await sees(desk.zhao, client["id"])
    assert await sees(desk.south_lead, client["id"])
    for caller in (desk.li, desk.north_lead):
        assert not await sees(caller, client["id"])
    history = (await desk.zhao.get(f"/clients/{client['id']}/relationship-managers")).json()
    assert [(each["staff_id"], each["from_staff_id"], each["reason"]) for each in history] == [
        (str(ZHAO), str(LI), "moved south"),
        (str(LI), None, "portfolio"),
    ]
    assert history[0]["assigned_by"] == str(NORTH_LEAD)


async def test_a_team_lead_sees_what_the_team_has_now(desk: Desk) -> None:
    client = await desk.managed(LI)
    await desk.service.receives(said(StaffMoved, staff_id=LI, team_id=SOUTH, from_team_id=NORTH))
    assert await sees(desk.south_lead, client["id"])
    assert not await sees(desk.north_lead, client["id"])
    assert await sees(desk.li, client["id"])


async def test_an_unknown_member_of_staff_is_refused(desk: Desk) -> None:
    client = await desk.register()
    answer = await desk.give(client["id"], UUID(int=0x999))
    assert answer.status_code == 422
    assert answer.json()["type"].endswith("unknown-staff")
    assert answer.json()["errors"][0]["field"] == "body.staff_id"
    assert await desk.service.emitted(RmAssigned) == []
    assert (await desk.operations.get(f"/clients/{client['id']}")).json() == client


async def test_another_entitys_staff_is_unknown_here(desk: Desk) -> None:
    client = await desk.register()
    stranger = UUID(int=0x998)
    await desk.service.receives(said(StaffJoined, entity_id=OTHER_ENTITY, staff_id=stranger, team_id=NORTH))
    assert (await desk.give(client["id"], stranger)).status_code == 422


async def test_who_has_left_is_refused(desk: Desk) -> None:
    client = await desk.register()
    await desk.service.receives(said(StaffLeft, staff_id=LI))
    answer = await desk.give(client["id"], LI)
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("staff-departed")
    await desk.service.receives(said(StaffJoined, staff_id=LI, team_id=SOUTH))
    assert (await desk.give(client["id"], LI)).status_code == 201


async def test_an_assignment_may_begin_on_an_earlier_day_but_not_before_the_one_it_follows(desk: Desk) -> None:
    client = await desk.register()

    async def give(staff: UUID, day: str) -> httpx.Response:
        body = {"staff_id": str(staff), "reason": "taken over", "effective_on": day}
        return await desk.operations.post(f"/clients/{client['id']}/relationship-manager", json=body)

    assert (await give(LI, "2026-05-04")).status_code == 201
    told = await desk.service.last_emitted(RmAssigned)
    assert told.effective_at == datetime(2026, 5, 3, 16, tzinfo=UTC)  # midnight in Shanghai
    assert told.occurred_at == NOW
    assert await sees(desk.li, client["id"])
    for day in ("2026-05-03", "2026-11-04"):
        answer = await give(WANG, day)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "body.effective_on"
    assert await sees(desk.li, client["id"])
    assert (await give(WANG, "2026-05-04")).status_code == 201
    assert await sees(desk.wang, client["id"])
    assert not await sees(desk.li, client["id"])


async def test_assigning_the_same_again_is_no_assignment(desk: Desk) -> None:
    client = await desk.managed(LI)
    answer = await desk.give(client["id"], LI)
    assert answer.status_code == 409
    assert len(await desk.service.emitted(RmAssigned)) == 1


async def test_of_two_assignments_at_once_the_last_told_is_the_one_that_stands(desk: Desk) -> None:
    for n in range(5):
        client = await desk.register(name=f"公司{n}")
        answers = await asyncio.gather(*(desk.give(client["id"], staff) for staff in (LI, WANG, ZHAO)))
        assert {answer.status_code for answer in answers} <= {201, 409}
        told = [event for event in await desk.told(RmAssigned) if event.client_id == UUID(client["id"])]
        assert len(told) == [answer.status_code for answer in answers].count(201)
        assert (await desk.operations.get(f"/clients/{client['id']}")).json()["rm_id"] == str(told[-1].staff_id)


@pytest.mark.parametrize(
    "body", [{}, {"staff_id": "li", "reason": "x"}, {"staff_id": str(LI)}, {"staff_id": str(LI), "reason": " "}]
)
async def test_bad_input_changes_nothing(desk: Desk, body: dict[str, str]) -> None:
    client = await desk.register()
    assert (await desk.operations.post(f"/clients/{client['id']}/relationship-manager", json=body)).status_code == 422
    assert (await desk.operations.get(f"/clients/{client['id']}")).json() == client
