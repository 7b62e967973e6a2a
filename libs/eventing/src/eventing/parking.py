"""Events that could not be handled, kept with their error, and their keys behind them: nothing is dropped.

Invariant: while a key has a `parked_key` row, every later event of that topic and key is parked behind it. Consumer and
replay lock that row, and the transaction that finds the key's queue empty deletes it, so no event is left behind.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_sessionmaker

from eventing import failures
from eventing.dispatch import dispatch
from eventing.records import Delivered, Faulty, Record, header, key_of, known_at, read, restored, stored_headers
from eventing.schema import consumer_halt, parked_event, parked_key
from eventing.seen import new_in_inbox
from eventing.subscriptions import Group

_MOST_TEXT: Final = 4000


@dataclass(frozen=True, slots=True)
class ToPark:
    """A record and why it is parked; `behind` when its key's earlier event is at fault, not it."""

    record: Record
    error_class: str
    error: str
    attempts: int = 1
    behind: bool = False

    @classmethod
    def because(cls, record: Record, error: BaseException, attempts: int = 1) -> "ToPark":
        return cls(record, type(error).__name__, f"{error}"[:_MOST_TEXT].replace("\x00", "\\x00"), attempts)

    @classmethod
    def behind_its_key(cls, record: Record) -> "ToPark":
        return cls(record, "Behind", "an earlier event of this key is parked", 0, behind=True)


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """A parked event as /ops shows it; no value, since it may be large."""

    id: int
    consumer_group: str
    topic: str
    partition: int
    offset: int
    key: str
    ce_id: str | None
    ce_type: str | None
    error_class: str
    error: str
    behind: bool
    attempts: int
    parked_at: datetime
    status: str
    settled_at: datetime | None
    settled_by: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class ParkedKey:
    """A key that waits: since when, how many events, and what its first one failed with."""

    consumer_group: str
    topic: str
    key: str
    since: datetime
    events: int
    error_class: str
    error: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """How far a replay came: how many events took effect, and the one that failed again, if any."""

    done: int
    failed: ParkedEvent | None


class UnknownParked(LookupError):
    """There is no such event waiting."""


class ReasonNeeded(ValueError):
    """A parked event is discarded for a stated reason only."""


_SHOWN: Final = [parked_event.c[name] for name in ParkedEvent.__slots__]


def _of(group: str, topic: str, key: str) -> sa.ColumnElement[bool]:
    return (
        (parked_event.c.consumer_group == group)
        & (parked_event.c.topic == topic)
        & (parked_event.c.key == key)
        & (parked_event.c.status == "parked")
    )


async def held_keys(tx: AsyncSession, group: str, topic: str, keys: Iterable[str]) -> set[str]:
    """Which of `keys` have events parked; those keys are locked until the transaction ends."""
    found = await tx.execute(
        sa.text(
            "SELECT key FROM parked_key WHERE consumer_group = :group AND topic = :topic AND key = ANY(:keys)"
            " ORDER BY key FOR UPDATE"
        ),
        {"group": group, "topic": topic, "keys": list(keys)},
    )
    return set(cast(Iterable[str], found.scalars()))


async def park(tx: AsyncSession, group: str, parked: Sequence[ToPark]) -> None:
    """Keep records with their errors, and hold their keys."""
    topic = parked[0].record.topic
    await tx.execute(
        sa.text(
            "INSERT INTO parked_key (consumer_group, topic, key)"
            " SELECT :group, :topic, k FROM unnest(CAST(:keys AS text[])) AS k ORDER BY k ON CONFLICT DO NOTHING"
        ),
        {"group": group, "topic": topic, "keys": sorted({key_of(each.record) for each in parked})},
    )
    await tx.execute(
        sa.insert(parked_event),
        [
            {
                "consumer_group": group,
                "topic": each.record.topic,
                "partition": each.record.partition,
                "offset": each.record.offset,
                "key": key_of(each.record),
                "ce_id": header(each.record, "ce_id"),
                "ce_type": header(each.record, "ce_type"),
                "headers": stored_headers(each.record),
                "value": each.record.value,
                "known_at": known_at(each.record),
                "error_class": each.error_class,
                "error": each.error,
                "behind": each.behind,
                "attempts": each.attempts,
            }
            for each in parked
        ],
    )


async def list_parked(
    conn: AsyncConnection | AsyncSession,
    *,
    group: str | None = None,
    topic: str | None = None,
    key: str | None = None,
    status: str = "parked",
    after: int = 0,
    limit: int = 100,
) -> list[ParkedEvent]:
    """Parked (or "replayed", "discarded") events in order of their id, from the one after `after`."""
    chosen = [parked_event.c.status == status, parked_event.c.id > after]
    for column, value in (("consumer_group", group), ("topic", topic), ("key", key)):
        if value is not None:
            chosen.append(parked_event.c[column] == value)
    rows = await conn.execute(sa.select(*_SHOWN).where(*chosen).order_by(parked_event.c.id).limit(limit))
    return [ParkedEvent(**row) for row in rows.mappings()]


async def list_parked_keys(
    conn: AsyncConnection | AsyncSession, *, group: str | None = None, limit: int = 1000
) -> list[ParkedKey]:
    """Keys that wait, the oldest first."""
    rows = await conn.execute(
        sa.text(
            "SELECT k.consumer_group, k.topic, k.key, k.since,"
            " (SELECT count(*) FROM parked_event e WHERE e.consumer_group = k.consumer_group AND e.topic = k.topic"
            "   AND e.key = k.key AND e.status = 'parked') AS events,"
            " coalesce(f.error_class, '') AS error_class, coalesce(f.error, '') AS error"
            " FROM parked_key k LEFT JOIN LATERAL (SELECT error_class, error FROM parked_event e"
            "  WHERE e.consumer_group = k.consumer_group AND e.topic = k.topic AND e.key = k.key"
            "   AND e.status = 'parked' ORDER BY e.\"offset\" LIMIT 1) f ON true"
            " WHERE CAST(:group AS text) IS NULL OR k.consumer_group = :group ORDER BY k.since LIMIT :limit"
        ),
        {"group": group, "limit": limit},
    )
    return [ParkedKey(**row) for row in rows.mappings()]


async def replay(
    sessions: async_sessionmaker[AsyncSession], group: Group, topic: str, key: str, *, actor: str
) -> Replayed:
    """Handle a key's parked events again, in order, each in its own transaction under the key's lock.

    Stops at the first that fails again, which stays parked with its new error. Raises what is not the event's fault
    (connectivity, conflicts of rows): try later.
    """
    done = 0
    while True:
        async with sessions() as tx, tx.begin():
            await _lock(tx, group.id, topic, key)
            row = (
                await tx.execute(
                    sa.select(parked_event).where(_of(group.id, topic, key)).order_by(parked_event.c.offset).limit(1)
                )
            ).mappings().first()  # fmt: skip
            if row is None:
                await _release(tx, group.id, topic, key)
                return Replayed(done, None)
            try:
                async with tx.begin_nested():
                    await _again(tx, group, row)
            except Exception as error:
                if failures.kind_of(error) is not failures.Failure.FACT:
                    raise
                await _failed_again(tx, row, error)
                return Replayed(done, ParkedEvent(**{name: row[name] for name in ParkedEvent.__slots__}))
            await _settle(tx, row["id"], "replayed", actor, None)
        done += 1


async def discard(conn: AsyncConnection | AsyncSession, id: int, *, reason: str, actor: str) -> None:
    """Give a parked event up for a stated reason; the row stays as the record of it. In the caller's transaction.

    Raises ReasonNeeded for an empty reason, UnknownParked where nothing with that id waits.
    """
    if not reason.strip():
        raise ReasonNeeded("say why this event may be given up")
    row = (
        await conn.execute(
            sa.select(parked_event.c.consumer_group, parked_event.c.topic, parked_event.c.key).where(
                parked_event.c.id == id, parked_event.c.status == "parked"
            )
        )
    ).first()
    if row is None:
        raise UnknownParked(f"parked event {id}")
    group, topic, key = cast(tuple[str, str, str], tuple(row))
    await _lock(conn, group, topic, key)
    if not await _settle(conn, id, "discarded", actor, reason.strip()):
        raise UnknownParked(f"parked event {id}")
    if (await conn.execute(sa.select(parked_event.c.id).where(_of(group, topic, key)).limit(1))).first() is None:
        await _release(conn, group, topic, key)


async def halted(conn: AsyncConnection | AsyncSession, group: str) -> str | None:
    """Why a consumer group was stopped by its alarm; None when it was not."""
    return (
        await conn.execute(sa.select(consumer_halt.c.error).where(consumer_halt.c.consumer_group == group))
    ).scalar()


async def resume_group(conn: AsyncConnection | AsyncSession, group: str) -> None:
    """Let a stopped consumer group go on (its release was mended)."""
    await conn.execute(sa.delete(consumer_halt).where(consumer_halt.c.consumer_group == group))


async def _lock(tx: AsyncConnection | AsyncSession, group: str, topic: str, key: str) -> None:
    await tx.execute(
        sa.select(parked_key.c.key)
        .where(parked_key.c.consumer_group == group, parked_key.c.topic == topic, parked_key.c.key == key)
        .with_for_update()
    )


async def _release(tx: AsyncConnection | AsyncSession, group: str, topic: str, key: str) -> None:
    await tx.execute(
        sa.delete(parked_key).where(
            parked_key.c.consumer_group == group, parked_key.c.topic == topic, parked_key.c.key == key
        )
    )


async def _again(tx: AsyncSession, group: Group, row: Mapping[str, Any] | sa.RowMapping) -> None:
    again = read(restored(cast(Mapping[str, Any], row)), group.heard)
    if isinstance(again, Faulty):
        raise again.fault
    if isinstance(again, Delivered) and await new_in_inbox(tx, group.id, [again]):
        await dispatch(tx, [again])
        await tx.flush()


async def _failed_again(tx: AsyncSession, row: Mapping[str, Any] | sa.RowMapping, error: BaseException) -> None:
    latest = ToPark.because(restored(cast(Mapping[str, Any], row)), error)
    await tx.execute(
        sa.update(parked_event)
        .where(parked_event.c.id == row["id"])
        .values(error_class=latest.error_class, error=latest.error, behind=False, attempts=parked_event.c.attempts + 1)
    )


async def _settle(tx: AsyncConnection | AsyncSession, id: int, status: str, actor: str, reason: str | None) -> bool:
    settled = await tx.execute(
        sa.update(parked_event)
        .where(parked_event.c.id == id, parked_event.c.status == "parked")
        .values(status=status, settled_at=sa.func.clock_timestamp(), settled_by=actor, reason=reason)
        .returning(parked_event.c.id)
    )
    return settled.first() is not None
