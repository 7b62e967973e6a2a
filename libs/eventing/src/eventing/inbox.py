"""Delivering events to handlers: offset, inbox row and effect in one transaction, whatever dies when.

Invariants: the database, not Kafka, knows what was consumed, so a batch takes effect only if it begins exactly where
the locked `consumer_offset` stands. No exception leaves a delivery unseen: an event takes effect, is skipped as not
ours, is parked with its error, or waits.
"""

import asyncio
import itertools
import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import sqlalchemy as sa
from opentelemetry import trace
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from contracts.catalogue import by_type
from eventing import metrics, parking
from eventing.alarm import Alarm, ReleaseLooksBroken
from eventing.dispatch import dispatch
from eventing.failures import Failure, kind_of
from eventing.kafka import KafkaSettings
from eventing.parking import ToPark
from eventing.records import Delivered, Faulty, Record, Skipped, header, key_of, read
from eventing.seen import new_in_inbox
from eventing.streams import Stream, run_streams
from eventing.subscriptions import Group, Subscriptions, groups

__all__ = ["Consumer", "ConsumerState", "CrashedThreeTimes", "ReleaseLooksBroken"]

_log = logging.getLogger(__name__)
_tracer = trace.get_tracer("eventing")
_ROW_TRIES: Final = 5
_CRASHES: Final = 3


class CrashedThreeTimes(Exception):
    """The process died three times while handling this event."""


@dataclass(slots=True)
class ConsumerState:
    """What health says of a consumer: `waiting` why a topic waits, `halted` why a group was stopped."""

    running: bool = False
    waiting: dict[str, str] = field(default_factory=dict[str, str])
    halted: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Offset:
    """A locked consumer_offset row."""

    next_offset: int
    attempt_offset: int | None
    attempts: int


class Consumer:
    """All consumer groups of a service. `run` fetches from Kafka; `deliver` takes records from anywhere."""

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        kafka: KafkaSettings,
        *,
        service: str,
        subscriptions: Iterable[Subscriptions],
        partitions: int = 12,
        max_records: int = 1000,
        alarm_keys: int = 100,
        look_seconds: float = 5.0,
    ) -> None:
        """`partitions` is what each topic must have; every `look_seconds` it looks whether the database stands where it
        thinks, and tells Kafka (for lag alone)."""
        self._sessions = sessions
        self.kafka = kafka
        self.groups = groups(service, subscriptions)
        self.partitions = partitions
        self.max_records = max_records
        self.look_seconds = look_seconds
        self.state = ConsumerState()
        self._alarms = {group.id: Alarm(group.id, alarm_keys) for group in self.groups}

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop`, through any absence of Kafka or the database.

        Raises topics.WrongPartitions when a topic has another number of partitions than it was built for.
        """
        await run_streams(self, stop)

    async def deliver(self, records: Sequence[Record]) -> None:
        """Deliver `records` to every group as `run` would, without Kafka: each partition goes on where the database
        stands. Raises what `run` would wait out (connectivity)."""
        for group in self.groups:
            by_topic: dict[str, list[Record]] = {}
            for record in records:
                by_topic.setdefault(record.topic, []).append(record)
            for topic, some in by_topic.items():
                if topic in group.topics:
                    await self.poll(group, Stream(topic), some)

    async def open(self, group: Group, topic: str, partitions: Mapping[int, int]) -> dict[int, tuple[int, bool]]:
        """Take partitions over. `partitions`: number → first offset that Kafka still has. Returns number → where to
        start, and whether to be careful (its last owner died before it committed anything)."""
        async with self._sessions() as tx, tx.begin():
            rows = await tx.execute(
                sa.text(
                    "INSERT INTO consumer_offset AS o (consumer_group, topic, partition, next_offset, opened)"
                    " SELECT :group, :topic, p, first, 1"
                    " FROM unnest(CAST(:partitions AS int[]), CAST(:firsts AS bigint[])) AS u(p, first) ORDER BY p"
                    " ON CONFLICT (consumer_group, topic, partition) DO UPDATE SET opened = o.opened + 1,"
                    "  next_offset = greatest(o.next_offset, excluded.next_offset)"
                    " RETURNING partition, next_offset, opened > 1 OR attempt_offset IS NOT DISTINCT FROM next_offset"
                ),
                {
                    "group": group.id,
                    "topic": topic,
                    "partitions": list(partitions),
                    "firsts": list(partitions.values()),
                },
            )
            return {
                partition: (start, careful)
                for partition, start, careful in cast("Iterable[tuple[int, int, bool]]", rows.all())
            }

    async def close(self, group: Group, topic: str, positions: Mapping[int, int]) -> None:
        """Give partitions up in good order: no crash is to be suspected."""
        async with self._sessions() as tx, tx.begin():
            await tx.execute(
                sa.text(
                    "UPDATE consumer_offset o SET opened = 0, attempt_offset = NULL, attempts = 0"
                    " FROM unnest(CAST(:partitions AS int[]), CAST(:positions AS bigint[])) AS u(p, position)"
                    " WHERE o.consumer_group = :group AND o.topic = :topic AND o.partition = u.p"
                    " AND o.next_offset = u.position"
                ),
                {
                    "group": group.id,
                    "topic": topic,
                    "partitions": list(positions),
                    "positions": list(positions.values()),
                },
            )

    async def offsets(self, group: Group, topic: str) -> dict[int, int]:
        """Where the database stands: partition → the next offset."""
        async with self._sessions() as tx:
            rows = await tx.execute(
                sa.text(
                    "SELECT partition, next_offset FROM consumer_offset"
                    " WHERE consumer_group = :group AND topic = :topic"
                ),
                {"group": group.id, "topic": topic},
            )
            return dict(cast("Iterable[tuple[int, int]]", rows.all()))

    async def halted(self, group: Group) -> str | None:
        """Why the alarm stopped a group, in this process or before; None when it may run."""
        async with self._sessions() as tx:
            error = await parking.halted(tx, group.id)
        if error is None:
            if self.state.halted.pop(group.id, None) is not None:
                self._alarms[group.id].reset()
            metrics.HALTED.labels(group.id).set(0)
        else:
            self.state.halted[group.id] = error
        return error

    async def poll(self, group: Group, stream: Stream, records: Sequence[Record]) -> None:
        """Deliver what one poll brought: all of it in one transaction, or one event at a time where that fails.

        `stream.begins` says where each partition's records begin; a partition that is not there goes on from where the
        database stands. Raises connectivity errors after telling the stream to wait; never anything else.
        """
        began = time.monotonic()
        careful = [record for record in records if record.partition in stream.careful]
        together = [record for record in records if record.partition not in stream.careful]
        try:
            if together:
                with _tracer.start_as_current_span(
                    f"{stream.topic} process", kind=trace.SpanKind.CONSUMER, attributes={"messages": len(together)}
                ):
                    try:
                        await self._transaction(group, stream, together)
                    except ReleaseLooksBroken:
                        raise
                    except Exception as error:
                        if kind_of(error) is Failure.CONNECTIVITY:
                            raise
                        _log.warning("%s %s: batch failed, one by one: %r", group.id, stream.topic, error)
                        careful += together
            for record in careful:
                await self._single(group, stream, record)
            stream.careful.difference_update(record.partition for record in careful)
        except ReleaseLooksBroken as broken:
            await self._halt(group, broken)
            raise
        metrics.BATCH_SECONDS.labels(group.id, stream.topic).observe(time.monotonic() - began)

    async def _single(self, group: Group, stream: Stream, record: Record) -> None:
        """One event, to its end: effect, skipped, or parked."""
        if record.partition in stream.moved:
            return
        suspected = record.partition in stream.careful
        if suspected and await self._attempt(group, stream, record) > _CRASHES:
            crashed = CrashedThreeTimes(f"the process died {_CRASHES} times while handling it")
            await self._transaction(group, stream, [record], ToPark.because(record, crashed, _CRASHES))
            return
        for attempt in itertools.count(1):
            try:
                await self._transaction(group, stream, [record])
            except ReleaseLooksBroken:
                raise
            except Exception as error:
                kind = kind_of(error)
                if kind is Failure.CONNECTIVITY:
                    raise
                if kind is Failure.ROW and attempt < _ROW_TRIES:
                    await asyncio.sleep(0.02 * 2**attempt)
                    continue
                _log.error(
                    "%s %s: parking %s@%s", group.id, stream.topic, record.partition, record.offset, exc_info=error
                )
                await self._transaction(group, stream, [record], ToPark.because(record, error, attempt))
            return

    async def _attempt(self, group: Group, stream: Stream, record: Record) -> int:
        """Record that this event is being tried, before it is; returns how many processes have begun it."""
        async with self._sessions() as tx, tx.begin():
            offsets = await _locked(tx, group, stream.topic, [record.partition])
            row = offsets[record.partition]
            tried = row.attempts if row.attempt_offset == record.offset else 0
            if stream.attempted.get(record.partition) != record.offset:
                tried += 1
                await tx.execute(
                    sa.text(
                        "UPDATE consumer_offset SET attempt_offset = :offset, attempts = :tried"
                        " WHERE consumer_group = :group AND topic = :topic AND partition = :partition"
                        " AND next_offset <= :offset"
                    ),
                    {
                        "offset": record.offset,
                        "tried": tried,
                        "group": group.id,
                        "topic": stream.topic,
                        "partition": record.partition,
                    },
                )
        stream.attempted[record.partition] = record.offset
        return tried

    async def _transaction(
        self, group: Group, stream: Stream, records: Sequence[Record], culprit: ToPark | None = None
    ) -> None:
        """Offset, inbox and effect of `records` in one transaction; `culprit` is parked instead of handled."""
        moved: dict[int, int] = {}
        ends: dict[int, int] = {}
        outcomes: list[tuple[str, str]] = []
        async with self._sessions() as tx, tx.begin():
            offsets = await _locked(tx, group, stream.topic, sorted({record.partition for record in records}))
            fresh: list[Record] = []
            for record in records:
                partition, stands = record.partition, offsets[record.partition].next_offset
                if stream.begins.get(partition, stands) != stands:
                    moved[partition] = stands
                elif record.offset >= stands:
                    fresh.append(record)
                    ends[partition] = record.offset + 1
            if fresh:
                outcomes = await self._effect(tx, group, stream.topic, fresh, culprit)
                await tx.flush()
                await _advance(tx, group, stream.topic, ends)
        stream.begins.update(ends)
        for partition, stands in moved.items():
            stream.seek(partition, stands)
        for (ce_type, outcome), times in Counter(outcomes).items():
            metrics.EVENTS.labels(group.id, ce_type, outcome).inc(times)

    async def _effect(
        self, tx: AsyncSession, group: Group, topic: str, records: Sequence[Record], culprit: ToPark | None
    ) -> list[tuple[str, str]]:
        outcomes: list[tuple[str, str]] = []
        to_park: list[ToPark] = []
        candidates: list[Delivered] = []
        reads = [read(record, group.heard) for record in records]
        held = await parking.held_keys(tx, group.id, topic, {key_of(record) for record in records})
        newly: set[str] = set()
        for each in reads:
            key = key_of(each.record)
            if isinstance(each, Skipped):
                outcomes.append(("other", "unheard" if by_type(each.ce_type) else "unknown"))
                continue
            if key in held:
                to_park.append(ToPark.behind_its_key(each.record))
            elif culprit is not None:
                to_park.append(culprit)
                newly.add(key)
            elif isinstance(each, Faulty):
                to_park.append(ToPark.because(each.record, each.fault))
                newly.add(key)
            else:
                candidates.append(each)
                continue
            held.add(key)
        self._alarms[group.id].note((key_of(record) for record in records), newly)
        if to_park:
            await parking.park(tx, group.id, to_park)
            outcomes += [(_known_type(group, each), "behind" if each.behind else "parked") for each in to_park]
        new = await new_in_inbox(tx, group.id, candidates)
        outcomes += [("other", "repeated")] * (len(candidates) - len(new))
        await dispatch(tx, new)
        outcomes += [(each.envelope.type, "handled") for each in new]
        return outcomes

    async def _halt(self, group: Group, broken: ReleaseLooksBroken) -> None:
        self.state.halted[group.id] = str(broken)
        metrics.HALTED.labels(group.id).set(1)
        _log.critical("%s stopped: %s", group.id, broken)
        async with self._sessions() as tx, tx.begin():
            await tx.execute(
                sa.text(
                    "INSERT INTO consumer_halt (consumer_group, error) VALUES (:group, :error) ON CONFLICT DO NOTHING"
                ),
                {"group": group.id, "error": str(broken)},
            )


def _known_type(group: Group, parked: ToPark) -> str:
    ce_type = header(parked.record, "ce_type")
    return ce_type if ce_type in group.heard else "other"


async def _locked(tx: AsyncSession, group: Group, topic: str, partitions: Sequence[int]) -> dict[int, Offset]:
    """The partitions' rows, locked until the transaction ends; a frozen owner loses its lock after 20 s."""
    of = {"group": group.id, "topic": topic, "partitions": list(partitions)}
    select = sa.text(
        "SELECT partition, next_offset, attempt_offset, attempts,"
        " set_config('idle_in_transaction_session_timeout', '20s', true) FROM consumer_offset"
        " WHERE consumer_group = :group AND topic = :topic AND partition = ANY(:partitions)"
        " ORDER BY partition FOR UPDATE"
    )
    rows = cast(Sequence[Any], (await tx.execute(select, of)).all())
    if len(rows) < len(partitions):
        await tx.execute(
            sa.text(
                "INSERT INTO consumer_offset (consumer_group, topic, partition, next_offset)"
                " SELECT :group, :topic, p, 0 FROM unnest(CAST(:partitions AS int[])) AS p ON CONFLICT DO NOTHING"
            ),
            of,
        )
        rows = cast(Sequence[Any], (await tx.execute(select, of)).all())
    return {row[0]: Offset(row[1], row[2], row[3]) for row in rows}


async def _advance(tx: AsyncSession, group: Group, topic: str, ends: Mapping[int, int]) -> None:
    await tx.execute(
        sa.text(
            "UPDATE consumer_offset o SET next_offset = u.stop, opened = 0, attempt_offset = NULL, attempts = 0"
            " FROM unnest(CAST(:partitions AS int[]), CAST(:stops AS bigint[])) AS u(p, stop)"
            " WHERE o.consumer_group = :group AND o.topic = :topic AND o.partition = u.p"
        ),
        {"group": group.id, "topic": topic, "partitions": list(ends), "stops": list(ends.values())},
    )
