"""The pytest plugin that finds the tests' real PostgreSQL and Kafka: an address from the environment
(TEST_POSTGRES_URL, TEST_KAFKA_BOOTSTRAP), else containers where an engine answers, else native
processes. Tests do not know which."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from localplatform import testservers

PLATFORM = "tests/e2e/"


@pytest.fixture(scope="session")
def test_servers() -> Iterator[testservers.Servers]:
    """Both servers, shared by all workers of this test run."""
    url, bootstrap = os.environ.get("TEST_POSTGRES_URL"), os.environ.get("TEST_KAFKA_BOOTSTRAP")
    if url and bootstrap:
        yield testservers.Servers(url, bootstrap, "environment")
        return
    with testservers.shared(_run()) as started:
        yield testservers.Servers(url or started.postgres_url, bootstrap or started.kafka_bootstrap, started.by)


@pytest.fixture(scope="session")
def postgres_url(test_servers: testservers.Servers) -> str:
    """The superuser's SQLAlchemy address (asyncpg) of an empty PostgreSQL's database `postgres`."""
    return test_servers.postgres_url


@pytest.fixture(scope="session")
def kafka_bootstrap(test_servers: testservers.Servers) -> str:
    """The bootstrap address of a Kafka that creates no topic by itself."""
    return test_servers.kafka_bootstrap


class OnePlatform(LoadScopeScheduling):
    """A file's tests run in one worker, and all that share the started platform in one, too.

    (xdist 3.8's own groups do nothing under pytest 9.2, which no longer keeps a test's id where they write it.)
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return PLATFORM if file.startswith(PLATFORM) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OnePlatform:
    """How the tests are dealt out."""
    config.option.loadscopereorder = False
    return OnePlatform(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that share a platform take longest: they begin."""
    items.sort(key=lambda item: not item.nodeid.startswith(PLATFORM))


def _run() -> Path:
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or str(os.getpid())
    return Path(tempfile.gettempdir()) / f"factoring-crm-tests-{os.getuid()}-{run}"
