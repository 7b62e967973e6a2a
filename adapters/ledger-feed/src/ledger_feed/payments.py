"""Receivables with due and settlement dates, one row an invoice's whole life, sold by one stated seller.

The overdue posting stands on the morning after the due date, before that day's collections: every late row has one.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar, Final
from uuid import uuid5

from contracts.bank.ledger import (
    DueBasis,
    Posting,
    ReceivableAssigned,
    ReceivableCollected,
    ReceivableDisputed,
    ReceivableOverdue,
)
from ledger_feed.rows import Row, RowError
from ledger_feed.shape import Book, FileRows, Warn

YES_NO: Final = frozenset(("Yes", "No"))


class Payments(FileRows):
    """Maps `countryCode,customerID,…,InvoiceDate,DueDate,InvoiceAmount,Disputed,SettledDate,…` (dates M/D/YYYY)."""

    columns: ClassVar[tuple[str, ...]] = (
        "customerID", "invoiceNumber", "InvoiceDate", "DueDate", "InvoiceAmount", "Disputed", "SettledDate",
    )  # fmt: skip

    def __init__(self, book: Book, sha256: str, *, seller: str) -> None:
        super().__init__(book, sha256)
        self._seller = seller

    def seller(self, row: Row) -> str:
        return self._seller

    def postings(self, row: Row, warn: Warn) -> Sequence[Posting]:
        issued, due = row.us_date("InvoiceDate"), row.us_date("DueDate")
        settled = row.us_date("SettledDate") if row.fields["SettledDate"] else None
        amount = row.amount("InvoiceAmount")
        disputed = row.choice("Disputed", YES_NO) == "Yes"
        if amount <= 0:
            raise RowError("InvoiceAmount", "a receivable is positive")
        if due < issued:
            raise RowError("DueDate", "lies before the invoice date")
        if settled and settled < issued:
            raise RowError("SettledDate", "lies before the invoice date")
        receivable_id = self.receivable_id(row.number)
        debtor_id = self.party(row.token("customerID"))
        money = self.book.money(amount)
        life: list[Posting] = [
            ReceivableAssigned(
                **self.common(row.number, self._seller, "receivable-assigned", issued),
                receivable_id=receivable_id,
                debtor_id=debtor_id,
                invoice_number=row.token("invoiceNumber"),
                issue_date=issued,
                due_date=due,
                due_basis=DueBasis.INVOICE,
                amount=money,
            )
        ]
        if disputed:
            life.append(
                ReceivableDisputed(
                    **self.common(row.number, self._seller, "receivable-disputed", issued, 1),
                    receivable_id=receivable_id,
                    debtor_id=debtor_id,
                    dispute_id=uuid5(receivable_id, "dispute"),
                    amount=money,
                )
            )
        if settled is None or settled > due:
            life.append(
                ReceivableOverdue(
                    **self.common(row.number, self._seller, "receivable-overdue", due + timedelta(days=1), 2),
                    receivable_id=receivable_id,
                    debtor_id=debtor_id,
                    due_date=due,
                    amount=money,
                )
            )
        if settled:
            life.append(
                ReceivableCollected(
                    **self.common(row.number, self._seller, "receivable-collected", settled, 3),
                    receivable_id=receivable_id,
                    debtor_id=debtor_id,
                    amount=money,
                )
            )
        return life
