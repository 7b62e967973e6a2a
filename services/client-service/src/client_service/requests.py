"""What every request body keeps to: no unknown fields, no control characters, no value that says nothing."""

from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from contracts.base import OpenEnum

K = TypeVar("K", bound=OpenEnum)


class Body(BaseModel):
    """A request body."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, frozen=True)


def _printable(text: str) -> str:
    if not all(each.isprintable() for each in text):
        raise ValueError("control characters and line breaks are not allowed")
    return text


Line = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
"""A line of text."""


def known(value: K) -> K:
    """UNKNOWN is how an event's new value is read; nobody may write it."""
    if value.name == "UNKNOWN":
        raise ValueError("not a known value")
    return value
