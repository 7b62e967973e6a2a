"""The platform's own CSV of a factoring ledger: one posting a row, numbered by the ledger itself.

Always filled: `posting` (the ledger's number of the booking), `kind` (the event's name), `business_date`, `client`. The
other columns are filled as the kind needs them (`REQUIRED`); what a kind does not need is ignored. Ids come from the
system and the ledger's numbers, so a record may be continued in another file, and a booking told twice counts once.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final
from uuid import UUID, uuid5

from contracts import party_id
from contracts.bank.ledger import (
    CreditNoteIssued,
    DisputeOutcome,
    DisputeSettled,
    DueBasis,
    DueDateChanged,
    FeeCharged,
    FeeKind,
    FundingDrawn,
    FundingOverdue,
    FundingRepaid,
    InvoiceReddened,
    InvoiceVoided,
    Posting,
    PostingReversed,
    ReceivableAssigned,
    ReceivableCollected,
    ReceivableDisputed,
    ReceivableOverdue,
    ReserveReleased,
    WriteOffBooked,
)
from ledger_feed.ids import ledger_space
from ledger_feed.rows import Row, RowError
from ledger_feed.shape import Book, Warn, posted_at

COLUMNS: Final = (
    "posting",  # the ledger's number of this booking, unique in the ledger
    "kind",  # the event's name, e.g. receivable-assigned
    "business_date",  # YYYY-MM-DD, the day it was booked
    "client",  # the seller's number in the ledger
    "debtor",
    "receivable",  # the ledger's number of the receivable; for funding-drawn those funded, separated by blanks
    "document",  # invoice, credit note or red invoice number
    "issue_date",
    "due_date",  # also a funding's maturity, and the new due date of due-date-changed
    "amount",
    "net",
    "tax",
    "funding",
    "days",  # grace days of funding-drawn, days overdue of funding-overdue
    "dispute",
    "detail",  # fee kind, or dispute outcome
    "reverses",  # the booking that posting-reversed undoes
    "reverses_kind",
    "value_date",  # from when a reversal counts
    "contract",
)

REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "receivable-assigned": ("receivable", "debtor", "document", "issue_date", "amount"),
    "invoice-voided": ("receivable", "debtor", "document", "issue_date", "amount"),
    "invoice-reddened": ("receivable", "debtor", "document", "amount"),
    "credit-note-issued": ("debtor", "document", "issue_date", "amount"),
    "due-date-changed": ("receivable", "due_date"),
    "receivable-disputed": ("receivable", "debtor", "dispute", "amount"),
    "dispute-settled": ("receivable", "dispute", "detail"),
    "receivable-overdue": ("receivable", "debtor", "due_date", "amount"),
    "receivable-collected": ("receivable", "debtor", "amount"),
    "funding-drawn": ("funding", "receivable", "amount", "due_date", "days"),
    "funding-repaid": ("funding", "amount"),
    "funding-overdue": ("funding", "amount", "days"),
    "fee-charged": ("detail", "amount"),
    "reserve-released": ("receivable", "amount"),
    "write-off-booked": ("receivable", "debtor", "amount"),
    "posting-reversed": ("reverses", "reverses_kind", "value_date", "amount"),
}
"""What each kind needs beside the four columns that are always filled."""

KINDS: Final = frozenset(REQUIRED)
FEES: Final = frozenset(kind.value for kind in FeeKind if kind is not FeeKind.UNKNOWN)
OUTCOMES: Final = frozenset(outcome.value for outcome in DisputeOutcome if outcome is not DisputeOutcome.UNKNOWN)


class Ledger:
    """Maps the columns of `COLUMNS`."""

    columns: ClassVar[tuple[str, ...]] = COLUMNS

    def __init__(self, book: Book) -> None:
        self.book = book
        self._space = ledger_space(book.system)
        self._booked: dict[str, int] = {}

    def seller(self, row: Row) -> str:
        return row.token("client")

    def postings(self, row: Row, warn: Warn) -> Sequence[Posting]:
        kind = row.choice("kind", KINDS)
        for column in REQUIRED[kind]:
            if not row.fields[column]:
                raise RowError(column, f"{kind} needs it")
        number = row.token("posting")
        first = self._booked.get(number, row.number)
        if first != row.number:
            raise RowError("posting", f"the booking is already told in row {first}")
        day = row.iso_date("business_date")
        common = {
            "entity_id": self.book.entity_id,
            "branch_id": self.book.branch_id,
            "occurred_at": posted_at(day, row.number, 0),
            "source_ref": number,
            "client_id": party_id(self.book.system, self.seller(row)),
            "posting_id": self._id("posting", number),
            "business_date": day,
        }
        posting = _BUILDERS[kind](_Fields(self, row), common)
        self._booked[number] = row.number
        return (posting,)

    def in_order(self, posting: Posting) -> Posting:
        return posting

    def _id(self, kind: str, number: str) -> UUID:
        return uuid5(self._space, f"{kind}:{number}")


class _Fields:
    """A row's fields in the ledger's meaning."""

    def __init__(self, ledger: Ledger, row: Row) -> None:
        self.row = row
        self.book = ledger.book
        self._space = ledger_space(ledger.book.system)

    def id(self, column: str) -> UUID:
        return uuid5(self._space, f"{column}:{self.row.token(column)}")

    def id_or_none(self, column: str) -> UUID | None:
        return self.id(column) if self.row.fields[column] else None

    def ids(self, column: str) -> tuple[UUID, ...]:
        numbers = self.row.fields[column].split()
        return tuple(uuid5(self._space, f"{column}:{Row(0, {column: number}).token(column)}") for number in numbers)

    def booking(self) -> UUID:
        return uuid5(self._space, f"posting:{self.row.token('reverses')}")

    def debtor(self) -> UUID:
        return party_id(self.book.system, self.row.token("debtor"))

    def positive(self) -> Any:
        amount = self.row.amount("amount")
        if amount <= 0:
            raise RowError("amount", "is to be positive")
        return self.book.money(amount)

    def money_or_none(self, column: str) -> Any:
        return self.book.money(self.row.amount(column)) if self.row.fields[column] else None

    def count(self, column: str) -> int:
        value = self.row.fields[column]
        if not (value.isascii() and value.isdigit() and len(value) <= 5):
            raise RowError(column, "is to be a whole number of days")
        return int(value)


Builder = Callable[[_Fields, Mapping[str, Any]], Posting]


def _assigned(of: _Fields, common: Mapping[str, Any]) -> Posting:
    due = of.row.iso_date("due_date") if of.row.fields["due_date"] else None
    return ReceivableAssigned(
        **common,
        receivable_id=of.id("receivable"),
        debtor_id=of.debtor(),
        invoice_number=of.row.token("document"),
        issue_date=of.row.iso_date("issue_date"),
        due_date=due,
        due_basis=DueBasis.INVOICE if due else DueBasis.NONE,
        amount=of.positive(),
        net=of.money_or_none("net"),
        tax=of.money_or_none("tax"),
        contract_ref=of.row.token("contract") if of.row.fields["contract"] else None,
    )


def _voided(of: _Fields, common: Mapping[str, Any]) -> Posting:
    return InvoiceVoided(
        **common,
        receivable_id=of.id("receivable"),
        debtor_id=of.debtor(),
        invoice_number=of.row.token("document"),
        issue_date=of.row.iso_date("issue_date"),
        amount=of.book.money(of.row.amount("amount")),
    )


def _reddened(of: _Fields, common: Mapping[str, Any]) -> Posting:
    return InvoiceReddened(
        **common,
        receivable_id=of.id("receivable"),
        debtor_id=of.debtor(),
        amount=of.positive(),
        red_number=of.row.token("document"),
    )


def _credited(of: _Fields, common: Mapping[str, Any]) -> Posting:
    return CreditNoteIssued(
        **common,
        credit_note_id=uuid5(common["posting_id"], "credit-note"),
        debtor_id=of.debtor(),
        invoice_number=of.row.token("document"),
        issue_date=of.row.iso_date("issue_date"),
        amount=of.positive(),
        receivable_id=of.id_or_none("receivable"),
    )


def _due_changed(of: _Fields, common: Mapping[str, Any]) -> Posting:
    return DueDateChanged(**common, receivable_id=of.id("receivable"), due_date=of.row.iso_date("due_date"))


def _disputed(of: _Fields, common: Mapping[str, Any]) -> Posting:
    return ReceivableDisputed(
        **common,
        receivable_id=of.id("receivable"),
        debtor_id=of.debtor(),
        dispute_id=of.id("dispute"),
        amount=of.positive(),
    )


def _settled(of: _Fields, common: Mapping[str, Any]) -> Posting:
    return DisputeSettled(
        **common,
        receivable_id=of.id("receivable"),
        dispute_id=of.id("dispute"),
        outcome=DisputeOutcome(of.row.choice("detail", OUTCOMES)),
    )


def _overdue(of: _Fields, common: Mapping[str, Any]) -> Posting:
    return ReceivableOverdue(
        **common,
        receivable_id=of.id("receivable"),
        debtor_id=of.debtor(),
        due_date=of.row.iso_date("due_date"),
        amount=of.positive(),
    )


def _collected(of: _Fields, common: Mapping[str, Any]) -> Posting:
    return ReceivableCollected(**common, receivable_id=of.id("receivable"), debtor_id=of.debtor(), amount=of.positive())


def _drawn(of: _Fields, common: Mapping[str, Any]) -> Posting:
    return FundingDrawn(
        **common,
        funding_id=of.id("funding"),
        amount=of.positive(),
        receivable_ids=of.ids("receivable"),
        maturity=of.row.iso_date("due_date"),
        grace_days=of.count("days"),
    )


def _repaid(of: _Fields, common: Mapping[str, Any]) -> Posting:
    return FundingRepaid(**common, funding_id=of.id("funding"), amount=of.positive())


def _funding_overdue(of: _Fields, common: Mapping[str, Any]) -> Posting:
    return FundingOverdue(**common, funding_id=of.id("funding"), amount=of.positive(), days=of.count("days"))


def _fee(of: _Fields, common: Mapping[str, Any]) -> Posting:
    return FeeCharged(
        **common,
        fee_kind=FeeKind(of.row.choice("detail", FEES)),
        amount=of.positive(),
        funding_id=of.id_or_none("funding"),
    )


def _released(of: _Fields, common: Mapping[str, Any]) -> Posting:
    return ReserveReleased(**common, receivable_id=of.id("receivable"), amount=of.positive())


def _written_off(of: _Fields, common: Mapping[str, Any]) -> Posting:
    return WriteOffBooked(**common, receivable_id=of.id("receivable"), debtor_id=of.debtor(), amount=of.positive())


def _reversed(of: _Fields, common: Mapping[str, Any]) -> Posting:
    return PostingReversed(
        **common,
        reversed_posting_id=of.booking(),
        reversed_kind=of.row.choice("reverses_kind", KINDS - {"posting-reversed"}),
        amount=of.book.money(of.row.amount("amount")),
        value_date=of.row.iso_date("value_date"),
    )


_BUILDERS: Final[Mapping[str, Builder]] = {
    "receivable-assigned": _assigned,
    "invoice-voided": _voided,
    "invoice-reddened": _reddened,
    "credit-note-issued": _credited,
    "due-date-changed": _due_changed,
    "receivable-disputed": _disputed,
    "dispute-settled": _settled,
    "receivable-overdue": _overdue,
    "receivable-collected": _collected,
    "funding-drawn": _drawn,
    "funding-repaid": _repaid,
    "funding-overdue": _funding_overdue,
    "fee-charged": _fee,
    "reserve-released": _released,
    "write-off-booked": _written_off,
    "posting-reversed": _reversed,
}
