from uuid import uuid4

from servicekit.testing import Harness


async def test_a_note_is_made_once_and_told(sample: Harness) -> None:
    officer = sample.client("risk_officer")
    body = {"client_id": str(uuid4()), "code": "N-1", "phone": "13800000000"}
    answer = await officer.post("/notes", json=body, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 201, answer.text
    again = await officer.post("/notes", json=body, headers={"Idempotency-Key": "k"})
    assert again.json() == answer.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert len(await sample.emitted()) == 1
    assert (await officer.get("/notes")).json()["items"][0]["code"] == "N-1"
