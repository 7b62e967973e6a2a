"""The entry script, on the interpreter and with the surroundings a newcomer may have."""

import ast
import os
import runpy
import stat
import subprocess
import sys
from pathlib import Path

import pytest

CRM = Path(__file__).parents[3] / "crm"
SCRIPT = runpy.run_path(str(CRM), run_name="crm")


def old_python(*version: int) -> "subprocess.CompletedProcess[str]":
    """Run the script on an interpreter that says it is older."""
    pretend = (
        f"import runpy, sys; sys.version_info = {version}; sys.version = '{'.'.join(map(str, version))} (main)'; "
        f"sys.argv = ['crm', 'up']; runpy.run_path({str(CRM)!r}, run_name='__main__')"
    )
    return subprocess.run([sys.executable, "-c", pretend], capture_output=True, text=True)


def test_an_older_python_is_told_so() -> None:
    answer = old_python(3, 9, 2)
    assert answer.returncode == 1
    assert "needs Python 3.11 or later; this is Python 3.9.2" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_an_older_python_can_read_the_file() -> None:
    ast.parse(CRM.read_text(), feature_version=(3, 7))


def test_only_the_standard_library_is_imported() -> None:
    nodes = list(ast.walk(ast.parse(CRM.read_text())))
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    assert imported <= sys.stdlib_module_names


def test_it_is_executable_and_explains_itself_without_an_environment(tmp_path: Path) -> None:
    assert CRM.stat().st_mode & stat.S_IXUSR
    environment = {"PATH": "/nowhere", "FACTORING_CRM_CACHE": str(tmp_path)}
    answer = subprocess.run([sys.executable, CRM], capture_output=True, text=True, env=environment)
    assert answer.returncode == 0
    assert "./crm up" in answer.stdout
    assert list(tmp_path.iterdir()) == []


def nothing_works(*command: str, show: bool = False) -> bool:
    return False


def test_no_uv_no_pip_no_venv_names_the_package_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setitem(SCRIPT["find_uv"].__globals__, "works", nothing_works)
    with pytest.raises(SystemExit, match=r"(?s)neither pip nor a working venv.*apt-get install python3-venv"):
        SCRIPT["find_uv"](tmp_path)


def test_pips_settings_reach_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_")) or name.endswith("_PROXY")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".config/pip").mkdir(parents=True)
    (tmp_path / ".config/pip/pip.conf").write_text(
        "[global]\nindex-url = http://mirror.test/simple\nextra-index-url =\n  http://a.test/simple\n  http://b.test/simple\n"
        "cert = /ours.pem\n[install]\nfind-links = /wheels /more\n"
    )
    monkeypatch.setenv("PIP_INDEX_URL", "http://nearer.test/simple")
    found = SCRIPT["uv_settings"]()
    assert found["UV_DEFAULT_INDEX"] == "http://nearer.test/simple"
    assert found["UV_INDEX"] == "http://a.test/simple http://b.test/simple"
    assert found["UV_FIND_LINKS"] == "/wheels,/more"
    assert found["SSL_CERT_FILE"] == "/ours.pem"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://uvs-own.test/simple")
    assert "UV_DEFAULT_INDEX" not in SCRIPT["uv_settings"]()


def test_too_little_disk_is_told_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTORING_CRM_CACHE", str(tmp_path))
    monkeypatch.setitem(SCRIPT["prepare"].__globals__, "NEEDED_GB", 10**9)
    with pytest.raises(SystemExit, match="choose another directory by FACTORING_CRM_CACHE"):
        SCRIPT["prepare"]()
    assert not list((tmp_path / "environments").iterdir())
