"""Ratings: by the scorecard from the client's own invoices, or by an officer's word; they end at their date."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import OrganisationChanged, RatingAssigned, RatingExpired, UnitKind
from risk_service.rating.model import direction, grades
from risk_service.rating.scorecard import (
    CURRENT_MODEL,
    FACTORS,
    MODELS,
    PD_FLOOR,
    InvoiceRow,
    RowKind,
    behaviour,
    factor_values,
    load_model,
    score,
)
from servicekit.testing import Harness

from ..words import ENTITY, Ledger

AS_OF = date(2026, 5, 31)


@pytest.fixture
def officer(risk: Harness) -> httpx.AsyncClient:
    return risk.client("risk_officer")


def two_good_years(ledger: Ledger) -> list[Any]:
    return [
        ledger.assigned(
            f"r{month}-{debtor}",
            "900000.00",
            date(2024 + (5 + month) // 12, (5 + month) % 12 + 1, 9),
            debtor=f"d{debtor}",
        )
        for month in range(24)
        for debtor in range(10)
    ]


async def rate(client: httpx.AsyncClient, ledger: Ledger, **body: Any) -> httpx.Response:
    return await client.post(f"/clients/{ledger.client}/ratings", json={"as_of": str(AS_OF), **body})


async def test_the_scorecard_shows_points_per_factor(risk: Harness, acme: Ledger, officer: httpx.AsyncClient) -> None:
    await risk.receives_together(*two_good_years(acme))
    answer = await rate(officer, acme)
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert (told["override"], told["direction"], told["model_version"]) == (False, "first", CURRENT_MODEL)
    factors = told["explanation"]["factors"]
    assert len(factors) >= 5
    points = sum(Decimal(f["points"]) for f in factors) + Decimal(told["explanation"]["base_points"])
    assert points == Decimal(told["explanation"]["score"]) == Decimal(told["score"])
    assert told["grade"] in {"G1", "G2", "G3"}
    assigned = await risk.last_emitted(RatingAssigned)
    assert (assigned.grade, assigned.valid_until) == (told["grade"], AS_OF + timedelta(days=365))
    downgraded = await rate(officer, acme, override={"grade": "G7", "reason": "Owner under investigation"})
    assert (downgraded.json()["direction"], downgraded.json()["previous_grade"]) == ("down", told["grade"])
    assert downgraded.json()["explanation"]["scorecard_would_say"]["grade"] == told["grade"]
    listed = (await officer.get(f"/clients/{acme.client}/ratings", params={"total": True})).json()
    assert (listed["total"], [r["status"] for r in listed["items"]]) == (2, ["current", "replaced"])


async def test_without_history_only_an_officer_can_say(risk: Harness, acme: Ledger, officer: httpx.AsyncClient) -> None:
    await risk.receives(acme.assigned("a", "100.00", date(2026, 5, 4)))
    refused = await rate(officer, acme)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/not-enough-history")
    for wrong in (
        {"override": {"grade": "G4"}},
        {"override": {"grade": "G4", "reason": "short"}},
        {"override": {"grade": "AAA", "reason": "a grade of another scale"}},
        {"override": {"grade": "G4", "reason": "New, accounts reviewed"}, "valid_until": "2026-01-01"},
    ):
        assert (await rate(officer, acme, **wrong)).status_code == 422
    entered = await rate(officer, acme, override={"grade": "G4", "reason": "New, accounts reviewed"})
    assert (entered.status_code, entered.json()["pd"]) == (201, "0.0095")
    assert (await risk.last_emitted(RatingAssigned)).override
    manager = risk.client("relationship_manager", staff_id=UUID(int=1))
    assert (await rate(manager, acme)).status_code == 403
    assert (await manager.get(f"/clients/{acme.client}/ratings")).status_code == 404
    abroad = risk.client("risk_officer", entity_id="OTHER-FACTOR")
    assert (await rate(abroad, acme)).status_code == 404


async def test_another_currency_is_not_judged(risk: Harness, officer: httpx.AsyncClient) -> None:
    ledger = Ledger(UUID(int=0x05D), currency="USD")
    await risk.receives_together(*two_good_years(ledger))
    refused = await rate(officer, ledger)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/model-not-applicable")


async def test_a_rating_ends_at_its_date_where_the_entity_is(
    risk: Harness, acme: Ledger, officer: httpx.AsyncClient
) -> None:
    await risk.receives(
        OrganisationChanged(
            entity_id=ENTITY,
            occurred_at=risk.clock(),
            unit_id=ENTITY,
            kind=UnitKind.ENTITY,
            time_zone="Asia/Shanghai",
        ),
        acme.assigned("a", "100.00", date(2026, 5, 4)),
    )
    await rate(officer, acme, override={"grade": "G4", "reason": "New, accounts reviewed"}, valid_until="2026-08-31")
    risk.clock.set(datetime(2026, 8, 31, 15, 59, tzinfo=UTC))
    assert await risk.run_due() == 0
    risk.clock.set(datetime(2026, 8, 31, 16, 1, tzinfo=UTC))
    assert await risk.run_due() == 1
    assert (await risk.last_emitted(RatingExpired)).valid_until == date(2026, 8, 31)
    assert (await officer.get(f"/clients/{acme.client}/ratings")).json()["items"][0]["status"] == "expired"


def test_the_master_scale_is_sound() -> None:
    model = load_model()
    assert len(model.scale) >= 7
    assert len(model.bins) >= 5
    pds = [grade.pd for grade in model.scale]
    assert pds == sorted(pds)
    assert min(pds) >= PD_FLOOR
    assert all(g.pd <= g.upper for g in model.scale)
    assert grades(model)[-1] == "D"
    assert [direction(model, a, b) for a, b in (("G3", "G2"), ("G2", "G3"), ("G2", "G2"))] == ["up", "down", "same"]
    assert abs(model.factor - Decimal("28.853901")) < Decimal("0.00001")
    assert abs(model.offset - Decimal("487.122876")) < Decimal("0.00001")


rows = st.builds(
    InvoiceRow,
    kind=st.sampled_from(RowKind),
    issue_date=st.dates(date(2023, 1, 1), date(2026, 7, 1)),
    debtor=st.integers(0, 5),
    amount=st.decimals(1, 10**7, places=2),
)


@given(st.lists(rows, max_size=80), st.randoms())
def test_a_score_is_the_sum_of_its_points_in_any_order(record: list[InvoiceRow], rng: Any) -> None:
    facts = behaviour(record, AS_OF)
    if not facts.sufficient:
        return
    said = score(load_model(), factor_values(facts))
    assert said.score == said.base_points + sum(part.points for part in said.factors)
    assert PD_FLOOR <= said.model_pd <= 1
    shuffled = list(record)
    rng.shuffle(shuffled)
    assert factor_values(behaviour(shuffled, AS_OF)) == factor_values(facts)
    assert set(factor_values(facts)) == set(FACTORS)


@pytest.mark.timeout(900)
def test_the_committed_model_comes_out_of_its_command(data: Path) -> None:
    train = pytest.importorskip("risk_service.rating.train", reason="needs numpy, a development dependency")
    document, card = train.train(data / "vat-invoices")
    assert card == (MODELS / f"{CURRENT_MODEL}.md").read_text("utf-8")
    low, high = document["validation"]["auc_bootstrap_95"]
    assert low < document["validation"]["auc_of_averaged_scores"] < high
    assert document["sample"] == {"firms": 82, "defaults": 19, "left_out": 0}
