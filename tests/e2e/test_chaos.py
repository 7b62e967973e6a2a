"""Processes are killed with SIGKILL, or frozen for longer than every timeout and let go, while the feed runs: nothing
is lost, doubled, out of order or parked.

`CHAOS_KILLS` and `CHAOS_SEED` make it longer and other (`./crm prove chaos`). A seed that fails is added to SEEDS.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from bus import Bus, eventually
from contracts import party_id
from feeding import SALES, feed, some_rows
from localplatform.testing import RunningPlatform

pytestmark = [
    pytest.mark.skipif(not SALES.exists(), reason="the real invoices are not beside this checkout (shared/data)"),
]
KILLS = int(os.environ.get("CHAOS_KILLS", "14"))
SEEDS = [int(seed) for seed in os.environ.get("CHAOS_SEED", "20261124").split(",")]
ROWS = max(400, 5 * KILLS)
FROZEN_SECONDS = 20
"""Longer than the relay's lease, the consumers' session and Kafka's request timeout."""
BETWEEN_SECONDS = (1.0, 4.0)
WORKERS = tuple(f"{service}-worker" for service in ("client", "risk", "engagement", "performance"))
VICTIMS = (*WORKERS, "client-api", "risk-api", "engagement-api", "performance-api", "kafka", "postgresql")
ORDERED = ("exposure-changed", "alert-", "indicator-", "ledger-break-")
"""What risk-service tells because of the ledger's events, and so in the same order every time."""


async def pid(platform: RunningPlatform, name: str) -> int | None:
    return platform.pid(name)


async def answers(platform: RunningPlatform, service: str) -> bool:
    async with platform.http(service, "auditor", "NOBODY") as http:
        try:
            return (await http.get("/health/ready")).is_success
        except httpx.TransportError:
            return False


async def storm(platform: RunningPlatform, chance: random.Random) -> Counter[tuple[str, str]]:
    """Do KILLS bad things; a frozen process is let go while the next ones are killed. What was done to whom."""
    done: Counter[tuple[str, str]] = Counter()
    frozen: dict[str, asyncio.Task[None]] = {}

    async def let_go(name: str) -> None:
        await asyncio.sleep(FROZEN_SECONDS)
        platform.thaw(name)

    plan = [VICTIMS[number % len(VICTIMS)] for number in range(KILLS)]
    chance.shuffle(plan)
    for name in plan:
        if name in frozen:
            await frozen.pop(name)
        await eventually(partial(pid, platform, name), bool)
        how = chance.choice(("kill", "kill", "freeze"))
        if how == "freeze":
            platform.freeze(name)
            frozen[name] = asyncio.create_task(let_go(name))
        else:
            platform.kill(name)
        done[how, name] += 1
        await asyncio.sleep(chance.uniform(*BETWEEN_SECONDS))
    await asyncio.gather(*frozen.values())
    return done


def plain(data: Mapping[str, Any]) -> dict[str, Any]:
    """A payload without the ids in which two legal entities must differ."""
    return {name: value for name, value in data.items() if not name.endswith("_id")}


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_end_state_is_that_of_an_undisturbed_run(
    platform: RunningPlatform, bus: Bus, tmp_path: Path, seed: int
) -> None:
    calm, stormy = f"calm-{seed}", f"stormy-{seed}"
    file = some_rows(tmp_path / "sales.csv", "E7", ROWS, every=8)  # over three years
    common = ("--currency", "CNY", "--term-days", "60")
    await feed(platform, tmp_path / calm, file, "vat-invoices", calm.upper(), "--system", calm, *common)
    await platform.settled(900)

    rate = max(1, round(1.5 * ROWS / (KILLS * sum(BETWEEN_SECONDS) / 2)))
    options = ("--system", stormy, *common, "--rate", str(rate))
    work = asyncio.create_task(feed(platform, tmp_path / stormy, file, "vat-invoices", stormy.upper(), *options))
    await asyncio.sleep(3)
    restarts = {name: platform.restarts(name) for name in VICTIMS}
    done = await storm(platform, random.Random(seed))
    await work
    flight = await platform.settled(900)
    assert flight.parked == 0
    killed = {name: times for (how, name), times in done.items() if how == "kill"}
    assert all(platform.restarts(name) - restarts[name] >= times for name, times in killed.items()), done

    async def told(entity: str, topic: str) -> list[tuple[str, dict[str, Any]]]:
        records = await bus.told(topic, where=lambda each: each.data["entity_id"] == entity)
        first = {each.headers["ce_id"]: each for each in reversed(records)}
        return [(each.type, plain(each.data)) for each in sorted(first.values(), key=lambda each: each.offset)]

    for topic in ("ledger.events", "risk.events", "engagement.events"):
        both = [Counter(type for type, _ in await told(entity.upper(), topic)) for entity in (calm, stormy)]
        assert both[0] == both[1], topic
    both_ordered = [
        [each for each in await told(entity.upper(), "risk.events") if each[0].split(".")[1].startswith(ORDERED)]
        for entity in (calm, stormy)
    ]
    assert len(both_ordered[0]) > 100
    assert both_ordered[1] == both_ordered[0]

    await eventually(partial(answers, platform, "risk"), bool)
    figures: dict[str, Any] = {}
    for system in (calm, stormy):
        async with platform.http("risk", "risk_officer", system.upper()) as risk:
            client = party_id(system, "E7")
            sales = (await risk.get(f"/clients/{client}/sales")).json()
            indicators = (await risk.get(f"/clients/{client}/indicators")).json()
            assert (await risk.get("/ledger-breaks")).json()["items"] == []
        for year in sales:
            del year["top_debtor_id"]
        figures[system] = sales, indicators
    assert figures[stormy] == figures[calm]
    assert figures[calm][0][-1]["rows"] == ROWS
