"""What a service may do on the bus, on a real broker that asks for passwords and refuses what was not granted: the
catalogue's topics and rights as the two commands make them, and each service's user trying what is its own and what
is not."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (aiokafka carries no types)

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError
from confluent_kafka.admin import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)
from sqlalchemy.ext.asyncio import create_async_engine

from contracts import catalogue
from contracts.bank.hr import EmployeeJoined
from eventing import topics
from eventing.inbox import Consumer
from eventing.kafka import KafkaSettings
from eventing.session import sessions
from eventing.subscriptions import Subscriptions
from localplatform.kafka import Kafka
from localplatform.processes import free_ports
from localplatform.program import surroundings
from localplatform.topology import SERVICES

ADMIN = "admin"
USERS = (ADMIN, *(f"{service}-service" for service in SERVICES))
PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
AUTHORISING = {
    "listener.security.protocol.map": "BROKER:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
    "sasl.mechanism.inter.broker.protocol": "PLAIN",
    "listener.name.broker.sasl.enabled.mechanisms": "PLAIN",
    "listener.name.broker.plain.sasl.jaas.config": (
        f'{PLAIN} username="{ADMIN}" password="{ADMIN}-secret" '
        + " ".join(f'user_{user}="{user}-secret"' for user in USERS)
        + ";"
    ),
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": f"User:{ADMIN};User:ANONYMOUS",
}
"""ANONYMOUS is the broker itself at its own controller's door; the broker's door lets nobody in without a password."""
EVERY_TOPIC = frozenset(topic.name for topic in catalogue.topics())
pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str


async def command(*arguments: str, environment: dict[str, str] | None = None) -> Said:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *arguments, env=surroundings(environment or {}),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return Said(process.returncode or 0, out.decode(), err.decode())


@dataclass(frozen=True)
class Cluster:
    """An authorising broker, and what each service said it needs."""

    bootstrap: str
    needs: dict[str, dict[str, Any]]
    files: list[str]

    def login(self, user: str) -> KafkaSettings:
        return KafkaSettings(self.bootstrap, "SASL_PLAINTEXT", "PLAIN", user, f"{user}-secret")

    def of(self, service: str) -> KafkaSettings:
        return self.login(f"{service}-service")

    async def eventing(self, *arguments: str, user: str = ADMIN) -> Said:
        """`python -m eventing …` as this user."""
        login = {"KAFKA_USERNAME": user, "KAFKA_PASSWORD": f"{user}-secret"}
        environment = {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM": "PLAIN", **login}
        return await command("eventing", *arguments, environment={"KAFKA_BOOTSTRAP": self.bootstrap, **environment})

    def admin(self) -> AdminClient:
        return AdminClient(self.login(ADMIN).confluent())

    def rights(self) -> set[tuple[str, str, str, str]]:
        """Every right: principal, resource, its name, operation."""
        any_: Any = None  # the stubs do not know that a filter leaves things open
        every = AclBindingFilter(
            ResourceType.ANY, any_, ResourcePatternType.ANY, any_, any_, AclOperation.ANY, AclPermissionType.ANY
        )
        admin = self.admin()
        found = admin.describe_acls(every).result(10)
        return {(each.principal, each.restype.name, each.name, each.operation.name) for each in found}

    def settings(self) -> dict[str, dict[str, str]]:
        """Every topic's number of partitions and all its settings."""
        admin = self.admin()
        there = {name: topic for name, topic in admin.list_topics(timeout=10).topics.items() if name in EVERY_TOPIC}
        asked = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in there])
        return {
            resource.name: {entry.name: entry.value for entry in future.result(10).values()}
            | {"partitions": str(len(there[resource.name].partitions))}
            for resource, future in asked.items()
        }


@pytest.fixture(scope="module")
async def cluster() -> AsyncIterator[Cluster]:
    home = Path(tempfile.mkdtemp(prefix="factoring-crm-rights-"))
    port, controller = free_ports(2)
    kafka = Kafka(home / "kafka", port, controller, home / "kafka.log", heap_mb=256, settings=AUTHORISING)
    try:
        printed, _ = await asyncio.gather(
            asyncio.gather(*(command(f"{service}_service", "topics-needs") for service in SERVICES)), kafka.start()
        )
        files = [home / f"{service}.json" for service in SERVICES]
        for file, said in zip(files, printed, strict=True):
            assert said.code == 0, said.err
            file.write_text(said.out)
        needs = {service: json.loads(said.out) for service, said in zip(SERVICES, printed, strict=True)}
        made = Cluster(kafka.bootstrap, needs, [str(file) for file in files])
        for arguments in (["topics"], ["acls", *made.files]):
            said = await made.eventing(*arguments)
            assert said.code == 0, said.err
        async with AIOKafkaProducer(**made.login(ADMIN).aiokafka()) as producer:
            for topic in EVERY_TOPIC:
                await producer.send_and_wait(topic, b"{}", key=b"first")
        yield made
    finally:
        await kafka.stop()
        shutil.rmtree(home, ignore_errors=True)


async def write(login: KafkaSettings, topic: str) -> None:
    """As the relay does."""
    async with AIOKafkaProducer(**login.aiokafka(), enable_idempotence=True, acks="all") as producer:
        async with asyncio.timeout(20):
            await producer.send_and_wait(topic, b"{}", key=b"any")


async def read(login: KafkaSettings, group: str, *heard: str) -> None:
    """Read something from each of these topics as a member of the group, and say how far."""
    consumer = AIOKafkaConsumer(
        *heard, **login.aiokafka(), group_id=group, auto_offset_reset="earliest", enable_auto_commit=False
    )
    awaited = set(heard)
    try:
        async with asyncio.timeout(30):
            await consumer.start()
            while awaited:
                for partition in await consumer.getmany(timeout_ms=500):
                    awaited.discard(partition.topic)
            await consumer.commit()
    finally:
        await consumer.stop()


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_writes_its_own_topic_and_no_other(cluster: Cluster, service: str) -> None:
    (own,) = cluster.needs[service]["writes"]
    assert own == f"{service}.events"
    await write(cluster.of(service), own)
    for foreign in sorted(EVERY_TOPIC - {own}):
        with pytest.raises(TopicAuthorizationFailedError):
            await write(cluster.of(service), foreign)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_reads_what_it_hears_and_nothing_else(cluster: Cluster, service: str) -> None:
    needs = cluster.needs[service]
    for group in needs["groups"]:
        await read(cluster.of(service), group, *needs["reads"])
    for unneeded in sorted(EVERY_TOPIC - set(needs["reads"])):
        with pytest.raises(TopicAuthorizationFailedError):
            await read(cluster.of(service), needs["groups"][0], unneeded)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_cannot_use_the_groups_of_another(cluster: Cluster, service: str) -> None:
    own, heard = cluster.needs[service]["groups"], cluster.needs[service]["reads"][0]
    others = [group for needs in cluster.needs.values() for group in needs["groups"] if group not in own]
    for group in [*others, f"{service}.unheard-of"]:
        with pytest.raises(GroupAuthorizationFailedError):
            await read(cluster.of(service), group, heard)


async def test_the_rights_are_those_and_no_more(cluster: Cluster) -> None:
    expected = {
        (f"User:{service}-service", kind, name, operation)
        for service, needs in cluster.needs.items()
        for kind, names, operation in (
            ("TOPIC", needs["writes"], "WRITE"),
            ("TOPIC", needs["reads"], "READ"),
            ("GROUP", needs["groups"], "READ"),
        )
        for name in names
    }
    assert cluster.rights() == expected


async def test_topics_are_as_the_catalogue_declares_them(cluster: Cluster) -> None:
    found = cluster.settings()
    assert set(found) == EVERY_TOPIC
    for topic in catalogue.topics():
        there = found[topic.name]
        kept = "-1" if topic.retention is None else str(int(topic.retention.total_seconds() * 1000))
        assert (there["partitions"], there["retention.ms"]) == (str(topic.partitions), kept)
        assert (there["cleanup.policy"], there["retention.bytes"]) == ("delete", "-1")
        assert (there["max.message.bytes"], there["message.timestamp.type"]) == (str(topic.max_bytes), "LogAppendTime")


async def test_the_commands_repeated_change_nothing(cluster: Cluster) -> None:
    before = cluster.settings(), cluster.rights()
    again = await cluster.eventing("topics")
    assert (again.code, again.out) == (0, f"{len(EVERY_TOPIC)} topics as declared, 0 of them new\n")
    assert (await cluster.eventing("acls", *cluster.files)).code == 0
    assert (cluster.settings(), cluster.rights()) == before


@pytest.mark.parametrize("arguments", [["topics"], ["acls"]])
async def test_a_service_can_neither_set_topics_nor_grant_rights(cluster: Cluster, arguments: list[str]) -> None:
    before = cluster.settings(), cluster.rights()
    files = cluster.files if arguments == ["acls"] else []
    refused = await cluster.eventing(*arguments, *files, user="risk-service")
    assert refused.code == 1
    assert "AUTHORIZATION_FAILED" in refused.err.upper()
    assert "Traceback" not in refused.err
    assert (cluster.settings(), cluster.rights()) == before


async def test_another_number_of_partitions_stops_the_command_and_a_worker(cluster: Cluster) -> None:
    on = Subscriptions(group=f"main-{uuid4().hex[:6]}")

    @on.project(EmployeeJoined)
    async def _(event: EmployeeJoined, tx: object) -> None: ...

    admin = cluster.admin()
    name = EmployeeJoined.topic
    await recreate(admin, name, 3)
    try:
        refused = await cluster.eventing("topics")
        assert (refused.code, refused.out) == (1, "")
        assert refused.err == f"{name} has 3 partitions, not 12\n"
        engine = create_async_engine("postgresql+asyncpg://nobody@127.0.0.1:1/nothing")
        worker = Consumer(
            sessions(engine, source="/test"), cluster.of("performance"), service="performance", subscriptions=[on]
        )
        with pytest.raises(topics.WrongPartitions, match=f"built for 12 partitions: {name} has 3"):
            await asyncio.wait_for(worker.run(asyncio.Event()), 30)
    finally:
        await recreate(admin, name, None)
    assert (await cluster.eventing("topics")).out == f"{len(EVERY_TOPIC)} topics as declared, 1 of them new\n"


async def recreate(admin: AdminClient, name: str, partitions: int | None) -> None:
    """Delete a topic, and create it again with so many partitions."""
    for gone in admin.delete_topics([name]).values():
        gone.result(20)
    async with asyncio.timeout(20):
        while name in admin.list_topics(timeout=10).topics:  # noqa: ASYNC110 (what is awaited is another process)
            await asyncio.sleep(0.1)
    if partitions is not None:
        for made in admin.create_topics([NewTopic(name, num_partitions=partitions, replication_factor=1)]).values():
            made.result(20)
        async with asyncio.timeout(20):
            while name not in admin.list_topics(timeout=10).topics:  # noqa: ASYNC110 (what is awaited is another process)
                await asyncio.sleep(0.1)
