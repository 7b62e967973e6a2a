"""The exported documents, the released baseline and the golden payloads; the commands that keep them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from contracts import Event, Publisher, Topic, catalogue, wire
from contracts.__main__ import main
from contracts.base import Code
from contracts.catalogue import all_events, by_type
from contracts.files import ContractsBroken, breaks, export, golden, goldens, release, stale, unreadable
from contracts.risk import RISK

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def folder(tmp_path: Path, catalogue_of: Callable[..., None]) -> Path:
    """A package folder of a catalogue of one event, released once."""
    catalogue_of(Happened)
    (tmp_path / "pyproject.toml").touch()
    release(tmp_path)
    return tmp_path


@pytest.fixture
def catalogue_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Stand-in for a changed code base: the catalogue lists these events."""

    def use(*events: type[Event]) -> None:
        for module in ("contracts.documents", "contracts.files", "contracts.__main__"):
            monkeypatch.setattr(f"{module}.all_events", lambda: events, raising=False)
        monkeypatch.setattr("contracts.files.by_type", {event.ce_type: event for event in events}.get)
        published = dict.fromkeys(event.publisher.topic for event in events if event.publisher is not None)
        monkeypatch.setattr("contracts.documents.topics", lambda: tuple(published))

    return use


class Happened(Event, publisher=RISK, name="happened", key="thing", rely=("client",)):
    """Something happened."""

    thing: Code = Field(examples=["t1"])


def grown() -> type[Event]:
    class Happened(Event, publisher=RISK, name="happened", key="thing", rely=("client",)):
        """Something happened."""

        thing: Code = Field(examples=["t1"])
        more: Code | None = Field(default=None, examples=["m1"])

    return Happened


def broken() -> type[Event]:
    class Happened(Event, publisher=RISK, name="happened", key="thing", rely=("client",)):
        """Something happened."""

        thing: Code = Field(examples=["t1"])
        more: Code = Field(examples=["m1"])

    return Happened


def test_what_is_committed_is_what_the_code_says() -> None:
    assert stale(ROOT) == [], "run `python -m contracts export`"


def test_nothing_that_was_released_is_broken() -> None:
    assert breaks(ROOT) == []
    assert (ROOT / "released" / "topics.json").exists()


def test_every_event_has_a_golden_payload() -> None:
    assert {event.ce_type for event in all_events()} <= {path.parent.name for path, _ in goldens(ROOT)}


@pytest.mark.parametrize(
    ("path", "record"), list(goldens(ROOT)), ids=lambda value: value.parent.name if isinstance(value, Path) else ""
)
def test_a_golden_payload_is_readable_for_ever(path: Path, record: dict[str, Any]) -> None:
    envelope = wire.read_headers((name, text.encode()) for name, text in record["headers"].items())
    event = by_type(envelope.type)
    assert event is not None
    assert envelope.type == path.parent.name
    read = event.model_validate_json(json.dumps(record["value"]))
    assert read.key == record["key"] == envelope.subject
    assert read.model_dump(mode="json", exclude_none=True).items() >= record["value"].items()


def test_a_golden_payload_that_no_longer_parses_is_named(folder: Path) -> None:
    path, record = next(goldens(folder))
    record["value"]["occurred_at"] = "once"
    path.write_text(json.dumps(record))
    assert [line.split(":")[0] for line in unreadable(folder)] == [path.relative_to(folder).as_posix()]
    assert main(["check", "--root", str(folder)]) == 1


def test_check_passes_on_fresh_documents_and_says_what_is_stale(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--root", str(folder)]) == 0
    (folder / "schemas" / "topics.json").write_text("[]")
    (folder / "schemas" / "factoring.risk.gone.v1.json").write_text("{}")
    capsys.readouterr()
    assert main(["check", "--root", str(folder)]) == 1
    said = capsys.readouterr().out
    assert "schemas/topics.json" in said
    assert "schemas/factoring.risk.gone.v1.json" in said
    assert "python -m contracts export" in said
    assert main(["export", "--root", str(folder)]) == 0
    assert main(["check", "--root", str(folder)]) == 0


def test_export_never_overwrites_a_golden_payload(folder: Path) -> None:
    path, record = next(goldens(folder))
    path.write_text(json.dumps(record | {"kept": True}))
    export(folder)
    release(folder)
    assert json.loads(path.read_text())["kept"]


def test_a_breaking_change_fails_the_check_whether_or_not_it_was_exported(
    tmp_path: Path, catalogue_of: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pyproject.toml").touch()
    catalogue_of(Happened)
    assert main(["release", "--root", str(tmp_path)]) == 0
    catalogue_of(broken())
    for _ in range(2):
        assert main(["check", "--root", str(tmp_path)]) == 1
        assert "$.more: newly required field" in capsys.readouterr().out
        export(tmp_path)
    with pytest.raises(ContractsBroken, match="newly required"):
        release(tmp_path)
    assert main(["release", "--root", str(tmp_path)]) == 1


def test_a_removed_event_and_a_repartitioned_topic_fail_the_check(
    tmp_path: Path, catalogue_of: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    class Elsewhere(
        Event,
        publisher=Publisher("risk", Topic("risk.events", partitions=6, retention=timedelta(days=1))),
        name="elsewhere",
        key="thing",
        rely=("client",),
    ):
        """Something happened elsewhere."""

        thing: Code = Field(examples=["t1"])

    (tmp_path / "pyproject.toml").touch()
    catalogue_of(Happened)
    release(tmp_path)
    catalogue_of(Elsewhere)
    assert main(["check", "--root", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    for word in ("removed event", "changed partitions", "shorter retention", "no longer readable"):
        assert word in said


def test_a_release_adds_a_golden_payload_for_a_new_shape(tmp_path: Path, catalogue_of: Callable[..., None]) -> None:
    catalogue_of(Happened)
    release(tmp_path)
    event = grown()
    catalogue_of(event)
    assert "golden/factoring.risk.happened.v1/2.json" in release(tmp_path)
    assert release(tmp_path) == []
    first, second = (record["value"] for _, record in goldens(tmp_path))
    assert second == golden(event)["value"] == first | {"more": "m1"}


def test_a_release_forgets_nothing(tmp_path: Path, catalogue_of: Callable[..., None]) -> None:
    catalogue_of(Happened)
    release(tmp_path)
    baseline = tmp_path / "released" / f"{Happened.ce_type}.json"
    before = baseline.read_text()
    shutil.rmtree(tmp_path / "schemas")
    release(tmp_path)
    assert baseline.read_text() == before


def test_list_names_every_event_and_what_it_means(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    assert all(event.ce_type in said for event in catalogue.all_events())
    assert "kyc.screening.events (12 partitions, kept 3653 days, restricted)" in said


def test_a_folder_that_is_not_the_packages_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["check", "--root", str(tmp_path)])
    assert "--root libs/contracts" in capsys.readouterr().err


def test_a_listing_of_which_only_the_head_is_read_ends_quietly() -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "contracts", "list"]
    listing = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert listing.stderr == b""
