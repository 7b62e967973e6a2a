"""Projections made anew from the start of the topics, beside the living ones, and put in their place at one instant.

Invariants: only `project` handlers run, over exactly the events that took effect in life: each once, none that is
parked or was given up, none beyond the offsets of the living. Until the swap commits, the living tables are untouched.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import sqlalchemy as sa
from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session

from eventing.dispatch import dispatch
from eventing.kafka import KafkaSettings, SeekingConsumer
from eventing.projections import projection_tables
from eventing.records import Delivered, Faulty, Record, read
from eventing.schema import consumer_offset
from eventing.seen import new_in_inbox
from eventing.session import sessions
from eventing.subscriptions import Group, Subscriptions, groups

_log = logging.getLogger(__name__)
_SHADOW: Final = "rebuild"
_OLD: Final = "rebuilt_from"
_CLOSE_ENOUGH: Final = 500
_WRITTEN_ELSEWHERE: Final = sa.text(
    "SELECT c.relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
    " WHERE l.pid = pg_backend_pid() AND l.mode = 'RowExclusiveLock' AND c.relkind IN ('r', 'p')"
    " AND c.relnamespace <> CAST(:shadow AS regnamespace)"
)
"""Tables outside the shadow that this transaction has written: it holds a lock on them until it ends."""


class CannotRebuild(RuntimeError):
    """A projection table is tied to others in a way that a swap would break, or an event failed that lived."""


class WritesElsewhere(RuntimeError):
    """A `project` handler wrote a table that is not marked as a projection."""


class _ReplayedMeanwhile(Exception):
    """An event that was passed over as parked took effect in the meantime."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild did."""

    tables: tuple[str, ...]
    events: int


@dataclass(slots=True)
class _Reading:
    """One group's way through its topics."""

    group: Group
    kafka: SeekingConsumer
    at: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])
    passed_over: set[tuple[str, int, int]] = field(default_factory=set[tuple[str, int, int]])


_Targets = Mapping[tuple[str, str, int], int]
_Parked = Mapping[tuple[str, str, int, int], str]


async def rebuild(
    engine: AsyncEngine,
    kafka: KafkaSettings,
    *,
    service: str,
    subscriptions: Iterable[Subscriptions],
    metadata: sa.MetaData,
) -> Rebuilt:
    """Make every projection table of `metadata` anew and swap them in. The service may run meanwhile.

    Raises CannotRebuild or WritesElsewhere and leaves everything as it was. Run again, it starts from the beginning.
    """
    tables = projection_tables(metadata)
    projecting = [group for group in groups(service, subscriptions) if any(h.project for h in group.heard.values())]
    shadow = _shadow_sessions(engine, service)
    while True:
        async with engine.begin() as connection:
            await _refuse_ties(connection, tables)
            await _create_shadow(connection, tables)
        readings: list[_Reading] = []
        try:
            for group in projecting:
                readings.append(await _start(kafka, group))
            events = await _catch_up(engine, shadow, readings)
            async with engine.begin() as connection:
                targets, parked = await _hold(connection, projecting)
                events += await _read_to(shadow, readings, targets, parked)
                await _swap(connection, tables)
        except _ReplayedMeanwhile:
            _log.warning("a parked event was replayed during the rebuild; it starts again")
            continue
        finally:
            for reading in readings:
                await reading.kafka.stop()
            async with engine.begin() as connection:
                await connection.execute(sa.text(f"DROP SCHEMA IF EXISTS {_SHADOW}, {_OLD} CASCADE"))
        async with engine.begin() as connection:
            for table in tables:
                await connection.execute(sa.text(f"ANALYZE {_quoted(table.name)}"))
        return Rebuilt(tuple(table.name for table in tables), events)


def _shadow_sessions(engine: AsyncEngine, service: str) -> async_sessionmaker[AsyncSession]:
    made = sessions(engine, source=f"/{service}/rebuild")
    session_class = cast("type[Session]", made.kw["sync_session_class"])

    def shadowed(session: Session, transaction: object, connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"SET LOCAL search_path TO {_SHADOW}, public")

    sqlalchemy_event.listen(session_class, "after_begin", shadowed)
    return made


async def _start(kafka: KafkaSettings, group: Group) -> _Reading:
    consumer = cast(
        SeekingConsumer, AIOKafkaConsumer(**kafka.aiokafka(), auto_offset_reset="earliest", enable_auto_commit=False)
    )
    await consumer.start()
    reading = _Reading(group, consumer)
    partitions: list[TopicPartition] = []
    cluster = await cast(Any, consumer)._client.fetch_all_metadata()
    for topic in group.topics:
        found = cast("set[int] | None", cluster.partitions_for_topic(topic))
        if not found:
            raise CannotRebuild(f"the topic {topic} is not there")
        partitions += [TopicPartition(topic, number) for number in sorted(found)]
    consumer.assign(partitions)
    for tp, first in (await consumer.beginning_offsets(partitions)).items():
        consumer.seek(tp, first)
        reading.at[tp.topic, tp.partition] = first
    return reading


async def _catch_up(engine: AsyncEngine, shadow: async_sessionmaker[AsyncSession], readings: Sequence[_Reading]) -> int:
    """Read on until the living are nearly reached, without holding anybody up."""
    events, before = 0, 2**63
    while True:
        async with engine.connect() as connection:
            names = [reading.group.id for reading in readings]
            targets, parked = await _targets(connection, names), await _parked(connection, names)
        behind = sum(max(0, targets.get((r.group.id, *tp), 0) - at) for r in readings for tp, at in r.at.items())
        events += await _read_to(shadow, readings, targets, parked)
        if behind <= _CLOSE_ENOUGH or behind >= before:
            return events
        before = behind


async def _hold(connection: AsyncConnection, projecting: Sequence[Group]) -> tuple[_Targets, _Parked]:
    """Stop the living where they stand (deliveries and replays wait), and say where that is."""
    names = [group.id for group in projecting]
    targets = await _targets(connection, names, lock=True)
    await connection.execute(
        sa.text("SELECT 1 FROM parked_key WHERE consumer_group = ANY(:names) ORDER BY topic, key FOR UPDATE"),
        {"names": names},
    )
    return targets, await _parked(connection, names)


async def _targets(connection: AsyncConnection, names: Sequence[str], *, lock: bool = False) -> _Targets:
    of = consumer_offset.c
    chosen = (
        sa.select(of.consumer_group, of.topic, of.partition, of.next_offset)
        .where(of.consumer_group.in_(names))
        .order_by(of.consumer_group, of.topic, of.partition)
    )
    rows = await connection.execute(chosen.with_for_update() if lock else chosen)
    return {(row[0], row[1], row[2]): row[3] for row in cast("Iterable[Any]", rows.all())}


async def _parked(connection: AsyncConnection, names: Sequence[str]) -> _Parked:
    rows = await connection.execute(
        sa.text(
            'SELECT consumer_group, topic, partition, "offset", status FROM parked_event'
            " WHERE consumer_group = ANY(:names)"
        ),
        {"names": list(names)},
    )
    return {(row[0], row[1], row[2], row[3]): row[4] for row in cast("Iterable[Any]", rows.all())}


async def _read_to(
    shadow: async_sessionmaker[AsyncSession], readings: Sequence[_Reading], targets: _Targets, parked: _Parked
) -> int:
    """Project everything below the targets; returns how many events had an effect."""
    events = 0
    for reading in readings:
        group = reading.group.id
        for topic, partition, offset in reading.passed_over:
            if parked.get((group, topic, partition, offset)) == "replayed":
                raise _ReplayedMeanwhile
        goals = {tp: targets.get((group, *tp), at) for tp, at in reading.at.items()}
        for tp, at in reading.at.items():
            partition = TopicPartition(*tp)
            if at < goals[tp]:
                reading.kafka.seek(partition, at)
                reading.kafka.resume(partition)
            else:
                reading.kafka.pause(partition)
        while short := [tp for tp, at in reading.at.items() if at < goals[tp]]:
            polled = await reading.kafka.getmany(timeout_ms=200, max_records=2000)
            for tp, records in polled.items():
                below = [record for record in records if record.offset < goals[tp.topic, tp.partition]]
                events += await _project(shadow, reading, cast("Sequence[Record]", below), parked)
            for topic, number in short:
                tp = TopicPartition(topic, number)
                reading.at[topic, number] = min(await reading.kafka.position(tp), goals[topic, number])
                if reading.at[topic, number] >= goals[topic, number]:
                    reading.kafka.pause(tp)
    return events


async def _project(
    shadow: async_sessionmaker[AsyncSession], reading: _Reading, records: Sequence[Record], parked: _Parked
) -> int:
    group = reading.group
    lived: list[Record] = []
    for record in records:
        place = (record.topic, record.partition, record.offset)
        if parked.get((group.id, *place), "replayed") == "replayed":
            lived.append(record)
        else:
            reading.passed_over.add(place)
    reads = [read(record, group.heard) for record in lived]
    for each in reads:
        if isinstance(each, Faulty):
            raise CannotRebuild(f"{each.record.topic}-{each.record.partition}@{each.record.offset}: {each.fault}")
    if not reads:
        return 0
    async with shadow() as tx, tx.begin():
        new = await new_in_inbox(tx, group.id, [each for each in reads if isinstance(each, Delivered)])
        await dispatch(tx, new, react=False)
        await tx.flush()
        elsewhere = cast("Sequence[str]", (await tx.execute(_WRITTEN_ELSEWHERE, {"shadow": _SHADOW})).scalars().all())
        if elsewhere:
            raise WritesElsewhere(", ".join(elsewhere))
    return len(new)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


async def _refuse_ties(connection: AsyncConnection, tables: Sequence[sa.Table]) -> None:
    tied = await connection.execute(
        sa.text(
            "SELECT conrelid::regclass || ' refers to ' || confrelid::regclass FROM pg_constraint"
            " WHERE contype = 'f' AND confrelid = ANY(CAST(:oids AS regclass[]))"
            " AND conrelid <> ALL(CAST(:oids AS regclass[]))"
            " UNION ALL SELECT DISTINCT r.ev_class::regclass || ' looks at ' || d.refobjid::regclass"
            " FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid"
            " WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass"
            " AND d.refobjid = ANY(CAST(:oids AS regclass[]))"
        ),
        {"oids": [_quoted(table.name) for table in tables]},
    )
    ties = cast("Sequence[str]", tied.scalars().all())
    if ties:
        raise CannotRebuild("; ".join(ties))


async def _create_shadow(connection: AsyncConnection, tables: Sequence[sa.Table]) -> None:
    """Empty twins of the projection tables and of the inbox, with the names of every index and constraint."""
    await connection.execute(sa.text(f"DROP SCHEMA IF EXISTS {_SHADOW}, {_OLD} CASCADE"))
    await connection.execute(sa.text(f"CREATE SCHEMA {_SHADOW}"))
    await connection.execute(sa.text(f"CREATE TABLE {_SHADOW}.inbox (LIKE public.inbox INCLUDING ALL)"))
    for table in tables:
        name = _quoted(table.name)
        await connection.execute(
            sa.text(f"CREATE TABLE {_SHADOW}.{name} (LIKE public.{name} INCLUDING ALL EXCLUDING INDEXES)")
        )
        for statement in await _definitions(
            connection,
            "SELECT 'ALTER TABLE %s ADD CONSTRAINT ' || quote_ident(conname) || ' ' || pg_get_constraintdef(oid)"
            " FROM pg_constraint WHERE conrelid = CAST(:table AS regclass) AND contype IN ('p', 'u', 'x')",
            table,
        ):
            await connection.exec_driver_sql(statement.replace("%s", f"{_SHADOW}.{name}", 1))
        for statement in await _definitions(
            connection,
            "SELECT pg_get_indexdef(indexrelid) FROM pg_index i WHERE indrelid = CAST(:table AS regclass)"
            " AND NOT EXISTS (SELECT 1 FROM pg_constraint c"
            "  WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x'))",
            table,
        ):
            await connection.exec_driver_sql(statement.replace(" ON public.", f" ON {_SHADOW}.", 1))


async def _definitions(connection: AsyncConnection, query: str, table: sa.Table) -> Sequence[str]:
    found = await connection.execute(sa.text(query), {"table": f"public.{_quoted(table.name)}"})
    return cast("Sequence[str]", found.scalars().all())


async def _swap(connection: AsyncConnection, tables: Sequence[sa.Table]) -> None:
    """In the caller's transaction, which holds the offsets of the living."""
    await connection.execute(sa.text("SET LOCAL lock_timeout = '30s'"))
    await connection.execute(sa.text(f"CREATE SCHEMA {_OLD}"))
    later: list[str] = []
    for table in tables:
        name = _quoted(table.name)
        later += await _definitions(
            connection,
            "SELECT 'ALTER TABLE ' || conrelid::regclass || ' ADD CONSTRAINT ' || quote_ident(conname) || ' '"
            " || pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conrelid = CAST(:table AS regclass) AND contype = 'f'",
            table,
        )
        later += await _definitions(
            connection,
            "SELECT pg_get_triggerdef(oid) FROM pg_trigger"
            " WHERE tgrelid = CAST(:table AS regclass) AND NOT tgisinternal",
            table,
        )
        owned = await _definitions(
            connection,
            "SELECT format('ALTER SEQUENCE %s OWNED BY public.%I.%I', d.objid::regclass, c.relname, a.attname)"
            " FROM pg_depend d JOIN pg_class c ON c.oid = d.refobjid"
            " JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid"
            " JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'"
            " WHERE d.refobjid = CAST(:table AS regclass) AND d.deptype = 'a'",
            table,
        )
        for statement in owned:
            await connection.exec_driver_sql(f"{statement.partition(' OWNED BY')[0]} OWNED BY NONE")
        await connection.execute(sa.text(f"ALTER TABLE public.{name} SET SCHEMA {_OLD}"))
        await connection.execute(sa.text(f"ALTER TABLE {_SHADOW}.{name} SET SCHEMA public"))
        later += owned
    for statement in later:
        await connection.exec_driver_sql(statement)
