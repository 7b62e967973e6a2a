"""Processes are killed with SIGKILL, or frozen and let go, while work flows: nothing is lost, doubled or parked."""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from bus import Bus
from contracts import party_id
from feeding import SALES, feed, some_rows
from localplatform.testing import RunningPlatform

pytestmark = [
    pytest.mark.skipif(not SALES.exists(), reason="the real invoices are not beside this checkout (shared/data)"),
]
ROWS = 400
VICTIMS = ("risk-worker", "client-worker", "engagement-worker", "performance-worker", "risk-api", "kafka", "postgresql")


async def test_the_end_state_is_that_of_an_undisturbed_run(platform: RunningPlatform, bus: Bus, tmp_path: Path) -> None:
    file = some_rows(tmp_path / "sales.csv", "E7", ROWS)
    calm = ("--system", "calm", "--currency", "CNY", "--term-days", "60")
    await feed(platform, tmp_path / "calm", file, "vat-invoices", "CALM-FACTOR", *calm)
    await platform.settled(900)

    chance = random.Random(20261124)
    stormy = ("--system", "stormy", "--currency", "CNY", "--term-days", "60", "--rate", "25")
    work = asyncio.create_task(feed(platform, tmp_path / "stormy", file, "vat-invoices", "STORMY-FACTOR", *stormy))
    await asyncio.sleep(3)
    restarts = {name: platform.restarts(name) for name in VICTIMS}
    for name in chance.sample(VICTIMS, len(VICTIMS)):
        platform.kill(name)
        await asyncio.sleep(chance.uniform(1, 3))
    platform.freeze("risk-worker")
    await asyncio.sleep(15)  # longer than the relay's lease and the consumers' session
    platform.thaw("risk-worker")
    await work
    flight = await platform.settled(900)
    assert flight.parked == 0
    assert all(platform.restarts(name) > before for name, before in restarts.items())

    async def told(entity: str) -> Counter[str]:
        records = await bus.told("risk.events", where=lambda each: each.data["entity_id"] == entity)
        return Counter(each.type for each in {each.headers["ce_id"]: each for each in records}.values())

    assert await told("STORMY-FACTOR") == await told("CALM-FACTOR")
    figures = {}
    for entity, system in (("CALM-FACTOR", "calm"), ("STORMY-FACTOR", "stormy")):
        async with platform.http("risk", "risk_officer", entity) as risk:
            client = party_id(system, "E7")
            sales = (await risk.get(f"/clients/{client}/sales")).json()
            indicators = (await risk.get(f"/clients/{client}/indicators")).json()
            assert (await risk.get("/ledger-breaks")).json()["items"] == []
        for year in sales:
            del year["top_debtor_id"]
        figures[entity] = sales, indicators
    assert figures["STORMY-FACTOR"] == figures["CALM-FACTOR"]
    assert figures["CALM-FACTOR"][0][-1]["rows"] == ROWS
