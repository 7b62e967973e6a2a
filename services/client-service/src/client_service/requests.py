"""The texts that requests of this service take."""

from typing import Annotated

from pydantic import AfterValidator, Field

from servicekit.requests import printable

Line = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(printable)]
"""A line of text."""
