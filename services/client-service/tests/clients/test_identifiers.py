"""Identifiers: the real ones pass, altered ones do not, and equal ones are spelt alike."""

import csv
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from client_service.clients.identifiers import canonical
from contracts.client import RegistrationScheme

REGISTRY = Path(__file__).parents[5] / "shared" / "data" / "registry" / "lei.csv"
LEI_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
LEIS = ["549300YRNUQ0FK60YT75", "300300W93ET5MO6PS195", "3003003IQGE85PVQT589"]
CODES = ["9137100077633426XB", "91370600679228211U", "91320206MA1MML5X8N", "91371100MA3DF0DL00"]


def real_registry() -> list[dict[str, str]]:
    if not REGISTRY.exists():
        pytest.skip("the real registry's data (shared/data beside the checkout) is not on this machine")
    with REGISTRY.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_real_lei_passes() -> None:
    rows = real_registry()
    assert len(rows) == 4971
    for row in rows:
        assert canonical(RegistrationScheme.LEI, row["lei"], "") == row["lei"]


def test_every_real_social_credit_code_passes() -> None:
    codes = [
        row["registration_id"]
        for row in real_registry()
        if row["country"] == "CN" and len(row["registration_id"]) == 18 and row["registration_id"][0] == "9"
    ]
    assert len(codes) == 29
    for code in codes:
        assert canonical(RegistrationScheme.USCC, code, "") == code


@given(number=st.sampled_from(LEIS), at=st.integers(0, 19), by=st.sampled_from(LEI_ALPHABET))
def test_an_lei_with_another_character_is_refused(number: str, at: int, by: str) -> None:
    """MOD 97-10 counts a letter as two digits, so it promises this within digits and within letters only."""
    assume(by.isdigit() == number[at].isdigit())
    altered = number[:at] + by + number[at + 1 :]
    if altered != number:
        with pytest.raises(ValueError, match="LEI"):
            canonical(RegistrationScheme.LEI, altered, "")


@given(number=st.sampled_from(LEIS), at=st.integers(0, 18))
def test_an_lei_with_two_characters_exchanged_is_refused(number: str, at: int) -> None:
    assume(number[at].isdigit() == number[at + 1].isdigit())  # 1B and B1 are the same to it
    altered = number[:at] + number[at + 1] + number[at] + number[at + 2 :]
    if altered != number:
        with pytest.raises(ValueError, match="LEI"):
            canonical(RegistrationScheme.LEI, altered, "")


@pytest.mark.parametrize("digits", ["00", "01", "99"])
def test_check_digits_that_are_never_issued_are_refused(digits: str) -> None:
    written = (f"529900{n:012d}{digits}" for n in range(97))
    congruent = next(number for number in written if int(number) % 97 == 1)
    with pytest.raises(ValueError, match="form of an LEI"):
        canonical(RegistrationScheme.LEI, congruent, "")


@given(code=st.sampled_from(CODES), at=st.integers(0, 17), by=st.sampled_from(LEI_ALPHABET))
def test_a_social_credit_code_with_another_character_is_refused(code: str, at: int, by: str) -> None:
    altered = code[:at] + by + code[at + 1 :]
    if altered != code:
        with pytest.raises(ValueError, match="social credit code"):
            canonical(RegistrationScheme.USCC, altered, "")


@given(code=st.sampled_from(CODES), at=st.integers(0, 16))
def test_a_social_credit_code_with_two_characters_exchanged_is_refused(code: str, at: int) -> None:
    altered = code[:at] + code[at + 1] + code[at] + code[at + 2 :]
    if altered != code:
        with pytest.raises(ValueError, match="social credit code"):
            canonical(RegistrationScheme.USCC, altered, "")


@given(code=st.sampled_from(CODES), cut=st.integers(1, 17))
def test_case_and_separators_do_not_make_another_code(code: str, cut: int) -> None:
    written = f" {code[:cut].lower()}-{code[cut:]} "
    assert canonical(RegistrationScheme.USCC, written, "") == code


def test_a_code_of_another_authority_than_the_market_regulator_is_one_too() -> None:
    stem = "N2440104MF1234567"
    passing = [stem + c for c in USCC_ALPHABET if _passes(stem + c)]
    assert len(passing) == 1


def _passes(code: str) -> bool:
    try:
        canonical(RegistrationScheme.USCC, code, "")
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("written", "country", "kept"),
    [
        ("DE 136 695 976", "DE", "DE136695976"),
        ("136695976", "DE", "DE136695976"),
        ("BE0776091951", "BE", "BE0776091951"),
        ("GB980780684", "GB", "GB980780684"),
        ("12-3456789", "US-DE", "US123456789"),
    ],
)
def test_a_tax_number_is_kept_with_its_country(written: str, country: str, kept: str) -> None:
    assert canonical(RegistrationScheme.TAX, written, country) == kept


@pytest.mark.parametrize(
    ("scheme", "value", "country", "why"),
    [
        (RegistrationScheme.TAX, "DE136695977", "DE", "not a valid VAT number of DE"),
        (RegistrationScheme.TAX, "136695976", "", "needs the country"),
        (RegistrationScheme.TAX, "号码", "XX", "form of a VAT number"),
        (RegistrationScheme.NATIONAL, "5592301054", "", "needs the country"),
        (RegistrationScheme.NATIONAL, "一二三", "CN", "letters, digits"),
        (RegistrationScheme.USCC, "9137060067922821", "", "18 characters"),
        (RegistrationScheme.LEI, "54930084UKLVMY22DS1", "", "20 characters"),
        (RegistrationScheme.UNKNOWN, "1", "", "not a scheme"),
    ],
)
def test_what_is_refused_says_why(scheme: RegistrationScheme, value: str, country: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        canonical(scheme, value, country)


def test_a_national_number_is_kept_as_the_register_writes_it() -> None:
    assert canonical(RegistrationScheme.NATIONAL, "29.230.776/0001-80", "BR") == "29.230.776/0001-80"
