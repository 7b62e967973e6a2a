"""What the local platform's tests share."""

from collections.abc import Callable

import pytest

from localplatform.processes import free_ports


@pytest.fixture
def unused_port() -> Callable[[], int]:
    """A loopback port nobody listens on."""
    return lambda: free_ports(1)[0]
