"""The command as a person runs it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ledger_feed.cli import app
from ledger_feed.progress import default_directory

VAT = "client,invoice_no,date,debtor,net,tax,gross,status"
Save = Callable[..., Path]


def run(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(args))
    return result.exit_code, result.output


def feed_args(path: Path, bootstrap: str, topic: str, state: Path) -> list[str]:
    return [
        "feed", str(path), "--shape", "vat-invoices", "--entity", "TEST-ENTITY", "--currency", "CNY", "--system", "t",
        "--term-days", "90", "--bootstrap", bootstrap, "--topic", topic, "--state-dir", str(state), "--no-register",
    ]  # fmt: skip


def test_a_file_is_fed_and_what_came_of_it_is_said(
    save: Save, tmp_path: Path, kafka_bootstrap: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    path = save(VAT, "E1,1,2016-11-01,B1,100,17,117,valid", "E1,2,2016-11-01,B1,x,0,1,valid")
    args = [*feed_args(path, kafka_bootstrap, topic, tmp_path / "state"), "--report", str(tmp_path / "report.csv")]
    code, said = run(*args)
    assert code == 0, said
    assert "1 wrong rows not fed" in said
    assert "117.00" in said
    assert (tmp_path / "report.csv").read_text().splitlines()[1].startswith("2,error,net,")
    code, said = run(*args)
    assert code == 0
    assert "already fed: nothing to do" in said
    code, said = run(*args[:10], "--term-days", "30", *args[12:])
    assert code == 2
    assert "already fed with other parameters" in said


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("--shape", "payments"), "is not of this shape"),
        (("--entity", "not an entity"), "There is no such book"),
        (("--currency", "yuan"), "There is no such book"),
        (("--system", "a:b"), "There is no such book"),
        (("--alter", "one"), "ROW=AMOUNT"),
        (("--alter", "1=NaN"), "ROW=AMOUNT"),
        (("--sellers", "/no/such/file.csv"), "No such file"),
        (("--sellers", __file__), "neither a portfolio's manifest nor a CSV"),
        (("--register",), "give --client-api and --token"),
    ],
)
def test_what_cannot_be_is_refused_with_words(
    save: Save,
    tmp_path: Path,
    kafka_bootstrap: str,
    change: tuple[str, ...],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    path = save(VAT, "E1,1,2016-11-01,B1,100,17,117,valid")
    code, said = run(*feed_args(path, kafka_bootstrap, "none", tmp_path), *change)
    assert code == 2, said
    assert says in " ".join(said.split())


def test_a_term_is_asked_for(save: Save, tmp_path: Path, kafka_bootstrap: str) -> None:
    args = feed_args(save(VAT), kafka_bootstrap, "none", tmp_path)
    code, said = run(*args[:9], *args[11:])
    assert code == 2
    assert "--term-days" in said


def test_columns_and_synthetic(tmp_path: Path) -> None:
    assert run("columns", "vat-invoices")[1].split() == VAT.split(",")
    out = tmp_path / "p.csv.gz"
    code, said = run("synthetic", "--seed", "3", "--anchor", "2026-11-24", "--clients", "4", "--out", str(out))
    assert code == 0
    assert "SHA-256" in said
    assert (tmp_path / "p.manifest.json").exists()


def test_the_state_lies_outside_the_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LEDGER_FEED_STATE_DIR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_directory() == tmp_path / "factoring-crm" / "ledger-feed"
    monkeypatch.delenv("XDG_STATE_HOME")
    assert str(default_directory()).startswith("/var/lib" if os.geteuid() == 0 else str(Path.home()))
    monkeypatch.setenv("LEDGER_FEED_STATE_DIR", "/x")
    assert default_directory() == Path("/x")
