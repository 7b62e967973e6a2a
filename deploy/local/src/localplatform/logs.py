"""Reads the processes' log files: JSON lines as one short line each, everything else as it stands."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO, cast

HEAD = ("time", "timestamp", "level", "logger", "name", "event", "message")
PAUSE = 0.3


def show(files: Sequence[Path], *, lines: int, follow: bool, out: TextIO) -> None:
    """Print the last lines of each file, led by its name if there are several; `follow` goes on with what is added."""
    width = max(len(file.stem) for file in files)
    positions: dict[Path, int] = {}
    for file in files:
        text = file.read_text(errors="replace")
        positions[file] = file.stat().st_size
        for line in text.splitlines()[-lines:]:
            _print(file, line, width if len(files) > 1 else 0, out)
    while follow:
        time.sleep(PAUSE)
        for file in files:
            positions[file] = _print_new(file, positions[file], width if len(files) > 1 else 0, out)


def _print_new(file: Path, position: int, width: int, out: TextIO) -> int:
    if file.stat().st_size < position:
        position = 0
    with file.open("rb") as reader:
        reader.seek(position)
        whole, newline, _ = reader.read().rpartition(b"\n")
    for line in whole.decode(errors="replace").splitlines():
        _print(file, line, width, out)
    return position + len(whole) + len(newline)


def _print(file: Path, line: str, width: int, out: TextIO) -> None:
    prefix = f"{file.stem:<{width}}  " if width else ""
    out.write(f"{prefix}{readable(line)}\n")
    out.flush()


def readable(line: str) -> str:
    """A JSON log line as `time level message key=value …`; any other line unchanged."""
    if not line.startswith("{"):
        return line
    try:
        parsed = json.loads(line)
    except ValueError:
        return line
    if not isinstance(parsed, dict):
        return line
    record = cast(dict[str, Any], parsed)
    head = [str(record[name]) for name in HEAD if name in record]
    rest = [f"{name}={value}" for name, value in record.items() if name not in HEAD and value not in (None, "")]
    return " ".join([*head, *rest])
