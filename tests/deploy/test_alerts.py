"""deploy/prometheus: rules and configuration are well-formed, every alert fires and clears on made-up series, and the
runbook has an entry for each. (tests/e2e/test_alerts.py makes them fire and clear on a running platform.)"""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from localplatform.topology import API_METRICS, DEFAULTS, SERVICES, WORKER_METRICS

Object = dict[str, Any]


@pytest.fixture(scope="module")
def folder(root: Path) -> Path:
    return root / "deploy/prometheus"


@pytest.fixture(scope="module")
def rules(folder: Path) -> list[Object]:
    (group,) = yaml.safe_load((folder / "alerts.yml").read_text())["groups"]
    return group["rules"]


def promtool(*arguments: str | Path) -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("there is no promtool here: Debian's package `prometheus` has it (.ci/run installs it as root)")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_well_formed_and_fire_and_clear(folder: Path, rules: list[Object]) -> None:
    promtool("check", "rules", folder / "alerts.yml")
    promtool("test", "rules", folder / "alerts.test.yml")
    cases: list[Object] = [
        case
        for each in yaml.safe_load((folder / "alerts.test.yml").read_text())["tests"]
        for case in each["alert_rule_test"]
    ]
    for rule in rules:
        fired = [bool(case.get("exp_alerts")) for case in cases if case["alertname"] == rule["alert"]]
        assert fired == [False, True, False], rule["alert"]


def test_prometheus_takes_the_configurations(folder: Path, tmp_path: Path) -> None:
    promtool("check", "config", folder / "local.yml")
    shutil.copy(folder / "alerts.yml", tmp_path)
    cluster = (folder / "prometheus.yml").read_text()
    discovery = "kubernetes_sd_configs: [{role: pod}]"  # Debian builds Prometheus without it
    assert cluster.count(discovery) == 1
    (tmp_path / "prometheus.yml").write_text(cluster.replace(discovery, "static_configs: []"))
    promtool("check", "config", tmp_path / "prometheus.yml")


def test_what_runs_on_one_machine_is_scraped(folder: Path, rules: list[Object]) -> None:
    (job,) = yaml.safe_load((folder / "local.yml").read_text())["scrape_configs"]
    found = {(each["labels"]["service"], each["labels"]["process"]): each["targets"] for each in job["static_configs"]}
    offsets = {"api": API_METRICS, "worker": WORKER_METRICS, "watch": WORKER_METRICS + 100}
    assert found == {
        (service, process): [f"127.0.0.1:{DEFAULTS[service] + more}"]
        for service in SERVICES
        for process, more in offsets.items()
    }
    missing = next(rule["expr"] for rule in rules if rule["alert"] == "ProcessMissing")
    assert all(f'absent(up{{service="{service}", process="{process}"}})' in missing for service, process in found)


def test_each_alert_has_its_entry_in_the_runbook(root: Path, rules: list[Object]) -> None:
    headings = [line[3:] for line in (root / "docs/runbook.md").read_text().splitlines() if line.startswith("## ")]
    for rule in rules:
        assert rule["alert"] in headings
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
