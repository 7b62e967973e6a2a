"""A service under attack: served over HTTP on a real PostgreSQL, and schemathesis at it by its own OpenAPI.

ATTACK_CASES says how many cases a service gets at least (default 500); `./crm prove schemathesis` gives 10 000.
"""

import asyncio
import copy
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Generator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
import uvicorn

from eventing.records import StoredRecord
from eventing.subscriptions import groups
from servicekit import openapi
from servicekit.app import Service
from servicekit.auth import Scope
from servicekit.tables import due_work
from servicekit.testing import Harness, Template

HERE = Path(__file__).parent
SHORT = 500
CASES = int(os.environ.get("ATTACK_CASES", SHORT))
TIMEOUT = 900 + CASES
Known = dict[str, list[Any]]
"""Values that exist, by the name of the parameter or field that takes them."""


@dataclass(frozen=True)
class Target:
    """A service that answers."""

    url: str
    document: Mapping[str, Any]
    tokens: Mapping[str, str]
    known: Known


@contextmanager
def served(
    service: Service, postgres_url: str, seed: Callable[[Harness], Awaitable[Known]], staff: Mapping[str, UUID]
) -> Generator[Target]:
    """The service on a port, in a thread and an event loop of its own.

    Args:
        seed: fills the database; what it returns is asked for. staff: who has a role, by its name.
    """
    ready: Future[Target] = Future()
    servers: list[uvicorn.Server] = []

    async def serve() -> None:
        async with Template.of(service, postgres_url) as template, template.harness() as harness:
            known = {"If-Match": ["*"]} | await seed(harness) | await _trouble(harness)
            listening = socket.create_server(("127.0.0.1", 0))
            server = uvicorn.Server(uvicorn.Config(harness.app, log_level="error", lifespan="off"))
            servers.append(server)
            tokens = {
                permission: harness.token(role, staff_id=staff.get(role))
                for permission, role in furthest(service).items()
            }
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            ready.set_result(Target(url, harness.app.openapi(), tokens, known))
            await server.serve([listening])

    def run() -> None:
        try:
            asyncio.run(serve())
        except Exception as error:
            ready.set_exception(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield ready.result(TIMEOUT)
    finally:
        for server in servers:
            server.should_exit = True
        thread.join()


def furthest(service: Service) -> dict[str, str]:
    """For each permission the role that reaches furthest by it."""
    found: dict[str, str] = {}
    for scope in (Scope.ALL, Scope.TEAM, Scope.OWN):
        for role, granted in service.permissions.items():
            for permission, reach in granted.items():
                if reach is scope:
                    found.setdefault(permission, role)
    return found


async def _trouble(harness: Harness) -> Known:
    """Something for an operator to do: events that are parked, and due work that failed."""
    group = groups(harness.service.name, harness.service.subscriptions)[0]
    for number in range(10):
        broken = StoredRecord(group.topics[0], 12, number, 0, f"broken-{number}".encode(), b"{", ())
        await harness.consumer.deliver([broken])
    row: dict[str, Any] = {
        "kind": "none",
        "clock": "wall",
        "due_at": datetime(2026, 1, 1, tzinfo=UTC),
        "payload": {},
        "attempts": 10,
    }
    work = [uuid4() for _ in range(3)]
    async with harness.tx() as tx, tx.begin():
        await tx.execute(sa.insert(due_work), [row | {"id": id, "error": "TimeoutError"} for id in work])
    listed = await harness.client(furthest(harness.service)["ops:read"]).get("/ops/parked-events")
    parked: list[dict[str, Any]] = listed.json()
    assert parked, "nothing was parked"
    return {
        "event_id": [event["id"] for event in parked],
        "work_id": [str(id) for id in work],
        "group": [group.id],
        "consumer_group": [parked[0]["consumer_group"]],
        "topic": [parked[0]["topic"]],
        "key": [event["key"] for event in parked],
    }


def withstands(target: Target, directory: Path) -> None:
    """Run schemathesis; AssertionError unless every answer was as documented."""
    written = directory / "openapi.json"
    written.write_text(json.dumps(_exemplary(target)))
    operations = sum(1 for _ in openapi.operations(target.document))
    config = str(HERE / "schemathesis.toml")
    # Coverage and stateful sequences take minutes a service, whatever is asked for: the long form has them.
    phases = "examples,coverage,fuzzing,stateful" if CASES > SHORT else "examples,fuzzing"
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", config, "run", str(written)),
        *("--url", target.url, "--max-examples", str(-(-CASES // operations)), "--phases", phases),
    ]
    told = {
        "ATTACK": json.dumps({"tokens": target.tokens, "known": target.known}),
        "SCHEMATHESIS_HOOKS": "hooks",
        "PYTHONPATH": str(HERE),
    }
    done = subprocess.run(command, env=os.environ | told, cwd=directory, check=False)
    assert done.returncode == 0, "schemathesis says above what was not answered as documented"


def _exemplary(target: Target) -> dict[str, Any]:
    """The document, with values that exist in its examples."""
    document = copy.deepcopy(dict(target.document))
    for _, _, operation in openapi.operations(document):
        for parameter in operation.get("parameters", ()):
            if parameter["name"] in target.known:
                parameter["example"] = target.known[parameter["name"]][0]
        if "requestBody" in operation:
            example: dict[str, Any] = next(openapi.json_contents(operation))["example"]
            example.update({name: values[0] for name, values in target.known.items() if name in example})
    return document
