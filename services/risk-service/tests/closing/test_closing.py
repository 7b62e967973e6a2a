"""Closing days: fetching a hundred events at once comes to the same as fetching them one by one."""

import random
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from contracts import (
    AlertClosed,
    AlertEscalated,
    AlertRaised,
    ExposureChanged,
    IndicatorBreached,
    IndicatorCleared,
    LedgerBreakFound,
    LedgerBreakResolved,
    LimitBreached,
)
from contracts.base import Event
from servicekit.testing import Harness, Template

from ..words import Ledger

START = date(2026, 1, 5)
CLIENTS = (0xACE, 0xB017)


def debtor(name: str) -> str:
    return f"d{int(name[1:]) % 2}"


def history(client: int, dice: random.Random) -> list[Event]:
    """Forty closed days of one client: late postings, reversals that reach back, days closed again, breaks."""
    ledger, names, held = Ledger(UUID(int=client)), ["r0"], list[Event]()
    events: list[Event] = [ledger.assigned("r0", "100.00", START, START + timedelta(days=9), debtor=debtor("r0"))]
    for number in range(40):
        day = START + timedelta(days=number)
        for _ in range(dice.randrange(3)):
            chosen = dice.choice(("assign", "assign", "collect", "credit", "draw", "repay", "reverse", "late", "hold"))
            amount, earlier = f"{dice.randint(1, 500)}.00", day - timedelta(days=dice.randint(1, 15))
            if chosen == "assign":
                names.append(f"r{len(names)}")
                due = day + timedelta(days=dice.randint(1, 20))
                events.append(ledger.assigned(names[-1], amount, day, due, debtor=debtor(names[-1])))
            elif chosen == "collect":
                name = dice.choice(names)
                events.append(ledger.collected(name, amount, day, debtor=debtor(name)))
            elif chosen == "credit":
                events.append(ledger.credited(f"n{ledger.number}", amount, day, debtor="d1"))
            elif chosen in ("draw", "repay"):
                events.append(ledger.drawn("f", amount, day) if chosen == "draw" else ledger.repaid("f", amount, day))
            elif chosen == "reverse":
                posting = dice.choice([p for p in ledger.booked if "reversed" not in type(p).ce_type])
                events.append(ledger.reversed(posting, day, earlier))
            elif chosen == "late" and earlier >= START:
                name = dice.choice(names)
                events.append(ledger.collected(name, amount, earlier, debtor=debtor(name)))
            else:
                held.append(ledger.assigned(f"held{ledger.number}", amount, day, day))
        events.append(ledger.closed(day))
        if held and dice.random() < 0.3:
            events.append(held.pop())
        if dice.random() < 0.1:
            events.append(ledger.closed(day - timedelta(days=dice.randint(0, 3))))
    return events


async def outcome(template: Template, events: list[Event], ids: list[UUID], size: int) -> dict[str, list[Any]]:
    """What is told of each client, in order, and what can be read afterwards."""
    async with template.harness(database_statement_timeout_ms=0) as risk:
        first = len(CLIENTS)
        await risk.receives_together(*events[:first], ids=ids[:first])
        await set_up(risk)
        await risk.receives_together(*events[first:], ids=ids[first:], size=size)
        found: dict[str, list[Any]] = {f"told {client}": [] for client in CLIENTS}
        for event in await risk.emitted(
            ExposureChanged,
            AlertRaised,
            AlertClosed,
            AlertEscalated,
            LimitBreached,
            LedgerBreakFound,
            LedgerBreakResolved,
            IndicatorBreached,
            IndicatorCleared,
        ):
            plain = event.model_dump(mode="json", exclude={"limit_id"})
            found[f"told {UUID(plain['client_id']).int}"].append((type(event).__name__, plain))
        officer, operations = risk.client("risk_officer"), risk.client("operations")
        for client in CLIENTS:
            found[f"snapshots {client}"] = await read(officer, f"/clients/{UUID(int=client)}/snapshots")
        alerts = [{**each, "version": None} for each in await read(officer, "/alerts")]  # counts writes, not news
        return {**found, "alerts": alerts, "breaks": await read(operations, "/ledger-breaks")}


async def read(client: httpx.AsyncClient, path: str) -> list[Any]:
    answer = await client.get(path, params={"limit": 200})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def set_up(risk: Harness) -> None:
    """A limit that is soon exceeded, one on a debtor, and a rule that a single bad day trips."""
    officer = risk.client("risk_officer")
    for client in CLIENTS:
        for more in ({}, {"debtor_id": str(Ledger(UUID(int=client)).id("d1"))}):
            body = {"amount": {"amount": "300.00", "currency": "CNY"}, "effective_from": "2026-01-01", **more}
            answer = await officer.post(f"/clients/{UUID(int=client)}/limits", json=body)
            assert answer.status_code == 201, answer.text
    for rule in (await officer.get("/warning-rules")).json():
        version = {
            "effective_from": "2026-01-01",
            "raise_at": "0.3",
            "clear_at": "0.2",
            "raise_after": 1,
            "history_days": 12,
            "minimal_volume": 1,
            "severity": "serious",
            "due_days": 3,
            "enabled": True,
        }
        answer = await officer.post(f"/warning-rules/{rule['rule']}/versions", json=version)
        assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("seed", range(3))
async def test_the_outcome_is_the_same_however_events_were_fetched(template: Template, seed: int) -> None:
    dice = random.Random(seed)
    histories = [history(client, dice) for client in CLIENTS]
    events: list[Event] = [each.pop(0) for each in histories]
    while any(histories):
        events.append(dice.choice([each for each in histories if each]).pop(0))
    ids = [UUID(int=dice.getrandbits(128), version=4) for _ in events]
    singly = await outcome(template, events, ids, 1)
    for size in (7, 100):
        together = await outcome(template, events, ids, size)
        for name, told in singly.items():
            assert together[name] == told, name
    names = {name for client in CLIENTS for name, _ in singly[f"told {client}"]}
    assert {ExposureChanged.__name__, LimitBreached.__name__, AlertRaised.__name__, LedgerBreakFound.__name__} <= names
