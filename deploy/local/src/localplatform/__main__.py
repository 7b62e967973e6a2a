"""The commands behind `./crm`: each is one function here; what they start is in platform.py."""

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import NoReturn
from uuid import UUID

import httpx
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.status import Status
from rich.table import Table

from localplatform import artifacts, checks, directories, kafka, logs, postgresql, proofs, sbom, seed
from localplatform.platform import ROOT, Platform, read_status
from localplatform.processes import StartFailed
from localplatform.program import surroundings
from localplatform.topology import CLIENT, SERVICES, Ports, WrongPort, remembered

ROLES = (
    "relationship_manager",
    "team_lead",
    "risk_officer",
    "service_agent",
    "operations",
    "auditor",
    "bank_system",
    "administrator",
)
PATIENCE = 90.0
console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


class NotRunning(Exception):
    """The command needs the platform, and it does not run."""


def up(arguments: argparse.Namespace) -> int:
    """Start everything; return when told to stop."""
    home = directories.state_directory()
    with checks.the_only_one(home):
        chosen = remembered(home / "ports.json") | dict(arguments.port)
        ports = Ports.chosen(chosen)
        checks.is_reachable(home, directories.cache_directory())
        checks.disk_is_enough(home, directories.cache_directory())
        checks.memory_is_enough()
        checks.ports_are_free(ports)
        (home / "ports.json").write_text(json.dumps(chosen))
        _install()
        return asyncio.run(_up(Platform(home, ports, tell=_say), seeding=not arguments.no_seed))


async def _up(platform: Platform, *, seeding: bool) -> int:
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    stopped = asyncio.create_task(stop.wait())
    start = asyncio.create_task(_start(platform, seeding=seeding))
    try:
        await asyncio.wait([start, stopped], return_when=asyncio.FIRST_COMPLETED)
        if start.done():
            start.result()
            await stopped
    finally:
        start.cancel()
        await asyncio.wait([start])
        _say("Stopping")
        await platform.stop()
        _say("Stopped. The data is kept; `./crm up` goes on with it, `./crm reset` throws it away.")
    return 0


async def _start(platform: Platform, *, seeding: bool) -> None:
    began = time.monotonic()
    with errors.status("") as spinner:
        watch = asyncio.create_task(_watch(platform, spinner))
        try:
            await platform.start()
        finally:
            watch.cancel()
    _say(f"Ready after {time.monotonic() - began:.0f} s")
    if seeding:
        try:
            await seed.first_time(platform, console)
        except seed.SeedingFailed as error:
            errors.print(str(error), style="red", markup=False)
    console.print(_welcome(platform))


async def _watch(platform: Platform, spinner: Status) -> None:
    """Show whom the start still waits for."""
    while True:
        spinner.update(f"waiting for {', '.join(platform.starting())}" if platform.starting() else "")
        await asyncio.sleep(0.2)


def _welcome(platform: Platform) -> str:
    ports = platform.ports
    token = platform.token("risk_officer", seed.ENTITY)
    lines = ["", "[bold]Addresses[/] (each API has its documentation at /docs)"]
    lines += [f"  {service + '-service':<22}{ports.url(service)}/docs" for service in SERVICES]
    lines += [f"  {'token issuer':<22}{ports.url('issuer')}", f"  {'Kafka':<22}{platform.kafka.bootstrap}"]
    lines += [f"  {'PostgreSQL':<22}127.0.0.1:{ports['postgresql']}", f"  {'state and logs':<22}{platform.home}"]
    lines += ["", "[bold]A token[/] (risk officer, 12 hours; others: ./crm token ROLE)", f"  export TOKEN={token}", ""]
    lines += ["[bold]Three calls to try[/]"]
    lines += [f'  curl -s -H "Authorization: Bearer $TOKEN" "{ports.url(api)}{path}"' for api, path in seed.CALLS]
    return "\n".join([*lines, "", "Ctrl-C (or ./crm down) stops everything."])


def _install() -> None:
    """Fetch the servers before the first process starts, so that Ctrl-C stops at once and keeps what has arrived."""
    columns = (TextColumn("{task.description:<46}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    for what, install in (("PostgreSQL", postgresql.install), ("Apache Kafka", kafka.install)):
        with Progress(*columns, console=errors, transient=True) as progress:
            install(_bar(progress, what))


def _bar(progress: Progress, what: str) -> artifacts.Progress:
    task = progress.add_task(what, total=None, visible=False)

    def show(name: str, done: int, total: int) -> None:
        progress.update(task, description=f"{what}: {name}", completed=done, total=total, visible=True)

    return show


def down(arguments: argparse.Namespace) -> int:
    """Ask the running `up` to stop, and wait until it has."""
    home = directories.state_directory()
    pid = checks.holder(home)
    if pid is None:
        console.print("Nothing runs.")
        return 0
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while checks.holder(home) is not None:
        if time.monotonic() > deadline:
            errors.print(
                f"Process {pid} has not stopped within {PATIENCE:.0f} s. See ./crm logs; `kill -9 {pid}` ends it all."
            )
            return 1
        time.sleep(0.1)
    console.print("Stopped.")
    return 0


def status(arguments: argparse.Namespace) -> int:
    """A line for each process, and what each API says of itself. Exit code 3 when nothing runs."""
    home = directories.state_directory()
    pid = checks.holder(home)
    if pid is None:
        console.print(f"Nothing runs (state in {home}). Start it with ./crm up.")
        return 3
    table = Table("process", "state", "pid", "restarts", "since (UTC)", "ready")
    ports = _ports(home)
    for child in read_status(home):
        since = f"{child.since:%m-%d %H:%M:%S}" if child.since else ""
        pid_of_it, restarts = str(child.pid or ""), str(child.restarts)
        table.add_row(child.name, child.state, pid_of_it, restarts, since, _readiness(ports, child.name))
    console.print(table)
    console.print(f"./crm up is process {pid}; state and logs are in {home}.")
    return 0


def _readiness(ports: Ports, name: str) -> str:
    service, _, kind = name.rpartition("-")
    if kind != "api":
        return ""
    try:
        return "yes" if httpx.get(f"{ports.url(service)}/health/ready", timeout=3, trust_env=False).is_success else "no"
    except httpx.HTTPError as error:
        return f"no ({type(error).__name__})"


def show_logs(arguments: argparse.Namespace) -> int:
    """Print the end of one log or of all; with -f go on as they grow."""
    directory = directories.state_directory() / "logs"
    files = sorted(directory.glob(f"{arguments.name or ''}*.log"))
    if not files:
        names = ", ".join(sorted(file.stem for file in directory.glob("*.log"))) or "none yet"
        errors.print(f"There is no log of {arguments.name or 'anything'} in {directory}. There are: {names}.")
        return 1
    logs.show(files, lines=arguments.lines, follow=arguments.follow, out=sys.stdout)
    return 0


def token(arguments: argparse.Namespace) -> int:
    """Print a token, alone on its line, from the running issuer."""
    print(_fetch_token(arguments.role, arguments.entity, arguments.staff))
    return 0


def _fetch_token(role: str, entity: str, staff: UUID | None) -> str:
    home = _running()
    staff = staff or seed.staff_of(home, role, entity)
    wanted = {
        "grant_type": "client_credentials",
        "client_id": CLIENT,
        "client_secret": (home / "issuer/client-secret").read_text(),
        "roles": role,
        "entity_id": entity,
    }
    if staff:
        wanted["staff_id"] = str(staff)
    answer = httpx.post(f"{_ports(home).url('issuer')}/token", data=wanted, timeout=10, trust_env=False)
    answer.raise_for_status()
    return answer.json()["access_token"]


def feed(arguments: argparse.Namespace, rest: list[str]) -> int:
    """Hand over to ledger-feed, told where this platform is."""
    home = _running()
    ports = _ports(home)
    entity = next((value for flag, value in pairwise(rest) if flag == "--entity"), seed.ENTITY)
    where = {
        "LEDGER_FEED_TOKEN": _fetch_token("bank_system", entity, None),
        "CLIENT_API": ports.url("client"),
        "KAFKA_BOOTSTRAP": f"127.0.0.1:{ports['kafka']}",
        "LEDGER_FEED_STATE_DIR": str(home / "ledger-feed"),
    }
    _become(["ledger_feed", *rest], {**where, **os.environ})


def rebuild(arguments: argparse.Namespace, rest: list[str]) -> int:
    """Hand over to a service's own rebuild, in its environment."""
    home = _running()
    platform = Platform(home, _ports(home), tell=_say)
    environment = platform.environment(arguments.service) | {"METRICS_PORT": "0"}
    _become([f"{arguments.service}_service", "rebuild", *rest], environment)


def reset(arguments: argparse.Namespace) -> int:
    """Throw all local state away: databases, Kafka's data, keys, logs. Downloads stay."""
    home = directories.state_directory()
    if checks.holder(home) is not None:
        errors.print("The platform runs: stop it first (./crm down).")
        return 1
    if not arguments.yes:
        answer = input(f"Delete everything in {home}: databases, events, keys, logs? Type yes: ")
        if answer.strip().lower() != "yes":
            console.print("Nothing was deleted.")
            return 1
    shutil.rmtree(home)
    console.print(f"Deleted {home}.")
    return 0


def test(arguments: argparse.Namespace, rest: list[str]) -> int:
    """Every test, on two processes unless told otherwise; what is given goes to pytest."""
    _install()
    os.chdir(ROOT)
    chosen = rest if any(argument in ("-n", "--numprocesses") for argument in rest) else ["-n", "2", *rest]
    _become(["pytest", *chosen], {})


def prove(arguments: argparse.Namespace, rest: list[str]) -> int:
    """Run a proof and record its outcome in docs/proofs; without a name, list the proofs."""
    if arguments.name is None:
        table = Table("proof", "what it proves")
        for name, proof in proofs.PROOFS.items():
            table.add_row(name, proof.says)
        console.print(table)
        return 0
    _install()
    return proofs.prove(arguments.name, rest, ROOT)


def print_sbom(arguments: argparse.Namespace) -> int:
    """Print the bill of materials of requirements.lock, in CycloneDX."""
    print(json.dumps(sbom.of_lock(ROOT / "requirements.lock", ROOT / "pyproject.toml"), indent=1, sort_keys=True))
    return 0


def _become(module: list[str], environment: Mapping[str, str]) -> NoReturn:
    os.execve(sys.executable, [sys.executable, "-m", *module], surroundings(environment))


def _running() -> Path:
    home = directories.state_directory()
    if checks.holder(home) is None:
        raise NotRunning("The platform does not run. Start it with ./crm up (in another terminal), then try again.")
    return home


def _ports(home: Path) -> Ports:
    return Ports.chosen(remembered(home / "ports.json"))


def _say(text: str) -> None:
    errors.print(f"{time.strftime('%H:%M:%S')}  {text}", markup=False)


def _port(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    return name, int(number)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="./crm", description="Factoring CRM on one machine")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[..., int], text: str, *, passes_on: bool = False) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=run.__doc__, add_help=not passes_on)
        added.set_defaults(run=run, passes_on=passes_on)
        return added

    starting = command("up", up, "start everything; Ctrl-C stops it")
    starting.add_argument(
        "--port", type=_port, action="append", default=[], metavar="NAME=N", help="e.g. client=8201; remembered"
    )
    starting.add_argument("--no-seed", action="store_true", help="do not load the synthetic portfolio")
    command("down", down, "stop everything")
    command("status", status, "what runs")
    reading = command("logs", show_logs, "read the logs")
    reading.add_argument("name", nargs="?", help="a process, or how its name begins: risk-worker, risk, kafka")
    reading.add_argument("-f", "--follow", action="store_true")
    reading.add_argument("-n", "--lines", type=int, default=20)
    signing = command("token", token, "a token to paste")
    signing.add_argument("role", choices=ROLES, metavar="ROLE", help=", ".join(ROLES))
    signing.add_argument("--entity", default=seed.ENTITY, help="legal entity (default: %(default)s)")
    signing.add_argument("--staff", type=UUID, help="staff id (default: the seeded member of staff with this role)")
    command("feed", feed, "publish a file of invoices (ledger-feed)", passes_on=True)
    rebuilding = command("rebuild", rebuild, "build a service's projections anew", passes_on=True)
    rebuilding.add_argument("service", choices=SERVICES)
    resetting = command("reset", reset, "throw all local state away")
    resetting.add_argument("-y", "--yes", action="store_true", help="do not ask")
    command("test", test, "run every test", passes_on=True)
    proving = command("prove", prove, "run a proof and record its outcome", passes_on=True)
    proving.add_argument("name", nargs="?", choices=sorted(proofs.PROOFS))
    command("sbom", print_sbom, "print the bill of materials")
    return top


def main() -> int:
    """Run one command; its exit code."""
    arguments, rest = parser().parse_known_args()
    if rest and not arguments.passes_on:
        parser().error(f"unknown: {' '.join(rest)}")
    try:
        return arguments.run(arguments, rest) if arguments.passes_on else arguments.run(arguments)
    except (
        checks.CannotStart,
        directories.UnsupportedPlatform,
        artifacts.DownloadFailed,
        StartFailed,
        WrongPort,
        NotRunning,
    ) as error:
        errors.print(str(error), style="red", markup=False)
        return 1
    except httpx.HTTPError as error:
        errors.print(
            f"No answer from the platform ({type(error).__name__}); see ./crm status and ./crm logs.", style="red"
        )
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
