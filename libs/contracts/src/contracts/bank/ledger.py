"""What the core factoring ledger books: receivables, funding, payments, reversals, and the day's control totals.

All are keyed by the seller (`client_id`), so a day-close cannot overtake what it counts.
"""

from datetime import date
from uuid import UUID

from pydantic import Field

from contracts.base import Code, Count, Event, Hash, Instant, Money, OpenEnum, Publisher, Token, Topic, Value
from contracts.ids import ClientId, DebtorId, FundingId, PartyId, ReceivableId, RecordId

LEDGER = Publisher("ledger", Topic("ledger.events"))


class DueBasis(OpenEnum):
    """Where a due date comes from: the invoice, a term stated for all of them, or nowhere."""

    INVOICE = "invoice"
    STATED_TERM = "stated_term"
    NONE = "none"
    UNKNOWN = "UNKNOWN"


class DisputeOutcome(OpenEnum):
    """How a dispute ended."""

    DEBTOR_PAYS = "debtor_pays"
    REDUCED = "reduced"
    CANCELLED = "cancelled"
    UNKNOWN = "UNKNOWN"


class FeeKind(OpenEnum):
    """What a fee is for."""

    SERVICE = "service"
    INTEREST = "interest"
    PENALTY = "penalty"
    REGISTRATION = "registration"
    OTHER = "other"
    UNKNOWN = "UNKNOWN"


class Posting(Event):
    """What every booking of the ledger says."""

    client_id: ClientId
    posting_id: UUID = Field(description="The booking.", examples=["0199a7c0-f000-7aaa-8aaa-000000000016"])
    business_date: date = Field(description="The day it was booked.", examples=["2026-11-02"])


class ReceivableAssigned(
    Posting,
    publisher=LEDGER,
    name="receivable-assigned",
    key="client_id",
    rely=("client", "risk", "performance", "reporting"),
):
    """A client's receivable from a debtor now belongs to the factor."""

    receivable_id: ReceivableId
    debtor_id: DebtorId
    invoice_number: Token = Field(examples=["20919652"])
    issue_date: date = Field(examples=["2026-10-30"])
    due_date: date | None = Field(default=None, examples=["2027-01-28"])
    due_basis: DueBasis
    amount: Money = Field(description="Gross.")
    net: Money | None = None
    tax: Money | None = None
    settlement_tracked: bool = Field(
        default=True,
        description="False: no payment will be told; it counts in balances, never as overdue or in default.",
    )
    contract_ref: Token | None = Field(default=None, examples=["FC-2026-0042"])


class InvoiceVoided(
    Posting, publisher=LEDGER, name="invoice-voided", key="client_id", rely=("client", "risk", "reporting")
):
    """An invoice was declared void: an assigned receivable is gone, or a void one is told for the record."""

    receivable_id: ReceivableId
    debtor_id: DebtorId
    invoice_number: Token = Field(examples=["20919652"])
    issue_date: date = Field(examples=["2026-10-30"])
    amount: Money = Field(description="Signed as in the source.")


class InvoiceReddened(
    Posting, publisher=LEDGER, name="invoice-reddened", key="client_id", rely=("client", "risk", "reporting")
):
    """A fully digital invoice was offset by a red one (红冲), wholly or in part."""

    receivable_id: ReceivableId
    debtor_id: DebtorId
    amount: Money
    red_number: Token = Field(examples=["26312000000012345678"])


class CreditNoteIssued(
    Posting, publisher=LEDGER, name="credit-note-issued", key="client_id", rely=("client", "risk", "reporting")
):
    """The seller owes the debtor something back: the named receivable is smaller, else the debtor's balance."""

    credit_note_id: RecordId
    debtor_id: DebtorId
    invoice_number: Token = Field(description="The credit note's own number.", examples=["20919777"])
    issue_date: date = Field(examples=["2026-11-02"])
    amount: Money = Field(description="Positive.")
    receivable_id: ReceivableId | None = None


class DueDateChanged(Posting, publisher=LEDGER, name="due-date-changed", key="client_id", rely=("risk",)):
    """A receivable is due on another day."""

    receivable_id: ReceivableId
    due_date: date = Field(examples=["2027-02-27"])
    previous: date | None = Field(default=None, examples=["2027-01-28"])


class ReceivableDisputed(
    Posting, publisher=LEDGER, name="receivable-disputed", key="client_id", rely=("client", "risk", "engagement")
):
    """A debtor contests a receivable, in the amount stated."""

    receivable_id: ReceivableId
    debtor_id: DebtorId
    dispute_id: RecordId
    amount: Money


class DisputeSettled(
    Posting, publisher=LEDGER, name="dispute-settled", key="client_id", rely=("client", "risk", "engagement")
):
    """A dispute ended."""

    receivable_id: ReceivableId
    dispute_id: RecordId
    outcome: DisputeOutcome


class ReceivableOverdue(
    Posting, publisher=LEDGER, name="receivable-overdue", key="client_id", rely=("client", "risk", "performance")
):
    """The ledger marks a receivable past due, with what is still open."""

    receivable_id: ReceivableId
    debtor_id: DebtorId
    due_date: date = Field(examples=["2026-10-30"])
    amount: Money


class ReceivableCollected(
    Posting,
    publisher=LEDGER,
    name="receivable-collected",
    key="client_id",
    rely=("client", "risk", "performance", "reporting"),
):
    """Money came in for a receivable; its open amount is less by so much."""

    receivable_id: ReceivableId
    debtor_id: DebtorId
    amount: Money


class FundingDrawn(
    Posting,
    publisher=LEDGER,
    name="funding-drawn",
    key="client_id",
    rely=("client", "risk", "performance", "reporting"),
):
    """The factor paid the client in advance, against the receivables named."""

    funding_id: FundingId
    amount: Money
    receivable_ids: tuple[ReceivableId, ...]
    maturity: date = Field(examples=["2027-02-01"])
    grace_days: int = Field(ge=0, examples=[7])
    reservation_id: RecordId | None = None


class FundingRepaid(
    Posting, publisher=LEDGER, name="funding-repaid", key="client_id", rely=("client", "risk", "performance")
):
    """A funding was repaid by so much."""

    funding_id: FundingId
    amount: Money


class FundingOverdue(
    Posting, publisher=LEDGER, name="funding-overdue", key="client_id", rely=("client", "risk", "engagement")
):
    """A funding is past its maturity by so many days, with what is still owed."""

    funding_id: FundingId
    amount: Money
    days: int = Field(ge=1, examples=[8])


class FeeCharged(Posting, publisher=LEDGER, name="fee-charged", key="client_id", rely=("client", "risk", "reporting")):
    """The client was charged a fee."""

    fee_kind: FeeKind
    amount: Money
    funding_id: FundingId | None = None


class ReserveReleased(Posting, publisher=LEDGER, name="reserve-released", key="client_id", rely=("client", "risk")):
    """The rest of a collected receivable (尾款) was paid out to the client."""

    receivable_id: ReceivableId
    amount: Money


class Allocation(Value):
    """The part of a payment that settles one receivable."""

    receivable_id: ReceivableId
    amount: Money


class PaymentReceived(Posting, publisher=LEDGER, name="payment-received", key="client_id", rely=("risk", "reporting")):
    """A payment arrived on the collection account, allocated as far as it is understood."""

    payment_id: RecordId
    payer_id: DebtorId
    account_token: Token = Field(description="Stands for the account; never its number.", examples=["acct_7f3a9c"])
    amount: Money
    allocations: tuple[Allocation, ...] = ()
    unapplied: Money


class WriteOffBooked(
    Posting, publisher=LEDGER, name="write-off-booked", key="client_id", rely=("client", "risk", "reporting")
):
    """A receivable is given up, in the amount stated."""

    receivable_id: ReceivableId
    debtor_id: DebtorId
    amount: Money


class PostingReversed(
    Posting,
    publisher=LEDGER,
    name="posting-reversed",
    key="client_id",
    rely=("client", "risk", "performance", "reporting"),
):
    """An earlier booking is undone exactly: booked on `business_date`, counting from `value_date`."""

    reversed_posting_id: UUID = Field(examples=["0199a7c0-f000-7aaa-8aaa-000000000017"])
    reversed_kind: Code = Field(description="The event name of what is undone.", examples=["receivable-collected"])
    amount: Money
    value_date: date = Field(examples=["2026-10-30"])


class CloseLine(Value):
    """How many postings of a kind a client had that day, and their sum; a line per currency."""

    kind: Code = Field(description="An event name.", examples=["receivable-assigned"])
    count: Count
    total: Money


class BusinessDayClosed(
    Event,
    publisher=LEDGER,
    name="business-day-closed",
    key="client_id",
    rely=("client", "risk", "performance", "reporting"),
):
    """A client's business day is complete, with control totals; the clock of every risk figure."""

    client_id: ClientId
    business_date: date = Field(examples=["2026-11-02"])
    lines: tuple[CloseLine, ...]


class RefusalReason(OpenEnum):
    """Why a debtor does not confirm a receivable."""

    NOT_RECEIVED = "not_received"
    GOODS_DEFECTIVE = "goods_defective"
    ALREADY_PAID = "already_paid"
    SET_OFF = "set_off"
    UNKNOWN_INVOICE = "unknown_invoice"
    ASSIGNMENT_BARRED = "assignment_barred"
    OTHER = "other"
    UNKNOWN = "UNKNOWN"


class ReassignmentReason(OpenEnum):
    """Why a receivable goes back to its seller."""

    RECOURSE = "recourse"
    DISPUTE = "dispute"
    INELIGIBLE = "ineligible"
    CONTRACT_ENDED = "contract_ended"
    ERROR = "error"
    UNKNOWN = "UNKNOWN"


class TransferKind(OpenEnum):
    """How a receivable left the factor's books."""

    SALE = "sale"
    SECURITISATION = "securitisation"
    REFACTORING = "refactoring"
    UNKNOWN = "UNKNOWN"


class DebtorConfirmed(Posting, publisher=LEDGER, name="debtor-confirmed", key="client_id", rely=("risk", "engagement")):
    """A debtor confirmed that it owes a receivable (确权)."""

    receivable_id: ReceivableId
    debtor_id: DebtorId
    amount: Money
    proof: Hash | None = None


class DebtorRefused(Posting, publisher=LEDGER, name="debtor-refused", key="client_id", rely=("risk", "engagement")):
    """A debtor does not confirm a receivable."""

    receivable_id: ReceivableId
    debtor_id: DebtorId
    reason: RefusalReason


class ReceivableNotified(
    Posting, publisher=LEDGER, name="receivable-notified", key="client_id", rely=("risk", "engagement")
):
    """Notice of assignment reached the debtor; from then on only payment to the factor discharges it."""

    receivable_id: ReceivableId
    debtor_id: DebtorId
    notice_id: RecordId
    arrived_at: Instant
    proof: Hash | None = None


class ReceivableReassigned(
    Posting, publisher=LEDGER, name="receivable-reassigned", key="client_id", rely=("client", "risk", "reporting")
):
    """A receivable went back to its seller (反转让) and is no longer the factor's."""

    receivable_id: ReceivableId
    debtor_id: DebtorId
    amount: Money
    reason: ReassignmentReason


class ReceivableRepurchased(
    Posting, publisher=LEDGER, name="receivable-repurchased", key="client_id", rely=("client", "risk", "reporting")
):
    """The seller bought a receivable back (回购), for the amount stated."""

    receivable_id: ReceivableId
    debtor_id: DebtorId
    amount: Money
    reason: ReassignmentReason


class ReceivableTransferredOut(
    Posting, publisher=LEDGER, name="receivable-transferred-out", key="client_id", rely=("client", "risk", "reporting")
):
    """A receivable was sold on or securitised; the servicer still collects it."""

    receivable_id: ReceivableId
    debtor_id: DebtorId
    amount: Money
    kind: TransferKind
    pool: Code = Field(examples=["ABS-2026-1"])
    servicer_id: PartyId | None = None


class FundingRequested(
    Posting, publisher=LEDGER, name="funding-requested", key="client_id", rely=("risk", "engagement")
):
    """A client asks to be funded against the receivables named."""

    request_id: RecordId
    amount: Money
    receivable_ids: tuple[ReceivableId, ...]
