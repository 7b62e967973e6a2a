"""Unified social credit codes (GB 32100-2015) for made-up firms: right check characters, a region that is none."""

from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
WEIGHTS: Final = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
ORGANISATION_WEIGHTS: Final = (3, 7, 9, 10, 5, 8, 4, 2)
NOWHERE: Final = "91000000"
"""Registered by the market authority, an enterprise, in region 000000: no real code begins like this."""


def check_character(first_17: str) -> str:
    """The eighteenth character: 31 − (Σ value·weight mod 31), 31 read as 0."""
    total = sum(ALPHABET.index(character) * weight for character, weight in zip(first_17, WEIGHTS, strict=True))
    return ALPHABET[(31 - total) % 31]


def organisation_check(first_8: str) -> str:
    """The ninth character of an organisation code (GB 11714): 11 − (Σ value·weight mod 11), 10 as X, 11 as 0."""
    total = sum(int(character, 36) * weight for character, weight in zip(first_8, ORGANISATION_WEIGHTS, strict=True))
    return "0123456789X0"[11 - total % 11]


def made_up(nth: int) -> str:
    """The code of the `nth` made-up firm."""
    organisation = f"{nth:08d}"
    first_17 = NOWHERE + organisation + organisation_check(organisation)
    return first_17 + check_character(first_17)
