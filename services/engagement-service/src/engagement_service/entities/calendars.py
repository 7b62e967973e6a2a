"""Working days of a legal entity's calendar, and where its days begin and end in time.

A calendar is named by an ISO 3166 code, with a subdivision where holidays differ (`CN`, `GB-ENG`). In a year that is
not published yet every Monday to Friday counts as worked: that gives the earlier, stricter deadline, and it is said.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import chinese_calendar
import holidays

SATURDAY = 5
NATION_OF_BANK_HOLIDAYS = {"GB": "GB-ENG"}
"""Where the country's own code means the holidays of one of its parts: the FCA's business days are England's."""


@dataclass(frozen=True)
class WorkingDays:
    """Which days are worked. `published(year)` tells whether the authority's calendar of that year is known."""

    code: str
    worked: Callable[[date], bool]
    published: Callable[[int], bool]

    def after(self, day: date, count: int) -> date:
        """The `count`-th working day after `day` (which itself does not count); 0 gives `day`."""
        while count > 0:
            day += timedelta(days=1)
            count -= self.worked(day)
        return day

    def all_published(self, first: date, last: date) -> bool:
        """Whether every year that the days from `first` to `last` touch is published."""
        return all(self.published(year) for year in range(first.year, last.year + 1))


@lru_cache
def calendar(code: str) -> WorkingDays:
    """The calendar of a country or of its part. A code nobody knows has Monday to Friday, and is never `published`."""
    code = NATION_OF_BANK_HOLIDAYS.get(code, code)
    if code == "CN":
        return WorkingDays(code, _worked_in_china, _published_in_china)
    country, _, part = code.partition("-")
    try:
        public = holidays.country_holidays(country, subdiv=part or None)
    except NotImplementedError:
        return WorkingDays(code, _weekday, lambda _year: False)
    return WorkingDays(code, lambda day: _weekday(day) and day not in public, lambda _year: True)


def _weekday(day: date) -> bool:
    return day.weekday() < SATURDAY


def _published_in_china(year: int) -> bool:
    """The State Council announces one year at a time (国务院办公厅关于部分节假日安排的通知), each November."""
    years = {day.year for day in chinese_calendar.holidays}
    return min(years) <= year <= max(years)


def _worked_in_china(day: date) -> bool:
    return day in chinese_calendar.workdays or (_weekday(day) and day not in chinese_calendar.holidays)


def day_of(at: datetime, zone: str) -> date:
    """The date on the wall at `at` in `zone`."""
    return at.astimezone(ZoneInfo(zone)).date()


def start_of(day: date, zone: str) -> datetime:
    """The first instant of `day` in `zone`, in UTC.

    Of a midnight that occurs twice it is the first; where midnight is skipped, the moment the wall's clock jumps.
    """
    return datetime.combine(day, time.min, ZoneInfo(zone)).astimezone(UTC)


def end_of(day: date, zone: str) -> datetime:
    """The first instant that no longer belongs to `day` in `zone`, in UTC: what was due is missed from here."""
    return start_of(day + timedelta(days=1), zone)
