"""What people type into forms: amounts and days, read as people of their region write them; what could be two things is none.

In:   texts; the language's ways.
Out:  minor units and dates, or what is unclear; an amount as an example.
Pure: yes.
"""

from __future__ import annotations

import unicodedata
from datetime import date
from typing import Final

from babel.numbers import NumberFormatError, format_decimal, parse_decimal

from config.page_texts import PageWords
from decisions.messages import known_locale
from decisions.money import NotAnAmountError, from_minor, to_minor

# Beyond it nobody means what she typed.
AMOUNT_MINOR_MAX: Final = 10**13


class UnclearError(ValueError):
    """A form that is filled in so that nothing can be done.

    Attributes:
        field: Which one: `day` or `amount`, or a form's own name of it.
    """

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


def day_of(typed: str, *, first: date, last: date | None = None, field: str = "day") -> date:
    """A day from `first` on.

    Raises:
        UnclearError: It is none, or another one.
    """
    try:
        on = date.fromisoformat(typed.strip())
    except ValueError:
        raise UnclearError(field) from None
    if on < first or (last is not None and on > last):
        raise UnclearError(field)
    return on


def minor_of(typed: str, currency: str, words: PageWords, *, least: int = 1, field: str = "amount") -> int:
    """An amount as people of her region write it; of one that could be read in two ways nothing is guessed.

    Raises:
        UnclearError: It is none, below `least`, or beyond what anybody means.
    """
    bare = "".join(sign for sign in typed if unicodedata.category(sign) != "Sc" and not sign.isspace())
    try:
        amount = parse_decimal(bare, locale=known_locale(words.writes_like), strict=True)
        minor = to_minor(f"{amount:f}", currency)
    except (NumberFormatError, NotAnAmountError):
        raise UnclearError(field) from None
    if not least <= minor <= AMOUNT_MINOR_MAX:
        raise UnclearError(field)
    return minor


def written(minor: int, currency: str, words: PageWords) -> str:
    """An amount as she would type it."""
    return format_decimal(from_minor(minor, currency), locale=known_locale(words.writes_like), decimal_quantization=False)
