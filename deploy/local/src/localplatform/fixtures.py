"""The pytest plugin that finds the tests' real PostgreSQL and Kafka: an address from the environment
(TEST_POSTGRES_URL, TEST_KAFKA_BOOTSTRAP), else containers where an engine answers, else native
processes. Tests do not know which."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from localplatform import testservers


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


def _run() -> Path:
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or str(os.getpid())
    return Path(tempfile.gettempdir()) / f"factoring-crm-tests-{os.getuid()}-{run}"
