"""Statutory and internal clocks: golden cases around Spring Festival and Easter, and what holds for every date."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engagement_service.complaints.deadlines import (
    Complexity,
    Pack,
    acknowledgement,
    pack_for,
    pack_named,
    packs,
    reminder_days,
    statutory,
    summary,
    target,
)

CN, GB, US = (pack_for(code, date(2026, 1, 5)) for code in ("CN", "GB", "US"))
SIMPLE, COMPLEX = Complexity.SIMPLE, Complexity.COMPLEX
days = st.dates(date(2020, 3, 1), date(2040, 12, 31))
any_pack = st.sampled_from(packs())


def test_the_pack_follows_the_calendar_and_the_day() -> None:
    assert CN.rule == "cn-cbirc-2020-3.v1"
    assert GB.rule == "uk-fca-disp-1.v1"
    assert US.rule == "house.v1", "no statute is known for this calendar"
    assert pack_for("CN", date(2020, 2, 29)).rule == "house.v1", "the day before it came into force"
    assert pack_for("CN", date(2020, 3, 1)) == CN
    assert pack_for("GB-SCT", date(2026, 1, 5)) == GB
    assert all(pack_named(pack.rule) == pack for pack in packs())


@pytest.mark.parametrize(
    ("complexity", "extended", "due"),
    [
        (SIMPLE, False, date(2026, 2, 25)),
        (COMPLEX, False, date(2026, 3, 12)),
        (SIMPLE, True, date(2026, 3, 27)),
        (COMPLEX, True, date(2026, 4, 11)),
    ],
)
def test_the_chinese_statutory_clock_ignores_spring_festival(complexity: Complexity, extended: bool, due: date) -> None:
    assert statutory(CN, date(2026, 2, 10), complexity, extended=extended).due_on == due


@pytest.mark.parametrize(
    ("received", "complexity", "due"),
    [
        # 11, 12, 13, 14 (made up, Saturday), then off until 24 February 2026.
        (date(2026, 2, 10), SIMPLE, date(2026, 2, 24)),
        # 28 February 2026 is a Saturday that is worked.
        (date(2026, 2, 24), SIMPLE, date(2026, 3, 2)),
        # Received on the Sunday that is worked, 4 February 2024: 5–9, Friday the 9th being New Year's Eve and worked.
        (date(2024, 2, 4), SIMPLE, date(2024, 2, 9)),
        (date(2024, 2, 9), SIMPLE, date(2024, 2, 22)),
        (date(2026, 2, 10), COMPLEX, date(2026, 3, 9)),
    ],
)
def test_the_chinese_internal_target_knows_spring_festival_and_make_up_days(
    received: date, complexity: Complexity, due: date
) -> None:
    found = target(CN, received, complexity, "CN")
    assert found.due_on == due
    assert "working days of CN" in found.how
    assert not found.provisional


def test_a_target_that_reaches_an_unpublished_year_is_provisional() -> None:
    assert target(CN, date(2040, 12, 20), COMPLEX, "CN").provisional


def test_disp_has_eight_weeks_and_the_third_business_day() -> None:
    received = date(2026, 4, 2)  # Maundy Thursday
    assert statutory(GB, received, SIMPLE).due_on == date(2026, 5, 28)
    assert statutory(GB, received, COMPLEX, extended=True).due_on == date(2026, 5, 28), "DISP knows no extension"
    found = summary(GB, received, "GB")
    assert found is not None
    assert found.due_on == date(2026, 4, 9), "Good Friday, the weekend and Easter Monday do not count"
    assert summary(CN, received, "CN") is None


def test_the_acknowledgement_is_due_on_the_next_working_day() -> None:
    assert acknowledgement(CN, date(2024, 2, 3), "CN").due_on == date(2024, 2, 4), "a Sunday that is worked"
    assert acknowledgement(CN, date(2024, 2, 9), "CN").due_on == date(2024, 2, 18)


@settings(deadline=None)
@given(any_pack, days, st.sampled_from(Complexity), st.booleans())
def test_statutory_deadlines_are_monotone_and_bounded(
    pack: Pack, received: date, complexity: Complexity, extended: bool
) -> None:
    due = statutory(pack, received, complexity, extended=extended).due_on
    assert received < due <= received + timedelta(days=60)
    assert due <= statutory(pack, received + timedelta(days=1), complexity, extended=extended).due_on
    assert (
        statutory(pack, received, SIMPLE, extended=extended).due_on
        <= statutory(pack, received, COMPLEX, extended=extended).due_on
    )
    assert statutory(pack, received, complexity).due_on <= statutory(pack, received, complexity, extended=True).due_on


@settings(deadline=None)
@given(any_pack, days, st.sampled_from(["CN", "GB", "US", "ZZ"]))
def test_internal_targets_are_monotone_and_never_a_day_off(pack: Pack, received: date, code: str) -> None:
    found = target(pack, received, SIMPLE, code).due_on
    assert found <= target(pack, received + timedelta(days=1), SIMPLE, code).due_on
    assert acknowledgement(pack, received, code).due_on <= found <= target(pack, received, COMPLEX, code).due_on


@settings(deadline=None)
@given(any_pack, days, st.sampled_from(Complexity))
def test_reminders_lie_between_receipt_and_deadline(pack: Pack, received: date, complexity: Complexity) -> None:
    due = statutory(pack, received, complexity).due_on
    reminders = reminder_days(pack, received, due)
    assert reminders == sorted(reminders)
    assert all(received < day < due for day in reminders)
