"""Fetches the servers' artifacts named in the committed lock. A file appears under its name only when its SHA-256
matches the lock; an interrupted download goes on where it stopped. FACTORING_CRM_MAVEN_MIRROR names another repository
than Maven's central one."""

import fcntl
import hashlib
import os
import shutil
import ssl
import tarfile
import zipfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import certifi
import httpx
from jgo.constants import MAVEN_CENTRAL_URL
from jgo.maven import MavenContext

LOCK = Path(__file__).parents[2] / "artifacts.lock"
MIRROR = "FACTORING_CRM_MAVEN_MIRROR"
ATTEMPTS = 4


class DownloadFailed(Exception):
    """An artifact could not be fetched; the message says what to do."""


class HashMismatch(DownloadFailed):
    """What arrived is not what the lock names; nothing of it was kept."""


class Progress(Protocol):
    """Told of every piece that arrives; `total` is the size of all that is being fetched."""

    def __call__(self, name: str, done: int, total: int) -> None: ...


def silent(name: str, done: int, total: int) -> None:
    """Show nothing."""


@dataclass(frozen=True)
class Artifact:
    """One line of the lock. The coordinate is group:name:version[:classifier][@packaging], jar by default."""

    section: str
    coordinate: str
    size: int
    sha256: str

    def path(self, cache: Path) -> Path:
        """Where it lies in the cache, laid out as a Maven repository."""
        coordinate, _, packaging = self.coordinate.partition("@")
        group, name, version, *classifier = coordinate.split(":")
        component = MavenContext(repo_cache=cache / "maven").project(group, name).at_version(version)
        path = component.artifact(classifier[0] if classifier else "", packaging or "jar").cached_path
        if path is None:
            raise DownloadFailed(f"{self.coordinate} is not a Maven coordinate.")
        return path

    @property
    def name(self) -> str:
        return self.coordinate.split(":")[1]


def read_lock(path: Path = LOCK) -> tuple[Artifact, ...]:
    """Every artifact of the lock."""
    lines = (line.split() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#"))
    return tuple(Artifact(section, coordinate, int(size), sha256) for section, coordinate, size, sha256 in lines)


def missing(artifacts: Sequence[Artifact], cache: Path) -> list[Artifact]:
    """Those that are not in the cache yet."""
    return [artifact for artifact in artifacts if not artifact.path(cache).exists()]


def fetch(artifacts: Sequence[Artifact], cache: Path, progress: Progress = silent) -> list[Path]:
    """Their paths, in the order given; what is missing is downloaded and checked.

    Raises DownloadFailed when the repository does not answer or lacks one, HashMismatch when the content differs.
    """
    wanted = missing(artifacts, cache)
    if wanted:
        with exclusive(cache / "fetching.lock"):
            wanted = missing(artifacts, cache)
            done, total = 0, sum(artifact.size for artifact in wanted)
            for artifact in wanted:
                _download(artifact, cache, lambda n, a=artifact, d=done: progress(a.name, d + n, total))
                done += artifact.size
    return [artifact.path(cache) for artifact in artifacts]


@contextmanager
def exclusive(path: Path) -> Generator[None]:
    """Hold a file's lock; it falls by itself when the process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class _Tell(Protocol):
    def __call__(self, n: int) -> None: ...


def _download(artifact: Artifact, cache: Path, tell: _Tell) -> None:
    path = artifact.path(cache)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    repository = (os.environ.get(MIRROR) or MAVEN_CENTRAL_URL).rstrip("/")
    url = f"{repository}/{path.relative_to(cache / 'maven').as_posix()}"
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _receive(url, part, artifact, tell)
            break
        except httpx.HTTPStatusError as error:
            raise DownloadFailed(
                f"{artifact.coordinate}: the Maven repository answered {error.response.status_code}. "
                f"If your network has a mirror, name it in {MIRROR} and start again."
            ) from error
        except httpx.HTTPError as error:
            if attempt == ATTEMPTS:
                raise DownloadFailed(
                    f"{artifact.coordinate} could not be fetched ({error or type(error).__name__}). Check the "
                    f"network and HTTPS_PROXY, or name a Maven mirror in {MIRROR}; then start again: "
                    "what has arrived is kept."
                ) from error
    found = hashlib.sha256(part.read_bytes()).hexdigest()
    if found != artifact.sha256:
        part.unlink()
        raise HashMismatch(
            f"{artifact.coordinate} arrived with SHA-256 {found}, but the lock names {artifact.sha256}. "
            f"It was thrown away. Start again; if it happens again, the mirror or a proxy alters files: "
            f"name another one in {MIRROR}."
        )
    part.replace(path)


def _receive(url: str, part: Path, artifact: Artifact, tell: _Tell) -> None:
    """Append what is missing to the partial file; a repository that does not resume starts it over."""
    have = part.stat().st_size if part.exists() else 0
    if have >= artifact.size:
        if have > artifact.size:
            part.unlink()
            have = 0
        else:
            return
    headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"} if have else {"Accept-Encoding": "identity"}
    with httpx.stream("GET", url, headers=headers, timeout=30, follow_redirects=True, verify=_trusted()) as answer:
        answer.raise_for_status()
        resumed = answer.status_code == httpx.codes.PARTIAL_CONTENT.value
        have = have if resumed else 0
        with part.open("ab" if resumed else "wb") as file:
            for piece in answer.iter_raw():
                file.write(piece)
                have += len(piece)
                tell(have)
    if have < artifact.size:
        raise httpx.ReadError("the connection closed early")


def _trusted() -> ssl.SSLContext:
    """The system's certificate authorities (SSL_CERT_FILE first) and certifi's, since a minimal system has none."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def unpack_postgresql(jar: Path, artifact: Artifact, cache: Path) -> Path:
    """The directory of PostgreSQL's installation, unpacked once, whole or not at all."""
    target = cache / f"{artifact.section.replace('/', '-')}-{artifact.sha256[:12]}"
    if target.exists():
        return target
    with exclusive(cache / "unpacking.lock"):
        if target.exists():
            return target
        fresh = target.with_name(target.name + ".part")
        shutil.rmtree(fresh, ignore_errors=True)
        with zipfile.ZipFile(jar) as archive:
            inner = next(name for name in archive.namelist() if name.endswith(".txz"))
            with archive.open(inner) as packed, tarfile.open(fileobj=packed, mode="r:xz") as tar:
                # Python 3.11.2 (Debian 12) knows no filter argument; the archive's hash has been checked.
                tar.extraction_filter = getattr(tarfile, "tar_filter", None)
                tar.extractall(fresh)  # nosec B202 # noqa: S202 (its hash was checked)
        fresh.replace(target)
    return target
