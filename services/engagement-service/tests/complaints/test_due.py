"""What happens by itself as the statutory deadline comes near and passes."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx

from contracts.engagement import ComplaintDeadlineMissed
from servicekit.scheduling import Runner
from servicekit.testing import Harness

from ..words import LONDON, THAMES
from .test_lifecycle import etag, file


async def test_a_missed_deadline_is_marked_and_told_once(office: Harness, as_agent: httpx.AsyncClient) -> None:
    path = await file(as_agent)
    office.clock.set(datetime(2026, 2, 25, 15, 59, 59, tzinfo=UTC))
    await office.run_due()
    assert await office.emitted(ComplaintDeadlineMissed) == []
    office.clock.set(datetime(2026, 2, 25, 16, 0, tzinfo=UTC))
    await office.run_due()
    await office.run_due()
    told = await office.emitted(ComplaintDeadlineMissed)
    assert len(told) == 1
    missed = await office.last_emitted(ComplaintDeadlineMissed)
    assert (str(missed.complaint_id), missed.rule) == (path.rpartition("/")[2], "cn-cbirc-2020-3.v1")
    assert missed.occurred_at == office.clock()
    assert (await as_agent.get(path)).json()["missed_at"] == "2026-02-25T16:00:00Z"
    assert [c["id"] for c in (await as_agent.get("/complaints?overdue=true")).json()["items"]] == [path[12:]]
    await as_agent.post(f"{path}/resolve", json={"outcome": "upheld"})
    assert (await as_agent.get("/complaints?overdue=true")).json()["items"] == []
    assert (await as_agent.get("/complaints/totals")).json()["answered_late"] == 1


async def test_two_replicas_running_due_work_mark_once(office: Harness, as_agent: httpx.AsyncClient) -> None:
    for _ in range(8):
        await file(as_agent)
    office.clock.set(datetime(2026, 2, 26, tzinfo=UTC))
    await asyncio.gather(*(Runner(office.runtime).run_all() for _ in range(4)))
    told = await office.emitted(ComplaintDeadlineMissed)
    assert len(told) == 8
    assert len({event.complaint_id for event in told if isinstance(event, ComplaintDeadlineMissed)}) == 8


async def test_reminders_come_before_the_deadline(office: Harness, as_agent: httpx.AsyncClient) -> None:
    path = await file(as_agent)
    office.clock.set(datetime(2026, 2, 17, 15, 59, tzinfo=UTC))
    await office.run_due()
    assert (await as_agent.get("/complaints?reminded=true")).json()["items"] == []
    office.clock.set(datetime(2026, 2, 17, 16, 0, tzinfo=UTC))  # 18 February in Shanghai: seven days before
    await office.run_due()
    assert [c["id"] for c in (await as_agent.get("/complaints?reminded=true")).json()["items"]] == [path[12:]]
    assert await office.emitted(ComplaintDeadlineMissed) == []


async def test_an_extended_deadline_is_missed_at_its_new_date(office: Harness, as_agent: httpx.AsyncClient) -> None:
    path = await file(as_agent)
    body = {"category": "fees", "complexity": "complex"}
    await as_agent.put(f"{path}/classification", json=body, headers=await etag(as_agent, path))
    office.clock.set(datetime(2026, 3, 12, 15, 59, tzinfo=UTC))
    await office.run_due()
    assert await office.emitted(ComplaintDeadlineMissed) == []
    office.clock.advance(timedelta(minutes=1))
    await office.run_due()
    assert len(await office.emitted(ComplaintDeadlineMissed)) == 1


async def test_each_round_is_missed_by_itself(office: Harness, as_agent: httpx.AsyncClient) -> None:
    path = await file(as_agent)
    office.clock.set(datetime(2026, 2, 26, tzinfo=UTC))
    await office.run_due()
    await as_agent.post(f"{path}/resolve", json={"outcome": "rejected"})
    await as_agent.post(f"{path}/reopen", json={"reason": "review"})
    assert (await as_agent.get(path)).json()["missed_at"] is None
    office.clock.set(datetime(2026, 3, 20, tzinfo=UTC))
    await office.run_due()
    assert len(await office.emitted(ComplaintDeadlineMissed)) == 2


async def test_the_last_day_ends_at_midnight_of_summer_time(office: Harness) -> None:
    """Received in winter time, due in summer time: the day ends at London's midnight, which is 23:00 UTC."""
    office.clock.set(datetime(2026, 2, 10, 12, tzinfo=UTC))
    agent = office.client("service_agent", entity_id=LONDON)
    path = await file(agent, client_id=str(THAMES))
    assert (await agent.get(path)).json()["due_on"] == "2026-04-07"
    office.clock.set(datetime(2026, 4, 7, 22, 59, tzinfo=UTC))
    await office.run_due()
    assert (await agent.get(path)).json()["missed_at"] is None
    office.clock.set(datetime(2026, 4, 7, 23, 0, tzinfo=UTC))
    await office.run_due()
    assert (await agent.get(path)).json()["missed_at"] == "2026-04-07T23:00:00Z"


async def test_a_complaint_received_long_ago_is_missed_at_once(office: Harness, as_agent: httpx.AsyncClient) -> None:
    path = await file(as_agent, received_at="2026-01-05T09:00:00+08:00")
    await office.run_due()
    found = (await as_agent.get(path)).json()
    assert (found["due_on"], found["missed_at"]) == ("2026-01-20", "2026-01-20T16:00:00Z")
