"""The Dockerfile without an engine: its RUN steps, done in a plain directory, make a tree from which each service
starts: nothing is missing, nothing of the tests or tools is in it, and nothing needs to be written."""

import contextlib
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from localplatform.processes import free_ports

SERVICES = ("client", "risk", "engagement", "performance")
FETCHES_UV = "pip install --no-cache-dir uv=="


def steps(dockerfile: str) -> Iterator[tuple[str, str]]:
    """The instructions of the first stage, after its FROM."""
    joined = re.sub(r"\\\n", "", re.sub(r"^\s*#.*\n", "", dockerfile, flags=re.MULTILINE))
    lines = [line for line in joined.split("\nFROM")[0].splitlines() if line.strip()]
    for line in lines[1:]:
        instruction, _, rest = line.partition(" ")
        yield instruction, rest


def build(root: Path, target: Path, service: str, environment: dict[str, str]) -> None:
    """COPY and RUN, with `target` in the place of WORKDIR."""
    for instruction, rest in steps((root / "Dockerfile").read_text()):
        if instruction == "COPY":
            *sources, destination = rest.replace("${SERVICE}", service).split()
            for source in map(Path, sources):
                if (root / source).is_dir():
                    ignored = shutil.ignore_patterns("__pycache__", "tests", "*.egg-info")
                    shutil.copytree(root / source, target / destination, ignore=ignored)
                else:
                    shutil.copy(root / source, target / destination)
        elif instruction == "RUN" and not rest.startswith(FETCHES_UV):
            subprocess.run(["bash", "-ec", rest], cwd=target, env=environment | {"SERVICE": service}, check=True)


@pytest.fixture(scope="module", params=SERVICES)
def image(request: pytest.FixtureRequest, root: Path, packaging: dict[str, str]) -> Iterator[tuple[str, Path]]:
    """A service and the tree that its image has under /app."""
    with tempfile.TemporaryDirectory(prefix="factoring-crm-image-") as directory:
        target = Path(directory)
        build(root, target, request.param, packaging)
        for name in ("libs", "services", "pyproject.toml", "requirements.lock", "run.lock"):
            path = target / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        yield request.param, target


def start(image: Path, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    """`python -m …` of the image, with its variables and no others."""
    return subprocess.Popen(
        [image / "venv/bin/python", "-m", *arguments],
        env={"PYTHONPATH": str(image / "src"), "PYTHONDONTWRITEBYTECODE": "1", **environment},
        cwd=image,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: "subprocess.Popen[str]") -> str:
    """What it printed; it must have ended well."""
    printed, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return printed


def answers(url: str, process: "subprocess.Popen[str]") -> bool:
    """Whether it answers, some day, while the process lives."""
    deadline = time.monotonic() + 90
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(url, timeout=5, trust_env=False).is_success
        time.sleep(0.2)
    return False


def files(image: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in image.rglob("*")}


def test_a_service_runs_from_what_its_image_holds_and_writes_nothing(
    image: tuple[str, Path], fresh_database: str, kafka_bootstrap: str
) -> None:
    service, tree = image
    before = files(tree)
    module = f"{service}_service"
    assert json.loads(end(start(tree, module, "openapi")))["info"]["title"] == f"{service}-service"
    end(start(tree, "eventing", "topics", "--bootstrap", kafka_bootstrap))
    http, metrics = free_ports(2)
    settings = {
        "DATABASE_URL": fresh_database,
        "KAFKA_BOOTSTRAP": kafka_bootstrap,
        "OIDC_ISSUER": "http://127.0.0.1:1/nobody",
        "HTTP_PORT": str(http),
        "METRICS_PORT": str(metrics),
    }
    end(start(tree, module, "migrate", **settings))
    running = start(tree, module, "all", **settings)
    try:
        assert answers(f"http://127.0.0.1:{http}/health/live", running)
        assert answers(f"http://127.0.0.1:{http}/docs", running)
        assert answers(f"http://127.0.0.1:{metrics}/metrics", running)
    finally:
        running.terminate()
    end(running)
    assert files(tree) == before


def test_nothing_else_is_in_the_image(image: tuple[str, Path]) -> None:
    service, tree = image
    installed = {path.name.split("-")[0] for path in tree.glob("venv/lib/*/site-packages/*.dist-info")}
    assert "fastapi" in installed
    assert not installed & {"pytest", "ruff", "pyright", "hypothesis", "testcontainers", "numpy", "jgo", "pip"}
    assert {path.name for path in (tree / "src").glob("*_service")} == {f"{service}_service"}
    assert not list(tree.glob("src/**/tests"))


def test_the_dockerfile_has_no_findings(root: Path, run: Callable[..., str]) -> None:
    assert run("hadolint", str(root / "Dockerfile")) == ""
