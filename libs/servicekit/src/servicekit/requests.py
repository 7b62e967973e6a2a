"""What every request body keeps to: no unknown fields, no control characters, no value that says nothing."""

from typing import TypeVar

from pydantic import BaseModel, ConfigDict

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
