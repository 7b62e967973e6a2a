"""`up` as a person starts it: one story through the real command, its processes, its signals and its messages. The
second start runs in a network namespace with nothing but a loopback."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from localplatform import checks
from localplatform.platform import read_status
from localplatform.processes import listening
from localplatform.topology import DEFAULTS, Ports

pytestmark = pytest.mark.timeout(900)
LOOPBACK_ONLY = """
import fcntl, os, socket, struct, sys
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", IFF_UP, b""))
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def fresh_ports() -> dict[str, int]:
    """Ports below the kernel's own choice, free together with the metrics ports that follow them."""
    while True:
        base = random.randrange(12000, 27000, 50)
        chosen = {name: base + number for number, name in enumerate(DEFAULTS)}
        if not Ports.chosen(chosen).taken():
            return chosen


@dataclass
class Machine:
    """A state directory and the commands run on it."""

    home: Path
    ports: dict[str, int]
    prefix: list[str] = field(default_factory=list[str])

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "FACTORING_CRM_HOME": str(self.home)}

    def start(self, *prefix: str) -> "subprocess.Popen[bytes]":
        """`up`, its output in a file."""
        chosen = [argument for name, port in self.ports.items() for argument in ("--port", f"{name}={port}")]
        command = [sys.executable, "-m", "localplatform", "up", "--no-seed", *chosen]
        if prefix:
            command = [*prefix, sys.executable, "-c", LOOPBACK_ONLY, *command[1:]]
        with (self.home / "said").open("wb") as said:
            return subprocess.Popen(command, env=self.environment, stdout=said, stderr=said, start_new_session=True)

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Another command, to its end."""
        command = [sys.executable, "-m", "localplatform", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True)

    def said(self) -> str:
        return (self.home / "said").read_text()

    def pids(self) -> dict[str, int]:
        return {child.name: child.pid for child in read_status(self.home) if child.pid}

    def request(self, up: "subprocess.Popen[bytes]", method: str, path: str, token: str, body: Any = None) -> Any:
        """A call of client-service's API, from inside the network that `up` runs in."""
        script = (
            "import httpx, json, sys; method, url, token, body = sys.argv[1:];"
            "print(httpx.request(method, url, headers={'Authorization': 'Bearer ' + token}, json=json.loads(body),"
            " trust_env=False, timeout=30).text)"
        )
        url = f"http://127.0.0.1:{self.ports['client']}{path}"
        inside = ["nsenter", f"--net=/proc/{up.pid}/ns/net"] if os.geteuid() == 0 else []
        command = [*inside, sys.executable, "-c", script, method, url, token, json.dumps(body)]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.fixture
def machine() -> Iterator[Machine]:
    home = Path(tempfile.mkdtemp(prefix="factoring-crm-up-"))
    home.chmod(0o755)
    try:
        yield Machine(home, fresh_ports())
    finally:
        if pid := checks.holder(home):
            os.kill(pid, signal.SIGKILL)
            time.sleep(1)
        shutil.rmtree(home, ignore_errors=True)


def until(condition: Callable[[], object], patience: float = 240) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)


def ready(machine: Machine, up: "subprocess.Popen[bytes]") -> None:
    until(lambda: up.poll() is not None or "Ctrl-C (or ./crm down) stops everything." in machine.said())
    assert up.poll() is None, machine.said()


def signed(machine: Machine) -> str:
    """The token that `up` printed for pasting, and the one of another role."""
    answer = machine.run("token", "operations")
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


def test_a_person_starts_uses_breaks_and_stops_it(machine: Machine) -> None:
    up = machine.start()
    ready(machine, up)
    said = machine.said()
    assert f"http://127.0.0.1:{machine.ports['client']}/docs" in said
    assert re.search(r"export TOKEN=ey[\w.-]{100,}\n", said)
    assert said.count("curl -s -H") == 3

    token = signed(machine)
    registered = machine.request(up, "POST", "/clients", token, {"name": "烟台市东上电子有限公司"})
    assert machine.request(up, "GET", f"/clients/{registered['id']}", token)["name"] == "烟台市东上电子有限公司"

    second = machine.run("up")
    assert second.returncode == 1
    assert f"already runs (process {up.pid}" in second.stderr.replace("\n", " ")
    assert "Traceback" not in second.stderr

    assert machine.run("status").stdout.count("running") == 11
    before = machine.pids()
    os.kill(before["client-api"], signal.SIGKILL)
    until(lambda: "client-api runs again" in machine.said())
    assert machine.pids()["client-api"] != before["client-api"]
    assert machine.request(up, "GET", f"/clients/{registered['id']}", token)["id"] == registered["id"]
    assert "client-service" in machine.run("logs", "client-api", "-n", "5").stdout
    assert machine.run("reset", "--yes").returncode == 1

    children = machine.pids().values()
    down = machine.run("down")
    assert (down.returncode, down.stdout.strip()) == (0, "Stopped.")
    assert up.wait(10) == 0
    assert not [pid for pid in children if Path(f"/proc/{pid}/cmdline").exists()]
    assert not any(map(listening, machine.ports.values()))
    assert machine.run("status").returncode == 3

    again = machine.start(*(["unshare", "--net"] if os.geteuid() == 0 else []))
    ready(machine, again)
    assert machine.request(again, "GET", f"/clients/{registered['id']}", token)["name"] == "烟台市东上电子有限公司"
    again.send_signal(signal.SIGINT)
    assert again.wait(60) == 0
    assert machine.said().endswith("`./crm reset` throws it away.\n")

    assert machine.run("reset", "--yes").returncode == 0
    assert not machine.home.exists()
    machine.home.mkdir()


def test_another_programs_port_is_told_before_anything_starts(machine: Machine) -> None:
    listener = subprocess.Popen(
        [sys.executable, "-m", "http.server", str(machine.ports["risk"]), "--bind", "127.0.0.1"]
    )
    try:
        until(lambda: listening(machine.ports["risk"]), 20)
        up = machine.start()
        assert up.wait(60) == 1
        assert f"{machine.ports['risk']} (risk)" in machine.said()
        assert "Traceback" not in machine.said()
        assert not (machine.home / "postgresql").exists()
    finally:
        listener.kill()
        listener.wait()


def test_ctrl_c_while_starting_leaves_nothing_behind(machine: Machine) -> None:
    up = machine.start()
    until(lambda: (machine.home / "postgresql/data/postmaster.pid").exists(), 60)
    up.send_signal(signal.SIGINT)
    assert up.wait(60) == 0
    assert "Stopped." in machine.said()
    assert "Traceback" not in machine.said()
    assert not any(map(listening, machine.ports.values()))
