"""What the tests of the deployment share: the tools that read it (hadolint, docker-compose, kubectl,
kubernetes-validate), by tools.lock, in an environment of their own outside the checkout."""

import asyncio
import contextlib
import hashlib
import os
import runpy
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import asyncpg
import pytest

from localplatform import artifacts, directories

ROOT = Path(__file__).parents[2]
LOCK = Path(__file__).with_name("tools.lock")
Run = Callable[..., str]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def packaging() -> dict[str, str]:
    """An environment in which `uv` is there and fetches from where pip is set up to look."""
    crm = runpy.run_path(str(ROOT / "crm"), run_name="crm")
    uv = Path(crm["find_uv"](directories.cache_directory()))
    path = os.pathsep.join((str(uv.parent), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    return {**os.environ, **crm["uv_settings"](), "UV_PYTHON_DOWNLOADS": "never", "PATH": path}


@pytest.fixture(scope="session")
def tools(packaging: dict[str, str]) -> Path:
    """The directory of the tools' programs."""
    cache = directories.cache_directory()
    identity = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:16]
    environment = cache / "environments" / f"deploy-tools-{identity}"
    with artifacts.exclusive(cache / "deploy-tools.lock"):
        if not (environment / "ready").exists():
            shutil.rmtree(environment, ignore_errors=True)
            python = str(environment / "bin/python")
            for step in (
                ["venv", "--quiet", "--python", sys.executable, str(environment)],
                ["pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", str(LOCK)],
            ):
                subprocess.run(["uv", *step], env=packaging, check=True)
            (environment / "ready").touch()
    return environment / "bin"


@pytest.fixture(scope="session")
def run(tools: Path) -> Run:
    """Run one of the tools in the checkout; its output. What it says on stderr fails the test, too."""

    def run(name: str, *arguments: str, standard_input: str | None = None) -> str:
        command = [str(tools / name), *arguments]
        answer = subprocess.run(command, input=standard_input, capture_output=True, text=True, cwd=ROOT)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        assert not answer.stderr, answer.stderr
        return answer.stdout

    return run


@contextlib.contextmanager
def database(postgres_url: str) -> Generator[str]:
    """The address of an empty database, in libpq's form; dropped afterwards."""
    server = postgres_url.replace("postgresql+asyncpg://", "postgresql://")
    name = f"deployed_{uuid.uuid4().hex[:12]}"

    async def execute(statement: str) -> None:
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(server)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(execute(f"CREATE DATABASE {name}"))
    try:
        yield f"{server.rpartition('/')[0]}/{name}"
    finally:
        asyncio.run(execute(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def fresh_database(postgres_url: str) -> Iterator[str]:
    """A database of the test's own."""
    with database(postgres_url) as address:
        yield address


@pytest.fixture(scope="module")
def databases(postgres_url: str) -> Iterator[Callable[[], str]]:
    """Databases of the module's own, as many as are asked for."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(database(postgres_url))
