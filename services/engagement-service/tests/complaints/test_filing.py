"""Filing a complaint: its clocks, its refusals, what the world hears."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa

from contracts.client import Stage
from contracts.engagement import ComplaintFiled
from engagement_service.complaints.model import Complaint
from servicekit.testing import Harness

from ..words import ACME, CEDAR, DEMO, LONDON, THAMES, client_registered, lifecycle_changed


def complaint_about(client: object, **fields: Any) -> dict[str, Any]:
    return {"client_id": str(client), "category": "fees", "channel": "hotline"} | fields


async def test_a_complaint_is_filed_with_both_clocks_and_their_reasons(
    office: Harness, as_agent: httpx.AsyncClient
) -> None:
    answer = await as_agent.post("/complaints", json=complaint_about(ACME, narrative="手续费收了两次"))
    assert answer.status_code == 201, answer.text
    complaint = answer.json()
    assert answer.headers["etag"] == '"1"'
    assert complaint["due_on"] == "2026-02-25"
    assert complaint["rule"] == "cn-cbirc-2020-3.v1"
    statutory, target = complaint["clocks"]["statutory"], complaint["clocks"]["target"]
    assert statutory["clause"] == "art-20-simple"
    assert statutory["how"] == "2026-02-10 + 15 calendar days"
    assert target["due_on"] == complaint["target_on"] == "2026-02-24", "Spring Festival and a make-up Saturday"
    assert target["calendar"] == "CN"
    assert complaint["zone"] == "Asia/Shanghai"
    assert not complaint["place_assumed"]
    assert complaint["narrative"] == "手续费收了两次"
    assert (await as_agent.get(f"/complaints/{complaint['id']}")).json() == complaint
    filed = await office.last_emitted(ComplaintFiled)
    assert (filed.client_id, filed.due_on, filed.received_on) == (ACME, date(2026, 2, 25), date(2026, 2, 10))
    assert (filed.rule, filed.clause) == ("cn-cbirc-2020-3.v1", "art-20-simple")


async def test_what_was_written_is_stored_as_ciphertext_only(office: Harness, as_agent: httpx.AsyncClient) -> None:
    await as_agent.post("/complaints", json=complaint_about(ACME, narrative="Mrs Zhao was rude"))
    async with office.tx() as tx:
        stored = (await tx.execute(sa.text("SELECT row_to_json(complaint)::text FROM complaint"))).scalar_one()
        audited = " ".join(await tx.scalars(sa.text("SELECT coalesce(after::text, '') FROM audit")))
        sent = " ".join(await tx.scalars(sa.text("SELECT payload::text FROM outbox")))
        narrative = await tx.scalar(sa.select(Complaint.narrative))
    assert "rude" not in stored + audited + sent
    assert b"rude" not in narrative.ciphertext if narrative else False


async def test_a_complaint_of_a_terminated_client_is_refused(office: Harness, as_agent: httpx.AsyncClient) -> None:
    await office.receives(lifecycle_changed(ACME, Stage.TERMINATED))
    answer = await as_agent.post("/complaints", json=complaint_about(ACME))
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("client-terminated")
    assert await office.emitted() == []


async def test_the_clocks_start_on_the_day_of_receipt_in_the_entitys_zone(
    office: Harness, as_agent: httpx.AsyncClient
) -> None:
    received = {"before midnight": "2026-02-05T15:59:59Z", "after midnight": "2026-02-05T16:00:00Z"}
    due = {
        name: (await as_agent.post("/complaints", json=complaint_about(ACME, received_at=at))).json()["due_on"]
        for name, at in received.items()
    }
    assert due == {"before midnight": "2026-02-20", "after midnight": "2026-02-21"}


async def test_a_british_entitys_complaint_follows_disp(office: Harness) -> None:
    office.clock.set(datetime(2026, 4, 2, 23, 30, tzinfo=UTC))  # 00:30 on Good Friday in London, summer time
    agent = office.client("service_agent", entity_id=LONDON)
    complaint = (await agent.post("/complaints", json=complaint_about(THAMES))).json()
    assert complaint["received_on"] == "2026-04-03"
    assert complaint["due_on"] == "2026-05-29"
    assert complaint["clocks"]["summary"]["due_on"] == "2026-04-09"
    assert complaint["clocks"]["statutory"]["clause"] == "1.6.2R"


async def test_an_entity_not_heard_of_has_the_fail_safe_calendar(engagement: Harness) -> None:
    await engagement.receives(client_registered(CEDAR, entity_id="NEW-FACTOR"))
    agent = engagement.client("service_agent", entity_id="NEW-FACTOR")
    complaint = (await agent.post("/complaints", json=complaint_about(CEDAR))).json()
    assert complaint["place_assumed"]
    assert (complaint["zone"], complaint["rule"]) == ("Asia/Shanghai", "cn-cbirc-2020-3.v1")


@pytest.mark.parametrize(
    "wrong",
    [
        {"category": "astrology"},
        {"category": "UNKNOWN"},
        {"channel": "telepathy"},
        {"complexity": "exceptional"},
        {"client_id": "nobody"},
        {"received_at": "2026-02-10T01:30:01Z"},
        {"received_at": "2026-02-09T12:00:00"},
        {"received_at": "0001-01-01T00:00:00+14:00"},
        {"narrative": ""},
        {"narrative": "x" * 8001},
        {"due_on": "2099-01-01"},
    ],
)
async def test_bad_input_is_a_422_and_changes_nothing(
    office: Harness, as_agent: httpx.AsyncClient, wrong: dict[str, Any]
) -> None:
    answer = await as_agent.post("/complaints", json=complaint_about(ACME) | wrong)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"].endswith(next(iter(wrong)))
    async with office.tx() as tx:
        assert await tx.scalar(sa.select(sa.func.count()).select_from(Complaint)) == 0
        assert await tx.scalar(sa.text("SELECT count(*) FROM due_work")) == 0
    assert await office.emitted() == []


async def test_an_unknown_client_and_another_entitys_are_the_same_404(
    office: Harness, as_agent: httpx.AsyncClient
) -> None:
    for client in (uuid4(), THAMES):
        answer = await as_agent.post("/complaints", json=complaint_about(client))
        assert answer.status_code == 404
        assert answer.json()["type"].endswith("unknown-client")


async def test_the_same_request_twice_files_once(office: Harness, as_agent: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "call-4711"}
    first = await as_agent.post("/complaints", json=complaint_about(ACME), headers=key)
    again = await as_agent.post("/complaints", json=complaint_about(ACME), headers=key)
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
    assert len(await office.emitted(ComplaintFiled)) == 1
    other = await as_agent.post("/complaints", json=complaint_about(CEDAR), headers=key)
    assert other.status_code == 422


async def test_a_manager_files_for_their_own_clients_only(office: Harness, as_li: httpx.AsyncClient) -> None:
    assert (await as_li.post("/complaints", json=complaint_about(ACME))).status_code == 201
    assert (await as_li.post("/complaints", json=complaint_about(CEDAR))).status_code == 404
    nobody = office.client("administrator", entity_id=DEMO)
    assert (await nobody.post("/complaints", json=complaint_about(ACME))).status_code == 403
