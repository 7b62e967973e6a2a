"""Registering clients: what is kept, what is told, what is refused."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from client_service.testing import NOW, OTHER_ENTITY, Desk
from contracts.base import party_id
from contracts.client import ClientRegistered, RegistrationScheme

CODE = "91370600679228211U"
LEI = "300300D31TW5CQT2W710"
DONSA: dict[str, Any] = {
    "name": "烟台市东上电子有限公司",
    "other_name": "YANTAI DONSA ELECTRONIC CO.,LTD",
    "identifiers": [{"scheme": "uscc", "value": CODE.lower()}, {"scheme": "lei", "value": LEI}],
    "external_numbers": [{"system": "core-ledger", "number": "S-004711"}],
    "roles": ["client", "guarantor"],
    "industry": "C39",
    "region": "CN-SD",
    "size": "small",
}


async def rows(desk: Desk, table: str) -> int:
    async with desk.service.tx() as tx:
        return await tx.scalar(sa.text(f"SELECT count(*) FROM {table}")) or 0


async def test_a_client_is_kept_and_told(desk: Desk) -> None:
    answer = await desk.bank.post("/clients", json=DONSA)
    assert answer.status_code == 201
    view = answer.json()
    alias = party_id("core-ledger", "S-004711")
    assert answer.headers["location"] == f"/clients/{view['id']}"
    assert answer.headers["etag"] == '"1"'
    assert view["stage"] == "lead"
    assert view["rm_id"] is None
    assert view["identifiers"] == [
        {"scheme": "uscc", "country": "", "value": CODE},
        {"scheme": "lei", "country": "", "value": LEI},
    ]
    assert view["external_numbers"] == [{"system": "core-ledger", "number": "S-004711", "alias_id": str(alias)}]
    told = await desk.service.last_emitted(ClientRegistered)
    assert told.client_id == UUID(view["id"])
    assert told.occurred_at == NOW
    assert told.aliases == (alias,)
    assert [(each.scheme, each.value) for each in told.registration_ids] == [
        (RegistrationScheme.USCC, CODE),
        (RegistrationScheme.LEI, LEI),
    ]
    again = await desk.operations.get(f"/clients/{view['id']}")
    assert again.json() == view
    assert again.headers["etag"] == '"1"'


async def test_a_client_is_found_by_the_id_the_bus_knows_it_by(desk: Desk) -> None:
    client = await desk.register(external_numbers=[{"system": "core-ledger", "number": "S-1"}])
    found = await desk.operations.get(f"/clients/{party_id('core-ledger', 'S-1')}")
    assert found.json()["id"] == client["id"]


async def test_no_name_goes_onto_the_bus(desk: Desk) -> None:
    await desk.bank.post("/clients", json=DONSA)
    told = await desk.service.last_emitted(ClientRegistered)
    assert "东上" not in told.model_dump_json()
    assert "DONSA" not in told.model_dump_json()


async def test_a_second_client_with_the_same_identifier_is_refused(desk: Desk) -> None:
    await desk.bank.post("/clients", json=DONSA)
    answer = await desk.bank.post(
        "/clients",
        json={
            "name": "别家公司",
            "identifiers": [{"scheme": "lei", "value": "549300YRNUQ0FK60YT75"}, {"scheme": "uscc", "value": CODE}],
        },
    )
    assert answer.status_code == 409
    problem = answer.json()
    assert problem["type"].endswith("identifier-taken")
    assert [error["field"] for error in problem["errors"]] == ["body.identifiers.1.value"]
    assert await rows(desk, "client") == 1
    assert await rows(desk, "client_identifier") == 2
    assert len(await desk.service.emitted(ClientRegistered)) == 1


async def test_a_second_client_with_the_same_external_number_is_refused(desk: Desk) -> None:
    await desk.bank.post("/clients", json=DONSA)
    answer = await desk.bank.post("/clients", json={"name": "别家", "external_numbers": DONSA["external_numbers"]})
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("external-number-taken")
    assert answer.json()["errors"][0]["field"] == "body.external_numbers.0.number"
    assert await rows(desk, "client") == 1
    assert await rows(desk, "alias") == 1


async def test_another_legal_entity_may_have_the_same_company_as_its_client(desk: Desk) -> None:
    await desk.bank.post("/clients", json=DONSA)
    answer = await desk.elsewhere.post("/clients", json={"name": "东上", "identifiers": DONSA["identifiers"]})
    assert answer.status_code == 201
    assert answer.json()["entity_id"] == OTHER_ENTITY


async def test_a_number_of_a_system_is_one_client_of_the_whole_deployment(desk: Desk) -> None:
    """The bus knows it by one id, so two legal entities cannot both own what comes under it."""
    await desk.bank.post("/clients", json=DONSA)
    answer = await desk.elsewhere.post("/clients", json={"name": "东上", "external_numbers": DONSA["external_numbers"]})
    assert answer.status_code == 409
    assert await rows(desk, "client") == 1


async def test_the_same_key_gets_the_same_answer(desk: Desk) -> None:
    key = {"Idempotency-Key": "row-17"}
    first = await desk.bank.post("/clients", json=DONSA, headers=key)
    second = await desk.bank.post("/clients", json=DONSA, headers=key)
    other = await desk.bank.post("/clients", json=DONSA | {"name": "东上"}, headers=key)
    assert (first.status_code, second.status_code, other.status_code) == (201, 201, 422)
    assert second.json() == first.json()
    assert len(await desk.service.emitted(ClientRegistered)) == 1


async def test_of_two_registrations_at_once_one_is_refused(desk: Desk) -> None:
    for attempt in range(10):
        bodies = [
            {"name": f"公司{attempt}{side}", "external_numbers": numbers}
            for side, numbers in (
                ("甲", [{"system": "core", "number": f"A{attempt}"}, {"system": "core", "number": f"B{attempt}"}]),
                ("乙", [{"system": "core", "number": f"B{attempt}"}, {"system": "core", "number": f"A{attempt}"}]),
            )
        ]
        answers = await asyncio.gather(*(desk.bank.post("/clients", json=body) for body in bodies))
        assert sorted(answer.status_code for answer in answers) == [201, 409]
    assert await rows(desk, "client") == 10
    assert len(await desk.service.emitted(ClientRegistered)) == 10


async def test_of_two_clients_with_one_identifier_at_once_one_is_refused(desk: Desk) -> None:
    body = {"name": "公司", "identifiers": [{"scheme": "uscc", "value": CODE}]}
    answers = await asyncio.gather(*(desk.bank.post("/clients", json=body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert {answer.json()["errors"][0]["field"] for answer in answers if answer.status_code == 409} == {
        "body.identifiers.0.value"
    }


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "body.name"),
        ({"name": "   "}, "body.name"),
        ({"name": "甲" * 201}, "body.name"),
        ({"name": "甲\n乙"}, "body.name"),
        ({"name": 7}, "body.name"),
        ({"other_name": "\u202eabc"}, "body.other_name"),
        ({"identifiers": [{"scheme": "uscc", "value": "91370600679228211X"}]}, "body.identifiers.0.value"),
        ({"identifiers": [{"scheme": "lei", "value": "300300D31TW5CQT2W711"}]}, "body.identifiers.0.value"),
        ({"identifiers": [{"scheme": "passport", "value": "1"}]}, "body.identifiers.0.scheme"),
        ({"identifiers": [{"scheme": "UNKNOWN", "value": "1"}]}, "body.identifiers.0.scheme"),
        ({"identifiers": [{"scheme": "lei", "value": LEI}] * 2}, "body.identifiers"),
        ({"external_numbers": [{"system": "core ledger", "number": "1"}]}, "body.external_numbers.0.system"),
        ({"external_numbers": [{"system": "core", "number": "with a space"}]}, "body.external_numbers.0.number"),
        ({"external_numbers": [{"system": "core", "number": "1"}] * 2}, "body.external_numbers"),
        ({"roles": []}, "body.roles"),
        ({"roles": ["UNKNOWN"]}, "body.roles.0"),
        ({"size": "huge"}, "body.size"),
        ({"industry": "保理"}, "body.industry"),
        ({"branch_id": "sh"}, "body.branch_id"),
        ({"stage": "active"}, "body.stage"),
        ({"entity_id": OTHER_ENTITY}, "body.entity_id"),
    ],
)
async def test_bad_input_names_the_field_and_changes_nothing(desk: Desk, change: dict[str, Any], field: str) -> None:
    answer = await desk.bank.post("/clients", json=DONSA | change)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert await rows(desk, "client") == 0
    assert await desk.service.emitted() == []


async def test_a_refused_identifier_says_why_and_does_not_repeat_it(desk: Desk) -> None:
    wrong = "91370600679228211X"
    body = {"name": "东上", "identifiers": [{"scheme": "uscc", "value": wrong}]}
    answer = await desk.bank.post("/clients", json=body)
    assert "check character" in answer.json()["errors"][0]["reason"]
    assert wrong not in answer.text


async def test_a_nul_character_is_refused(desk: Desk) -> None:
    assert (await desk.bank.post("/clients", json={"name": "甲\u0000"})).status_code == 422
    assert await rows(desk, "client") == 0
