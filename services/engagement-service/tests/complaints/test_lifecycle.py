"""From acknowledgement to closing, with what may not happen in between."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from contracts.engagement import (
    ComplaintAcknowledged,
    ComplaintClosed,
    ComplaintExtended,
    ComplaintFiled,
    ComplaintOutcome,
    ComplaintReopened,
    ComplaintResolved,
    ComplaintWithdrawn,
)
from servicekit.testing import Harness

from ..words import ACME, CHEN, LI, LONDON, THAMES, WANG, ZHOU, staff_left


async def file(as_agent: httpx.AsyncClient, **fields: Any) -> str:
    body = {"client_id": str(ACME), "category": "fees", "channel": "phone"} | fields
    answer = await as_agent.post("/complaints", json=body)
    assert answer.status_code == 201, answer.text
    return f"/complaints/{answer.json()['id']}"


async def etag(client: httpx.AsyncClient, path: str) -> dict[str, str]:
    return {"If-Match": (await client.get(path)).headers["etag"]}


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


async def test_a_complaint_from_filing_to_closing(office: Harness, as_agent: httpx.AsyncClient) -> None:
    path = await file(as_agent)
    acknowledged = await as_agent.post(f"{path}/acknowledge")
    assert acknowledged.json()["state"] == "acknowledged"
    assigned = await as_agent.put(f"{path}/handler", json={"handler_id": str(WANG)}, headers=await etag(as_agent, path))
    assert assigned.json()["handler_id"] == str(WANG)
    office.clock.set(datetime(2026, 2, 25, 15, 59, tzinfo=UTC))  # the last minute of the last day in Shanghai
    resolved = await as_agent.post(f"{path}/resolve", json={"outcome": "upheld", "answer": "Fee returned."})
    assert (resolved.json()["on_time"], resolved.json()["answered_on"]) == (True, "2026-02-25")
    assert (await as_agent.get(path)).json()["answer"] == "Fee returned."
    closed = await as_agent.post(f"{path}/close", json={"satisfied": True})
    assert closed.json()["state"] == "closed"
    told = await office.emitted()
    assert [type(event) for event in told] == [
        ComplaintFiled,
        ComplaintAcknowledged,
        ComplaintResolved,
        ComplaintClosed,
    ]
    answer = await office.last_emitted(ComplaintResolved)
    assert (answer.on_time, answer.staff_id, answer.outcome) == (True, WANG, ComplaintOutcome.UPHELD)
    office.clock.advance(timedelta(days=90))
    assert await office.run_due() == 0, "nothing is left to watch"


async def test_an_answer_one_minute_after_the_last_day_is_late(office: Harness, as_agent: httpx.AsyncClient) -> None:
    path = await file(as_agent)
    office.clock.set(datetime(2026, 2, 25, 16, 0, tzinfo=UTC))
    assert (await as_agent.post(f"{path}/resolve", json={"outcome": "rejected"})).json()["on_time"] is False
    assert not (await office.last_emitted(ComplaintResolved)).on_time


async def test_a_complex_case_has_thirty_days_and_stays_complex(office: Harness, as_agent: httpx.AsyncClient) -> None:
    path = await file(as_agent)
    new = {"category": "collection", "complexity": "complex"}
    answer = await as_agent.put(f"{path}/classification", json=new, headers=await etag(as_agent, path))
    assert (answer.json()["due_on"], answer.json()["category"]) == ("2026-03-12", "collection")
    extended = await office.last_emitted(ComplaintExtended)
    assert (extended.previous_due_on, extended.due_on) == (date(2026, 2, 25), date(2026, 3, 12))
    assert extended.clause == "art-20-complex"
    back = new | {"complexity": "simple"}
    answer = await as_agent.put(f"{path}/classification", json=back, headers=await etag(as_agent, path))
    assert problem(answer) == (409, "complexity-only-rises")


async def test_a_passed_deadline_is_not_moved(
    office: Harness, as_agent: httpx.AsyncClient, as_chen: httpx.AsyncClient
) -> None:
    path = await file(as_agent)
    await as_agent.post(f"{path}/extension/request")
    office.clock.set(datetime(2026, 2, 25, 16, 0, tzinfo=UTC))
    complex_now = {"category": "fees", "complexity": "complex"}
    answer = await as_agent.put(f"{path}/classification", json=complex_now, headers=await etag(as_agent, path))
    assert problem(answer) == (409, "deadline-passed")
    assert problem(await as_chen.post(f"{path}/extension/approve")) == (409, "deadline-passed")
    assert await office.emitted(ComplaintExtended) == []


async def test_an_extension_needs_a_second_person(
    office: Harness, as_agent: httpx.AsyncClient, as_chen: httpx.AsyncClient
) -> None:
    path = await file(as_agent, complexity="complex")
    assert problem(await as_chen.post(f"{path}/extension/approve")) == (409, "no-extension-requested")
    assert (await as_chen.post(f"{path}/extension/request")).status_code == 200
    assert problem(await as_chen.post(f"{path}/extension/approve")) == (403, "second-person-needed")
    assert problem(await as_agent.post(f"{path}/extension/request")) == (409, "extension-already-requested")
    assert (await as_agent.post(f"{path}/extension/approve")).status_code == 403, "not an agent's to approve"
    board = office.client("administrator", subject="board")
    approved = await board.post(f"{path}/extension/approve")
    assert (approved.json()["due_on"], approved.json()["extended"]) == ("2026-04-11", True), "sixty days, no more"
    assert (await office.last_emitted(ComplaintExtended)).clause == "art-20-exceptional"
    assert problem(await as_agent.post(f"{path}/extension/request")) == (409, "already-extended")


async def test_neither_handler_nor_subject_approves(
    office: Harness, as_agent: httpx.AsyncClient, as_chen: httpx.AsyncClient
) -> None:
    path = await file(as_agent)
    await as_agent.put(f"{path}/handler", json={"handler_id": str(CHEN)}, headers=await etag(as_agent, path))
    await as_agent.post(f"{path}/extension/request")
    assert problem(await as_chen.post(f"{path}/extension/approve")) == (403, "second-person-needed")
    declined = await office.client("administrator", subject="board").post(f"{path}/extension/decline")
    assert (declined.json()["due_on"], declined.json()["extension_requested_at"]) == ("2026-02-25", None)


async def test_disp_knows_no_extension(office: Harness) -> None:
    agent = office.client("service_agent", entity_id=LONDON)
    path = await file(agent, client_id=str(THAMES))
    assert problem(await agent.post(f"{path}/extension/request")) == (409, "extension-not-foreseen")


async def test_the_person_complained_about_neither_handles_nor_sees_it(
    office: Harness, as_agent: httpx.AsyncClient, as_li: httpx.AsyncClient
) -> None:
    path = await file(as_agent, category="staff_conduct", about_staff_id=str(LI))
    answer = await as_agent.put(f"{path}/handler", json={"handler_id": str(LI)}, headers=await etag(as_agent, path))
    assert problem(answer) == (409, "handler-has-conflict-of-interest")
    assert (await as_li.get(path)).status_code == 404
    assert (await as_li.get("/complaints")).json()["items"] == []
    assert (await as_li.get("/complaints/totals")).json()["total"] == 0
    assert (await as_li.get(f"/clients/{ACME}/timeline")).json()["items"] == []


async def test_conduct_without_a_name_excludes_the_clients_manager(
    office: Harness, as_agent: httpx.AsyncClient
) -> None:
    path = await file(as_agent, category="staff_conduct")
    answer = await as_agent.put(f"{path}/handler", json={"handler_id": str(LI)}, headers=await etag(as_agent, path))
    assert problem(answer) == (409, "handler-has-conflict-of-interest")
    answer = await as_agent.put(f"{path}/handler", json={"handler_id": str(WANG)}, headers=await etag(as_agent, path))
    assert answer.status_code == 200


async def test_who_has_left_handles_nothing(office: Harness, as_agent: httpx.AsyncClient) -> None:
    await office.receives(staff_left(ZHOU))
    path = await file(as_agent)
    answer = await as_agent.put(f"{path}/handler", json={"handler_id": str(ZHOU)}, headers=await etag(as_agent, path))
    assert problem(answer) == (409, "handler-has-left")


async def test_a_reopened_complaint_has_new_clocks(office: Harness, as_agent: httpx.AsyncClient) -> None:
    path = await file(as_agent)
    assert problem(await as_agent.post(f"{path}/reopen", json={"reason": "review"})) == (409, "complaint-not-closed")
    await as_agent.post(f"{path}/resolve", json={"outcome": "rejected"})
    await as_agent.post(f"{path}/close", json={})
    office.clock.set(datetime(2026, 3, 2, 2, tzinfo=UTC))
    reopened = (await as_agent.post(f"{path}/reopen", json={"reason": "not_satisfied"})).json()
    assert (reopened["state"], reopened["due_on"], reopened["round"]) == ("reopened", "2026-03-17", 2)
    assert reopened["answered_on"] is None
    assert (await office.last_emitted(ComplaintReopened)).due_on == date(2026, 3, 17)
    assert (await as_agent.post(f"{path}/acknowledge")).json()["state"] == "reopened"
    assert (await as_agent.post(f"{path}/resolve", json={"outcome": "settled"})).json()["on_time"]


async def test_a_withdrawal_ends_the_case_the_day_it_arrives(office: Harness, as_agent: httpx.AsyncClient) -> None:
    path = await file(as_agent)
    office.clock.set(datetime(2026, 2, 12, 2, tzinfo=UTC))
    for wrong in ("2026-02-09", "2026-02-13"):
        answer = await as_agent.post(f"{path}/withdraw", json={"withdrawn_on": wrong})
        assert problem(answer) == (422, "withdrawn-out-of-range")
    withdrawn = await as_agent.post(f"{path}/withdraw", json={"withdrawn_on": "2026-02-11"})
    assert (withdrawn.json()["state"], withdrawn.json()["withdrawn_on"]) == ("withdrawn", "2026-02-11")
    assert (await office.last_emitted(ComplaintWithdrawn)).withdrawn_on == date(2026, 2, 11)
    office.clock.advance(timedelta(days=60))
    assert await office.run_due() == 0
    assert problem(await as_agent.post(f"{path}/reopen", json={"reason": "review"})) == (409, "complaint-not-closed")


@pytest.mark.parametrize("ended_by", ["resolve", "close", "withdraw"])
async def test_what_is_over_takes_no_more_steps(office: Harness, as_agent: httpx.AsyncClient, ended_by: str) -> None:
    path = await file(as_agent)
    if ended_by != "withdraw":
        await as_agent.post(f"{path}/resolve", json={"outcome": "upheld"})
    if ended_by != "resolve":
        await as_agent.post(f"{path}/{ended_by}", json={})
    before = (await as_agent.get(path)).json()
    told = await office.emitted()
    steps = [
        await as_agent.post(f"{path}/acknowledge"),
        await as_agent.post(f"{path}/resolve", json={"outcome": "upheld"}),
        await as_agent.post(f"{path}/extension/request"),
        await as_agent.put(f"{path}/handler", json={"handler_id": str(WANG)}, headers=await etag(as_agent, path)),
    ]
    assert {problem(step) for step in steps} == {(409, "complaint-not-awaiting-answer")}
    if ended_by != "resolve":
        assert problem(await as_agent.post(f"{path}/close", json={})) == (409, "complaint-ended")
        assert problem(await as_agent.post(f"{path}/withdraw", json={})) == (409, "complaint-ended")
    assert (await as_agent.get(path)).json() == before
    assert await office.emitted() == told


async def test_a_lost_race_is_a_412_and_no_precondition_a_428(office: Harness, as_agent: httpx.AsyncClient) -> None:
    path = await file(as_agent)
    old = await etag(as_agent, path)
    await as_agent.post(f"{path}/acknowledge")
    body = {"handler_id": str(WANG)}
    assert (await as_agent.put(f"{path}/handler", json=body, headers=old)).status_code == 412
    assert (await as_agent.put(f"{path}/handler", json=body)).status_code == 428
    assert (await as_agent.get(path)).json()["handler_id"] is None
