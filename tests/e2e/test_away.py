"""What callers and orchestrators are told while Kafka, PostgreSQL or the identity provider is away: the table in
docs/architecture.md, measured on the four services as deployed. And each service takes work in with all else down."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from bus import eventually
from localplatform.issuer import Issuer
from localplatform.platform import ROOT
from localplatform.processes import free_ports
from localplatform.program import Program
from localplatform.testing import RunningPlatform
from localplatform.topology import APIS, SERVICES, WORKERS

BANK = "AWAY-FACTOR"
ROLE = {"client": "bank_system", "risk": "risk_officer", "engagement": "service_agent", "performance": "administrator"}
LIST = {"client": "/clients", "risk": "/alerts", "engagement": "/complaints", "performance": "/staff"}
DOCUMENT = ROOT / "docs" / "architecture.md"
HEAD = "| away | process | `/health/live` | `/health/ready` | a read | a change |"


def in_words(answer: httpx.Response) -> str:
    """An answer as the table has it: the status, what a problem is called, and when to try again."""
    if "problem+json" not in answer.headers.get("content-type", ""):
        return str(answer.status_code)
    words = [str(answer.status_code), f"`{answer.json()['type'].removeprefix('/problems/')}`"]
    return " ".join(words + ([f"Retry-After {again}"] if (again := answer.headers.get("retry-after")) else []))


@dataclass
class Bank:
    """A legal entity with a client and a team, and something to change in each service as often as one likes."""

    platform: RunningPlatform
    client: str
    team: str

    def signed_in(self, service: str, *, at: str | None = None, token: str | None = None) -> httpx.AsyncClient:
        bearer = {"Authorization": f"Bearer {token or self.platform.token(ROLE[service], BANK)}"}
        return httpx.AsyncClient(
            base_url=at or self.platform.urls[service], headers=bearer, timeout=60, trust_env=False
        )

    async def change(self, http: httpx.AsyncClient, service: str) -> httpx.Response:
        """A change that is told on the bus."""
        path, body = {
            "client": ("/clients", {"name": "Away Trading"}),
            "risk": (f"/clients/{self.client}/ratings", {"override": {"grade": "G3", "reason": "audited accounts"}}),
            "engagement": ("/complaints", complaint(self.client)),
            "performance": ("/staff", member(self.team)),
        }[service]
        return await http.post(path, json=body)

    async def api(self, service: str, *, at: str | None = None, token: str | None = None) -> list[str]:
        """What an API answers now, cell by cell."""
        async with self.signed_in(service, at=at, token=token) as http:
            asked = [await http.get("/health/live"), await http.get("/health/ready"), await http.get(LIST[service])]
            return [in_words(answer) for answer in [*asked, await self.change(http, service)]]

    async def apis(self, **token: str) -> list[str]:
        """What the four APIs answer; they agree."""
        return agreed(await asyncio.gather(*(self.api(service, **token) for service in SERVICES)))

    async def workers(self) -> list[str]:
        return agreed(await asyncio.gather(*(health(self.platform.worker_url(service)) for service in SERVICES)))


def agreed(answers: list[list[str]]) -> list[str]:
    assert all(each == answers[0] for each in answers), answers
    return answers[0]


async def health(url: str) -> list[str]:
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as http:
        return [in_words(await http.get(f"/health/{which}")) for which in ("live", "ready")] + ["–", "–"]


def complaint(client: str) -> dict[str, str]:
    return {"client_id": client, "category": "fees", "channel": "phone"}


def member(team: str) -> dict[str, str]:
    return {"staff_id": str(uuid4()), "team_id": team, "role": "relationship_manager", "joined_on": "2024-01-01"}


@pytest.fixture(scope="module")
async def bank(platform: RunningPlatform) -> Bank:
    """Known to all four services."""
    async with platform.http("performance", "administrator", BANK) as office:
        unit = {"kind": "entity", "calendar": "CN", "time_zone": "Asia/Shanghai", "currency": "CNY"}
        assert (await office.put(f"/organisation/units/{BANK}", json=unit)).status_code == 201
        team = await office.put("/organisation/units/AWAY-TEAM", json={"kind": "team", "parent": BANK})
    async with platform.http("client", "bank_system", BANK) as office:
        client = await office.post("/clients", json={"name": "Away Trading"})
    made = Bank(platform, client.json()["id"], team.json()["team_id"])
    for service in SERVICES:
        async with made.signed_in(service) as http:
            await eventually(partial(made.change, http, service), created, seconds=60)
    return made


def created(answer: httpx.Response) -> bool:
    return answer.status_code == 201


@asynccontextmanager
async def spare(platform: RunningPlatform, kind: str, log: Path, **settings: str) -> AsyncGenerator[str]:
    """One more process of client-service; gives where it answers."""
    http, metrics = free_ports(2)
    environment = platform.environment("client") | {"HTTP_PORT": str(http), "METRICS_PORT": str(metrics)} | settings
    url = f"http://127.0.0.1:{http if kind == 'api' else metrics}"
    program = Program(f"spare {kind}", ["client_service", kind], environment, log, ready=f"{url}/health/live")
    await program.start()
    try:
        yield url
    finally:
        await program.stop()


@asynccontextmanager
async def away(platform: RunningPlatform, name: str) -> AsyncGenerator[None]:
    await platform.stop(name)
    try:
        yield
    finally:
        await platform.start(name)


@contextmanager
def hanging(pid: int | None) -> Generator[None]:
    """Neither this process nor its children move; what is sent to them is not answered."""
    assert pid is not None
    frozen = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    for each in frozen:
        os.kill(each, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in frozen:
            os.kill(each, signal.SIGCONT)


async def test_the_table_of_what_is_answered_while_something_is_away(
    platform: RunningPlatform, bank: Bank, tmp_path: Path
) -> None:
    rows: dict[tuple[str, str], list[str]] = {}
    await platform.settled()
    rows["nothing", "api"] = await bank.apis()
    rows["nothing", "worker"] = await bank.workers()

    small = {"OUTBOX_LIMIT": "5", "REQUEST_SECONDS": "2"}
    async with spare(platform, "api", tmp_path / "small.log", **small) as bounded:
        async with away(platform, "kafka"):
            rows["Kafka", "api"] = await bank.apis()
            rows["Kafka", "worker"] = await bank.workers()
            async with bank.signed_in("client", at=bounded) as http:
                await eventually(lambda: bank.change(http, "client"), lambda answer: not created(answer))
            rows["Kafka, and the outbox holds more than OUTBOX_LIMIT", "api"] = await bank.api("client", at=bounded)
        await platform.settled()
        async with bank.signed_in("client", at=bounded) as http:
            await eventually(lambda: bank.change(http, "client"), created)

        async with away(platform, "postgresql"):
            rows["PostgreSQL", "api"] = await bank.apis()
            rows["PostgreSQL", "worker"] = await bank.workers()
        await eventually(lambda: bank.api("client", at=bounded), lambda answer: answer == rows["nothing", "api"])
        with hanging(platform.pid("postgresql")):
            rows["PostgreSQL hangs", "api"] = await bank.api("client", at=bounded)
            rows["PostgreSQL hangs", "worker"] = await bank.workers()
        await eventually(lambda: bank.api("client", at=bounded), lambda answer: answer == rows["nothing", "api"])
    await eventually(bank.apis, lambda answer: answer == rows["nothing", "api"])

    stranger = Issuer(tmp_path / "issuer", platform.environment("client")["OIDC_ISSUER"]).token(["bank_system"], BANK)
    async with away(platform, "issuer"):
        rows["identity provider", "api"] = await bank.apis()
        rows["identity provider", "worker"] = await bank.workers()
        rows["identity provider; a token under a key not known here", "api"] = await bank.apis(token=stranger)
        async with (
            spare(platform, "api", tmp_path / "api.log") as api,
            spare(platform, "worker", tmp_path / "worker.log") as worker,
        ):
            rows["identity provider, since before the process started", "api"] = await bank.api("client", at=api)
            rows["identity provider, since before the process started", "worker"] = await health(worker)
            await platform.start("issuer")
            await eventually(lambda: bank.api("client", at=api), lambda answer: answer == rows["nothing", "api"])
            await platform.stop("issuer")

    measured = [HEAD, "| --- | --- | --- | --- | --- | --- |"]
    measured += [f"| {' | '.join([*which, *answers])} |" for which, answers in rows.items()]
    written = DOCUMENT.read_text().splitlines()
    start = written.index(HEAD) if HEAD in written else 0
    assert written[start : start + len(measured)] == measured


async def test_each_service_takes_work_in_with_kafka_and_the_other_three_down(
    platform: RunningPlatform, bank: Bank
) -> None:
    await platform.settled()
    await asyncio.gather(*map(platform.stop, ("kafka", *APIS, *WORKERS)))
    done: dict[str, Any] = {}
    limit = {"amount": {"amount": "5000000.00", "currency": "CNY"}, "effective_from": "2025-01-01"}
    newcomer = member(bank.team)
    work: dict[str, tuple[str, dict[str, Any]]] = {
        "client": ("/clients", {"name": "Lonely Trading"}),
        "risk": (f"/clients/{bank.client}/limits", limit),
        "engagement": ("/complaints", complaint(bank.client)),
        "performance": ("/staff", newcomer),
    }
    for service, (path, body) in work.items():
        own = f"{service}-api", f"{service}-worker"
        await asyncio.gather(*map(platform.start, own))
        async with bank.signed_in(service) as http:
            answer = await http.post(path, json=body)
        assert answer.status_code == 201, answer.text
        done[service] = answer.json()
        await asyncio.gather(*map(platform.stop, own))
    await asyncio.gather(*map(platform.start, ("kafka", *APIS, *WORKERS)))

    async with platform.http("client", "administrator", BANK) as office:

        async def overview() -> Any:
            return (await office.get(f"/clients/{bank.client}/overview")).json()

        async def hand_over() -> httpx.Response:
            path = f"/clients/{done['client']['id']}/relationship-manager"
            body = {"staff_id": newcomer["staff_id"], "reason": "new client", "effective_on": "2025-01-01"}
            return await office.post(path, json=body)

        told = done["risk"]["id"], done["engagement"]["id"]
        await eventually(overview, lambda seen: all(each in str(seen) for each in told))
        await eventually(hand_over, created)
    async with bank.signed_in("risk") as risk:
        await eventually(
            lambda: risk.get(f"/clients/{done['client']['id']}/limits"), lambda answer: answer.status_code == 200
        )
    assert (await platform.settled()).parked == 0
