"""Months, verdicts and ratios, by themselves."""

from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from performance_service.kpis.definitions import Kpi, Month, ratio
from performance_service.kpis.facts import Deed

DAYS = st.dates(date(2000, 1, 1), date(2100, 1, 1))


@given(DAYS)
def test_a_day_lies_in_its_month_and_in_no_other(day: date) -> None:
    month = Month.of(day)
    assert month.first <= day <= month.last
    assert Month.of(month.last + timedelta(days=1)).first == month.last + timedelta(days=1)
    assert Month.parse(str(month)) == month


@pytest.mark.parametrize("text", ["2026-13", "2026-00", "2026", "x-1", "2026-1-1"])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Month.parse(text)


def test_a_ratio_has_four_places_and_none_where_nothing_counts() -> None:
    assert ratio(Decimal(2), Decimal(3)) == Decimal("0.6667")
    assert ratio(Decimal(1), Decimal(0)) is None


def deed(due: date | None, done: date | None = None, *, missed: bool = False, dropped: bool = False) -> Deed:
    return Deed(
        id=UUID(int=1),
        kpi=Kpi.VISITS_ON_TIME,
        entity_id="E",
        client_id=UUID(int=2),
        due_on=due,
        done_on=done,
        missed=missed,
        dropped=dropped,
        event_ids=[],
    )


@pytest.mark.parametrize(
    ("it", "decided_on", "kept"),
    [
        (deed(date(2026, 3, 10)), None, None),
        (deed(date(2026, 3, 10), date(2026, 3, 10)), date(2026, 3, 10), True),
        (deed(date(2026, 3, 10), date(2026, 3, 1)), date(2026, 3, 1), True),
        (deed(date(2026, 3, 10), missed=True), date(2026, 3, 10), False),
        (deed(date(2026, 3, 31), date(2026, 4, 2), missed=True), date(2026, 3, 31), False),
        (deed(date(2026, 3, 31), date(2026, 4, 2)), date(2026, 3, 31), False),
        (deed(date(2026, 3, 10), missed=True, dropped=True), None, None),
        (deed(None, date(2026, 3, 10)), None, None),
    ],
)
def test_a_deed_is_decided_when_done_or_due_whichever_comes_first(
    it: Deed, decided_on: date | None, kept: bool | None
) -> None:
    it.decide()
    assert (it.decided_on, it.kept) == (decided_on, kept)
