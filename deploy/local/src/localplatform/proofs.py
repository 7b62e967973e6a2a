"""The proofs: what this project claims, each one command that anyone can run and whose last outcome is recorded."""

import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from localplatform.program import surroundings
from localplatform.topology import SERVICES

KEPT = 400
"""Lines of output that are recorded: the last ones."""


@dataclass(frozen=True)
class Proof:
    """What it proves, the Python module and arguments that do it, and their settings."""

    says: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


PROOFS: Mapping[str, Proof] = {
    "schemathesis": Proof(
        "10 000 cases a service by its OpenAPI over HTTP: no 5xx, every answer as documented, bad input refused",
        ("pytest", "-s", "-p", "no:xdist", *(f"services/{name}-service/tests/test_attack.py" for name in SERVICES)),
        {"ATTACK_CASES": "10000"},
    ),
    "permissions": Proof(
        "every operation as every role, as none and without a token: allowed or refused as the permissions table says",
        (
            *("pytest", "-v", "-p", "no:xdist", "-k", "role or permission"),
            *(f"services/{name}-service/tests/test_permissions.py" for name in SERVICES if name != "engagement"),
            "services/engagement-service/tests/test_service.py",
        ),
    ),
    "chaos": Proof(
        "200 kills and freezes of every kind of process while the feed runs: the end is that of an undisturbed run",
        ("pytest", "-v", "-p", "no:xdist", "tests/e2e/test_chaos.py"),
        {"CHAOS_KILLS": "200"},
    ),
    "alerts": Proof(
        "each alert fires and clears under a real Prometheus; what is answered while something is away",
        ("pytest", "-v", "-p", "no:xdist", "tests/e2e/test_alerts.py", "tests/e2e/test_away.py"),
    ),
    "keycloak": Proof(
        "tokens of a real Keycloak with the shipped realm open what their roles allow, and bad ones nothing",
        ("pytest", "-v", "-p", "no:xdist", "-m", "keycloak", "tests/deploy"),
    ),
    "kubernetes": Proof(
        "both overlays on a real API server (CONTROL_PLANE names the program that runs one)",
        ("pytest", "-v", "-p", "no:xdist", "-m", "kubernetes", "tests/deploy"),
    ),
    "snapshot": Proof(
        "a snapshot held open for 60 s at full load: the relay's rate and latency beside those without it",
        ("pytest", "-s", "-p", "no:xdist", "-m", "snapshot", "libs/eventing/tests/test_relay.py"),
        {"SNAPSHOT_SECONDS": "60"},
    ),
    "sbom": Proof(
        "the bill of materials equals requirements.lock and names no address",
        ("pytest", "-q", "-p", "no:xdist", "deploy/local/tests/test_sbom.py"),
    ),
}


def prove(name: str, more: Sequence[str], root: Path) -> int:
    """Run a proof in the checkout, show its output, record the end of it in docs/proofs; its exit code."""
    proof = PROOFS[name]
    command = [*proof.command, *more]
    began, clock = datetime.now(UTC), time.monotonic()
    # A variable that is set already stands: ATTACK_CASES=50 ./crm prove schemathesis is a quick look.
    settings = {name: os.environ.get(name, value) for name, value in proof.environment.items()}
    running = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=root,
        env=surroundings(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    lines: deque[str] = deque(maxlen=KEPT)
    assert running.stdout is not None
    for line in running.stdout:
        sys.stdout.write(line)
        sys.stdout.flush()
        lines.append(line)
    code = running.wait()
    spelled = " ".join([*(f"{name}={value}" for name, value in settings.items()), "python -m", *command])
    header = (
        f"date: {began:%Y-%m-%d %H:%M} UTC\ncommit: {_commit(root)}\n"
        f"command: {spelled}\n"
        f"seconds: {time.monotonic() - clock:.0f}\nexit code: {code}\n\n"
    )
    record = root / "docs/proofs" / f"{name}.txt"
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(header + _without_places("".join(lines), root), encoding="utf-8")
    return code


def _without_places(text: str, root: Path) -> str:
    """The text without where this machine keeps things."""
    for place, called in ((str(root), "."), (sys.prefix, "ENVIRONMENT"), (tempfile.gettempdir(), "TMP")):
        text = text.replace(place, called)
    return text


def _commit(root: Path) -> str:
    """The commit, and whether the checkout differs from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)  # nosec B607 # noqa: S607 - whichever git is on the PATH
        return done.stdout.strip()

    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + (
        ", with changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    )
