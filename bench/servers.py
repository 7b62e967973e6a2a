"""A real PostgreSQL with fsync on and a real Kafka of our own, and child processes whose memory and time are read."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import sqlalchemy as sa
from aiokafka import AIOKafkaConsumer, TopicPartition
from alembic.migration import MigrationContext
from alembic.operations import Operations
from confluent_kafka.admin import AdminClient
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from contracts.base import Topic
from eventing import KafkaSettings, schema, topics
from localplatform.kafka import Kafka
from localplatform.postgresql import Postgresql
from localplatform.processes import free_ports, together
from localplatform.program import surroundings

PARTITIONS = 12
ROOT = Path(__file__).resolve().parents[1]
POSTGRESQL = {"wal_level": "logical", "max_wal_size": "4GB", "shared_buffers": "512MB"}
"""fsync, synchronous_commit and full_page_writes stay on; logical, since Debezium needs it (everyone gets it)."""


@dataclass
class Servers:
    """Both servers and the directory that is thrown away with them."""

    home: Path
    postgresql: Postgresql
    kafka: Kafka

    @property
    def bootstrap(self) -> str:
        return self.kafka.bootstrap

    def dsn(self, database: str) -> str:
        """The superuser's address of a database, in libpq's form."""
        return self.postgresql.dsn.removesuffix("/postgres") + f"/{database}"

    async def database(self, name: str) -> str:
        """A new database with the rails' tables; returns its address."""
        connection = await connect(self.postgresql.dsn)
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()
        engine = create_async_engine(self.dsn(name).replace("postgresql", "postgresql+asyncpg", 1), poolclass=NullPool)

        def create(sync: sa.Connection) -> None:
            schema.create_v1(Operations(MigrationContext.configure(sync)))

        async with engine.begin() as making:
            await making.run_sync(create)
        await engine.dispose()
        return self.dsn(name)

    async def topic(self, name: str) -> str:
        """A new topic with as many partitions as a service's own."""
        declared = [Topic(name, partitions=PARTITIONS)]
        await asyncio.to_thread(topics.create, KafkaSettings(self.bootstrap), declared)
        return name

    async def forget(self, names: Iterable[str]) -> None:
        """Delete topics, so that no run finds the page cache full of another's."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 3})
        for future in admin.delete_topics(list(names)).values():
            await asyncio.to_thread(future.result)


@asynccontextmanager
async def servers() -> AsyncGenerator[Servers]:
    """Started on free ports; stopped and thrown away."""
    home = Path(tempfile.mkdtemp(prefix="factoring-crm-bench-"))
    home.chmod(0o755)  # noqa: ASYNC240 - once, before anything runs
    port, controller, postgres_port = free_ports(3)
    postgresql = Postgresql(home / "postgresql", postgres_port, home / "postgresql.log", settings=POSTGRESQL)
    kafka = Kafka(home / "kafka", port, controller, home / "kafka.log")
    try:
        await together(postgresql.start(), kafka.start())
        yield Servers(home, postgresql, kafka)
    finally:
        await together(kafka.stop(), postgresql.stop())
        shutil.rmtree(home, ignore_errors=True)


async def connect(dsn: str) -> asyncpg.Connection[asyncpg.Record]:
    """A connection of our own."""
    return await asyncpg.connect(dsn)


class Tail:
    """Looks at the ends of topics, and reads them."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer: Any = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            enable_auto_commit=False,
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=2**22,
        )

    async def __aenter__(self) -> Tail:
        await self._consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def count(self, *names: str) -> int:
        """How many records these topics have taken."""
        ends = await self._consumer.end_offsets(_partitions(names))
        return sum(ends.values())

    async def until(self, count: int, *names: str, patience: float = 600) -> None:
        """Return once the topics hold so many records."""
        async with asyncio.timeout(patience):
            while await self.count(*names) < count:  # noqa: ASYNC110 - it looks at Kafka
                await asyncio.sleep(0.02)

    async def read(self, *names: str) -> AsyncGenerator[Sequence[Any]]:
        """Everything that is on the topics now."""
        self._consumer.assign(_partitions(names))
        await self._consumer.seek_to_beginning()
        left = await self.count(*names)
        while left > 0:
            for records in (await self._consumer.getmany(timeout_ms=500)).values():
                left -= len(records)
                yield records

    async def follow(self, *names: str) -> None:
        """From now on `arriving` gives what is new on these topics."""
        self._consumer.assign(_partitions(names))
        await self._consumer.seek_to_end()
        for each in _partitions(names):
            await self._consumer.position(each)

    async def arriving(self) -> Any:
        """The next record."""
        return await self._consumer.getone()


def _partitions(names: Iterable[str]) -> list[TopicPartition]:
    return [TopicPartition(name, number) for name in names for number in range(PARTITIONS)]


class Child:
    """A process that answers lines of JSON, or a server of another house; whoever starts it stops it."""

    def __init__(self, process: Process, log: Path) -> None:
        self.process, self.log = process, log

    @classmethod
    async def start(
        cls,
        command: Sequence[str | Path],
        log: Path,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        *,
        silent: bool = False,
    ) -> Child:
        """Start a program; its stderr, and when `silent` all it says, goes to `log`."""
        with log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *map(str, command),
                stdin=PIPE,
                stdout=errors if silent else PIPE,
                stderr=errors,
                env=surroundings(environment or {}),
                cwd=directory or ROOT,
            )
        return cls(process, log)

    @classmethod
    async def python(cls, module: str, *arguments: object, log: Path, path: Path | None = None) -> Child:
        """Start a module of ours."""
        environment = {"PYTHONPATH": os.pathsep.join(map(str, [ROOT, *([path] if path else [])]))}
        return await cls.start([sys.executable, "-m", module, *map(str, arguments)], log, environment)

    async def said(self, patience: float = 600) -> Any:
        """Its next line, read as JSON."""
        assert self.process.stdout is not None
        async with asyncio.timeout(patience):
            line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.log.name} ended:\n{self.log.read_text()[-3000:]}")
        return json.loads(line)

    async def asked(self, word: str, patience: float = 600) -> Any:
        """Tell it something and hear its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(word.encode() + b"\n")
        await self.process.stdin.drain()
        return await self.said(patience)

    def memory_mb(self) -> float:
        """What of it lies in memory now."""
        return memory_mb(self.process.pid)

    def cpu_seconds(self) -> float:
        """The processor time it has used."""
        return cpu_seconds(self.process.pid)

    async def stop(self) -> None:
        """SIGTERM, and wait."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self.process.wait(), 15)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()


def memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1]) / 1024


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and the children it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
