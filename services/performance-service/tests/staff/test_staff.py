"""Who is on the staff, told by HR's events or over the API."""

from datetime import date
from typing import Any
from uuid import UUID

from contracts.bank.hr import EmployeeJoined, EmployeeLeft, EmployeeMoved
from contracts.performance import StaffJoined, StaffLeft, StaffMoved, StaffRole
from servicekit.testing import Harness

ANNA, TEAM, OTHER = UUID(int=0x401), UUID(int=0x501), UUID(int=0x502)


def joined(**changed: Any) -> EmployeeJoined:
    base = {"entity_id": "DEMO-FACTOR", "staff_id": ANNA, "team_id": TEAM, "role": StaffRole.RELATIONSHIP_MANAGER}
    return EmployeeJoined.example().model_copy(update={**base, "joined_on": date(2026, 1, 5), **changed})


async def test_hr_tells_and_the_platform_tells_on(performance: Harness) -> None:
    moved = EmployeeMoved.example().model_copy(
        update={"entity_id": "DEMO-FACTOR", "staff_id": ANNA, "team_id": OTHER, "moved_on": date(2026, 2, 1)}
    )
    left = EmployeeLeft.example().model_copy(
        update={"entity_id": "DEMO-FACTOR", "staff_id": ANNA, "left_on": date(2026, 3, 1)}
    )
    await performance.receives(joined(), moved, left)
    told = await performance.emitted()
    assert [type(event) for event in told] == [StaffJoined, StaffMoved, StaffLeft]
    assert isinstance(told[1], StaffMoved)
    assert (told[1].from_team_id, told[1].team_id) == (TEAM, OTHER)


async def test_someone_may_come_back(performance: Harness) -> None:
    left = EmployeeLeft.example().model_copy(
        update={"entity_id": "DEMO-FACTOR", "staff_id": ANNA, "left_on": date(2026, 3, 1)}
    )
    await performance.receives(joined(), left, joined(joined_on=date(2026, 6, 1)))
    listed = (await performance.client("administrator").get("/staff")).json()["items"]
    assert [(member["joined_on"], member["left_on"]) for member in listed] == [("2026-06-01", None)]


async def test_a_stranger_that_moves_is_parked_to_be_looked_at(performance: Harness) -> None:
    moved = EmployeeMoved.example().model_copy(update={"entity_id": "DEMO-FACTOR", "staff_id": ANNA})
    await performance.receives(moved, may_park=True)
    assert await performance.emitted() == []


async def test_each_sees_themselves_a_lead_the_team_an_auditor_all(
    performance: Harness, names: Any, staffed: Any
) -> None:
    north, _ = await staffed()

    async def seen(role: str, staff_id: UUID | None = None, **query: str) -> set[str]:
        answer = await performance.client(role, staff_id=staff_id).get("/staff", params={"total": "true", **query})
        page = answer.json()
        assert page["total"] == len(page["items"])
        return {member["staff_id"] for member in page["items"]}

    assert await seen("relationship_manager", names.li) == {str(names.li)}
    assert await seen("team_lead", names.lead) == {str(names.li), str(names.wang), str(names.lead)}
    assert len(await seen("auditor")) == 4
    assert await seen("auditor", team_id=str(north)) == {str(names.li), str(names.wang), str(names.lead)}
    assert await seen("relationship_manager") == set()
    other = performance.client("auditor", entity_id="OTHER-BANK")
    assert (await other.get("/staff")).json()["items"] == []


async def test_joining_twice_or_an_unknown_team_is_refused(performance: Harness, names: Any, staffed: Any) -> None:
    north, _ = await staffed()
    bank = performance.client("administrator")
    body = {"staff_id": str(names.li), "team_id": str(north), "role": "team_lead", "joined_on": "2026-01-01"}
    again = await bank.post("/staff", json=body)
    assert (again.status_code, again.json()["type"]) == (409, "/problems/already-on-staff")
    unknown = await bank.post("/staff", json={**body, "staff_id": str(ANNA), "team_id": str(ANNA)})
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (422, "body.team_id")
    gone = await bank.post(f"/staff/{names.li}/leave", json={"left_on": "2026-03-01"})
    assert gone.json()["left_on"] == "2026-03-01"
    twice = await bank.post(f"/staff/{names.li}/move", json={"team_id": str(north), "moved_on": "2026-03-02"})
    assert (twice.status_code, twice.json()["type"]) == (409, "/problems/not-on-staff")
