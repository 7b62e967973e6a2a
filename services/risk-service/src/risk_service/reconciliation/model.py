"""Breaks between the ledger's control totals of a client's business day and the postings that came.

Invariant: one break per client, day, posting kind and currency, found while it stands and resolved when the numbers
agree again; only the ledger or an explanation ends it, never time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from contracts.risk import BreakKind, BreakResolution
from risk_service.model_base import Base
from servicekit.database import Versioned
from servicekit.problems import Conflict


class BreakNotOpen(Conflict):
    """The break is resolved.

    It opens again by itself if the numbers part again.
    """


class BreakStatus(StrEnum):
    """Where a break stands in its life."""

    OPEN = "open"
    EXPLAINED = "explained"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Control:
    """How many postings, and their sum."""

    count: int
    total: Decimal


NONE = Control(0, Decimal(0))


@dataclass(frozen=True, slots=True)
class Line:
    """One posting kind in one currency; the currency is None of kinds that move no money."""

    kind: str
    currency: str | None


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the two sides part."""

    kind: str
    currency: str
    expected: Control
    actual: Control

    @property
    def of(self) -> BreakKind:
        count, total = self.expected.count != self.actual.count, self.expected.total != self.actual.total
        return BreakKind.COUNT_AND_TOTAL if count and total else BreakKind.COUNT if count else BreakKind.TOTAL


def compare(
    expected: Iterable[tuple[str, str, Control]], actual: Mapping[Line, Control]
) -> dict[tuple[str, str], tuple[Control, Control]]:
    """(kind, currency) → (ledger's, ours), agreeing or not. What moves no money counts under the ledger's line."""
    both: dict[tuple[str, str], tuple[Control, Control]] = {}
    left = dict(actual)
    for kind, currency, control in expected:
        mine = left.pop(Line(kind, currency), NONE)
        bare = left.pop(Line(kind, None), NONE)
        both[kind, currency] = control, Control(mine.count + bare.count, mine.total + bare.total)
    for line, control in left.items():
        both[line.kind, line.currency or "XXX"] = NONE, control
    return both


class LedgerBreak(Versioned, Base):
    """A difference between the ledger's day-close and what came."""

    __tablename__ = "ledger_break"
    __table_args__ = (
        Index("ledger_break_one", "entity_id", "client_id", "business_date", "posting_kind", "currency", unique=True),
        Index("ledger_break_list", "entity_id", "status", "business_date"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    entity_id: Mapped[str]
    client_id: Mapped[UUID]
    business_date: Mapped[date]
    posting_kind: Mapped[str]
    currency: Mapped[str]
    kind: Mapped[str]
    expected_count: Mapped[int]
    actual_count: Mapped[int]
    expected_total: Mapped[Decimal]
    actual_total: Mapped[Decimal]
    status: Mapped[str]
    owner_id: Mapped[UUID | None]
    explanation: Mapped[str | None]
    resolution: Mapped[str | None]

    def state(self, difference: Difference) -> bool:
        """The difference as it stands now; whether that is news."""
        told = (
            difference.expected.count,
            difference.actual.count,
            difference.expected.total,
            difference.actual.total,
        )
        known = (self.expected_count, self.actual_count, self.expected_total, self.actual_total)
        if self.status != BreakStatus.RESOLVED and told == known:
            return False
        self.expected_count, self.actual_count, self.expected_total, self.actual_total = told
        self.kind = difference.of.value
        self.status, self.resolution = BreakStatus.OPEN, None
        return True

    def resolve(self, how: BreakResolution, now: Control) -> bool:
        """The numbers agree again; whether that is news."""
        if self.status == BreakStatus.RESOLVED:
            return False
        self.status, self.resolution = BreakStatus.RESOLVED, how.value
        self.expected_count = self.actual_count = now.count
        self.expected_total = self.actual_total = now.total
        return True

    def own(self, staff_id: UUID) -> None:
        """Someone looks into it."""
        if self.status == BreakStatus.RESOLVED:
            raise BreakNotOpen(self.id)
        self.owner_id = staff_id

    def explain(self, explanation: str) -> None:
        """Why the two sides differ; it stays listed as explained."""
        if self.status == BreakStatus.RESOLVED:
            raise BreakNotOpen(self.id)
        self.status, self.explanation = BreakStatus.EXPLAINED, explanation
