"""Rows behind the figures: receivables as of a date, exact repeats, a client known by several ids."""

from datetime import date
from uuid import UUID

from contracts import ClientRegistered, ContractSigned, Money, Product, RmAssigned
from servicekit.testing import Harness

from ..words import ENTITY, Ledger

DAY = date(2026, 5, 4)
DUE = date(2026, 6, 3)


async def test_receivables_are_listed_as_of_a_date(risk: Harness, acme: Ledger) -> None:
    await risk.receives(
        acme.assigned("a", "100.00", DAY, DUE),
        acme.assigned("b", "50.00", DAY, DUE),
        acme.collected("a", "100.00", date(2026, 6, 1)),
    )
    officer = risk.client("risk_officer")
    path = f"/clients/{acme.client}/receivables"
    told = (await officer.get(path, params={"as_of": "2026-06-10", "overdue_only": True, "total": True})).json()
    assert (told["total"], told["items"][0]["open"], told["items"][0]["days_past_due"]) == (1, "50.00", 7)
    first = (await officer.get(path, params={"as_of": "2026-06-10", "limit": 1})).json()
    second = (await officer.get(path, params={"as_of": "2026-06-10", "cursor": first["next_cursor"]})).json()
    ids = {row["receivable_id"] for row in first["items"] + second["items"]}
    assert ids == {str(acme.id("a")), str(acme.id("b"))}


async def test_exact_repeats_count_and_are_suspected(risk: Harness, acme: Ledger, foreign: Ledger) -> None:
    await risk.receives(
        acme.assigned("a", "100.00", DAY, number="77"),
        acme.assigned("again", "100.00", DAY, number="77"),
        acme.assigned("other", "100.01", DAY, number="77"),
        foreign.assigned("x", "1.00", DAY, number="1"),
        foreign.assigned("y", "1.00", DAY, number="1"),
    )
    officer = risk.client("risk_officer")
    told = (await officer.get("/receivables/suspected-duplicates", params={"total": True})).json()
    assert told["total"] == 1
    assert (told["items"][0]["receivable_id"], told["items"][0]["invoice_number"]) == (str(acme.id("again")), "77")
    assert (await officer.get(f"/clients/{acme.client}/indicators")).json()["balance"] == "300.01"
    nobody = risk.client("relationship_manager", staff_id=UUID(int=1))
    assert (await nobody.get("/receivables/suspected-duplicates", params={"total": True})).json()["total"] == 0


async def test_a_client_is_found_by_the_id_it_was_registered_with(risk: Harness, acme: Ledger) -> None:
    registered = UUID(int=0xC11E)
    staff = UUID(int=0x5A)
    await risk.receives(acme.assigned("a", "100.00", DAY))
    await risk.receives(
        ClientRegistered(
            entity_id=ENTITY, occurred_at=risk.clock(), client_id=registered, aliases=(acme.client,), industry="C26"
        ),
        RmAssigned(
            entity_id=ENTITY,
            occurred_at=risk.clock(),
            client_id=registered,
            staff_id=staff,
            effective_at=risk.clock(),
        ),
        ContractSigned(
            entity_id=ENTITY,
            occurred_at=risk.clock(),
            client_id=registered,
            contract_id=UUID(int=1),
            product=next(p for p in Product if p.name != "UNKNOWN"),
            recourse=True,
            disclosed=True,
            advance_rate=acme.money("0.8").amount,
            limit=Money(amount=acme.money("500").amount, currency="CNY"),
            signed_on=DAY,
            effective_from=DAY,
            expires_on=date(2027, 5, 4),
        ),
    )
    manager = risk.client("relationship_manager", staff_id=staff)
    for id in (registered, acme.client):
        assert (await manager.get(f"/clients/{id}/indicators")).json()["balance"] == "100.00"
    assert (await manager.get("/portfolio/indicators")).json()["balance"] == "100.00"
    by_industry = [
        (await manager.get("/portfolio/indicators", params={"industry": code})).json()["balance"]
        for code in ("C26", "C99")
    ]
    assert by_industry == ["100.00", "0.00"]
    caps = (await manager.get(f"/clients/{acme.client}/limits")).json()["contract_caps"]
    assert [cap["currency"] for cap in caps] == ["CNY"]
