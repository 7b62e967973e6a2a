"""What kind of failure an exception is, and so whether to wait, to try again, or to park.

Connectivity is nobody's fault and is waited out for ever; a row-level conflict is tried again a few times; everything
else is a fact raised about the event.
"""

import errno
import socket
from collections.abc import Iterator
from enum import Enum

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout


class Failure(Enum):
    """What to do about an exception."""

    CONNECTIVITY = "wait"
    ROW = "retry"
    FACT = "park"


_ROW = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
)
_CONNECTIVITY = (
    ConnectionError,
    TimeoutError,
    socket.gaierror,
    PoolTimeout,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidAuthorizationSpecificationError,
)
_UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN}


def kind_of(error: BaseException) -> Failure:
    """The kind of `error`, seen through whatever wraps it."""
    chain = list(_chain(error))
    if any(isinstance(each, _ROW) for each in chain):
        return Failure.ROW
    return Failure.CONNECTIVITY if any(map(_is_connectivity, chain)) else Failure.FACT


def _is_connectivity(error: BaseException) -> bool:
    if isinstance(error, DBAPIError):
        return error.connection_invalidated
    if isinstance(error, asyncpg.InterfaceError):
        return "clos" in str(error)
    return isinstance(error, _CONNECTIVITY) or (isinstance(error, OSError) and error.errno in _UNREACHABLE)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, DBAPIError) and error.orig is not None:
            yield error.orig
        error = error.__cause__
