"""The job itself: check the file, register its sellers, publish what is not yet published, remember how far."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Final

from contracts.bank.ledger import LEDGER, BusinessDayClosed
from ledger_feed.ledger import Ledger
from ledger_feed.payments import Payments
from ledger_feed.progress import Refused, open_progress
from ledger_feed.publishing import ROUND, Kafka, Publisher
from ledger_feed.report import RowReport
from ledger_feed.rows import LedgerFile
from ledger_feed.sellers import ClientService, NoDescription, Seller, described
from ledger_feed.sequence import Drill, Outgoing, Sequence, event_name
from ledger_feed.shape import Book, Shape
from ledger_feed.vat_invoices import VatInvoices

MAPPING: Final = "1"
"""Changes when a row's events or their order change: a position in the old order means nothing in the new."""


class ShapeName(StrEnum):
    """The CSV shapes that can be fed."""

    VAT_INVOICES = "vat-invoices"
    PAYMENTS = "payments"
    LEDGER = "ledger"


COLUMNS: Final = {
    ShapeName.VAT_INVOICES: VatInvoices.columns,
    ShapeName.PAYMENTS: Payments.columns,
    ShapeName.LEDGER: Ledger.columns,
}


@dataclass(frozen=True, slots=True)
class Feed:
    """What is fed, as what, and for whose book."""

    file: Path
    shape: ShapeName
    book: Book
    term_days: int | None = None
    seller: str = "SELLER"
    drill: Drill = field(default_factory=Drill)
    topic: str = LEDGER.topic.name

    def parameters(self) -> dict[str, str]:
        """All that the events depend on beside the file."""
        told = {
            "shape": self.shape.value,
            "entity": self.book.entity_id,
            "branch": self.book.branch_id or "",
            "currency": self.book.currency,
            "system": self.book.system,
            "topic": self.topic,
            "term days": "" if self.term_days is None else str(self.term_days),
            "seller": self.seller if self.shape is ShapeName.PAYMENTS else "",
            "withheld": " ".join(map(str, sorted(self.drill.withhold))),
            "altered": " ".join(f"{row}={amount}" for row, amount in sorted(self.drill.alter.items())),
            "mapping": MAPPING,
        }
        return {key: value for key, value in told.items() if value}

    def mapping(self, sha256: str) -> Shape:
        """The shape's mapping; Refused without the term that VAT invoices need."""
        match self.shape:
            case ShapeName.VAT_INVOICES:
                if self.term_days is None:
                    raise Refused("VAT invoices carry no due date: state the term with --term-days.")
                return VatInvoices(self.book, sha256, term_days=self.term_days)
            case ShapeName.PAYMENTS:
                return Payments(self.book, sha256, seller=self.seller)
            case ShapeName.LEDGER:
                return Ledger(self.book)


class Watcher:
    """What the feed tells while it works; this one keeps silent."""

    def say(self, text: str) -> None:
        """A message for the person who waits."""

    def checked(self, total: int, position: int) -> None:
        """The file holds `total` events, `position` of them published before."""

    def reached(self, position: int) -> None:
        """Everything before `position` is acknowledged."""


@dataclass(slots=True)
class Outcome:
    """What came of it; `totals` are the day-closes' control totals summed by kind."""

    already: bool
    rows: int = 0
    sellers: int = 0
    registered: int = 0
    resumed_at: int = 0
    sent: int = 0
    kinds: Counter[str] = field(default_factory=Counter[str])
    totals: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    report: RowReport = field(default_factory=RowReport)


async def feed(
    what: Feed,
    kafka: Kafka,
    state: Path,
    *,
    clients: ClientService | None = None,
    descriptions: Path | None = None,
    report: Path | None = None,
    rate: float | None = None,
    round_size: int = ROUND,
    watcher: Watcher | None = None,
) -> Outcome:
    """Feeds the file. FileRefused, Refused, NotRegistered, KafkaAway say why it could not; run again to go on."""
    watcher = watcher or Watcher()
    try:
        what.book.checked()
        known = described(descriptions) if descriptions else {}
    except NoDescription as error:
        raise Refused(str(error)) from None
    except ValueError as error:
        raise Refused(f"There is no such book: {error}") from None
    with LedgerFile.open(what.file, COLUMNS[what.shape]) as file:
        shape = what.mapping(file.sha256)
        cluster = await kafka.cluster_id(watcher.say)
        with open_progress(state, cluster, what.file.name, file.sha256, what.parameters()) as progress:
            outcome = Outcome(already=progress.finished)
            if progress.finished:
                return outcome
            sequence = Sequence.scan(file, shape, what.book, outcome.report, what.drill)
            outcome.rows, outcome.sellers, outcome.resumed_at = file.rows, len(sequence.sellers), progress.position
            if report:
                outcome.report.write(report)
            if lacking := sequence.missing(what.drill.rows()):
                raise Refused(f"There is no good row {', '.join(map(str, lacking))} to withhold or alter.")
            if clients:
                wanted = [known.get(number) or Seller(number, f"Seller {number}") for number in sequence.sellers]
                outcome.registered = clients.register(what.book.system, wanted)
            watcher.checked(sequence.total, progress.position)

            def acknowledged(done: int) -> None:
                progress.acknowledged(outcome.resumed_at + done)
                watcher.reached(outcome.resumed_at + done)

            publisher = Publisher(kafka, what.topic, watcher.say, rate=rate, round_size=round_size)
            outcome.sent = await publisher.publish(_from(outcome.resumed_at, sequence, outcome), acknowledged)
            progress.finish()
        return outcome


def _from(start: int, sequence: Sequence, outcome: Outcome) -> Iterator[Outgoing]:
    """The events from position `start` on; all of them are counted."""
    for position, outgoing in enumerate(sequence):
        kind = event_name(outgoing.event)
        outcome.kinds[kind] += 1
        if isinstance(outgoing.event, BusinessDayClosed):
            for line in outgoing.event.lines:
                outcome.totals[line.kind] = outcome.totals.get(line.kind, Decimal(0)) + line.total.amount
        if position >= start:
            yield outgoing
