"""What every event is made of: money, tokens, enumerations, and the Event base itself.

An event is frozen, strict about types when it is built in Python, and ignores unknown fields when it is read. Nothing
here admits free text: strings are ids, codes or tokens limited by a pattern, so that no personal data reaches the bus.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal, Self, cast, get_args
from uuid import UUID, uuid5

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from contracts.describe import example_of, writers_schema

PARTY_NAMESPACE: Final = UUID("6f1c8a52-0d5b-5c0e-9b55-2f6f3a7f4f10")

System = Literal[
    "client", "risk", "engagement", "performance",
    "ledger", "registry", "collection", "gateway", "kyc", "hr", "market", "reporting",
]  # fmt: skip
"""Who publishes or relies on an event: our four services, the bank's systems, and its reporting."""

SYSTEMS: Final[frozenset[str]] = frozenset(get_args(System))

# --- scalars ----------------------------------------------------------------------------------------------------------


def _plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.removeprefix("-") if value.is_zero() else text


@dataclass(frozen=True, slots=True)
class DecimalString:
    """Marks a Decimal that is a plain decimal string on the wire, with this many digits before and after the point.

    A float is refused: it has already lost what was meant. `rounds` rounds half-even where Python code hands in more
    places, which suits ratios; money refuses them.
    """

    integral: int
    places: int
    rounds: bool
    example: str

    @property
    def pattern(self) -> str:
        return rf"^-?(0|[1-9][0-9]{{0,{self.integral - 1}}})(\.[0-9]{{1,{self.places}}})?$"

    def exact(self, value: object) -> Decimal:
        """The Decimal meant by a Decimal, int or decimal string; ValueError for anything else or too long."""
        if isinstance(value, str) and not re.fullmatch(self.pattern, value):
            raise ValueError("not a plain decimal number")
        if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
            raise ValueError("a decimal is given as Decimal, int or decimal string, never as a float")  # noqa: TRY004 (Pydantic reports ValueError only)
        number = Decimal(value)
        if not number.is_finite():
            raise ValueError("not a finite number")
        if cast(int, number.as_tuple().exponent) < -self.places:
            rounded = round(number, self.places)
            if not self.rounds and rounded != number:
                raise ValueError(f"at most {self.places} decimal places")
            number = rounded.normalize()
        if abs(number) >= 10**self.integral:
            raise ValueError(f"at most {self.integral} digits before the point")
        return number

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        read = core_schema.chain_schema(
            [core_schema.str_schema(pattern=self.pattern, strict=True), core_schema.decimal_schema(strict=False)]
        )
        return core_schema.json_or_python_schema(
            json_schema=read,
            python_schema=core_schema.no_info_plain_validator_function(self.exact),
            serialization=core_schema.plain_serializer_function_ser_schema(
                _plain, return_schema=core_schema.str_schema(), when_used="json"
            ),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": self.pattern, "examples": [self.example]}


Number = Annotated[Decimal, DecimalString(integral=18, places=12, rounds=True, example="0.1378")]
"""A ratio, score or measure: a decimal string on the wire, rounded half-even to 12 places."""

Amount = Annotated[Decimal, DecimalString(integral=16, places=4, rounds=False, example="125000.00")]
"""A sum of money without its currency; only Money uses it."""

EntityId = Annotated[
    str,
    Field(pattern=r"^[A-Z0-9][A-Z0-9-]{1,31}$", examples=["DEMO-FACTOR"], description="The legal entity concerned."),
]
BranchId = Annotated[
    str,
    Field(pattern=r"^[A-Z0-9][A-Z0-9-]{1,31}$", examples=["DEMO-FACTOR-SH"], description="The branch, if any."),
]
UnitCode = Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9-]{1,63}$", examples=["DEMO-FACTOR"])]
Code = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$", examples=["C26"])]
"""A value of some published code list or configuration: a rule, a KPI, an industry, a product."""
Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/#+-]{0,127}$", examples=["CORE-2026-000731"])]
"""A number or reference another system uses; no spaces, so nothing can be told in it."""
Hash = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-f]{64}$",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
        description="SHA-256, lower-case hexadecimal.",
    ),
]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", examples=["CNY"], description="ISO 4217 code.")]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$", examples=["CN"], description="ISO 3166-1 alpha-2 code.")]
Period = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{4}(-(0[1-9]|1[0-2])|-Q[1-4])?$",
        examples=["2026-10"],
        description="A month, quarter or year: 2026-10, 2026-Q4, 2026.",
    ),
]
Version = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$", examples=["behaviour-1.0"])]
Count = Annotated[int, Field(ge=0, examples=[12])]


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("a moment outside of the years 1 to 9999, in UTC") from None


Instant = Annotated[AwareDatetime, AfterValidator(_in_utc), Field(examples=["2026-11-03T02:15:00Z"])]
"""A moment, in UTC; a naive one is refused."""


def party_id(system: str, number: str) -> UUID:
    """The id by which the bus knows a party that another system numbers: the same on every machine and for ever.

    `system` is the other system's code and holds no colon, so that no two pairs share an id; ValueError otherwise.
    """
    if not system or not number or ":" in system:
        raise ValueError("a party is identified by a system's code (no colon in it) and a number")
    return uuid5(PARTY_NAMESPACE, f"{system}:{number}")


# --- money ------------------------------------------------------------------------------------------------------------


class CurrencyMismatch(ValueError):
    """Amounts of two currencies were added or compared; there is no rate in the bus."""


class Value(BaseModel):
    """A frozen part of an event."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, defer_build=True)


class Money(Value):
    """An amount in a currency; arithmetic refuses two currencies."""

    amount: Amount
    currency: Currency

    def _of(self, other: Self) -> Decimal:
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency}")
        return other.amount

    def __add__(self, other: Self) -> Self:
        return type(self)(amount=self.amount + self._of(other), currency=self.currency)

    def __sub__(self, other: Self) -> Self:
        return type(self)(amount=self.amount - self._of(other), currency=self.currency)

    def __neg__(self) -> Self:
        return type(self)(amount=-self.amount, currency=self.currency)

    def __abs__(self) -> Self:
        return type(self)(amount=abs(self.amount), currency=self.currency)

    def __lt__(self, other: Self) -> bool:
        return self.amount < self._of(other)

    def __le__(self, other: Self) -> bool:
        return self.amount <= self._of(other)

    def __gt__(self, other: Self) -> bool:
        return self.amount > self._of(other)

    def __ge__(self, other: Self) -> bool:
        return self.amount >= self._of(other)

    @classmethod
    def zero(cls, currency: str) -> Self:
        return cls(amount=Decimal(0), currency=currency)


# --- enumerations -----------------------------------------------------------------------------------------------------


class OpenEnum(StrEnum):
    """An enumeration that may grow: read from JSON, a value not known here becomes the subclass's UNKNOWN.

    Code that builds an event must name a known value; UNKNOWN is never written (see `wire.to_wire`).
    """

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[Self], handler: GetCoreSchemaHandler) -> CoreSchema:
        unknown = cls["UNKNOWN"]

        def read(value: object, inner: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
            try:
                return inner(value)
            except ValidationError:
                if info.mode == "json" and isinstance(value, str):
                    return unknown
                raise

        return core_schema.with_info_wrap_validator_function(read, handler(source))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        described = handler(schema)
        definition = handler.resolve_ref_schema(described)
        definition["enum"] = [member.value for member in cls if member.name != "UNKNOWN"]
        definition["x-open"] = True
        return described


# --- events -----------------------------------------------------------------------------------------------------------

FOREVER: Final = None


@dataclass(frozen=True, slots=True)
class Topic:
    """A Kafka topic: its settings are part of the contract. `retention` None keeps for ever."""

    name: str
    retention: timedelta | None = FOREVER
    restricted: bool = False
    partitions: int = 12
    max_bytes: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Publisher:
    """The one owner of some facts, and the topic it tells them on."""

    name: System
    topic: Topic


@dataclass(frozen=True, slots=True)
class Meta:
    """What the bus knows of a delivered event. `known_at` is the broker's timestamp."""

    id: UUID
    known_at: datetime
    key: str
    topic: str
    partition: int
    offset: int
    correlation_id: str | None = None
    causation_id: str | None = None
    actor: str | None = None
    traceparent: str | None = None


class Event(BaseModel):
    """A fact its publisher tells, for ever. Subclasses name publisher, name, key field and who may rely on it."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, defer_build=True)

    ce_type: ClassVar[str] = ""
    topic: ClassVar[str] = ""
    key_field: ClassVar[str] = ""
    anonymous: ClassVar[bool] = False
    restricted: ClassVar[bool] = False
    publisher: ClassVar[Publisher | None] = None
    rely: ClassVar[tuple[System, ...]] = ()

    entity_id: EntityId
    branch_id: BranchId | None = None
    occurred_at: Instant
    source_ref: Token | None = Field(default=None, description="The other system's record behind this fact.")

    _meta: Meta | None = PrivateAttr(default=None)

    def __init_subclass__(
        cls,
        *,
        publisher: Publisher | None = None,
        name: str = "",
        key: str = "",
        rely: tuple[System, ...] = (),
        version: int = 1,
        anonymous: bool = False,
    ) -> None:
        super().__init_subclass__()
        if publisher is None:
            return
        cls.publisher = publisher
        cls.ce_type = f"factoring.{publisher.name}.{name}.v{version}"
        cls.topic = publisher.topic.name
        cls.restricted = publisher.topic.restricted
        cls.key_field = key
        cls.rely = rely
        cls.anonymous = anonymous

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: object) -> None:
        key = cls.model_fields.get(cls.key_field)
        if cls.publisher is not None and (key is None or not key.is_required()):
            raise TypeError(f"{cls.__name__}: the key is a required field, so that it is never null")

    @property
    def key(self) -> str:
        """The partition key: what this event's order is kept by."""
        return str(getattr(self, self.key_field))

    @property
    def meta(self) -> Meta | None:
        """How it was delivered; None for an event that was not."""
        return self._meta

    def delivered(self, meta: Meta) -> Self:
        """This event, now knowing how it came."""
        self._meta = meta
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Event) and type(self) is type(other) and vars(self) == vars(other)

    @classmethod
    def example(cls) -> Self:
        """A valid, realistic instance, built from the examples the fields declare."""
        return cls.model_validate_json(json.dumps(example_of(writers_schema(cls))))
