"""ledger-feed run as a bank runs it: its own process, a token for client-service, the real Kafka."""

import asyncio
import sys
from pathlib import Path

from localplatform.testing import RunningPlatform


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
