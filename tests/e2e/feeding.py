"""ledger-feed run as a bank runs it: its own process, a token for client-service, the real Kafka."""

import asyncio
import gzip
import sys
from pathlib import Path

from bus import DATA
from localplatform.testing import RunningPlatform

SALES = DATA / "vat-invoices" / "sales.csv.gz"


async def feed(platform: RunningPlatform, state: Path, file: Path, shape: str, entity: str, *options: str) -> str:
    """Run `ledger-feed feed` to its end and give back what it said. AssertionError when it failed."""
    arguments = [str(file), "--shape", shape, "--entity", entity, "--state-dir", str(state)]
    arguments += ["--bootstrap", platform.kafka_bootstrap, "--client-api", platform.urls["client"]]
    arguments += ["--token", platform.token("bank_system", entity), *options]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ledger_feed", "feed", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


def some_rows(path: Path, client: str, most: int, *, every: int = 1) -> Path:
    """A file of this client's first real invoices, or of each `every`-th of them."""
    with gzip.open(SALES, "rt", encoding="utf-8") as whole:
        header, *lines = whole.read().splitlines()
    own = [line for line in lines if line.startswith(f"{client},")]
    path.write_text("\n".join([header, *own[::every][:most]]) + "\n")
    return path
