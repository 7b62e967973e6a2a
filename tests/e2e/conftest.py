"""The four services as deployed: their own processes on real Kafka and PostgreSQL, shared by all end-to-end tests.

Every test works in a legal entity of its own, so that they do not see each other.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bus import Bus
from localplatform.testing import RunningPlatform
from localplatform.testing import platform as started_platform
from spans import Collector, collector


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Real work on four services may take its time; a test that hangs still ends."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(2400))


@pytest.fixture(scope="session")
def traces() -> Iterator[Collector]:
    with collector() as listening:
        yield listening


@pytest.fixture(scope="session")
async def platform(traces: Collector) -> AsyncIterator[RunningPlatform]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", traces.endpoint)
        environment.setenv("GAUGES_SECONDS", "1")
        async with started_platform() as running:
            yield running


@pytest.fixture(scope="session")
def bus(platform: RunningPlatform) -> Bus:
    return Bus(platform.kafka_bootstrap)
