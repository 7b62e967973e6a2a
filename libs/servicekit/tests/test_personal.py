"""Personal fields: ciphertext at rest, bound to their place, gone with the person's key."""

from uuid import uuid4

import pytest
import sqlalchemy as sa
from sample.notes import Note
from sqlalchemy.exc import StatementError

from servicekit.personal import (
    ForeignCiphertext,
    Keyring,
    NoMasterKey,
    PersonalText,
    PersonKey,
    erase_person,
    key_of_person,
    person_keys,
    rewrap,
)
from servicekit.settings import WrongSettings
from servicekit.tables import audit, person_key
from servicekit.testing import MASTER_KEY, Harness

SECRET = "王小明 13812345678"
OTHER = "next:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="


async def test_only_ciphertext_reaches_the_database(sample: Harness) -> None:
    officer = sample.client("risk_officer")
    made = await officer.post("/notes", json={"client_id": str(uuid4()), "code": "A", "phone": SECRET})
    async with sample.tx() as tx:
        raw = await tx.scalar(sa.text("SELECT phone FROM note"))
        dump = await tx.scalar(
            sa.text(
                "SELECT string_agg(t::text, '') FROM (SELECT note::text t FROM note"
                " UNION ALL SELECT outbox::text FROM outbox UNION ALL SELECT audit::text FROM audit) x"
            )
        )
    assert SECRET.encode() not in raw
    assert "13812345678" not in (dump or "")
    assert SECRET.encode().hex() not in (dump or "")
    assert (await officer.get(f"/notes/{made.json()['id']}")).json()["phone"] == SECRET


async def test_erasing_the_key_erases_the_person(sample: Harness) -> None:
    officer = sample.client("risk_officer")
    client_id = uuid4()
    made = await officer.post("/notes", json={"client_id": str(client_id), "code": "A", "phone": SECRET})
    async with sample.tx() as tx, tx.begin():
        assert await erase_person(tx, client_id)
        assert not await erase_person(tx, client_id)
    got = (await officer.get(f"/notes/{made.json()['id']}")).json()
    assert (got["code"], got["phone"]) == ("A", None)
    async with sample.tx() as tx:
        actions = list(await tx.scalars(sa.select(audit.c.action).where(audit.c.table_name == "person_key")))
    assert actions == ["erase", "erase"]


async def test_a_ciphertext_opens_only_where_it_was_made_for(sample: Harness) -> None:
    async with sample.tx() as tx, tx.begin():
        person, other = await key_of_person(tx, uuid4(), create=True), await key_of_person(tx, uuid4(), create=True)
    row = uuid4()
    sealed = person.seal(Note.phone, row, SECRET)
    assert person.read(Note.phone, row, sealed) == SECRET
    with pytest.raises(ForeignCiphertext):
        person.read(Note.phone, uuid4(), sealed)
    with pytest.raises(ForeignCiphertext):
        other.read(Note.phone, row, sealed)
    with pytest.raises(ForeignCiphertext):
        person.read(Note.phone, row, PersonalText(sealed.ciphertext[:-1] + bytes([sealed.ciphertext[-1] ^ 1])))
    with pytest.raises(ForeignCiphertext):
        person.read(Note.phone, row, PersonalText(b"\x02" + sealed.ciphertext[1:]))
    assert person.seal(Note.phone, row, SECRET) != sealed
    assert SECRET not in repr(sealed)


async def test_plain_text_cannot_be_stored_by_mistake(sample: Harness) -> None:
    async with sample.tx() as tx:
        tx.add(Note(id=uuid4(), client_id=uuid4(), entity_id="E1", code="x", made_at=sample.clock(), phone=SECRET))
        with pytest.raises(StatementError):
            await tx.flush()


async def test_master_keys_are_rotated_and_the_old_one_can_go(sample: Harness) -> None:
    person_id, row = uuid4(), uuid4()
    async with sample.tx() as tx, tx.begin():
        sealed = (await key_of_person(tx, person_id, create=True)).seal(Note.phone, row, SECRET)
    sample.runtime.keyring = Keyring.parse(f"{OTHER},{MASTER_KEY}")
    async with sample.tx() as tx, tx.begin():
        assert (await key_of_person(tx, person_id)).read(Note.phone, row, sealed) == SECRET
        assert await rewrap(tx) == 1
        assert await rewrap(tx) == 0
    sample.runtime.keyring = Keyring.parse(OTHER)
    async with sample.tx() as tx:
        assert (await key_of_person(tx, person_id)).read(Note.phone, row, sealed) == SECRET
        assert await tx.scalar(sa.select(person_key.c.master_id)) == "next"
    sample.runtime.keyring = Keyring.parse(MASTER_KEY)
    async with sample.tx() as tx:
        with pytest.raises(NoMasterKey):
            await key_of_person(tx, person_id)


async def test_many_keys_come_in_one_query_and_the_unknown_read_as_erased(sample: Harness) -> None:
    known, unknown = uuid4(), uuid4()
    async with sample.tx() as tx, tx.begin():
        await key_of_person(tx, known, create=True)
        keys = await person_keys(tx, [known, unknown, known])
    assert (keys[known].erased, keys[unknown].erased) == (False, True)
    assert PersonKey(unknown, None).read(Note.phone, 1, PersonalText(b"x")) is None
    with pytest.raises(LookupError):
        keys[unknown].seal(Note.phone, 1, SECRET)


async def test_without_a_master_key_it_says_so(sample: Harness) -> None:
    sample.runtime.keyring = None
    answer = await sample.client("risk_officer").post(
        "/notes", json={"client_id": str(uuid4()), "code": "A", "phone": SECRET}
    )
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/no-master-key")


@pytest.mark.parametrize("text", ["", "abc", "id:", "id:!!!", "id:c2hvcnQ=", f"{MASTER_KEY},x"])
def test_a_wrong_master_key_is_refused_by_name(text: str) -> None:
    with pytest.raises(WrongSettings, match="MASTER_KEY"):
        Keyring.parse(text)
