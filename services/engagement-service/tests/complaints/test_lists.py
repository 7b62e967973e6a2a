"""Lists, filters, totals: everybody finds what is theirs, and nothing else."""

from datetime import UTC, datetime

import httpx
import pytest

from servicekit.testing import Harness

from ..words import ACME, BOLT, CEDAR, DEMO, LONDON, THAMES, ZHOU
from .test_lifecycle import file


@pytest.fixture
async def four(office: Harness, as_agent: httpx.AsyncClient) -> list[str]:
    """Complaints of Acme (two), Bolt and Cedar; one is answered, one closed."""
    paths = [await file(as_agent, client_id=str(client)) for client in (ACME, BOLT, CEDAR)]
    paths.append(await file(as_agent, category="limit", complexity="complex", received_at="2026-01-15T09:00:00+08:00"))
    await as_agent.post(f"{paths[1]}/resolve", json={"outcome": "upheld"})
    await as_agent.post(f"{paths[2]}/resolve", json={"outcome": "upheld"})
    await as_agent.post(f"{paths[2]}/close", json={})
    return [path.rpartition("/")[2] for path in paths]


async def ids(client: httpx.AsyncClient, query: str = "") -> set[str]:
    answer = await client.get(f"/complaints?{query}")
    assert answer.status_code == 200, answer.text
    return {item["id"] for item in answer.json()["items"]}


async def test_filters(as_agent: httpx.AsyncClient, four: list[str]) -> None:
    acme, bolt, cedar, limit = four
    assert await ids(as_agent) == set(four)
    assert await ids(as_agent, "open=true") == {acme, bolt, limit}
    assert await ids(as_agent, "open=false") == {cedar}
    assert await ids(as_agent, "state=answered") == {bolt}
    assert await ids(as_agent, "category=limit") == {limit}
    assert await ids(as_agent, f"client_id={ACME}") == {acme, limit}
    assert await ids(as_agent, "due_before=2026-02-25") == {limit}
    assert await ids(as_agent, "received_from=2026-02-01&received_to=2026-02-28") == {acme, bolt, cedar}
    assert (await as_agent.get("/complaints?category=astrology")).status_code == 422
    assert (await as_agent.get("/complaints?category=UNKNOWN")).status_code == 422
    assert (await as_agent.get("/complaints?due_before=tomorrow")).status_code == 422


async def test_pages_follow_one_another_in_the_order_of_urgency(as_agent: httpx.AsyncClient, four: list[str]) -> None:
    seen: list[dict[str, str]] = []
    query = "limit=1&total=true"
    while True:
        page = (await as_agent.get(f"/complaints?{query}")).json()
        assert page["total"] == 4
        seen += page["items"]
        if page["next_cursor"] is None:
            break
        query = f"limit=1&total=true&cursor={page['next_cursor']}"
    assert {item["id"] for item in seen} == set(four)
    assert [item["due_on"] for item in seen] == sorted(item["due_on"] for item in seen)
    assert seen[0]["id"] == four[3]


async def test_everybody_sees_their_own(
    office: Harness, as_li: httpx.AsyncClient, as_wang: httpx.AsyncClient, as_chen: httpx.AsyncClient, four: list[str]
) -> None:
    acme, bolt, cedar, limit = four
    views = {
        "Li": (as_li, {acme, limit}),
        "Wang": (as_wang, {bolt}),
        "Chen, the team": (as_chen, {acme, bolt, limit}),
        "Zhou": (office.client("relationship_manager", staff_id=ZHOU), {cedar}),
        "a manager nobody knows": (office.client("relationship_manager", staff_id=THAMES), set[str]()),
        "an auditor": (office.client("auditor"), set(four)),
        "London's auditor": (office.client("auditor", entity_id=LONDON), set[str]()),
    }
    for name, (client, expected) in views.items():
        assert await ids(client) == expected, name
        totals = (await client.get("/complaints/totals")).json()
        assert totals["total"] == len(expected), name
        assert (await client.get("/complaints?total=true")).json()["total"] == len(expected), name
        for one in four:
            assert (await client.get(f"/complaints/{one}")).status_code == (200 if one in expected else 404), name
    assert (await office.client("operations").get("/complaints")).status_code == 403
    assert (await office.anonymous().get("/complaints")).status_code == 401


async def test_totals(office: Harness, as_agent: httpx.AsyncClient, four: list[str]) -> None:
    office.clock.set(datetime(2026, 2, 14, 16, tzinfo=UTC))
    await office.run_due()
    totals = (await as_agent.get("/complaints/totals")).json()
    assert totals["by_state"] == {"filed": 2, "answered": 1, "closed": 1}
    assert totals["by_category"] == {"fees": 3, "limit": 1}
    assert (totals["awaiting_answer"], totals["overdue"], totals["answered_on_time"]) == (2, 1, 2)
    january = (await as_agent.get("/complaints/totals?received_to=2026-01-31")).json()
    assert january["total"] == 1


async def test_another_entitys_complaint_is_not_there(office: Harness, four: list[str]) -> None:
    stranger = office.client("team_lead", "service_agent", "administrator", entity_id=LONDON)
    for step in ("acknowledge", "extension/request", "extension/approve", "extension/decline"):
        assert (await stranger.post(f"/complaints/{four[0]}/{step}")).status_code == 404
    for step, body in (
        ("resolve", {"outcome": "upheld"}),
        ("close", {}),
        ("reopen", {"reason": "review"}),
        ("withdraw", {}),
    ):
        assert (await stranger.post(f"/complaints/{four[0]}/{step}", json=body)).status_code == 404
    kept = await office.client("auditor", entity_id=DEMO).get(f"/complaints/{four[0]}")
    assert kept.json()["state"] == "filed"
