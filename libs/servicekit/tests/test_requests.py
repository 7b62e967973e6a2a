"""What every request body keeps to."""

from datetime import UTC, date, datetime
from typing import Annotated

import pytest
from pydantic import AfterValidator, ValidationError

from contracts.base import OpenEnum
from servicekit.requests import Body, Date, Timestamp, known, printable


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


class Plan(Body):
    on: Date
    at: Timestamp


def test_dates_and_moments_are_written_as_such() -> None:
    """Pydantic takes 0, "0.5" and a moment at midnight for a date, and seconds since 1970 for a moment."""
    plan = Plan.model_validate({"on": "2026-11-03", "at": "2026-11-03T10:15:00+08:00"})
    assert (plan.on, plan.at) == (date(2026, 11, 3), datetime(2026, 11, 3, 2, 15, tzinfo=UTC))
    assert Plan(on=plan.on, at=plan.at) == plan
    for field, wrong in (
        *(("on", value) for value in (0, "0", "2026-11-03T00:00:00Z", "20261103")),
        *(("at", value) for value in (0, 0.5, "0.5", "1762136100", "2026-11-03")),
    ):
        with pytest.raises(ValidationError):
            Plan.model_validate({"on": "2026-11-03", "at": "2026-11-03T10:15:00+08:00", field: wrong})
