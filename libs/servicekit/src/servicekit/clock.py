"""The injectable clock: wall time enters feature code only as the `now: Now` parameter, so that tests can set it."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Depends, Request

from servicekit.runtime import runtime_of


def wall_time() -> datetime:
    """The machine's time, UTC."""
    return datetime.now(UTC)


class Clock:
    """A clock that tests set: it stands still at the moment given, and moves by `advance`."""

    def __init__(self, at: datetime | None = None) -> None:
        self._fixed = at

    def __call__(self) -> datetime:
        return self._fixed or wall_time()

    def set(self, at: datetime) -> None:
        """Stand still at this moment (timezone-aware)."""
        if at.tzinfo is None:
            raise ValueError("a clock needs a timezone-aware moment")
        self._fixed = at.astimezone(UTC)

    def advance(self, by: timedelta) -> datetime:
        """Move on by this much and stand there."""
        self.set(self() + by)
        return self()


def now(request: Request) -> datetime:
    """The moment of the request by the service's clock, UTC."""
    return runtime_of(request).clock()


Now = Annotated[datetime, Depends(now)]
