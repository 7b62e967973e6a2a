"""What every request and answer of this service keeps to: no unknown fields; money and ratios as decimal strings."""

from datetime import date
from decimal import Decimal
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, Strict

from contracts.base import OpenEnum

K = TypeVar("K", bound=OpenEnum)


class Body(BaseModel):
    """A request body."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, frozen=True)


def _printable(text: str) -> str:
    if not all(each.isprintable() for each in text):
        raise ValueError("control characters and line breaks are not allowed")
    return text


Line = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_printable)]
Reason = Annotated[str, Field(min_length=10, max_length=1000), AfterValidator(_printable)]
"""Enough words for a reader to understand the decision."""


def known(value: K) -> K:
    """UNKNOWN is how an event's new value is read; nobody may write it."""
    if value.name == "UNKNOWN":
        raise ValueError("not a known value")
    return value


DecimalText = Annotated[Decimal, PlainSerializer(lambda value: f"{value:f}", return_type=str, when_used="json")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code", examples=["CNY"])]
Positive = Annotated[Decimal, Field(gt=0, max_digits=18, decimal_places=4, allow_inf_nan=False), Strict(False)]
Day = Annotated[date, Field(ge=date(1990, 1, 1), le=date(2200, 1, 1), examples=["2026-11-02"])]
"""A business date that a record can hold."""


def money(value: Decimal) -> Decimal:
    """At least two decimals; four only where the source had them."""
    cents = value.quantize(Decimal("0.01"))
    return cents if cents == value else value.quantize(Decimal("0.0001"))


class NewMoney(Body):
    """An amount in a currency."""

    amount: Positive = Field(examples=["500000.00"])
    currency: Currency
