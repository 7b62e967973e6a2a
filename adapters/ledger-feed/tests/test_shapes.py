"""What each shape's rows become: which events, with which ids, in which order, closed by which totals."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid5

from contracts import party_id
from contracts.bank.ledger import (
    BusinessDayClosed,
    CreditNoteIssued,
    DueBasis,
    FeeCharged,
    FundingDrawn,
    FundingOverdue,
    InvoiceVoided,
    PostingReversed,
    ReceivableAssigned,
    ReceivableCollected,
    ReceivableDisputed,
    ReceivableOverdue,
)
from contracts.base import Event
from ledger_feed.ids import file_space
from ledger_feed.ledger import COLUMNS, KINDS, REQUIRED, Ledger
from ledger_feed.payments import Payments
from ledger_feed.report import RowReport
from ledger_feed.rows import LedgerFile
from ledger_feed.sequence import Drill, Outgoing, event_name
from ledger_feed.shape import Book
from ledger_feed.vat_invoices import VatInvoices

VAT = "client,invoice_no,date,debtor,net,tax,gross,status"
PAYMENTS = (
    "countryCode,customerID,PaperlessDate,invoiceNumber,InvoiceDate,DueDate,InvoiceAmount,Disputed,SettledDate,"
    "PaperlessBill,DaysToSettle,DaysLate"
)
Save = Callable[..., Path]
Read = Callable[..., tuple[list[Outgoing], RowReport]]


def vat(book: Book) -> Callable[[str], VatInvoices]:
    return lambda sha256: VatInvoices(book, sha256, term_days=90)


def payments(book: Book) -> Callable[[str], Payments]:
    return lambda sha256: Payments(book, sha256, seller="S-1")


def ledger(book: Book) -> Callable[[str], Ledger]:
    return lambda _sha256: Ledger(book)


def of(events: list[Outgoing]) -> list[Event]:
    return [out.event for out in events if not isinstance(out.event, BusinessDayClosed)]


def closes(events: list[Outgoing]) -> list[BusinessDayClosed]:
    return [out.event for out in events if isinstance(out.event, BusinessDayClosed)]


def lines(close: BusinessDayClosed) -> dict[str, tuple[int, Decimal]]:
    return {line.kind: (line.count, line.total.amount) for line in close.lines}


def test_a_valid_invoice_is_a_receivable_due_after_the_stated_term(save: Save, read: Read, book: Book) -> None:
    path = save(VAT, "E1,20919652,2016-11-01,B1,97087.38,2912.62,100000.0,valid")
    events, report = read(path, vat(book))
    event = events[0].event
    assert isinstance(event, ReceivableAssigned)
    with LedgerFile.open(path, ()) as file:
        space = file_space(file.sha256, book.entity_id)
        assert event.receivable_id == uuid5(space, "1")
        assert events[0].id == event.posting_id == uuid5(space, "1:receivable-assigned")
        assert event.source_ref == f"{file.sha256[:16]}:1"
    assert event.client_id == party_id("test-ledger", "E1")
    assert event.debtor_id == party_id("test-ledger", "B1")
    assert (event.issue_date, event.due_date) == (date(2016, 11, 1), date(2017, 1, 30))
    assert event.due_basis is DueBasis.STATED_TERM
    assert not event.settlement_tracked
    assert [money and money.amount for money in (event.amount, event.net, event.tax)] == [
        Decimal("100000.00"), Decimal("97087.38"), Decimal("2912.62"),
    ]  # fmt: skip
    assert event.amount.currency == "CNY"
    assert event.occurred_at.date() == event.business_date == event.issue_date
    assert report.findings == []


def test_a_negative_invoice_is_a_credit_note_tied_to_an_earlier_equal_one_while_there_is_one(
    save: Save, read: Read, book: Book
) -> None:
    path = save(
        VAT,
        "E1,9,2016-11-03,B1,-100,-17,-117,valid",
        "E1,1,2016-11-01,B1,100,17,117,valid",
        "E1,2,2016-11-02,B2,100,17,117,valid",
        "E1,8,2016-11-04,B1,-100,-17,-117,valid",
        "E1,3,2016-11-05,B1,100,17,117,valid",
    )
    events, _ = read(path, vat(book))
    first, second = (event for event in of(events) if isinstance(event, CreditNoteIssued))
    assert first.amount.amount == Decimal("117.00")
    with LedgerFile.open(path, ()) as file:
        assert first.receivable_id == uuid5(file_space(file.sha256, book.entity_id), "2")
    assert second.receivable_id is None


def test_a_void_invoice_is_told_with_the_sign_it_has(save: Save, read: Read, book: Book) -> None:
    events, _ = read(save(VAT, "E1,1,2016-11-01,B1,0.0,0.0,0.0,void", "E1,2,2016-11-01,B1,-1,0,-1,void"), vat(book))
    assert [event.amount.amount for event in of(events) if isinstance(event, InvoiceVoided)] == [0, -1]
    assert lines(closes(events)[0]) == {"invoice-voided": (2, Decimal(-1))}


def test_net_and_tax_that_do_not_add_up_are_left_out_and_warned_of(save: Save, read: Read, book: Book) -> None:
    events, report = read(save(VAT, "E1,1,2016-11-01,B1,10,1,12,valid"), vat(book))
    event = events[0].event
    assert isinstance(event, ReceivableAssigned)
    assert (event.amount.amount, event.net, event.tax) == (Decimal("12.00"), None, None)
    assert [(f.row, f.severity, f.field) for f in report.findings] == [(1, "warning", "gross")]


def test_wrong_rows_are_reported_with_number_field_and_reason_and_the_others_are_fed(
    save: Save, read: Read, book: Book
) -> None:
    good = "E1,1,2016-11-01,B1,100,17,117,valid"
    events, report = read(
        save(
            VAT, good, "E1,2,2016-02-30,B1,1,0,1,valid", "E1,3,2016-11-01,B1,1,0,1e5,valid", "E1,4,2016-11-01,B1,1,0",
            "E 1,5,2016-11-01,B1,1,0,1,valid", "E1,6,2016-11-01,B1,1,0,1,maybe", 'E1,"7,2016-11-01,B1,1,0,1,valid', "",
            good, "E1,10,2016-11-01,B1,0,0,0,valid",
        ),
        vat(book),
    )  # fmt: skip
    repeat = report.findings.pop(-2)
    assert (repeat.row, repeat.severity) == (9, "warning")
    assert "repeats row 1" in repeat.reason
    assert [(finding.row, finding.field) for finding in report.findings] == [
        (2, "date"), (3, "gross"), (4, ""), (5, "client"), (6, "status"), (7, ""), (10, "gross"),
    ]  # fmt: skip
    assert all(finding.severity == "error" and finding.reason for finding in report.findings)
    assert len(of(events)) == 2
    assert len({out.id for out in events}) == 3


def test_days_come_in_order_and_each_client_day_is_closed_after_its_last_posting(
    save: Save, read: Read, book: Book
) -> None:
    events, _ = read(
        save(
            VAT,
            "E2,1,2016-11-02,B1,100,17,117,valid",
            "E1,2,2016-11-01,B1,100,17,117,valid",
            "E1,3,2016-11-02,B1,-10,0,-10,valid",
            "E2,4,2016-11-01,B1,5,0,5,valid",
            "E1,5,2016-11-01,B1,1,0,1.25,valid",
        ),
        vat(book),
    )
    e1, e2 = party_id("test-ledger", "E1"), party_id("test-ledger", "E2")
    told = [(event_name(out.event), out.event.key) for out in events]
    assert told == [
        ("receivable-assigned", str(e1)), ("receivable-assigned", str(e2)), ("receivable-assigned", str(e1)),
        ("business-day-closed", str(e1)), ("business-day-closed", str(e2)),
        ("receivable-assigned", str(e2)), ("credit-note-issued", str(e1)),
        ("business-day-closed", str(e2)), ("business-day-closed", str(e1)),
    ]  # fmt: skip
    assert lines(closes(events)[0]) == {"receivable-assigned": (2, Decimal("118.25"))}
    assert lines(closes(events)[3]) == {"credit-note-issued": (1, Decimal("10.00"))}
    times = [out.event.occurred_at for out in events]
    assert times == sorted(times)


def test_a_withheld_or_altered_event_leaves_the_close_telling_the_truth(save: Save, read: Read, book: Book) -> None:
    path = save(VAT, "E1,1,2016-11-01,B1,100,17,117,valid", "E1,2,2016-11-01,B1,10,0,10,valid")
    plain, _ = read(path, vat(book))
    drilled, _ = read(path, vat(book), Drill(frozenset({1}), {2: Decimal("9.99")}))
    assert [out.withheld for out in drilled] == [True, False, False]
    altered = drilled[1].event
    assert isinstance(altered, ReceivableAssigned)
    assert altered.amount.amount == Decimal("9.99")
    assert drilled[2] == plain[2]
    assert [out.id for out in drilled] == [out.id for out in plain]


def test_an_invoice_s_life_with_due_and_settlement_date(save: Save, read: Read, book: Book) -> None:
    events, report = read(
        save(
            PAYMENTS,
            "391,0379-NEVHP,4/6/2013,611365,1/2/2013,2/1/2013,55.94,No,1/15/2013,Paper,13,0",
            "406,8976-AMJEO,3/3/2012,7900770,1/26/2013,2/25/2013,61.74,Yes,3/3/2013,Electronic,36,6",
            "406,8976-AMJEO,3/3/2012,7900771,1/26/2013,2/25/2013,10,No,,Electronic,,",
            "406,8976-AMJEO,3/3/2012,7900772,1/26/2013,2/25/2013,20,No,2/26/2013,Electronic,31,1",
        ),
        payments(book),
    )
    assert report.findings == []
    assert {event.key for event in of(events)} == {str(party_id("test-ledger", "S-1"))}
    told = [(event_name(event), str(event.occurred_at.date()), (event.source_ref or "")[-2:]) for event in of(events)]
    assert told == [
        ("receivable-assigned", "2013-01-02", ":1"),
        ("receivable-collected", "2013-01-15", ":1"),
        ("receivable-assigned", "2013-01-26", ":2"),
        ("receivable-assigned", "2013-01-26", ":3"),
        ("receivable-assigned", "2013-01-26", ":4"),
        ("receivable-disputed", "2013-01-26", ":2"),
        ("receivable-overdue", "2013-02-26", ":2"),
        ("receivable-overdue", "2013-02-26", ":3"),
        ("receivable-overdue", "2013-02-26", ":4"),
        ("receivable-collected", "2013-02-26", ":4"),
        ("receivable-collected", "2013-03-03", ":2"),
    ]
    first = of(events)[0]
    assert isinstance(first, ReceivableAssigned)
    assert (first.due_date, first.due_basis, first.settlement_tracked) == (date(2013, 2, 1), DueBasis.INVOICE, True)
    same = [e for e in of(events) if isinstance(e, ReceivableDisputed | ReceivableOverdue | ReceivableCollected)]
    assert len({event.receivable_id for event in same}) == 4


def row(**fields: str) -> str:
    return ",".join(fields.get(column, "") for column in COLUMNS)


def test_the_ledger_s_own_postings_with_its_own_numbers(save: Save, read: Read, book: Book) -> None:
    common = {"client": "C1", "debtor": "D1", "business_date": "2026-03-02"}
    path = save(
        ",".join(COLUMNS),
        row(posting="P1", kind="receivable-assigned", receivable="R1", document="1", issue_date="2026-03-01",
            due_date="2026-04-30", amount="100", **common),
        row(posting="P2", kind="funding-drawn", receivable="R1 R2", funding="F1", amount="80", due_date="2026-05-30",
            days="7", **common),
        row(posting="P3", kind="fee-charged", detail="interest", amount="0.50", **common),
        row(posting="P4", kind="receivable-collected", receivable="R1", amount="100", **common),
        row(posting="P5", kind="posting-reversed", reverses="P4", reverses_kind="receivable-collected", amount="100",
            value_date="2026-03-02", **(common | {"business_date": "2026-03-03"})),
        row(posting="P6", kind="funding-overdue", funding="F1", amount="80", days="91", **common),
    )  # fmt: skip
    events, report = read(path, ledger(book))
    assert report.findings == []
    assigned, drawn, fee, collected, overdue, undone = of(events)
    assert isinstance(assigned, ReceivableAssigned)
    assert isinstance(drawn, FundingDrawn)
    assert isinstance(fee, FeeCharged)
    assert isinstance(collected, ReceivableCollected)
    assert isinstance(overdue, FundingOverdue)
    assert isinstance(undone, PostingReversed)
    assert drawn.receivable_ids[0] == assigned.receivable_id == collected.receivable_id
    assert drawn.funding_id == overdue.funding_id
    assert undone.reversed_posting_id == collected.posting_id
    assert assigned.source_ref == "P1"
    again, _ = read(save(",".join(COLUMNS), *path.read_text().splitlines()[1:], "", name="longer.csv"), ledger(book))
    assert [out.id for out in again][:4] == [out.id for out in events][:4]


def test_a_booking_told_twice_and_a_missing_field_are_reported(save: Save, read: Read, book: Book) -> None:
    fee = {"kind": "fee-charged", "client": "C1", "business_date": "2026-03-02", "detail": "service", "amount": "1"}
    events, report = read(
        save(
            ",".join(COLUMNS),
            row(posting="P1", **fee),
            row(posting="P1", **fee),
            row(posting="P2", **(fee | {"detail": ""})),
            row(posting="P3", **(fee | {"detail": "UNKNOWN"})),
            row(posting="P4", **(fee | {"amount": "-1"})),
            row(posting="P5", **(fee | {"kind": "funding-overdue", "funding": "F1", "days": "0"})),
        ),
        ledger(book),
    )
    assert len(of(events)) == 1
    assert [(f.row, f.field) for f in report.findings] == [
        (2, "posting"), (3, "detail"), (4, "detail"), (5, "amount"), (6, "days"),
    ]  # fmt: skip


def test_every_kind_the_ledger_books_can_be_told(save: Save, read: Read, book: Book) -> None:
    filled = {
        "client": "C1", "debtor": "D1", "receivable": "R1", "document": "1", "issue_date": "2026-03-01",
        "due_date": "2026-04-01", "amount": "1.00", "funding": "F1", "days": "7", "dispute": "X1", "reverses": "P0",
        "reverses_kind": "fee-charged", "value_date": "2026-03-02", "business_date": "2026-03-02",
    }  # fmt: skip
    detail = {"fee-charged": "interest", "dispute-settled": "reduced"}
    rows = [row(posting=f"P-{kind}", kind=kind, detail=detail.get(kind, ""), **filled) for kind in sorted(KINDS)]
    events, report = read(save(",".join(COLUMNS), *rows), ledger(book))
    assert report.findings == []
    assert [event_name(event) for event in of(events)] == sorted(REQUIRED)
    assert lines(closes(events)[0])["due-date-changed"] == (1, Decimal(0))


def test_business_time_is_the_day_s_and_nothing_of_the_clock(save: Save, read: Read, book: Book) -> None:
    events, _ = read(save(VAT, "E1,1,2016-11-01,B1,100,17,117,valid"), vat(book))
    opening = datetime(2016, 11, 1, 1, tzinfo=UTC)
    assert [out.event.occurred_at for out in events] == [
        opening + timedelta(microseconds=1),
        datetime(2016, 11, 1, 15, tzinfo=UTC),
    ]
