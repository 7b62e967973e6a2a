"""`python -m contracts list | export | check | release`: the contracts' files, see `contracts.files`."""

import argparse
import signal
import sys
from pathlib import Path

from contracts.catalogue import all_events, topics
from contracts.documents import meaning
from contracts.files import ContractsBroken, breaks, export, release, stale, unreadable


def _say(lines: list[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)


def _list() -> int:
    for topic in topics():
        kept = "for ever" if topic.retention is None else f"{topic.retention.days} days"
        _say([f"{topic.name} ({topic.partitions} partitions, kept {kept}{', restricted' if topic.restricted else ''})"])
        for event in all_events():
            if event.topic == topic.name:
                mark = ", anonymous" if event.anonymous else ""
                _say([f"  {event.ce_type} by {event.key_field}{mark}: {meaning(event)}"])
    return 0


def _check(root: Path) -> int:
    broken, unread, outdated = breaks(root), unreadable(root), stale(root)
    _say([f"breaks what was released: {each}" for each in broken])
    _say([f"no longer readable: {each}" for each in unread])
    _say([f"not what the code says: schemas/{each}" for each in outdated])
    if broken or unread:
        _say(["A released event only grows: publish the change as a new version beside it."])
    if outdated:
        _say(["Run `python -m contracts export` and commit what it writes."])
    if broken or unread or outdated:
        return 1
    _say([f"{len(all_events())} events: documents current, compatible with the release, golden payloads readable"])
    return 0


def _release(root: Path) -> int:
    try:
        _say(release(root))
    except ContractsBroken as broken:
        _say([f"breaks what was released: {each}" for each in broken.breaks])
        return 1
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 when all is well."""
    parser = argparse.ArgumentParser(prog="python -m contracts", description=__doc__)
    parser.add_argument("command", choices=("list", "export", "check", "release"))
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[2], help="the package's folder")
    asked = parser.parse_args(argv)
    if asked.command == "list":
        return _list()
    if not (asked.root / "pyproject.toml").exists():
        parser.error(f"{asked.root} is not the package's source folder: say --root libs/contracts")
    if asked.command == "export":
        _say(export(asked.root))
        return 0
    return _check(asked.root) if asked.command == "check" else _release(asked.root)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `… list | head` ends quietly, as other commands do
    sys.exit(main())
