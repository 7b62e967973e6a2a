"""From a commit in one service to the effect in another, over real Kafka."""

import uuid

from eventing_bus import Bus, noting, running, until

from eventing import Context, bind, emit


async def test_what_commits_takes_effect_elsewhere_once_and_in_order(live: Bus) -> None:
    keys = [uuid.uuid4() for _ in range(5)]
    consumer, relay = live.consumer(noting(live)), live.relay()
    async with running(relay.run, consumer.run):
        for n in range(20):
            async with live.sessions() as tx, tx.begin():
                bind(tx, Context(actor="tester", correlation_id="request-1"))
                for key in keys:
                    emit(tx, live.thing(n, key))

        async def all_seen() -> bool:
            return await live.value("SELECT count(*) FROM seen") >= 100

        await until(all_seen)
    for key in keys:
        assert [n for (n,) in await live.rows("SELECT n FROM seen WHERE thing_id = :k ORDER BY seq", k=key)] == list(
            range(20)
        )
    assert await live.value("SELECT count(*) FROM outbox") == 0
