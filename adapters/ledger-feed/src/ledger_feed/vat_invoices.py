"""VAT sales invoices as a tax system exports them: no due date, no settlement; one posting a row.

A valid positive row is an assigned receivable due after the stated term; a valid negative one is a credit note, tied to
an earlier invoice of the same client, debtor and amount where one is still untied; a void row is a voided invoice.
"""

from collections import defaultdict, deque
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import ClassVar, Final
from uuid import UUID, uuid5

from contracts.bank.ledger import CreditNoteIssued, DueBasis, InvoiceVoided, Posting, ReceivableAssigned
from ledger_feed.rows import Row, RowError
from ledger_feed.shape import Book, FileRows, Warn

VALID: Final = "valid"
VOID: Final = "void"
STATUSES: Final = frozenset((VALID, VOID))


class VatInvoices(FileRows):
    """Maps `client,invoice_no,date,debtor,net,tax,gross,status`."""

    columns: ClassVar[tuple[str, ...]] = ("client", "invoice_no", "date", "debtor", "net", "tax", "gross", "status")

    def __init__(self, book: Book, sha256: str, *, term_days: int) -> None:
        super().__init__(book, sha256)
        self._term = timedelta(days=term_days)
        self._untied: dict[tuple[UUID, UUID, Decimal], deque[UUID]] = defaultdict(deque)

    def seller(self, row: Row) -> str:
        return row.token("client")

    def postings(self, row: Row, warn: Warn) -> Sequence[Posting]:
        status = row.choice("status", STATUSES)
        seller = self.seller(row)
        debtor_id = self.party(row.token("debtor"))
        invoice_number = row.token("invoice_no")
        day = row.iso_date("date")
        net, tax, gross = row.amount("net"), row.amount("tax"), row.amount("gross")
        adds_up = net + tax == gross
        if not adds_up:
            warn("gross", "net and tax do not add up to gross; gross is what counts")
        if status == VOID:
            return (
                InvoiceVoided(
                    **self.common(row.number, seller, "invoice-voided", day),
                    receivable_id=self.receivable_id(row.number),
                    debtor_id=debtor_id,
                    invoice_number=invoice_number,
                    issue_date=day,
                    amount=self.book.money(gross),
                ),
            )
        if gross < 0:
            return (
                CreditNoteIssued(
                    **self.common(row.number, seller, "credit-note-issued", day),
                    credit_note_id=uuid5(self.receivable_id(row.number), "credit-note"),
                    debtor_id=debtor_id,
                    invoice_number=invoice_number,
                    issue_date=day,
                    amount=self.book.money(-gross),
                ),
            )
        if gross == 0:
            raise RowError("gross", "a valid invoice over nothing")
        return (
            ReceivableAssigned(
                **self.common(row.number, seller, "receivable-assigned", day),
                receivable_id=self.receivable_id(row.number),
                debtor_id=debtor_id,
                invoice_number=invoice_number,
                issue_date=day,
                due_date=day + self._term,
                due_basis=DueBasis.STATED_TERM,
                amount=self.book.money(gross),
                net=self.book.money(net) if adds_up else None,
                tax=self.book.money(tax) if adds_up else None,
                settlement_tracked=False,
            ),
        )

    def in_order(self, posting: Posting) -> Posting:
        if isinstance(posting, ReceivableAssigned):
            self._untied[posting.client_id, posting.debtor_id, posting.amount.amount].append(posting.receivable_id)
        elif isinstance(posting, CreditNoteIssued):
            earlier = self._untied.get((posting.client_id, posting.debtor_id, posting.amount.amount))
            if earlier:
                return posting.model_copy(update={"receivable_id": earlier.popleft()})
        return posting
