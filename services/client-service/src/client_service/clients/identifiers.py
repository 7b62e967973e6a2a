"""Checks the numbers by which registers know a client: unified social credit code, LEI, tax (VAT) number, others.

Invariant: what passes is in the one canonical spelling (upper case, no separators), so that equality finds duplicates.
"""

import re

from stdnum import get_cc_module, lei
from stdnum.cn import uscc
from stdnum.exceptions import ValidationError

from contracts.client import RegistrationScheme

_SEPARATORS = re.compile(r"[\s\-.]")
# GB 32100-2015: authority and kind, six digits of the region, then organisation code and check character.
_USCC_SHAPE = re.compile(r"[1-9ANY][1-9][0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}")
_LEI_SHAPE = re.compile(r"[0-9A-Z]{18}[0-9]{2}")
_VAT_SHAPE = re.compile(r"[0-9A-Z]{4,20}")
_NATIONAL_SHAPE = re.compile(r"[0-9A-Z][0-9A-Z._:/#@+-]{0,63}")


def canonical(scheme: RegistrationScheme, value: str, country: str) -> str:
    """The canonical spelling of a valid identifier.

    `country` is ISO 3166-1 alpha-2, optionally with an ISO 3166-2 subdivision, or "" where the scheme needs none.
    Raises ValueError with a reason that does not repeat the value.
    """
    match scheme:
        case RegistrationScheme.USCC:
            return _uscc(_compact(value))
        case RegistrationScheme.LEI:
            return _lei(_compact(value))
        case RegistrationScheme.TAX:
            return _vat(_compact(value), country[:2])
        case RegistrationScheme.NATIONAL:
            return _national("".join(value.split()).upper(), country)
        case RegistrationScheme.UNKNOWN:
            raise ValueError("not a scheme that this service knows")


def _compact(value: str) -> str:
    return _SEPARATORS.sub("", value).upper()


def _uscc(number: str) -> str:
    if len(number) != 18:
        raise ValueError("a unified social credit code has 18 characters")
    if not _USCC_SHAPE.fullmatch(number):
        raise ValueError("not in the form of a unified social credit code (GB 32100-2015)")
    if uscc.calc_check_digit(number) != number[-1]:
        raise ValueError("the check character of the unified social credit code is wrong (GB 32100-2015)")
    return number


def _lei(number: str) -> str:
    if len(number) != 20:
        raise ValueError("an LEI has 20 characters")
    # mod 97-10 never issues the check digits 00, 01 and 99, which are congruent to 97, 98 and 02 (ISO 7064).
    if not _LEI_SHAPE.fullmatch(number) or number[-2:] in {"00", "01", "99"}:
        raise ValueError("not in the form of an LEI (ISO 17442)")
    if not lei.is_valid(number):
        raise ValueError("the check digits of the LEI are wrong (ISO 7064 mod 97-10)")
    return number


def _vat(number: str, country: str) -> str:
    if not country:
        raise ValueError("a VAT number needs the country that issued it")
    number = number.removeprefix(country)
    if not _VAT_SHAPE.fullmatch(number):
        raise ValueError("not in the form of a VAT number")
    rules = get_cc_module(country.lower(), "vat")
    if rules is not None:
        try:
            number = str(rules.validate(number)).removeprefix(country)
        except ValidationError:
            raise ValueError(f"not a valid VAT number of {country}") from None
    return country + number


def _national(number: str, country: str) -> str:
    if not country:
        raise ValueError("a national register's number needs the country of the register")
    if not _NATIONAL_SHAPE.fullmatch(number):
        raise ValueError("1 to 64 letters, digits and . _ : / # @ + - are allowed")
    return number
