"""What the record of a client's invoices says: how debtors paid, and what was sold, voided and credited by year."""

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import and_, case, extract, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from risk_service.monitoring.indicators import FOUR
from risk_service.receivables.balances import Moment, Scope, items
from risk_service.receivables.model import ASSIGNED, CREDITED, VOIDED, Posting
from risk_service.requests import DecimalText, money
from servicekit.examples import example


class PaymentBehaviour(BaseModel):
    """How receivables whose settlement is tracked were paid. Late: settled after due. Means are of settled ones."""

    model_config = example(
        currency="CNY",
        count=120,
        total="15000000.00",
        settled_count=100,
        late_count=20,
        late_share="0.2000",
        disputed_count=3,
        disputed_share="0.0250",
        mean_days_to_settle="52.3000",
        mean_days_late="1.8000",
        mean_days_late_when_late="9.0000",
        max_days_late=31,
        explain={"as_of": "2026-11-02", "days_to_settle": "5230", "days_late": "180"},
    )

    currency: str | None
    count: int
    total: DecimalText
    settled_count: int
    late_count: int
    late_share: DecimalText | None = Field(description="late ÷ settled")
    disputed_count: int
    disputed_share: DecimalText | None = Field(description="ever disputed ÷ all")
    mean_days_to_settle: DecimalText | None
    mean_days_late: DecimalText | None = Field(description="Days after due, zero when in time")
    mean_days_late_when_late: DecimalText | None
    max_days_late: int | None
    explain: dict[str, str]


def ratio(top: Any, bottom: Any) -> Decimal | None:
    """Rounded half up to four decimals; None over zero."""
    return (Decimal(top) / Decimal(bottom)).quantize(FOUR, ROUND_HALF_UP) if bottom else None


async def payment_behaviour(tx: AsyncSession, scope: Scope, at: Moment, currency: str | None) -> PaymentBehaviour:
    """The payment record of a scope at a moment, in one currency (default: the one with the most receivables)."""
    i = items(scope, at).c
    settled = i.settled_on.is_not(None)
    late = and_(settled, i.settled_on > i.due_date)
    days_late = case((late, i.settled_on - i.due_date), else_=0)
    query = (
        select(
            i.currency,
            func.count().label("receivables"),
            func.sum(i.amount).label("total"),
            func.count().filter(settled).label("settled"),
            func.count().filter(late).label("late"),
            func.count().filter(i.ever_disputed).label("disputed"),
            func.coalesce(func.sum(i.settled_on - i.issue_date).filter(settled), 0).label("days"),
            func.coalesce(func.sum(days_late).filter(settled), 0).label("days_late"),
            func.max(days_late).filter(settled).label("worst"),
        )
        .where(i.valid, i.tracked)
        .group_by(i.currency)
        .order_by(func.count().desc(), i.currency)
    )
    rows = (await tx.execute(query)).all()
    row = next((r for r in rows if currency in (None, r.currency)), None)
    if row is None:
        return PaymentBehaviour(
            currency=currency, count=0, total=Decimal("0.00"), settled_count=0, late_count=0, late_share=None,
            disputed_count=0, disputed_share=None, mean_days_to_settle=None, mean_days_late=None,
            mean_days_late_when_late=None, max_days_late=None, explain={"as_of": str(at.as_of)},
        )  # fmt: skip
    return PaymentBehaviour(
        currency=row.currency,
        count=row.receivables,
        total=money(row.total),
        settled_count=row.settled,
        late_count=row.late,
        late_share=ratio(row.late, row.settled),
        disputed_count=row.disputed,
        disputed_share=ratio(row.disputed, row.receivables),
        mean_days_to_settle=ratio(row.days, row.settled),
        mean_days_late=ratio(row.days_late, row.settled),
        mean_days_late_when_late=ratio(row.days_late, row.late),
        max_days_late=row.worst,
        explain={
            "as_of": str(at.as_of),
            "days_to_settle": str(row.days),
            "days_late": str(row.days_late),
            "settled": "collected in full; the day of the last collection",
            "scope": "assigned, not void, settlement tracked",
        },
    )


class YearOfSales(BaseModel):
    """Invoices issued in a year (null: in all years). Shares as in data/README.md: void ÷ all rows; credit ÷ gross;
    largest debtor's gross ÷ gross."""

    model_config = example(
        year=2025,
        rows=1250,
        valid_rows=1150,
        void_rows=100,
        credit_rows=50,
        gross="30000000.00",
        credit="600000.00",
        void_share="0.0800",
        credit_share="0.0200",
        debtors=37,
        top_debtor_id="0199a7c0-2222-7aaa-8aaa-000000000002",
        top_debtor_gross="7500000.00",
        top_debtor_share="0.2500",
    )

    year: int | None
    currency: str
    rows: int
    valid_rows: int
    void_rows: int
    credit_rows: int
    gross: DecimalText
    credit: DecimalText
    void_share: DecimalText | None
    credit_share: DecimalText | None
    debtors: int
    top_debtor_id: UUID | None
    top_debtor_gross: DecimalText
    top_debtor_share: DecimalText | None


@dataclass
class _Sum:
    valid: int = 0
    void: int = 0
    credits: int = 0
    gross: Decimal = Decimal(0)
    credit: Decimal = Decimal(0)
    debtors: dict[UUID, Decimal] = field(default_factory=lambda: defaultdict[UUID, Decimal](Decimal))

    def add(self, row: Any) -> None:
        self.valid += row.valid
        self.void += row.void
        self.credits += row.credits
        self.gross += row.gross
        self.credit += row.credit
        if row.gross:
            self.debtors[row.debtor_id] += row.gross

    def view(self, year: int | None, currency: str) -> YearOfSales:
        top = max(self.debtors.items(), key=lambda pair: (pair[1], pair[0]), default=(None, Decimal(0)))
        rows = self.valid + self.void + self.credits
        return YearOfSales(
            year=year,
            currency=currency,
            rows=rows,
            valid_rows=self.valid,
            void_rows=self.void,
            credit_rows=self.credits,
            gross=money(self.gross),
            credit=money(self.credit),
            void_share=ratio(self.void, rows),
            credit_share=ratio(self.credit, self.gross),
            debtors=len(self.debtors),
            top_debtor_id=top[0],
            top_debtor_gross=money(top[1]),
            top_debtor_share=ratio(top[1], self.gross),
        )


async def yearly_sales(
    tx: AsyncSession, scope: Scope, at: Moment, year: int | None, currency: str | None
) -> list[YearOfSales]:
    """One row a year, then all together. An assigned receivable that was voided later is one void row."""
    voided = select(Posting.receivable_id).where(*at.standing(scope, Posting.kind == VOIDED))
    void = Posting.kind == VOIDED
    sale = and_(Posting.kind == ASSIGNED, Posting.receivable_id.not_in(voided))
    note = Posting.kind == CREDITED
    issued = extract("year", Posting.issue_date)
    zero = literal(Decimal(0))
    query = (
        select(
            issued.label("year"),
            Posting.currency,
            Posting.debtor_id,
            func.count().filter(sale).label("valid"),
            func.count().filter(void).label("void"),
            func.count().filter(note).label("credits"),
            func.coalesce(func.sum(Posting.amount).filter(sale), zero).label("gross"),
            func.coalesce(func.sum(Posting.amount).filter(note), zero).label("credit"),
        )
        .where(*at.standing(scope, Posting.kind.in_((ASSIGNED, VOIDED, CREDITED))))
        .group_by(issued, Posting.currency, Posting.debtor_id)
    )
    if year is not None:
        query = query.where(issued == year)
    found = (await tx.execute(query)).all()
    rows: dict[str, int] = defaultdict(int)
    for row in found:
        rows[row.currency] += row.valid + row.void + row.credits
    chosen = currency or max(sorted(rows), key=lambda c: rows[c], default=None)
    if chosen is None or chosen not in rows:
        return []
    years: dict[int, _Sum] = defaultdict(_Sum)
    everything = _Sum()
    for row in found:
        if row.currency == chosen:
            years[int(row.year)].add(row)
            everything.add(row)
    return [*(years[y].view(y, chosen) for y in sorted(years)), *([] if year else [everything.view(None, chosen)])]
