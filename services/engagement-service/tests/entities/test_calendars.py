"""Working days and the edges of days, against published facts."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engagement_service.entities.calendars import calendar, day_of, end_of, start_of

ZONES = ["Asia/Shanghai", "Europe/London", "America/Havana", "America/Sao_Paulo", "Asia/Beirut", "Pacific/Apia", "UTC"]
days = st.dates(date(2005, 1, 1), date(2035, 12, 31))
zones = st.sampled_from(ZONES)
moments = st.integers(1_104_537_600, 2_051_222_400).map(lambda second: datetime.fromtimestamp(second, UTC))
"""From 2005 to 2035."""


@pytest.mark.parametrize(
    ("code", "start", "count", "expected"),
    [
        # Spring Festival 2024: off 10–17 February; 4 and 18 February (Sundays) are made up for.
        ("CN", date(2024, 2, 2), 1, date(2024, 2, 4)),
        ("CN", date(2024, 2, 8), 1, date(2024, 2, 9)),
        ("CN", date(2024, 2, 9), 1, date(2024, 2, 18)),
        ("CN", date(2024, 2, 9), 3, date(2024, 2, 20)),
        # Spring Festival 2026: off 15–23 February; 14 and 28 February (Saturdays) are made up for.
        ("CN", date(2026, 2, 13), 1, date(2026, 2, 14)),
        ("CN", date(2026, 2, 14), 1, date(2026, 2, 24)),
        ("CN", date(2026, 2, 27), 1, date(2026, 2, 28)),
        # National Day 2025, with Mid-Autumn: off 1–8 October; 11 October (Saturday) is made up for.
        ("CN", date(2025, 9, 30), 1, date(2025, 10, 9)),
        ("CN", date(2025, 10, 10), 1, date(2025, 10, 11)),
        # England: Good Friday 3 and Easter Monday 6 April 2026; Boxing Day 2026, a Saturday, has Monday 28 instead.
        ("GB", date(2026, 4, 2), 1, date(2026, 4, 7)),
        ("GB", date(2026, 12, 24), 1, date(2026, 12, 29)),
        ("GB-SCT", date(2026, 12, 31), 1, date(2027, 1, 5)),
    ],
)
def test_working_days_know_holidays_and_make_up_days(code: str, start: date, count: int, expected: date) -> None:
    assert calendar(code).after(start, count) == expected


def test_a_year_not_published_yet_counts_every_weekday_and_says_so() -> None:
    china = calendar("CN")
    assert not china.published(2031)
    assert china.after(date(2031, 1, 22), 1) == date(2031, 1, 23), "Spring Festival, unknown: the stricter date"
    assert not china.all_published(date(2030, 12, 30), date(2031, 1, 2))
    assert china.all_published(date(2025, 12, 30), date(2026, 1, 2))


def test_a_calendar_nobody_knows_has_monday_to_friday() -> None:
    nowhere = calendar("ZZ")
    assert nowhere.after(date(2026, 1, 2), 1) == date(2026, 1, 5)
    assert not nowhere.published(2026)


@settings(deadline=None)
@given(days, st.integers(0, 40), st.sampled_from(["CN", "GB", "US"]))
def test_counting_working_days_is_monotone_and_additive(day: date, count: int, code: str) -> None:
    working = calendar(code)
    later = working.after(day, count)
    assert later >= day + timedelta(days=count)
    assert working.after(later, 3) == working.after(day, count + 3)
    assert working.after(day, count) <= working.after(day + timedelta(days=1), count)


@settings(deadline=None)
@given(days, zones)
@example(date(2011, 12, 29), "Pacific/Apia")
@example(date(2018, 11, 3), "America/Sao_Paulo")
@example(date(2026, 10, 31), "America/Havana")
@example(date(2026, 3, 28), "Asia/Beirut")
def test_a_day_ends_where_its_zones_wall_leaves_it(day: date, zone: str) -> None:
    end = end_of(day, zone)
    assert end.tzinfo is UTC
    assert end.astimezone(ZoneInfo(zone)).date() > day
    assert (end - timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date() <= day
    assert start_of(day, zone) <= end


@settings(deadline=None)
@given(moments, zones)
def test_an_instant_lies_within_its_own_day(at: datetime, zone: str) -> None:
    day = day_of(at, zone)
    assert start_of(day, zone) <= at < end_of(day, zone)
