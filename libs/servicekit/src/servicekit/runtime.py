"""What a running process of a service holds: one object, made at start, reached from a request or a session.

Invariant: nothing here is a module-level global, so two services (or two tests) live side by side in one process.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import httpx
from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

if TYPE_CHECKING:
    from servicekit.auth import Authenticator, Roles
    from servicekit.health import OutboxBound
    from servicekit.personal import Keyring
    from servicekit.scheduling import DueHandler
    from servicekit.settings import ServiceSettings

INFO_KEY = "runtime"


@dataclass
class Runtime:
    """The parts of one running process. `audited` are the names of the tables whose every change is audited."""

    name: str
    settings: "ServiceSettings"
    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]
    clock: Callable[[], datetime]
    roles: "Roles"
    authenticator: "Authenticator"
    keyring: "Keyring | None"
    due: "Mapping[str, DueHandler]"
    audited: frozenset[str]
    outbox_bound: "OutboxBound"
    http: httpx.AsyncClient
    draining: bool = False

    async def close(self) -> None:
        """Give connections back."""
        await self.http.aclose()
        await self.engine.dispose()


def runtime_of(request: Request) -> Runtime:
    """The runtime of the application that serves this request."""
    runtime = request.app.state.runtime
    assert isinstance(runtime, Runtime)
    return runtime


def runtime_in(tx: AsyncSession) -> Runtime:
    """The runtime whose session factory made this session.

    Raises:
        LookupError: the session does not come from a servicekit service or harness.
    """
    runtime = tx.info.get(INFO_KEY)
    if not isinstance(runtime, Runtime):
        raise LookupError("this session was not made by a servicekit service")  # noqa: TRY004 - a missing thing, not a type
    return runtime
