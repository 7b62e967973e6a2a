"""What a caller may state: of an open enumeration every value but UNKNOWN, which is for reading what others wrote."""

from datetime import UTC, datetime
from typing import Annotated, TypeVar

from pydantic import AfterValidator, AwareDatetime, Field

from contracts.base import OpenEnum
from servicekit import requests
from servicekit.problems import Invalid


class StaffNotStated(Invalid):
    """A contact or a visit names the member of staff who had it.

    Use a token with a staff id; systems that see all clients state `staff_id` in the body.
    """


E = TypeVar("E", bound=OpenEnum)


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Known = Annotated[E, AfterValidator(requests.known)]
Moment = Annotated[
    AwareDatetime,
    Field(ge=datetime(2000, 1, 1, tzinfo=UTC), le=datetime(2999, 12, 31, tzinfo=UTC)),
    AfterValidator(_in_utc),
    requests.AS_TIMESTAMP,
]
"""A moment in this millennium, stated with its offset; in UTC from here on."""
Text = Annotated[str, Field(min_length=1, max_length=8000)]
"""Free text: personal data, encrypted where it is stored and never on the bus."""
