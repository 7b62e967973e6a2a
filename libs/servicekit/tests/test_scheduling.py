"""Due work: durable, once for any number of runners, on wall time and on business clocks."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sample.notes import Note
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.client import ClientRegistered
from contracts.risk import ExposureChanged
from servicekit.runtime import Runtime
from servicekit.scheduling import MAX_ATTEMPTS, DueWork, Runner, UnknownWork, Work, cancel, schedule, tick
from servicekit.tables import due_work
from servicekit.testing import Harness, Parked

AT = datetime(2026, 5, 4, 8, tzinfo=UTC)


@pytest.fixture
def clocked(sample: Harness) -> Harness:
    sample.clock.set(AT)
    return sample


def handlers(harness: Harness, **more: Any) -> None:
    harness.runtime.due = {**harness.runtime.due, **more}


async def waiting(harness: Harness) -> list[Any]:
    async with harness.tx() as tx:
        return list((await tx.execute(sa.select(due_work).order_by(due_work.c.due_at, due_work.c.due_on))).all())


async def at(harness: Harness, kind: str, *due_at: datetime) -> list[UUID]:
    ids = [uuid4() for _ in due_at]
    async with harness.tx() as tx, tx.begin():
        for id, moment in zip(ids, due_at, strict=True):
            await schedule(tx, kind, id=id, due_at=moment, payload={"n": 1})
    return ids


async def test_work_runs_when_due_and_not_before(clocked: Harness) -> None:
    officer = clocked.client("risk_officer")
    body = {"client_id": str(uuid4()), "code": "A", "remind_at": "2026-05-04T09:00:00Z"}
    await officer.post("/notes", json=body)
    clocked.clock.set(AT + timedelta(minutes=59))
    assert await clocked.run_due() == 0
    clocked.clock.set(AT + timedelta(minutes=60))
    assert await clocked.run_due() == 1
    assert await clocked.run_due() == 0
    assert (await officer.get("/notes")).json()["items"][0]["size"] == 1
    assert len(await clocked.emitted()) == 2


async def test_two_runners_never_run_the_same_work(clocked: Harness) -> None:
    done: list[UUID] = []

    async def slow(work: Work, tx: AsyncSession) -> None:
        await asyncio.sleep(0.01)
        tx.add(Note(id=work.id, client_id=work.id, entity_id="E1", code=str(work.id), made_at=AT))
        done.append(work.id)

    handlers(clocked, slow=slow)
    ids = await at(clocked, "slow", *[AT] * 20)
    await asyncio.gather(*(Runner(clocked.runtime).run_all() for _ in range(4)))
    assert sorted(done) == sorted(ids)
    assert await waiting(clocked) == []
    async with clocked.tx() as tx:
        assert await tx.scalar(sa.select(sa.func.count()).select_from(Note)) == 20


async def test_a_runner_that_dies_leaves_the_work_and_no_effect(clocked: Harness) -> None:
    async def dies(work: Work, tx: AsyncSession) -> None:
        tx.add(Note(id=work.id, client_id=work.id, entity_id="E1", code="x", made_at=AT))
        await tx.flush()
        raise asyncio.CancelledError

    handlers(clocked, dies=dies)
    await at(clocked, "dies", AT)
    with pytest.raises(asyncio.CancelledError):
        await Runner(clocked.runtime).run_one()
    assert len(await waiting(clocked)) == 1
    async with clocked.tx() as tx:
        assert await tx.scalar(sa.select(sa.func.count()).select_from(Note)) == 0


async def test_work_that_fails_is_tried_again_later_and_blocks_nothing(clocked: Harness) -> None:
    tried: list[str] = []

    async def fails(work: Work, tx: AsyncSession) -> None:
        tried.append("fails")
        tx.add(Note(id=uuid4(), client_id=work.id, entity_id="E1", code="x", made_at=AT))
        await tx.flush()
        raise ValueError("13812345678 is wrong")

    async def works(work: Work, tx: AsyncSession) -> None:
        tried.append("works")

    handlers(clocked, fails=fails, works=works)
    (failing,) = await at(clocked, "fails", AT - timedelta(hours=1))
    await at(clocked, "works", AT)
    await clocked.run_due()
    assert tried == ["fails", "works"]
    (left,) = await waiting(clocked)
    assert (left.id, left.attempts, left.error) == (failing, 1, "builtins.ValueError")
    for _ in range(MAX_ATTEMPTS + 3):
        clocked.clock.advance(timedelta(hours=2))
        await clocked.run_due()
    assert tried.count("fails") == MAX_ATTEMPTS
    await Runner(clocked.runtime).measure()
    operator = clocked.client("operations")
    (shown,) = (await operator.get("/ops/due-work")).json()
    assert (shown["id"], shown["attempts"]) == (str(failing), MAX_ATTEMPTS)
    assert "13812345678" not in str(shown)
    handlers(clocked, fails=works)
    assert (await operator.post(f"/ops/due-work/{failing}/retry")).status_code == 204
    assert await clocked.run_due() == 1
    assert await waiting(clocked) == []
    assert (await operator.post(f"/ops/due-work/{failing}/retry")).status_code == 404


async def test_the_same_id_moves_the_work_and_cancel_removes_it(clocked: Harness) -> None:
    id = uuid4()
    async with clocked.tx() as tx, tx.begin():
        await schedule(tx, "notes.remind", id=id, due_at=AT, payload={"a": 1})
        await schedule(tx, "notes.remind", id=id, due_at=AT + timedelta(days=1), payload={"a": 2})
    (left,) = await waiting(clocked)
    assert (left.due_at, left.payload) == (AT + timedelta(days=1), {"a": 2})
    async with clocked.tx() as tx, tx.begin():
        assert await cancel(tx, id)
        assert not await cancel(tx, id)
    assert await waiting(clocked) == []


async def test_what_cannot_ever_run_is_refused_at_once(clocked: Harness) -> None:
    async with clocked.tx() as tx:
        with pytest.raises(UnknownWork):
            await schedule(tx, "nobody.handles", id=uuid4(), due_at=AT)
        for wrong in (
            {},
            {"due_at": AT, "due_on": AT.date()},
            {"due_on": AT.date()},
            {"due_at": AT, "clock": "client:1"},
        ):
            with pytest.raises(ValueError, match="due_at"):
                await schedule(tx, "notes.remind", id=uuid4(), **wrong)  # pyright: ignore[reportArgumentType]
    twice = DueWork()
    twice("x")(lambda work, tx: asyncio.sleep(0))
    with pytest.raises(ValueError, match="already"):
        twice("x")(lambda work, tx: asyncio.sleep(0))


async def test_a_business_clock_runs_its_own_work_in_order_and_wall_time_never_does(clocked: Harness) -> None:
    ran: list[tuple[date | None, str]] = []

    async def note(work: Work, tx: AsyncSession) -> None:
        ran.append((work.due_on, work.clock))
        if work.payload.get("again"):
            await schedule(tx, "note", id=uuid4(), clock=work.clock, due_on=date(2012, 1, 3))

    handlers(clocked, note=note)
    async with clocked.tx() as tx, tx.begin():
        for day, clock, again in (
            (4, "client:1", False),
            (2, "client:1", True),
            (9, "client:1", False),
            (1, "client:2", False),
        ):
            await schedule(tx, "note", id=uuid4(), clock=clock, due_on=date(2012, 1, day), payload={"again": again})
    assert await clocked.run_due() == 0
    async with clocked.tx() as tx, tx.begin():
        assert await tick(tx, "client:1", date(2012, 1, 4)) == 3
        assert await tick(tx, "client:1", date(2012, 1, 4)) == 0
    assert ran == [(date(2012, 1, 2), "client:1"), (date(2012, 1, 3), "client:1"), (date(2012, 1, 4), "client:1")]
    assert len(await waiting(clocked)) == 2


async def test_a_projection_cannot_touch_due_work(clocked: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    async def schedules(tx: AsyncSession, *_: Any) -> None:
        await schedule(tx, "notes.remind", id=uuid4(), due_at=AT)

    monkeypatch.setattr("sample.notes.add_alias", schedules)
    with pytest.raises(Parked, match="ProjectionActs"):
        await clocked.receives(ClientRegistered.example())
    assert await waiting(clocked) == []


async def test_a_tick_that_is_rolled_back_has_run_nothing(clocked: Harness) -> None:
    async def note(work: Work, tx: AsyncSession) -> None:
        tx.add(Note(id=work.id, client_id=work.id, entity_id="E1", code="x", made_at=AT))

    handlers(clocked, note=note)
    async with clocked.tx() as tx, tx.begin():
        await schedule(tx, "note", id=uuid4(), clock="client:1", due_on=date(2012, 1, 1))
    async with clocked.tx() as tx:
        await tick(tx, "client:1", date(2012, 1, 1))
        await tx.rollback()
    assert len(await waiting(clocked)) == 1


async def test_a_delivery_ticks_and_what_it_emits_has_the_same_id_every_time(clocked: Harness) -> None:
    first = ExposureChanged.example().model_copy(update={"as_of": date(2012, 1, 1), "client_id": uuid4()})
    later = first.model_copy(update={"as_of": date(2012, 1, 9)})
    await clocked.receives(first, later)
    assert len(await clocked.emitted()) == 1


async def test_the_run_loop_stops_when_told_and_waits_out_errors(
    clocked: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = asyncio.Event()
    calls = 0

    async def flaky(self: Runner) -> bool:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError
        stop.set()
        return False

    monkeypatch.setattr(Runner, "run_one", flaky)
    async with asyncio.timeout(5):
        await Runner(clocked.runtime, poll_seconds=0.01).run(stop)
    assert calls == 2
    assert isinstance(clocked.runtime, Runtime)
