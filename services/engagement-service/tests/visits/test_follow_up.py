"""A warning plans a visit by itself; the client's business dates make it due. Every event is delivered twice."""

from datetime import UTC, date, datetime
from uuid import UUID

import httpx
import pytest

from contracts.client import Stage
from contracts.engagement import VisitCancelled, VisitCancelReason, VisitMissed, VisitPlanned, VisitReason
from contracts.risk import Direction, Severity
from servicekit.testing import Harness

from ..words import (
    ACME,
    ACME_IN_LEDGER,
    BOLT,
    LI,
    LONDON,
    THAMES,
    alert_closed,
    alert_raised,
    business_date,
    client_registered,
    lifecycle_changed,
    rating_assigned,
    rm_assigned,
)


async def visits(client: httpx.AsyncClient, query: str = "") -> list[dict[str, str]]:
    answer = await client.get(f"/visits?{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


@pytest.mark.parametrize(
    ("severity", "due"),
    [
        (Severity.CRITICAL, "2026-02-12"),
        (Severity.SERIOUS, "2026-02-24"),
        (Severity.WARNING, "2026-03-02"),
        (Severity.INFO, "2026-03-16"),
    ],
)
async def test_an_alert_plans_a_visit_as_soon_as_it_is_severe(
    office: Harness, as_li: httpx.AsyncClient, severity: Severity, due: str
) -> None:
    """Raised on Tuesday, 10 February 2026: a make-up Saturday on the 14th, then Spring Festival until the 23rd."""
    alert = alert_raised(ACME, severity=severity)
    await office.receives(alert)
    (visit,) = await visits(as_li)
    assert (visit["due_on"], visit["state"], visit["reason"]) == (due, "planned", "alert")
    planned = await office.last_emitted(VisitPlanned)
    assert (planned.client_id, planned.alert_id) == (ACME, alert.alert_id)
    assert planned.cause_event is not None
    assert (planned.planned_on, planned.reason) == (date(2026, 2, 10), VisitReason.ALERT)
    assert len(await office.emitted()) == 1
    shown = (await as_li.get(f"/visits/{visit['id']}")).json()
    assert shown["policy"] == "follow-up-1"
    assert [cause["alert_id"] for cause in shown["causes"]] == [str(alert.alert_id)]


async def test_the_visits_id_follows_from_the_event(office: Harness, as_li: httpx.AsyncClient) -> None:
    alert = alert_raised(ACME)
    await office.receives(alert, ids=[UUID(int=77)])
    (visit,) = await visits(as_li)
    assert UUID(visit["id"]).version == 5


async def test_a_british_client_is_visited_by_the_british_calendar(office: Harness) -> None:
    await office.receives(alert_raised(THAMES, as_of=date(2026, 4, 2), entity_id=LONDON))
    (visit,) = await visits(office.client("risk_officer", entity_id=LONDON))
    assert visit["due_on"] == "2026-04-13", "Good Friday and Easter Monday are not worked"


async def test_a_second_alert_joins_the_open_visit_and_may_bring_it_forward(
    office: Harness, as_li: httpx.AsyncClient
) -> None:
    await office.receives(alert_raised(ACME, severity=Severity.WARNING))
    await office.receives(alert_raised(ACME, severity=Severity.INFO))
    assert len(await office.emitted(VisitPlanned)) == 1, "less urgent: nothing changes"
    await office.receives(alert_raised(ACME, severity=Severity.CRITICAL))
    (visit,) = await visits(as_li)
    assert visit["due_on"] == "2026-02-12"
    told = [event for event in await office.emitted(VisitPlanned) if isinstance(event, VisitPlanned)]
    assert [event.due_on for event in told] == [date(2026, 3, 2), date(2026, 2, 12)]
    assert len({event.visit_id for event in told}) == 1
    assert len((await as_li.get(f"/visits/{visit['id']}")).json()["causes"]) == 3


async def test_a_falling_rating_plans_a_visit_and_any_other_does_not(office: Harness, as_li: httpx.AsyncClient) -> None:
    for direction in (Direction.UP, Direction.SAME, Direction.FIRST):
        await office.receives(rating_assigned(ACME, direction=direction))
    assert await visits(as_li) == []
    await office.receives(rating_assigned(ACME))
    (visit,) = await visits(as_li)
    assert (visit["reason"], visit["raised_on"]) == ("rating_fall", "2026-02-10"), (
        "20:00 UTC is the next day in Shanghai"
    )
    await office.receives(alert_raised(ACME))
    assert len(await visits(as_li)) == 1


async def test_the_last_alert_closed_in_time_calls_the_visit_off(office: Harness, as_li: httpx.AsyncClient) -> None:
    first, second = alert_raised(ACME), alert_raised(ACME)
    await office.receives(first, second, alert_closed(first, as_of=date(2026, 2, 11)))
    assert [visit["state"] for visit in await visits(as_li)] == ["planned"]
    await office.receives(alert_closed(second, as_of=date(2026, 2, 24)))
    (visit,) = await visits(as_li)
    assert (visit["state"], visit["cancel_reason"]) == ("cancelled", "alert_closed")
    assert (await office.last_emitted(VisitCancelled)).reason is VisitCancelReason.ALERT_CLOSED
    await office.receives(business_date(date(2026, 3, 31)))
    assert await office.emitted(VisitMissed) == []
    await office.receives(alert_raised(ACME, as_of=date(2026, 4, 1)))
    assert sorted(visit["state"] for visit in await visits(as_li)) == ["cancelled", "planned"]


async def test_a_falling_rating_keeps_the_visit_when_the_alert_is_closed(
    office: Harness, as_li: httpx.AsyncClient
) -> None:
    alert = alert_raised(ACME)
    await office.receives(alert, rating_assigned(ACME), alert_closed(alert, as_of=date(2026, 2, 11)))
    assert [visit["state"] for visit in await visits(as_li)] == ["planned"]


async def test_an_alert_closed_after_the_due_date_calls_nothing_off(office: Harness, as_li: httpx.AsyncClient) -> None:
    alert = alert_raised(ACME)
    await office.receives(alert, alert_closed(alert, as_of=date(2026, 2, 25)))
    assert [visit["state"] for visit in await visits(as_li)] == ["planned"]
    await office.receives(business_date(date(2026, 2, 25)))
    assert [visit["state"] for visit in await visits(as_li)] == ["missed"]


async def test_a_visit_is_missed_by_the_clients_business_date_and_by_no_other(
    office: Harness, as_li: httpx.AsyncClient
) -> None:
    await office.receives(alert_raised(ACME, as_of=date(2016, 11, 1)))
    office.clock.set(datetime(2026, 11, 24, tzinfo=UTC))
    await office.run_due()
    await office.receives(business_date(date(2016, 11, 30), BOLT), business_date(date(2016, 11, 8)))
    assert [visit["state"] for visit in await visits(as_li)] == ["planned"], "due that very day"
    await office.receives(business_date(date(2016, 11, 21)), business_date(date(2016, 11, 7), revision=2))
    (visit,) = await visits(as_li, "overdue=true")
    assert (visit["state"], visit["missed_on"]) == ("missed", "2016-11-09")
    missed = await office.last_emitted(VisitMissed)
    assert (missed.due_on, missed.occurred_at) == (date(2016, 11, 8), datetime(2016, 11, 8, 16, tzinfo=UTC))
    await office.receives(business_date(date(2016, 11, 30)))
    assert len(await office.emitted(VisitMissed)) == 1


async def test_a_missed_visit_stays_the_open_one(office: Harness, as_li: httpx.AsyncClient) -> None:
    await office.receives(alert_raised(ACME), business_date(date(2026, 3, 2)))
    await office.receives(alert_raised(ACME, as_of=date(2026, 3, 3)))
    (visit,) = await visits(as_li)
    assert (visit["state"], visit["due_on"]) == ("missed", "2026-02-24")
    assert len(await office.emitted(VisitPlanned)) == 1


async def test_a_client_that_left_is_visited_no_more(office: Harness, as_li: httpx.AsyncClient) -> None:
    at = datetime(2026, 2, 11, tzinfo=UTC)
    await office.receives(alert_raised(ACME), lifecycle_changed(ACME, Stage.EXITING, at=at))
    assert [visit["state"] for visit in await visits(as_li)] == ["planned"]
    await office.receives(lifecycle_changed(ACME, Stage.TERMINATED, at=at))
    assert [visit["cancel_reason"] for visit in await visits(as_li)] == ["client_terminated"]
    assert (await office.last_emitted(VisitCancelled)).reason is VisitCancelReason.CLIENT_TERMINATED


async def test_an_alert_about_a_party_registered_later_is_found(
    engagement: Harness, as_agent: httpx.AsyncClient, as_li: httpx.AsyncClient
) -> None:
    await engagement.receives(alert_raised(ACME_IN_LEDGER))
    (stub,) = await visits(as_agent)
    assert stub["client_id"] == str(ACME_IN_LEDGER)
    assert await visits(as_li) == [], "nobody's yet"
    await engagement.receives(client_registered(ACME, ACME_IN_LEDGER), rm_assigned(ACME, LI))
    (found,) = await visits(as_li, f"client_id={ACME}")
    assert (found["id"], found["client_id"]) == (stub["id"], str(ACME))
    assert (await visits(as_li, f"client_id={ACME_IN_LEDGER}"))[0]["id"] == stub["id"]
    timeline = (await as_li.get(f"/clients/{ACME_IN_LEDGER}/timeline")).json()["items"]
    assert [entry["id"] for entry in timeline] == [stub["id"]]
    await engagement.receives(alert_raised(ACME, severity=Severity.CRITICAL))
    assert len(await visits(as_li)) == 1, "one open visit, whichever id the warning came under"
    await engagement.receives(business_date(date(2026, 3, 2), ACME_IN_LEDGER))
    assert (await visits(as_li))[0]["state"] == "missed"
