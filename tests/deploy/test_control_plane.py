"""Both overlays on a real API server, scheduler and controllers (nothing runs in the pods): no warnings, everything
becomes available, a second release applies, and while it rolls and while nodes are drained every API goes on serving.

CONTROL_PLANE, or the PATH, names the program that runs them: `up`, `crds`, `down`, and `kubectl …`."""

import contextlib
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(900)]
SERVICES = ("client", "risk", "engagement", "performance")
NAMESPACES = {"dev": "factoring-crm-dev", "prod": "factoring-crm"}


@dataclass
class Cluster:
    """The control plane's own client."""

    program: str

    def kubectl(self, *arguments: str, may_fail: bool = False) -> "subprocess.CompletedProcess[str]":
        answer = subprocess.run([self.program, "kubectl", *arguments], capture_output=True, text=True, timeout=300)
        assert may_fail or answer.returncode == 0, answer.stdout + answer.stderr
        return answer

    def get(self, *arguments: str) -> list[dict[str, Any]]:
        return json.loads(self.kubectl("get", *arguments, "-o", "json").stdout)["items"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    program = os.environ.get("CONTROL_PLANE") or shutil.which("control-plane")
    if not program:
        pytest.skip("no control plane: CONTROL_PLANE names the program that runs one")
    subprocess.run([program, "up"], check=True, capture_output=True)
    try:
        subprocess.run([program, "crds"], check=True, capture_output=True)
        yield Cluster(program)
    finally:
        subprocess.run([program, "down"], check=True)


@dataclass
class Overlay:
    """An overlay in a copy of deploy/, where it can be changed."""

    cluster: Cluster
    name: str
    folder: Path

    @property
    def namespace(self) -> str:
        return NAMESPACES[self.name]

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def apply(self) -> set[str]:
        """The workloads that changed; a warning of the API server fails the test."""
        before = self.generations()
        applied = self.cluster.kubectl("apply", "-k", str(self.folder))
        assert applied.stderr == ""
        return {name for name, generation in self.generations().items() if before.get(name) != generation}

    def generations(self) -> dict[str, int]:
        """How often the specification of each workload was changed."""
        found = self.cluster.get("deployments,jobs", "-n", self.namespace)
        return {each["metadata"]["name"]: each["metadata"]["generation"] for each in found}

    def all_available(self) -> None:
        for each in self.cluster.get("deployments", "-n", self.namespace):
            self.cluster.kubectl(
                "rollout", "status", "-n", self.namespace, f"deployment/{each['metadata']['name']}", "--timeout=180s"
            )
        self.cluster.kubectl("wait", "-n", self.namespace, "job", "--all", "--for=condition=complete", "--timeout=180s")
        for each in self.cluster.get("deployments", "-n", self.namespace):
            assert each["status"]["availableReplicas"] == each["spec"]["replicas"]
            assert not each["status"].get("unavailableReplicas")


@pytest.fixture(scope="module", params=NAMESPACES)
def overlay(
    request: pytest.FixtureRequest, cluster: Cluster, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Overlay:
    copy = tmp_path_factory.mktemp(request.param)
    for name in ("k8s", "keycloak"):
        shutil.copytree(root / "deploy" / name, copy / name)
    found = Overlay(cluster, request.param, copy / "k8s/overlays" / request.param)
    found.apply()
    found.all_available()
    return found


@dataclass
class Serving:
    """The fewest ready endpoints that each Service had."""

    fewest: dict[str, int] = field(default_factory=dict[str, int])
    seen: int = 0


@contextlib.contextmanager
def watched(overlay: Overlay) -> Generator[Serving]:
    """Every state of the endpoints meanwhile, as the network would see them."""
    command = ["kubectl", "get", "endpointslices", "-n", overlay.namespace, "-w", "-o", "json", "--output-watch-events"]
    watch = subprocess.Popen([overlay.cluster.program, *command], stdout=subprocess.PIPE, text=True)
    serving = Serving()

    def read() -> None:
        assert watch.stdout
        for line in watch.stdout:
            event = json.loads(line)
            name = event["object"]["metadata"]["labels"]["kubernetes.io/service-name"]
            endpoints: list[dict[str, Any]] = event["object"].get("endpoints") or []
            ready = sum(bool(each["conditions"].get("ready")) for each in endpoints)
            serving.fewest[name] = min(ready, serving.fewest.get(name, ready))
            serving.seen += 1

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    deadline = time.monotonic() + 30
    while not {f"{service}-api" for service in SERVICES} <= serving.fewest.keys():
        assert time.monotonic() < deadline, "the watch has not begun"
        time.sleep(0.05)
    began = serving.seen
    try:
        yield serving
        time.sleep(2)
        assert serving.seen > began, "nothing changed, so nothing was shown"
    finally:
        watch.terminate()
        reader.join(10)


def test_a_pod_without_restrictions_is_refused_there(overlay: Overlay) -> None:
    pod = overlay.cluster.kubectl("run", "unrestricted", "-n", overlay.namespace, "--image=busybox", may_fail=True)
    assert "violates PodSecurity" in pod.stderr


def test_applying_again_changes_nothing(overlay: Overlay) -> None:
    assert overlay.apply() == set()


def test_pods_are_spread_over_nodes_and_zones(overlay: Overlay) -> None:
    for service in SERVICES:
        selector = f"app.kubernetes.io/name={service}-service,app.kubernetes.io/component=api"
        pods = overlay.cluster.get("pods", "-n", overlay.namespace, "-l", selector)
        nodes = [each["spec"]["nodeName"] for each in pods]
        assert len(set(nodes)) == len(nodes) >= 2


def test_changed_settings_roll_the_pods_without_a_release(overlay: Overlay) -> None:
    path = overlay.folder / "crm.env"
    path.write_text(path.read_text() + "LOG_LEVEL=WARNING\n")
    with watched(overlay) as serving:
        changed = overlay.apply()
        overlay.all_available()
    assert changed == {f"{service}-{process}" for service in SERVICES for process in ("api", "worker", "watch")}
    assert min(serving.fewest[f"{service}-api"] for service in SERVICES) >= 1


def test_the_next_release_applies_with_jobs_of_its_own_and_every_api_goes_on_serving(overlay: Overlay) -> None:
    before = {
        each["metadata"]["name"]: each["spec"]["replicas"]
        for each in overlay.cluster.get("deployments", "-n", overlay.namespace)
    }
    overlay.edit("kustomization.yaml", "version=1", "version=2")
    with watched(overlay) as serving:
        overlay.apply()
        overlay.all_available()
    for service in SERVICES:
        assert serving.fewest[f"{service}-api"] >= before[f"{service}-api"], "fewer served than before"
    names = {each["metadata"]["name"] for each in overlay.cluster.get("jobs", "-n", overlay.namespace)}
    both = {f"{name}-{release}" for name in ("kafka-topics", *(f"{s}-migrate" for s in SERVICES)) for release in (1, 2)}
    assert both <= names
    for each in overlay.cluster.get("deployments", "-n", overlay.namespace, "-l", "app.kubernetes.io/part-of"):
        pod = each["spec"]["template"]["spec"]
        assert all(c["image"].endswith(":2") for c in [*pod["containers"], *pod.get("initContainers", [])])


def test_draining_every_node_in_turn_leaves_every_api_serving(overlay: Overlay) -> None:
    for node in overlay.cluster.get("nodes"):
        name = node["metadata"]["name"]
        with watched(overlay) as serving:
            overlay.cluster.kubectl(
                "drain", name, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=180s"
            )
            overlay.all_available()
        overlay.cluster.kubectl("uncordon", name)
        assert min(serving.fewest[f"{service}-api"] for service in SERVICES) >= 1, serving.fewest


def test_what_scales_the_workers_is_not_overruled_by_the_next_apply(overlay: Overlay) -> None:
    if overlay.name != "prod":
        pytest.skip("nothing scales the workers of this overlay")
    overlay.cluster.kubectl("scale", "-n", overlay.namespace, "deployment/risk-worker", "--replicas=5")
    overlay.edit("kustomization.yaml", "version=2", "version=3")
    overlay.apply()
    overlay.all_available()
    (worker,) = overlay.cluster.get(
        "deployments", "-n", overlay.namespace, "--field-selector=metadata.name=risk-worker"
    )
    assert worker["spec"]["replicas"] == 5
