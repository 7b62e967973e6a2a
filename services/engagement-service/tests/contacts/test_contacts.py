"""Contacts on every channel, their notes and response times, and the timeline they end in."""

from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa

from contracts.client import Stage
from contracts.engagement import Channel, ContactLogged
from servicekit.personal import erase_person
from servicekit.testing import Harness

from ..words import ACME, AGENT, BOLT, CEDAR, LI, LONDON, THAMES, WANG, alert_raised, lifecycle_changed

SUN = UUID(int=0xDE_0001)


def contact(client: object = ACME, **fields: Any) -> dict[str, Any]:
    return {
        "client_id": str(client),
        "channel": "wechat",
        "direction": "inbound",
        "started_at": "2026-02-10T09:00:00+08:00",
        "answered_at": "2026-02-10T09:07:00+08:00",
        "outcome": "done",
    } | fields


async def test_a_contact_is_logged_with_its_response_time(office: Harness, as_agent: httpx.AsyncClient) -> None:
    body = contact(
        note="孙先生要对账单", contact_person_id=str(SUN), next_step="send-statement", next_step_on="2026-02-12"
    )
    answer = await as_agent.post("/contacts", json=body)
    assert answer.status_code == 201, answer.text
    logged = answer.json()
    assert (logged["response_seconds"], logged["staff_id"]) == (420, str(AGENT))
    assert (await as_agent.get(f"/contacts/{logged['id']}")).json() == logged
    told = await office.last_emitted(ContactLogged)
    assert (told.response_seconds, told.channel, told.staff_id) == (420, Channel.WECHAT, AGENT)
    async with office.tx() as tx:
        everything = str((await tx.execute(sa.text("SELECT row_to_json(contact)::text FROM contact"))).scalar_one())
        everything += " ".join(await tx.scalars(sa.text("SELECT coalesce(after::text, '') FROM audit")))
        everything += " ".join(await tx.scalars(sa.text("SELECT payload::text FROM outbox")))
    assert "孙先生" not in everything
    async with office.tx() as tx, tx.begin():
        assert await erase_person(tx, SUN)
    erased = (await as_agent.get(f"/contacts/{logged['id']}")).json()
    assert (erased["note"], erased["outcome"]) == (None, "done")


@pytest.mark.parametrize("channel", [channel.value for channel in Channel if channel is not Channel.UNKNOWN])
async def test_every_channel_is_taken(office: Harness, as_agent: httpx.AsyncClient, channel: str) -> None:
    assert (await as_agent.post("/contacts", json=contact(channel=channel))).status_code == 201


async def test_who_calls_out_waits_for_nobody(office: Harness, as_agent: httpx.AsyncClient) -> None:
    answer = await as_agent.post("/contacts", json=contact(direction="outbound"))
    assert answer.json()["response_seconds"] is None
    unanswered = contact(direction="outbound", outcome="no_answer") | {"answered_at": None}
    assert (await as_agent.post("/contacts", json=unanswered)).status_code == 201


async def test_a_client_that_left_is_still_spoken_with(office: Harness, as_agent: httpx.AsyncClient) -> None:
    await office.receives(lifecycle_changed(ACME, Stage.TERMINATED))
    assert (await as_agent.post("/contacts", json=contact())).status_code == 201


@pytest.mark.parametrize(
    "wrong",
    [
        {"channel": "pigeon"},
        {"channel": "UNKNOWN"},
        {"outcome": "UNKNOWN"},
        {"direction": "sideways"},
        {"started_at": "2026-02-10T09:30:01+08:00", "answered_at": None},
        {"answered_at": "2026-02-10T08:59:59+08:00"},
        {"answered_at": "2026-02-10T09:30:01+08:00"},
        {"next_step": "call Mr Sun back"},
        {"note": "a\u0000b"},
        {"response_seconds": 1},
    ],
)
async def test_bad_input_is_a_422_and_changes_nothing(
    office: Harness, as_agent: httpx.AsyncClient, wrong: dict[str, Any]
) -> None:
    answer = await as_agent.post("/contacts", json=contact() | wrong)
    assert answer.status_code == 422, answer.text
    assert (await as_agent.get("/contacts?total=true")).json()["total"] == 0
    assert await office.emitted() == []


async def test_whose_contact_it_was(office: Harness, as_li: httpx.AsyncClient, as_agent: httpx.AsyncClient) -> None:
    assert (await as_li.post("/contacts", json=contact(staff_id=str(WANG)))).status_code == 422
    bank = office.client("bank_system")
    assert (await bank.post("/contacts", json=contact())).status_code == 422
    assert (await bank.post("/contacts", json=contact(staff_id=str(LI)))).json()["staff_id"] == str(LI)


async def test_everybody_sees_their_own(
    office: Harness, as_li: httpx.AsyncClient, as_chen: httpx.AsyncClient, as_agent: httpx.AsyncClient
) -> None:
    made = {
        client: (await as_agent.post("/contacts", json=contact(client))).json()["id"] for client in (ACME, BOLT, CEDAR)
    }
    stranger = office.client("auditor", entity_id=LONDON)
    views = ((as_li, {ACME}), (as_chen, {ACME, BOLT}), (as_agent, {ACME, BOLT, CEDAR}), (stranger, set[UUID]()))
    for client, seen in views:
        listed = (await client.get("/contacts?total=true")).json()
        assert {UUID(item["client_id"]) for item in listed["items"]} == seen
        assert listed["total"] == len(seen)
        for of, id in made.items():
            assert (await client.get(f"/contacts/{id}")).status_code == (200 if of in seen else 404)
            assert (await client.get(f"/clients/{of}/timeline")).status_code == (200 if of in seen else 404)
    assert (await as_agent.post("/contacts", json=contact(THAMES))).status_code == 404


async def test_one_timeline_of_everything_latest_first(office: Harness, as_agent: httpx.AsyncClient) -> None:
    spoken = (await as_agent.post("/contacts", json=contact())).json()["id"]
    body = {"client_id": str(ACME), "category": "fees", "channel": "phone", "received_at": "2026-02-10T09:10:00+08:00"}
    complained = (await as_agent.post("/complaints", json=body)).json()["id"]
    await office.receives(alert_raised(ACME))
    (visit,) = (await as_agent.get("/visits")).json()["items"]
    await as_agent.post("/contacts", json=contact(BOLT))
    path = f"/clients/{ACME}/timeline"
    whole = (await as_agent.get(f"{path}?total=true")).json()
    expected = [("visit", visit["id"]), ("complaint", complained), ("contact", spoken)]
    assert [(entry["kind"], entry["id"]) for entry in whole["items"]] == expected
    assert whole["total"] == 3
    assert [entry["about"] for entry in whole["items"]] == ["alert", "fees", "wechat"]
    assert [entry["state"] for entry in whole["items"]] == ["planned", "filed", "done"]
    paged: list[Any] = []
    cursor = ""
    for _ in range(3):
        page = (await as_agent.get(f"{path}?limit=1{cursor}")).json()
        paged += page["items"]
        cursor = f"&cursor={page['next_cursor']}"
    assert paged == whole["items"]
    only = (await as_agent.get(f"{path}?kind=complaint")).json()["items"]
    assert [entry["id"] for entry in only] == [complained]
    assert (await as_agent.get(f"/clients/{UUID(int=1)}/timeline")).status_code == 404
