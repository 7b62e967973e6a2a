"""Where downloads and state live: outside the checkout, in the XDG directories, or in system directories for root, so
that the unprivileged user PostgreSQL runs as can reach them. FACTORING_CRM_CACHE and FACTORING_CRM_HOME override."""

import os
import platform
import pwd
import sys
from pathlib import Path

NAME = "factoring-crm"
UNPRIVILEGED = ("postgres", "nobody", "daemon")


class UnsupportedPlatform(Exception):
    """The native servers exist for Linux (glibc) and macOS on x86-64 and arm64 only."""


def cache_directory() -> Path:
    """The directory of downloads and unpacked servers; created, readable by everybody."""
    return _directory("FACTORING_CRM_CACHE", Path("/var/cache"), "XDG_CACHE_HOME", ".cache")


def state_directory() -> Path:
    """The directory of databases, logs, keys and Kafka's data of `./crm up`; created."""
    return _directory("FACTORING_CRM_HOME", Path("/var/lib"), "XDG_STATE_HOME", ".local/state")


def _directory(override: str, system: Path, xdg: str, in_home: str) -> Path:
    if chosen := os.environ.get(override):
        path = Path(chosen).expanduser().absolute()
    elif os.geteuid() == 0:
        path = system / NAME
    else:
        path = Path(os.environ.get(xdg) or Path.home() / in_home) / NAME
    path.mkdir(parents=True, exist_ok=True, mode=0o755)
    return path


def unprivileged_user() -> pwd.struct_passwd | None:
    """The existing user that PostgreSQL runs as when we are root; None when we are not."""
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise UnsupportedPlatform(
        f"PostgreSQL does not run as root, and none of the users {', '.join(UNPRIVILEGED)} exists."
    )


def machine() -> str:
    """This machine's name in the artifact lock, such as linux-amd64."""
    system = {"linux": "linux", "darwin": "darwin"}.get(sys.platform)
    cpu = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64v8", "arm64": "arm64v8"}.get(
        platform.machine().lower()
    )
    if not system or not cpu or (system == "linux" and platform.libc_ver()[0] != "glibc"):
        raise UnsupportedPlatform(
            f"There is no native PostgreSQL for {sys.platform} on {platform.machine()} in the lock "
            "(Linux with glibc or macOS, x86-64 or arm64): use containers, or servers of "
            "your own by TEST_POSTGRES_URL and TEST_KAFKA_BOOTSTRAP."
        )
    return f"{system}-{cpu}"
