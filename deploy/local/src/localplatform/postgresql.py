"""A native PostgreSQL 18 on loopback: initialised once with the builtin C.UTF-8 locale (under plain C, trigrams find no
Chinese text), run as an unprivileged user when we are root."""

import os
import secrets
import shutil
import signal
from asyncio.subprocess import Process
from collections.abc import Mapping
from pathlib import Path

from localplatform import artifacts, directories, processes

LOCALE = ("-E", "UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8")


class Postgresql:
    """One server with its data under `home`; the superuser is `postgres` with a password made at the first start."""

    name = "postgresql"

    def __init__(self, home: Path, port: int, log: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self.home, self.port, self.log = home, port, log
        self.settings = settings or {}
        self.process: Process | None = None
        self._password = home / "password"

    @property
    def dsn(self) -> str:
        """The superuser's address of the database `postgres`, in libpq's form."""
        return f"postgresql://postgres:{self._password.read_text()}@127.0.0.1:{self.port}/postgres"

    @property
    def url(self) -> str:
        """The same in SQLAlchemy's form for asyncpg."""
        return self.dsn.replace("postgresql://", "postgresql+asyncpg://", 1)

    async def start(self) -> None:
        """Fetch, initialise where needed, start and wait. Raises DownloadFailed or StartFailed."""
        installation = install()
        user = directories.unprivileged_user()
        data = self.home / "data"
        if not (data / "PG_VERSION").exists():
            await self._initialise(installation, data)
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "300",
            **self.settings,
        }
        self.process = await processes.spawn(
            [installation / "bin/postgres", "-D", data, *(f"--{name}={value}" for name, value in options.items())],
            log=self.log,
            user=user,
            on_parent_death=signal.SIGINT,
            directory=data,
            environment={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        )
        await processes.wait_for_port(self.port, self.process, self.log, "PostgreSQL")

    async def stop(self) -> None:
        """A fast shutdown: sessions are ended, the data is checkpointed."""
        if self.process:
            await processes.stop(self.process, signal.SIGINT)

    async def _initialise(self, installation: Path, data: Path) -> None:
        user = directories.unprivileged_user()
        fresh = self.home / "data.part"
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.rmtree(fresh, ignore_errors=True)
        self._password.touch(mode=0o600)
        self._password.write_text(secrets.token_urlsafe(24))
        if user:
            os.chown(self.home, user.pw_uid, user.pw_gid)
            os.chown(self._password, user.pw_uid, user.pw_gid)
        superuser = ("-U", "postgres", "-A", "scram-sha-256", f"--pwfile={self._password}")
        await processes.run(
            [installation / "bin/initdb", "-D", fresh, *superuser, *LOCALE, "--no-sync"],
            what="Initialising PostgreSQL",
            log=self.log,
            user=user,
            directory=self.home,
            environment={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        )
        fresh.replace(data)


def install(progress: artifacts.Progress = artifacts.silent) -> Path:
    """The directory of PostgreSQL's programs; fetched and unpacked where needed."""
    cache = directories.cache_directory()
    section = f"postgresql/{directories.machine()}"
    artifact = next(a for a in artifacts.read_lock() if a.section == section)
    (jar,) = artifacts.fetch([artifact], cache, progress)
    return artifacts.unpack_postgresql(jar, artifact, cache)
