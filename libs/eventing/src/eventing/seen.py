"""The inbox: which events a consumer group has handled, so that one that is twice on its topic has its effect once.

The consumer's offsets already drop what is delivered twice; the inbox catches what was published twice. It is kept 30
days: by day of `ce_time` in partitions that are dropped whole, and whatever is older or newer in a default partition.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from eventing.records import Delivered

KEPT: Final = timedelta(days=30)
_AHEAD: Final = 3

_INSERT: Final = sa.text(
    "INSERT INTO inbox (consumer_group, ce_time, ce_id)"
    " SELECT :group, t, i FROM unnest(CAST(:times AS timestamptz[]), CAST(:ids AS uuid[])) AS u(t, i)"
    " ON CONFLICT DO NOTHING RETURNING ce_time, ce_id"
)


async def new_in_inbox(tx: AsyncSession, group: str, deliveries: Sequence[Delivered]) -> list[Delivered]:
    """Enter `deliveries` and return those that were not there, in order."""
    if not deliveries:
        return []
    entered = await tx.execute(
        _INSERT,
        {
            "group": group,
            "times": [each.envelope.time for each in deliveries],
            "ids": [each.envelope.id for each in deliveries],
        },
    )
    new = {(row[0], row[1]) for row in cast("Sequence[tuple[datetime, UUID]]", entered.all())}
    if len(new) == len(deliveries):
        return list(deliveries)
    fresh: list[Delivered] = []
    for each in deliveries:
        identity = (each.envelope.time, each.envelope.id)
        if identity in new:
            new.discard(identity)
            fresh.append(each)
    return fresh


async def maintain_inbox(conn: AsyncConnection | AsyncSession, today: date) -> None:
    """Have a partition for each day from today to three days on, and drop what is older than 30 days. Run it daily.

    Rows of such a day that are in the default partition already are moved. Parked events that were replayed are kept as
    long, and then forgotten too. Idempotent; in the caller's transaction.
    """
    await conn.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('eventing.inbox'))"))
    have = set(
        cast(
            "Sequence[str]",
            (
                await conn.execute(
                    sa.text(
                        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
                        " WHERE i.inhparent = 'inbox'::regclass"
                    )
                )
            ).scalars().all(),
        )
    )  # fmt: skip
    for day in (today + timedelta(days=n) for n in range(_AHEAD + 1)):
        if _name(day) not in have:
            await _create(conn, day)
    oldest = _name(today - KEPT)
    for name in sorted(have):
        if name != "inbox_default" and name < oldest:
            await conn.execute(sa.text(f"DROP TABLE {name}"))
    await conn.execute(
        sa.text("DELETE FROM inbox_default WHERE received_at < CAST(:today AS date) - CAST(:kept AS interval)"),
        {"today": today, "kept": KEPT},
    )
    await conn.execute(
        sa.text(
            "DELETE FROM parked_event WHERE status = 'replayed'"
            " AND settled_at < CAST(:today AS date) - CAST(:kept AS interval)"
        ),
        {"today": today, "kept": KEPT},
    )


def _name(day: date) -> str:
    return f"inbox_{day:%Y%m%d}"


async def _create(conn: AsyncConnection | AsyncSession, day: date) -> None:
    name, first, last = _name(day), f"{day}T00:00:00Z", f"{day + timedelta(days=1)}T00:00:00Z"
    await conn.execute(sa.text(f"CREATE TABLE {name} (LIKE inbox INCLUDING ALL)"))
    await conn.execute(
        sa.text(
            f"WITH moved AS (DELETE FROM inbox_default WHERE ce_time >= '{first}' AND ce_time < '{last}' RETURNING *)"  # nosec B608 # noqa: S608 - a day we computed
            f" INSERT INTO {name} SELECT * FROM moved"
        )
    )
    await conn.execute(sa.text(f"ALTER TABLE inbox ATTACH PARTITION {name} FOR VALUES FROM ('{first}') TO ('{last}')"))
