"""What is looked at before anything starts, each with a message that says what to do."""

import fcntl
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from localplatform import directories
from localplatform.topology import DEFAULTS, SERVICES, Ports

DISK_GB, MEMORY_GB = 2.0, 2.5


class CannotStart(Exception):
    """This machine, as it is now, cannot run the platform; the message says what to do."""


class AlreadyRunning(CannotStart):
    """Another `./crm up` holds the state directory."""


@contextmanager
def the_only_one(home: Path) -> Generator[None]:
    """Hold the state directory for this process. Raises AlreadyRunning."""
    with (home / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                f"The platform already runs (process {holder(home)}, state in {home}). `./crm status` shows it, "
                "`./crm down` stops it; FACTORING_CRM_HOME names another directory for a second one."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def holder(home: Path) -> int | None:
    """The process id of the `./crm up` that runs, or None."""
    file = home / "up.lock"
    if not file.exists():
        return None
    with file.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(lock.read() or 0)
    return None


def ports_are_free(ports: Ports) -> None:
    """Raises CannotStart with every port that is taken."""
    taken = ports.taken()
    if not taken:
        return
    lines = [f"  {number} ({name})" for name, number in taken.items()]
    name = next(iter(taken))
    owner = name if name in DEFAULTS else next(service for service in SERVICES if name.startswith(service))
    raise CannotStart(
        "These ports are taken by another program:\n"
        + "\n".join(lines)
        + "\nStop it (`ss -ltnp` shows who it is), or choose "
        f"another port: ./crm up --port {owner}={ports[owner] + 200}. Metrics ports are the API's plus 1000 and 1100."
    )


def disk_is_enough(*places: Path) -> None:
    """Raises CannotStart when a directory's disk is nearly full."""
    for place in places:
        free = shutil.disk_usage(place).free / 1e9
        if free < DISK_GB:
            raise CannotStart(
                f"Only {free:.1f} GB are free for {place}; {DISK_GB:g} are needed. Make room, or choose another "
                "directory by FACTORING_CRM_HOME (state) or FACTORING_CRM_CACHE (downloads)."
            )


def memory_is_enough() -> None:
    """Raises CannotStart when the machine, or the container we run in, has too little memory left."""
    free = available_memory()
    if free is not None and free < MEMORY_GB * 1e9:
        raise CannotStart(
            f"Only {free / 1e9:.1f} GB of memory are free; the platform takes about {MEMORY_GB:g}. Close something, or "
            "give the virtual machine or container more."
        )


def available_memory() -> int | None:
    """Bytes; None where the system does not say (macOS)."""
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return None
    fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    available = int(fields["MemAvailable"].split()[0]) * 1024
    group = Path("/sys/fs/cgroup")
    limit = group / "memory.max"
    if limit.exists() and (most := limit.read_text().strip()) != "max":
        available = min(available, int(most) - int((group / "memory.current").read_text()))
    return available


def is_reachable(*places: Path) -> None:
    """Raises CannotStart when the unprivileged user PostgreSQL runs as cannot get into a directory."""
    if os.geteuid() != 0:
        return
    user = directories.unprivileged_user()
    for place in places:
        for step in (place, *place.parents):
            state = step.stat()
            if not state.st_mode & 0o001 and not (user and state.st_uid == user.pw_uid):
                raise CannotStart(
                    f"PostgreSQL does not run as root, and the user {user.pw_name if user else '?'} cannot reach "
                    f"{place} ({step} lets nobody in). Choose another directory by FACTORING_CRM_HOME or "
                    "FACTORING_CRM_CACHE."
                )
