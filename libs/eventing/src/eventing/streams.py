"""The fetch loop: FastStream reads each topic in raw batches, and the database says where to read.

FastStream swallows whatever leaves a parser, decoder or handler and counts the batch as processed, so nothing may leave
ours: the parser copies nothing, decoding is `records`', and failures become pauses and seeks.
"""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eventing.inbox import Consumer


@dataclass(slots=True)
class Stream:
    """One group's reading of one topic.

    `begins`: partition → the position at which the records in hand begin: the seek point or the previous batch's end.
    """

    topic: str
    begins: dict[int, int] = field(default_factory=dict[int, int])
    careful: set[int] = field(default_factory=set[int])
    attempted: dict[int, int] = field(default_factory=dict[int, int])
    moved: set[int] = field(default_factory=set[int])

    def seek(self, partition: int, offset: int) -> None:
        """Read on from `offset`; what was fetched from elsewhere is dropped."""
        self.moved.add(partition)
        self.begins[partition] = offset


async def run_streams(consumer: "Consumer", stop: asyncio.Event) -> None:
    await stop.wait()
