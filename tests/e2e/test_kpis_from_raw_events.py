"""KPIs against a second computation from a raw dump of the topics, with late, reversed and repeated events in it."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from rich.console import Console

from bus import Bus, Told, eventually
from contracts import Money
from contracts.bank.ledger import BusinessDayClosed, CloseLine, PostingReversed, ReceivableCollected
from localplatform import seed
from localplatform.testing import RunningPlatform
from recompute import kpis

BANK = seed.ENTITY
TOPICS = ("client.events", "risk.events", "engagement.events", "performance.events")
KPIS = ("complaint-deadlines-kept", "visits-on-time", "portfolio-overdue-rate")


@pytest.fixture(scope="module")
async def seeded(platform: RunningPlatform) -> str:
    """The synthetic portfolio, as `./crm up` loads it the first time; what that prints."""
    console = Console(stderr=True, record=True, width=120)
    await seed.first_time(platform.platform, console)
    await platform.settled(1800)
    return console.export_text()


def cny(amount: str | Decimal) -> Money:
    return Money(amount=Decimal(amount), currency="CNY")


async def late_and_reversed(bus: Bus, collected: Told, assigned: Told) -> None:
    """The ledger takes back a collection months later, books another with an old date, and closes the day again."""
    party = UUID(collected.data["client_id"])
    today = date.fromisoformat(collected.data["business_date"]) + timedelta(days=200)
    common: dict[str, Any] = {"entity_id": BANK, "occurred_at": datetime.now(UTC), "client_id": party}
    reversal = PostingReversed(
        **common,
        posting_id=uuid4(),
        business_date=today,
        reversed_posting_id=UUID(collected.data["posting_id"]),
        reversed_kind="receivable-collected",
        amount=cny(collected.data["amount"]["amount"]),
        value_date=date.fromisoformat(collected.data["business_date"]),
    )
    late = ReceivableCollected(
        **common,
        posting_id=uuid4(),
        business_date=date.fromisoformat(assigned.data["business_date"]) + timedelta(days=1),
        receivable_id=UUID(assigned.data["receivable_id"]),
        debtor_id=UUID(assigned.data["debtor_id"]),
        amount=cny("1000.00"),
    )
    closed = BusinessDayClosed(
        **common,
        business_date=today,
        lines=(CloseLine(kind="posting-reversed", count=1, total=reversal.amount),),
    )
    ids = {0: uuid4(), 1: uuid4(), 2: uuid4()}
    await bus.tell(reversal, late, closed, ids=ids)
    await bus.tell(reversal, ids=ids)


async def visits_and_complaints(platform: RunningPlatform) -> None:
    """Some planned visits are made; complaints are answered, withdrawn and left open."""
    async with platform.http("engagement", "auditor", BANK) as auditor:
        planned = (await auditor.get("/visits", params={"state": "planned", "limit": "3"})).json()["items"]
    async with platform.http("client", "administrator", BANK) as office:
        for visit in planned:
            manager = UUID((await office.get(f"/clients/{visit['client_id']}")).json()["rm_id"])
            body = {"completed_on": str(min(date.fromisoformat(visit["due_on"]), datetime.now(UTC).date()))}
            async with platform.http("engagement", "relationship_manager", BANK, manager) as visiting:
                answer = await visiting.post(f"/visits/{visit['id']}/complete", json=body)
            assert answer.status_code == 200, answer.text
        clients = (await office.get("/clients", params={"limit": "4"})).json()["items"]
    async with platform.http("engagement", "service_agent", BANK, uuid4()) as desk:
        filed: list[dict[str, Any]] = []
        for client in clients:
            body = {"client_id": client["id"], "category": "fees", "channel": "phone"}
            answer = await desk.post("/complaints", json=body)
            assert answer.status_code == 201, answer.text
            filed.append(answer.json())
        for number, complaint in enumerate(filed[:3]):
            step, body = ("withdraw", {}) if number == 0 else ("resolve", {"outcome": "upheld", "answer": "Refunded."})
            answer = await desk.post(f"/complaints/{complaint['id']}/{step}", json=body)
            assert answer.status_code == 200, answer.text


async def test_the_first_start_shows_who_goes_bad_and_who_recovers(seeded: str) -> None:
    lines = [re.split(r"\s{2,}", line.strip()) for line in seeded.splitlines()]
    shown = {line[0]: line[1:] for line in lines}
    going_bad, recovered, everyone = shown["Harbour Textiles"], shown["Lakeside Foods"], shown["all"]
    assert (Decimal(going_bad[2].rstrip("%")) > 50, int(going_bad[3]) > 0) == (True, True)
    assert (Decimal(recovered[2].rstrip("%")) < 10, int(recovered[3]) > 0) == (True, True)
    assert everyone[3:5] == [going_bad[3], recovered[3]], "nobody else is or was warned of"


async def test_every_kpi_equals_a_second_computation_from_the_topics(
    platform: RunningPlatform, bus: Bus, seeded: str
) -> None:
    ledger = await bus.told("ledger.events", where=lambda told: told.data["entity_id"] == BANK)
    collected = [each for each in ledger if each.type == "ledger.receivable-collected"]
    assigned = [each for each in ledger if each.type == "ledger.receivable-assigned"]
    for number in (0, len(collected) // 2, len(collected) - 1):
        await late_and_reversed(bus, collected[number], assigned[number])
    await visits_and_complaints(platform)
    await platform.settled(1800)

    told = await bus.told(*TOPICS)
    assert any(each.data.get("revision", 1) > 1 for each in told if each.type == "risk.exposure-changed")
    dates = [
        each.data["as_of"] for each in told if each.type == "risk.exposure-changed" and each.data["entity_id"] == BANK
    ]
    months = sorted({day[:7] for day in dates} | {f"{datetime.now(UTC):%Y-%m}"})
    expected = kpis(told, BANK, months)
    assert {kpi for kpi, _, _ in expected} == set(KPIS)

    staff = {each.data["staff_id"] for each in told if each.type == "performance.staff-joined"}
    compared = 0
    async with platform.http("performance", "auditor", BANK) as auditor:
        for kpi in KPIS:
            for person in staff:
                for month in months:
                    answer = await auditor.get(f"/kpis/{kpi}/staff/{person}", params={"period": month})
                    if answer.status_code == 404:
                        continue
                    ours, theirs = answer.json(), expected.get((kpi, person, month))
                    assert ours["value"] == (theirs.value if theirs else None), (kpi, person, month)
                    compared += ours["value"] is not None
    assert compared == sum(1 for each in expected.values() if each.value is not None)
    assert compared > 50


async def test_what_was_published_last_is_what_a_reader_computes(
    platform: RunningPlatform, bus: Bus, seeded: str
) -> None:
    async def differences() -> list[tuple[str, str, str]] | None:
        """None while nothing is published: it comes about three seconds after what it measures, worker permitting."""
        told = await bus.told("performance.events", where=lambda each: each.data["entity_id"] == BANK)
        last: dict[tuple[str, str, str], dict[str, Any]] = {}
        for each in told:
            if each.type == "performance.kpi-measured" and each.data["subject_kind"] == "staff":
                key = (each.data["kpi"], each.data["subject_id"], each.data["period"])
                if key not in last or last[key]["revision"] < each.data["revision"]:
                    last[key] = dict(each.data)
        if not last:
            return None
        found: list[tuple[str, str, str]] = []
        async with platform.http("performance", "auditor", BANK) as auditor:
            for (kpi, person, period), said in last.items():
                answer = await auditor.get(f"/kpis/{kpi}/staff/{person}", params={"period": period})
                value, published = answer.json()["value"], said.get("value")
                if (value is None, Decimal(value or 0)) != (published is None, Decimal(published or 0)):
                    found.append((kpi, person, period))
        return found

    await eventually(differences, lambda found: found == [])
