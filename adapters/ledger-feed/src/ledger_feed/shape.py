"""What one CSV shape must tell: which columns it has and which postings a row stands for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Final, Protocol, Self
from uuid import UUID, uuid5

from contracts import party_id
from contracts.bank.ledger import BusinessDayClosed, CloseLine, Posting
from contracts.base import Money
from ledger_feed.ids import file_space
from ledger_feed.rows import Row

OPENING: Final = timedelta(hours=1)
CLOSING: Final = timedelta(hours=15)
STEP: Final = timedelta(minutes=5)

Warn = Callable[[str, str], None]
"""Takes a field's name and a reason."""


def posted_at(day: date, row: int, nth: int) -> datetime:
    """When the `nth` posting of a row is taken to have happened: unique in its day for a row, rising with the row."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + OPENING + nth * STEP + timedelta(microseconds=row)


def closed_at(day: date) -> datetime:
    """A business day closes at 15:00 UTC, 23:00 in China."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + CLOSING


@dataclass(frozen=True, slots=True)
class Book:
    """Whose book a file is: the legal entity, its currency, and the system whose party numbers the file carries."""

    entity_id: str
    currency: str
    system: str
    branch_id: str | None = None

    def checked(self) -> Self:
        """This book; ValueError if the contracts allow no such entity, branch, currency or system."""
        party_id(self.system, "1")
        BusinessDayClosed(
            entity_id=self.entity_id,
            branch_id=self.branch_id,
            occurred_at=closed_at(date(2000, 1, 1)),
            client_id=UUID(int=0),
            business_date=date(2000, 1, 1),
            lines=(CloseLine(kind="receivable-assigned", count=0, total=Money.zero(self.currency)),),
        )
        return self

    def money(self, amount: Decimal) -> Money:
        """An amount that `Row.amount` has read, in the book's currency; not checked again."""
        return Money.model_construct(amount=amount, currency=self.currency)


class Shape(Protocol):
    """A mapping of rows to postings."""

    columns: ClassVar[tuple[str, ...]]

    def seller(self, row: Row) -> str:
        """The ledger's number of the client that the row is about; RowError if it has none."""
        ...

    def postings(self, row: Row, warn: Warn) -> Sequence[Posting]:
        """All postings of one row, in the order in which they happened; RowError if the row is wrong.

        Depends on nothing but the row. The contract's own rules apply on top (a ValidationError names the field).
        `warn` is told what is odd about a row that is fed all the same.
        """
        ...

    def in_order(self, posting: Posting) -> Posting:
        """Told of every posting in business-time order, once; may add what only the order shows."""
        ...


class FileRows:
    """The common part of files whose rows carry no id: ids come from the file's hash and the row's number."""

    def __init__(self, book: Book, sha256: str) -> None:
        self.book = book
        self._sha256 = sha256
        self._space = file_space(sha256, book.entity_id)
        self._parties: dict[str, UUID] = {}

    def receivable_id(self, row: int) -> UUID:
        return uuid5(self._space, str(row))

    def party(self, number: str) -> UUID:
        known = self._parties.get(number)
        if known is None:
            known = self._parties[number] = party_id(self.book.system, number)
        return known

    def common(self, row: int, seller: str, kind: str, day: date, nth: int = 0) -> dict[str, Any]:
        """The fields that every posting has."""
        return {
            "entity_id": self.book.entity_id,
            "branch_id": self.book.branch_id,
            "occurred_at": posted_at(day, row, nth),
            "source_ref": f"{self._sha256[:16]}:{row}",
            "client_id": self.party(seller),
            "posting_id": uuid5(self._space, f"{row}:{kind}"),
            "business_date": day,
        }

    def in_order(self, posting: Posting) -> Posting:
        return posting
