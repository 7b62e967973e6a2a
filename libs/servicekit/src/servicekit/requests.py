"""What every request keeps to: no unknown fields, no control characters, no value that says nothing, dates as dates."""

import re
from datetime import date
from typing import Annotated, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict

from contracts.base import OpenEnum

E = TypeVar("E", bound=OpenEnum)


class Body(BaseModel):
    """A request body."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, frozen=True)


def printable(text: str) -> str:
    """For `AfterValidator`: one line of text."""
    if not all(each.isprintable() for each in text):
        raise ValueError("control characters and line breaks are not allowed")
    return text


def known(value: E) -> E:
    """For `AfterValidator`: UNKNOWN is how an event's new value is read; nobody may write it."""
    if value.name == "UNKNOWN":
        raise ValueError("not a known value")
    return value


def _written(form: str) -> BeforeValidator:
    def check(value: object) -> object:
        if isinstance(value, int | float) or (isinstance(value, str) and not re.match(form, value)):
            raise ValueError("must be written as in RFC 3339")
        return value

    return BeforeValidator(check)


AS_DATE = _written(r"\d{4}-\d\d-\d\d$")
AS_TIMESTAMP = _written(r"\d{4}-\d\d-\d\d[Tt ]")
Date = Annotated[date, AS_DATE]
"""A date, written as one: Pydantic would take a number of seconds and a moment at midnight as well."""
Timestamp = Annotated[AwareDatetime, AS_TIMESTAMP]
"""A moment with its offset, written as one."""
