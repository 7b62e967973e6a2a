"""What every request and answer of this service keeps to: money and ratios as decimal strings."""

from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field, PlainSerializer, Strict

from servicekit.requests import AS_DATE, Body, printable

Line = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(printable)]
Reason = Annotated[str, Field(min_length=10, max_length=1000), AfterValidator(printable)]
"""Enough words for a reader to understand the decision."""

DecimalText = Annotated[Decimal, PlainSerializer(lambda value: f"{value:f}", return_type=str, when_used="json")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code", examples=["CNY"])]
Positive = Annotated[Decimal, Field(gt=0, max_digits=18, decimal_places=4, allow_inf_nan=False), Strict(False)]
Day = Annotated[date, Field(ge=date(1990, 1, 1), le=date(2200, 1, 1), examples=["2026-11-02"]), AS_DATE]
"""A business date that a record can hold."""


def money(value: Decimal) -> Decimal:
    """At least two decimals; four only where the source had them."""
    cents = value.quantize(Decimal("0.01"))
    return cents if cents == value else value.quantize(Decimal("0.0001"))


class NewMoney(Body):
    """An amount in a currency."""

    amount: Positive = Field(examples=["500000.00"])
    currency: Currency
