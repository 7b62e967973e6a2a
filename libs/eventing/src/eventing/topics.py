"""Topics as the catalogue declares them: created, set and checked by a command, never by a client in passing.

The number of partitions is fixed at creation (a key must stay where it is), so a worker that finds another refuses to
start. Timestamps are the broker's: "known at" is read from them.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from contracts.base import Event, Topic
from eventing.kafka import KafkaSettings
from eventing.subscriptions import Subscriptions, groups

_TIMEOUT: Final = 10.0


class MissingTopics(RuntimeError):
    """Topics that a worker reads are not there (yet)."""


class WrongPartitions(RuntimeError):
    """A topic has another number of partitions than it was declared with: keys would change places."""


def settings_of(topic: Topic) -> dict[str, str]:
    """A topic's settings, from its contract."""
    retention = -1 if topic.retention is None else int(topic.retention.total_seconds() * 1000)
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(retention),
        "retention.bytes": "-1",
        "max.message.bytes": str(topic.max_bytes),
        "message.timestamp.type": "LogAppendTime",
    }


def create(kafka: KafkaSettings, declared: Iterable[Topic], *, replication: int = 1) -> list[str]:
    """Create what is missing and set what differs; returns the names created. Raises WrongPartitions."""
    admin = AdminClient(kafka.confluent())
    there = _partitions(admin)
    declared = list(declared)
    wrong = [
        f"{topic.name} has {there[topic.name]} partitions, not {topic.partitions}"
        for topic in declared
        if there.get(topic.name, topic.partitions) != topic.partitions
    ]
    if wrong:
        raise WrongPartitions("; ".join(wrong))
    durability = {"min.insync.replicas": str(max(1, replication - 1))}
    missing = [topic for topic in declared if topic.name not in there]
    if missing:
        made = admin.create_topics(
            [
                NewTopic(
                    topic.name,
                    num_partitions=topic.partitions,
                    replication_factor=replication,
                    config=settings_of(topic) | durability,
                )
                for topic in missing
            ],
            operation_timeout=_TIMEOUT,
        )
        for future in made.values():
            future.result()
    kept = [topic for topic in declared if topic.name in there]
    if kept:
        changes = [
            ConfigResource(
                ResourceType.TOPIC,
                topic.name,
                incremental_configs=[
                    ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                    for name, value in settings_of(topic).items()
                ],
            )
            for topic in kept
        ]
        for future in admin.incremental_alter_configs(changes).values():
            future.result()
    return [topic.name for topic in missing]


@dataclass(frozen=True, slots=True)
class Access:
    """What a service does on the bus: the consumer groups it reads in, the topics it reads, those it alone writes."""

    service: str
    groups: tuple[str, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]


def access_of(service: str, subscriptions: Iterable[Subscriptions], events: Iterable[type[Event]]) -> Access:
    """A service's access, from its handlers and the events that the catalogue says it publishes."""
    mine = groups(service, subscriptions)
    return Access(
        service,
        tuple(group.id for group in mine),
        tuple(sorted({topic for group in mine for topic in group.topics})),
        tuple(sorted({e.topic for e in events if e.publisher is not None and e.publisher.name == service})),
    )


def rights(access: Access, principal: str) -> list[AclBinding]:
    """The least that `principal` (such as "User:risk-service") needs for `access`; all else is refused."""

    def may(kind: ResourceType, name: str, operation: AclOperation) -> AclBinding:
        return AclBinding(kind, name, ResourcePatternType.LITERAL, principal, "*", operation, AclPermissionType.ALLOW)

    return [
        *(may(ResourceType.TOPIC, topic, AclOperation.WRITE) for topic in access.writes),
        *(may(ResourceType.TOPIC, topic, AclOperation.READ) for topic in access.reads),
        *(may(ResourceType.GROUP, group, AclOperation.READ) for group in access.groups),
    ]


def grant(kafka: KafkaSettings, bindings: Collection[AclBinding]) -> None:
    """Create access rights; those that are there stay. Raises KafkaException."""
    if bindings:
        admin = AdminClient(kafka.confluent())
        granted: Mapping[AclBinding, Future[None]] = admin.create_acls(list(bindings))  # pyright: ignore[reportUnknownMemberType] - its **kwargs have no type
        for future in granted.values():
            future.result(_TIMEOUT)


async def require(kafka: KafkaSettings, names: Collection[str], partitions: int) -> None:
    """Raises MissingTopics, WrongPartitions, or ConnectionError when Kafka does not answer."""
    try:
        there = await asyncio.to_thread(lambda: _partitions(AdminClient(kafka.confluent())))
    except KafkaException as error:
        raise ConnectionError(str(error)) from error
    missing = sorted(set(names) - set(there))
    if missing:
        raise MissingTopics(", ".join(missing))
    wrong = [f"{name} has {there[name]}" for name in sorted(names) if there[name] != partitions]
    if wrong:
        raise WrongPartitions(f"built for {partitions} partitions: {'; '.join(wrong)}")


def _partitions(admin: AdminClient) -> dict[str, int]:
    found = admin.list_topics(timeout=_TIMEOUT).topics
    return {name: len(topic.partitions) for name, topic in found.items()}
