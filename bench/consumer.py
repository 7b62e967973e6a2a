"""Events/s into a database: offset, inbox and one upsert per event in one transaction, against a batch subscriber of
FastStream that does nothing, and against its single-message subscriber with a commit each."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid5

from aiokafka import AIOKafkaProducer

from bench.figures import Figure, compare, load_note, tell
from bench.rows import KEYS, row_id
from bench.servers import Child, Servers, Tail, connect
from contracts import wire
from contracts.bank.ledger import ReceivableAssigned

_SPACE = UUID("3f7f3a52-0e5e-4d0b-8f0e-6f2f6b5f5a11")
TOPIC = ReceivableAssigned.topic
SINGLES = 5_000
TABLE = (
    "CREATE TABLE receivable (id uuid PRIMARY KEY, client_id uuid NOT NULL, debtor_id uuid NOT NULL,"
    " amount numeric(20, 4) NOT NULL, due_date date)"
)
PEERS = {
    "batch": "FastStream batch subscriber that does no work",
    "bytes": "the same with its decoding off",
    "single": "FastStream single-message subscriber, a commit each",
}


async def run(servers: Servers, *, runs: int, count: int) -> list[Figure]:
    """One topic of receivables, read from its beginning by each contender in its turn, in a new group each time."""
    note = load_note()
    await servers.topic(TOPIC)
    await _fill(servers.bootstrap, count)
    seen: dict[str, list[float]] = {name: [] for name in ("ours", *PEERS)}
    for turn in range(runs):
        dsn = await servers.database(f"consumer{turn}")
        connection = await connect(dsn)
        await connection.execute(TABLE)
        for name in seen:
            some = min(SINGLES, count) if name == "single" else count
            rate = await _consume(servers, name, dsn, f"{name}{turn}", some)
            seen[name].append(rate)
            tell(f"  {name}: {rate:.0f} events/s")
        written, entered = await connection.fetchrow(
            "SELECT (SELECT count(*) FROM receivable), (SELECT count(*) FROM inbox)"
        ) or (0, 0)
        assert (written, entered) == (count, count), "every event has its row and its entry"
        await connection.close()
    mine = seen["ours"]
    return [
        compare("consumer rate", "events/s", mine, seen["batch"], PEERS["batch"], at_least=0.5, note=note),
        compare("consumer rate, peer's decoding off", "events/s", mine, seen["bytes"], PEERS["bytes"]),
        compare("consumer rate, against single", "events/s", mine, seen["single"], PEERS["single"]),
    ]


async def _consume(servers: Servers, name: str, dsn: str, group: str, count: int) -> float:
    log = servers.home / "consume.log"
    child = await Child.python("bench.consumers", name, servers.bootstrap, dsn, group, count, log=log)
    try:
        return float((await child.said())["rate"])
    finally:
        await child.stop()


async def _fill(bootstrap: str, count: int) -> None:
    event = ReceivableAssigned.example()
    key, value, _ = wire.to_wire(event, id=row_id(0), source="/bank/ledger", time=event.occurred_at)
    payload = value.decode().replace(str(event.receivable_id), "{receivable}", 1).replace(key.decode(), "{client}", 1)
    producer: Any = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=5, max_batch_size=256 * 1024)
    await producer.start()
    for number in range(count):
        client = str(uuid5(_SPACE, str(number % KEYS)))
        _, _, headers = wire.to_wire(event, id=row_id(number), source="/bank/ledger", time=event.occurred_at)
        body = payload.replace("{receivable}", str(row_id(number))).replace("{client}", client)
        await producer.send(TOPIC, body.encode(), key=client.encode(), headers=headers)
    await producer.stop()
    async with Tail(bootstrap) as tail:
        assert await tail.count(TOPIC) == count
