"""Children are started again when they die, stopped when told, and never outlive us."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from localplatform.processes import StartFailed, spawn
from localplatform.program import Program
from localplatform.supervisor import Supervisor

SERVE = """
import http.server, sys
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def server(name: str, port: int, directory: Path, script: str = SERVE) -> Program:
    (directory / f"{name}_program.py").write_text(script)
    environment = {"PYTHONPATH": str(directory)}
    return Program(
        name, [f"{name}_program", str(port)], environment, directory / f"{name}.log", ready=f"http://127.0.0.1:{port}/"
    )


def alive(pid: int) -> bool:
    """Neither gone nor a zombie that nobody has collected."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


async def until(condition: Callable[[], bool], patience: float = 20) -> None:
    async with asyncio.timeout(patience):
        while not condition():  # noqa: ASYNC110 (what is awaited is another process)
            await asyncio.sleep(0.05)


async def test_a_child_killed_outright_is_started_again_and_this_is_said(
    tmp_path: Path, unused_port: Callable[[], int]
) -> None:
    said: list[str] = []
    supervisor = Supervisor(said.append)
    await supervisor.add(server("web", unused_port(), tmp_path))
    child = supervisor.children["web"]
    first = child.pid
    try:
        supervisor.kill("web", signal.SIGKILL)
        await until(lambda: child.restarts == 1 and child.state == "running")
        assert child.pid not in (None, first)
        assert said == ["web ended (killed by SIGKILL); starting it again in 0.5 s", "web runs again"]
    finally:
        await supervisor.stop_all()
    assert child.pid is None


async def test_a_child_stopped_on_purpose_stays_stopped(tmp_path: Path, unused_port: Callable[[], int]) -> None:
    said: list[str] = []
    supervisor = Supervisor(said.append)
    await supervisor.add(server("web", unused_port(), tmp_path), server("other", unused_port(), tmp_path))
    await supervisor.stop("web")
    assert (supervisor.children["web"].state, supervisor.children["other"].state) == ("stopped", "running")
    await supervisor.start("web")
    assert supervisor.children["web"].state == "running"
    await supervisor.stop_all(("other",))
    assert [child.state for child in supervisor.children.values()] == ["stopped", "stopped"]
    assert said == []


async def test_a_child_that_keeps_dying_is_tried_ever_less_often(
    tmp_path: Path, unused_port: Callable[[], int]
) -> None:
    said: list[str] = []
    supervisor = Supervisor(said.append)
    web = server("web", unused_port(), tmp_path)
    await supervisor.add(web)
    (tmp_path / "web_program.py").write_text("import sys; print('no such table'); sys.exit(3)")
    supervisor.kill("web")
    await until(lambda: len(said) >= 5)
    await supervisor.stop_all()
    assert [line for line in said if "again" in line] == [
        "web ended (killed by SIGKILL); starting it again in 0.5 s",
        "web ended (code 3); starting it again in 1 s",
        "web ended (code 3); starting it again in 2 s",
    ]
    assert "no such table" in said[1]


async def test_a_child_that_does_not_come_up_shows_the_end_of_its_log(
    tmp_path: Path, unused_port: Callable[[], int]
) -> None:
    supervisor = Supervisor(print)
    with pytest.raises(StartFailed, match=r"(?s)web ended with code 1.*DATABASE_URL is missing"):
        await supervisor.add(server("web", unused_port(), tmp_path, "raise SystemExit('DATABASE_URL is missing')"))
    await supervisor.stop_all()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has died")
async def test_children_die_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(
        "import asyncio, sys\nfrom pathlib import Path\nfrom localplatform.processes import spawn\n"
        "async def main():\n"
        "    child = await spawn([sys.executable, '-c', 'import time; time.sleep(60)'], log=Path('child.log'))\n"
        "    Path('pid').write_text(str(child.pid))\n"
        "    await child.wait()\n"
        "asyncio.run(main())\n"
    )
    parent = await spawn([sys.executable, "parent.py"], log=tmp_path / "parent.log", directory=tmp_path)
    await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")
    child = int((tmp_path / "pid").read_text())
    os.kill(parent.pid, signal.SIGKILL)
    await parent.wait()
    await until(lambda: not alive(child))
