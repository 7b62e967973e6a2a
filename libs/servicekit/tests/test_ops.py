"""`/ops`: parked events are listed, replayed in order and discarded with a reason; everything is audited."""

from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sample.notes import SeenClient

from contracts.client import ClientRegistered
from eventing.schema import consumer_halt, relay_refused
from servicekit.tables import audit
from servicekit.testing import Harness, Parked

CLIENT = UUID(int=1)


def registered(client_id: UUID = CLIENT) -> ClientRegistered:
    return ClientRegistered.example().model_copy(update={"client_id": client_id, "aliases": ()})


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: Any) -> None:
        raise ValueError("cannot see this client")

    monkeypatch.setattr("sample.notes.add_alias", fails)


def with_alias(client_id: UUID = CLIENT) -> ClientRegistered:
    return ClientRegistered.example().model_copy(update={"client_id": client_id, "aliases": (uuid4(),)})


async def times(sample: Harness, client_id: UUID = CLIENT) -> int | None:
    async with sample.tx() as tx:
        return await tx.scalar(sa.select(SeenClient.times).where(SeenClient.client_id == client_id))


async def test_a_failing_event_makes_the_test_fail(sample: Harness, poisoned: None) -> None:
    with pytest.raises(Parked, match="cannot see this client"):
        await sample.receives(with_alias())


async def test_parked_events_are_listed_and_replayed_in_order(sample: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    sample.twice = False
    with monkeypatch.context() as broken:

        async def fails(*_: Any) -> None:
            raise ValueError("cannot see this client")

        broken.setattr("sample.notes.add_alias", fails)
        await sample.receives(with_alias(), registered(), registered(UUID(int=2)), may_park=True)
    assert (await times(sample), await times(sample, UUID(int=2))) == (None, 1)
    operator = sample.client("operations", subject="olga")
    (key,) = (await operator.get("/ops/parked-keys")).json()
    assert (key["key"], key["events"], key["error_class"]) == (str(CLIENT), 2, "ValueError")
    first, second = (await operator.get("/ops/parked-events", params={"key": str(CLIENT)})).json()
    assert (first["behind"], second["behind"]) == (False, True)
    held = {name: key[name] for name in ("consumer_group", "topic", "key")}
    unknown = await operator.post("/ops/parked-keys/replay", json={**held, "consumer_group": "sample.other"})
    assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/unknown-group")
    replayed = await operator.post("/ops/parked-keys/replay", json=held)
    assert replayed.json() == {"done": 2, "failed": None}
    assert await times(sample) == 2
    assert (await operator.get("/ops/parked-keys")).json() == []
    assert len((await operator.get("/ops/parked-events", params={"status": "replayed"})).json()) == 2
    await sample.receives(registered())
    assert await times(sample) == 3
    async with sample.tx() as tx:
        entry = (await tx.execute(sa.select(audit))).one()
    assert (entry.operation, entry.action, entry.actor, entry.after) == (
        "replay_parked_key",
        "replay",
        "olga",
        {"done": 2},
    )


async def test_a_replay_that_fails_again_says_at_which_event(sample: Harness, poisoned: None) -> None:
    sample.twice = False
    await sample.receives(with_alias(), registered(), may_park=True)
    operator = sample.client("operations")
    (key,) = (await operator.get("/ops/parked-keys")).json()
    held = {name: key[name] for name in ("consumer_group", "topic", "key")}
    answer = (await operator.post("/ops/parked-keys/replay", json=held)).json()
    assert (answer["done"], answer["failed"]["error"]) == (0, "cannot see this client")
    assert (await operator.get("/ops/parked-keys")).json()[0]["events"] == 2


async def test_an_event_is_discarded_for_a_reason_that_is_kept(sample: Harness, poisoned: None) -> None:
    sample.twice = False
    await sample.receives(with_alias(), may_park=True)
    operator = sample.client("operations", subject="olga")
    (event,) = (await operator.get("/ops/parked-events")).json()
    address = f"/ops/parked-events/{event['id']}/discard"
    for reason in ("", "   ", "x"):
        assert (await operator.post(address, json={"reason": reason})).status_code == 422
    assert (await operator.post(address, json={})).status_code == 422
    assert (await sample.client("auditor").post(address, json={"reason": "a mistake"})).status_code == 403
    assert (await operator.post(address, json={"reason": "a mistake"})).status_code == 204
    again = await operator.post(address, json={"reason": "a mistake"})
    assert (again.status_code, again.json()["type"]) == (404, "/problems/unknown-parked-event")
    assert (await operator.get("/ops/parked-keys")).json() == []
    (gone,) = (await operator.get("/ops/parked-events", params={"status": "discarded"})).json()
    assert (gone["reason"], gone["settled_by"]) == ("a mistake", "olga")
    async with sample.tx() as tx:
        entry = (await tx.execute(sa.select(audit))).one()
    assert (entry.operation, entry.actor, entry.after) == ("discard_parked_event", "olga", {"reason": "a mistake"})


async def test_stopped_keys_and_groups_are_shown_and_resumed(sample: Harness) -> None:
    operator = sample.client("operations")
    async with sample.tx() as tx, tx.begin():
        await tx.execute(
            sa.insert(relay_refused).values(topic="t", key="k", seq=7, error="too large", attempts=3, stopped=True)
        )
        await tx.execute(sa.insert(consumer_halt).values(consumer_group="sample.main", error="looks broken"))
    (refused,) = (await operator.get("/ops/refused-keys")).json()
    assert (refused["key"], refused["stopped"]) == ("k", True)
    assert (await operator.post("/ops/refused-keys/resume", json={"topic": "t", "key": "k"})).status_code == 204
    assert (await operator.post("/ops/refused-keys/resume", json={"topic": "t", "key": "k"})).status_code == 404
    (group,) = (await operator.get("/ops/consumers")).json()
    assert (group["group"], group["halted"]) == ("sample.main", "looks broken")
    assert (await operator.post("/ops/consumers/sample.main/resume")).status_code == 204
    assert (await operator.get("/ops/consumers")).json()[0]["halted"] is None
    outbox = (await operator.get("/ops/outbox")).json()
    assert (outbox["rows"], outbox["limit"]) == (0, 1_000_000)
    async with sample.tx() as tx:
        actions = list(await tx.scalars(sa.select(audit.c.operation).order_by(audit.c.id)))
    assert actions == ["resume_refused_key", "resume_consumer"]
