"""docker-compose.yml: it is valid, and its processes are told what the services' settings know and need."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from servicekit.settings import ServiceSettings


@pytest.fixture(scope="module")
def composed(run: Callable[..., str]) -> dict[str, Any]:
    run("docker-compose", "--profile", "telemetry", "config", "-q")
    return json.loads(run("docker-compose", "config", "--format", "json"))["services"]


def test_every_service_has_its_processes_in_their_order(composed: dict[str, Any]) -> None:
    for service in ("client", "risk", "engagement", "performance"):
        migrated = {f"{service}-migrate": {"condition": "service_completed_successfully", "required": True}}
        api, worker = composed[f"{service}-api"], composed[f"{service}-worker"]
        assert migrated.items() <= api["depends_on"].items()
        assert migrated.items() <= worker["depends_on"].items()
        assert "kafka" not in api["depends_on"], "the API does not wait for Kafka"
        assert worker["depends_on"]["topics"]["condition"] == "service_completed_successfully"
        for process in (api, worker):
            assert process["read_only"]
            assert process["healthcheck"]
            assert process["build"]["args"] == {"SERVICE": service}


def test_variables_are_known_and_required_ones_are_set(composed: dict[str, Any]) -> None:
    known = {name.upper() for name in ServiceSettings.model_fields}
    required = {name.upper() for name, field in ServiceSettings.model_fields.items() if field.is_required()}
    ours = {
        name: each["environment"] for name, each in composed.items() if name.endswith(("-api", "-worker", "-migrate"))
    }
    assert len(ours) == 12
    for name, variables in ours.items():
        assert required <= set(variables) <= known, name


def test_who_is_waited_for_can_say_that_it_is_well(composed: dict[str, Any]) -> None:
    for each in composed.values():
        for name, dependency in each.get("depends_on", {}).items():
            assert (dependency["condition"] == "service_healthy") == ("healthcheck" in composed[name])
