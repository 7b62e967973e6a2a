"""Moving clients through the front door: what the guards know comes from what was heard."""

import asyncio
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from client_service.testing import LI, NOW, TODAY, Desk, cny, said
from contracts.base import Money, party_id
from contracts.client import LifecycleChanged, LifecycleReason, Stage
from contracts.engagement import (
    ComplaintClosed,
    ComplaintFiled,
    ComplaintReopened,
    ComplaintResolved,
    ComplaintWithdrawn,
)
from contracts.risk import ExposureChanged, RatingAssigned, RatingExpired

COMPLAINT = UUID(int=0xC1)


async def next_stages(caller: httpx.AsyncClient, client_id: str) -> dict[str, str | None]:
    answer = await caller.get(f"/clients/{client_id}/lifecycle")
    assert answer.status_code == 200, answer.text
    return {each["stage"]: each["blocked_by"] for each in answer.json()["next"]}


async def exposed(
    desk: Desk, client_id: UUID | str, balance: Money, day: date = TODAY, revision: int = 1, **more: Any
) -> None:
    await desk.service.receives(
        said(
            ExposureChanged,
            client_id=UUID(str(client_id)),
            as_of=day,
            revision=revision,
            balance=balance,
            overdue=Money.zero(balance.currency),
            **({"funds_in_use": None, "limit": None, "headroom": None} | more),
        )
    )


async def exiting(desk: Desk, **more: Any) -> dict[str, Any]:
    client = await desk.signed(**more)
    answer = await desk.move(client["id"], Stage.ACTIVE, Stage.EXITING)
    assert answer.status_code == 201, answer.text
    return client


async def test_a_step_is_dated_reasoned_attributed_and_told(desk: Desk) -> None:
    client = await desk.managed(LI)
    answer = await desk.li.post(
        f"/clients/{client['id']}/lifecycle", json={"to": "prospect", "reason": "qualified", "note": "展会上谈过"}
    )
    assert answer.status_code == 201
    assert (answer.json()["stage"], answer.headers["etag"]) == ("prospect", f'"{answer.json()["version"]}"')
    told = await desk.service.last_emitted(LifecycleChanged)
    assert (told.from_stage, told.to_stage, told.reason) == (Stage.LEAD, Stage.PROSPECT, LifecycleReason.QUALIFIED)
    assert "展会" not in told.model_dump_json()
    view = (await desk.li.get(f"/clients/{client['id']}/lifecycle")).json()
    assert view["stage"] == "prospect"
    assert datetime.fromisoformat(view["since"]) == NOW
    (step,) = view["steps"]
    assert (step["note"], step["taken_by"], step["staff_id"]) == ("展会上谈过", str(LI), str(LI))
    assert await next_stages(desk.li, client["id"]) == {"under_assessment": None, "rejected": None, "lost": None}


async def test_a_step_that_is_not_in_the_lifecycle_is_refused_and_changes_nothing(desk: Desk) -> None:
    client = await desk.register()
    answer = await desk.move(client["id"], Stage.ACTIVE)
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("stage-not-reachable")
    assert (await desk.operations.get(f"/clients/{client['id']}")).json() == client
    assert await desk.service.emitted(LifecycleChanged) == []


@pytest.mark.parametrize(
    "body", [{"to": "signed"}, {"to": "gone", "reason": "other"}, {"to": "lost", "reason": "UNKNOWN"}]
)
async def test_bad_input_changes_nothing(desk: Desk, body: dict[str, str]) -> None:
    client = await desk.register()
    assert (await desk.operations.post(f"/clients/{client['id']}/lifecycle", json=body)).status_code == 422
    assert (await desk.operations.get(f"/clients/{client['id']}")).json() == client


async def test_nobody_is_signed_without_a_contract(desk: Desk) -> None:
    client = await desk.approved()
    assert (await next_stages(desk.operations, client["id"]))["signed"] == "no-rating"
    await desk.rated(client["id"])
    assert (await next_stages(desk.operations, client["id"]))["signed"] == "no-signed-contract"
    answer = await desk.move(client["id"], Stage.SIGNED)
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("no-signed-contract")


async def test_a_rating_counts_until_the_end_of_its_last_day_in_the_entitys_zone(desk: Desk) -> None:
    client = await desk.approved()
    await desk.rated(client["id"], valid_until=date(2026, 11, 3))
    contract = await desk.draft(client["id"])
    desk.service.clock.set(datetime(2026, 11, 3, 16, 0, 1, tzinfo=UTC))  # 4 November, 00:00:01 in Shanghai
    answer = await desk.sign(client["id"], contract["id"])
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("rating-not-valid")
    desk.service.clock.set(datetime(2026, 11, 3, 15, 59, 59, tzinfo=UTC))
    assert (await desk.sign(client["id"], contract["id"])).status_code == 201


async def test_a_rating_that_risk_ended_is_not_valid_and_its_successor_is(desk: Desk) -> None:
    client = await desk.approved()
    first, second = UUID(int=1), UUID(int=2)
    await desk.rated(client["id"], rating_id=first)
    expired = said(RatingExpired, client_id=UUID(client["id"]), rating_id=first, valid_until=date(2027, 11, 2))
    await desk.service.receives(expired)
    assert (await next_stages(desk.operations, client["id"]))["signed"] == "rating-not-valid"
    await desk.rated(client["id"], rating_id=second)
    await desk.service.receives(expired)
    assert (await next_stages(desk.operations, client["id"]))["signed"] == "no-signed-contract"


async def test_a_rating_told_before_the_registration_counts(desk: Desk) -> None:
    alias = party_id("core", "S-1")
    await desk.rated(alias)
    client = await desk.approved(external_numbers=[{"system": "core", "number": "S-1"}])
    assert (await next_stages(desk.operations, client["id"]))["signed"] == "no-signed-contract"


async def test_another_entitys_rating_does_not_count(desk: Desk) -> None:
    client = await desk.approved()
    await desk.service.receives(said(RatingAssigned, entity_id="OTHER-FACTOR", client_id=UUID(client["id"])))
    assert (await next_stages(desk.operations, client["id"]))["signed"] == "no-rating"


async def test_no_termination_with_exposure(desk: Desk) -> None:
    client = await exiting(desk, external_numbers=[{"system": "core", "number": "S-1"}])
    alias = party_id("core", "S-1")
    await exposed(desk, alias, cny("120000.00"))
    answer = await desk.move(client["id"], Stage.TERMINATED)
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("exposure-open")
    assert "120000" in answer.json()["detail"]
    await exposed(desk, alias, cny(0), day=date(2026, 11, 2), revision=9)  # an older day says nothing of today
    assert (await next_stages(desk.operations, client["id"])) == {"terminated": "exposure-open"}
    await exposed(desk, alias, cny(0), revision=2)
    assert (await next_stages(desk.operations, client["id"])) == {"terminated": None}
    await exposed(desk, alias, cny(5), revision=1)  # an older revision neither
    assert (await next_stages(desk.operations, client["id"])) == {"terminated": None}
    await exposed(desk, alias, Money(amount=cny(7).amount, currency="USD"))
    assert (await next_stages(desk.operations, client["id"])) == {"terminated": "exposure-open"}


async def test_funds_in_use_are_exposure_too(desk: Desk) -> None:
    client = await exiting(desk)
    await exposed(desk, client["id"], cny(0), funds_in_use=cny(3))
    answer = await desk.move(client["id"], Stage.TERMINATED)
    assert answer.json()["type"].endswith("exposure-open")
    assert "3" in answer.json()["detail"]


async def test_no_termination_with_an_open_complaint(desk: Desk) -> None:
    client = await exiting(desk)
    about = {"client_id": UUID(client["id"]), "complaint_id": COMPLAINT}
    for event, blocked_by in (
        (said(ComplaintFiled, **about), "complaint-open"),
        (said(ComplaintResolved, **about), "complaint-open"),
        (said(ComplaintClosed, **about), None),
        (said(ComplaintReopened, **about), "complaint-open"),
        (said(ComplaintWithdrawn, **about), None),
    ):
        await desk.service.receives(event)
        assert await next_stages(desk.operations, client["id"]) == {"terminated": blocked_by}
    assert (await desk.move(client["id"], Stage.TERMINATED)).status_code == 201
    assert await next_stages(desk.operations, client["id"]) == {}


async def test_a_lost_client_that_comes_back_is_the_same_client(desk: Desk) -> None:
    client = await desk.register()
    answer = await desk.move(client["id"], Stage.PROSPECT, Stage.LOST, Stage.LEAD)
    assert answer.status_code == 201
    assert [
        step["to_stage"] for step in (await desk.operations.get(f"/clients/{client['id']}/lifecycle")).json()["steps"]
    ] == [
        "prospect",
        "lost",
        "lead",
    ]


async def test_of_two_steps_at_once_one_is_taken(desk: Desk) -> None:
    for n in range(5):
        client = await desk.register(name=f"公司{n}")
        answers = await asyncio.gather(*(desk.move(client["id"], to) for to in (Stage.PROSPECT, Stage.LOST)))
        taken = [answer for answer in answers if answer.status_code == 201]
        view = (await desk.operations.get(f"/clients/{client['id']}/lifecycle")).json()
        told = [e for e in await desk.told(LifecycleChanged) if e.client_id == UUID(client["id"])]
        assert len(view["steps"]) == len(taken) == len(told)
        assert [event.to_stage for event in told] == [step["to_stage"] for step in view["steps"]]
        assert view["stage"] == told[-1].to_stage
