"""Idempotency-Key on POST: the answer is stored in the transaction of the effect, so both exist or neither.

Same key and body: the stored answer, marked `Idempotency-Replayed: true`. Another body: 422. In flight: 409.
Kept 24 hours, per caller and operation. An answer that changed nothing (an error) is not stored.
"""

import hashlib
import re
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from fastapi import Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from eventing.session import write_last
from servicekit.problems import BadRequest, Conflict, Invalid
from servicekit.runtime import runtime_of
from servicekit.tables import idempotency

KEPT = timedelta(hours=24)
_KEY = re.compile(r"^[\x21-\x7e]{1,200}$")


class IdempotencyKeyReused(Invalid):
    """This Idempotency-Key was used for another request body.

    Make a new key for a new request.
    """


class RequestInFlight(Conflict):
    """A request with this Idempotency-Key is being worked on.

    Ask again in a moment, with the same key and body.
    """

    retry_after = 1
    constraint = "idempotency_pkey"


class Replayed(Exception):
    """Not an error: the answer of the first request with this key, to be sent again."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def key_of(request: Request) -> str | None:
    """The request's key, if its method takes one.

    Raises:
        BadRequest: not 1–200 printable characters.
    """
    if request.method != "POST":
        return None
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.match(key):
        raise BadRequest(detail="Idempotency-Key must be 1 to 200 printable ASCII characters.")
    return key


async def _fingerprint(request: Request) -> bytes:
    digest = hashlib.sha256(request.url.path.encode())
    digest.update(b"?" + request.scope.get("query_string", b"") + b"\0")
    digest.update(await request.body())
    return digest.digest()


_CLAIM = sa.text(
    "SELECT pg_try_advisory_xact_lock(:lock) AS free, i.fingerprint, i.status, i.headers, i.body,"
    " i.created_at <= :since AS old FROM (SELECT 1) AS one LEFT JOIN idempotency AS i"
    " ON i.subject = :subject AND i.operation = :operation AND i.key = :key"
).columns(idempotency.c.fingerprint, idempotency.c.status, idempotency.c.headers, idempotency.c.body, free=sa.Boolean)


async def claim(tx: AsyncSession, request: Request) -> None:
    """Take the request's key for this transaction: one statement, and none without a key.

    A first request that commits between the statement's snapshot and its lock is caught by the primary key.

    Raises:
        Replayed: it was done before. RequestInFlight, IdempotencyKeyReused.
    """
    key = key_of(request)
    if key is None:
        return
    subject, operation = request.state.principal.subject, request.state.operation
    lock = int.from_bytes(hashlib.sha256(f"{subject}\0{operation}\0{key}".encode()).digest()[:8], "big", signed=True)
    fingerprint = await _fingerprint(request)
    now = runtime_of(request).clock()
    values = {"lock": lock, "subject": subject, "operation": operation, "key": key, "since": now - KEPT}
    found = (await tx.execute(_CLAIM, values)).one()
    if found.old:
        mine = [idempotency.c[name] == values[name] for name in ("subject", "operation", "key")]
        await tx.execute(sa.delete(idempotency).where(*mine))
    elif found.status is not None:
        if found.fingerprint != fingerprint:
            raise IdempotencyKeyReused
        raise Replayed(_stored(found.status, found.headers, found.body))
    if not found.free:
        raise RequestInFlight
    request.state.claimed = {
        "subject": subject,
        "operation": operation,
        "key": key,
        "fingerprint": fingerprint,
        "created_at": now,
    }


def _stored(status: int, headers: list[list[str]], body: bytes) -> Response:
    response = Response(body, status_code=status)
    response.raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    response.headers["Idempotency-Replayed"] = "true"
    return response


def remember(tx: AsyncSession, request: Request, response: Response) -> None:
    """Store the answer with the effect, in the last statement of the transaction."""
    claimed: dict[str, Any] | None = getattr(request.state, "claimed", None)
    if claimed is None:
        return
    headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in response.raw_headers]
    write_last(
        tx, idempotency, {**claimed, "status": response.status_code, "headers": headers, "body": bytes(response.body)}
    )


async def forget_old(connection: AsyncConnection, before: Any) -> int:
    """Delete keys older than this moment; how many there were."""
    return (await connection.execute(sa.delete(idempotency).where(idempotency.c.created_at < before))).rowcount
