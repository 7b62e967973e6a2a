"""Waking the relay after a commit, outside of any transaction: NOTIFY in one serialises all commits of the server."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import asyncpg

CHANNEL: Final = "outbox"
_log = logging.getLogger(__name__)


class Waker:
    """One coalesced NOTIFY per process on a connection of its own. A lost one costs a poll interval, nothing else."""

    def __init__(self, dsn: str) -> None:
        """`dsn` is asyncpg's or SQLAlchemy's address of the service's database."""
        self._dsn = plain_dsn(dsn)
        self._asked = asyncio.Event()

    def wake(self) -> None:
        """Ask for a wake-up; returns at once. Hand it to `sessions(…, wake=…)`."""
        self._asked.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Send wake-ups until `stop`."""
        stopping = asyncio.create_task(stop.wait())
        connection: asyncpg.Connection[asyncpg.Record] | None = None
        try:
            while not stop.is_set():
                asked = asyncio.create_task(self._asked.wait())
                await asyncio.wait({asked, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not asked.done():
                    asked.cancel()
                    continue
                self._asked.clear()
                try:
                    if connection is None or connection.is_closed():
                        connection = await asyncpg.connect(self._dsn, timeout=5, command_timeout=5)
                    await connection.execute(f"NOTIFY {CHANNEL}")
                except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                    _log.warning("could not wake the relay, it will poll: %r", error)
                    connection = None
                    await asyncio.sleep(1)
        finally:
            stopping.cancel()
            if connection is not None:
                connection.terminate()


def plain_dsn(dsn: str) -> str:
    """The address as asyncpg wants it."""
    return dsn.replace("postgresql+asyncpg://", "postgresql://", 1)
