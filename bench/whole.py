"""The whole platform as `./crm up` runs it, with fsync on: commit to effect across services, the feed of real invoices,
and what an event costs."""

from __future__ import annotations

import asyncio
import csv
import gzip
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from aiokafka import AIOKafkaProducer
from sqlalchemy.ext.asyncio import create_async_engine

from bench.figures import Figure, compare, load_note, percentile, rounded, tell
from bench.servers import Tail, connect, cpu_seconds, memory_mb
from contracts import catalogue
from contracts.base import Topic
from contracts.engagement import ContactLogged
from eventing import KafkaSettings, emit, topics
from eventing.session import sessions
from eventing.waker import Waker
from localplatform.flow import Flow
from localplatform.platform import Platform
from localplatform.testing import RunningPlatform
from localplatform.topology import SERVICES, Ports

POSTGRESQL = {"max_wal_size": "4GB", "shared_buffers": "512MB"}
ECHO = "bench.echo"
NOTIFY = """
CREATE FUNCTION bench_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify('bench', NEW.ce_id::text); RETURN NULL; END $$;
CREATE TRIGGER bench_told AFTER INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION bench_told();
"""


@asynccontextmanager
async def platform() -> AsyncGenerator[RunningPlatform]:
    """Everything started; stopped and thrown away."""
    home = Path(tempfile.mkdtemp(prefix="factoring-crm-bench-"))
    home.chmod(0o755)  # noqa: ASYNC240 - once, before anything runs
    running = Platform(home, Ports.free(), tell=lambda _: None, postgresql_settings=POSTGRESQL)
    try:
        await running.start()
        yield RunningPlatform(running, [])
    finally:
        await running.stop()
        shutil.rmtree(home, ignore_errors=True)


async def commit_to_effect(*, runs: int, seconds: float, per_second: int = 50) -> list[Figure]:
    """engagement-service's commit to the commit in client-service's database, by turns with the raw round trip.

    The events are engagement's own, emitted into its outbox from here so that the moment of the commit is known; its
    worker relays them. A trigger on client-service's inbox says when the effect, which commits with it, is there.
    """
    note = load_note()
    async with platform() as running:
        await asyncio.to_thread(topics.create, KafkaSettings(running.kafka_bootstrap), [Topic(ECHO, partitions=12)])
        ours: list[list[float]] = []
        raw: list[list[float]] = []
        await _effects(running, 5, per_second, [])
        for _ in range(runs):
            ours.append(await _effects(running, seconds, per_second, []))
            raw.append(await _echoes(running.kafka_bootstrap, seconds, per_second))
            for name, delays in (("ours", ours[-1]), ("raw", raw[-1])):
                tell(f"  {name}: p50 {percentile(delays, 0.5):.2f} ms, p99 {percentile(delays, 0.99):.2f} ms")
    peer = "raw produce-to-consume round trip"
    return [
        compare(
            f"commit to effect at {per_second}/s, p{round(share * 100)}",
            "ms",
            [percentile(each, share) for each in ours],
            [percentile(each, share) for each in raw],
            peer,
            at_most=aim,
            note=note,
        )
        for share, aim in ((0.5, 4), (0.99, 3))
    ]


async def _effects(running: RunningPlatform, seconds: float, per_second: int, delays: list[float]) -> list[float]:
    source, target = running.database_url("engagement"), running.database_url("client")
    listening = await connect(target)
    if not await listening.fetchval("SELECT count(*) FROM pg_proc WHERE proname = 'bench_told'"):
        await listening.execute(NOTIFY)
    seen: dict[str, float] = {}
    clock = time.monotonic

    def told(_: object, __: int, ___: str, payload: object) -> None:
        seen.setdefault(str(payload), clock())

    await listening.add_listener("bench", told)
    engine = create_async_engine(source.replace("postgresql", "postgresql+asyncpg", 1))
    waker, stop = Waker(source), asyncio.Event()
    waking = asyncio.create_task(waker.run(stop))
    open_session = sessions(engine, source="/factoring/engagement-service", wake=waker.wake)
    committed: dict[str, float] = {}

    async def one(number: int) -> None:
        client = UUID(int=(0x0199A7C0 << 96) | (0x7000 << 64) | (0x8 << 60) | number % 200)
        event = ContactLogged.example().model_copy(
            update={"client_id": client, "contact_id": uuid4(), "occurred_at": datetime.now(UTC)}
        )
        async with open_session() as tx, tx.begin():
            identity = str(emit(tx, event))
        committed[identity] = clock()

    await _paced(one, seconds, per_second)
    async with asyncio.timeout(30):
        while len(seen) < len(committed):  # noqa: ASYNC110 - the last few are on their way
            await asyncio.sleep(0.05)
    stop.set()
    await waking
    await engine.dispose()
    await listening.close()
    return delays + [(seen[identity] - at) * 1000 for identity, at in committed.items()]


async def _echoes(bootstrap: str, seconds: float, per_second: int) -> list[float]:
    producer: Any = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, acks="all")
    await producer.start()
    sent: dict[bytes, float] = {}
    delays: list[float] = []
    value = b"x" * 360

    async def one(number: int) -> None:
        key = str(number).encode()
        sent[key] = time.monotonic()
        await producer.send_and_wait(ECHO, value, key=key)

    async def receive(tail: Tail, count: int) -> None:
        while len(delays) < count:
            record = await tail.arriving()
            delays.append((time.monotonic() - sent[record.key]) * 1000)

    async with Tail(bootstrap) as tail:
        await tail.follow(ECHO)
        receiving = asyncio.create_task(receive(tail, round(seconds * per_second)))
        await _paced(one, seconds, per_second)
        async with asyncio.timeout(30):
            await receiving
    await producer.stop()
    return delays


async def _paced(one: Any, seconds: float, per_second: int) -> None:
    """So many a second, each at its own time whether or not those before are done."""
    began, tasks = time.monotonic(), list[asyncio.Task[None]]()
    for number in range(round(seconds * per_second)):
        await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
        tasks.append(asyncio.create_task(one(number)))
    await asyncio.gather(*tasks)


@dataclass(frozen=True)
class Stage:
    """What a part of the feed did and cost. `cpu` is seconds by process; bytes are what the stage added."""

    rows: int
    feed_seconds: float
    seconds: float
    settled: dict[str, float]
    cpu: dict[str, float]
    published: dict[str, int]
    database: dict[str, int]
    wal: int
    topics: int
    connections: dict[str, int]
    memory: dict[str, float]

    @property
    def events(self) -> int:
        return sum(self.published.values())

    @property
    def database_bytes(self) -> float:
        """Per event."""
        return sum(self.database.values()) / self.events

    @property
    def wal_bytes(self) -> float:
        """Per event."""
        return self.wal / self.events

    @property
    def topic_bytes(self) -> float:
        """Per event."""
        return self.topics / self.events


async def fed(data: Path, sizes: Sequence[int]) -> list[Stage]:
    """The sales file through all four services, in as many parts as sizes (rows, at most), each a set of
    whole firms and a legal entity of its own."""
    async with platform() as running:
        parts = _parts(data / "sales.csv.gz", running.platform.home, sizes)
        return [await _stage(running, file, rows, data / "clients.csv", n) for n, (file, rows) in enumerate(parts)]


def _parts(sales: Path, home: Path, sizes: Sequence[int]) -> list[tuple[Path, int]]:
    with gzip.open(sales, "rt", encoding="utf-8") as file:
        lines = list(csv.reader(file))
    header, rows = lines[0], lines[1:]
    left = Counter(row[0] for row in rows)
    made: list[tuple[Path, int]] = []
    for number, size in enumerate(sizes):
        chosen: set[str] = set()
        taken = 0
        for firm, some in sorted(left.items(), key=lambda each: -each[1]):
            if taken + some <= size:
                chosen.add(firm)
                taken += some
        for firm in chosen:
            del left[firm]
        path = home / f"part{number}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *(row for row in rows if row[0] in chosen)])
        made.append((path, taken))
    return made


async def _stage(running: RunningPlatform, file: Path, rows: int, sellers: Path, number: int) -> Stage:
    before = await _counters(running)
    entity, began = f"BENCH-{number}", time.monotonic()
    feeding = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ledger_feed", "feed", str(file), "--shape", "vat-invoices", "--entity", entity,
        "--state-dir", str(running.platform.home / f"feed{number}"), "--bootstrap", running.kafka_bootstrap,
        "--client-api", running.urls["client"], "--token", running.token("bank_system", entity),
        "--system", f"vat{number}", "--sellers", str(sellers), "--currency", "CNY", "--term-days", "60",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    settled: dict[str, float] = {}
    watching = asyncio.create_task(_watch(running, began, settled))
    assert await feeding.wait() == 0
    feed_seconds = time.monotonic() - began
    await running.settled(900)
    watching.cancel()
    seconds = max(settled.values())
    after = await _counters(running)

    def grown(what: str) -> dict[str, Any]:
        return {name: value - before[what].get(name, 0) for name, value in after[what].items()}

    stage = Stage(
        rows,
        feed_seconds,
        seconds,
        settled,
        grown("cpu"),
        grown("published"),
        grown("database"),
        grown("wal")["wal"],
        grown("topics")["topics"],
        after["connections"],
        after["memory"],
    )
    tell(
        f"  {rows} rows: {stage.events} events in {seconds:.0f} s = {stage.events / seconds:.0f}/s"
        f" ({rows / seconds:.0f} rows/s); last effect at "
        + ", ".join(f"{name} {at:.0f} s" for name, at in settled.items())
    )
    tell("    processor seconds: " + ", ".join(f"{name} {used:.1f}" for name, used in stage.cpu.items() if used >= 0.5))
    tell(
        f"    bytes per event: databases {stage.database_bytes:.0f}, WAL {stage.wal_bytes:.0f},"
        f" topics {stage.topic_bytes:.0f}"
    )
    return stage


async def _watch(running: RunningPlatform, began: float, settled: dict[str, float]) -> None:
    """When each service last had anything on its way."""
    flows = {service: Flow({service: running.database_url(service)}, running.kafka_bootstrap) for service in SERVICES}
    for flow in flows.values():
        await flow.__aenter__()
    try:
        while True:
            for service, flow in flows.items():
                if (await flow.look()).total:
                    settled[service] = time.monotonic() - began
            await asyncio.sleep(1)
    finally:
        for flow in flows.values():
            await flow.__aexit__(None, None, None)


async def _counters(running: RunningPlatform) -> dict[str, dict[str, Any]]:
    connection = await connect(running.postgres_url.replace("postgresql+asyncpg", "postgresql"))
    try:
        await connection.execute("CHECKPOINT")
        database = {
            str(row[0]): int(row[1])
            for row in await connection.fetch(
                "SELECT datname, pg_database_size(oid) FROM pg_database WHERE datname = ANY($1)", list(SERVICES)
            )
        }
        wal = await connection.fetchval("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
        connections: list[asyncpg.Record] = await connection.fetch(
            "SELECT application_name, count(*) FROM pg_stat_activity WHERE datname = ANY($1) GROUP BY 1 ORDER BY 1",
            list(SERVICES),
        )
    finally:
        await connection.close()
    pids = {name: pid for name in running.names() if (pid := running.pid(name)) is not None}
    kafka = running.platform.kafka.home / "data"
    async with Tail(running.kafka_bootstrap) as tail:
        published = {topic.name: await tail.count(topic.name) for topic in catalogue.topics()}
    return {
        "cpu": {name: _tree_seconds(pid) if name == "postgresql" else cpu_seconds(pid) for name, pid in pids.items()},
        "memory": {name: memory_mb(pid) for name, pid in pids.items()},
        "database": database,
        "wal": {"wal": int(wal)},
        "topics": {"topics": sum(log.stat().st_blocks * 512 for log in kafka.glob("*.events-*/*"))},
        "published": published,
        "connections": {str(row[0]): int(row[1]) for row in connections},
    }


def _tree_seconds(pid: int) -> float:
    """A process and its living children; it has waited for those that died."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return cpu_seconds(pid) + sum(cpu_seconds(int(child)) for child in children)


def feed_figures(stages: Sequence[Stage], note: str) -> list[Figure]:
    """The last and largest part: events/s, and the processor time of each process."""
    last = stages[-1]
    rate = last.events / last.seconds
    made = [
        compare(
            "whole feed", "events/s", [rate], [], "", note=f"{last.rows} rows, {last.seconds:.0f} s {note}".strip()
        ),
        compare("whole feed, rows", "rows/s", [last.rows / last.seconds], [], ""),
    ]
    for name, used in sorted(last.cpu.items(), key=lambda each: -each[1]):
        if used / last.seconds > 0.01:
            made.append(
                compare(f"whole feed, processor time of {name}", "ms/event", [used / last.events * 1000], [], "")
            )
    return made


DAYS: Mapping[str, float] = {"10^4": 1e4, "10^6": 1e6, "10^8": 1e8}


def capacity_figures(stages: Sequence[Stage]) -> list[Figure]:
    """What an event costs, how that grows, and the deployments that follow."""
    first, last = stages[0], stages[-1]
    made: list[Figure] = []

    def alone(name: str, unit: str, value: float, note: str = "") -> None:
        made.append(compare(name, unit, [value], [], "", note=note))

    per_core = {n: s.events / max(sum(s.cpu.values()), 1e-9) for n, s in enumerate(stages)}
    made.append(
        compare(
            "events per core-second, all processes",
            "events/s",
            [per_core[len(stages) - 1]],
            [per_core[0]],
            f"the same at {first.rows} rows",
            note=" → ".join(f"{s.rows} rows: {per_core[n]:.0f}" for n, s in enumerate(stages)),
        )
    )
    for what, of in (
        ("database bytes per event", [stage.database_bytes for stage in stages]),
        ("WAL bytes per event", [stage.wal_bytes for stage in stages]),
        ("topic bytes per event", [stage.topic_bytes for stage in stages]),
    ):
        growth = " → ".join(f"{s.rows} rows: {each:.0f}" for s, each in zip(stages, of, strict=True))
        made.append(compare(what, "bytes", of[-1:], of[:1], f"the same at {first.rows} rows", note=growth))
    for name, count in last.connections.items():
        alone(f"connections of {name or 'the waker'}", "connections", count)
    for name, used in last.memory.items():
        alone(f"memory of {name}", "MB", used)
    cost = sum(last.cpu.values()) / last.events
    for called, a_day in DAYS.items():
        cores = a_day / 86_400 * cost
        alone(
            f"deployment for {called} events a day",
            "cores busy on average",
            cores,
            f"{a_day / 86_400:.3g} events/s on average; tenfold peak {rounded(cores * 10):g} cores;"
            f" {a_day * last.database_bytes / 1e9:.3g} GB of databases,"
            f" {a_day * last.topic_bytes / 1e9:.3g} GB of topics a day",
        )
    return made


def data_directory(chosen: Path | None) -> Path:
    """Where the real invoices lie: --data, FACTORING_CRM_DATA, or beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data" / "vat-invoices"
    path = chosen or Path(os.environ.get("FACTORING_CRM_DATA") or beside)
    if not (path / "sales.csv.gz").exists():
        raise SystemExit(f"The invoices are not in {path}: name their directory by --data or FACTORING_CRM_DATA.")
    return path
