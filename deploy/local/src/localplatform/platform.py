"""The whole of it on one machine: PostgreSQL, Kafka, the issuer and the four services' processes, started in the order
in which they need each other and stopped in the opposite one. `./crm up` and the end-to-end tests run the same code."""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

import asyncpg
from pydantic import TypeAdapter

from localplatform.issuer import Issuer
from localplatform.kafka import Kafka
from localplatform.postgresql import Postgresql
from localplatform.processes import together
from localplatform.program import Program
from localplatform.supervisor import Supervisor
from localplatform.topology import APIS, SERVICES, WORKERS, Ports, service_environment

ROOT = Path(__file__).resolve().parents[4]


class Platform:
    """Everything under `home`: databases, Kafka's data, keys (0600), logs. `tell` hears what happens."""

    def __init__(
        self,
        home: Path,
        ports: Ports,
        *,
        tell: Callable[[str], None],
        postgresql_settings: Mapping[str, str] | None = None,
    ) -> None:
        self.home, self.ports = home, ports
        self.logs = home / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.issuer = Issuer(home / "issuer", ports.url("issuer"))
        self.supervisor = Supervisor(tell, self._write_status)
        self._tell = tell
        self._secrets = _secrets(home / "secrets.json")
        self.postgresql = Postgresql(
            home / "postgresql", ports["postgresql"], self._log("postgresql"), settings=postgresql_settings
        )
        self.kafka = Kafka(home / "kafka", ports["kafka"], ports["kafka-controller"], self._log("kafka"))

    async def start(self) -> None:
        """Start everything and wait until it is ready. Raises StartFailed; what runs by then is left to `stop`."""
        programs = [self._issuer(), *map(self._api, SERVICES), *map(self._worker, SERVICES)]
        prepared, fingerprint = self.home / "prepared", _fingerprint()
        if prepared.exists() and prepared.read_text() == fingerprint:
            self._tell("Starting PostgreSQL, then Kafka, the token issuer and the four services")
            await self.supervisor.add(self.postgresql)
            await self.supervisor.add(self.kafka, *programs)
            return
        self._tell("Starting PostgreSQL and Kafka")
        await self.supervisor.add(self.postgresql, self.kafka)
        self._tell("Creating databases, tables and topics")
        await self._create_databases()
        await together(self._create_topics(), *map(self._migrate, SERVICES))
        prepared.write_text(fingerprint)
        self._tell("Starting the token issuer and the four services")
        await self.supervisor.add(*programs)

    async def stop(self) -> None:
        """Stop everything: first who takes work in, then who does it, then what both stand on."""
        await self.supervisor.stop_all(APIS, WORKERS, ("issuer",), ("kafka",), ("postgresql",))

    def database_url(self, service: str) -> str:
        """A service's own database as its own user."""
        password = self._secrets[service]["database_password"]
        return f"postgresql://{service}:{password}@127.0.0.1:{self.ports['postgresql']}/{service}"

    def environment(self, service: str, kind: str = "api") -> dict[str, str]:
        """What a process of this service is started with; kind is api or worker."""
        return service_environment(
            service,
            self.ports,
            database_url=self.database_url(service),
            master_key=self._secrets[service]["master_key"],
            metrics=f"{service}-{kind}-metrics",
        )

    def token(self, role: str, entity_id: str, staff_id: UUID | None = None) -> str:
        """A token of somebody with this role."""
        return self.issuer.token([role], entity_id, staff_id)

    def log_of(self, name: str) -> Path:
        """Where a process writes."""
        return self.supervisor.children[name].server.log

    def _issuer(self) -> Program:
        arguments = ["localplatform.issuer", str(self.home / "issuer"), str(self.ports["issuer"])]
        ready = f"{self.ports.url('issuer')}/.well-known/openid-configuration"
        return Program("issuer", arguments, {}, self._log("issuer"), ready=ready)

    def _api(self, service: str) -> Program:
        name = f"{service}-api"
        ready = f"{self.ports.url(service)}/health/ready"
        return Program(name, [f"{service}_service", "api"], self.environment(service), self._log(name), ready=ready)

    def _worker(self, service: str) -> Program:
        name = f"{service}-worker"
        ready = f"{self.ports.url(f'{service}-worker-metrics')}/health/ready"
        return Program(
            name, [f"{service}_service", "worker"], self.environment(service, "worker"), self._log(name), ready=ready
        )

    async def _migrate(self, service: str) -> None:
        name = f"{service}-migrate"
        await Program(name, [f"{service}_service", "migrate"], self.environment(service), self._log(name)).run()

    async def _create_topics(self) -> None:
        environment = {"KAFKA_BOOTSTRAP": self.kafka.bootstrap}
        await Program("topics", ["eventing", "topics"], environment, self._log("topics")).run()

    async def _create_databases(self) -> None:
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(self.postgresql.dsn)
        try:
            for service in SERVICES:
                password = self._secrets[service]["database_password"]
                if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", service):
                    await connection.execute(f"CREATE ROLE {service} LOGIN")
                await connection.execute(f"ALTER ROLE {service} PASSWORD '{password}'")
                if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", service):
                    await connection.execute(f"CREATE DATABASE {service} OWNER {service}")
                    await connection.execute(f"REVOKE ALL ON DATABASE {service} FROM PUBLIC")
        finally:
            await connection.close()

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def starting(self) -> list[str]:
        """The processes that are not ready yet."""
        return [name for name, child in self.supervisor.children.items() if child.state == "restarting"]

    def _write_status(self) -> None:
        children = [
            ChildStatus(name, child.state, child.pid, child.restarts, child.since)
            for name, child in self.supervisor.children.items()
        ]
        fresh = self.home / "status.json.part"
        fresh.write_bytes(_STATUS.dump_json(children))
        fresh.replace(self.home / "status.json")


@dataclass(frozen=True)
class ChildStatus:
    """How a process fares, as `./crm status` reads it from another terminal."""

    name: str
    state: str
    pid: int | None
    restarts: int
    since: datetime | None


_STATUS = TypeAdapter(list[ChildStatus])


def read_status(home: Path) -> list[ChildStatus]:
    """The processes of the platform whose state lies in `home`, as it last wrote them down."""
    file = home / "status.json"
    return _STATUS.validate_json(file.read_bytes()) if file.exists() else []


def _fingerprint() -> str:
    """Stands for the code that tables and topics come from: while it is the same, they need not be made again."""
    found = hashlib.sha256()
    for file in sorted([*ROOT.glob("libs/*/src/**/*.py"), *ROOT.glob("services/*/migrations/**/*.py")]):
        found.update(file.read_bytes())
    return found.hexdigest()


def _secrets(file: Path) -> dict[str, dict[str, str]]:
    """Each service's database password and master key, made at the first start, readable by the owner alone."""
    if not file.exists():
        made = {
            service: {
                "database_password": secrets.token_urlsafe(24),
                "master_key": f"local1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
            }
            for service in SERVICES
        }
        fresh = file.with_name(file.name + ".part")
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(made))
        fresh.replace(file)
    return json.loads(file.read_text())
