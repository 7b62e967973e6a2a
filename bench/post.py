"""POST /contacts of engagement-service through uvicorn, 16 connections: ES256, permission, audit, idempotency, outbox
and the row, against a bare FastAPI that inserts one row. One process serves; the client is another."""

from __future__ import annotations

import base64
import json
import secrets
import sys
from dataclasses import dataclass
from uuid import UUID

import httpx

from bench.figures import Figure, compare, load_note, tell
from bench.servers import Child, Servers, connect
from localplatform.issuer import Issuer
from localplatform.processes import free_ports
from localplatform.program import Program
from localplatform.topology import DEFAULTS, Ports, service_environment

CONNECTIONS, ENTITY, STAFF = 16, "BENCH-FACTOR", UUID("0199a7c0-4444-7aaa-8aaa-000000000105")
CLIENT = UUID("0199a7c0-1111-7aaa-8aaa-000000000001")
BODY = {
    "client_id": str(CLIENT),
    "channel": "wechat",
    "direction": "inbound",
    "started_at": "2026-11-03T02:15:00Z",
    "answered_at": "2026-11-03T02:22:00Z",
    "outcome": "follow_up",
}


@dataclass
class Api:
    """engagement-service's api on a database of its own, with an issuer."""

    port: int
    token: str
    programs: list[Program]
    environment: dict[str, str]
    dsn: str

    @classmethod
    async def start(cls, servers: Servers) -> Api:
        """Migrated, and the one client known."""
        names = [*DEFAULTS, "engagement-api-metrics"]
        ports = Ports(dict(zip(names, free_ports(len(names)), strict=True)))
        connection = await connect(servers.postgresql.dsn)
        await connection.execute("CREATE DATABASE engagement")
        await connection.close()
        environment = service_environment(
            "engagement",
            ports,
            database_url=servers.dsn("engagement"),
            master_key=f"bench:{base64.b64encode(secrets.token_bytes(32)).decode()}",
            metrics="engagement-api-metrics",
        )
        await Program("migrate", ["engagement_service", "migrate"], environment, servers.home / "migrate.log").run()
        connection = await connect(servers.dsn("engagement"))
        await connection.execute("INSERT INTO client (id, entity_id, registered) VALUES ($1, $2, true)", CLIENT, ENTITY)
        await connection.close()
        issuer = Issuer(servers.home / "issuer", ports.url("issuer"))
        programs = [
            Program(
                "issuer",
                ["localplatform.issuer", str(servers.home / "issuer"), str(ports["issuer"])],
                {},
                servers.home / "issuer.log",
                ready=f"{ports.url('issuer')}/jwks",
            ),
            Program(
                "engagement-api",
                ["engagement_service", "api"],
                environment,
                servers.home / "api.log",
                ready=f"{ports.url('engagement')}/health/ready",
            ),
        ]
        for program in programs:
            await program.start()
        token = issuer.token(["service_agent"], ENTITY, STAFF)
        return cls(ports["engagement"], token, programs, environment, servers.dsn("engagement"))

    async def stop(self) -> None:
        """The api, then the issuer."""
        for program in reversed(self.programs):
            await program.stop()


async def run(servers: Servers, *, runs: int, count: int) -> list[Figure]:
    """Alternating turns on two servers, of which one works at a time."""
    note = load_note()
    api = await Api.start(servers)
    bare = await servers.database("bare")
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "uvicorn", "bench.http_peer:app", "--port", port, "--no-access-log"]
    log, environment = servers.home / "bare.log", {"DATABASE_URL": bare}
    peer = await Child.start([str(part) for part in command], log, environment, silent=True)
    rates: dict[str, list[float]] = {"ours": [], "bare": []}
    delays: dict[str, list[tuple[float, float]]] = {"ours": [], "bare": []}
    try:
        await _answers(port)
        for turn in range(runs + 1):
            for name, number in (("ours", api.port), ("bare", port)):
                done = await _post(servers, number, api.token, f"{name}{turn}", count if turn else 500)
                if turn:
                    rates[name].append(done["rate"])
                    delays[name].append((done["p50"], done["p99"]))
                    tell(f"  {name}: {done['rate']:.0f}/s, p50 {done['p50']:.2f} ms, p99 {done['p99']:.2f} ms")
        await _complete(api.dsn, runs * count + 500)
    finally:
        await peer.stop()
        await api.stop()
    bared = "bare FastAPI + asyncpg insert"
    p50, p99 = ({name: [pair[i] for pair in pairs] for name, pairs in delays.items()} for i in (0, 1))
    return [
        compare("POST rate", "requests/s", rates["ours"], rates["bare"], bared, at_least=0.333, note=note),
        compare("POST p50", "ms", p50["ours"], p50["bare"], bared),
        compare("POST p99", "ms", p99["ours"], p99["bare"], bared),
    ]


async def _post(servers: Servers, port: int, token: str, prefix: str, count: int) -> dict[str, float]:
    log = servers.home / "http.log"
    child = await Child.python("bench.http_client", port, CONNECTIONS, count, prefix, token, json.dumps(BODY), log=log)
    try:
        return await child.said()
    finally:
        await child.stop()


async def _answers(port: int) -> None:
    transport = httpx.AsyncHTTPTransport(retries=20)
    async with httpx.AsyncClient(transport=transport, trust_env=False) as http:
        for _ in range(100):
            try:
                (await http.get(f"http://127.0.0.1:{port}/openapi.json")).raise_for_status()
                break
            except httpx.HTTPError:
                continue


async def _complete(dsn: str, count: int) -> None:
    connection = await connect(dsn)
    for table in ("contact", "outbox", "audit", "idempotency"):
        found = await connection.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 - our own tables
        assert found == count, f"{table} has {found} rows of {count}"
    await connection.close()
