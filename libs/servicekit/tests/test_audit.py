"""The audit trail: complete, unchangeable, and free of anyone's plain personal data."""

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sample.notes import Base, Note, SeenClient
from sqlalchemy.exc import DBAPIError

from contracts.client import ClientRegistered
from contracts.risk import ExposureChanged
from servicekit.audit import BulkSqlOnAudited, audited_tables
from servicekit.tables import audit
from servicekit.testing import Harness


async def entries(sample: Harness) -> list[Any]:
    async with sample.tx() as tx:
        return list((await tx.execute(sa.select(audit).order_by(audit.c.id))).all())


async def test_make_change_and_delete_are_told_with_before_and_after(sample: Harness) -> None:
    officer = sample.client("risk_officer", subject="alice")
    made = await officer.post(
        "/notes", json={"client_id": str(uuid4()), "code": "A", "size": 1}, headers={"X-Correlation-ID": "c-1"}
    )
    address = f"/notes/{made.json()['id']}"
    await officer.put(address, json={"size": 2}, headers={"If-Match": '"1"'})
    await officer.delete(address)
    first, second, third = await entries(sample)
    assert (first.operation, first.action, first.actor, first.correlation_id) == ("make_note", "insert", "alice", "c-1")
    assert (first.entity_id, first.table_name, first.row_id) == ("DEMO-FACTOR", "note", made.json()["id"])
    assert first.before is None
    assert first.after["size"] == 1
    assert first.after["code"] == "A"
    assert (second.operation, second.before, second.after) == (
        "change_note",
        {"size": 1},
        {"size": 2},
    )
    assert (third.operation, third.action, third.before["size"], third.after) == ("delete_note", "delete", 2, None)


async def test_a_change_that_changes_nothing_is_no_entry(sample: Harness) -> None:
    officer = sample.client("risk_officer")
    made = await officer.post("/notes", json={"client_id": str(uuid4()), "code": "A", "size": 1})
    await officer.put(f"/notes/{made.json()['id']}", json={"size": 1}, headers={"If-Match": '"1"'})
    assert len(await entries(sample)) == 1


async def test_personal_fields_are_ciphertext(sample: Harness) -> None:
    await sample.client("risk_officer").post(
        "/notes", json={"client_id": str(uuid4()), "code": "A", "phone": "13812345678"}
    )
    (entry,) = await entries(sample)
    assert "13812345678" not in json.dumps(entry.after)
    assert set(entry.after["phone"]) == {"sealed"}


async def test_projections_are_not_audited_and_reactions_are(sample: Harness) -> None:
    await sample.receives(ClientRegistered.example())
    assert await entries(sample) == []
    client_id, note_id = uuid4(), uuid4()
    async with sample.tx() as tx, tx.begin():
        tx.add(Note(id=note_id, client_id=client_id, entity_id="DEMO-FACTOR", code="x", made_at=sample.clock()))
    assert audited_tables(Base) == frozenset({"note"})
    (entry,) = await entries(sample)
    assert (entry.operation, entry.actor, entry.entity_id) == ("unknown", None, "DEMO-FACTOR")
    await sample.receives(ExposureChanged.example())
    assert len(await entries(sample)) == 1


async def test_due_work_says_which_work_it_was(sample: Harness) -> None:
    moment = sample.clock.advance(timedelta(0))
    body = {"client_id": str(uuid4()), "code": "A", "remind_at": (moment + timedelta(hours=1)).isoformat()}
    await sample.client("risk_officer").post("/notes", json=body, headers={"X-Correlation-ID": "c-9"})
    sample.clock.advance(timedelta(hours=2))
    assert await sample.run_due() == 1
    entry = (await entries(sample))[-1]
    assert (entry.operation, entry.after["size"], entry.correlation_id) == ("due:notes.remind", 1, "c-9")


@pytest.mark.parametrize(
    "statement",
    [
        sa.update(Note).values(size=1),
        sa.delete(Note),
        sa.insert(Note).values(id=uuid4()),
        sa.update(Note.__table__).values(size=1),  # pyright: ignore[reportArgumentType] - a mapped class's Table
        sa.delete(Note.__table__),  # pyright: ignore[reportArgumentType]
    ],
)
async def test_bulk_sql_on_audited_tables_raises(sample: Harness, statement: Any) -> None:
    async with sample.tx() as tx:
        with pytest.raises(BulkSqlOnAudited):
            await tx.execute(statement)


async def test_bulk_sql_on_projections_is_free(sample: Harness) -> None:
    async with sample.tx() as tx, tx.begin():
        await tx.execute(sa.update(SeenClient).values(times=1))
        await tx.execute(sa.delete(SeenClient))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'x'",
        "UPDATE audit SET sealed_order = 1, actor = 'x'",
        "UPDATE audit SET sealed_hash = '\\x00'",
        "DELETE FROM audit",
        "TRUNCATE audit",
    ],
)
async def test_the_database_refuses_to_change_the_trail(sample: Harness, statement: str) -> None:
    await sample.client("risk_officer").post("/notes", json={"client_id": str(uuid4()), "code": "A"})
    async with sample.tx() as tx:
        with pytest.raises(DBAPIError, match="append-only"):
            await tx.execute(sa.text(statement))


async def test_an_entry_is_sealed_once(sample: Harness) -> None:
    await sample.client("risk_officer").post("/notes", json={"client_id": str(uuid4()), "code": "A"})
    async with sample.tx() as tx, tx.begin():
        await tx.execute(sa.text("UPDATE audit SET sealed_order = 1, sealed_hash = '\\x01'"))
    async with sample.tx() as tx:
        with pytest.raises(DBAPIError, match="append-only"):
            await tx.execute(sa.text("UPDATE audit SET sealed_order = 2"))


async def test_an_auditor_reads_the_trail_of_their_own_legal_entity(sample: Harness) -> None:
    for entity in ("DEMO-FACTOR", "OTHER-BANK"):
        officer = sample.client("risk_officer", entity_id=entity)
        for number in range(3):
            await officer.post("/notes", json={"client_id": str(uuid4()), "code": f"N{number}"})
    auditor = sample.client("auditor", entity_id="OTHER-BANK")
    page = (await auditor.get("/ops/audit", params={"limit": 2, "total": True})).json()
    assert (page["total"], [item["after"]["code"] for item in page["items"]]) == (3, ["N2", "N1"])
    rest = (await auditor.get("/ops/audit", params={"limit": 2, "cursor": page["next_cursor"]})).json()
    assert ([item["after"]["code"] for item in rest["items"]], rest["next_cursor"]) == (["N0"], None)
    assert (await sample.client("risk_officer").get("/ops/audit")).status_code == 403
