"""The organisation's tree through the front door."""

from contracts.performance import OrganisationChanged
from servicekit.testing import Harness


async def test_a_tree_is_built_from_the_legal_entity_down(performance: Harness) -> None:
    bank = performance.client("administrator")
    entity = {"kind": "entity", "calendar": "GB", "time_zone": "Europe/London", "currency": "GBP"}
    assert (await bank.put("/organisation/units/DEMO-FACTOR", json=entity)).status_code == 201
    branch = await bank.put("/organisation/units/NORTH-BRANCH", json={"kind": "branch", "parent": "DEMO-FACTOR"})
    team = await bank.put("/organisation/units/TEAM-1", json={"kind": "team", "parent": "NORTH-BRANCH"})
    assert (branch.json()["time_zone"], team.json()["currency"]) == ("Europe/London", "GBP")
    assert team.json()["team_id"] is not None
    told = await performance.emitted(OrganisationChanged)
    assert [event.key for event in told] == ["DEMO-FACTOR", "NORTH-BRANCH", "TEAM-1"]
    listed = (await bank.get("/organisation/units")).json()
    assert [unit["unit_id"] for unit in listed] == ["DEMO-FACTOR", "NORTH-BRANCH", "TEAM-1"]


async def test_saying_the_same_again_tells_nobody(performance: Harness) -> None:
    bank = performance.client("administrator")
    for status in (201, 200):
        answer = await bank.put("/organisation/units/DEMO-FACTOR", json={"kind": "entity"})
        assert answer.status_code == status
    assert len(await performance.emitted()) == 1


async def test_a_unit_cannot_stand_below_itself(performance: Harness) -> None:
    bank = performance.client("administrator")
    await bank.put("/organisation/units/DEMO-FACTOR", json={"kind": "entity"})
    await bank.put("/organisation/units/AA", json={"kind": "branch", "parent": "DEMO-FACTOR"})
    await bank.put("/organisation/units/BB", json={"kind": "branch", "parent": "AA"})
    answer = await bank.put("/organisation/units/AA", json={"kind": "branch", "parent": "BB"})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/unit-under-itself")


async def test_what_does_not_fit_the_tree_is_refused_with_the_field(performance: Harness) -> None:
    bank = performance.client("administrator")
    team = await bank.put("/organisation/units/TT", json={"kind": "team", "parent": "DEMO-FACTOR"})
    assert (team.status_code, team.json()["errors"][0]["field"]) == (422, "body.parent")
    zone = await bank.put("/organisation/units/DEMO-FACTOR", json={"kind": "entity", "time_zone": "Mars/Base"})
    assert (zone.status_code, zone.json()["errors"][0]["field"]) == (422, "body.time_zone")
    foreign = await bank.put("/organisation/units/OTHER-BANK", json={"kind": "entity"})
    assert foreign.status_code == 422
    assert await performance.emitted() == []


async def test_each_legal_entity_has_its_own_tree(performance: Harness) -> None:
    await performance.client("administrator").put("/organisation/units/DEMO-FACTOR", json={"kind": "entity"})
    other = performance.client("administrator", entity_id="OTHER-BANK")
    assert (await other.get("/organisation/units")).json() == []
    manager = performance.client("relationship_manager")
    assert (await manager.put("/organisation/units/DEMO-FACTOR", json={"kind": "entity"})).status_code == 403


async def test_a_team_keeps_the_id_that_hr_gives_it(performance: Harness) -> None:
    bank = performance.client("administrator")
    await bank.put("/organisation/units/DEMO-FACTOR", json={"kind": "entity"})
    team = {"kind": "team", "parent": "DEMO-FACTOR", "team_id": "0199a7c0-5555-7aaa-8aaa-000000000106"}
    assert (await bank.put("/organisation/units/TEAM-1", json=team)).json()["team_id"] == team["team_id"]
    renewed = await bank.put("/organisation/units/TEAM-1", json={"kind": "team", "parent": "DEMO-FACTOR"})
    assert renewed.json()["team_id"] == team["team_id"]
    taken = await bank.put("/organisation/units/TEAM-2", json=team)
    assert (taken.status_code, taken.json()["type"]) == (409, "/problems/team-id-taken")
    branch = await bank.put("/organisation/units/BRANCH", json={**team, "kind": "branch"})
    assert (branch.status_code, branch.json()["errors"][0]["field"]) == (422, "body.team_id")


async def test_a_change_of_a_unit_names_the_version_it_changes(performance: Harness) -> None:
    bank = performance.client("administrator")
    address, china = "/organisation/units/DEMO-FACTOR", {"kind": "entity", "calendar": "CN"}
    new = await bank.put(address, json=china, headers={"If-Match": '"1"'})
    assert (new.status_code, await performance.emitted()) == (412, [])
    made = await bank.put(address, json=china)
    assert (made.headers["ETag"], made.json()["version"]) == ('"1"', 1)
    britain = china | {"calendar": "GB"}
    assert (await bank.put(address, json=britain)).status_code == 428
    changed = await bank.put(address, json=britain, headers={"If-Match": made.headers["ETag"]})
    assert (changed.status_code, changed.headers["ETag"], changed.json()["calendar"]) == (200, '"2"', "GB")
    lost = await bank.put(address, json=china, headers={"If-Match": made.headers["ETag"]})
    assert lost.status_code == 412
    (listed,) = (await bank.get("/organisation/units")).json()
    assert (listed["version"], listed["calendar"]) == (2, "GB")
    assert len(await performance.emitted()) == 2
