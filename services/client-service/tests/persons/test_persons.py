"""Contact persons: readable by those who serve the client, ciphertext in the database, gone once erased."""

from typing import Any

import pytest
import sqlalchemy as sa

from client_service.testing import LI, Desk

WANG_MOUMOU: dict[str, Any] = {
    "name": "王某某",
    "position": "财务总监",
    "phone": "+86 535 000 0000",
    "email": "wang@example.com",
    "wechat": "wang_moumou",
}


async def add(desk: Desk) -> tuple[str, dict[str, Any]]:
    client = await desk.managed(LI)
    answer = await desk.li.post(f"/clients/{client['id']}/contact-persons", json=WANG_MOUMOU)
    assert answer.status_code == 201, answer.text
    return f"/clients/{client['id']}/contact-persons", answer.json()


async def everything_stored(desk: Desk) -> str:
    async with desk.service.tx() as tx:
        rows = [
            *(await tx.execute(sa.text("SELECT contact_person::text FROM contact_person"))).scalars(),
            *(await tx.execute(sa.text("SELECT audit::text FROM audit"))).scalars(),
            *(await tx.execute(sa.text("SELECT outbox::text FROM outbox"))).scalars(),
        ]
    return "\n".join(rows)


async def test_a_person_is_kept_as_ciphertext(desk: Desk) -> None:
    url, person = await add(desk)
    assert {field: person[field] for field in WANG_MOUMOU} == WANG_MOUMOU
    assert (await desk.li.get(f"{url}/{person['id']}")).json() == person
    assert (await desk.li.get(url)).json() == [person]
    stored = await everything_stored(desk)
    assert person["id"] in stored
    for field in ("name", "phone", "email", "wechat"):
        assert WANG_MOUMOU[field] not in stored
        assert WANG_MOUMOU[field].encode().hex() not in stored


async def test_nothing_about_persons_is_told(desk: Desk) -> None:
    before = len(await desk.service.emitted()) + 2
    await add(desk)
    assert len(await desk.service.emitted()) == before


async def test_a_person_changes_only_in_the_version_that_was_read(desk: Desk) -> None:
    url, person = await add(desk)
    one = f"{url}/{person['id']}"
    answer = await desk.li.patch(one, json={"phone": "+86 535 111 1111", "wechat": None}, headers={"If-Match": '"1"'})
    assert answer.status_code == 200
    assert (answer.json()["phone"], answer.json()["wechat"], answer.json()["name"]) == (
        "+86 535 111 1111",
        None,
        "王某某",
    )
    assert answer.headers["etag"] == '"2"'
    assert (await desk.li.patch(one, json={"phone": "12345"}, headers={"If-Match": '"1"'})).status_code == 412
    assert (await desk.li.patch(one, json={"phone": "12345"})).status_code == 428


async def test_an_erased_person_is_gone_for_good(desk: Desk) -> None:
    url, person = await add(desk)
    one = f"{url}/{person['id']}"
    assert (await desk.li.delete(one)).status_code == 204
    left = (await desk.li.get(one)).json()
    assert [left[field] for field in WANG_MOUMOU] == [None] * 5
    assert left["erased_at"] is not None
    assert (await desk.li.get(url)).json() == []
    async with desk.service.tx() as tx:
        assert await tx.scalar(sa.text("SELECT count(*) FROM person_key")) == 0
    assert (await desk.li.patch(one, json={"name": "王"}, headers={"If-Match": "*"})).status_code == 409
    assert (await desk.li.delete(one)).status_code == 409


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body.name"),
        ({"name": "王", "phone": "call me"}, "body.phone"),
        ({"name": "王", "email": "no address"}, "body.email"),
        ({"name": "王", "wechat": "1"}, "body.wechat"),
        ({"name": "王", "sex": "f"}, "body.sex"),
    ],
)
async def test_bad_input_names_the_field_and_keeps_nothing(desk: Desk, body: dict[str, Any], field: str) -> None:
    client = await desk.managed(LI)
    answer = await desk.li.post(f"/clients/{client['id']}/contact-persons", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert (await desk.li.get(f"/clients/{client['id']}/contact-persons")).json() == []


async def test_another_clients_person_is_not_found(desk: Desk) -> None:
    _, person = await add(desk)
    other = await desk.managed(LI, name="别家")
    assert (await desk.li.get(f"/clients/{other['id']}/contact-persons/{person['id']}")).status_code == 404
    assert (await desk.li.delete(f"/clients/{other['id']}/contact-persons/{person['id']}")).status_code == 404
    assert (await desk.wang.get(f"/clients/{person['client_id']}/contact-persons")).status_code == 404
