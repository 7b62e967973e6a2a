"""The two clocks of a complaint, and why they show what they show.

Every number lies in `packs.json`: one pack per rule book, versioned and effective-dated; no count of days is here.
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


class Clause(BaseModel):
    """A clause of a rule book, and what it says in a sentence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clause: str
    says: str


class Term(Clause):
    """Calendar days from receipt."""

    days: int


class Extension(Clause):
    """Calendar days on top, `at_most` days from receipt in all; always with a second person's approval."""

    days: int
    at_most: int


class Summary(Clause):
    """Working days after receipt within which a resolved case needs no final response."""

    working_days: int


class Target(BaseModel):
    """What the factor asks of itself, in working days from receipt (ISO 10002 has no day counts)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clause: str
    acknowledge: int
    simple: int
    complex: int


class Pack(BaseModel):
    """One version of one rule book, in force from `effective_from` to before `effective_to`.

    `calendar` is the country whose entities it binds; None is for those who have no other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

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
    withdrawal: Clause
    conflict: Clause
    target: Target
    reminders: tuple[int, ...]

    @property
    def rule(self) -> str:
        """How the pack is named on the bus and on paper: `cn-cbirc-2020-3.v1`."""
        return f"{self.code}.v{self.version}"

    def in_force(self, day: date) -> bool:
        return self.effective_from <= day and (self.effective_to is None or day < self.effective_to)


@lru_cache
def packs() -> tuple[Pack, ...]:
    """All packs of the release, every version ever in force."""
    text = resources.files(__name__.rpartition(".")[0]).joinpath("packs.json").read_text(encoding="utf-8")
    return TypeAdapter(tuple[Pack, ...]).validate_json(text)


def pack_for(calendar_code: str, received_on: date) -> Pack:
    """The rule book that binds an entity of this calendar on that day; the house's own where none is known."""
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
    rule: str
    clause: str
    says: str
    how: str
    calendar: str
    provisional: bool = False


GREGORIAN = "every day"
"""What a clock counts that knows no holidays."""


def statutory(pack: Pack, start: date, complexity: Complexity, *, extended: bool = False) -> Deadline:
    """The last day for the answer to what was received on `start`."""
    term = pack.complex if complexity is Complexity.COMPLEX else pack.simple
    if not extended or pack.extension is None:
        how = f"{start} + {term.days} calendar days"
        return Deadline(start + timedelta(days=term.days), pack.rule, term.clause, term.says, how, GREGORIAN)
    more = pack.extension
    days = min(term.days + more.days, more.at_most)
    how = f"{start} + {term.days} + {more.days} calendar days, {more.at_most} at most"
    return Deadline(start + timedelta(days=days), pack.rule, more.clause, more.says, how, GREGORIAN)


def target(pack: Pack, start: date, complexity: Complexity, calendar_code: str) -> Deadline:
    """The last day for the answer by the factor's own measure."""
    days = pack.target.complex if complexity is Complexity.COMPLEX else pack.target.simple
    clause = Clause(clause=pack.target.clause, says=f"the factor's own target for a {complexity} case")
    return _in_working_days(pack, start, days, clause, calendar_code)


def acknowledgement(pack: Pack, start: date, calendar_code: str) -> Deadline:
    """The last day for telling the complainant that the complaint has arrived."""
    clause = Clause(clause=pack.target.clause, says="the factor's own target for the acknowledgement")
    return _in_working_days(pack, start, pack.target.acknowledge, clause, calendar_code)


def summary(pack: Pack, start: date, calendar_code: str) -> Deadline | None:
    """The last day for a summary resolution, where the rule book knows one."""
    if pack.summary is None:
        return None
    return _in_working_days(pack, start, pack.summary.working_days, pack.summary, calendar_code)


def _in_working_days(pack: Pack, start: date, days: int, clause: Clause, calendar_code: str) -> Deadline:
    working = calendar(calendar_code)
    due_on = working.after(start, days)
    how = f"{start} + {days} working days of {working.code}"
    provisional = not working.all_published(start, due_on)
    return Deadline(due_on, pack.rule, clause.clause, clause.says, how, working.code, provisional)


def reminder_days(pack: Pack, start: date, due_on: date) -> list[date]:
    """The days on which a handler is reminded of the deadline, earliest first; none before the clock started."""
    days = sorted(due_on - timedelta(days=before) for before in pack.reminders)
    return [day for day in days if day > start]
