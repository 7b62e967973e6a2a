"""Reading files: whatever they hold, a wrong row is reported and never more than that."""

import gzip
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.bank.ledger import BusinessDayClosed, Posting
from ledger_feed.ledger import COLUMNS, KINDS, Ledger
from ledger_feed.payments import Payments
from ledger_feed.report import RowReport
from ledger_feed.rows import FileRefused, LedgerFile
from ledger_feed.sequence import Sequence, amount_of, event_name
from ledger_feed.shape import Book, Shape
from ledger_feed.vat_invoices import VatInvoices

BOOK = Book("TEST-ENTITY", "CNY", "test-ledger")
SHAPES: dict[str, Callable[[str], Shape]] = {
    "vat": lambda sha256: VatInvoices(BOOK, sha256, term_days=90),
    "payments": lambda sha256: Payments(BOOK, sha256, seller="S"),
    "ledger": lambda _sha256: Ledger(BOOK),
}

dates = st.one_of(
    st.dates().map(str),
    st.tuples(st.integers(0, 13), st.integers(0, 32), st.integers(1960, 2210)).map(lambda mdy: "/".join(map(str, mdy))),
)
amounts = st.one_of(
    st.decimals(allow_nan=True, allow_infinity=True).map(str),
    st.decimals(Decimal(-(10**12)), Decimal(10**12), places=2).map(str),
)
likely = st.one_of(
    dates, amounts, st.sampled_from(["E1", "E2", "B1", "valid", "void", "Yes", "No", "interest", "reduced", "7", "P1"]),
    st.sampled_from(sorted(KINDS)),
)  # fmt: skip
cells = st.one_of(likely, likely, likely, st.text(max_size=12))


def fields(columns: tuple[str, ...]) -> st.SearchStrategy[bytes]:
    return st.lists(cells, min_size=len(columns), max_size=len(columns)).map(lambda row: ",".join(row).encode())


@st.composite
def files(draw: st.DrawFn) -> tuple[str, bytes]:
    """A shape's name and a file with its header and anything below it."""
    name = draw(st.sampled_from(sorted(SHAPES)))
    columns = SHAPES[name]("").columns
    rows = draw(st.lists(st.one_of(fields(columns), fields(columns), st.binary(max_size=60)), max_size=12))
    return name, ",".join(columns).encode() + b"\n" + draw(st.sampled_from([b"\n", b"\r\n"])).join(rows)


@given(file=files())
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_garbage_is_a_reported_row_and_the_closes_sum_up_the_rest(file: tuple[str, bytes], tmp_path: Path) -> None:
    name, content = file
    path = tmp_path / "garbage.csv"
    path.write_bytes(content)
    report = RowReport()
    with LedgerFile.open(path, SHAPES[name]("").columns) as opened:
        sequence = Sequence.scan(opened, SHAPES[name](opened.sha256), BOOK, report)
        events = list(sequence)
    assert len(events) == sequence.total
    told: Counter[tuple[UUID, str, str]] = Counter()
    sums: dict[tuple[UUID, str, str], Decimal] = {}
    for out in events:
        event = out.event
        if isinstance(event, Posting):
            key = (event.client_id, str(event.business_date), event_name(event))
            money = amount_of(event)
            told[key] += 1
            sums[key] = sums.get(key, Decimal(0)) + (money.amount if money else 0)
        else:
            assert isinstance(event, BusinessDayClosed)
            for line in event.lines:
                key = (event.client_id, str(event.business_date), line.kind)
                assert (line.count, line.total.amount) == (told.pop(key), sums.pop(key))
    assert not told
    bad = {finding.row for finding in report.findings if finding.severity == "error"}
    good = {int((out.event.source_ref or "0").split(":")[-1]) for out in events if name != "ledger"}
    assert not bad & good


def test_a_file_and_its_gzip_are_the_same_file(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.csv", tmp_path / "a.csv.gz"
    plain.write_text("a,b\n1,2\n")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    with LedgerFile.open(plain, ("a", "b")) as one, LedgerFile.open(packed, ("a",)) as other:
        assert one.sha256 == other.sha256
        assert len(list(other.scan())) == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "lacks client"),
        (b"client,name\n", "lacks debtor"),
        (b"client,debtor,client\n", "has a column twice"),
        (gzip.compress(b"client,debtor\n" * 1000, mtime=0)[:-20], "cannot be read"),
    ],
)
def test_a_file_that_is_no_such_file_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "ledger.csv"
    path.write_bytes(content)
    with pytest.raises(FileRefused, match=says):
        LedgerFile.open(path, ("client", "debtor"))
    with pytest.raises(FileRefused, match="cannot be read"):
        LedgerFile.open(tmp_path / "none.csv", ())


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "ledger.csv"
    path.write_bytes("﻿a,b\r\n1,张\r\n".encode())
    with LedgerFile.open(path, ("a", "b")) as file:
        [(number, row)] = file.scan()
        assert (number, getattr(row, "fields", None)) == (1, {"a": "1", "b": "张"})


def test_the_report_is_written_as_csv_or_json(tmp_path: Path) -> None:
    report = RowReport()
    report.error(3, "gross", 'no "amount"')
    report.warning(4, "net", "odd")
    report.write(tmp_path / "r.csv")
    report.write(tmp_path / "r.json")
    assert (tmp_path / "r.csv").read_text() == (
        'row,severity,field,reason\n3,error,gross,"no ""amount"""\n4,warning,net,odd\n'
    )
    assert '"row": 3' in (tmp_path / "r.json").read_text()


def test_the_columns_of_the_ledger_shape_cover_what_its_kinds_need() -> None:
    assert len(COLUMNS) == len(set(COLUMNS)) == 20
