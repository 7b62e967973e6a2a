"""Reading a ledger's CSV file, row by row, so that a wrong row harms itself alone.

A row is one line (a stray quotation mark cannot swallow its successors) and has a number: 1 is the line after the
header. The file's identity is the SHA-256 of its uncompressed bytes: a file and its .gz are the same file.
"""

import csv
import gzip
import hashlib
import re
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO, Final, Self

LONGEST_LINE: Final = 64 * 1024
CHUNK: Final = 1 << 20

_AMOUNT = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,4})?")
_US_DATE = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})")
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/#@+-]{0,127}")
_EARLIEST: Final = date(1970, 1, 1)
_LATEST: Final = date(2199, 12, 31)


class FileRefused(Exception):
    """The file as a whole cannot be fed: it is not there, damaged, or of another shape."""


class RowError(Exception):
    """A row that cannot be an event: which field, and why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Row:
    """One line's fields by column name, as text without surrounding blanks."""

    number: int
    fields: dict[str, str]

    def token(self, column: str) -> str:
        """An identifier of the other system: no spaces, nothing that could be free text."""
        value = self.fields[column]
        if not _TOKEN.fullmatch(value):
            raise RowError(column, f"{_quoted(value)} is not an identifier (letters, digits and ._:/#@+- only)")
        return value

    def amount(self, column: str) -> Decimal:
        """A plain decimal with at most four decimals, given at least two."""
        value = self.fields[column]
        if not _AMOUNT.fullmatch(value):
            raise RowError(
                column, f"{_quoted(value)} is not an amount (like 1234.50; at most 12 digits and 4 decimals)"
            )
        _, point, decimals = value.partition(".")
        return Decimal(value + ("" if len(decimals) > 1 else "0" if point else ".00"))

    def iso_date(self, column: str) -> date:
        value = self.fields[column]
        if not _ISO_DATE.fullmatch(value):
            raise RowError(column, f"{_quoted(value)} is not a date (YYYY-MM-DD)")
        try:
            return self._plausible(column, date.fromisoformat(value))
        except ValueError:
            raise RowError(column, f"{_quoted(value)} is not a day of the calendar") from None

    def us_date(self, column: str) -> date:
        value = self.fields[column]
        found = _US_DATE.fullmatch(value)
        if not found:
            raise RowError(column, f"{_quoted(value)} is not a date (M/D/YYYY)")
        month, day, year = (int(part) for part in found.groups())
        try:
            return self._plausible(column, date(year, month, day))
        except ValueError:
            raise RowError(column, f"{_quoted(value)} is not a day of the calendar") from None

    def choice(self, column: str, choices: frozenset[str]) -> str:
        value = self.fields[column]
        if value not in choices:
            raise RowError(column, f"{_quoted(value)} is none of {', '.join(sorted(choices))}")
        return value

    @staticmethod
    def _plausible(column: str, day: date) -> date:
        if not _EARLIEST <= day <= _LATEST:
            raise RowError(column, f"{day.isoformat()} lies outside {_EARLIEST.year}-{_LATEST.year}")
        return day


def _quoted(value: str) -> str:
    return repr(value if len(value) <= 40 else value[:37] + "...") if value else "empty"


class LedgerFile:
    """A private, uncompressed copy of the file."""

    def __init__(self, name: str, sha256: str, copy: BinaryIO, columns: list[str]) -> None:
        self.name = name
        self.sha256 = sha256
        self.columns = columns
        self.rows = 0
        """How many rows `scan` has passed."""
        self._copy = copy

    @classmethod
    def open(cls, path: Path, columns: tuple[str, ...]) -> Self:
        """Copies the file and reads its header; FileRefused if it is unreadable or lacks one of `columns`."""
        copy = tempfile.TemporaryFile(prefix="ledger-feed-")  # noqa: SIM115 it lives as long as this object
        digest = hashlib.sha256()
        try:
            with path.open("rb") as plain:
                packed = plain.read(2) == b"\x1f\x8b"
                plain.seek(0)
                source = gzip.GzipFile(fileobj=plain) if packed else plain
                while chunk := source.read(CHUNK):
                    digest.update(chunk)
                    copy.write(chunk)
        except (OSError, EOFError, zlib.error) as error:
            copy.close()
            raise FileRefused(f"{path} cannot be read: {error}") from error
        copy.seek(0)
        header = copy.readline(LONGEST_LINE).decode("utf-8-sig", "replace")
        found = [name.strip() for name in next(csv.reader([header.rstrip("\r\n")]), list[str]())]
        missing = [name for name in columns if name not in found]
        if missing or len(set(found)) != len(found):
            copy.close()
            lacks = f"lacks {', '.join(missing)}" if missing else "has a column twice"
            raise FileRefused(f"{path} is not of this shape: its header {lacks}")
        return cls(path.name, digest.hexdigest(), copy, found)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._copy.close()

    def scan(self) -> Iterator[tuple[int, Row | RowError]]:
        """Every row once, in the file's order, with its number; blank lines count but are passed over."""
        self._copy.seek(0)
        self._copy.readline()
        self.rows = 0
        while line := self._copy.readline():
            self.rows += 1
            if line.strip():
                try:
                    yield self.rows, self._parse(self.rows, line)
                except RowError as error:
                    yield self.rows, error

    def _parse(self, number: int, line: bytes) -> Row:
        if len(line) > LONGEST_LINE:
            raise RowError("", f"the line is longer than {LONGEST_LINE} bytes")
        try:
            text = line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise RowError("", "the line is not UTF-8") from None
        if '"' in text:
            try:
                values = next(csv.reader([text], strict=True))
            except (csv.Error, StopIteration):
                raise RowError("", "a quotation mark is not closed") from None
        else:
            values = text.split(",")
        if len(values) != len(self.columns):
            raise RowError("", f"{len(values)} fields where the header has {len(self.columns)}")
        return Row(number, {column: value.strip() for column, value in zip(self.columns, values, strict=True)})
