"""How far a file has been fed into which cluster: the position up to which Kafka acknowledged everything.

One JSON file per cluster and file hash, outside the checkout, replaced atomically and locked while it is in use. Losing
it is harmless: the same ids are published again and dropped by whoever has seen them.
"""

import fcntl
import json
import os
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict


class Refused(Exception):
    """The file may not be fed like this; the message says why and what to do."""


class Saved(TypedDict):
    """The content of a progress file."""

    file: str
    sha256: str
    parameters: dict[str, str]
    position: int
    finished: bool


def default_directory() -> Path:
    """LEDGER_FEED_STATE_DIR, else the XDG state directory, else a system directory when root."""
    if stated := os.environ.get("LEDGER_FEED_STATE_DIR"):
        return Path(stated)
    if xdg := os.environ.get("XDG_STATE_HOME"):
        return Path(xdg) / "factoring-crm" / "ledger-feed"
    if sys.platform != "win32" and os.geteuid() == 0:
        return Path("/var/lib/factoring-crm/ledger-feed")
    return Path.home() / ".local" / "state" / "factoring-crm" / "ledger-feed"


class Progress:
    """The position reached in one file's sequence of events."""

    def __init__(self, path: Path, saved: Saved) -> None:
        self._path = path
        self._saved = saved

    @property
    def position(self) -> int:
        return self._saved["position"]

    @property
    def finished(self) -> bool:
        return self._saved["finished"]

    def acknowledged(self, position: int) -> None:
        """Everything before `position` is on the topic."""
        self._saved["position"] = position
        self._write()

    def finish(self) -> None:
        self._saved["finished"] = True
        self._write()

    def _write(self) -> None:
        draft = self._path.with_suffix(".tmp")
        with draft.open("w", encoding="utf-8") as out:
            json.dump(self._saved, out, indent=1)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(self._path)


@contextmanager
def open_progress(
    directory: Path, cluster: str, name: str, sha256: str, parameters: Mapping[str, str]
) -> Generator[Progress]:
    """The file's progress, locked; Refused if another process feeds it or it was begun with other parameters."""
    folder = directory / cluster
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{sha256}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(f"{name} is being fed by another process; wait for it or stop it.") from None
        path = folder / f"{sha256}.json"
        saved = Saved(file=name, sha256=sha256, parameters=dict(parameters), position=0, finished=False)
        if path.exists():
            earlier: Saved = json.loads(path.read_text(encoding="utf-8"))
            _same(name, path, earlier["parameters"], saved["parameters"])
            saved = earlier
        yield Progress(path, saved)


def _same(name: str, path: Path, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    changed = [key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)]
    if changed:
        listed = "; ".join(f"{key} was {before.get(key, '-')}, now {now.get(key, '-')}" for key in changed)
        raise Refused(
            f"{name} was already fed with other parameters ({listed}). Its events' ids come from the file's hash and "
            "its row numbers, so what is published now would be dropped as a repeat and the change silently lost. "
            f"Feed it with the same parameters, or correct the book by a file of its own. (Remembered in {path}.)"
        )
