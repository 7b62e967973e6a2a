"""Money, numbers, enumerations and time: what may be said at all."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts import BusinessDayClosed, Event, Money, Publisher, RatingAssigned, StaffJoined, Topic, party_id
from contracts.base import CurrencyMismatch, Number, OpenEnum, Value
from contracts.client import LifecycleChanged, SizeClass, Stage

CNY = "CNY"
amounts = st.decimals(min_value=Decimal("-9999999999"), max_value=Decimal("9999999999"), places=4)


def yuan(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency=CNY)


class Measured(Value):
    value: Number


def test_money_adds_and_subtracts_in_one_currency() -> None:
    assert yuan("100.10") + yuan("0.90") == yuan("101.00")
    assert yuan("1") - yuan("3") == yuan("-2") == -yuan("2")
    assert abs(yuan("-2")) == yuan("2")
    assert yuan("1") < yuan("2") <= yuan("2")


def test_money_of_two_currencies_neither_adds_nor_compares() -> None:
    dollars = Money(amount=Decimal(1), currency="USD")
    for operation in (Money.__add__, Money.__sub__, Money.__lt__, Money.__le__, Money.__gt__, Money.__ge__):
        with pytest.raises(CurrencyMismatch):
            operation(yuan("1"), dollars)


@given(amounts, amounts)
def test_adding_then_subtracting_money_gives_it_back(one: Decimal, other: Decimal) -> None:
    first, second = Money(amount=one, currency=CNY), Money(amount=other, currency=CNY)
    assert first + second - second == first


@given(amounts)
def test_money_comes_back_from_json_as_it_went(amount: Decimal) -> None:
    money = Money(amount=amount, currency=CNY)
    assert Money.model_validate_json(money.model_dump_json()) == money


@pytest.mark.parametrize(
    "json",
    [
        '{"amount": 1.5, "currency": "CNY"}',
        '{"amount": 1, "currency": "CNY"}',
        '{"amount": "1.23456", "currency": "CNY"}',
        '{"amount": "1e3", "currency": "CNY"}',
        '{"amount": "NaN", "currency": "CNY"}',
        '{"amount": "１", "currency": "CNY"}',
        '{"amount": "12345678901234567", "currency": "CNY"}',
        '{"amount": "1", "currency": "cny"}',
    ],
)
def test_money_is_a_plain_decimal_string_and_a_currency_code(json: str) -> None:
    with pytest.raises(ValidationError):
        Money.model_validate_json(json)


@pytest.mark.parametrize(
    "amount", [0.1, True, None, Decimal("NaN"), Decimal("1.00001"), Decimal("1E16"), "1_0", "1e3", " 1"]
)
def test_no_code_can_make_money_of_a_float_or_more_than_four_places(amount: object) -> None:
    with pytest.raises(ValidationError):
        Money.model_validate({"amount": amount, "currency": CNY})


def test_large_and_zero_amounts_are_written_plainly() -> None:
    assert yuan("1E+3").model_dump_json() == '{"amount":"1000","currency":"CNY"}'
    assert yuan("-0.00").model_dump_json() == '{"amount":"0.00","currency":"CNY"}'


def test_a_ratio_is_rounded_to_twelve_places_half_even() -> None:
    assert Measured(value=Decimal(1) / 3).model_dump_json() == '{"value":"0.333333333333"}'
    assert Measured(value=Decimal("0.0000000000005")).value == 0
    assert Measured(value=Decimal("0.0000000000015")).value == Decimal("0.000000000002")


@given(st.decimals(min_value=-1000, max_value=1000, allow_nan=False))
def test_any_ratio_comes_back_from_json_as_it_went(value: Decimal) -> None:
    measured = Measured(value=value)
    assert Measured.model_validate_json(measured.model_dump_json()) == measured


def test_an_unknown_value_of_an_open_enumeration_reads_as_unknown() -> None:
    class Sized(Value):
        size: SizeClass
        others: tuple[SizeClass, ...] = ()

    read = Sized.model_validate_json('{"size": "gigantic", "others": ["small", "tiny"]}')
    assert (read.size, read.others) == (SizeClass.UNKNOWN, (SizeClass.SMALL, SizeClass.UNKNOWN))


def test_an_open_enumeration_still_refuses_what_is_no_word_and_code_must_name_a_known_value() -> None:
    class Sized(Value):
        size: SizeClass

    for wrong in ("7", "null", '["small"]'):
        with pytest.raises(ValidationError):
            Sized.model_validate_json(f'{{"size": {wrong}}}')
    with pytest.raises(ValidationError):
        Sized.model_validate({"size": "gigantic"})


def test_an_unknown_value_of_a_closed_enumeration_is_refused() -> None:
    told = LifecycleChanged.example().model_dump_json().replace(Stage.ACTIVE.value, "retired")
    with pytest.raises(ValidationError, match="to_stage"):
        LifecycleChanged.model_validate_json(told)


def test_every_open_enumeration_has_its_unknown() -> None:
    ours = [each for each in OpenEnum.__subclasses__() if each.__module__.startswith("contracts.")]
    assert {each["UNKNOWN"].value for each in ours} == {"UNKNOWN"}


def test_a_naive_time_is_refused_and_an_aware_one_becomes_utc() -> None:
    fields = vars(StaffJoined.example())
    with pytest.raises(ValidationError, match="timezone"):
        StaffJoined.model_validate(fields | {"occurred_at": datetime(2026, 11, 3)})  # noqa: DTZ001 (the point)
    with pytest.raises(ValidationError):
        StaffJoined.model_validate_json(StaffJoined.example().model_dump_json().replace("00Z", "00"))
    shanghai = datetime(2026, 11, 3, 7, tzinfo=timezone(timedelta(hours=8)))
    told = StaffJoined.model_validate(fields | {"occurred_at": shanghai})
    assert told.occurred_at.tzinfo is UTC
    assert told.occurred_at.date() == date(2026, 11, 2)


def test_nothing_is_coerced() -> None:
    fields = vars(RatingAssigned.example())
    for name, wrong in (("override", "yes"), ("valid_until", "2027-01-01"), ("client_id", "x"), ("pd", 0.02)):
        with pytest.raises(ValidationError, match=name):
            RatingAssigned.model_validate(fields | {name: wrong})


def test_an_event_is_frozen_and_ignores_what_it_does_not_know() -> None:
    event = StaffJoined.example()
    with pytest.raises(ValidationError, match="frozen"):
        event.entity_id = "OTHER"
    newer = event.model_dump_json().replace("{", '{"invented_later": 1, ', 1)
    assert StaffJoined.model_validate_json(newer) == event


def test_a_party_of_another_system_always_has_the_same_id() -> None:
    assert party_id("core-ledger", "S-004711") == UUID("ec09665b-f271-523b-bd18-a952ca8f69ad")
    assert party_id("a", "b") == party_id("a", "b") != party_id("b", "a")


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_no_two_parties_share_an_id(system: str, number: str, other_system: str, other_number: str) -> None:
    if ":" in system or ":" in other_system:
        with pytest.raises(ValueError, match="colon"):
            party_id(":" + system, number)
        return
    same = (system, number) == (other_system, other_number)
    assert (party_id(system, number) == party_id(other_system, other_number)) is same


def test_an_event_needs_a_key_that_is_never_null() -> None:
    publisher = Publisher("risk", Topic("test.events"))
    for key in ("", "branch_id"):
        with pytest.raises(TypeError, match="key"):

            class _Keyless(Event, publisher=publisher, name="keyless", key=key):  # pyright: ignore[reportUnusedClass] (defining it is the test)
                """Has no key."""


def test_a_day_close_is_keyed_like_what_it_counts() -> None:
    event = BusinessDayClosed.example()
    assert event.key == str(event.client_id)


def test_closed_enumerations_are_plain() -> None:
    assert issubclass(Stage, StrEnum)
    assert not issubclass(Stage, OpenEnum)
