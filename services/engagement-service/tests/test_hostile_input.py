"""Whatever is sent, the answer is a 2xx or a 4xx with a problem document, and a refusal changes nothing."""

import json
import random
from typing import Any

import httpx
import sqlalchemy as sa

from engagement_service.app import app
from engagement_service.permissions import ROLES
from servicekit.testing import Harness

from .words import ACME, LI, alert_raised

NASTY: list[Any] = [
    None, True, -1, 0, 10**30, 1e308, "", " ", "a" * 9000, "UNKNOWN", "unknown", "'; DROP TABLE visit; --",
    "\ud800", "a\u0000b",
    "0001-01-01", "9999-12-31", "2026-02-30", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    "2026-02-10T01:30:00Z",
    "00000000-0000-0000-0000-000000000000", str(ACME), [], ["x"] * 30, {}, {"a": {"b": []}},
]  # fmt: skip
GOOD: dict[str, Any] = {
    "client_id": str(ACME), "category": "fees", "channel": "phone", "direction": "inbound", "outcome": "done",
    "started_at": "2026-02-10T01:00:00Z", "due_on": "2026-02-13", "completed_on": "2026-02-10", "complexity": "complex",
    "handler_id": str(LI), "reason": "other",
}  # fmt: skip


async def test_nothing_reaches_a_500(office: Harness) -> None:
    chance = random.Random(20260210)
    someone = office.client(*ROLES, staff_id=LI)
    await office.receives(alert_raised(ACME))
    ids = {
        "client_id": str(ACME),
        "visit_id": (await someone.get("/visits")).json()["items"][0]["id"],
        "contact_id": (await someone.post("/contacts", json=_some(GOOD, "/contacts"))).json()["id"],
        "complaint_id": (await someone.post("/complaints", json=_some(GOOD, "/complaints"))).json()["id"],
    }
    document = app.openapi()
    for _ in range(4):
        for path, methods in document["paths"].items():
            if path.startswith(("/ops", "/health", "/docs")):
                continue
            for method, operation in methods.items():
                for name in ids:
                    path_value = ids[name] if chance.random() < 0.8 else str(chance.choice(NASTY[10:12] + NASTY[20:22]))
                    path = path.replace(f"{{{name}}}", path_value.replace("/", "%2F").replace("\0", "%00"))
                query = {
                    p["name"]: _text(chance.choice(NASTY))
                    for p in operation.get("parameters", [])
                    if p["in"] == "query" and chance.random() < 0.3
                }
                body = _some(GOOD, path) | {
                    chance.choice([*GOOD, "note", "narrative", "needs", "answer", "agreed_for"]): chance.choice(NASTY)
                    for _ in range(2)
                }
                before = await _rows(office)
                answer = await _send(someone, method, path, query, body)
                assert answer.status_code < 500, (method, path, query, body, answer.text)
                if answer.status_code >= 400:
                    assert answer.headers["content-type"] == "application/problem+json", (method, path)
                    assert await _rows(office) == before, (method, path, query, body)


async def _send(
    client: httpx.AsyncClient, method: str, path: str, query: dict[str, str], body: dict[str, Any]
) -> httpx.Response:
    headers = {"If-Match": "*", "Content-Type": "application/json"}
    content = json.dumps(body).encode() if method != "get" else None
    return await client.request(method, path, params=query, content=content, headers=headers)


def _text(value: Any) -> str:
    return "lone surrogate" if value == "\ud800" else str(value)


def _some(good: dict[str, Any], path: str) -> dict[str, Any]:
    wanted = {
        "/contacts": ("client_id", "channel", "direction", "outcome", "started_at"),
        "/complaints": ("client_id", "category", "channel"),
        "/visits": ("client_id", "due_on"),
    }
    last = path.rpartition("/")[2]
    steps = {"classification": ("category", "complexity"), "handler": ("handler_id",), "complete": ("completed_on",)}
    steps |= {"cancel": ("reason",)}
    return {name: good[name] for name in wanted.get(path) or steps.get(last, ())}


async def _rows(office: Harness) -> list[Any]:
    tables = ("contact", "complaint", "visit", "visit_cause", "outbox", "due_work", "audit")
    async with office.tx() as tx:
        counted = ", ".join(f"(SELECT count(*) FROM {table})" for table in tables)
        versions = "(SELECT sum(version) FROM complaint), (SELECT sum(version) FROM visit)"
        return list((await tx.execute(sa.text(f"SELECT {counted}, {versions}"))).one())
