"""One story through all four services: a client's debtors stop paying, and what the bank learns and does about it.

Ledger event → risk metric → alert → planned visit → visit completed → KPI → client overview.
"""

import csv
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from bus import eventually
from feeding import feed
from ledger_feed.ledger import COLUMNS
from localplatform.testing import RunningPlatform

BANK = "STORY-FACTOR"
MANAGER, LEAD = uuid4(), uuid4()
TODAY = datetime.now(ZoneInfo("Asia/Shanghai")).date()


def invoices() -> Iterator[dict[str, str]]:
    """Thirty weeks of five invoices at thirty days; from the twentieth week on nobody pays any more."""
    for week in range(30):
        assigned = TODAY - timedelta(weeks=30 - week)
        for n in range(5):
            number = f"W{week:02}-{n}"
            row = {
                "client": "S-1",
                "debtor": f"D-{n}",
                "receivable": number,
                "document": number,
                "issue_date": str(assigned),
                "due_date": str(assigned + timedelta(days=30)),
                "amount": f"{10_000 + 100 * n}.00",
            }
            yield {**row, "posting": f"{number}-A", "kind": "receivable-assigned", "business_date": str(assigned)}
            if week < 16:
                paid = assigned + timedelta(days=28)
                yield {**row, "posting": f"{number}-C", "kind": "receivable-collected", "business_date": str(paid)}
            elif (late := assigned + timedelta(days=31)) < TODAY:
                yield {**row, "posting": f"{number}-O", "kind": "receivable-overdue", "business_date": str(late)}


async def staff(platform: RunningPlatform) -> None:
    async with platform.http("performance", "administrator", BANK) as performance:
        entity = {"kind": "entity", "calendar": "CN", "time_zone": "Asia/Shanghai", "currency": "CNY"}
        assert (await performance.put(f"/organisation/units/{BANK}", json=entity)).status_code == 201
        team = await performance.put("/organisation/units/STORY-TEAM", json={"kind": "team", "parent": BANK})
        for who, role in ((MANAGER, "relationship_manager"), (LEAD, "team_lead")):
            member = {"staff_id": str(who), "team_id": team.json()["team_id"], "role": role, "joined_on": "2024-01-01"}
            assert (await performance.post("/staff", json=member)).status_code == 201


async def client_of_the_manager(platform: RunningPlatform) -> UUID:
    async with platform.http("client", "bank_system", BANK) as ledger:
        body = {"name": "故事纺织有限公司", "external_numbers": [{"system": "story-ledger", "number": "S-1"}]}
        registered = await ledger.post("/clients", json=body, headers={"Idempotency-Key": "story-1"})
        assert registered.status_code == 201, registered.text
        client = registered.json()["id"]
    async with platform.http("client", "administrator", BANK) as office:

        async def assign() -> Any:
            body = {"staff_id": str(MANAGER), "reason": "new client", "effective_on": str(TODAY - timedelta(weeks=31))}
            return await office.post(f"/clients/{client}/relationship-manager", json=body)

        await eventually(assign, lambda answer: answer.status_code == 201)
    return UUID(client)


async def test_the_loop_closes(platform: RunningPlatform, tmp_path: Path) -> None:
    await staff(platform)
    client = await client_of_the_manager(platform)
    file = tmp_path / "ledger.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        writer: csv.DictWriter[str] = csv.DictWriter(out, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(sorted(invoices(), key=lambda row: row["business_date"]))

    # the ledger tells its events …
    await feed(platform, tmp_path, file, "ledger", BANK, "--currency", "CNY", "--system", "story-ledger")

    # … risk-service sees the overdue rate rise, and warns
    async with platform.http("risk", "risk_officer", BANK) as risk:

        async def alerts() -> list[dict[str, Any]]:
            return (await risk.get("/alerts", params={"client_id": str(client)})).json()["items"]

        found = await eventually(alerts, lambda items: any(each["rule"].startswith("overdue-rate") for each in items))
        indicators = (await risk.get(f"/clients/{client}/indicators")).json()
        assert float(indicators["overdue_rate"]) > 0.25
        assert Decimal(indicators["explain"]["overdue_rate"]["numerator"]) == Decimal(indicators["overdue"])
    alert = next(each for each in found if each["rule"].startswith("overdue-rate"))

    # … engagement-service plans a visit by itself, and the manager makes it
    async with platform.http("engagement", "relationship_manager", BANK, MANAGER) as manager:

        async def visits() -> list[dict[str, Any]]:
            return (await manager.get("/visits", params={"client_id": str(client)})).json()["items"]

        planned = await eventually(visits, lambda items: len(items) > 0)
        visit = planned[0]
        assert (visit["reason"], visit["client_id"]) == ("alert", str(client))
        opened = (await manager.get(f"/visits/{visit['id']}")).json()
        assert alert["id"] in {cause["alert_id"] for cause in opened["causes"]}
        report = {"completed_on": str(TODAY), "needs": ["longer-terms"], "progress": "Two debtors dispute quality."}
        made = await manager.post(f"/visits/{visit['id']}/complete", json=report)
        assert made.status_code == 200, made.text
        on_time = made.json()["on_time"]
        assert on_time == (date.fromisoformat(visit["due_on"]) >= TODAY)

    # … performance-service counts it for the manager and the team, down to the events
    decided = min(TODAY, date.fromisoformat(visit["due_on"]))
    async with platform.http("performance", "relationship_manager", BANK, MANAGER) as manager:

        async def score() -> dict[str, Any]:
            path = f"/kpis/visits-on-time/staff/{MANAGER}"
            return (await manager.get(path, params={"period": f"{decided:%Y-%m}"})).json()

        kpi = await eventually(score, lambda answer: answer["value"] is not None)
        assert kpi["value"] == ("1.0000" if on_time else "0.0000")
        assert [item["fact_id"] for item in kpi["evidence"]] == [visit["id"]]

    # … and one call to client-service tells all of it
    async with platform.http("client", "relationship_manager", BANK, MANAGER) as manager:

        async def overview() -> dict[str, Any]:
            return (await manager.get(f"/clients/{client}/overview")).json()

        def complete(answer: dict[str, Any]) -> bool:
            kpis: list[dict[str, Any]] = answer.get("kpis", {}).get("value") or []
            return any((each["kpi"], each["subject"]) == ("visits-on-time", "staff") for each in kpis)

        whole = await eventually(overview, complete)
    assert whole["manager"]["staff_id"] == str(MANAGER)
    assert Decimal(whole["exposure"]["value"][0]["overdue"]["amount"]) == Decimal(indicators["overdue"])
    assert alert["id"] in {each["alert_id"] for each in whole["alerts"]["value"]}
    assert whole["next_visit"]["state"] == "known"

    # … while the neighbour's door stays shut
    async with platform.http("client", "relationship_manager", BANK, LEAD) as colleague:
        assert (await colleague.get(f"/clients/{client}/overview")).status_code == 404
    async with platform.http("client", "administrator", "OTHER-FACTOR") as stranger:
        assert (await stranger.get(f"/clients/{client}/overview")).status_code == 404
