"""What a caller gets: one transaction that commits before the answer, replay by key, ETags, pages, problems."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa
from sample.notes import Note
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine

from eventing.session import write_last
from servicekit import health
from servicekit.tables import audit, idempotency
from servicekit.testing import Harness, Template


@pytest.fixture
def officer(sample: Harness) -> httpx.AsyncClient:
    return sample.client("risk_officer")


def note(**more: Any) -> dict[str, Any]:
    return {"client_id": str(uuid4()), "code": uuid4().hex, **more}


async def count(sample: Harness, table: sa.Table) -> int:
    async with sample.tx() as tx:
        return await tx.scalar(sa.select(sa.func.count()).select_from(table)) or 0


# --- one transaction, before the answer ---


async def test_the_transaction_has_committed_when_the_answer_is_sent(sample: Harness) -> None:
    """Seen from inside the response: another connection already finds the row."""
    found: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def watching(message: Any) -> None:
            if message["type"] == "http.response.start":
                async with sample.runtime.engine.connect() as other:
                    found.append(await other.scalar(sa.select(sa.func.count()).select_from(Note)) or 0)
            await send(message)

        await sample.app(scope, receive, watching)

    token = sample.token("risk_officer")
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://x", headers={"Authorization": f"Bearer {token}"}
    ) as client:
        assert (await client.post("/notes", json=note())).status_code == 201
    assert found == [1]


async def test_a_refusal_leaves_nothing(sample: Harness, officer: httpx.AsyncClient) -> None:
    body = note(code="taken", phone="13800000000")
    assert (await officer.post("/notes", json=body)).status_code == 201
    refused = await officer.post("/notes", json={**body, "client_id": str(uuid4())}, headers={"Idempotency-Key": "x"})
    assert refused.status_code == 409
    assert refused.json()["type"] == "/problems/code-taken"
    assert len(await sample.emitted()) == 1
    assert await count(sample, audit) == 1
    assert await count(sample, idempotency) == 0


async def test_outbox_audit_and_idempotency_are_the_last_statement(sample: Harness, officer: httpx.AsyncClient) -> None:
    await sample.runtime.outbox_bound.check()
    statements: list[str] = []

    @event.listens_for(sample.runtime.engine.sync_engine, "before_cursor_execute")
    def note_down(conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        statements.append(statement)

    await officer.post("/notes", json=note(), headers={"Idempotency-Key": "k"})
    written = [each.split()[0] + " " + each.split()[2] for each in statements if "INSERT" in each]
    assert len(statements) == 3, statements
    assert written[0] == "INSERT note"
    assert all(f'"{table}"' in statements[-1] for table in ("outbox", "audit", "idempotency"))


async def test_a_request_that_needs_no_database_takes_no_connection(
    sample: Harness, officer: httpx.AsyncClient
) -> None:
    await sample.runtime.outbox_bound.check()
    taken: list[Any] = []

    @event.listens_for(sample.runtime.engine.sync_engine, "checkout")
    def note_down(*which: Any) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        taken.append(which)

    answer = await officer.post("/notes", json=note(size=2_000_000_000_000_000))
    assert answer.json()["type"] == "/problems/note-too-big"
    assert taken == []
    await officer.post("/notes", json=note())
    assert len(taken) == 1


# --- idempotency ---


async def test_the_same_key_and_body_get_the_same_answer_once(sample: Harness, officer: httpx.AsyncClient) -> None:
    body = note(phone="13800000000")
    first = await officer.post("/notes", json=body, headers={"Idempotency-Key": "k"})
    again = await officer.post("/notes", json=body, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.content, again.headers["etag"]) == (201, first.content, first.headers["etag"])
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert len(await sample.emitted()) == 1


async def test_another_body_under_the_same_key_is_refused(officer: httpx.AsyncClient) -> None:
    assert (await officer.post("/notes", json=note(), headers={"Idempotency-Key": "k"})).status_code == 201
    other = await officer.post("/notes", json=note(), headers={"Idempotency-Key": "k"})
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")


async def test_a_key_belongs_to_its_caller(sample: Harness) -> None:
    body = note()
    first = await sample.client("risk_officer", subject="a").post("/notes", json=body, headers={"Idempotency-Key": "k"})
    second = await sample.client("risk_officer", subject="b").post(
        "/notes", json={**body, "code": "other"}, headers={"Idempotency-Key": "k"}
    )
    assert (first.status_code, second.status_code) == (201, 201)


async def test_many_at_once_with_one_key_have_one_effect(sample: Harness, officer: httpx.AsyncClient) -> None:
    body = note()
    answers = await asyncio.gather(
        *(officer.post("/notes", json=body, headers={"Idempotency-Key": "k"}) for _ in range(8))
    )
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert all(
        answer.json()["type"] == "/problems/request-in-flight" for answer in answers if answer.status_code == 409
    )
    assert len(await sample.emitted()) == 1
    later = await officer.post("/notes", json=body, headers={"Idempotency-Key": "k"})
    assert (later.status_code, later.headers["idempotency-replayed"]) == (201, "true")


async def test_in_flight_answers_at_once_and_does_not_wait(sample: Harness, officer: httpx.AsyncClient) -> None:
    body = note(code="slow")
    async with sample.tx() as tx, tx.begin():
        tx.add(Note(id=uuid4(), client_id=uuid4(), entity_id="DEMO-FACTOR", code="slow", made_at=sample.clock()))
        await tx.flush()
        waiting = asyncio.create_task(officer.post("/notes", json=body, headers={"Idempotency-Key": "k"}))
        await asyncio.sleep(0.5)
        async with asyncio.timeout(3):
            second = await officer.post("/notes", json=body, headers={"Idempotency-Key": "k"})
        assert (second.status_code, second.json()["type"]) == (409, "/problems/request-in-flight")
        assert second.headers["retry-after"]
    assert (await waiting).json()["type"] == "/problems/code-taken"


async def test_a_first_request_that_commits_unseen_is_caught_by_the_primary_key(
    sample: Harness, officer: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snapshot before the first one's commit, lock after it: simulated by a claim that sees nothing."""
    body = note()
    await officer.post("/notes", json=body, headers={"Idempotency-Key": "k"})
    blind = sa.text(
        "SELECT true AS free, null::bytea AS fingerprint, null::int AS status, null::jsonb AS headers,"
        " null::bytea AS body, null::bool AS old"
        " WHERE :lock IS NOT NULL OR :subject || :operation || :key <> '' OR :since > now()"
    )
    monkeypatch.setattr(
        "servicekit.idempotency._CLAIM",
        blind.bindparams(
            sa.bindparam("lock", type_=sa.BigInteger),
            sa.bindparam("since", type_=sa.DateTime(timezone=True)),
            *(sa.bindparam(n, type_=sa.Text) for n in ("subject", "operation", "key")),
        ),
    )
    second = await officer.post("/notes", json={**body, "code": "else"}, headers={"Idempotency-Key": "k"})
    assert (second.status_code, second.json()["type"]) == (409, "/problems/request-in-flight")
    assert len(await sample.emitted()) == 1


async def test_a_key_is_forgotten_after_a_day(sample: Harness, officer: httpx.AsyncClient) -> None:

    body = note()
    await officer.post("/notes", json=body, headers={"Idempotency-Key": "k"})
    sample.clock.advance(timedelta(hours=25))
    late = await officer.post("/notes", json={**body, "code": "new"}, headers={"Idempotency-Key": "k"})
    assert late.status_code == 201


@pytest.mark.parametrize("key", ["", " ", "ü", "x" * 201, "a b"])
async def test_a_key_must_be_printable(officer: httpx.AsyncClient, key: str) -> None:
    answer = await officer.post("/notes", json=note(), headers=[(b"Idempotency-Key", key.encode())])
    assert answer.status_code == 400


# --- ETag and If-Match ---


async def test_a_change_needs_the_version_it_changes(officer: httpx.AsyncClient) -> None:
    made = await officer.post("/notes", json=note())
    address = f"/notes/{made.json()['id']}"
    assert made.headers["etag"] == '"1"'
    assert (await officer.put(address, json={"size": 5})).status_code == 428
    assert (await officer.put(address, json={"size": 5}, headers={"If-Match": "1"})).status_code == 400
    changed = await officer.put(address, json={"size": 5}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert (await officer.get(address)).headers["etag"] == '"2"'
    for stale in ('"1"', 'W/"2"'):
        lost = await officer.put(address, json={"size": 6}, headers={"If-Match": stale})
        assert (lost.status_code, lost.json()["type"]) == (412, "/problems/precondition-failed")
    assert (await officer.put(address, json={"size": 7}, headers={"If-Match": '"1", "2"'})).status_code == 200
    assert (await officer.put(address, json={"size": 8}, headers={"If-Match": "*"})).status_code == 200


async def test_of_two_changes_at_once_one_loses_with_412(sample: Harness, officer: httpx.AsyncClient) -> None:
    made = await officer.post("/notes", json=note())
    address = f"/notes/{made.json()['id']}"
    answers = await asyncio.gather(
        *(officer.put(address, json={"size": size}, headers={"If-Match": '"1"'}) for size in range(6))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412, 412]


async def test_a_lost_race_at_the_flush_is_a_412_too(sample: Harness, officer: httpx.AsyncClient) -> None:
    made = (await officer.post("/notes", json=note())).json()["id"]
    async with sample.tx() as tx, tx.begin():
        row = await tx.get_one(Note, made)
        row.size = 1
        await tx.flush()
        waiting = asyncio.create_task(officer.put(f"/notes/{made}", json={"size": 2}, headers={"If-Match": '"1"'}))
        await asyncio.sleep(0.3)
        assert not waiting.done()
    assert (await waiting).status_code == 412


# --- bad input never reaches a 500 ---

BAD = [
    (b"{", 400),
    (b"", 422),
    (b"null", 422),
    (b"[]", 422),
    (b'{"client_id": "x"}', 422),
    (b"\xff\xfe{", 400),
    (b'{"client_id": "\xff"}', 400),
    (b"[" * 100_000, 400),
    (b'{"client_id": NaN, "code": "x"}', 422),
    (b'"' + b"x" * 100 + b'"', 422),
]


@pytest.mark.parametrize(("body", "status"), BAD)
async def test_a_broken_body_is_the_callers_mistake(officer: httpx.AsyncClient, body: bytes, status: int) -> None:
    answer = await officer.post("/notes", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("code", "a\0b"),
        ("code", "\ud800"),
        ("code", "x" * 51),
        ("code", 5),
        ("client_id", "not-a-uuid"),
        ("size", 2**31),
        ("size", -(2**40)),
        ("size", 1.5),
        ("size", "1e400"),
        ("amount", "1e400"),
        ("amount", "99999999999999999999"),
        ("amount", "NaN"),
        ("remind_at", "99999-01-01T00:00:00Z"),
        ("remind_at", "2026-13-01"),
        ("remind_at", "9999-12-31T23:59:59-14:00"),
        ("remind_at", "0001-01-01T00:00:00+14:00"),
    ],
)
async def test_a_wrong_value_is_the_callers_mistake(officer: httpx.AsyncClient, field: str, value: Any) -> None:
    body = json.dumps({**note(), field: value})
    answer = await officer.post("/notes", content=body.encode(), headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}, answer.text


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/notes/xyz", 422),
        ("/notes/%00", 422),
        ("/notes?code=%00", 422),
        ("/notes?code=%ff", 200),
        ("/notes?limit=0", 422),
        ("/notes?limit=99999999999999999999999", 422),
        ("/notes?cursor=rubbish", 400),
        ("/notes?cursor=W10", 400),
        ("/notes?cursor=%00", 422),
        ("/ops/parked-events?after=99999999999999999999", 422),
        ("/nowhere", 404),
    ],
)
async def test_a_wrong_address_is_the_callers_mistake(sample: Harness, address: str, status: int) -> None:
    anyone = sample.client("risk_officer", "operations")
    answer = await anyone.get(address)
    assert answer.status_code == status, answer.text


async def test_other_methods_types_and_sizes(sample: Harness, officer: httpx.AsyncClient) -> None:
    for method in ("PATCH", "OPTIONS"):
        answer = await officer.request(method, "/notes")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    wrong = await officer.post("/notes", content=json.dumps(note()), headers={"Content-Type": "text/plain"})
    assert wrong.status_code == 422
    huge = await officer.post("/notes", json=note(phone="1" * 1_100_000))
    assert (huge.status_code, huge.json()["type"]) == (413, "/problems/body-too-large")


async def test_a_huge_body_of_unknown_length_is_cut_off(officer: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" " * 600_000

    answer = await officer.post("/notes", content=endless(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


# --- problems ---


async def test_a_422_names_the_field_and_echoes_nothing(officer: httpx.AsyncClient) -> None:
    answer = await officer.post("/notes", json=note(phone=["13812345678"], size="secret-size"))
    problem = answer.json()
    assert answer.status_code == 422
    assert {error["field"] for error in problem["errors"]} == {"body.phone", "body.size"}
    assert "13812345678" not in answer.text
    assert "secret-size" not in answer.text
    assert len(problem["trace_id"]) == 32


async def test_a_500_shows_no_exception_text(
    sample: Harness, officer: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("13812345678 is secret")

    monkeypatch.setattr("sample.notes.emit", broken)
    answer = await officer.post("/notes", json=note())
    assert (answer.status_code, answer.json()["type"]) == (500, "/problems/internal-error")
    assert "13812345678" not in answer.text
    assert "13812345678" not in caplog.text
    assert "RuntimeError" in caplog.text
    assert answer.json()["trace_id"]
    assert await count(sample, Note.__table__) == 0  # pyright: ignore[reportArgumentType] - a mapped class's Table


async def test_a_problem_leads_to_its_page(sample: Harness, officer: httpx.AsyncClient) -> None:
    body = note()
    await officer.post("/notes", json=body)
    problem = (await officer.post("/notes", json=body)).json()
    page = await sample.anonymous().get(problem["type"])
    assert page.status_code == 200
    assert "Another note has this code." in page.text
    assert "Choose another code." in page.text
    assert (await sample.anonymous().get("/problems/no-such-thing")).status_code == 404


async def test_an_unmapped_integrity_error_is_our_mistake(
    sample: Harness, officer: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("servicekit.problems._by_constraint", {})
    body = note()
    await officer.post("/notes", json=body)
    assert (await officer.post("/notes", json=body)).status_code == 500


async def test_a_database_that_is_away_is_503(sample: Harness, officer: httpx.AsyncClient) -> None:
    await sample.runtime.outbox_bound.check()
    await officer.get("/notes")
    async with sample.runtime.engine.connect() as connection:
        name = await connection.scalar(sa.text("SELECT current_database()"))
    url = sample.url.set(database="postgres")
    admin = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with admin.connect() as connection:
        await connection.execute(sa.text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'))
        await connection.execute(
            sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"), {"name": name}
        )
    await admin.dispose()
    for answer in (await officer.get("/notes"), await officer.post("/notes", json=note())):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2"), answer.text
    ready = await officer.get("/health/ready")
    assert (ready.status_code, ready.json()["checks"]["database"]) == (503, "does not answer")
    assert (await officer.get("/health/live")).status_code == 200


async def test_a_pooler_in_transaction_mode_is_served_without_named_statements(template: Template) -> None:
    async with template.harness(database_pooler=True) as pooled:
        officer = pooled.client("risk_officer")
        for _ in range(3):
            assert (await officer.post("/notes", json=note(), headers={"Idempotency-Key": "k"})).status_code in {
                201,
                422,
            }
        async with pooled.tx() as tx:
            assert (
                await tx.scalar(
                    sa.text("SELECT count(*) FROM pg_prepared_statements WHERE name NOT LIKE '__asyncpg_%-%'")
                )
                == 0
            )


# --- the outbox bound ---


async def test_a_full_outbox_refuses_changes_and_nothing_else(sample: Harness, officer: httpx.AsyncClient) -> None:
    sample.runtime.outbox_bound = health.OutboxBound(sample.runtime.engine, 2, fresh_seconds=0)
    made = [await officer.post("/notes", json=note()) for _ in range(3)]
    assert [answer.status_code for answer in made] == [201, 201, 201]
    await sample.runtime.outbox_bound.measure()
    refused = await officer.post("/notes", json=note())
    assert (refused.status_code, refused.json()["type"]) == (503, "/problems/outbox-full")
    assert refused.headers["retry-after"] == "30"
    address = f"/notes/{made[0].json()['id']}"
    assert (await officer.put(address, json={"size": 1}, headers={"If-Match": '"1"'})).status_code == 503
    assert (await officer.delete(address)).status_code == 503
    assert (await officer.get(address)).status_code == 200
    await sample.forget_emitted()
    assert (await officer.post("/notes", json=note())).status_code == 201


async def test_write_last_is_what_we_lean_on(sample: Harness) -> None:
    async with sample.tx() as tx, tx.begin():
        write_last(
            tx, audit, {"at": sample.clock(), "operation": "x", "table_name": "t", "row_id": "1", "action": "insert"}
        )
    assert await count(sample, audit) == 1
