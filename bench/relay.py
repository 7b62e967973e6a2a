"""Rows/s with order kept while rows are being inserted, commit-to-consumer latency when idle, and memory: our relay,
Debezium's outbox router and faststream-outbox, with the raw producer as the limit of the client."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

from sqlalchemy.ext.asyncio import create_async_engine

from bench import debezium
from bench.figures import Figure, compare, load_note, percentile, tell
from bench.rows import KEYS, number_of, rows
from bench.servers import Child, Servers, Tail, connect
from eventing.schema import outbox
from eventing.session import sessions, write_last
from eventing.waker import Waker
from localplatform import directories

FASTSTREAM_OUTBOX = "0.19.0"
WARM_UP = 150_000
Samples = dict[str, list[float]]


class OrderLost(AssertionError):
    """A key's rows did not arrive in the order in which they were committed, or not all of them."""


async def run(servers: Servers, *, runs: int, count: int, latencies: int) -> list[Figure]:
    """Alternating turns: ours, Debezium, faststream-outbox, the raw producer; each starts its own process."""
    note = load_note()
    seen: dict[str, Samples] = defaultdict(lambda: defaultdict(list))
    dsn = await servers.database("relay")
    for turn in range(runs):
        for name, contender in (("ours", ours), ("debezium", by_debezium)):
            await contender(servers, dsn, turn, count, latencies, seen[name])
            _tell(name, seen[name])
        await raw(servers, turn, count, seen["raw"])
        _tell("raw", seen["raw"])
        for mode, few in (("readme", 2_000), ("one", 6_000), ("eight", 15_000)):
            await by_faststream(servers, dsn, turn, mode, min(few, count), latencies, seen[mode])
            _tell(f"faststream-outbox {mode}", seen[mode])
    return figures(seen, note)


def figures(seen: dict[str, Samples], note: str) -> list[Figure]:
    """Ours beside each peer."""
    mine, theirs, limit = seen["ours"], seen["debezium"], seen["raw"]
    router = "Debezium outbox router, tuned"
    made = [
        compare("relay rate", "rows/s", mine["rate"], theirs["rate"], router, at_least=1.2, note=note),
        compare("relay rate, of the client's limit", "rows/s", mine["rate"], limit["rate"], "raw idempotent producer"),
        compare("relay latency when idle, p50", "ms", mine["p50"], theirs["p50"], router, at_most=0.25),
        compare("relay latency when idle, p99", "ms", mine["p99"], theirs["p99"], router, at_most=0.25),
        compare("relay memory", "MB", mine["memory"], theirs["memory"], router, at_most=0.1),
        compare("relay processor time", "µs/row", mine["cpu"], theirs["cpu"], router),
    ]
    for mode, called in (
        ("readme", "its README's settings"),
        ("one", "tuned"),
        ("eight", "tuned, 8 workers, no order"),
    ):
        peer = seen[mode]
        made += [
            compare(f"relay rate, {called}", "rows/s", mine["rate"], peer["rate"], f"faststream-outbox, {called}"),
            compare(f"relay latency p50, {called}", "ms", mine["p50"], peer["p50"], f"faststream-outbox, {called}"),
        ]
    return made


def _tell(name: str, samples: Samples) -> None:
    tell(f"  {name}: " + ", ".join(f"{what} {values[-1]:.4g}" for what, values in samples.items()))


async def ours(servers: Servers, dsn: str, turn: int, count: int, latencies: int, samples: Samples) -> None:
    """One turn of `eventing.relay` in a process of its own."""
    child = await Child.python("bench.contenders", "relay", dsn, servers.bootstrap, log=servers.home / "relay.log")
    try:
        await child.said()
        await _turn(servers, dsn, f"ours{turn}", child, count, latencies, samples)
    finally:
        await child.stop()


async def by_debezium(servers: Servers, dsn: str, turn: int, count: int, latencies: int, samples: Samples) -> None:
    """One turn of the router, warm: it has relayed as many rows before."""
    child = await debezium.start(servers, dsn, servers.home / f"debezium{turn}")
    try:
        await _turn(servers, dsn, f"debezium{turn}", child, count, latencies, samples, warm_up=WARM_UP)
    finally:
        await child.stop()
        connection = await connect(dsn)
        await connection.execute("TRUNCATE outbox")
        await connection.close()


async def _turn(
    servers: Servers, dsn: str, topic: str, child: Child, count: int, latencies: int, samples: Samples, warm_up: int = 0
) -> None:
    topic = await servers.topic(topic)
    async with Tail(servers.bootstrap) as tail:
        at = 0
        for size, measured in ((warm_up or 2_000, False), (count, True)):
            loader = await Child.python("bench.contenders", "load", dsn, topic, at, size, log=servers.home / "load.log")
            await loader.said()
            used = child.cpu_seconds()
            loaded = await loader.asked("go")
            at += size
            await tail.until(at, topic)
            ended = time.monotonic()
            await loader.stop()
            if measured:
                samples["rate"].append(count / (ended - loaded["began"]))
                samples["inserted at"].append(count / (loaded["ended"] - loaded["began"]))
                samples["cpu"].append((child.cpu_seconds() - used) / count * 1e6)
        samples["memory"].append(child.memory_mb())
        await _in_order(tail, topic, at)
        delays = await _idle(dsn, tail, topic, at, latencies)
        samples["p50"].append(percentile(delays, 0.5))
        samples["p99"].append(percentile(delays, 0.99))
    await servers.forget([topic])


async def _in_order(tail: Tail, topic: str, count: int) -> None:
    """Every row is there once, and each key's in their order. Raises OrderLost."""
    last: dict[int, int] = {}
    found = 0
    async for records in tail.read(topic):
        for record in records:
            headers: dict[str, bytes] = dict(record.headers)
            number = number_of((headers.get("ce_id") or headers["id"]).decode())
            if number <= last.get(number % KEYS, -1):
                raise OrderLost(f"{topic}: row {number} came after {last[number % KEYS]}")
            last[number % KEYS] = number
            found += 1
    if found != count:
        raise OrderLost(f"{topic}: {found} rows of {count}")


async def _idle(dsn: str, tail: Tail, topic: str, first: int, count: int) -> list[float]:
    """One row at a time, by emit's path; milliseconds from its commit to its consumer."""
    await tail.follow(topic)
    engine = create_async_engine(dsn.replace("postgresql", "postgresql+asyncpg", 1))
    waker, stop = Waker(dsn), asyncio.Event()
    waking = asyncio.create_task(waker.run(stop))
    open_session = sessions(engine, source="/factoring/bench-service", wake=waker.wake)
    delays: list[float] = []
    for row in rows(iter(range(first, first + count)), topic):
        await asyncio.sleep(0.025)
        async with open_session() as tx, tx.begin():
            write_last(tx, outbox, row)
        committed = time.monotonic()
        async with asyncio.timeout(30):
            await tail.arriving()
        delays.append((time.monotonic() - committed) * 1000)
    stop.set()
    await waking
    await engine.dispose()
    return delays[5:]


async def raw(servers: Servers, turn: int, count: int, samples: Samples) -> None:
    """The client alone: no database."""
    topic = await servers.topic(f"raw{turn}")
    log = servers.home / "producer.log"
    child = await Child.python("bench.contenders", "producer", servers.bootstrap, topic, count, log=log)
    try:
        await child.said()
        took = await child.asked("go")
        samples["rate"].append(count / (took["ended"] - took["began"]))
        samples["memory"].append(child.memory_mb())
    finally:
        await child.stop()
        await servers.forget([topic])


async def by_faststream(
    servers: Servers, dsn: str, turn: int, mode: str, count: int, latencies: int, samples: Samples
) -> None:
    """One turn of faststream-outbox with its own table and its own publish."""
    topic = await servers.topic(f"fs-{mode}{turn}")
    path, log = await asyncio.to_thread(faststream_outbox), servers.home / "faststream-outbox.log"
    child = await Child.python("bench.peers_outbox", dsn, servers.bootstrap, topic, mode, log=log, path=path)
    try:
        await child.said()
        async with Tail(servers.bootstrap) as tail:
            loaded = await child.asked(f"load {count}")
            await tail.until(count, topic)
            samples["rate"].append(count / (time.monotonic() - loaded["began"]))
            samples["memory"].append(child.memory_mb())
            await tail.follow(topic)
            delays: list[float] = []
            for number in range(min(latencies, 100)):
                await asyncio.sleep(0.025)
                committed = await child.asked(f"one {number}")
                async with asyncio.timeout(60):
                    await tail.arriving()
                delays.append((time.monotonic() - committed["ended"]) * 1000)
            samples["p50"].append(percentile(delays[5:], 0.5))
            samples["p99"].append(percentile(delays[5:], 0.99))
    finally:
        await child.stop()
        await servers.forget([topic])


def faststream_outbox() -> Path:
    """Where the peer lies: beside the environment, never in its lock; what it needs is there already."""
    target = directories.cache_directory() / "bench" / f"faststream-outbox-{FASTSTREAM_OUTBOX}"
    if not target.exists():
        wanted = ["install", "--quiet", "--no-deps", "--target", str(target), f"faststream-outbox=={FASTSTREAM_OUTBOX}"]
        uv = shutil.which("uv")
        pip = [uv, "pip"] if uv else [str(Path(sys.base_prefix) / "bin/python3"), "-m", "pip"]
        subprocess.run([*pip, *wanted], check=True)
    return target
