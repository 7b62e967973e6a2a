"""The KPIs 关键绩效指标, each a formula over facts that arrived as events. Changing one is a new version."""

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import Final

FOUR_PLACES: Final = Decimal("0.0001")


class Kpi(StrEnum):
    """What is measured, per person and per team, each month."""

    COMPLAINT_DEADLINES_KEPT = "complaint-deadlines-kept"
    VISITS_ON_TIME = "visits-on-time"
    PORTFOLIO_OVERDUE_RATE = "portfolio-overdue-rate"


@dataclass(frozen=True)
class Definition:
    """How a KPI is computed. `target` is reached from above or from below, as `higher_is_better` says."""

    kpi: Kpi
    version: str
    formula: str
    counts: str
    target: Decimal
    higher_is_better: bool


DEFINITIONS: Final = {
    d.kpi: d
    for d in (
        Definition(
            Kpi.COMPLAINT_DEADLINES_KEPT,
            "1",
            "complaints answered by their statutory deadline ÷ complaints whose deadline was decided in the month",
            "A complaint is decided on the day it was answered or its deadline passed, whichever came first; it counts "
            "for whoever managed the client on that day. Withdrawn complaints do not count; a reopened one counts "
            "again, by its new deadline.",
            Decimal("1"),
            True,
        ),
        Definition(
            Kpi.VISITS_ON_TIME,
            "1",
            "visits completed by their due date ÷ visits completed or missed in the month",
            "A visit is decided on the day it was completed or its due date passed, whichever came first; it counts "
            "for whoever managed the client on that day. Cancelled visits do not count.",
            Decimal("0.9"),
            True,
        ),
        Definition(
            Kpi.PORTFOLIO_OVERDUE_RATE,
            "1",
            "overdue balance ÷ balance of the clients in the portfolio on the month's last day",
            "Each client counts with risk-service's last figure as of that day or before, in the legal entity's "
            "currency, at the highest revision known.",
            Decimal("0.05"),
            False,
        ),
    )
}


@dataclass(frozen=True)
class Month:
    """A calendar month of business dates, written 2026-10."""

    year: int
    month: int

    @classmethod
    def of(cls, day: date) -> "Month":
        return cls(day.year, day.month)

    @classmethod
    def parse(cls, text: str) -> "Month":
        """ValueError unless YYYY-MM."""
        year, month = text.split("-")
        first = date(int(year), int(month), 1)
        return cls(first.year, first.month)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"

    @property
    def first(self) -> date:
        return date(self.year, self.month, 1)

    @property
    def last(self) -> date:
        after = Month(self.year + self.month // 12, self.month % 12 + 1)
        return date.fromordinal(after.first.toordinal() - 1)


def ratio(numerator: Decimal, denominator: Decimal) -> Decimal | None:
    """Four decimals, half-even; None where there is nothing to divide by."""
    return (numerator / denominator).quantize(FOUR_PLACES, ROUND_HALF_EVEN) if denominator else None
