"""Both overlays of deploy/k8s without a cluster: they render, they are valid, and what must hold of them holds."""

import importlib
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts import catalogue
from eventing.subscriptions import groups
from servicekit.app import Service
from servicekit.database import make_engine
from servicekit.settings import ServiceSettings

SERVICES: tuple[str, ...] = ("client", "risk", "engagement", "performance")
OVERLAYS = ("dev", "prod")
KEDA = ("ScaledObject", "TriggerAuthentication")
Object = dict[str, Any]
Run = Callable[..., str]


def app_of(service: str) -> Service:
    return importlib.import_module(f"{service}_service.app").app


@dataclass
class Rendered:
    """What an overlay says."""

    name: str
    text: str
    objects: list[Object]

    def kind(self, *kinds: str) -> list[Object]:
        return [each for each in self.objects if each["kind"] in kinds]

    def named(self, kind: str, name: str) -> Object:
        return next(each for each in self.kind(kind) if each["metadata"]["name"] == name)

    def ours(self, *kinds: str) -> list[Object]:
        """Those of the four services (not the servers that the dev overlay brings)."""
        return [
            each
            for each in self.kind(*kinds)
            if each["metadata"].get("labels", {}).get("app.kubernetes.io/part-of") == "factoring-crm"
        ]

    def variables(self, container: Object) -> dict[str, str | None]:
        """A container's environment; None where a Secret has the value."""
        found: dict[str, str | None] = {}
        for source in container.get("envFrom", []):
            found |= self.named("ConfigMap", source["configMapRef"]["name"])["data"]
        return found | {each["name"]: each.get("value") for each in container.get("env", [])}


def render(run: Run, folder: Path) -> Rendered:
    text = run("kubectl", "kustomize", str(folder))
    return Rendered(folder.name, text, list(yaml.safe_load_all(text)))


@pytest.fixture(scope="module", params=OVERLAYS)
def overlay(request: pytest.FixtureRequest, run: Run, root: Path) -> Rendered:
    return render(run, root / "deploy/k8s/overlays" / request.param)


def containers(workload: Object) -> Iterator[Object]:
    pod = workload["spec"]["template"]["spec"]
    yield from pod.get("initContainers", [])
    yield from pod["containers"]


def service_of(workload: Object) -> str:
    return workload["metadata"]["labels"]["app.kubernetes.io/name"].removesuffix("-service")


def component_of(workload: Object) -> str:
    return workload["metadata"]["labels"]["app.kubernetes.io/component"]


@pytest.mark.parametrize("version", ["1.32", "1.35", "1.37"])
def test_every_object_is_valid(overlay: Rendered, run: Run, tmp_path: Path, version: str) -> None:
    file = tmp_path / "rendered.yaml"
    file.write_text(overlay.text)
    said = run("kubernetes-validate", "--strict", "-k", version, str(file)).splitlines()
    known = [f"WARN {file} Couldn't find schema for kind {kind} " for kind in KEDA]
    wrong = [line for line in said if not line.startswith("INFO") and not line.startswith(tuple(known))]
    assert not wrong
    assert len(said) == len(overlay.objects)


def test_each_service_has_its_processes(overlay: Rendered) -> None:
    found = {(service_of(each), component_of(each)) for each in overlay.ours("Deployment")}
    assert found == {(service, component) for service in SERVICES for component in ("api", "worker", "watch")}
    jobs = {(service_of(each), component_of(each)) for each in overlay.ours("Job")}
    assert jobs == {*((service, "migrate") for service in SERVICES), ("kafka-topics", "topics")}


def test_pods_are_restricted(overlay: Rendered) -> None:
    (namespace,) = overlay.kind("Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for workload in overlay.kind("Deployment", "Job"):
        pod = workload["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(workload):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    for workload in overlay.ours("Deployment", "Job"):
        for container in containers(workload):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}
    for account in overlay.kind("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


def test_deployments_are_watched_spread_and_kept_available(overlay: Rendered) -> None:
    budgets = [each["spec"]["selector"]["matchLabels"] for each in overlay.kind("PodDisruptionBudget")]
    for workload in overlay.ours("Deployment"):
        pod = workload["spec"]["template"]
        (container,) = pod["spec"]["containers"]
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()
        assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
        assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
        spread = pod["spec"]["topologySpreadConstraints"]
        assert {each["topologyKey"] for each in spread} == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
        selector = workload["spec"]["selector"]["matchLabels"]
        assert all(each["labelSelector"]["matchLabels"] == selector for each in spread)
        assert budgets.count(selector) == 1
        assert workload["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
        assert component_of(workload) != "api" or workload["spec"]["replicas"] >= 2


def test_no_selector_takes_another_workloads_pods(overlay: Rendered) -> None:
    templates = {
        each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"]
        for each in overlay.kind("Deployment", "Job")
    }
    for each in overlay.kind("Deployment", "Service"):
        selector = each["spec"]["selector"]
        wanted = selector.get("matchLabels", selector)
        taken = [name for name, labels in templates.items() if wanted.items() <= labels.items()]
        assert taken == [each["metadata"]["name"]]


def test_variables_are_those_the_settings_know_and_none_is_missing(overlay: Rendered) -> None:
    for workload in [
        *overlay.ours("Deployment"),
        *(each for each in overlay.ours("Job") if service_of(each) in SERVICES),
    ]:
        fields = app_of(service_of(workload)).settings.model_fields
        known = {name.upper() for name in fields}
        required = {name.upper() for name, field in fields.items() if field.is_required()}
        volumes = {each["name"]: each for each in workload["spec"]["template"]["spec"]["volumes"]}
        for container in containers(workload):
            variables = overlay.variables(container)
            assert {name.removesuffix("_FILE") if name not in known else name for name in variables} <= known
            assert required <= {name if name in known else name.removesuffix("_FILE") for name in variables}
            mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
            for name, value in variables.items():
                if name not in known:
                    assert value
                    folder, _, key = value.rpartition("/")
                    secret = mounts[folder]["secret"]["secretName"]
                    assert secret == f"{service_of(workload)}-service"
                    if overlay.name == "dev":
                        assert key in overlay.named("Secret", secret)["data"]
    assert "MASTER_KEY_FILE" in overlay.variables(next(containers(overlay.named("Deployment", "client-api"))))


def configured(settings: type[ServiceSettings], variables: Mapping[str, object], name: str) -> float:
    """A number as the manifest sets it, or else by default."""
    return float(str(variables.get(name.upper()) or settings.model_fields[name].default))


def test_a_pod_has_time_to_end_what_it_does(overlay: Rendered) -> None:
    for workload in overlay.ours("Deployment"):
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        seconds = partial(configured, app_of(service_of(workload)).settings, overlay.variables(container))
        # servicekit.processes: patience + 2 s for all parts, then up to 10 s for the spans that are not exported yet.
        longest = seconds("shutdown_seconds") + 2 + 10
        assert workload["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > longest
        if component_of(workload) == "api":
            unready = container["readinessProbe"]["periodSeconds"]
            assert unready < seconds("drain_delay_seconds") < seconds("shutdown_seconds")


def test_metrics_have_a_port_of_their_own_as_the_image_listens(overlay: Rendered, root: Path) -> None:
    image = dict(re.findall(r"(HTTP_PORT|METRICS_PORT)=(\d+)", (root / "Dockerfile").read_text()))
    for workload in overlay.ours("Deployment"):
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        ports = {each["name"]: str(each["containerPort"]) for each in container["ports"]}
        assert ports["metrics"] == image["METRICS_PORT"]
        assert ports.get("http") == (image["HTTP_PORT"] if component_of(workload) == "api" else None)
        annotations = workload["spec"]["template"]["metadata"]["annotations"]
        assert annotations["prometheus.io/port"] == ports["metrics"]
    for service in overlay.ours("Service"):
        assert [each["targetPort"] for each in service["spec"]["ports"]] == ["http"]


async def test_all_processes_at_their_most_have_connections_enough(overlay: Rendered) -> None:
    stated = overlay.named("ConfigMap", "postgresql")["data"]
    scaled = {each["metadata"]["name"]: each["spec"]["maxReplicaCount"] for each in overlay.kind("ScaledObject")}
    wanted = dict.fromkeys(SERVICES, 1)  # migrate
    for workload in overlay.ours("Deployment"):
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        size = int(overlay.variables(container)["DATABASE_POOL_SIZE"] or 0)
        engine = make_engine("postgresql+asyncpg://h/d", pool_size=size, statement_timeout_ms=0, name="")
        pool: Any = engine.sync_engine.pool
        process = pool.size() + pool._max_overflow + 1  # the waker
        process += component_of(workload) == "worker"  # the relay
        most = scaled.get(workload["metadata"]["name"]) or workload["spec"]["replicas"]
        wanted[service_of(workload)] += process * (most + workload["spec"]["strategy"]["rollingUpdate"]["maxSurge"])
    reserved = 3  # superuser_reserved_connections
    together = list(wanted.values()) if stated["services"] == "1" else [sum(wanted.values())]
    assert all(each + reserved <= int(stated["max-connections"]) for each in together), wanted


def test_workers_scale_by_the_lag_of_their_own_groups_and_not_beyond_the_partitions(overlay: Rendered) -> None:
    partitions = min(topic.partitions for topic in catalogue.topics())
    objects = {each["metadata"]["name"]: each["spec"] for each in overlay.kind("ScaledObject")}
    assert set(objects) == ({f"{service}-worker" for service in SERVICES} if overlay.name == "prod" else set())
    for name, spec in objects.items():
        service = app_of(name.removesuffix("-worker"))
        assert spec["scaleTargetRef"] == {"name": name}
        assert "replicas" not in overlay.named("Deployment", name)["spec"]
        assert 1 <= spec["minReplicaCount"] <= spec["maxReplicaCount"] <= partitions
        heard = {group.id for group in groups(service.name, service.subscriptions)}
        assert {each["metadata"]["consumerGroup"] for each in spec["triggers"]} == heard
        kafka = overlay.variables(next(containers(overlay.named("Deployment", name))))["KAFKA_BOOTSTRAP"]
        assert {each["metadata"]["bootstrapServers"] for each in spec["triggers"]} == {kafka}


def test_only_what_is_needed_goes_in_or_out(overlay: Rendered) -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in overlay.kind("NetworkPolicy")}
    assert policies.pop("default-deny") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    reach: dict[str, set[str]] = {}
    for name, spec in policies.items():
        rules = [*spec.get("egress", []), *spec.get("ingress", [])]
        assert rules
        for rule in rules:
            assert rule["ports"], name
            assert rule.get("to") or rule.get("from"), name
        for expression in spec["podSelector"].get("matchExpressions", []):
            for component in expression["values"]:
                reach.setdefault(component, set()).add(name)
    running = {"postgresql", "telemetry", "metrics"}
    assert reach == {
        "api": running | {"identity-provider"},
        "worker": running | {"kafka"},
        "watch": running | {"kafka"},
        "migrate": {"postgresql"},
        "topics": {"kafka"},
    }


def test_nothing_secret_is_in_what_is_for_production(run: Run, root: Path) -> None:
    prod = render(run, root / "deploy/k8s/overlays/prod")
    assert not prod.kind("Secret")
    assert "development-only" not in prod.text
    told = (root / "deploy/k8s/README.md").read_text()
    referred = set(re.findall(r"(?:secretName|secretKeyRef:\s+key: \S+\s+name): (\S+)", prod.text))
    referred |= {
        each["name"] for auth in prod.kind("TriggerAuthentication") for each in auth["spec"]["secretTargetRef"]
    }
    assert len(referred) == 6
    for secret in referred:
        assert f"`{secret}`" in told, f"deploy/k8s/README.md does not say what {secret} holds"


def test_a_job_changes_its_name_with_the_release_and_nothing_without_it(run: Run, root: Path, tmp_path: Path) -> None:
    """A Job that was applied cannot be changed: the API server refuses."""
    shutil.copytree(root / "deploy/k8s", tmp_path / "k8s")
    shutil.copytree(root / "deploy/keycloak", tmp_path / "keycloak")
    for name in OVERLAYS:
        folder = tmp_path / "k8s/overlays" / name

        def jobs(folder: Path = folder) -> dict[str, Object]:
            return {each["metadata"]["name"]: each["spec"] for each in render(run, folder).ours("Job")}

        first = jobs()
        settings = folder / "crm.env"
        settings.write_text(settings.read_text() + "LOG_LEVEL=DEBUG\n")
        rendered = render(run, folder)
        assert jobs() == first
        assert "LOG_LEVEL" in str(rendered.kind("ConfigMap"))
        kustomization = folder / "kustomization.yaml"
        kustomization.write_text(kustomization.read_text().replace("version=1", "version=2"))
        assert {job.replace("-1", "-2") for job in first} == set(jobs())
        assert not set(first) & set(jobs())
        images = {c["image"] for each in render(run, folder).ours("Deployment", "Job") for c in containers(each)}
        assert images == {f"factoring-crm/{service}-service:2" for service in SERVICES}


def test_topics_have_as_many_copies_as_there_are_brokers(overlay: Rendered) -> None:
    (job,) = (each for each in overlay.ours("Job") if component_of(each) == "topics")
    (container,) = containers(job)
    assert container["command"] == [
        "python",
        "-m",
        "eventing",
        "topics",
        "--replication",
        {"dev": "1", "prod": "3"}[overlay.name],
    ]
    variables = overlay.variables(container)
    assert ("KAFKA_USERNAME" in variables) == ("KAFKA_SASL_MECHANISM" in variables)
