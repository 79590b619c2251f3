"""Money: integer minor units and an ISO 4217 code, converted without a float in between.

In:   a currency code, or an amount as people and core systems write it ("1234.50").
Out:  the number of decimals the currency has; the amount in minor units.
Pure: no I/O, no clock. Which codes are in use comes with the babel package (CLDR); how many decimals a code has does
      not, because CLDR gives the decimals that people *show* (none for IQD, ALL, MMK …), which would misread every
      amount of those currencies by a factor of 100 or 1,000.
Source: ISO 4217:2015, table A.1 ("minor unit"), kept by SIX for ISO: https://www.six-group.com/en/products-services/financial-information/data-standards.html
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache
from types import MappingProxyType
from typing import Final

from babel.core import get_global

USUAL_DECIMALS: Final = 2

# Every current code whose minor unit is not 2, funds codes included.
UNUSUAL_DECIMALS: Final = MappingProxyType(
    dict.fromkeys(
        ["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"],
        0,
    )
    | dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3)
    | dict.fromkeys(["CLF", "UYW"], 4)
)

PLAIN_DECIMAL: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?", re.ASCII)


class UnknownCurrencyError(ValueError):
    """The code is not a currency of ISO 4217 that is in use."""

    def __init__(self, currency: str) -> None:
        """Keep the code: it is not personal."""
        self.currency = currency
        super().__init__(f"{currency!r} is not a currency of ISO 4217 in use (three capital letters, such as USD)")


class NotAnAmountError(ValueError):
    """The text is not an amount of that currency. The text itself stays out of the message: it may be personal."""


@cache
def currencies() -> frozenset[str]:
    """Codes of ISO 4217 that are legal tender somewhere today, and the funds codes."""
    in_use = {
        code
        for territory in get_global("territory_currencies").values()
        for code, _since, until, is_tender in territory
        if until is None and is_tender
    }
    return frozenset(in_use | UNUSUAL_DECIMALS.keys())


def minor_units(currency: str) -> int:
    """Decimals of `currency`: 2 for USD, 0 for JPY, 3 for BHD.

    Raises:
        UnknownCurrencyError: The code is not in use (also when it is written in small letters).
    """
    if currency not in currencies():
        raise UnknownCurrencyError(currency)
    return UNUSUAL_DECIMALS.get(currency, USUAL_DECIMALS)


def to_minor(amount: str, currency: str) -> int:
    """Minor units of a plain decimal text: "12.5" USD is 1250, "12" JPY is 12.

    Args:
        amount: Digits, at most one point, an optional sign; no grouping, no exponent, no currency sign. Zeros after
            the currency's last decimal are harmless ("12.500" USD), other digits there are an error, never rounded.
        currency: ISO 4217 code.

    Raises:
        UnknownCurrencyError: See `minor_units`.
        NotAnAmountError: Not a plain decimal number, or more decimals than the currency has.
    """
    decimals = minor_units(currency)
    if not PLAIN_DECIMAL.fullmatch(amount):
        raise NotAnAmountError("not a plain decimal number such as 1234.50")
    whole, _, fraction = amount.partition(".")
    if fraction[decimals:].strip("0"):
        raise NotAnAmountError(f"more decimals than {currency} has ({decimals})")
    return int(whole + fraction[:decimals].ljust(decimals, "0"))


def from_minor(amount_minor: int, currency: str) -> Decimal:
    """Exact amount in the currency's main unit, with all its decimals: 1250 USD is Decimal("12.50").

    Raises:
        UnknownCurrencyError: See `minor_units`.
    """
    return Decimal(amount_minor).scaleb(-minor_units(currency))
