"""The lock and what is fetched by it, from a Maven repository of the test's own."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from localplatform import artifacts
from localplatform.artifacts import Artifact, DownloadFailed, HashMismatch, fetch, read_lock

CONTENT = bytes(range(256)) * 4000
GOOD = Artifact("x", "org.example:thing:1.0", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


class Repository:
    """Answers GET; may cut an answer short, leave Range unheeded, or know nothing."""

    def __init__(self) -> None:
        self.content, self.cut, self.ranges, self.status = CONTENT, 0, True, 200
        self.asked: list[tuple[str, str | None]] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        wanted = re.search(r"range: bytes=(\d+)-", head, re.IGNORECASE)
        self.asked.append((head.split()[1], wanted[1] if wanted else None))
        start = int(wanted[1]) if wanted and self.ranges else 0
        status = self.status if self.status != 200 else 206 if start else 200
        body = self.content[start:]
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n".encode())
        writer.write(body[: self.cut or None])
        self.cut = 0
        await writer.drain()
        writer.close()


@pytest_asyncio.fixture
async def repository(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Repository]:
    repository = Repository()
    server = await asyncio.start_server(repository.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    monkeypatch.setenv(artifacts.MIRROR, f"http://127.0.0.1:{port}/maven")
    async with server:
        yield repository


def test_a_coordinate_may_name_its_packaging(tmp_path: Path) -> None:
    zipped = Artifact("x", "org.example:thing:1.0@zip", 1, "")
    assert zipped.path(tmp_path).name == "thing-1.0.zip"
    assert GOOD.path(tmp_path).name == "thing-1.0.jar"


async def fetched(artifact: Artifact, cache: Path) -> Path:
    (path,) = await asyncio.to_thread(fetch, [artifact], cache)
    return path


def test_the_lock_names_each_artifact_once_with_size_and_hash() -> None:
    lock = read_lock()
    assert len({artifact.coordinate for artifact in lock}) == len(lock)
    assert all(re.fullmatch(r"[0-9a-f]{64}", artifact.sha256) and artifact.size > 0 for artifact in lock)
    sections = [artifact.section for artifact in lock]
    assert sections.count("kafka") == 46
    assert {"postgresql/linux-amd64", "postgresql/linux-arm64v8", "postgresql/darwin-arm64v8"} <= set(sections)
    assert "://" not in artifacts.LOCK.read_text()


async def test_an_artifact_comes_from_the_mirror_by_its_maven_path(repository: Repository, tmp_path: Path) -> None:
    path = await fetched(GOOD, tmp_path)
    assert path.read_bytes() == CONTENT
    assert repository.asked == [("/maven/org/example/thing/1.0/thing-1.0.jar", None)]
    await fetched(GOOD, tmp_path)
    assert len(repository.asked) == 1


async def test_another_content_is_refused_and_thrown_away(repository: Repository, tmp_path: Path) -> None:
    repository.content = b"evil" + CONTENT[4:]
    with pytest.raises(HashMismatch, match=r"thing:1\.0 arrived with .* but the lock names .*FACTORING_CRM_MAVEN"):
        await fetched(GOOD, tmp_path)
    assert not GOOD.path(tmp_path).exists()
    assert not GOOD.path(tmp_path).with_name("thing-1.0.jar.part").exists()


@pytest.mark.parametrize("ranges", [True, False], ids=["resumes", "starts over"])
async def test_a_download_cut_short_is_completed(repository: Repository, tmp_path: Path, ranges: bool) -> None:
    repository.cut, repository.ranges = 300_000, ranges
    assert (await fetched(GOOD, tmp_path)).read_bytes() == CONTENT
    assert len(repository.asked) == 2
    assert 0 < int(repository.asked[1][1] or 0) <= 300_000


async def test_a_download_goes_on_where_an_earlier_start_stopped(repository: Repository, tmp_path: Path) -> None:
    part = GOOD.path(tmp_path).with_name("thing-1.0.jar.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[:1000])
    assert (await fetched(GOOD, tmp_path)).read_bytes() == CONTENT
    assert [wanted for _, wanted in repository.asked] == ["1000"]
    assert not part.exists()


async def test_a_partial_file_of_something_else_does_no_harm(repository: Repository, tmp_path: Path) -> None:
    part = GOOD.path(tmp_path).with_name("thing-1.0.jar.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"?" * 1000)
    with pytest.raises(HashMismatch):
        await fetched(GOOD, tmp_path)
    assert (await fetched(GOOD, tmp_path)).read_bytes() == CONTENT


async def test_a_repository_that_lacks_it_is_told_with_the_way_out(repository: Repository, tmp_path: Path) -> None:
    repository.status = 404
    with pytest.raises(DownloadFailed, match=r"the Maven repository answered 404.*FACTORING_CRM_MAVEN_MIRROR"):
        await fetched(GOOD, tmp_path)


def test_no_network_is_said_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, unused_port: Callable[[], int]
) -> None:
    monkeypatch.setenv(artifacts.MIRROR, f"http://127.0.0.1:{unused_port()}")
    with pytest.raises(DownloadFailed, match="Check the network and HTTPS_PROXY, or name a Maven mirror"):
        fetch([GOOD], tmp_path)
