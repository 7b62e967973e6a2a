"""Contracts: drafted, signed once, and what the signature does to the client."""

import asyncio
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from client_service.testing import LI, TERMS, TODAY, WANG, Desk, cny
from contracts.client import ContractSigned, LifecycleChanged, LifecycleReason, Product, Stage


async def test_signing_makes_an_approved_client_signed(desk: Desk) -> None:
    client = await desk.approved()
    await desk.rated(client["id"])
    contract = await desk.draft(client["id"])
    assert contract["state"] == "draft"
    await desk.service.forget_emitted()
    answer = await desk.sign(client["id"], contract["id"])
    assert answer.status_code == 201
    assert (answer.json()["state"], answer.json()["signed_on"]) == ("signed", str(TODAY))
    assert answer.headers["etag"] == f'"{answer.json()["version"]}"'
    signed, moved = await desk.service.emitted()
    assert isinstance(signed, ContractSigned)
    assert isinstance(moved, LifecycleChanged)
    assert (signed.contract_id, signed.product, signed.recourse, signed.disclosed) == (
        UUID(contract["id"]),
        Product.DOMESTIC,
        True,
        True,
    )
    assert (signed.advance_rate, signed.limit) == (Decimal("0.8"), cny("5000000.00"))
    assert (signed.signed_on, signed.effective_from, signed.expires_on) == (
        TODAY,
        date(2026, 11, 10),
        date(2027, 11, 9),
    )
    assert (moved.from_stage, moved.to_stage, moved.reason) == (
        Stage.APPROVED,
        Stage.SIGNED,
        LifecycleReason.CONTRACT_SIGNED,
    )
    view = (await desk.operations.get(f"/clients/{client['id']}")).json()
    assert view["stage"] == "signed"
    read = await desk.operations.get(f"/clients/{client['id']}/contracts/{contract['id']}")
    assert read.json() == answer.json()
    assert read.headers["etag"] == answer.headers["etag"]
    assert (await desk.operations.get(f"/clients/{client['id']}/contracts")).json() == [answer.json()]


async def test_a_contract_is_signed_once(desk: Desk) -> None:
    client = await desk.approved()
    await desk.rated(client["id"])
    contract = await desk.draft(client["id"])
    answers = await asyncio.gather(*(desk.sign(client["id"], contract["id"]) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    again = await desk.sign(client["id"], contract["id"])
    assert again.json()["type"].endswith("contract-already-signed")
    assert len(await desk.service.emitted(ContractSigned)) == 1


async def test_a_client_in_business_signs_another_contract_and_stays_where_it_is(desk: Desk) -> None:
    client = await desk.signed()
    await desk.move(client["id"], Stage.ACTIVE)
    other = await desk.draft(client["id"], product="international", expires_on="2028-11-09")
    assert (await desk.sign(client["id"], other["id"])).status_code == 201
    assert (await desk.operations.get(f"/clients/{client['id']}")).json()["stage"] == "active"
    assert len(await desk.service.emitted(ContractSigned)) == 2


@pytest.mark.parametrize("stages", [(), (Stage.PROSPECT,), (Stage.PROSPECT, Stage.REJECTED)])
async def test_who_is_not_approved_signs_nothing(desk: Desk, stages: tuple[Stage, ...]) -> None:
    client = await desk.register()
    if stages:
        await desk.move(client["id"], *stages)
    await desk.rated(client["id"])
    contract = await desk.draft(client["id"])
    answer = await desk.sign(client["id"], contract["id"])
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("stage-not-reachable")
    state = (await desk.operations.get(f"/clients/{client['id']}/contracts/{contract['id']}")).json()["state"]
    assert state == "draft"
    assert await desk.service.emitted(ContractSigned) == []


async def test_nobody_signs_without_a_rating(desk: Desk) -> None:
    client = await desk.approved()
    contract = await desk.draft(client["id"])
    answer = await desk.sign(client["id"], contract["id"])
    assert answer.json()["type"].endswith("no-rating")


async def test_a_signature_has_a_day_that_has_come(desk: Desk) -> None:
    client = await desk.approved()
    await desk.rated(client["id"])
    contract = await desk.draft(client["id"])
    answer = await desk.sign(client["id"], contract["id"], signed_on=date(2026, 11, 4))
    assert answer.json()["type"].endswith("signed-in-future")
    over = await desk.draft(client["id"], effective_from="2025-11-03", expires_on="2026-11-02")
    answer = await desk.sign(client["id"], over["id"])
    assert answer.json()["type"].endswith("contract-term-over")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"advance_rate": "1.01"}, "body.advance_rate"),
        ({"advance_rate": "0"}, "body.advance_rate"),
        ({"product": "UNKNOWN"}, "body.product"),
        ({"limit": {"amount": "-1", "currency": "CNY"}}, "body"),
        ({"limit": {"amount": 1.5, "currency": "CNY"}}, "body.limit.amount"),
        ({"limit": {"amount": "1", "currency": "yuan"}}, "body.limit.currency"),
        ({"limit": {"amount": "1e999999", "currency": "CNY"}}, "body.limit.amount"),
        ({"expires_on": "2026-11-10"}, "body"),
        ({"expires_on": "2026-02-30"}, "body.expires_on"),
        ({"dispute_clause": {"forum": "duel", "seat": "x"}}, "body.dispute_clause.forum"),
        ({"fees": [{"kind": "service", "basis": "gross", "rate": "2"}]}, "body.fees.0.rate"),
        ({"state": "signed"}, "body.state"),
    ],
)
async def test_bad_terms_name_the_field_and_keep_nothing(desk: Desk, change: dict[str, Any], field: str) -> None:
    client = await desk.register()
    answer = await desk.operations.post(f"/clients/{client['id']}/contracts", json=TERMS | change)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert (await desk.operations.get(f"/clients/{client['id']}/contracts")).json() == []


async def test_another_clients_contract_is_not_found(desk: Desk) -> None:
    client = await desk.managed(LI)
    contract = await desk.draft(client["id"])
    other = await desk.managed(WANG, name="别家")
    for caller, owner in ((desk.wang, client), (desk.wang, other), (desk.elsewhere, client)):
        url = f"/clients/{owner['id']}/contracts/{contract['id']}"
        assert (await caller.get(url)).status_code == 404
        assert (await caller.post(f"{url}/sign", json={"signed_on": str(TODAY)})).status_code == 404
