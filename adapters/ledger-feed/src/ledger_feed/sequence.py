"""Puts a file's postings in business-time order and closes each client's day after the last posting of it.

The order is a function of the file and its parameters alone, so a position in it means the same after a restart.
A posting waits in a temporary file; in memory is kept only where it lies and where it belongs in the order.
"""

import hashlib
import tempfile
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Final, Self
from uuid import UUID, uuid5

from pydantic import ValidationError

from contracts.bank.ledger import BusinessDayClosed, CloseLine, Posting
from contracts.base import Event, Money
from ledger_feed.ids import file_space
from ledger_feed.report import RowReport
from ledger_feed.rows import LedgerFile, Row, RowError
from ledger_feed.shape import OPENING, STEP, Book, Shape, closed_at

ROW_BITS: Final = 40
ROW_MASK: Final = (1 << ROW_BITS) - 1
NTH_BITS: Final = 4


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event and the id it goes by; `withheld` ones count in the day's close and stay off the wire."""

    id: UUID
    event: Event
    withheld: bool = False


@dataclass(frozen=True, slots=True)
class Drill:
    """Rows to fall out between ledger and bus, to see that it is noticed; the day's close still tells the truth."""

    withhold: frozenset[int] = frozenset()
    alter: Mapping[int, Decimal] = field(default_factory=dict[int, Decimal])

    def rows(self) -> frozenset[int]:
        return self.withhold | frozenset(self.alter)


def event_name(event: Event) -> str:
    """`receivable-assigned` of `factoring.ledger.receivable-assigned.v1`."""
    return event.ce_type.split(".")[2]


def amount_of(posting: Posting) -> Money | None:
    """What the posting adds to its kind's control total; None if it moves no money."""
    amount: object = getattr(posting, "amount", None)
    return amount if isinstance(amount, Money) else None


class Sequence:
    """A file's events in order; made by `scan`, which reports the rows that are wrong and leaves them out."""

    def __init__(self, sha256: str, shape: Shape, book: Book, drill: Drill) -> None:
        self.sellers: dict[str, UUID] = {}
        self.closes = 0
        self._space = file_space(sha256, book.entity_id)
        self._shape = shape
        self._book = book
        self._drill = drill
        self._kinds: list[type[Posting]] = []
        self._written = tempfile.TemporaryFile(prefix="ledger-feed-")  # noqa: SIM115 it lives as long as this object
        self._keys = array("Q")
        self._starts = array("Q")

    @classmethod
    def scan(cls, file: LedgerFile, shape: Shape, book: Book, report: RowReport, drill: Drill | None = None) -> Self:
        """Checks every row against shape and contract; keeps the postings of the good ones."""
        self = cls(file.sha256, shape, book, drill or Drill())
        days: set[tuple[date, str]] = set()
        told: dict[bytes, int] = {}
        position = 0
        for number, row in file.scan():
            warnings: list[tuple[str, str]] = []
            try:
                if isinstance(row, RowError):
                    raise row
                seller = shape.seller(row)
                postings = shape.postings(row, lambda name, reason, to=warnings: to.append((name, reason)))
            except RowError as error:
                report.error(number, error.field, error.reason)
                continue
            except ValidationError as error:
                wrong = error.errors(include_url=False, include_input=False)[0]
                report.error(number, ".".join(map(str, wrong["loc"])), wrong["msg"])
                continue
            for name, reason in warnings:
                report.warning(number, name, reason)
            first = told.setdefault(_digest(row), number)
            if first != number:
                report.warning(number, "", f"repeats row {first}: suspected to be a duplicate, fed as the file has it")
            self.sellers.setdefault(seller, postings[0].client_id)
            for posting in postings:
                self._keys.append(_key(posting, number))
                self._starts.append(position)
                position += self._written.write(self._line(posting))
                days.add((posting.business_date, seller))
        self.closes = len(days)
        return self

    @property
    def total(self) -> int:
        """How many events there are, day-closes included."""
        return len(self._keys) + self.closes

    def missing(self, rows: frozenset[int]) -> list[int]:
        """Those of `rows` that the file lacks or that were wrong."""
        return sorted(rows - {key & ROW_MASK for key in self._keys}) if rows else []

    def __iter__(self) -> Iterator[Outgoing]:
        """The events in business-time order; each client's day is closed after all postings of that day.

        To be walked once: what the shape adds `in_order` depends on what it was told before.
        """
        day = _Day(self._book, self._space)
        for nth in sorted(range(len(self._keys)), key=self._keys.__getitem__):
            row = self._keys[nth] & ROW_MASK
            posting = self._shape.in_order(self._read(self._starts[nth]))
            if posting.business_date != day.date:
                yield from day.close()
                day.begin(posting.business_date)
            day.count(posting)
            sent = posting
            if row in self._drill.alter and amount_of(posting):
                sent = posting.model_copy(update={"amount": self._book.money(self._drill.alter[row])})
            yield Outgoing(posting.posting_id, sent, withheld=row in self._drill.withhold)
        yield from day.close()

    def _line(self, posting: Posting) -> bytes:
        kind = type(posting)
        if kind not in self._kinds:
            self._kinds.append(kind)
        return b"%c%s\n" % (ord("A") + self._kinds.index(kind), posting.model_dump_json(exclude_none=True).encode())

    def _read(self, start: int) -> Posting:
        self._written.seek(start)
        line = self._written.readline()
        return self._kinds[line[0] - ord("A")].model_validate_json(line[1:])


def _key(posting: Posting, row: int) -> int:
    """Day, place within the row's postings, row: sorts as `occurred_at` does."""
    moment = posting.occurred_at
    minutes = moment.hour * 60 + moment.minute - OPENING.seconds // 60
    nth = minutes // (STEP.seconds // 60)
    return (posting.business_date.toordinal() << NTH_BITS | nth) << ROW_BITS | row


def _digest(row: Row) -> bytes:
    return hashlib.blake2b("\x1f".join(row.fields.values()).encode(), digest_size=12).digest()


class _Day:
    """The running totals of one business day, per client and kind."""

    def __init__(self, book: Book, space: UUID) -> None:
        self.date: date | None = None
        self._book = book
        self._space = space
        self._lines: dict[UUID, dict[str, tuple[int, Decimal]]] = {}

    def begin(self, day: date) -> None:
        self.date = day
        self._lines = {}

    def count(self, posting: Posting) -> None:
        lines = self._lines.setdefault(posting.client_id, {})
        kind = event_name(posting)
        count, total = lines.get(kind, (0, Decimal("0.00")))
        money = amount_of(posting)
        lines[kind] = count + 1, total + (money.amount if money else 0)

    def close(self) -> Iterator[Outgoing]:
        if self.date is None:
            return
        for client_id, lines in self._lines.items():
            yield Outgoing(
                uuid5(self._space, f"business-day-closed:{client_id}:{self.date.isoformat()}"),
                BusinessDayClosed(
                    entity_id=self._book.entity_id,
                    branch_id=self._book.branch_id,
                    occurred_at=closed_at(self.date),
                    client_id=client_id,
                    business_date=self.date,
                    lines=tuple(
                        CloseLine(kind=kind, count=count, total=self._book.money(total))
                        for kind, (count, total) in sorted(lines.items())
                    ),
                ),
            )
