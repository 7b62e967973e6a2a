"""What was wrong or odd with which row: kept as it is found, written as CSV or JSON for whoever mends the file."""

import csv
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

KEPT: Final = 100_000


@dataclass(frozen=True, slots=True)
class Finding:
    """`row` counts from 1, the line after the header. An `error` row is not fed; a `warning` one is."""

    row: int
    severity: Literal["error", "warning"]
    field: str
    reason: str


class RowReport:
    """All findings of one file; beyond 100 000 they are counted only."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.errors = 0
        self.warnings = 0

    def error(self, row: int, field: str, reason: str) -> None:
        self.errors += 1
        self._keep(Finding(row, "error", field, reason))

    def warning(self, row: int, field: str, reason: str) -> None:
        self.warnings += 1
        self._keep(Finding(row, "warning", field, reason))

    def _keep(self, finding: Finding) -> None:
        if len(self.findings) < KEPT:
            self.findings.append(finding)

    def write(self, path: Path) -> None:
        """JSON if the name ends so, CSV otherwise: row, severity, field, reason."""
        if path.suffix == ".json":
            rows = [asdict(finding) for finding in self.findings]
            path.write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
            return
        with path.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(("row", "severity", "field", "reason"))
            writer.writerows((f.row, f.severity, f.field, f.reason) for f in self.findings)
