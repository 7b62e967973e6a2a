"""What every request body keeps to."""

from typing import Annotated

import pytest
from pydantic import AfterValidator, ValidationError

from contracts.base import OpenEnum
from servicekit.requests import Body, known, printable


class Colour(OpenEnum):
    RED = "red"
    UNKNOWN = "unknown"


class Paint(Body):
    colour: Annotated[Colour, AfterValidator(known)]
    name: Annotated[str, AfterValidator(printable)]


def test_a_body_says_only_what_is_known_in_one_line() -> None:
    assert Paint.model_validate({"colour": "red", "name": " Signal red "}).name == "Signal red"
    for wrong in ({"colour": "unknown"}, {"colour": "new"}, {"name": "two\nlines"}, {"name": "a\x00"}, {"size": 1}):
        with pytest.raises(ValidationError):
            Paint.model_validate({"colour": "red", "name": "Signal red"} | wrong)
