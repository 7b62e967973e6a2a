"""Files as a bank would send them, and a topic of the real Kafka for each test that needs one."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from contracts import by_type
from contracts.base import Event
from contracts.wire import read_headers
from ledger_feed.report import RowReport
from ledger_feed.rows import LedgerFile
from ledger_feed.sequence import Drill, Outgoing, Sequence
from ledger_feed.shape import Book, Shape

DATA = Path(__file__).parents[4] / "shared" / "data"

Mapping = Callable[[str], Shape]
Fed = tuple[list[Outgoing], RowReport]
Read = Callable[..., Fed]
Save = Callable[..., Path]


@pytest.fixture(scope="session")
def book() -> Book:
    return Book("TEST-ENTITY", "CNY", "test-ledger")


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """save(header, *rows) → the CSV's path."""

    def _save(header: str, *rows: str, name: str = "ledger.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
        return path

    return _save


@pytest.fixture
def read(book: Book) -> Read:
    """read(path, mapping of the file's hash) → events in order, and the row report."""

    def _read(path: Path, mapping: Mapping, drill: Drill | None = None) -> Fed:
        report = RowReport()
        with LedgerFile.open(path, mapping("").columns) as file:
            sequence = Sequence.scan(file, mapping(file.sha256), book, report, drill)
            events = list(sequence)
        assert len(events) == sequence.total
        return events, report

    return _read


@pytest.fixture(scope="session")
def data() -> Path:
    if not DATA.is_dir():
        pytest.skip("the real data of ../shared/data is not beside this checkout")
    return DATA


@pytest.fixture
async def topic(kafka_bootstrap: str) -> AsyncIterator[str]:
    """A topic of twelve partitions of its own."""
    name = f"ledger-feed-{uuid4().hex[:12]}"
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 12, 1)])
        yield name
        await admin.delete_topics([name])
    finally:
        await admin.close()


Told = tuple[str, Event]
Consume = Callable[[], Awaitable[list[list[Told]]]]


@pytest.fixture
def consume(kafka_bootstrap: str, topic: str) -> Consume:
    """consume() → per partition, the (ce_id, event) of every record in its order."""

    async def _consume() -> list[list[Told]]:
        consumer: Any = AIOKafkaConsumer(
            bootstrap_servers=kafka_bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            partitions = [TopicPartition(topic, nth) for nth in range(12)]
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            ends: dict[Any, int] = await consumer.end_offsets(partitions)
            found: list[list[Told]] = [[] for _ in partitions]
            while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
                fetched: dict[Any, list[Any]] = await consumer.getmany(timeout_ms=500)
                for partition, records in fetched.items():
                    for record in records:
                        envelope = read_headers(record.headers)
                        kind = by_type(envelope.type)
                        assert kind
                        event = kind.model_validate_json(record.value)
                        assert record.key.decode() == event.key
                        assert envelope.time == event.occurred_at
                        found[int(partition.partition)].append((str(envelope.id), event))
            return found
        finally:
            await consumer.stop()

    return _consume
