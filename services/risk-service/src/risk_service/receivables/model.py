"""The ledger's postings as this service keeps them: one row a posting, never changed, signed by what it does.

Everything about receivables and funds is read from these rows as of a date, so the order of arrival cannot matter. A
posting is found by its own id: hearing it again, however late, changes nothing. A reversal undoes its posting from the
reversal's value date on; a reversed reversal restores it.
"""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from contracts.bank import ledger
from contracts.base import Event, Money
from risk_service.model_base import Base

PROJECTION: dict[str, Any] = {"info": {"projection": True}}

ASSIGNED = "receivable-assigned"
VOIDED = "invoice-voided"
CREDITED = "credit-note-issued"
REDDENED = "invoice-reddened"
COLLECTED = "receivable-collected"
WRITTEN_OFF = "write-off-booked"
DUE_CHANGED = "due-date-changed"
DISPUTED = "receivable-disputed"
DISPUTE_SETTLED = "dispute-settled"
DRAWN = "funding-drawn"
REPAID = "funding-repaid"
REVERSED = "posting-reversed"
GONE = ("receivable-reassigned", "receivable-repurchased", "receivable-transferred-out")
"""Kinds after which a receivable is no longer the factor's: nothing of it is open."""

ON_RECEIVABLES = (
    ASSIGNED,
    VOIDED,
    CREDITED,
    REDDENED,
    COLLECTED,
    WRITTEN_OFF,
    DUE_CHANGED,
    DISPUTED,
    DISPUTE_SETTLED,
    *GONE,
)
"""Kinds that make or change a receivable (or the debtor's balance)."""


class Posting(Base):
    """One booking of the ledger. `balance` and `funds` are its signed effects; `amount` is as the ledger said it."""

    __tablename__ = "posting"
    __table_args__ = (
        Index("posting_client", "entity_id", "client_id", "value_date"),
        Index("posting_day", "entity_id", "client_id", "business_date", "kind"),
        Index("posting_receivable", "receivable_id", postgresql_where=text("receivable_id IS NOT NULL")),
        Index("posting_debtor", "entity_id", "debtor_id", postgresql_where=text("debtor_id IS NOT NULL")),
        Index("posting_root", "entity_id", "client_id", "root_id", postgresql_where=text("root_id IS NOT NULL")),
        Index("posting_funding", "entity_id", "client_id", postgresql_where=text("funds <> 0")),
        Index(
            "posting_invoice",
            "entity_id",
            "client_id",
            "invoice_number",
            postgresql_where=text("invoice_number IS NOT NULL"),
        ),
        PROJECTION,
    )

    posting_id: Mapped[UUID] = mapped_column(primary_key=True)
    entity_id: Mapped[str]
    client_id: Mapped[UUID]
    kind: Mapped[str]
    business_date: Mapped[date]
    value_date: Mapped[date]
    known_at: Mapped[datetime]
    position: Mapped[int] = mapped_column(BigInteger)
    """Broker position within the client's partition: orders what is known of one client."""
    amount: Mapped[Decimal | None]
    currency: Mapped[str | None]
    balance: Mapped[Decimal]
    funds: Mapped[Decimal]
    receivable_id: Mapped[UUID | None]
    debtor_id: Mapped[UUID | None]
    invoice_number: Mapped[str | None]
    issue_date: Mapped[date | None]
    due_date: Mapped[date | None]
    net: Mapped[Decimal | None]
    tax: Mapped[Decimal | None]
    tracked: Mapped[bool | None]
    funding_id: Mapped[UUID | None]
    reservation_id: Mapped[UUID | None]
    reversed_id: Mapped[UUID | None]
    root_id: Mapped[UUID | None]
    """Of a reversal: the posting at the end of the chain of reversals."""
    sign: Mapped[int | None]
    """Of a reversal: −1 undoes the root, +1 restores it."""


class DayClose(Base):
    """What the ledger said of a client's business day, each time it did. The last word up to a position counts."""

    __tablename__ = "day_close"
    __table_args__ = PROJECTION

    entity_id: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    business_date: Mapped[date] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    known_at: Mapped[datetime]
    lines: Mapped[dict[str, Any]]
    """{"lines": [[kind, count, total, currency], …]}"""


def kind_of(event: type[Event] | Event) -> str:
    """`receivable-assigned` of `factoring.ledger.receivable-assigned.v1`: how day-closes and reversals name kinds."""
    return event.ce_type.split(".")[2]


def _amount(value: Any) -> Decimal | None:
    return value.amount if isinstance(value, Money) else None


def effects(event: ledger.Posting) -> tuple[Decimal, Decimal]:
    """What a posting does to the open balance and to the funds in use, signed."""
    nothing = Decimal(0)
    match event:
        case ledger.ReceivableAssigned():
            return event.amount.amount, nothing
        case (
            ledger.ReceivableCollected()
            | ledger.CreditNoteIssued()
            | ledger.InvoiceReddened()
            | ledger.WriteOffBooked()
        ):
            return -event.amount.amount, nothing
        case ledger.FundingDrawn():
            return nothing, event.amount.amount
        case ledger.FundingRepaid():
            return nothing, -event.amount.amount
        case _:
            return nothing, nothing


def row_of(event: ledger.Posting) -> Mapping[str, Any]:
    """The row of a delivered posting."""
    meta = event.meta
    if meta is None:
        raise ValueError("only a delivered posting can be kept")
    told: Any = event
    money = getattr(told, "amount", None)
    reversed_id = getattr(told, "reversed_posting_id", None)
    balance, funds = effects(event)
    return {
        "posting_id": event.posting_id,
        "entity_id": event.entity_id,
        "client_id": event.client_id,
        "kind": kind_of(event),
        "business_date": event.business_date,
        "value_date": getattr(told, "value_date", event.business_date),
        "known_at": meta.known_at,
        "position": meta.offset,
        "amount": _amount(money),
        "currency": money.currency if isinstance(money, Money) else None,
        "balance": balance,
        "funds": funds,
        "receivable_id": getattr(told, "receivable_id", None),
        "debtor_id": getattr(told, "debtor_id", None),
        "invoice_number": getattr(told, "invoice_number", None),
        "issue_date": getattr(told, "issue_date", None),
        "due_date": getattr(told, "due_date", None),
        "net": _amount(getattr(told, "net", None)),
        "tax": _amount(getattr(told, "tax", None)),
        "tracked": getattr(told, "settlement_tracked", None),
        "funding_id": getattr(told, "funding_id", None),
        "reservation_id": getattr(told, "reservation_id", None),
        "reversed_id": reversed_id,
        "root_id": reversed_id,
        "sign": None if reversed_id is None else -1,
    }


def position(event: Event) -> int:
    """Where a delivered event stands in its client's partition."""
    assert event.meta is not None
    return event.meta.offset
