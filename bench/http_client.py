"""Requests over kept-open connections by plain sockets, so that the client costs little beside what it measures:
`python -m bench.http_client PORT CONNECTIONS COUNT PREFIX TOKEN BODY`. Every answer must be 201."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import cast

import uvloop

from bench.contenders import say
from bench.figures import percentile


class Connection(asyncio.Protocol):
    """Sends the next request when the answer to the last has come."""

    def __init__(self, head: bytes, body: bytes, numbers: list[int], prefix: str, delays: list[float]) -> None:
        self._head, self._body, self._numbers, self._prefix, self._delays = head, body, numbers, prefix, delays
        self._buffer = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is no subclass of it
        self._send()

    def _send(self) -> None:
        if not self._numbers:
            self._transport.close()
            self.done.set_result(None)
            return
        number = self._numbers.pop()
        self._began = time.perf_counter()
        self._transport.write(self._head % f"{self._prefix}-{number}".encode() + self._body)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        if len(rest) < length:
            return
        if not head.startswith(b"HTTP/1.1 201"):
            self.done.set_exception(RuntimeError(self._buffer.decode()[:2000]))
            return
        self._delays.append((time.perf_counter() - self._began) * 1000)
        self._buffer = b""
        self._send()


async def main(port: int, connections: int, count: int, prefix: str, token: str, body: str) -> None:
    """Say the rate and the percentiles."""
    head = (
        f"POST /contacts HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nIdempotency-Key: %b\r\n\r\n"
    ).encode()
    numbers, delays = list(range(count)), list[float]()
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    made = await asyncio.gather(
        *(
            loop.create_connection(lambda: Connection(head, body.encode(), numbers, prefix, delays), "127.0.0.1", port)
            for _ in range(connections)
        )
    )
    await asyncio.gather(*(protocol.done for _, protocol in made))
    took = time.perf_counter() - began
    say(rate=count / took, p50=percentile(delays, 0.5), p99=percentile(delays, 0.99))


if __name__ == "__main__":
    where, many, number, called, bearer, sent = sys.argv[1:]
    uvloop.run(main(int(where), int(many), int(number), called, bearer, sent))
