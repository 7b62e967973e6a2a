"""`./crm prove`: it runs a command, records how it ended, and keeps this machine's paths out of it."""

from pathlib import Path

import pytest

from localplatform import proofs


def test_what_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "claim.py").write_text("import os; print(os.getcwd(), os.environ['HOW_MANY']); raise SystemExit(3)")
    monkeypatch.setitem(proofs.PROOFS, "claim", proofs.Proof("a claim", ("claim",), {"HOW_MANY": "7"}))  # pyright: ignore[reportArgumentType] - a dict, told to be read only
    assert proofs.prove("claim", ["more"], tmp_path) == 3
    assert capfd.readouterr().out == f"{tmp_path} 7\n"
    recorded = (tmp_path / "docs/proofs/claim.txt").read_text().splitlines()
    assert recorded[2] == "command: HOW_MANY=7 python -m claim more"
    assert recorded[4:] == ["exit code: 3", "", ". 7"]


def test_each_says_what_it_proves() -> None:
    assert all(proof.says and proof.command for proof in proofs.PROOFS.values())
