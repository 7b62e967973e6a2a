"""The ratios of R5 as pure functions of sums, each able to say why it is what it is.

Definitions: standards.md (Receivables and factoring ratios), data/README.md. A ratio whose denominator is zero is None.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

FOUR = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Why:
    """How a figure came about: formula, its numerator and denominator, the dates it looks at, the rule behind it."""

    formula: str
    numerator: Decimal
    denominator: Decimal
    dates: str
    source: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A ratio, rounded to four decimals, and why."""

    value: Decimal | None
    why: Why


def _ratio(numerator: Any, denominator: Any, formula: str, dates: str, source: str, times: int = 1) -> Figure:
    top, bottom = Decimal(numerator), Decimal(denominator)
    value = (top / bottom * times).quantize(FOUR, ROUND_HALF_UP) if bottom > 0 else None
    return Figure(value, Why(formula, top.normalize() + 0, bottom.normalize() + 0, dates, source))


RATIOS = "standards.md, Receivables and factoring ratios"


def indicators(sums: Mapping[str, Any], as_of: date, window_days: int, default_days: int) -> dict[str, Figure]:
    """All ratios of one scope and currency from the sums of `balances.totals`."""
    at = f"at {as_of}"
    window = f"({as_of - timedelta(days=window_days)}, {as_of}]"
    matured = f"due in ({as_of - timedelta(days=default_days)}, {as_of}]"
    tracked = "settlement tracked"
    figures = {
        "overdue_rate": _ratio(
            sums["overdue"],
            sums["tracked_balance"],
            f"open and due before the date ÷ open balance ({tracked})",
            at,
            RATIOS,
        ),
        "overdue_rate_by_count": _ratio(
            sums["overdue_count"],
            sums["open_count"],
            f"receivables open and due before the date ÷ open ones ({tracked})",
            at,
            RATIOS,
        ),
        "dso": _ratio(
            sums["tracked_balance"],
            sums["tracked_sales"],
            f"open balance ÷ sales of {window_days} days × {window_days} ({tracked})",
            f"open {at}; sales {window}",
            RATIOS,
            times=window_days,
        ),
        "dilution": _ratio(
            sums["reduced"],
            sums["sales"],
            "credit notes and red invoices ÷ gross sales; write-offs out",
            window,
            RATIOS,
        ),
        "dispute_rate": _ratio(
            sums["disputed"],
            sums["receivable_balance"],
            "open balance of disputed receivables ÷ open receivables",
            at,
            RATIOS,
        ),
        "default_rate": _ratio(
            sums["defaulted"],
            sums["matured"],
            f"gross of receivables written off or more than 90 days past due ÷ gross of all due ({tracked})",
            matured,
            f"{RATIOS}; IFRS 9 B5.5.37 (90 days)",
        ),
        "default_rate_by_count": _ratio(
            sums["defaulted_count"], sums["matured_count"], f"the same by count ({tracked})", matured, RATIOS
        ),
        "top_share": _ratio(
            sums["top"], sums["positive"], "largest party's open balance ÷ all open balances", at, RATIOS
        ),
        "hhi": _ratio(sums["squares"], Decimal(sums["positive"]) ** 2, "Σ (party's open balance ÷ all)²", at, RATIOS),
    }
    dso = figures["dso"]
    turnover = (365 / dso.value).quantize(FOUR) if dso.value else None
    figures["turnover"] = Figure(
        turnover, Why("365 ÷ DSO", Decimal(365), dso.value or Decimal(0), dso.why.dates, RATIOS)
    )
    return figures
