"""One PostgreSQL and one Kafka shared by every worker of a test run. A keeper process owns them: it holds them while
any test process holds the run's lease (a shared file lock, which falls with its process), and stops them when the last
one has gone."""

import argparse
import asyncio
import fcntl
import importlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from localplatform.kafka import Kafka
from localplatform.postgresql import Postgresql
from localplatform.processes import free_ports, tail, together

FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "4GB",
    "shared_buffers": "256MB",
}
PATIENCE = 900


@dataclass(frozen=True)
class Servers:
    """The superuser's address of PostgreSQL, Kafka's bootstrap address, and who runs them."""

    postgres_url: str
    kafka_bootstrap: str
    by: str


@contextmanager
def shared(run: Path) -> Generator[Servers]:
    """The servers of the run that this directory stands for; started by the first who asks."""
    run.mkdir(parents=True, exist_ok=True)
    run.chmod(0o755)
    with (run / "lease").open("a") as lease:
        fcntl.flock(lease, fcntl.LOCK_SH)
        with (run / "starting").open("a") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            servers = _running(run) or _start_keeper(run)
        yield servers


def _running(run: Path) -> Servers | None:
    with (run / "keeper").open("a") as keeper:
        try:
            fcntl.flock(keeper, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return _address(run)
    return None


def _address(run: Path) -> Servers | None:
    file = run / "address.json"
    return Servers(**json.loads(file.read_text())) if file.exists() else None


def _start_keeper(run: Path) -> Servers:
    (run / "address.json").unlink(missing_ok=True)
    log = run / "keeper.log"
    with log.open("ab") as output:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "localplatform.testservers", str(run)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if servers := _address(run):
            return servers
        if keeper.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"The test servers did not start (see {log}):\n{tail(log)}")


async def keep(run: Path) -> None:
    """Run the servers until nobody holds the lease."""
    with (run / "keeper").open("a") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        async with AsyncExitStack() as stack:
            servers = _from_containers(stack) or await _native(stack, run)
            fresh = run / "address.json.part"
            fresh.write_text(json.dumps(asdict(servers)))
            fresh.chmod(0o600)
            fresh.replace(run / "address.json")
            lease = stack.enter_context((run / "lease").open("a"))
            await asyncio.to_thread(fcntl.flock, lease, fcntl.LOCK_EX)
            (run / "address.json").unlink()
    shutil.rmtree(run, ignore_errors=True)


async def _native(stack: AsyncExitStack, run: Path) -> Servers:
    port, controller, postgres_port = free_ports(3)
    postgres = Postgresql(run / "postgresql", postgres_port, run / "postgresql.log", settings=FAST)
    kafka = Kafka(run / "kafka", port, controller, run / "kafka.log")
    stack.push_async_callback(postgres.stop)
    stack.push_async_callback(kafka.stop)
    await together(postgres.start(), kafka.start())
    return Servers(postgres.url, kafka.bootstrap, "native processes")


def _from_containers(stack: AsyncExitStack) -> Servers | None:
    """The same servers from images, where testcontainers is installed and an engine answers."""
    try:
        docker = importlib.import_module("docker")
        docker.from_env(timeout=5).ping()
    except Exception:  # docker's client raises its own and requests' errors for every way of not being there
        return None
    postgres = importlib.import_module("testcontainers.postgres").PostgresContainer("postgres:18.1", driver="asyncpg")
    kafka = importlib.import_module("testcontainers.kafka").KafkaContainer("apache/kafka:4.3.1")
    for container in (postgres, kafka):
        container.start()
        stack.callback(container.stop)
    return Servers(str(postgres.get_connection_url()), str(kafka.get_bootstrap_server()), "containers")


def main() -> None:
    """The keeper's entry: `python -m localplatform.testservers RUN_DIRECTORY`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    os.umask(0o022)
    asyncio.run(keep(parser.parse_args().run))


if __name__ == "__main__":
    main()
