"""A rebuild makes of the topics exactly what the living service had made: every projection of every service, row for
row, after a history in which the bank's systems and people did something of everything."""

import asyncio
import csv
import importlib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import asyncpg
import httpx
import pytest

from bus import eventually
from eventing.projections import projection_tables
from feeding import feed
from ledger_feed.ledger import COLUMNS
from localplatform.program import surroundings
from localplatform.testing import RunningPlatform
from localplatform.topology import SERVICES
from servicekit.app import Service

BANK, SYSTEM = "REBUILD-FACTOR", "rebuild-ledger"
FIRST, SECOND, GONE = uuid4(), uuid4(), uuid4()
TODAY = datetime.now(ZoneInfo("Asia/Shanghai")).date()
Body = dict[str, Any]
Snapshot = dict[str, list[str]]


def bookings() -> Iterator[dict[str, str]]:
    """Twenty weeks of six invoices of two sellers; the later ones are not paid, and every tenth payment is undone."""
    for week in range(20):
        assigned = TODAY - timedelta(weeks=22 - week)
        for n in range(6):
            number = f"W{week:02}-{n}"
            row = {
                "client": f"S-{1 + n // 5}",
                "debtor": f"D-{n % 3}",
                "receivable": number,
                "document": number,
                "issue_date": str(assigned),
                "due_date": str(assigned + timedelta(days=30)),
                "amount": f"{10_000 + 100 * n}.00",
            }
            yield {**row, "posting": f"{number}-A", "kind": "receivable-assigned", "business_date": str(assigned)}
            paid, late = assigned + timedelta(days=28), assigned + timedelta(days=31)
            if week < 10:
                yield {**row, "posting": f"{number}-C", "kind": "receivable-collected", "business_date": str(paid)}
            elif late < TODAY:
                yield {**row, "posting": f"{number}-O", "kind": "receivable-overdue", "business_date": str(late)}
            if week < 10 and (week * 6 + n) % 10 == 0:
                undone = {"reverses": f"{number}-C", "reverses_kind": "receivable-collected", "value_date": str(paid)}
                row = {name: row[name] for name in ("client", "amount")} | undone
                yield {**row, "posting": f"{number}-R", "kind": "posting-reversed", "business_date": str(late)}


async def done(
    http: httpx.AsyncClient, method: str, path: str, *, version: int | None = None, **body: Any
) -> dict[str, Any]:
    """Have it done, as soon as the service has heard of what it takes."""
    headers = {} if version is None else {"If-Match": f'"{version}"'}

    async def ask() -> httpx.Response:
        return await http.request(method, path, json=body, headers=headers)

    answer = await eventually(ask, lambda answer: answer.status_code not in (404, 409, 422), seconds=30)
    assert answer.is_success, answer.text
    return answer.json()


async def people(platform: RunningPlatform) -> None:
    async with platform.http("performance", "administrator", BANK) as office:
        entity: Body = {"kind": "entity", "calendar": "CN", "time_zone": "Asia/Shanghai", "currency": "CNY"}
        await done(office, "PUT", f"/organisation/units/{BANK}", **entity)
        north, south = [
            (await done(office, "PUT", f"/organisation/units/REBUILD-{name}", kind="team", parent=BANK))["team_id"]
            for name in ("NORTH", "SOUTH")
        ]
        for who in (FIRST, SECOND, GONE):
            member: Body = {"staff_id": str(who), "team_id": north, "role": "relationship_manager"}
            await done(office, "POST", "/staff", **member, joined_on="2024-01-01")
        await done(office, "POST", f"/staff/{SECOND}/move", team_id=south, moved_on="2025-01-01")
        await done(office, "POST", f"/staff/{GONE}/leave", left_on="2025-01-01")


async def client(platform: RunningPlatform) -> UUID:
    """Registered with the ledger's number, and handed from one manager to another."""
    async with platform.http("client", "operations", BANK) as office:
        number = {"system": SYSTEM, "number": "S-1"}
        registered = await done(office, "POST", "/clients", name="重建纺织有限公司", external_numbers=[number])
        path = f"/clients/{registered['id']}/relationship-manager"
        for who, weeks in ((FIRST, 23), (SECOND, 4)):
            since = str(TODAY - timedelta(weeks=weeks))
            await done(office, "POST", path, staff_id=str(who), reason="portfolio", effective_on=since)
    return UUID(registered["id"])


async def credit(platform: RunningPlatform, id: UUID) -> None:
    """Rated, with a limit that is then frozen and a contract signed."""
    async with platform.http("risk", "risk_officer", BANK) as officer:
        await done(officer, "POST", f"/clients/{id}/ratings", override={"grade": "G3", "reason": "audited accounts"})
        await done(officer, "POST", f"/clients/{id}/ratings", override={"grade": "G5", "reason": "owner has died"})
        money, since = {"amount": "5000000.00", "currency": "CNY"}, str(TODAY - timedelta(weeks=20))
        limit = await done(officer, "POST", f"/clients/{id}/limits", amount=money, effective_from=since)
        await done(officer, "POST", f"/limits/{limit['id']}/freeze", version=limit["version"], reason="alert")
    async with platform.http("client", "operations", BANK) as office:
        for stage, reason in (
            ("prospect", "qualified"),
            ("under_assessment", "assessment_started"),
            ("approved", "assessment_passed"),
        ):
            await done(office, "POST", f"/clients/{id}/lifecycle", to=stage, reason=reason)
        terms: Body = {
            "product": "domestic", "recourse": True, "disclosed": True, "advance_rate": "0.8", "limit": money,
            "dispute_clause": {"forum": "arbitration", "seat": "上海国际经济贸易仲裁委员会"},
            "effective_from": since, "expires_on": str(TODAY + timedelta(weeks=40)),
        }  # fmt: skip
        contract = await done(office, "POST", f"/clients/{id}/contracts", **terms)
        await done(office, "POST", f"/clients/{id}/contracts/{contract['id']}/sign", signed_on=str(TODAY))


async def dealings(platform: RunningPlatform, id: UUID) -> None:
    """Calls, complaints and visits, begun and ended in several ways."""
    async with platform.http("engagement", "relationship_manager", BANK, SECOND) as manager:
        began = datetime.now(UTC).isoformat()
        for outcome in ("follow_up", "done"):
            call: Body = {"client_id": str(id), "channel": "phone", "direction": "outbound", "outcome": outcome}
            await done(manager, "POST", "/contacts", **call, started_at=began)
        complaints = [
            await done(manager, "POST", "/complaints", client_id=str(id), category=category, channel="phone")
            for category in ("fees", "limit", "service")
        ]
        visits = [
            await done(manager, "POST", "/visits", client_id=str(id), due_on=str(TODAY + timedelta(days=days)))
            for days in (3, 5, 60)
        ]
        await done(manager, "POST", f"/visits/{visits[0]['id']}/complete", completed_on=str(TODAY))
        await done(manager, "POST", f"/visits/{visits[1]['id']}/cancel", reason="client_declined")
    async with platform.http("engagement", "service_agent", BANK) as agent:
        await done(agent, "POST", f"/complaints/{complaints[0]['id']}/acknowledge")
        await done(agent, "POST", f"/complaints/{complaints[0]['id']}/resolve", outcome="upheld")
        await done(agent, "POST", f"/complaints/{complaints[1]['id']}/withdraw")


@pytest.fixture(scope="module")
async def history(platform: RunningPlatform, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Something of everything, come to rest."""
    await people(platform)
    id = await client(platform)
    directory = tmp_path_factory.mktemp("rebuild")
    rows = sorted(bookings(), key=lambda row: row["business_date"])
    with (directory / "ledger.csv").open("w", encoding="utf-8", newline="") as out:
        writer: csv.DictWriter[str] = csv.DictWriter(out, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)
    await feed(platform, directory, directory / "ledger.csv", "ledger", BANK, "--currency", "CNY", "--system", SYSTEM)
    await credit(platform, id)
    await dealings(platform, id)
    await rest(platform)


async def rest(platform: RunningPlatform) -> None:
    """Nothing under way, and no score to be measured soon."""

    async def soon() -> int:
        await platform.settled()
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(platform.database_url("performance"))
        try:
            return await connection.fetchval(
                "SELECT count(*) FROM due_work WHERE coalesce(retry_at, due_at) < now() + interval '10 seconds'"
            )
        finally:
            await connection.close()

    await eventually(soon, lambda count: count == 0, seconds=60)
    await platform.settled()


def tables_of(service: str) -> list[str]:
    app: Service = importlib.import_module(f"{service}_service.app").app
    return [table.name for table in projection_tables(app.projections())]


async def snapshot(platform: RunningPlatform, service: str) -> Snapshot:
    """Every row of every projection table, in an order that says nothing of how it came there."""
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(platform.database_url(service))
    try:
        return {
            table: sorted(row[0] for row in await connection.fetch(f'SELECT to_jsonb(t)::text FROM "{table}" t'))
            for table in tables_of(service)
        }
    finally:
        await connection.close()


async def emptied(platform: RunningPlatform, service: str) -> None:
    """What is there afterwards was made by the rebuild."""
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(platform.database_url(service))
    try:
        await connection.execute(f"TRUNCATE {', '.join(tables_of(service))}")
    finally:
        await connection.close()


def differences(before: Snapshot, after: Snapshot) -> dict[str, tuple[list[str], list[str]]]:
    """By table: rows that were lost, and rows that are new."""
    return {
        table: (sorted(set(rows) - set(after[table])), sorted(set(after[table]) - set(rows)))
        for table, rows in before.items()
        if rows != after[table]
    }


def ours(rows: Snapshot) -> Snapshot:
    """Those of this test's legal entity."""
    return {table: [row for row in each if f'"entity_id": "{BANK}"' in row] for table, each in rows.items()}


async def rebuilt(platform: RunningPlatform, service: str) -> str:
    """What `./crm rebuild` runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"{service}_service", "rebuild",
        env=surroundings(platform.environment(service) | {"METRICS_PORT": "0"}),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("service", SERVICES)
async def test_a_rebuild_makes_the_same_rows_again(platform: RunningPlatform, service: str) -> None:
    await rest(platform)
    await platform.stop(f"{service}-worker")
    try:
        before = await snapshot(platform, service)
        assert [table for table, rows in before.items() if not rows] == []
        await emptied(platform, service)
        said = await rebuilt(platform, service)
        assert f"{', '.join(before)}: made anew from " in said
        assert differences(before, await snapshot(platform, service)) == {}
    finally:
        await platform.start(f"{service}-worker")
    # and the worker goes on where it was
    await platform.settled()
    assert differences(ours(before), ours(await snapshot(platform, service))) == {}
