"""Feeding into a real Kafka: once, in order, whatever is killed meanwhile."""

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from aiokafka.errors import KafkaConnectionError, RequestTimedOutError

from contracts.bank.ledger import BusinessDayClosed, Posting
from contracts.base import Event
from ledger_feed.feeding import Feed, ShapeName, feed
from ledger_feed.progress import Refused
from ledger_feed.publishing import Batch, Kafka, KafkaAway, Producer, Publisher
from ledger_feed.report import RowReport
from ledger_feed.sequence import Drill, Outgoing
from ledger_feed.shape import Book
from ledger_feed.vat_invoices import VatInvoices

VAT = "client,invoice_no,date,debtor,net,tax,gross,status"
Save = Callable[..., Path]
Read = Callable[..., tuple[list[Outgoing], RowReport]]
Consume = Callable[[], Awaitable[list[list[tuple[str, Event]]]]]


def rows(count: int, clients: int = 17, days: int = 24) -> Iterator[str]:
    for nth in range(count):
        day = 1 + nth * days // count
        yield f"E{nth % clients},{nth},2019-0{1 + day // 25}-{1 + day % 25:02d},B{nth % 5},{nth},0,{nth + 1},valid"


def vat(book: Book) -> Callable[[str], VatInvoices]:
    return lambda sha256: VatInvoices(book, sha256, term_days=60)


def vat_feed(path: Path, book: Book, topic: str, term_days: int = 60, drill: Drill | None = None) -> Feed:
    return Feed(path, ShapeName.VAT_INVOICES, book, term_days=term_days, topic=topic, drill=drill or Drill())


def per_key(records: list[tuple[str, Event]]) -> dict[str, list[str]]:
    """Key → ids in the order of their first appearance."""
    order: dict[str, dict[str, None]] = {}
    for id, event in records:
        order.setdefault(event.key, {}).setdefault(id)
    return {key: list(ids) for key, ids in order.items()}


async def test_every_event_is_on_the_topic_once_and_each_client_s_in_order(
    save: Save, read: Read, book: Book, kafka_bootstrap: str, topic: str, consume: Consume, tmp_path: Path
) -> None:
    path = save(VAT, *rows(3_000))
    wanted, _ = read(path, vat(book))
    outcome = await feed(vat_feed(path, book, topic), Kafka(kafka_bootstrap), tmp_path / "state", round_size=400)
    assert outcome.sent == len(wanted)
    partitions = await consume()
    assert sum(map(len, partitions)) == len(wanted)
    told = [each for partition in partitions for each in partition]
    assert per_key(told) == per_key([(str(out.id), out.event) for out in wanted])
    assert dict(told) == {str(out.id): out.event for out in wanted}


async def test_the_same_file_again_publishes_nothing(
    save: Save, book: Book, kafka_bootstrap: str, topic: str, consume: Consume, tmp_path: Path
) -> None:
    path = save(VAT, *rows(50))
    kafka, state = Kafka(kafka_bootstrap), tmp_path / "state"
    first = await feed(vat_feed(path, book, topic), kafka, state)
    again = await feed(vat_feed(path, book, topic), kafka, state)
    assert (first.already, again.already, again.sent) == (False, True, 0)
    renamed = path.rename(path.with_name("renamed.csv"))
    assert (await feed(vat_feed(renamed, book, topic), kafka, state)).already
    assert sum(map(len, await consume())) == first.sent


async def test_without_its_memory_the_same_ids_are_published_again(
    save: Save, book: Book, kafka_bootstrap: str, topic: str, consume: Consume, tmp_path: Path
) -> None:
    path = save(VAT, *rows(50))
    first = await feed(vat_feed(path, book, topic), Kafka(kafka_bootstrap), tmp_path / "one")
    await feed(vat_feed(path, book, topic), Kafka(kafka_bootstrap), tmp_path / "other")
    told = [each for partition in await consume() for each in partition]
    assert set(Counter(id for id, _ in told).values()) == {2}
    assert len(dict(told)) == first.sent


async def test_a_changed_parameter_is_refused_with_an_explanation(
    save: Save, book: Book, kafka_bootstrap: str, topic: str, tmp_path: Path
) -> None:
    path = save(VAT, *rows(5))
    await feed(vat_feed(path, book, topic), Kafka(kafka_bootstrap), tmp_path / "state")
    with pytest.raises(Refused, match="term days was 60, now 90"):
        await feed(vat_feed(path, book, topic, term_days=90), Kafka(kafka_bootstrap), tmp_path / "state")
    other = Book("OTHER", book.currency, book.system)
    with pytest.raises(Refused, match="entity was TEST-ENTITY, now OTHER"):
        await feed(vat_feed(path, other, topic), Kafka(kafka_bootstrap), tmp_path / "state")


async def test_a_drill_keeps_one_event_off_the_wire_and_changes_another(
    save: Save, book: Book, kafka_bootstrap: str, topic: str, consume: Consume, tmp_path: Path
) -> None:
    path = save(VAT, *rows(3, clients=1, days=1))
    drill = Drill(frozenset({2}), {3: Decimal(7)})
    await feed(vat_feed(path, book, topic, drill=drill), Kafka(kafka_bootstrap), tmp_path / "state")
    told = [event for partition in await consume() for _, event in partition]
    amounts = [cast(Any, event).amount.amount for event in told if isinstance(event, Posting)]
    [close] = [event for event in told if isinstance(event, BusinessDayClosed)]
    assert amounts == [1, 7]
    assert [(line.count, line.total.amount) for line in close.lines] == [(3, 6)]
    with pytest.raises(Refused, match="no good row 9"):
        await feed(
            vat_feed(save(VAT, *rows(4), name="b.csv"), book, topic, drill=Drill(frozenset({9}))),
            Kafka(kafka_bootstrap),
            tmp_path / "state",
        )


async def test_two_feeds_of_one_file_at_once_are_refused(
    save: Save, book: Book, kafka_bootstrap: str, topic: str, tmp_path: Path
) -> None:
    path = save(VAT, *rows(300))
    slow = asyncio.create_task(feed(vat_feed(path, book, topic), Kafka(kafka_bootstrap), tmp_path / "state", rate=40))
    for _ in range(200):
        await asyncio.sleep(0.05)
        if list((tmp_path / "state").rglob("*.json")):
            break
    with pytest.raises(Refused, match="another process"):
        await feed(vat_feed(path, book, topic), Kafka(kafka_bootstrap), tmp_path / "state")
    slow.cancel()
    with suppress(asyncio.CancelledError):
        await slow


async def test_the_rate_is_kept(save: Save, book: Book, kafka_bootstrap: str, topic: str, tmp_path: Path) -> None:
    path = save(VAT, *rows(190, clients=2, days=5))
    loop = asyncio.get_running_loop()
    started = loop.time()
    outcome = await feed(vat_feed(path, book, topic), Kafka(kafka_bootstrap), tmp_path / "state", rate=100)
    assert outcome.sent / (loop.time() - started) < 120


async def test_killed_again_and_again_it_goes_on_and_doubles_nothing_but_what_was_not_acknowledged(
    save: Save, read: Read, book: Book, kafka_bootstrap: str, topic: str, consume: Consume, tmp_path: Path
) -> None:
    path = save(VAT, *rows(6_000))
    wanted, _ = read(path, vat(book))
    state = tmp_path / "state"
    command = [
        sys.executable, "-m", "ledger_feed", "feed", str(path), "--shape", "vat-invoices", "--entity", book.entity_id,
        "--currency", book.currency, "--system", book.system, "--term-days", "60", "--no-register",
        "--bootstrap", kafka_bootstrap, "--topic", topic, "--state-dir", str(state), "--rate", "2000",
    ]  # fmt: skip
    reached = [0]
    for _ in range(3):
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
        while _position(state) < reached[-1] + 700:
            await asyncio.sleep(0.005)
            assert process.returncode is None
        process.send_signal(signal.SIGKILL)
        await process.wait()
        reached.append(_position(state))
    last = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, told = await last.communicate()
    assert last.returncode == 0, told.decode()
    assert f"Going on after event {reached[-1]:,}" in told.decode()
    place = {str(out.id): nth for nth, out in enumerate(wanted)}
    records = [each for partition in await consume() for each in partition]
    assert per_key(records) == per_key([(str(out.id), out.event) for out in wanted])
    assert dict(records) == {str(out.id): out.event for out in wanted}
    twice = {place[id] for id, times in Counter(id for id, _ in records).items() if times > 1}
    assert all(any(at <= nth < at + 500 for at in reached[1:]) for nth in twice)


def _position(state: Path) -> int:
    for path in state.rglob("*.json"):
        return int(json.loads(path.read_text())["position"])
    return 0


async def test_a_kafka_that_is_not_there_is_waited_for_and_then_said(save: Save, book: Book, tmp_path: Path) -> None:
    with pytest.raises(KafkaAway, match="run the same command again"):
        await feed(vat_feed(save(VAT, *rows(1)), book, "x"), Kafka("127.0.0.1:1", patience=1.0), tmp_path / "state")


async def test_a_topic_that_is_not_there_is_said(save: Save, book: Book, kafka_bootstrap: str, tmp_path: Path) -> None:
    with pytest.raises(KafkaAway, match="UnknownTopic"):
        await feed(
            vat_feed(save(VAT, *rows(1)), book, "no-such-topic"),
            Kafka(kafka_bootstrap, patience=1.0),
            tmp_path / "state",
        )


# --- a producer that fails, to see what is sent again ---


@dataclass
class FakeBatch:
    room: int
    records: list[bytes] = field(default_factory=list[bytes])

    def append(self, *, timestamp: int | None, key: bytes, value: bytes, headers: list[tuple[str, bytes]]) -> object:
        if len(self.records) >= self.room:
            return None
        self.records.append(dict(headers)["ce_id"])
        return True

    def close(self) -> None: ...


@dataclass
class Log:
    """What reached each partition, and which sends are to fail (written or not)."""

    partitions: dict[int, list[bytes]] = field(default_factory=dict[int, list[bytes]])
    failures: list[tuple[int, bool]] = field(default_factory=list[tuple[int, bool]])
    producers: int = 0


class FakeProducer:
    def __init__(self, log: Log) -> None:
        self.log = log

    async def start(self) -> None:
        self.log.producers += 1

    async def stop(self) -> None: ...

    async def partitions_for(self, topic: str) -> set[int]:
        return {0, 1, 2}

    def create_batch(self) -> Batch:
        return FakeBatch(room=3)

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> "asyncio.Future[object]":
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        written = True
        if self.log.failures and self.log.failures[0][0] == partition:
            written = self.log.failures.pop(0)[1]
            future.set_exception(RequestTimedOutError() if written else KafkaConnectionError())
        else:
            future.set_result(True)
        if written:
            self.log.partitions.setdefault(partition, []).extend(cast(FakeBatch, batch).records)
        return future


class FakeKafka(Kafka):
    def __init__(self, log: Log) -> None:
        super().__init__("fake", patience=30.0)
        object.__setattr__(self, "log", log)

    def producer(self) -> Producer:
        return FakeProducer(cast(Any, self).log)


async def test_nothing_passes_a_batch_that_failed(save: Save, read: Read, book: Book) -> None:
    wanted, _ = read(save(VAT, *rows(60)), vat(book))
    log = Log(failures=[(1, False), (0, True), (2, True), (1, True)])
    said: list[str] = []
    reached: list[int] = []
    publisher = Publisher(FakeKafka(log), "t", said.append, round_size=20)
    assert await publisher.publish(iter(wanted), reached.append) == len(wanted)
    assert reached == sorted(reached)
    assert reached[-1] == len(wanted)
    assert not log.failures
    assert log.producers == len(said) + 1 > 2
    ids: set[bytes] = set()
    keys = {str(out.id).encode(): out.event.key for out in wanted}
    order: dict[str, list[bytes]] = {}
    for records in log.partitions.values():
        for id in records:
            if id not in ids:
                ids.add(id)
                order.setdefault(keys[id], []).append(id)
    expected: dict[str, list[bytes]] = {}
    for out in wanted:
        expected.setdefault(out.event.key, []).append(str(UUID(str(out.id))).encode())
    assert order == expected
