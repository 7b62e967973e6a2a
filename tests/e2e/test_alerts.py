"""Every alert of deploy/prometheus fires and clears for real: a Prometheus scrapes the platform, and what the alert is
about is done to it. The rules are the deployed ones; only their patience is shortened."""

# pyright: reportUnknownMemberType=false
# (aiokafka carries no types)

import re
import shutil
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
import yaml
from aiokafka import AIOKafkaProducer

from bus import eventually
from localplatform import processes
from localplatform.platform import ROOT
from localplatform.processes import free_ports
from localplatform.program import Program
from localplatform.testing import RunningPlatform
from localplatform.topology import SERVICES

FOLDER = ROOT / "deploy/prometheus"
BANK = "ALERT-FACTOR"
SHORTER = {r"for: \d+m": "for: 1s", r"\[2m\]": "[3s]", "> 10000": "> 0", r"\) > 10$": ") > 2"}
"""What to wait for in the deployed rules → and here."""


@dataclass
class Watching:
    """A Prometheus that watches the platform, and where it finds the metrics of each process."""

    http: httpx.AsyncClient
    targets: dict[tuple[str, str], int]
    rules: dict[str, str]

    async def firing(self) -> set[str]:
        """The alerts that fire for risk-service (the only one here with a `watch`)."""
        alerts = (await self.http.get("/api/v1/alerts")).json()["data"]["alerts"]
        ours = [each for each in alerts if each["labels"].get("service") == "risk" and each["state"] == "firing"]
        return {each["labels"]["alertname"] for each in ours}

    async def fires(self, *names: str) -> None:
        await eventually(self.firing, lambda firing: firing >= set(names))

    async def clears(self) -> None:
        await eventually(self.firing, lambda firing: not firing)


@pytest.fixture(scope="module")
async def prometheus(platform: RunningPlatform, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watching]:
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("there is no prometheus here: Debian's package `prometheus` has it (.ci/run installs it as root)")
    home = tmp_path_factory.mktemp("prometheus")
    port, watch = free_ports(2)
    ports = platform.platform.ports
    targets = {(each, kind): ports[f"{each}-{kind}-metrics"] for each in SERVICES for kind in ("api", "worker")}
    targets["risk", "watch"] = watch
    configuration: dict[str, Any] = yaml.safe_load((FOLDER / "local.yml").read_text())
    configuration["global"] = dict.fromkeys(("scrape_interval", "evaluation_interval", "scrape_timeout"), "1s")
    configuration["scrape_configs"][0]["static_configs"] = [
        {"targets": [f"127.0.0.1:{number}"], "labels": {"service": service, "process": process}}
        for (service, process), number in targets.items()
    ]
    (home / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    rules = (FOLDER / "alerts.yml").read_text()
    for pattern, shorter in SHORTER.items():
        rules, found = re.subn(pattern, shorter, rules, flags=re.MULTILINE)
        assert found, pattern
    (home / "alerts.yml").write_text(rules)
    command = [program, f"--config.file={home / 'prometheus.yml'}", f"--storage.tsdb.path={home / 'data'}"]
    log = home / "prometheus.log"
    observer = Program(
        "risk-watch",
        ["risk_service", "watch"],
        platform.environment("risk") | {"METRICS_PORT": str(watch)},
        home / "watch.log",
        ready=f"http://127.0.0.1:{watch}/health/ready",
    )
    await observer.start()
    server = await processes.spawn([*command, f"--web.listen-address=127.0.0.1:{port}"], log=log)
    try:
        await processes.wait_for_port(port, server, log, "Prometheus")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as http:
            alerts = {each["alert"]: each["expr"] for each in yaml.safe_load(rules)["groups"][0]["rules"]}
            yield Watching(http, targets, alerts)
    finally:
        await processes.stop(server)
        await observer.stop()


@asynccontextmanager
async def told_by_sql(platform: RunningPlatform, statement: str) -> AsyncGenerator[None]:
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(platform.database_url("risk"))
    try:
        await connection.execute(statement)
        yield
    finally:
        await connection.close()


async def rate(platform: RunningPlatform, client: str) -> None:
    """Something that risk-service tells."""
    async with platform.http("risk", "risk_officer", BANK) as risk:
        body = {"override": {"grade": "G3", "reason": "audited accounts"}}
        await eventually(lambda: risk.post(f"/clients/{client}/ratings", json=body), lambda told: told.is_success)


async def register(platform: RunningPlatform) -> str:
    """Something that risk-service hears."""
    async with platform.http("client", "bank_system", BANK) as office:
        return (await office.post("/clients", json={"name": "Alert Trading"})).json()["id"]


async def test_every_alert_fires_and_clears(platform: RunningPlatform, prometheus: Watching) -> None:
    fired: set[str] = set()

    async def fires(*names: str) -> None:
        await prometheus.fires(*names)
        fired.update(names)

    client = await register(platform)
    await prometheus.clears()

    platform.freeze("risk-worker")
    try:
        await register(platform)
        await fires("ProcessMissing", "ConsumerStuck", "ConsumerBehind")
    finally:
        platform.thaw("risk-worker")
    await prometheus.clears()

    await platform.stop("kafka")
    try:
        await rate(platform, client)
        await fires("RelayStalled")
    finally:
        await platform.start("kafka")
    await prometheus.clears()

    await platform.stop("postgresql")
    try:
        await fires("NotReady")
    finally:
        await platform.start("postgresql")
    await prometheus.clears()

    async with AIOKafkaProducer(bootstrap_servers=platform.kafka_bootstrap) as producer:
        await producer.send_and_wait("ledger.events", b"not JSON", key=str(uuid4()).encode())
    await fires("KeysParked")
    await platform.settled()
    for service in ("risk", "client"):  # both read the topic
        async with platform.http(service, "operations", BANK) as operator:
            (event,) = (await operator.get("/ops/parked-events")).json()
            reason = {"reason": "poison on purpose"}
            given_up = await operator.post(f"/ops/parked-events/{event['id']}/discard", json=reason)
            assert given_up.status_code == 204, given_up.text
    await prometheus.clears()

    async with platform.http("risk", "operations", BANK) as operator:
        # A hundred keys that park within minutes, and a row that Kafka refuses, are eventing's own tests (test_alarm,
        # test_relay); here only what they leave in the database.
        halted = "INSERT INTO consumer_halt (consumer_group, error) VALUES ('risk.main', 'said by a test')"
        async with told_by_sql(platform, halted):
            await fires("ConsumerHalted")
        assert (await operator.post("/ops/consumers/risk.main/resume")).status_code == 204
        refused = (
            "INSERT INTO relay_refused (topic, key, seq, error, attempts, stopped) VALUES ('t', 'k', 1, 'e', 3, true)"
        )
        async with told_by_sql(platform, refused):
            await fires("KeysRefused")
        assert (await operator.post("/ops/refused-keys/resume", json={"topic": "t", "key": "k"})).status_code == 204
    await prometheus.clears()
    assert fired == prometheus.rules.keys()
    await platform.settled()


async def test_every_metric_that_a_rule_names_is_told_by_some_process(prometheus: Watching) -> None:
    words = r"by \([^)]*\)|\{[^}]*\}|\[[^]]*\]|\b(and|or|unless|max|sum|count|delta|absent)\b"
    named = {name for rule in prometheus.rules.values() for name in re.findall(r"[a-z_]{2,}", re.sub(words, " ", rule))}
    assert {"eventing_parked_keys", "eventing_consumer_lag", "service_ready", "up"} <= named
    told = {"up"}  # Prometheus' own
    async with httpx.AsyncClient(trust_env=False) as http:
        for number in prometheus.targets.values():
            text = (await http.get(f"http://127.0.0.1:{number}/metrics")).text
            told |= set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
    assert named <= told
