"""The real receivables through the started platform: every independently computed figure comes out of the API."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bus import DATA, Bus
from contracts import party_id
from feeding import feed
from localplatform.testing import RunningPlatform

FILE = DATA / "payments" / "receivables.csv"
pytestmark = [
    pytest.mark.skipif(not FILE.exists(), reason="the real receivables are not beside this checkout (shared/data)"),
]

Get = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture(scope="module")
async def risk(platform: RunningPlatform, tmp_path_factory: pytest.TempPathFactory) -> Get:
    """risk-service's API, once it has heard of everything in the file."""
    options = ("--currency", "USD", "--system", "payments")
    await feed(platform, tmp_path_factory.mktemp("feed"), FILE, "payments", "DEMO-PAYMENTS", *options)
    seller = party_id("payments", "SELLER")

    async def get(what: str, **query: str) -> dict[str, Any]:
        async with platform.http("risk", "risk_officer", "DEMO-PAYMENTS") as http:
            answer = await http.get(f"/clients/{seller}/{what}", params=query)
            return answer.json() if answer.status_code == 200 else {"status": answer.status_code}

    await platform.settled(900)
    return get


async def test_totals_late_and_disputed_shares(risk: Get) -> None:
    facts = await risk("payment-behaviour")
    assert {name: facts[name] for name in facts if name not in ("explain", "currency")} == {
        "count": 2466,
        "total": "147703.18",
        "settled_count": 2466,
        "late_count": 877,
        "late_share": "0.3556",
        "disputed_count": 561,
        "disputed_share": "0.2275",
        "mean_days_to_settle": "26.4448",
        "mean_days_late": "3.4424",
        "mean_days_late_when_late": "9.6796",
        "max_days_late": 45,
    }


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        ("2012-12-31", (99, "5725.06", 13, "788.74", "0.1378", "26.8407")),
        ("2013-06-30", (84, "5119.85", 12, "835.56", "0.1632", "23.1508")),
    ],
)
async def test_overdue_and_dso_as_of_a_day(risk: Get, as_of: str, expected: tuple[Any, ...]) -> None:
    facts = await risk("indicators", as_of=as_of, window_days="90")
    names = ("open_count", "open_balance", "overdue_count", "overdue", "overdue_rate", "dso")
    assert tuple(facts[name] for name in names) == expected


async def test_the_same_file_again_changes_nothing(
    platform: RunningPlatform, bus: Bus, risk: Get, tmp_path: Path
) -> None:
    """Even where the feed has forgotten that it fed it: the events come again under the same ids."""
    before = await risk("payment-behaviour"), await risk("indicators", as_of="2012-12-31")
    options = ("--currency", "USD", "--system", "payments", "--no-register")
    await feed(platform, tmp_path, FILE, "payments", "DEMO-PAYMENTS", *options)
    again = await bus.told("ledger.events", where=lambda told: told.data["entity_id"] == "DEMO-PAYMENTS")
    assert len(again) == 2 * len({told.headers["ce_id"] for told in again})
    await platform.settled(900)
    assert (await risk("payment-behaviour"), await risk("indicators", as_of="2012-12-31")) == before


async def test_every_day_closed_without_a_break(platform: RunningPlatform, risk: Get) -> None:
    await platform.settled(900)
    async with platform.http("risk", "risk_officer", "DEMO-PAYMENTS") as http:
        answer = await http.get("/ledger-breaks", params={"total": "true"})
    assert (answer.status_code, answer.json()["total"]) == (200, 0)
