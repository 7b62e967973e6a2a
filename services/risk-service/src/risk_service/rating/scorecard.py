"""The behavioural scorecard: a client's invoicing behaviour → points per factor → PD → grade of the master scale.

Pure Decimal arithmetic over a versioned model document (`models/*.json`, written by `risk_service.rating.train`).
Invariant: a score is the sum of the points shown, and the same facts and model version always give the same score.
Scaling (standards.md, Rating): score = offset + factor·ln(odds of not defaulting), factor = PDO ÷ ln 2.
"""

import json
from calendar import monthrange
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

MODELS = Path(__file__).parent / "models"
CURRENT_MODEL = "behaviour-2026.1"
WINDOW_MONTHS = 24
FEWEST_ACTIVE_MONTHS = 3


class RowKind(StrEnum):
    """What an invoice row is: a valid sale, a credit note (amount positive) or a voided invoice."""

    SALE = "sale"
    CREDIT = "credit"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class InvoiceRow:
    """One row of the client's invoice record. `amount` is positive for sales and credit notes."""

    kind: RowKind
    issue_date: date
    debtor: Hashable
    amount: Decimal


def _month(day: date) -> int:
    return day.year * 12 + day.month - 1


def last_full_month(as_of: date) -> int:
    """Index (year·12 + month − 1) of the last calendar month that has wholly passed at the end of `as_of`."""
    whole = as_of.day == monthrange(as_of.year, as_of.month)[1]
    return _month(as_of) - (0 if whole else 1)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A client's invoices of the 24 full months before a date, summed. Months are oldest first."""

    monthly_sales: tuple[Decimal, ...]
    debtor_sales: Mapping[Hashable, Decimal]
    rows: int
    void_rows: int
    credit: Decimal

    @property
    def gross(self) -> Decimal:
        return sum(self.monthly_sales, Decimal(0))

    @property
    def active_months(self) -> int:
        return sum(month > 0 for month in self.monthly_sales)

    @property
    def sufficient(self) -> bool:
        """Whether there is enough history to score at all."""
        return self.active_months >= FEWEST_ACTIVE_MONTHS


def behaviour(rows: Iterable[InvoiceRow], as_of: date) -> Behaviour:
    """Sum the rows issued in the 24 full calendar months up to `as_of`; others are ignored."""
    end = last_full_month(as_of)
    months = [Decimal(0)] * WINDOW_MONTHS
    debtors: dict[Hashable, Decimal] = {}
    total = voids = 0
    credit = Decimal(0)
    for row in rows:
        place = _month(row.issue_date) - end + WINDOW_MONTHS - 1
        if not 0 <= place < WINDOW_MONTHS:
            continue
        total += 1
        match row.kind:
            case RowKind.VOID:
                voids += 1
            case RowKind.CREDIT:
                credit += row.amount
            case RowKind.SALE:
                months[place] += row.amount
                debtors[row.debtor] = debtors.get(row.debtor, Decimal(0)) + row.amount
    return Behaviour(tuple(months), debtors, total, voids, credit)


def _gross(b: Behaviour) -> Decimal:
    return b.gross.log10()


def _volatility(b: Behaviour) -> Decimal:
    mean = b.gross / WINDOW_MONTHS
    variance = sum(((m - mean) ** 2 for m in b.monthly_sales), Decimal(0)) / WINDOW_MONTHS
    return variance.sqrt() / mean


def _gap(b: Behaviour) -> Decimal:
    longest = run = 0
    started = False
    for month in b.monthly_sales:
        started = started or month > 0
        run = run + 1 if started and month == 0 else 0
        longest = max(longest, run)
    return Decimal(longest)


def _trend(b: Behaviour) -> Decimal:
    half = WINDOW_MONTHS // 2
    return (sum(b.monthly_sales[half:], Decimal(0)) - sum(b.monthly_sales[:half], Decimal(0))) / b.gross


FACTORS: Mapping[str, Callable[[Behaviour], Decimal]] = {
    "gross_sales_log10": _gross,
    "active_months": lambda b: Decimal(b.active_months),
    "longest_gap_months": _gap,
    "sales_volatility": _volatility,
    "sales_trend": _trend,
    "debtors": lambda b: Decimal(len(b.debtor_sales)),
    "top_debtor_share": lambda b: max(b.debtor_sales.values()) / b.gross,
    "debtor_hhi": lambda b: sum((s * s for s in b.debtor_sales.values()), Decimal(0)) / b.gross**2,
    "void_share": lambda b: Decimal(b.void_rows) / b.rows,
    "credit_note_share": lambda b: b.credit / b.gross,
}
MEANING = {
    "gross_sales_log10": "log10 of gross sales over 24 months, in the model's currency",
    "active_months": "months with sales among the last 24",
    "longest_gap_months": "longest run of months without sales since the first sale in the window",
    "sales_volatility": "standard deviation of monthly sales ÷ their mean",
    "sales_trend": "(sales of the later 12 months − sales of the earlier 12) ÷ sales of the 24",
    "debtors": "number of debtors invoiced",
    "top_debtor_share": "largest debtor's share of gross sales",
    "debtor_hhi": "Herfindahl–Hirschman index of gross sales by debtor",
    "void_share": "voided rows ÷ all rows",
    "credit_note_share": "credit notes ÷ gross sales",
}


def factor_values(b: Behaviour) -> dict[str, Decimal]:
    """Every factor's raw value, rounded to 6 places. Needs `b.sufficient`."""
    return {name: rule(b).quantize(Decimal("0.000001")) for name, rule in FACTORS.items()}


@dataclass(frozen=True, slots=True)
class Grade:
    """One step of the master scale: PDs up to `upper` (inclusive) belong to it; `pd` stands for all of them."""

    name: str
    upper: Decimal
    pd: Decimal


DEFAULT_GRADE = "D"
PD_FLOOR = Decimal("0.0005")


@dataclass(frozen=True, slots=True)
class Bin:
    """Values below `below` (and not in an earlier bin) earn `points`; the last bin has no bound."""

    below: Decimal | None
    woe: Decimal
    points: Decimal


@dataclass(frozen=True, slots=True)
class Model:
    """A scorecard version: bins with points per factor, scaling, and the master scale it was calibrated on."""

    version: str
    currency: str
    base_points: Decimal
    factor: Decimal
    offset: Decimal
    bins: Mapping[str, Sequence[Bin]]
    scale: Sequence[Grade]

    def grade_of(self, pd: Decimal) -> Grade:
        return next(g for g in self.scale if pd <= g.upper)


@dataclass(frozen=True, slots=True)
class FactorPoints:
    """What one factor contributed, and from which value and bin."""

    factor: str
    meaning: str
    value: Decimal
    bin: str
    woe: Decimal
    points: Decimal


@dataclass(frozen=True, slots=True)
class Score:
    """A client's score: `score` = `base_points` + Σ points; `pd` follows from it; the grade from `pd`."""

    model_version: str
    score: Decimal
    base_points: Decimal
    factors: tuple[FactorPoints, ...]
    model_pd: Decimal
    grade: Grade


def _decimal(value: Any) -> Decimal:
    return Decimal(str(value))


def parse_model(document: Mapping[str, Any]) -> Model:
    """A model from its JSON document."""
    return Model(
        version=document["version"],
        currency=document["currency"],
        base_points=_decimal(document["base_points"]),
        factor=_decimal(document["scaling"]["factor"]),
        offset=_decimal(document["scaling"]["offset"]),
        bins={
            name: [
                Bin(None if b["below"] is None else _decimal(b["below"]), _decimal(b["woe"]), _decimal(b["points"]))
                for b in bins
            ]
            for name, bins in document["factors"].items()
        },
        scale=[Grade(g["grade"], _decimal(g["upper"]), _decimal(g["pd"])) for g in document["master_scale"]],
    )


@cache
def load_model(version: str = CURRENT_MODEL) -> Model:
    """The committed model of that version."""
    return parse_model(json.loads((MODELS / f"{version}.json").read_text("utf-8")))


def bin_of(bins: Sequence[Bin], value: Decimal) -> int:
    """Which bin a value falls into: the first whose bound lies above it."""
    return next(i for i, b in enumerate(bins) if b.below is None or value < b.below)


def _range(bins: Sequence[Bin], place: int) -> str:
    low = bins[place - 1].below if place else None
    high = bins[place].below
    if low is None:
        return "any" if high is None else f"< {high.normalize():f}"
    return f"≥ {low.normalize():f}" if high is None else f"{low.normalize():f} to below {high.normalize():f}"


def score(model: Model, values: Mapping[str, Decimal]) -> Score:
    """Points per factor, PD = 1 ÷ (1 + e^((score − offset) ÷ factor)), floored at 0.05 %, and the grade."""
    parts: list[FactorPoints] = []
    for name, bins in model.bins.items():
        place = bin_of(bins, values[name])
        chosen = bins[place]
        parts.append(FactorPoints(name, MEANING[name], values[name], _range(bins, place), chosen.woe, chosen.points))
    total = model.base_points + sum((p.points for p in parts), Decimal(0))
    odds = ((total - model.offset) / model.factor).exp()
    pd = max(PD_FLOOR, (1 / (1 + odds)).quantize(Decimal("0.000001")))
    return Score(model.version, total, model.base_points, tuple(parts), pd, model.grade_of(pd))
