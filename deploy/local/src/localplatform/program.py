"""A Python program of ours as a supervised child: its settings in the environment, its readiness at an address."""

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from localplatform import processes

PATIENCE = 180.0


def surroundings(environment: Mapping[str, str]) -> dict[str, str]:
    """Our own environment with these settings; a proxy, if there is one, is not asked for this machine."""
    direct = ",".join(filter(None, (os.environ.get("NO_PROXY"), "127.0.0.1", "localhost")))
    return {**os.environ, "NO_PROXY": direct, "no_proxy": direct, "PYTHONUNBUFFERED": "1", **environment}


class Program:
    """`python -m module …`; `ready` is the URL that answers 200 once it serves."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        *,
        ready: str | None = None,
    ) -> None:
        self.name, self.arguments, self.environment, self.log, self.ready = name, arguments, environment, log, ready
        self.process: Process | None = None

    async def start(self) -> None:
        """Start it and wait until it is ready. Raises StartFailed."""
        self.process = await processes.spawn(self._command(), log=self.log, environment=surroundings(self.environment))
        if self.ready:
            try:
                await self._wait(self.process, self.ready)
            except BaseException:
                await self.stop()
                raise

    async def stop(self) -> None:
        """SIGTERM, and what it has begun is finished."""
        if self.process:
            await processes.stop(self.process)

    async def run(self) -> None:
        """Run it to its end. Raises StartFailed when it fails."""
        await processes.run(self._command(), what=self.name, log=self.log, environment=surroundings(self.environment))

    def _command(self) -> list[str]:
        return [sys.executable, "-m", *self.arguments]

    async def _wait(self, process: Process, ready: str) -> None:
        deadline = asyncio.get_running_loop().time() + PATIENCE
        answer = "no answer"
        async with httpx.AsyncClient(timeout=5, trust_env=False) as http:
            while asyncio.get_running_loop().time() < deadline:
                if process.returncode is not None:
                    log = processes.tail(self.log)
                    raise processes.StartFailed(f"{self.name} ended with code {process.returncode}:\n{log}")
                try:
                    response = await http.get(ready)
                    if response.is_success:
                        return
                    answer = f"{response.status_code} {response.text[:300]}"
                except httpx.HTTPError as error:
                    answer = type(error).__name__
                await asyncio.sleep(0.1)
        raise processes.StartFailed(f"{self.name} was not ready within {PATIENCE:.0f} s ({answer}); see {self.log}")
