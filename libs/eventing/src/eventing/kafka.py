"""How to reach Kafka, said once for the three clients that we use."""

import asyncio
import ssl
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiokafka import ConsumerRecord, TopicPartition
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Address and credentials. `security_protocol` is PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL; `sasl_mechanism` is
    PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; `ca_file` is PEM, the system's authorities when None."""

    bootstrap: str
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None

    def _tls(self) -> ssl.SSLContext | None:
        return ssl.create_default_context(cafile=self.ca_file) if self.security_protocol.endswith("SSL") else None

    def aiokafka(self) -> dict[str, Any]:
        """Arguments of an aiokafka client."""
        arguments: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": self.security_protocol,
            "ssl_context": self._tls(),
        }
        if self.sasl_mechanism is not None:
            arguments |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return arguments

    def confluent(self) -> dict[str, Any]:
        """Configuration of a confluent-kafka client."""
        configuration: dict[str, Any] = {
            "bootstrap.servers": self.bootstrap,
            "security.protocol": self.security_protocol,
        }
        if self.ca_file is not None:
            configuration["ssl.ca.location"] = self.ca_file
        if self.sasl_mechanism is not None:
            configuration |= {
                "sasl.mechanism": self.sasl_mechanism,
                "sasl.username": self.username,
                "sasl.password": self.password,
            }
        return configuration

    def faststream(self) -> BaseSecurity | None:
        """FastStream's security; None for a plain connection."""
        tls = self._tls()
        if self.sasl_mechanism is None:
            return BaseSecurity(ssl_context=tls) if tls is not None else None
        mechanisms = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}
        return mechanisms[self.sasl_mechanism](
            username=self.username or "", password=self.password or "", ssl_context=tls, use_ssl=tls is not None
        )


class Batch(Protocol):
    """The part of aiokafka's BatchBuilder that we use."""

    def append(
        self, *, timestamp: int | None, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]]
    ) -> object | None: ...
    def close(self) -> None: ...


class BatchProducer(Protocol):
    """The part of aiokafka's producer that we use, with the types it does not state."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def partitions_for(self, topic: str) -> set[int]: ...
    def create_batch(self) -> Batch: ...
    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[object]: ...


class SeekingConsumer(Protocol):
    """The part of aiokafka's consumer that we use, with the types it does not state."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def assign(self, partitions: Iterable[TopicPartition]) -> None: ...
    def assignment(self) -> Iterable[TopicPartition]: ...
    def seek(self, partition: TopicPartition, offset: int) -> None: ...
    def pause(self, *partitions: TopicPartition) -> None: ...
    def resume(self, *partitions: TopicPartition) -> None: ...
    def position(self, partition: TopicPartition) -> Awaitable[int]: ...
    def partitions_for_topic(self, topic: str) -> set[int] | None: ...
    async def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]: ...
    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]: ...
    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> Mapping[TopicPartition, list[ConsumerRecord[bytes | None, bytes | None]]]: ...
    async def commit(self, offsets: Mapping[TopicPartition, int] | None = None) -> None: ...
