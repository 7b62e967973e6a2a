"""A ledger that books and closes days, for these tests."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

from contracts import (
    BusinessDayClosed,
    CloseLine,
    CreditNoteIssued,
    DisputeOutcome,
    DisputeSettled,
    DueBasis,
    DueDateChanged,
    FundingDrawn,
    FundingRepaid,
    InvoiceReddened,
    InvoiceVoided,
    Money,
    Posting,
    PostingReversed,
    ReceivableAssigned,
    ReceivableCollected,
    ReceivableDisputed,
    WriteOffBooked,
)

ENTITY = "DEMO-FACTOR"
SPACE = UUID(int=0x71)


def kind_of(event: Posting) -> str:
    return type(event).ce_type.split(".")[2]


class Ledger:
    """Books postings for one client and closes its days with the totals of what it booked."""

    def __init__(self, client: UUID, entity: str = ENTITY, currency: str = "CNY") -> None:
        self.client, self.entity, self.currency = client, entity, currency
        self.booked: list[Posting] = []
        self.number = 0

    def id(self, name: str) -> UUID:
        return uuid5(SPACE, f"{self.client}:{name}")

    def money(self, amount: str) -> Money:
        return Money(amount=Decimal(amount), currency=self.currency)

    def _common(self, day: date) -> dict[str, Any]:
        self.number += 1
        return {
            "entity_id": self.entity,
            "occurred_at": datetime(day.year, day.month, day.day, 2, tzinfo=UTC),
            "client_id": self.client,
            "posting_id": self.id(f"posting {self.number}"),
            "business_date": day,
        }

    def _keep(self, event: Any) -> Any:
        self.booked.append(event)
        return event

    def assigned(
        self,
        name: str,
        amount: str,
        day: date,
        due: date | None = None,
        *,
        debtor: str = "debtor",
        number: str | None = None,
        tracked: bool = True,
        issued: date | None = None,
    ) -> ReceivableAssigned:
        return self._keep(
            ReceivableAssigned(
                **self._common(day),
                receivable_id=self.id(name),
                debtor_id=self.id(debtor),
                invoice_number=number or name,
                issue_date=issued or day,
                due_date=due,
                due_basis=DueBasis.INVOICE if due else DueBasis.NONE,
                amount=self.money(amount),
                settlement_tracked=tracked,
            )
        )

    def collected(self, name: str, amount: str, day: date, *, debtor: str = "debtor") -> ReceivableCollected:
        return self._keep(
            ReceivableCollected(
                **self._common(day),
                receivable_id=self.id(name),
                debtor_id=self.id(debtor),
                amount=self.money(amount),
            )
        )

    def credited(self, number: str, amount: str, day: date, *, of: str | None = None, debtor: str = "debtor") -> Any:
        return self._keep(
            CreditNoteIssued(
                **self._common(day),
                credit_note_id=self.id(number),
                debtor_id=self.id(debtor),
                invoice_number=number,
                issue_date=day,
                amount=self.money(amount),
                receivable_id=self.id(of) if of else None,
            )
        )

    def voided(self, name: str, amount: str, day: date, *, debtor: str = "debtor") -> InvoiceVoided:
        return self._keep(
            InvoiceVoided(
                **self._common(day),
                receivable_id=self.id(name),
                debtor_id=self.id(debtor),
                invoice_number=name,
                issue_date=day,
                amount=self.money(amount),
            )
        )

    def reddened(self, name: str, amount: str, day: date, *, debtor: str = "debtor") -> InvoiceReddened:
        return self._keep(
            InvoiceReddened(
                **self._common(day),
                receivable_id=self.id(name),
                debtor_id=self.id(debtor),
                amount=self.money(amount),
                red_number="26312000000012345678",
            )
        )

    def due_changed(self, name: str, due: date, day: date) -> DueDateChanged:
        return self._keep(DueDateChanged(**self._common(day), receivable_id=self.id(name), due_date=due))

    def disputed(self, name: str, amount: str, day: date, *, debtor: str = "debtor") -> ReceivableDisputed:
        return self._keep(
            ReceivableDisputed(
                **self._common(day),
                receivable_id=self.id(name),
                debtor_id=self.id(debtor),
                dispute_id=self.id(f"dispute {name}"),
                amount=self.money(amount),
            )
        )

    def dispute_settled(self, name: str, day: date) -> DisputeSettled:
        return self._keep(
            DisputeSettled(
                **self._common(day),
                receivable_id=self.id(name),
                dispute_id=self.id(f"dispute {name}"),
                outcome=DisputeOutcome.DEBTOR_PAYS,
            )
        )

    def written_off(self, name: str, amount: str, day: date, *, debtor: str = "debtor") -> WriteOffBooked:
        return self._keep(
            WriteOffBooked(
                **self._common(day),
                receivable_id=self.id(name),
                debtor_id=self.id(debtor),
                amount=self.money(amount),
            )
        )

    def drawn(self, name: str, amount: str, day: date, *, reservation: UUID | None = None) -> FundingDrawn:
        return self._keep(
            FundingDrawn(
                **self._common(day),
                funding_id=self.id(name),
                amount=self.money(amount),
                receivable_ids=(),
                maturity=date(2027, 1, 1),
                grace_days=7,
                reservation_id=reservation,
            )
        )

    def repaid(self, name: str, amount: str, day: date) -> FundingRepaid:
        return self._keep(FundingRepaid(**self._common(day), funding_id=self.id(name), amount=self.money(amount)))

    def reversed(self, posting: Posting, day: date, value_date: date | None = None) -> PostingReversed:
        amount = getattr(posting, "amount", None)
        return self._keep(
            PostingReversed(
                **self._common(day),
                reversed_posting_id=posting.posting_id,
                reversed_kind=kind_of(posting),
                amount=amount if isinstance(amount, Money) else self.money("0"),
                value_date=value_date or day,
            )
        )

    def closed(self, day: date) -> BusinessDayClosed:
        """The day's close over everything booked for that day."""
        lines: dict[str, tuple[int, Decimal]] = {}
        for event in self.booked:
            if event.business_date == day:
                amount = getattr(event, "amount", None)
                count, total = lines.get(kind_of(event), (0, Decimal(0)))
                added = amount.amount if isinstance(amount, Money) else Decimal(0)
                lines[kind_of(event)] = count + 1, total + added
        return BusinessDayClosed(
            entity_id=self.entity,
            occurred_at=datetime(day.year, day.month, day.day, 15, tzinfo=UTC),
            client_id=self.client,
            business_date=day,
            lines=tuple(
                CloseLine(kind=kind, count=count, total=Money(amount=total, currency=self.currency))
                for kind, (count, total) in sorted(lines.items())
            ),
        )
