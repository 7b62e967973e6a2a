"""Row scope: every neighbour's door is tried, on get, list, search, total and change."""

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sample.notes import Note

from contracts.client import ClientRegistered, RmAssigned
from servicekit.access import add_alias, canonical, ids_of, resolved, set_member, set_owner
from servicekit.tables import access_owner, alias
from servicekit.testing import Harness, Template

AT = datetime(2026, 1, 1, tzinfo=UTC)
ME, COLLEAGUE, STRANGER, LONER = uuid4(), uuid4(), uuid4(), uuid4()
TEAM, OTHER_TEAM = uuid4(), uuid4()
MINE, THEIRS, FOREIGN, UNOWNED, ELSEWHERE, MINE_ALIAS = (uuid4() for _ in range(6))


@pytest.fixture
async def office(sample: Harness) -> Harness:
    """Mine, a colleague's, another team's, nobody's, and another legal entity's client; a note about each."""
    async with sample.tx() as tx, tx.begin():
        for member, team in ((ME, TEAM), (COLLEAGUE, TEAM), (STRANGER, OTHER_TEAM)):
            await set_member(tx, member, "DEMO-FACTOR", team, AT)
        await set_owner(tx, MINE, "DEMO-FACTOR", ME, AT)
        await set_owner(tx, THEIRS, "DEMO-FACTOR", COLLEAGUE, AT)
        await set_owner(tx, FOREIGN, "DEMO-FACTOR", STRANGER, AT)
        await set_owner(tx, ELSEWHERE, "OTHER-BANK", ME, AT)
        await add_alias(tx, MINE_ALIAS, MINE, AT)
        for client in (MINE, THEIRS, FOREIGN, UNOWNED, MINE_ALIAS):
            tx.add(note(client, "DEMO-FACTOR"))
        tx.add(note(ELSEWHERE, "OTHER-BANK"))
    return sample


def note(client: UUID, entity: str) -> Note:
    return Note(id=client, client_id=client, entity_id=entity, code=str(client), made_at=AT)


async def sees(client: httpx.AsyncClient) -> set[UUID]:
    """What the list, the total, the search and each get show; they must agree."""
    listed = (await client.get("/notes", params={"total": True})).json()
    found = {UUID(item["id"]) for item in listed["items"]}
    assert listed["total"] == len(found)
    for each in (MINE, THEIRS, FOREIGN, UNOWNED, ELSEWHERE, MINE_ALIAS):
        got = await client.get(f"/notes/{each}")
        searched = (await client.get("/notes", params={"code": str(each), "total": True})).json()
        seen = each in found
        assert got.status_code == (200 if seen else 404)
        assert (len(searched["items"]), searched["total"]) == ((1, 1) if seen else (0, 0))
    return found


async def test_own_sees_the_own_and_its_aliases(office: Harness) -> None:
    assert await sees(office.client("relationship_manager", staff_id=ME)) == {MINE, MINE_ALIAS}


async def test_team_sees_the_teams(office: Harness) -> None:
    assert await sees(office.client("team_lead", staff_id=ME)) == {MINE, THEIRS, MINE_ALIAS}


async def test_all_sees_its_own_legal_entity_whole(office: Harness) -> None:
    assert await sees(office.client("risk_officer")) == {MINE, THEIRS, FOREIGN, UNOWNED, MINE_ALIAS}
    assert await sees(office.client("risk_officer", entity_id="OTHER-BANK")) == {ELSEWHERE}
    assert await sees(office.client("risk_officer", entity_id="THIRD-BANK")) == set()


async def test_a_foreign_entitys_token_of_the_same_person_sees_nothing_here(office: Harness) -> None:
    assert await sees(office.client("relationship_manager", staff_id=ME, entity_id="OTHER-BANK")) == {ELSEWHERE}
    assert await sees(office.client("team_lead", staff_id=ME, entity_id="OTHER-BANK")) == set()


async def test_who_is_nobody_sees_nothing(office: Harness) -> None:
    assert await sees(office.client("relationship_manager")) == set()
    assert await sees(office.client("team_lead", staff_id=LONER)) == set()


async def test_what_is_not_visible_cannot_be_changed_either(office: Harness) -> None:
    me = office.client("relationship_manager", staff_id=ME)
    for closed in (THEIRS, FOREIGN, UNOWNED, ELSEWHERE):
        changed = await me.put(f"/notes/{closed}", json={"size": 1}, headers={"If-Match": '"1"'})
        assert changed.status_code == 404
        assert (await me.delete(f"/notes/{closed}")).status_code == 404
    missing = (await me.get(f"/notes/{uuid4()}")).json()
    hidden = (await me.get(f"/notes/{THEIRS}")).json()
    assert (missing["title"], missing["detail"]) == (hidden["title"], hidden["detail"])


async def test_a_client_without_an_owner_fails_closed_until_one_is_told(sample: Harness) -> None:
    client_id, staff_id = uuid4(), uuid4()
    async with sample.tx() as tx, tx.begin():
        tx.add(note(client_id, "DEMO-FACTOR"))
    me = sample.client("relationship_manager", staff_id=staff_id)
    assert (await me.get(f"/notes/{client_id}")).status_code == 404
    assigned = RmAssigned.example().model_copy(
        update={"entity_id": "DEMO-FACTOR", "client_id": client_id, "staff_id": staff_id}
    )
    await sample.receives(assigned)
    assert (await me.get(f"/notes/{client_id}")).status_code == 200


async def test_an_alias_heard_later_opens_what_came_under_it(sample: Harness) -> None:
    client_id, alias_id, staff_id = uuid4(), uuid4(), uuid4()
    async with sample.tx() as tx, tx.begin():
        tx.add(note(alias_id, "DEMO-FACTOR"))
        await set_owner(tx, client_id, "DEMO-FACTOR", staff_id, AT)
    me = sample.client("relationship_manager", staff_id=staff_id)
    assert (await me.get(f"/notes/{alias_id}")).status_code == 404
    registered = ClientRegistered.example().model_copy(update={"client_id": client_id, "aliases": (alias_id,)})
    await sample.receives(registered)
    assert (await me.get(f"/notes/{alias_id}")).status_code == 200


async def test_an_owner_of_an_alias_is_not_the_owner_of_the_client(sample: Harness) -> None:
    """After a merge the canonical client's owner counts, not the merged one's."""
    kept, merged, old_owner, new_owner = (uuid4() for _ in range(4))
    async with sample.tx() as tx, tx.begin():
        tx.add(note(merged, "DEMO-FACTOR"))
        await set_owner(tx, merged, "DEMO-FACTOR", old_owner, AT)
        await set_owner(tx, kept, "DEMO-FACTOR", new_owner, AT)
        await add_alias(tx, merged, kept, AT)
    assert (await sample.client("relationship_manager", staff_id=old_owner).get(f"/notes/{merged}")).status_code == 404
    assert (await sample.client("relationship_manager", staff_id=new_owner).get(f"/notes/{merged}")).status_code == 200


async def test_owners_and_members_are_safe_out_of_order(sample: Harness) -> None:
    for order in itertools.permutations(range(3)):
        object_id = uuid4()
        owners = [uuid4(), None, uuid4()]
        async with sample.tx() as tx, tx.begin():
            for index in order:
                await set_owner(tx, object_id, "DEMO-FACTOR", owners[index], AT + timedelta(days=index))
            stands = await tx.scalar(sa.select(access_owner.c.owner_id).where(access_owner.c.object_id == object_id))
        assert stands == owners[2]


@pytest.fixture(scope="module")
async def shared(template: Template) -> AsyncIterator[Harness]:
    async with template.harness() as harness:
        yield harness


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(4)))
async def test_chains_of_aliases_end_the_same_in_any_order(shared: Harness, order: list[int]) -> None:
    ids = [uuid4() for _ in range(5)]
    async with shared.tx() as tx, tx.begin():
        for index in order:
            await add_alias(tx, ids[index], ids[index + 1], AT)
        assert [await canonical(tx, each) for each in ids] == [ids[4]] * 5
        assert (await ids_of(tx, ids[0]))[0] == ids[4]
        assert set(await ids_of(tx, ids[2])) == set(ids)
        column = sa.column("id", sa.Uuid)
        values = sa.values(column, name="v").data([(each,) for each in ids])
        assert set(await tx.scalars(sa.select(resolved(values.c.id)))) == {ids[4]}


async def test_a_circle_of_aliases_is_ignored(sample: Harness) -> None:
    one, two = uuid4(), uuid4()
    async with sample.tx() as tx, tx.begin():
        await add_alias(tx, one, two, AT)
        await add_alias(tx, two, one, AT)
        await add_alias(tx, one, one, AT)
        assert await canonical(tx, one) == two
        assert await tx.scalar(sa.select(sa.func.count()).select_from(alias)) == 1
