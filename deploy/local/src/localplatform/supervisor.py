"""Keeps children running: one that dies is started again after a pause that grows while it keeps dying, and says so."""

import asyncio
import signal
from asyncio.subprocess import Process
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from localplatform.artifacts import DownloadFailed
from localplatform.processes import StartFailed, together

FIRST_PAUSE, LONGEST_PAUSE, STEADY = 0.5, 30.0, 60.0


class Server(Protocol):
    """A process that can be started (returning once it serves) and stopped."""

    name: str
    log: Path
    process: Process | None

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


@dataclass
class Child:
    """One supervised server and how it fares."""

    server: Server
    state: Literal["running", "restarting", "stopped"] = "running"
    restarts: int = 0
    since: datetime | None = None
    watcher: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        process = self.server.process
        return process.pid if process and process.returncode is None else None


class Supervisor:
    """Children in the order they were added; stopped in the opposite one. `tell` hears of every death and return,
    `changed` of every change of state."""

    def __init__(self, tell: Callable[[str], None], changed: Callable[[], None] = lambda: None) -> None:
        self.children: dict[str, Child] = {}
        self._tell, self._changed = tell, changed

    async def add(self, *servers: Server) -> None:
        """Start them side by side and watch them. Raises StartFailed of the first that does not come up."""
        for server in servers:
            self.children[server.name] = Child(server, state="restarting")
        await together(*(self.start(server.name) for server in servers))

    async def start(self, name: str) -> None:
        """Start one that does not run. Raises StartFailed."""
        child = self.children[name]
        await child.server.start()
        self._mark(child, "running")
        child.watcher = asyncio.create_task(self._watch(child), name=f"watch {name}")

    async def stop(self, name: str) -> None:
        """Stop one for good."""
        child = self.children[name]
        if child.watcher:
            child.watcher.cancel()
            await asyncio.wait([child.watcher])
        await child.server.stop()
        self._mark(child, "stopped")

    async def stop_all(self, *groups: tuple[str, ...]) -> None:
        """Stop group after group, each one's members together; then whatever is left, last added first."""
        for group in groups:
            await asyncio.gather(*(self.stop(name) for name in group if name in self.children))
        for name, child in reversed(self.children.items()):
            if child.state != "stopped":
                await self.stop(name)

    def kill(self, name: str, signum: signal.Signals = signal.SIGKILL) -> None:
        """Send a running child a signal. It is restarted if it dies of it."""
        process = self.children[name].server.process
        if process is None or process.returncode is not None:
            raise ProcessLookupError(f"{name} does not run")
        process.send_signal(signum)

    async def _watch(self, child: Child) -> None:
        clock, pause = asyncio.get_running_loop().time, 0.0
        while process := child.server.process:
            began = clock()
            code = await process.wait()
            steady = clock() - began > STEADY
            pause = min(pause * 2, LONGEST_PAUSE) if pause and not steady else FIRST_PAUSE
            self._mark(child, "restarting")
            self._tell(f"{child.server.name} ended ({_ending(code)}); starting it again in {pause:g} s")
            await asyncio.sleep(pause)
            child.restarts += 1
            try:
                await child.server.start()
            except (StartFailed, DownloadFailed) as error:
                self._tell(f"{child.server.name} did not come back: {error}")
            else:
                self._mark(child, "running")
                self._tell(f"{child.server.name} runs again")

    def _mark(self, child: Child, state: Literal["running", "restarting", "stopped"]) -> None:
        child.state, child.since = state, datetime.now(UTC)
        self._changed()


def _ending(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"code {code}"
