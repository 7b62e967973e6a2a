"""The whole tree's tests find their servers through one plugin, and leave out what takes long unless asked for."""

import pytest

pytest_plugins = ("localplatform.fixtures",)
LONG = {
    "keycloak": "a real Keycloak with the realm of deploy/keycloak (160 MB are fetched once)",
    "snapshot": "the relay beside a snapshot held open for SNAPSHOT_SECONDS",
    "kubernetes": "both overlays on a real API server; CONTROL_PLANE or the PATH names the program that runs it",
}


def pytest_configure(config: pytest.Config) -> None:
    """The proofs of minutes, which run only when asked for: `pytest -m keycloak tests/deploy`, `./crm prove`."""
    for name, meaning in LONG.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out those nobody asked for."""
    unasked = [name for name in LONG if name not in config.option.markexpr]
    left_out = [item for item in items if any(item.get_closest_marker(name) for name in unasked)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
