"""What runs on one machine and where: the four services, their ports, the environment each process is started with."""

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localplatform.processes import free_ports

AUDIENCE = "factoring-crm"
CLIENT = "crm"
SERVICES = ("client", "risk", "engagement", "performance")
APIS = tuple(f"{service}-api" for service in SERVICES)
WORKERS = tuple(f"{service}-worker" for service in SERVICES)
DEFAULTS = {"issuer": 8100, "client": 8101, "risk": 8102, "engagement": 8103, "performance": 8104} | {
    "kafka": 19092,
    "kafka-controller": 19093,
    "postgresql": 15432,
}
API_METRICS, WORKER_METRICS = 1000, 1100


class WrongPort(Exception):
    """A port that cannot be meant; the message says which names and numbers there are."""


@dataclass(frozen=True)
class Ports:
    """Loopback ports by name: the issuer, a service's API (`client`), `client-api-metrics`, `client-worker-metrics`,
    `kafka`, `kafka-controller`, `postgresql`."""

    numbers: Mapping[str, int]

    def __getitem__(self, name: str) -> int:
        return self.numbers[name]

    @classmethod
    def chosen(cls, choices: Mapping[str, int]) -> "Ports":
        """The defaults with some of them changed; metrics follow their API. Raises WrongPort."""
        for name, number in choices.items():
            if name not in DEFAULTS or not 1 <= number <= 65535:
                raise WrongPort(f"--port {name}={number}: the names are {', '.join(DEFAULTS)}, the numbers 1 to 65535.")
        numbers = DEFAULTS | dict(choices)
        for service in SERVICES:
            numbers[f"{service}-api-metrics"] = numbers[service] + API_METRICS
            numbers[f"{service}-worker-metrics"] = numbers[service] + WORKER_METRICS
        return cls(numbers)

    @classmethod
    def free(cls) -> "Ports":
        """Ports nobody uses right now."""
        names = [*DEFAULTS, *(f"{service}-{kind}-metrics" for service in SERVICES for kind in ("api", "worker"))]
        return cls(dict(zip(names, free_ports(len(names)), strict=True)))

    def url(self, name: str) -> str:
        """The HTTP address of a port."""
        return f"http://127.0.0.1:{self[name]}"

    def taken(self) -> dict[str, int]:
        """Those that something else holds."""
        return {name: number for name, number in self.numbers.items() if not _free(number)}


def remembered(file: Path) -> dict[str, int]:
    """The ports chosen at an earlier start."""
    return json.loads(file.read_text()) if file.exists() else {}


def service_environment(
    service: str, ports: Ports, *, database_url: str, master_key: str, metrics: str
) -> dict[str, str]:
    """The settings of one process of a service, as servicekit reads them; `metrics` names its metrics port."""
    return {
        "DATABASE_URL": database_url,
        "DATABASE_DIRECT_URL": database_url,
        "KAFKA_BOOTSTRAP": f"127.0.0.1:{ports['kafka']}",
        "OIDC_ISSUER": ports.url("issuer"),
        "OIDC_AUDIENCE": AUDIENCE,
        "OIDC_JWKS_URL": f"{ports.url('issuer')}/jwks",
        "MASTER_KEY": master_key,
        "HTTP_HOST": "127.0.0.1",
        "HTTP_PORT": str(ports[service]),
        "DRAIN_DELAY_SECONDS": "0",
        "METRICS_HOST": "127.0.0.1",
        "METRICS_PORT": str(ports[metrics]),
    }


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
