"""The two clocks of a complaint, and why they show what they show.

Every number lies in `packs.json`: one pack per rule book, versioned and effective-dated; no count of days is named here.
The statutory clock counts calendar days from the day after receipt (民法典 201; DISP: "after its receipt"), and its
last day stands even when it is a holiday: the stricter reading of 民法典 203. The internal target counts working days.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from importlib import resources

from pydantic import BaseModel, ConfigDict, TypeAdapter

from engagement_service.entities.calendars import calendar


class Complexity(StrEnum):
    """How long a case may take under a rule book that tells the two apart."""

    SIMPLE = "simple"
    COMPLEX = "complex"


class _Rule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Term(_Rule):
    """Calendar days from receipt, and the clause that says so."""

    days: int
    clause: str


class Extension(_Rule):
    """Calendar days on top, `at_most` days from receipt in all; always with a second person's approval."""

    days: int
    at_most: int
    clause: str


class Summary(_Rule):
    """Working days after receipt within which a resolved case needs no final response."""

    working_days: int
    clause: str


class Target(_Rule):
    """What the factor asks of itself, in working days from receipt (ISO 10002 has no day counts)."""

    rule: str
    acknowledge: int
    simple: int
    complex: int


class Pack(_Rule):
    """One version of one rule book, in force from `effective_from` to before `effective_to`.

    `calendar` is the country whose entities it binds; None is for those who have no other.
    """

    code: str
    version: int
    title: str
    calendar: str | None
    effective_from: date
    effective_to: date | None
    simple: Term
    complex: Term
    extension: Extension | None
    summary: Summary | None
    withdrawal: str
    conflict: str
    target: Target
    reminders: tuple[int, ...]

    @property
    def rule(self) -> str:
        """How the pack is named on the bus and on paper: `CN-CBIRC-2020-3/1`."""
        return f"{self.code}/{self.version}"

    def in_force(self, day: date) -> bool:
        return self.effective_from <= day and (self.effective_to is None or day < self.effective_to)


@lru_cache
def packs() -> tuple[Pack, ...]:
    """All packs of the release, every version ever in force."""
    text = resources.files(__name__.rpartition(".")[0]).joinpath("packs.json").read_text(encoding="utf-8")
    return TypeAdapter(tuple[Pack, ...]).validate_json(text)


def pack_for(calendar_code: str, received_on: date) -> Pack:
    """The rule book that binds an entity of this calendar on the day of receipt; the house's own where none is known."""
    country = calendar_code.partition("-")[0]
    applying = [pack for pack in packs() if pack.calendar in (country, None) and pack.in_force(received_on)]
    return max(applying, key=lambda pack: (pack.calendar is not None, pack.effective_from, pack.version))


def pack_named(rule: str) -> Pack:
    """The pack that a complaint was filed under: its later deadlines follow the version it began with."""
    return next(pack for pack in packs() if pack.rule == rule)


@dataclass(frozen=True)
class Deadline:
    """A last day, and why it is that one. `provisional`: a year it touches has no published calendar yet."""

    due_on: date
    clause: str
    how: str
    provisional: bool = False


def statutory(pack: Pack, start: date, complexity: Complexity, *, extended: bool = False) -> Deadline:
    """The last day for the answer to what was received on `start`."""
    term = pack.complex if complexity is Complexity.COMPLEX else pack.simple
    if not extended or pack.extension is None:
        return Deadline(start + timedelta(days=term.days), term.clause, f"{start} + {term.days} calendar days")
    days = min(term.days + pack.extension.days, pack.extension.at_most)
    how = f"{start} + {term.days} + {pack.extension.days} calendar days, {pack.extension.at_most} at most"
    return Deadline(start + timedelta(days=days), pack.extension.clause, how)


def target(pack: Pack, start: date, complexity: Complexity, calendar_code: str) -> Deadline:
    """The last day for the answer by the factor's own measure."""
    days = pack.target.complex if complexity is Complexity.COMPLEX else pack.target.simple
    return _in_working_days(start, days, pack.target.rule, calendar_code)


def acknowledgement(pack: Pack, start: date, calendar_code: str) -> Deadline:
    """The last day for telling the complainant that the complaint has arrived."""
    return _in_working_days(start, pack.target.acknowledge, pack.target.rule, calendar_code)


def summary(pack: Pack, start: date, calendar_code: str) -> Deadline | None:
    """The last day for a summary resolution, where the rule book knows one."""
    return pack.summary and _in_working_days(start, pack.summary.working_days, pack.summary.clause, calendar_code)


def _in_working_days(start: date, days: int, clause: str, calendar_code: str) -> Deadline:
    working = calendar(calendar_code)
    due_on = working.after(start, days)
    how = f"{start} + {days} working days of {working.code}"
    return Deadline(due_on, clause, how, provisional=not working.all_published(start, due_on))


def reminder_days(pack: Pack, start: date, due_on: date) -> list[date]:
    """The days on which a handler is reminded of the deadline, earliest first; none before the clock started."""
    days = sorted(due_on - timedelta(days=before) for before in pack.reminders)
    return [day for day in days if day > start]
