"""The platform for end-to-end tests: the same processes as `./crm up` runs, on free ports, with servers, databases and
state of their own. A process can be killed, frozen, stopped and started by name while work flows."""

import shutil
import signal
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import httpx

from localplatform.flow import Flow, InFlight
from localplatform.platform import Platform
from localplatform.processes import tail
from localplatform.testservers import FAST
from localplatform.topology import SERVICES, Ports

KEPT = {"synchronous_commit": "on"}
"""A test may kill PostgreSQL, and what it acknowledged must then be there (fsync is about the machine's own death)."""


class RunningPlatform:
    """What a test sees of it. Processes are named `client-api`, `risk-worker`, `issuer`, `kafka`, `postgresql`."""

    def __init__(self, platform: Platform, said: Sequence[str]) -> None:
        self.platform = platform
        self.said = said
        self.urls = {service: platform.ports.url(service) for service in SERVICES}
        self.kafka_bootstrap = platform.kafka.bootstrap
        self.postgres_url = platform.postgresql.url

    def token(self, role: str, entity_id: str, staff_id: UUID | None = None) -> str:
        """A real token of the platform's own issuer."""
        return self.platform.token(role, entity_id, staff_id)

    def http(self, service: str, role: str, entity_id: str, staff_id: UUID | None = None) -> httpx.AsyncClient:
        """A client of one service's API, signed in with this role; close it, or use it in `async with`."""
        bearer = {"Authorization": f"Bearer {self.token(role, entity_id, staff_id)}"}
        return httpx.AsyncClient(base_url=self.urls[service], headers=bearer, timeout=30, trust_env=False)

    def database_url(self, service: str) -> str:
        """A service's own database as its own user, in libpq's form."""
        return self.platform.database_url(service)

    def environment(self, service: str) -> dict[str, str]:
        """The settings that a process of this service is started with."""
        return self.platform.environment(service)

    def worker_url(self, service: str) -> str:
        """Where a worker answers for its health and metrics."""
        return self.platform.ports.url(f"{service}-worker-metrics")

    def names(self) -> list[str]:
        """All processes."""
        return list(self.platform.supervisor.children)

    def pid(self, name: str) -> int | None:
        """The process id; None while it does not run."""
        return self.platform.supervisor.children[name].pid

    def restarts(self, name: str) -> int:
        """How often it died and was started again."""
        return self.platform.supervisor.children[name].restarts

    def kill(self, name: str, signum: signal.Signals = signal.SIGKILL) -> None:
        """Send a process a signal; when it dies of it, it is started again as under `./crm up`."""
        self.platform.supervisor.kill(name, signum)

    def freeze(self, name: str) -> None:
        """Stop its clock, as a virtual machine's pause does."""
        self.kill(name, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let a frozen process go on."""
        self.kill(name, signal.SIGCONT)

    async def stop(self, name: str) -> None:
        """Stop a process, cleanly and for good."""
        await self.platform.supervisor.stop(name)

    async def start(self, name: str) -> None:
        """Start a stopped process and wait until it is ready."""
        await self.platform.supervisor.start(name)

    async def restart(self, name: str) -> None:
        """Stop and start."""
        await self.stop(name)
        await self.start(name)

    async def settled(self, patience: float = 120) -> InFlight:
        """Wait until every outbox is empty and every consumer has read all there is. Raises NotSettled."""
        databases = {service: self.database_url(service) for service in SERVICES}
        async with Flow(databases, self.kafka_bootstrap) as flow:
            return await flow.settled(patience)

    def log(self, name: str, lines: int = 30) -> str:
        """The end of a process's log."""
        return tail(self.platform.log_of(name), lines)


@asynccontextmanager
async def platform(home: Path | None = None, *, ports: Ports | None = None) -> AsyncGenerator[RunningPlatform]:
    """Everything started and ready; stopped afterwards. Without a `home` the state is thrown away at the end
    (PostgreSQL, which never runs as root, cannot reach pytest's tmp_path). Raises StartFailed."""
    state = home or Path(tempfile.mkdtemp(prefix="factoring-crm-e2e-"))
    state.chmod(0o755)
    said: list[str] = []
    running = Platform(state, ports or Ports.free(), tell=said.append, postgresql_settings=FAST | KEPT)
    try:
        await running.start()
        yield RunningPlatform(running, said)
    finally:
        await running.stop()
        if home is None:
            shutil.rmtree(state, ignore_errors=True)
