"""Children that never outlive us: each is told by the kernel when its parent dies (Linux), writes to its own log file,
and is stopped with the signal it calls clean."""

import asyncio
import ctypes
import os
import pwd
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1


class StartFailed(Exception):
    """A server did not come up; the message holds the end of its log."""


async def spawn(
    command: Sequence[str | Path],
    *,
    log: Path | None,
    environment: Mapping[str, str] | None = None,
    user: pwd.struct_passwd | None = None,
    on_parent_death: signal.Signals = signal.SIGTERM,
    directory: Path | None = None,
) -> Process:
    """Start a child that writes to a log file, or to our own output without one. Call it from the main thread: the
    kernel watches the thread that forked."""
    with ExitStack() as stack:
        output = stack.enter_context(log.open("ab")) if log else None
        return await asyncio.create_subprocess_exec(
            *map(str, command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd=directory,
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
            start_new_session=True,
            preexec_fn=_die_with_parent(on_parent_death),
        )


async def together(*work: Coroutine[Any, Any, None]) -> None:
    """Do all of it side by side; the first that fails ends the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(each)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def run(
    command: Sequence[str | Path],
    *,
    what: str,
    log: Path,
    environment: Mapping[str, str] | None = None,
    user: pwd.struct_passwd | None = None,
    directory: Path | None = None,
) -> None:
    """Run a program to its end. Raises StartFailed when it fails."""
    process = await spawn(command, log=log, environment=environment, user=user, directory=directory)
    try:
        code = await process.wait()
    finally:
        await stop(process)
    if code:
        raise StartFailed(f"{what} failed with code {code}:\n{tail(log)}")


def _die_with_parent(signum: signal.Signals) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def arrange() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(signum))
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return arrange


async def stop(process: Process, signum: signal.Signals = signal.SIGTERM, patience: float = 30) -> None:
    """Ask a child to end and wait; a deaf one is killed."""
    if process.returncode is not None:
        return
    try:
        process.send_signal(signum)
        await asyncio.wait_for(process.wait(), patience)
    except ProcessLookupError:
        return
    except TimeoutError:
        process.kill()
        await process.wait()


async def wait_for_port(port: int, process: Process, log: Path, name: str, patience: float = 120) -> None:
    """Return once the child listens on loopback. Raises StartFailed when it ends or takes too long."""
    deadline = asyncio.get_running_loop().time() + patience
    while asyncio.get_running_loop().time() < deadline:
        if process.returncode is not None:
            raise StartFailed(f"{name} ended with code {process.returncode} while starting:\n{tail(log)}")
        if listening(port):
            return
        await asyncio.sleep(0.05)
    raise StartFailed(f"{name} did not listen on port {port} within {patience:.0f} s:\n{tail(log)}")


def listening(port: int) -> bool:
    """Whether something accepts connections on this loopback port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_ports(n: int) -> list[int]:
    """Loopback ports nobody uses right now."""
    probes = [socket.socket() for _ in range(n)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def tail(log: Path, lines: int = 15) -> str:
    """The end of a log file."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""
