"""Changing what is on file: the version asked for, the numbers kept, the world told, and every change on record."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest

from client_service.testing import LI, Desk
from contracts.base import party_id
from contracts.client import ClientProfileChanged, SizeClass

CODE, OTHER_CODE = "91370600679228211U", "9137100077633426XB"


async def change(
    caller: httpx.AsyncClient, client: dict[str, Any], body: dict[str, Any], etag: str | None = None
) -> httpx.Response:
    etag = etag or f'"{client["version"]}"'
    return await caller.patch(f"/clients/{client['id']}", json=body, headers={"If-Match": etag})


async def test_a_change_is_kept_and_told(desk: Desk) -> None:
    client = await desk.managed(LI, industry="C39", size="small")
    client = (await desk.li.get(f"/clients/{client['id']}")).json()
    answer = await change(desk.li, client, {"industry": "C40", "size": "medium", "name": client["name"]})
    assert answer.status_code == 200
    assert answer.json()["industry"] == "C40"
    assert answer.json()["version"] == client["version"] + 1
    assert answer.headers["etag"] == f'"{client["version"] + 1}"'
    told = await desk.service.last_emitted(ClientProfileChanged)
    assert told.client_id == UUID(client["id"])
    assert told.fields == ("industry", "size")
    assert (told.industry, told.size, told.version) == ("C40", SizeClass.MEDIUM, client["version"] + 1)
    again = await desk.li.get(f"/clients/{client['id']}")
    assert again.json() == answer.json()
    assert again.headers["etag"] == answer.headers["etag"]


async def test_what_is_set_to_null_is_gone(desk: Desk) -> None:
    client = await desk.register(industry="C39", other_name="Old")
    answer = await change(desk.operations, client, {"industry": None, "other_name": None})
    assert (answer.json()["industry"], answer.json()["other_name"]) == (None, None)
    assert (await desk.operations.get("/clients", params={"q": "old"})).json()["items"] == []


async def test_a_change_that_changes_nothing_is_none(desk: Desk) -> None:
    client = await desk.register(industry="C39")
    answer = await change(desk.operations, client, {"industry": "C39", "roles": ["client"]})
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"1"'
    assert await desk.service.emitted(ClientProfileChanged) == []


async def test_the_version_must_be_named_and_the_last(desk: Desk) -> None:
    client = await desk.register()
    missing = await desk.operations.patch(f"/clients/{client['id']}", json={"industry": "C1"})
    assert missing.status_code == 428
    assert (await change(desk.operations, client, {"industry": "C1"})).status_code == 200
    lost = await change(desk.operations, client, {"industry": "C2"})
    assert lost.status_code == 412
    assert (await desk.operations.get(f"/clients/{client['id']}")).json()["industry"] == "C1"
    assert len(await desk.service.emitted(ClientProfileChanged)) == 1


async def test_of_changes_at_once_one_wins_and_the_last_event_is_the_last_state(desk: Desk) -> None:
    client = await desk.register()
    answers = await asyncio.gather(*(change(desk.operations, client, {"industry": f"C{n}"}) for n in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412]
    told = await desk.service.last_emitted(ClientProfileChanged)
    assert told.industry == (await desk.operations.get(f"/clients/{client['id']}")).json()["industry"]


async def test_identifiers_can_be_replaced_and_are_free_again(desk: Desk) -> None:
    client = await desk.register(identifiers=[{"scheme": "uscc", "value": CODE}])
    answer = await change(desk.operations, client, {"identifiers": [{"scheme": "uscc", "value": OTHER_CODE}]})
    assert [each["value"] for each in answer.json()["identifiers"]] == [OTHER_CODE]
    other = await desk.register(name="别家", identifiers=[{"scheme": "uscc", "value": CODE}])
    taken = await change(desk.operations, other, {"identifiers": [{"scheme": "uscc", "value": OTHER_CODE}]})
    assert taken.status_code == 409
    assert taken.json()["errors"][0]["field"] == "body.identifiers.0.value"
    assert [each["value"] for each in (await desk.operations.get(f"/clients/{other['id']}")).json()["identifiers"]] == [
        CODE
    ]


async def test_an_external_number_is_added_and_never_removed(desk: Desk) -> None:
    first, second = {"system": "core", "number": "S-1"}, {"system": "erp", "number": "77"}
    client = await desk.register(external_numbers=[first])
    answer = await change(desk.operations, client, {"external_numbers": [second, first]})
    assert answer.status_code == 200
    told = await desk.service.last_emitted(ClientProfileChanged)
    assert set(told.aliases) == {party_id("core", "S-1"), party_id("erp", "77")}
    assert told.fields == ("aliases", "external_numbers")
    assert (await desk.operations.get(f"/clients/{party_id('erp', '77')}")).json()["id"] == client["id"]
    lost = await change(desk.operations, answer.json(), {"external_numbers": [second]})
    assert lost.status_code == 409
    assert lost.json()["type"].endswith("external-number-kept")
    other = await desk.register(name="别家")
    assert (await change(desk.operations, other, {"external_numbers": [second]})).status_code == 409


@pytest.mark.parametrize(
    "body",
    [{"name": ""}, {"name": None}, {"roles": []}, {"stage": "active"}, {"rm_id": str(LI)}, {"size": "UNKNOWN"}, []],
)
async def test_bad_changes_change_nothing(desk: Desk, body: Any) -> None:
    client = await desk.register()
    assert (await change(desk.operations, client, body)).status_code == 422
    assert (await desk.operations.get(f"/clients/{client['id']}")).json() == client


async def test_an_etag_that_is_none_is_a_bad_request(desk: Desk) -> None:
    client = await desk.register()
    assert (await change(desk.operations, client, {"industry": "C1"}, etag="one")).status_code == 400


async def test_the_history_says_who_changed_what(desk: Desk) -> None:
    client = await desk.register(industry="C39")
    await desk.give(client["id"], LI)
    version = (await desk.li.get(f"/clients/{client['id']}")).json()["version"]
    await change(desk.li, client | {"version": version}, {"industry": "C40"})
    history = (await desk.auditor.get(f"/clients/{client['id']}/history", params={"total": True})).json()
    assert history["total"] == 3
    last, assigned, first = history["items"]
    assert (last["actor"], last["operation"], last["record"], last["action"]) == (
        str(LI),
        "change_client",
        "client",
        "update",
    )
    assert (last["before"]["industry"], last["after"]["industry"]) == ("C39", "C40")
    assert (assigned["actor"], assigned["after"]["rm_id"]) == ("operations", str(LI))
    assert (first["action"], first["before"], first["after"]["industry"]) == ("insert", None, "C39")
    assert (await desk.wang.get(f"/clients/{client['id']}/history")).status_code == 404


async def test_the_history_covers_contracts_and_persons_without_what_is_personal(desk: Desk) -> None:
    client = await desk.managed(LI)
    await desk.draft(client["id"])
    await desk.li.post(f"/clients/{client['id']}/contact-persons", json={"name": "王某某", "phone": "+86 535 000 0000"})
    answer = await desk.li.get(f"/clients/{client['id']}/history")
    assert {each["record"] for each in answer.json()["items"]} == {"client", "factoring_contract", "contact_person"}
    person = next(each for each in answer.json()["items"] if each["record"] == "contact_person")
    assert person["after"]["phone"] == "sealed"
    assert "王某某" not in answer.text
    assert "535" not in answer.text
