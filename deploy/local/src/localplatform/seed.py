"""Fills a new platform through its front doors, as a bank would: organisation, staff, clients with their managers and
limits over HTTP, then the synthetic portfolio through ledger-feed; then asks the four APIs what came of it. Everything
may be said twice, so a first start that was interrupted goes on at the next one."""

import asyncio
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import httpx
from pydantic import BaseModel
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from localplatform import processes
from localplatform.flow import Flow, InFlight, NotSettled
from localplatform.platform import Platform
from localplatform.program import surroundings
from localplatform.topology import SERVICES

ENTITY = "DEMO-FACTOR"
CALLS = (
    ("client", "/clients?limit=5"),
    ("risk", "/portfolio/indicators"),
    ("engagement", "/visits?open=true"),
)
SHOWN = 8
PATIENCE = 180.0
GOES_ON = "The platform runs; the next `./crm up` goes on with it."


class SeedingFailed(Exception):
    """The synthetic portfolio did not arrive whole; the next start tries again and goes on where it stopped."""


class Contract(BaseModel):
    """What a synthetic client may draw."""

    limit: dict[str, str]
    signed_on: date


class Client(BaseModel):
    """A synthetic client as the bank would register it."""

    number: str
    party_id: UUID
    name: str
    industry: str
    region: str
    size: str
    identifiers: list[dict[str, str]]
    rm_id: UUID
    contract: Contract


class Staff(BaseModel):
    """A synthetic member of staff; the name stays here, since events name persons by id."""

    staff_id: UUID
    team_id: UUID
    role: str
    joined_on: date


class Manifest(BaseModel):
    """What ledger-feed writes beside a synthetic portfolio."""

    label: str
    currency: str
    system: str
    shape: str
    units: list[dict[str, Any]]
    staff: list[Staff]
    clients: list[Client]


def manifest(home: Path) -> Manifest | None:
    """The manifest of the portfolio that this platform was filled with; None if it was not."""
    files = sorted((home / "synthetic").glob("*.manifest.json"))
    return Manifest.model_validate_json(files[-1].read_bytes()) if files else None


def staff_of(home: Path, role: str, entity: str) -> UUID | None:
    """A synthetic member of staff with this role, to sign in as."""
    known = manifest(home)
    if known is None or entity != ENTITY:
        return None
    return next((member.staff_id for member in known.staff if member.role == role), None)


async def first_time(platform: Platform, console: Console) -> None:
    """Load the portfolio unless an earlier start has, and show what came of it. Raises SeedingFailed."""
    done = platform.home / "synthetic/done"
    if done.exists():
        return
    try:
        await _load(platform, console)
    except (httpx.HTTPError, NotSettled) as error:
        raise SeedingFailed(f"Loading the synthetic portfolio stopped: {error}. {GOES_ON}") from error
    done.touch()


async def _load(platform: Platform, console: Console) -> None:
    portfolio = await _portfolio(platform.home)
    console.print(f"\nFirst start: loading {portfolio.label[0].lower()}{portfolio.label[1:]}.")
    async with _Doors(platform) as doors:
        await _organisation(doors, portfolio)
        await _clients(doors, portfolio, console)
        await _feed(platform, portfolio)
        await _settle(platform, console)
        console.print(await _what_came_of_it(doors, portfolio))


async def _portfolio(home: Path) -> Manifest:
    """The portfolio up to today, made once."""
    known = manifest(home)
    if known is None:
        file = home / "synthetic" / f"portfolio-{date.today()}.csv"  # noqa: DTZ011 (the newcomer's own today)
        await _ledger_feed("synthetic", "--out", str(file))
        known = manifest(home)
    if known is None:
        raise SeedingFailed("ledger-feed wrote no synthetic portfolio.")
    return known


class _Doors:
    """The four APIs, each call signed in as somebody with the role it takes."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._http = httpx.AsyncClient(timeout=30, trust_env=False)

    async def __aenter__(self) -> "_Doors":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def call(self, role: str, method: str, service: str, path: str, body: Any = None) -> httpx.Response:
        """The answer, whatever its status; one that says "later" is asked for once more."""
        headers = {"Authorization": f"Bearer {self._platform.token(role, ENTITY)}"}
        if method == "POST":
            headers["Idempotency-Key"] = str(uuid5(NAMESPACE_URL, f"{service}{path}{body}"))
        url = self._platform.ports.url(service) + path
        answer = await self._http.request(method, url, json=body, headers=headers)
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE.value:
            await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))
            answer = await self._http.request(method, url, json=body, headers=headers)
        return answer

    async def get(self, role: str, service: str, path: str) -> Any:
        """The body of a good answer. Raises HTTPStatusError."""
        answer = await self.call(role, "GET", service, path)
        answer.raise_for_status()
        return answer.json()

    async def say(self, role: str, method: str, service: str, path: str, body: Any, *, patience: float = 60) -> None:
        """Have it done. Done already (409) is well; what must first be heard of elsewhere (404, 422) is waited for."""
        deadline = asyncio.get_running_loop().time() + patience
        while True:
            answer = await self.call(role, method, service, path, body)
            if answer.is_success or answer.status_code == httpx.codes.CONFLICT.value:
                return
            heard = answer.status_code not in (404, 422)
            if heard or asyncio.get_running_loop().time() > deadline:
                raise SeedingFailed(f"{method} {service}-service{path}: {answer.status_code} {answer.text[:500]}")
            await asyncio.sleep(0.2)


async def _organisation(doors: _Doors, portfolio: Manifest) -> None:
    for unit in portfolio.units:
        body = {name: value for name, value in unit.items() if name not in ("unit_id", "name") and value is not None}
        await doors.say("administrator", "PUT", "performance", f"/organisation/units/{unit['unit_id']}", body)
    for member in portfolio.staff:
        await doors.say("administrator", "POST", "performance", "/staff", member.model_dump(mode="json"))


async def _clients(doors: _Doors, portfolio: Manifest, console: Console) -> None:
    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=console) as progress:
        for client in progress.track(portfolio.clients, description="registering clients, managers, limits"):
            registration = client.model_dump(mode="json", include={"name", "industry", "region", "size", "identifiers"})
            registration["external_numbers"] = [{"system": portfolio.system, "number": client.number}]
            path = f"/clients/{client.party_id}"
            if (await doors.call("operations", "GET", "client", path)).status_code == httpx.codes.NOT_FOUND.value:
                await doors.say("operations", "POST", "client", "/clients", registration)
            signed_on = client.contract.signed_on.isoformat()
            manager = {"staff_id": str(client.rm_id), "reason": "Synthetic portfolio", "effective_on": signed_on}
            await doors.say("operations", "POST", "client", f"{path}/relationship-manager", manager)
            limit = {"amount": client.contract.limit, "effective_from": signed_on}
            await doors.say("risk_officer", "POST", "risk", f"{path}/limits", limit)


async def _feed(platform: Platform, portfolio: Manifest) -> None:
    directory = platform.home / "synthetic"
    (file,) = directory.glob("*.csv")
    described = next(directory.glob("*.manifest.json"))
    book = ["--entity", ENTITY, "--currency", portfolio.currency, "--system", portfolio.system]
    where = ["--bootstrap", platform.kafka.bootstrap, "--client-api", platform.ports.url("client")]
    where += ["--state-dir", str(platform.home / "ledger-feed"), "--sellers", str(described)]
    token = {"LEDGER_FEED_TOKEN": platform.token("bank_system", ENTITY)}
    await _ledger_feed("feed", str(file), "--shape", portfolio.shape, *book, *where, environment=token)


async def _ledger_feed(*arguments: str, environment: dict[str, str] | None = None) -> None:
    """Run ledger-feed, its progress bar shown. Raises SeedingFailed."""
    command = [sys.executable, "-m", "ledger_feed", *arguments]
    process = await processes.spawn(command, log=None, environment=surroundings(environment or {}))
    try:
        code = await process.wait()
    finally:
        await processes.stop(process)
    if code:
        raise SeedingFailed(f"ledger-feed ended with code {code} (see above). {GOES_ON}")


async def _settle(platform: Platform, console: Console) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task, most = progress.add_task("the services take it in", total=None), 0

        def show(now: InFlight) -> None:
            nonlocal most
            most = max(most, now.total)
            progress.update(task, total=most, completed=most - now.total)

        async with Flow({name: platform.database_url(name) for name in SERVICES}, platform.kafka.bootstrap) as flow:
            await flow.settled(PATIENCE, show)


async def _what_came_of_it(doors: _Doors, portfolio: Manifest) -> Table:
    """A line for each client that asks for attention, and the whole portfolio's."""

    def of(counted: dict[str, int], *ids: UUID) -> int:
        return sum(counted.get(str(each), 0) for each in ids)

    opened = await _by_client(doors, "risk_officer", "risk", "/alerts?status=open")
    closed = await _by_client(doors, "risk_officer", "risk", "/alerts?status=closed")
    visits = await _by_client(doors, "risk_officer", "engagement", "/visits?open=true")
    known = await doors.get("operations", "client", "/clients?limit=1&total=true")
    whole = await doors.get("risk_officer", "risk", "/portfolio/indicators")
    table = Table(
        title=f"The synthetic portfolio as of {whole['as_of']}, {portfolio.currency}",
        caption=f"{known['total']} clients, {len(portfolio.staff)} staff, {await _measured(doors)} KPI values measured",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    widths = {"exposure": 10, "overdue": 9, "rate": 6, "warnings": 8, "cleared": 7, "visits": 6}
    table.add_column("client", max_width=20, no_wrap=True)
    for header, width in widths.items():
        table.add_column(header, min_width=width, no_wrap=True, justify="right")
    figures = await asyncio.gather(*(_figures(doors, client.party_id) for client in portfolio.clients))
    lines = [
        (tuple(of(each, client.party_id, own) for each in (opened, closed, visits)), client.name, figure)
        for client, (own, figure) in zip(portfolio.clients, figures, strict=True)
    ]
    lines.sort(key=lambda line: (line[0], Decimal(line[2]["overdue"])), reverse=True)
    for counts, name, figure in lines[:SHOWN]:
        _line(table, name.removeprefix("Synthetic – "), figure, *counts)
    table.add_row(f"… {len(lines) - SHOWN} more", end_section=True)
    _line(table, "all", whole, *(sum(each.values()) for each in (opened, closed, visits)))
    return table


async def _figures(doors: _Doors, party_id: UUID) -> tuple[UUID, dict[str, Any]]:
    """The client's own id (lists may name it by either, since rows keep the id they came with) and its figures."""
    client = await doors.get("operations", "client", f"/clients/{party_id}")
    return UUID(client["id"]), await doors.get("risk_officer", "risk", f"/clients/{party_id}/indicators")


def _line(table: Table, name: str, figure: dict[str, Any], *counts: int) -> None:
    rate = f"{Decimal(figure['overdue_rate']):.1%}" if figure["overdue_rate"] else ""
    balance, overdue = f"{Decimal(figure['balance']):,.0f}", f"{Decimal(figure['overdue']):,.0f}"
    table.add_row(name, balance, overdue, rate, *(str(count or "") for count in counts))


async def _by_client(doors: _Doors, role: str, service: str, path: str) -> dict[str, int]:
    """How many items of a list each client has, over all its pages."""
    counted: dict[str, int] = {}
    cursor = ""
    while True:
        page = await doors.get(role, service, f"{path}&limit=200{cursor}")
        for item in page["items"]:
            counted[item["client_id"]] = counted.get(item["client_id"], 0) + 1
        if page["next_cursor"] is None:
            return counted
        cursor = f"&cursor={page['next_cursor']}"


async def _measured(doors: _Doors) -> int:
    page = await doors.get("administrator", "performance", "/kpis/measurements?limit=1&total=true")
    return page["total"]
