"""The contracts' files beside the code: schemas, AsyncAPI documents, the released baseline, golden payloads.

`schemas/` is what the code says now. `released/` is what was last released, by which compatibility is judged; it only
grows. `golden/` holds a record of every event as it was first, and as each later shape of it was, written; none is ever
changed, and every one must be readable for ever.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from contracts import wire
from contracts.asyncapi import asyncapi
from contracts.base import SYSTEMS, Event
from contracts.catalogue import all_events, by_type
from contracts.compatibility import Break, compare_events, compare_topics
from contracts.documents import SERVICES, Document, event_schemas, source_of, topic_documents

GOLDEN_ID: Final = UUID("0199a7c0-dddd-7aaa-8aaa-000000000014")
GOLDEN_TIME: Final = datetime(2026, 11, 3, 2, 15, tzinfo=UTC)


class ContractsBroken(Exception):
    """A change would break those who rely on what was released. Publish a new version of the event beside the old."""

    def __init__(self, breaks: list[Break]) -> None:
        super().__init__("\n".join(map(str, breaks)))
        self.breaks = breaks


def _text(document: Any) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _relied_on_by(*systems: str) -> list[type[Event]]:
    return [event for event in all_events() if not set(systems).isdisjoint(event.rely)]


def _told_by(*systems: str) -> list[type[Event]]:
    return [event for event in all_events() if event.publisher is not None and event.publisher.name in systems]


def asyncapi_documents() -> dict[str, Document]:
    """A document per service and one for the bank's systems, receiving what its contract says may be relied on."""
    banks = sorted(SYSTEMS.difference(SERVICES))
    return {service: asyncapi(service, _told_by(service), _relied_on_by(service)) for service in SERVICES} | {
        "bank": asyncapi("bank", _told_by(*banks), _relied_on_by(*banks))
    }


def generated() -> dict[str, str]:
    """What `schemas/` has to hold: text by file name."""
    return (
        {f"{ce_type}.json": _text(schema) for ce_type, schema in event_schemas().items()}
        | {f"asyncapi/{name}.json": _text(document) for name, document in asyncapi_documents().items()}
        | {"topics.json": _text(topic_documents())}
    )


def stale(root: Path) -> list[str]:
    """Names of files under `schemas/` that are missing, too many or not what the code says."""
    folder, wanted = root / "schemas", generated()
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*.json")}
    wrong = {name for name in wanted.keys() & there if (folder / name).read_text(encoding="utf-8") != wanted[name]}
    return sorted((wanted.keys() ^ there) | wrong)


def breaks(root: Path) -> list[Break]:
    """What the code breaks of the released baseline; nothing where nothing was released yet."""
    folder = root / "released"
    if not (folder / "topics.json").exists():
        return []
    old = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("factoring.*.json")}
    topics = json.loads((folder / "topics.json").read_text(encoding="utf-8"))
    return compare_events(old, event_schemas()) + compare_topics(topics, topic_documents())


def golden(event: type[Event]) -> Document:
    """The event's example as a record: key, headers, value."""
    key, value, headers = wire.to_wire(
        event.example(),
        id=GOLDEN_ID,
        source=source_of(event),
        time=GOLDEN_TIME,
        correlation_id=str(GOLDEN_ID),
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    return {
        "key": key.decode(),
        "headers": {name: text.decode() for name, text in headers},
        "value": json.loads(value),
    }


def goldens(root: Path) -> Iterator[tuple[Path, Document]]:
    """Every golden payload on file."""
    for path in sorted((root / "golden").glob("*/*.json")):
        yield path, json.loads(path.read_text(encoding="utf-8"))


def unreadable(root: Path) -> list[str]:
    """Golden payloads that no longer parse, each with why."""
    found: list[str] = []
    for path, record in goldens(root):
        event = by_type(record["headers"][wire.TYPE])
        name = path.relative_to(root).as_posix()
        if event is None:
            found.append(f"{name}: there is no such event any more")
            continue
        try:
            wire.read_headers((key, text.encode()) for key, text in record["headers"].items())
            read = event.model_validate_json(json.dumps(record["value"]))
        except ValueError as error:
            found.append(f"{name}: {error}")
            continue
        if read.key != record["key"]:
            found.append(f"{name}: its key was {record['key']}")
    return found


def export(root: Path) -> list[str]:
    """Write `schemas/`, and a first golden payload where an event has none; the names of what was written."""
    folder, wanted = root / "schemas", generated()
    written: list[str] = []
    for name in stale(root):
        path = folder / name
        if name in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[name], encoding="utf-8")
        else:
            path.unlink()
        written.append(f"schemas/{name}")
    for event in all_events():
        if not any((root / "golden" / event.ce_type).glob("*.json")):
            written.append(_add_golden(root, event, 1))
    return written


def _add_golden(root: Path, event: type[Event], n: int) -> str:
    path = root / "golden" / event.ce_type / f"{n}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_text(golden(event)), encoding="utf-8")
    return path.relative_to(root).as_posix()


def release(root: Path) -> list[str]:
    """Make what the code says the baseline; ContractsBroken if that breaks the last one. Names of what was written.

    An event whose example changed since its last golden payload gets another one beside it.
    """
    if found := breaks(root):
        raise ContractsBroken(found)
    written = export(root)
    folder = root / "released"
    folder.mkdir(exist_ok=True)
    for name, text in generated().items():
        path = folder / name
        if "/" in name or (path.exists() and path.read_text(encoding="utf-8") == text):
            continue
        path.write_text(text, encoding="utf-8")
        written.append(f"released/{name}")
    latest = {path.parent.name: (int(path.stem), record) for path, record in sorted(goldens(root), key=_number)}
    for event in all_events():
        n, record = latest[event.ce_type]
        if record["value"] != golden(event)["value"]:
            written.append(_add_golden(root, event, n + 1))
    return written


def _number(found: tuple[Path, Document]) -> int:
    return int(found[0].stem)
