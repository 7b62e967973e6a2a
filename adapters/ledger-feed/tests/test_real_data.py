"""The two real files, against the facts computed independently in ../shared/data/README.md."""

import csv
import gzip
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from contracts import party_id
from contracts.bank.ledger import (
    BusinessDayClosed,
    CreditNoteIssued,
    InvoiceVoided,
    ReceivableAssigned,
    ReceivableCollected,
    ReceivableDisputed,
    ReceivableOverdue,
)
from ledger_feed.payments import Payments
from ledger_feed.report import RowReport
from ledger_feed.rows import LedgerFile
from ledger_feed.sequence import Outgoing, Sequence, event_name
from ledger_feed.shape import Book
from ledger_feed.vat_invoices import VatInvoices

Read = Callable[..., tuple[list[Outgoing], RowReport]]


def payments(book: Book) -> Callable[[str], Payments]:
    return lambda sha256: Payments(book, sha256, seller="S")


def test_all_vat_rows_arrive_with_the_totals_of_the_raw_file(data: Path, book: Book) -> None:
    path = data / "vat-invoices" / "sales.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        raw = list(csv.DictReader(lines))
    gross: dict[tuple[UUID, str], Decimal] = defaultdict(Decimal)
    credit: dict[UUID, Decimal] = defaultdict(Decimal)
    void: Counter[UUID] = Counter()
    for row in raw:
        client, amount = party_id(book.system, row["client"]), Decimal(row["gross"])
        if row["status"] == "void":
            void[client] += 1
        elif amount > 0:
            gross[client, row["date"][:4]] += amount
        else:
            credit[client] -= amount
    report, ids, kinds, tied, zero = RowReport(), set[UUID](), Counter[str](), 0, 0
    with LedgerFile.open(path, VatInvoices.columns) as file:
        for out in Sequence.scan(file, VatInvoices(book, file.sha256, term_days=90), book, report):
            ids.add(out.id)
            kinds[event_name(out.event)] += 1
            match out.event:
                case ReceivableAssigned() as event:
                    gross[event.client_id, str(event.issue_date.year)] -= event.amount.amount
                case CreditNoteIssued() as event:
                    credit[event.client_id] -= event.amount.amount
                    tied += event.receivable_id is not None
                case InvoiceVoided() as event:
                    void[event.client_id] -= 1
                    zero += event.amount.amount == 0
                case event:
                    assert isinstance(event, BusinessDayClosed)
    assert not any(gross.values())
    assert not any(credit.values())
    assert not any(void.values())
    assert len(ids) == kinds.total()
    assert kinds.total() - kinds["business-day-closed"] == 102_847
    assert kinds["credit-note-issued"] == 7_298
    assert zero == 1_433
    # 1 792 credit notes have an equal invoice of that day or before; an invoice is tied once, and to a later row.
    assert tied == 1_766
    assert len({(row["client"], row["date"]) for row in raw}) == kinds["business-day-closed"]
    assert report.errors == 0
    assert Counter(finding.field for finding in report.findings) == {"gross": 1, "": 1_943}


def test_the_payments_come_to_the_published_facts(data: Path, read: Read, book: Book) -> None:
    events, report = read(data / "payments" / "receivables.csv", payments(book))
    assert report.findings == []
    assigned = {out.event.receivable_id: out.event for out in events if isinstance(out.event, ReceivableAssigned)}
    settled = {
        out.event.receivable_id: out.event.business_date for out in events if isinstance(out.event, ReceivableCollected)
    }
    assert sum(event.amount.amount for event in assigned.values()) == Decimal("147703.18")
    assert len(assigned) == len(settled) == 2_466
    assert sum(isinstance(out.event, ReceivableDisputed) for out in events) == 561
    assert sum(isinstance(out.event, ReceivableOverdue) for out in events) == 877

    def standing(at: date) -> tuple[int, Decimal, int, Decimal, Decimal, Decimal]:
        open_ = [e for id, e in assigned.items() if e.issue_date <= at < settled[id]]
        overdue = [e for e in open_ if e.due_date and e.due_date < at]
        sales = sum(e.amount.amount for e in assigned.values() if at - timedelta(days=90) < e.issue_date <= at)
        balance = Decimal(sum(e.amount.amount for e in open_))
        late = Decimal(sum(e.amount.amount for e in overdue))
        return (
            len(open_), balance, len(overdue), late,
            round(late / balance, 4), round(balance / sales * 90, 4),
        )  # fmt: skip

    assert standing(date(2012, 12, 31)) == (
        99, Decimal("5725.06"), 13, Decimal("788.74"), Decimal("0.1378"), Decimal("26.8407"),
    )  # fmt: skip
    assert standing(date(2013, 6, 30)) == (
        84, Decimal("5119.85"), 12, Decimal("835.56"), Decimal("0.1632"), Decimal("23.1508"),
    )  # fmt: skip
