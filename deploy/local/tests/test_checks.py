"""What is checked before a start, and the messages that say what to do."""

import os
import shutil
import socket
from pathlib import Path
from typing import NamedTuple

import pytest

from localplatform import checks, directories
from localplatform.checks import AlreadyRunning, CannotStart
from localplatform.topology import Ports, WrongPort


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def nearly_full(_: Path) -> Usage:
    return Usage(10, 10, 500_000_000)


def test_a_taken_port_is_named_with_the_way_out() -> None:
    ports = Ports.free()
    with socket.socket() as other:
        other.bind(("127.0.0.1", ports["risk"]))
        other.listen()
        with pytest.raises(CannotStart, match=rf"{ports['risk']} \(risk\)") as refusal:
            checks.ports_are_free(ports)
    assert f"./crm up --port risk={ports['risk'] + 200}" in str(refusal.value)
    checks.ports_are_free(ports)


def test_a_taken_metrics_port_points_at_the_port_it_follows() -> None:
    ports = Ports.free()
    with socket.socket() as other:
        other.bind(("127.0.0.1", ports["client-worker-metrics"]))
        other.listen()
        with pytest.raises(CannotStart, match=r"--port client=\d+"):
            checks.ports_are_free(ports)


def test_metrics_ports_follow_their_api() -> None:
    ports = Ports.chosen({"risk": 9000})
    assert (ports["risk-api-metrics"], ports["risk-worker-metrics"], ports["client"]) == (10000, 10100, 8101)


@pytest.mark.parametrize("choice", [{"riks": 9000}, {"risk": 0}, {"risk": 70000}])
def test_a_port_that_cannot_be_meant_is_refused(choice: dict[str, int]) -> None:
    with pytest.raises(WrongPort, match="the names are issuer, client, risk"):
        Ports.chosen(choice)


def test_a_second_start_is_told_of_the_first(tmp_path: Path) -> None:
    with checks.the_only_one(tmp_path):
        assert checks.holder(tmp_path)
        with pytest.raises(AlreadyRunning, match=r"already runs \(process \d+.*`\./crm down` stops it"):
            with checks.the_only_one(tmp_path):
                pass
    assert checks.holder(tmp_path) is None
    with checks.the_only_one(tmp_path):
        pass


def test_too_little_disk_is_told_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", nearly_full)
    with pytest.raises(CannotStart, match=r"Only 0\.5 GB are free .*FACTORING_CRM_HOME"):
        checks.disk_is_enough(tmp_path)


def test_too_little_memory_is_told_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "available_memory", lambda: 300_000_000)
    with pytest.raises(CannotStart, match=r"Only 0\.3 GB of memory are free"):
        checks.memory_is_enough()


def test_a_directory_closed_to_postgresqls_user_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = tmp_path / "closed"
    (closed / "state").mkdir(parents=True)
    closed.chmod(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(CannotStart, match=r"cannot reach .*lets nobody in"):
        checks.is_reachable(closed / "state")


def test_state_and_downloads_follow_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for name in ("FACTORING_CRM_HOME", "FACTORING_CRM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert directories.state_directory() == tmp_path / "xdg/factoring-crm"
    assert directories.cache_directory() == tmp_path / ".cache/factoring-crm"
    monkeypatch.setenv("FACTORING_CRM_HOME", str(tmp_path / "chosen"))
    assert directories.state_directory() == tmp_path / "chosen"
