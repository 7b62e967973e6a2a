"""Processes as deployed: they start without Kafka, drain at SIGTERM, and end when a part fails."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
import pytest
import sqlalchemy as sa

from contracts import catalogue
from eventing import topics
from eventing.kafka import KafkaSettings
from eventing.schema import relay_lease
from servicekit.personal import Keyring
from servicekit.processes import PartEnded, run_parts
from servicekit.tables import person_key
from servicekit.testing import AUDIENCE, MASTER_KEY, Harness, TestIssuer

HERE = Path(__file__).parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def provider() -> Iterator[tuple[str, TestIssuer]]:
    """A key set served over HTTP, with discovery."""
    issuer = TestIssuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            document: Any = issuer.jwks()
            if self.path.endswith("openid-configuration"):
                document = {"jwks_uri": f"{address}/jwks"}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(orjson.dumps(document))

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    address = f"http://127.0.0.1:{server.server_address[1]}"
    Thread(target=server.serve_forever, daemon=True).start()
    yield address, issuer
    server.shutdown()


@dataclass
class Running:
    """A process of the sample service."""

    process: asyncio.subprocess.Process
    http: str
    metrics: str
    log: Path

    async def ready(self, address: str) -> None:
        async with httpx.AsyncClient() as client, asyncio.timeout(60):
            while True:
                assert self.process.returncode is None, self.log.read_text()
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(f"{address}/health/ready")).status_code == 200:
                        return
                await asyncio.sleep(0.1)

    async def ended(self) -> int:
        async with asyncio.timeout(40):
            return await self.process.wait()


@contextlib.asynccontextmanager
async def started(commands: str, harness: Harness, issuer: str, tmp_path: Path, **more: str) -> AsyncGenerator[Running]:
    http, metrics = free_port(), free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": str(HERE),
        "DATABASE_URL": harness.settings.database_url.get_secret_value(),
        "KAFKA_BOOTSTRAP": f"127.0.0.1:{free_port()}",
        "OIDC_ISSUER": issuer,
        "OIDC_AUDIENCE": AUDIENCE,
        "MASTER_KEY": MASTER_KEY,
        "HTTP_PORT": str(http),
        "METRICS_PORT": str(metrics),
        "SHUTDOWN_SECONDS": "10",
        **more,
    }
    command, *options = commands.split()
    log = tmp_path / f"{command}-{uuid4().hex[:4]}.log"
    code = "import sys; from sample.app import app; app.main(sys.argv[1:])"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, command, *options, env=environment, stdout=out, stderr=out
        )
    running = Running(process, f"http://127.0.0.1:{http}", f"http://127.0.0.1:{metrics}", log)
    try:
        yield running
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def bearer(issuer: TestIssuer, address: str) -> dict[str, str]:
    token = issuer.token(iss=address, entity_id="DEMO-FACTOR", roles=["risk_officer"])
    return {"Authorization": f"Bearer {token}"}


async def test_an_api_works_without_kafka_and_drains(
    sample: Harness, provider: tuple[str, TestIssuer], tmp_path: Path
) -> None:
    address, issuer = provider
    async with started("api", sample, address, tmp_path, DRAIN_DELAY_SECONDS="1") as api:
        await api.ready(api.http)
        async with httpx.AsyncClient(base_url=api.http, headers=bearer(issuer, address), timeout=20) as client:
            made = await client.post("/notes", json={"client_id": str(uuid4()), "code": "A"})
            assert made.status_code == 201, made.text
            metrics = (await client.get(f"{api.metrics}/metrics")).text
            assert 'http_requests_total{method="POST",route="/notes",status="201"} 1.0' in metrics
            assert (await client.get("/metrics")).status_code == 404
            note = made.json()["id"]
            async with sample.tx() as tx, tx.begin():
                await tx.execute(sa.text("SELECT 1 FROM note FOR UPDATE"))
                running = asyncio.create_task(
                    client.put(f"/notes/{note}", json={"size": 3}, headers={"If-Match": '"1"'})
                )
                await asyncio.sleep(0.5)
                api.process.send_signal(signal.SIGTERM)
                await asyncio.sleep(0.3)
                async with httpx.AsyncClient() as probe:
                    unready = await probe.get(f"{api.http}/health/ready")
                    assert (unready.status_code, unready.json()["checks"]["process"]) == (503, "shutting down")
                await asyncio.sleep(1.5)
                assert api.process.returncode is None
                with pytest.raises(httpx.ConnectError):
                    async with httpx.AsyncClient() as late:
                        await late.get(f"{api.http}/health/live")
            assert (await running).status_code == 200
        assert await api.ended() == 0
        assert "ended in good order" in api.log.read_text()


async def test_a_worker_waits_for_kafka_and_ends_in_good_order(
    sample: Harness, provider: tuple[str, TestIssuer], tmp_path: Path
) -> None:
    await sample.client("risk_officer").post("/notes", json={"client_id": str(uuid4()), "code": "A"})
    async with started("worker", sample, provider[0], tmp_path) as worker:
        await worker.ready(worker.metrics)
        await asyncio.sleep(3)
        assert worker.process.returncode is None, worker.log.read_text()
        async with httpx.AsyncClient() as client:
            metrics = (await client.get(f"{worker.metrics}/metrics")).text
        assert "outbox_rows 1.0" in metrics
        assert "outbox_oldest_age_seconds" in metrics
        assert "parked_events 0.0" in metrics
        worker.process.send_signal(signal.SIGTERM)
        assert await worker.ended() == 0, worker.log.read_text()


async def test_a_lost_lease_ends_the_process_and_says_so(
    sample: Harness, provider: tuple[str, TestIssuer], kafka_bootstrap: str, tmp_path: Path
) -> None:
    async with started("worker", sample, provider[0], tmp_path, KAFKA_BOOTSTRAP=kafka_bootstrap) as worker:
        await worker.ready(worker.metrics)
        async with asyncio.timeout(60):
            while True:
                async with sample.tx() as tx, tx.begin():
                    stolen = await tx.execute(
                        sa.update(relay_lease)
                        .values(
                            holder=uuid4(), epoch=relay_lease.c.epoch + 1, until=sa.text("now() + interval '1 hour'")
                        )
                        .returning(relay_lease.c.name)
                    )
                if stolen.first() is not None:
                    break
                await asyncio.sleep(0.2)
        assert await worker.ended() == 1
        assert "relay failed, so this process ends" in worker.log.read_text()
        assert "LeaseLost" in worker.log.read_text()


async def test_a_taken_port_and_a_wrong_setting_are_named(
    sample: Harness, provider: tuple[str, TestIssuer], tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        async with started("api", sample, provider[0], tmp_path, HTTP_PORT=port) as api:
            assert await api.ended() == 1
            assert "HTTP_PORT: cannot listen" in api.log.read_text()
    async with started("api", sample, provider[0], tmp_path, OUTBOX_LIMIT="none") as api:
        assert await api.ended() == 1
        assert "OUTBOX_LIMIT" in api.log.read_text()
        assert "Traceback" not in api.log.read_text()


async def test_all_in_one_process_publishes_what_the_api_took(
    sample: Harness, provider: tuple[str, TestIssuer], kafka_bootstrap: str, tmp_path: Path
) -> None:
    address, issuer = provider
    async with started("all", sample, address, tmp_path, KAFKA_BOOTSTRAP=kafka_bootstrap) as both:
        await both.ready(both.http)
        async with httpx.AsyncClient(base_url=both.http, headers=bearer(issuer, address)) as client:
            assert (await client.post("/notes", json={"client_id": str(uuid4()), "code": "A"})).status_code == 201
        both.process.send_signal(signal.SIGTERM)
        assert await both.ended() == 0, both.log.read_text()


# --- parts ---


async def test_when_a_part_fails_the_others_finish_first() -> None:
    stop = asyncio.Event()
    finished: list[str] = []

    async def fails() -> None:
        await asyncio.sleep(0.01)
        raise ValueError

    async def batch() -> None:
        await stop.wait()
        await asyncio.sleep(0.05)
        finished.append("batch")

    with pytest.raises(SystemExit) as ended:
        await run_parts([("bad", fails()), ("batch", batch())], stop, 1)
    assert (ended.value.code, finished) == (1, ["batch"])


async def test_a_part_that_just_returns_is_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SystemExit):
        await run_parts([("short", asyncio.sleep(0))], asyncio.Event(), 1)
    assert PartEnded.__name__ in caplog.text


async def test_a_part_that_does_not_finish_is_cut_off() -> None:
    stop = asyncio.Event()
    stop.set()
    async with asyncio.timeout(10):
        await run_parts([("endless", asyncio.sleep(3600))], stop, -1.9)


async def test_master_keys_are_rotated_while_the_api_runs_and_a_killed_rotation_goes_on(
    sample: Harness, tmp_path: Path
) -> None:
    officer, new = sample.client("risk_officer"), "new:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
    persons = [UUID(int=n) for n in range(1, 6)]
    notes: list[str] = []
    for code, person in zip("ABCDE", persons, strict=True):
        made = await officer.post("/notes", json={"client_id": str(person), "code": code, "phone": f"138{person}"})
        notes.append(made.json()["id"])

    async def phones(ring: str) -> list[Any]:
        sample.runtime.keyring = Keyring.parse(ring)
        return [(await officer.get(f"/notes/{note}")).json().get("phone") for note in notes]

    async def wrapped_anew() -> list[UUID]:
        async with sample.tx() as tx:
            by_new = sa.select(person_key.c.person_id).where(person_key.c.master_id == "new")
            return list(await tx.scalars(by_new.order_by(person_key.c.person_id)))

    readable, both = [f"138{each}" for each in persons], f"{new},{MASTER_KEY}"
    assert await phones(new) == [None] * 5
    async with sample.tx() as held, held.begin():
        await held.execute(sa.select(person_key).where(person_key.c.person_id == persons[3]).with_for_update())
        async with started("rewrap --batch 2", sample, "https://id.example", tmp_path, MASTER_KEY=both) as killed:
            async with asyncio.timeout(60):
                while await wrapped_anew() != persons[:2]:
                    assert killed.process.returncode is None, killed.log.read_text()
                    await asyncio.sleep(0.05)
            assert await phones(both) == readable
            killed.process.kill()
            await killed.ended()
    assert await wrapped_anew() == persons[:2]
    async with started("rewrap --batch 2", sample, "https://id.example", tmp_path, MASTER_KEY=new) as lacking:
        assert await lacking.ended() == 1
        assert "lacks a key" in lacking.log.read_text()
    async with started("rewrap --batch 2", sample, "https://id.example", tmp_path, MASTER_KEY=both) as again:
        assert await again.ended() == 0, again.log.read_text()
        assert "3 persons' keys wrapped anew; none is left" in again.log.read_text()
    assert await phones(new) == readable


@contextlib.asynccontextmanager
async def pooled(url: sa.URL, folder: Path) -> AsyncGenerator[int]:
    """PgBouncer in transaction mode, two connections to the server for all who come; gives its port."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if program is None:
        pytest.skip("there is no pgbouncer here: Debian's package `pgbouncer` has it (.ci/run installs it as root)")
    port, server = free_port(), f"host={url.host} port={url.port or 5432} user={url.username}"
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n* = {server} password='{url.password or ''}'\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        "pool_mode = transaction\ndefault_pool_size = 2\nserver_reset_query =\n"
    )
    unprivileged = ["-u", "nobody"] if os.getuid() == 0 else []
    with (folder / "pgbouncer.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(program, *unprivileged, settings, stdout=log, stderr=log)
    try:
        async with asyncio.timeout(30):
            while True:
                assert process.returncode is None, (folder / "pgbouncer.log").read_text()
                with contextlib.suppress(OSError):
                    (await asyncio.open_connection("127.0.0.1", port))[1].close()
                    break
                await asyncio.sleep(0.05)
        yield port
    finally:
        process.terminate()
        await process.wait()


async def test_a_pooler_in_transaction_mode_serves_all_but_the_relay_and_its_waking(
    sample: Harness, provider: tuple[str, TestIssuer], kafka_bootstrap: str, tmp_path: Path
) -> None:
    address, issuer = provider
    direct = sample.settings.database_url.get_secret_value()
    await asyncio.to_thread(topics.create, KafkaSettings(kafka_bootstrap), catalogue.topics(), replication=1)
    async with pooled(sample.url, tmp_path) as port:
        pooler = sample.url.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
        settings = {"DATABASE_URL": pooler, "DATABASE_POOLER": "true", "DATABASE_DIRECT_URL": direct}
        async with (
            started("api", sample, address, tmp_path, **settings) as api,
            started("worker", sample, address, tmp_path, KAFKA_BOOTSTRAP=kafka_bootstrap, **settings) as worker,
        ):
            await api.ready(api.http)
            await worker.ready(worker.metrics)
            async with httpx.AsyncClient(base_url=api.http, headers=bearer(issuer, address), timeout=30) as client:

                async def make(n: int) -> None:
                    note = {"client_id": str(uuid4()), "code": f"N-{n}"}
                    headers = {"Idempotency-Key": f"key-{n}"}
                    made, again = [await client.post("/notes", json=note, headers=headers) for _ in range(2)]
                    assert (made.status_code, again.json()) == (201, made.json()), made.text
                    path = f"/notes/{made.json()['id']}"
                    changed = await client.put(path, json={"size": n}, headers={"If-Match": '"1"'})
                    assert changed.status_code == 200, changed.text

                await asyncio.gather(*map(make, range(40)))
                async with asyncio.timeout(60), sample.runtime.engine.connect() as connection:
                    while await connection.scalar(sa.text("SELECT count(*) FROM outbox")):  # noqa: ASYNC110 - another process empties it
                        await asyncio.sleep(0.1)
                    served = await connection.execute(
                        sa.text(
                            "SELECT application_name, count(*) FROM pg_stat_activity WHERE datname = current_database()"
                            " AND pid <> pg_backend_pid() GROUP BY 1"
                        )
                    )
            connections = {str(name): count for name, count in served}
            assert connections.pop("eventing-relay") == 1
            assert sum(connections.values()) <= 2 + 2, connections  # the pooler's, and each process's waker
            for each in (api, worker):
                assert each.process.returncode is None, each.log.read_text()
                assert "prepared statement" not in each.log.read_text()


async def test_the_watch_tells_what_waits_with_worker_and_kafka_away(
    sample: Harness, provider: tuple[str, TestIssuer], tmp_path: Path
) -> None:
    await sample.client("risk_officer").post("/notes", json={"client_id": str(uuid4()), "code": "A"})
    async with started("watch", sample, provider[0], tmp_path) as watch, httpx.AsyncClient() as client:

        async def tell() -> str:
            return (await client.get(f"{watch.metrics}/metrics")).text

        await watch.ready(watch.metrics)
        async with asyncio.timeout(60):
            while "eventing_outbox_rows 1.0" not in (told := await tell()):  # noqa: ASYNC110 - another process looks
                await asyncio.sleep(0.1)
        assert "service_ready 1.0" in told
        watch.process.send_signal(signal.SIGTERM)
        assert await watch.ended() == 0, watch.log.read_text()
