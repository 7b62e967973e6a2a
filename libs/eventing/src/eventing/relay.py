"""The relay (being written)."""

import asyncio

from eventing.kafka import KafkaSettings


class LeaseLost(Exception):
    """Another relay has taken over; this process must end."""


class Relay:
    def __init__(self, direct_dsn: str, kafka: KafkaSettings, *, name: str = "relay") -> None:
        self._dsn = direct_dsn

    async def run(self, stop: asyncio.Event) -> None:
        await stop.wait()
