"""Visits planned by hand, made and reported on."""

from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from contracts.client import Stage
from contracts.engagement import VisitCancelled, VisitCompleted, VisitMissed, VisitPlanned
from servicekit.testing import Harness

from ..words import ACME, CEDAR, LI, LONDON, WANG, ZHOU, alert_raised, business_date, lifecycle_changed


async def plan(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post("/visits", json={"client_id": str(ACME), "due_on": "2026-02-13"} | fields)


async def etag(client: httpx.AsyncClient, path: str) -> dict[str, str]:
    return {"If-Match": (await client.get(path)).headers["etag"]}


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


async def test_a_visit_planned_and_made(office: Harness, as_li: httpx.AsyncClient) -> None:
    answer = await plan(as_li, agreed_for="2026-02-12")
    assert answer.status_code == 201, answer.text
    path = f"/visits/{answer.json()['id']}"
    office.clock.set(datetime(2026, 2, 13, 3, tzinfo=UTC))
    report = {
        "completed_on": "2026-02-12",
        "needs": ["longer-terms"],
        "progress": "Orders recovered.",
        "opinions": "Mr Sun wants statements earlier.",
    }
    made = (await as_li.post(f"{path}/complete", json=report)).json()
    assert (made["state"], made["on_time"], made["completed_by"]) == ("completed", True, str(LI))
    assert (made["progress"], made["opinions"]) == (report["progress"], report["opinions"])
    assert (await as_li.get(path)).json() == made
    planned, completed = await office.last_emitted(VisitPlanned), await office.last_emitted(VisitCompleted)
    assert (planned.staff_id, planned.due_on, planned.planned_on) == (LI, date(2026, 2, 13), date(2026, 2, 10))
    assert (completed.on_time, completed.completed_on, completed.staff_id) == (True, date(2026, 2, 12), LI)
    async with office.tx() as tx:
        everything = str((await tx.execute(sa.text("SELECT row_to_json(visit)::text FROM visit"))).scalar_one())
        everything += " ".join(await tx.scalars(sa.text("SELECT coalesce(after::text, '') FROM audit")))
        everything += " ".join(await tx.scalars(sa.text("SELECT payload::text FROM outbox")))
    assert "Sun" not in everything
    assert "recovered" not in everything
    assert problem(await as_li.post(f"{path}/complete", json=report)) == (409, "visit-not-open")
    assert problem(await as_li.post(f"{path}/cancel", json={"reason": "other"})) == (409, "visit-not-open")
    office.clock.set(datetime(2026, 3, 1, tzinfo=UTC))
    assert await office.run_due() == 0


async def test_a_warned_visit_is_completed_on_a_stated_business_date(office: Harness, as_li: httpx.AsyncClient) -> None:
    alert = alert_raised(ACME, as_of=date(2016, 11, 1))
    await office.receives(alert, business_date(date(2016, 11, 30)))
    (visit,) = (await as_li.get("/visits")).json()["items"]
    path = f"/visits/{visit['id']}/complete"
    for wrong in ("2016-10-31", "2026-02-11"):
        answer = await as_li.post(path, json={"completed_on": wrong})
        assert problem(answer) == (422, "day-out-of-range")
        assert answer.json()["errors"][0]["field"] == "completed_on"
    made = (await as_li.post(path, json={"completed_on": "2016-11-09"})).json()
    assert (made["state"], made["on_time"]) == ("completed", False)
    completed = await office.last_emitted(VisitCompleted)
    assert (completed.alert_id, completed.due_on, completed.on_time) == (alert.alert_id, date(2016, 11, 8), False)
    await office.receives(alert_raised(ACME, as_of=date(2016, 12, 1)))
    assert [v["state"] for v in (await as_li.get("/visits?open=true")).json()["items"]] == ["planned"], "a new one"


async def test_a_visit_by_hand_is_missed_on_wall_time(office: Harness, as_li: httpx.AsyncClient) -> None:
    path = f"/visits/{(await plan(as_li)).json()['id']}"
    await office.receives(business_date(date(2026, 12, 31)))
    assert (await as_li.get(path)).json()["state"] == "planned", "business dates do not move it"
    office.clock.set(datetime(2026, 2, 13, 15, 59, tzinfo=UTC))
    await office.run_due()
    assert (await as_li.get(path)).json()["state"] == "planned"
    office.clock.set(datetime(2026, 2, 13, 16, 0, tzinfo=UTC))
    await office.run_due()
    assert (await as_li.get(path)).json()["state"] == "missed"
    assert (await office.last_emitted(VisitMissed)).staff_id == LI
    assert (await as_li.post(f"{path}/complete", json={"completed_on": "2026-02-14"})).json()["on_time"] is False


async def test_rescheduling(office: Harness, as_li: httpx.AsyncClient) -> None:
    path = f"/visits/{(await plan(as_li)).json()['id']}"
    assert (await as_li.patch(path, json={"due_on": "2026-02-27"})).status_code == 428
    old = await etag(as_li, path)
    moved = await as_li.patch(path, json={"due_on": "2026-02-27", "agreed_for": "2026-02-26"}, headers=old)
    assert (moved.json()["due_on"], moved.json()["agreed_for"]) == ("2026-02-27", "2026-02-26")
    assert (await office.last_emitted(VisitPlanned)).due_on == date(2026, 2, 27)
    assert (await as_li.patch(path, json={"due_on": "2026-03-27"}, headers=old)).status_code == 412
    office.clock.set(datetime(2026, 2, 14, tzinfo=UTC))
    await office.run_due()
    assert (await as_li.get(path)).json()["state"] == "planned", "the old date is no longer watched"
    office.clock.set(datetime(2026, 2, 28, tzinfo=UTC))
    await office.run_due()
    answer = await as_li.patch(path, json={"due_on": "2026-03-27"}, headers=await etag(as_li, path))
    assert problem(answer) == (409, "visit-already-missed")


async def test_a_warnings_due_date_is_not_moved_by_hand(office: Harness, as_li: httpx.AsyncClient) -> None:
    await office.receives(alert_raised(ACME))
    (visit,) = (await as_li.get("/visits")).json()["items"]
    path = f"/visits/{visit['id']}"
    answer = await as_li.patch(path, json={"due_on": "2026-06-01"}, headers=await etag(as_li, path))
    assert problem(answer) == (409, "due-date-bound-to-cause")
    answer = await as_li.patch(path, json={"agreed_for": "2026-02-12"}, headers=await etag(as_li, path))
    assert (answer.status_code, answer.json()["due_on"]) == (200, "2026-02-24")
    assert len(await office.emitted(VisitPlanned)) == 1


async def test_cancelling(office: Harness, as_li: httpx.AsyncClient) -> None:
    path = f"/visits/{(await plan(as_li)).json()['id']}"
    assert (await as_li.post(f"{path}/cancel", json={"reason": "alert_closed"})).status_code == 422
    assert (await as_li.post(f"{path}/cancel", json={"reason": "client_declined"})).json()["state"] == "cancelled"
    assert (await office.last_emitted(VisitCancelled)).reason == "client_declined"


async def test_a_warnings_visit_is_called_off_by_a_lead_and_not_by_the_manager(
    office: Harness, as_li: httpx.AsyncClient, as_chen: httpx.AsyncClient
) -> None:
    await office.receives(alert_raised(ACME))
    (visit,) = (await as_li.get("/visits")).json()["items"]
    path = f"/visits/{visit['id']}/cancel"
    assert problem(await as_li.post(path, json={"reason": "other"})) == (403, "follow-up-not-yours-to-cancel")
    assert (await as_chen.post(path, json={"reason": "other"})).json()["state"] == "cancelled"
    assert len(await office.emitted(VisitCancelled)) == 1


async def test_cancelling_what_was_missed_does_not_unsay_the_miss(office: Harness, as_li: httpx.AsyncClient) -> None:
    path = f"/visits/{(await plan(as_li)).json()['id']}"
    office.clock.set(datetime(2026, 2, 14, tzinfo=UTC))
    await office.run_due()
    assert (await as_li.post(f"{path}/cancel", json={"reason": "other"})).json()["missed_on"] == "2026-02-14"
    assert await office.emitted(VisitCancelled) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"due_on": "2026-02-09"},
        {"due_on": "2029-01-01"},
        {"due_on": "9999-12-31"},
        {"due_on": "2026-02-30"},
        {"agreed_for": "2026-02-14"},
        {"reason": "alert"},
        {"client_id": "nobody"},
    ],
)
async def test_bad_input_is_a_422_and_changes_nothing(
    office: Harness, as_li: httpx.AsyncClient, wrong: dict[str, Any]
) -> None:
    assert (await plan(as_li, **wrong)).status_code == 422
    assert (await as_li.get("/visits?total=true")).json()["total"] == 0
    assert await office.emitted() == []


async def test_a_terminated_client_is_not_visited(office: Harness, as_li: httpx.AsyncClient) -> None:
    await office.receives(lifecycle_changed(ACME, Stage.TERMINATED))
    assert problem(await plan(as_li)) == (409, "client-terminated")


async def test_everybody_has_their_own_due_list(office: Harness, as_li: httpx.AsyncClient) -> None:
    path = f"/visits/{(await plan(as_li)).json()['id']}"
    assert (await plan(as_li, client_id=str(CEDAR))).status_code == 404
    await office.receives(alert_raised(CEDAR))
    officer = office.client("risk_officer")
    chen, wang = office.client("team_lead", staff_id=LI), office.client("relationship_manager", staff_id=WANG)
    zhou = office.client("relationship_manager", staff_id=ZHOU)
    stranger = office.client("relationship_manager", "team_lead", "risk_officer", entity_id=LONDON, staff_id=LI)
    for client, count in ((as_li, 1), (chen, 1), (wang, 0), (zhou, 1), (officer, 2), (stranger, 0)):
        assert (await client.get("/visits?open=true&total=true")).json()["total"] == count
    assert (await officer.get(f"/visits?manager_id={ZHOU}")).json()["items"][0]["client_id"] == str(CEDAR)
    assert len((await officer.get("/visits?due_before=2026-02-14")).json()["items"]) == 1
    for client in (wang, zhou, stranger):
        assert (await client.get(path)).status_code == 404
    assert (await stranger.post(f"{path}/cancel", json={"reason": "other"})).status_code == 404
    assert (await stranger.post(f"{path}/complete", json={"completed_on": "2026-02-10"})).status_code == 404
    assert (await officer.post(f"{path}/cancel", json={"reason": "other"})).status_code == 403
    assert (await as_li.get(path)).json()["state"] == "planned"


async def test_whoever_has_no_staff_id_states_who_went(office: Harness, as_li: httpx.AsyncClient) -> None:
    assert (await plan(as_li)).status_code == 201
    lead = office.client("team_lead")
    assert (await lead.get("/visits")).json()["items"] == [], "a team lead without a staff id leads no team"
