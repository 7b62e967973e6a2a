"""The lifecycle as a graph: every walk obeys the table, and no walk gets around a guard."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_service.lifecycle.rules import (
    NEXT,
    ComplaintOpen,
    ExposureOpen,
    NoRating,
    NoSignedContract,
    RatingNotValid,
    StageNotReachable,
    Standing,
    blocked,
    may_sign,
)
from client_service.testing import TODAY, cny
from contracts.client import Stage

CLEAR = Standing(
    today=TODAY, rating_valid_until=TODAY, rating_expired=False, exposure=(), open_complaints=0, contract_signed=True
)
standings = st.builds(
    Standing,
    today=st.just(TODAY),
    rating_valid_until=st.none() | st.dates(TODAY - timedelta(days=3), TODAY + timedelta(days=3)),
    rating_expired=st.booleans(),
    exposure=st.sampled_from([(), (cny(1),)]),
    open_complaints=st.integers(0, 2),
    contract_signed=st.booleans(),
)


def test_every_stage_is_in_the_table_and_can_be_reached() -> None:
    assert set(NEXT) == set(Stage)
    reached, todo = {Stage.LEAD}, [Stage.LEAD]
    while todo:
        new = NEXT[todo.pop()] - reached
        reached |= new
        todo += new
    assert reached == set(Stage)


def test_the_way_of_a_client_is_the_one_that_the_field_knows() -> None:
    way = ["lead", "prospect", "under_assessment", "approved", "signed", "active", "dormant", "active", "suspended"]
    way += ["active", "dormant", "suspended", "exiting", "terminated"]
    for here, there in pairwise(way):
        assert blocked(Stage(here), Stage(there), CLEAR) is None
    assert NEXT[Stage.TERMINATED] == frozenset()


@given(stage=st.sampled_from(Stage), to=st.sampled_from(Stage), known=standings)
def test_a_step_outside_the_table_is_never_granted(stage: Stage, to: Stage, known: Standing) -> None:
    problem = blocked(stage, to, known)
    assert isinstance(problem, StageNotReachable) == (to not in NEXT[stage])


@given(walk=st.lists(st.tuples(st.sampled_from(Stage), standings), max_size=40))
def test_no_walk_gets_around_a_guard(walk: list[tuple[Stage, Standing]]) -> None:
    stage, been = Stage.LEAD, [Stage.LEAD]
    for to, known in walk:
        if blocked(stage, to, known) is not None:
            continue
        if to is Stage.SIGNED:
            assert stage is Stage.APPROVED
            assert known.contract_signed
            assert known.rating_valid_until is not None
            assert known.rating_valid_until >= known.today
            assert not known.rating_expired
        if to is Stage.TERMINATED:
            assert stage is Stage.EXITING
            assert not known.exposure
            assert not known.open_complaints
        if to in {Stage.ACTIVE, Stage.DORMANT, Stage.SUSPENDED, Stage.EXITING}:
            assert Stage.SIGNED in been
        stage = to
        been.append(to)


@pytest.mark.parametrize(
    ("stage", "to", "known", "problem"),
    [
        ("approved", "signed", {"rating_valid_until": None}, NoRating),
        ("approved", "signed", {"rating_valid_until": TODAY - timedelta(days=1)}, RatingNotValid),
        ("approved", "signed", {"rating_expired": True}, RatingNotValid),
        ("approved", "signed", {"contract_signed": False}, NoSignedContract),
        ("exiting", "terminated", {"exposure": (cny("0.01"),)}, ExposureOpen),
        ("exiting", "terminated", {"open_complaints": 1}, ComplaintOpen),
        ("active", "terminated", {}, StageNotReachable),
        ("lead", "active", {}, StageNotReachable),
        ("terminated", "active", {}, StageNotReachable),
    ],
)
def test_each_guard_names_its_reason(stage: str, to: str, known: dict[str, Any], problem: type[Exception]) -> None:
    assert type(blocked(Stage(stage), Stage(to), replace(CLEAR, **known))) is problem


@given(stage=st.sampled_from(Stage), known=standings)
def test_whoever_is_not_approved_or_in_business_signs_nothing(stage: Stage, known: Standing) -> None:
    try:
        may_sign(stage, known)
    except (StageNotReachable, NoRating, RatingNotValid):
        return
    assert stage in {Stage.APPROVED, Stage.SIGNED, Stage.ACTIVE, Stage.DORMANT}
    assert known.rating_valid_until is not None
    assert known.rating_valid_until >= known.today
