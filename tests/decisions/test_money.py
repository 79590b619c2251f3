"""Money is whole minor units: exact both ways, and no guess where a text or a code is not money."""

import pytest
from babel.core import get_global
from hypothesis import given
from hypothesis import strategies as st

from decisions.money import (
    UNUSUAL_DECIMALS,
    NotAnAmountError,
    UnknownCurrencyError,
    currencies,
    from_minor,
    minor_units,
    to_minor,
)


@pytest.mark.parametrize(("currency", "decimals"), [("USD", 2), ("JPY", 0), ("BHD", 3), ("IQD", 3), ("CLF", 4), ("TWD", 2), ("XOF", 0)])
def test_a_currency_has_the_decimals_of_iso_4217(currency: str, decimals: int) -> None:
    assert minor_units(currency) == decimals


@pytest.mark.parametrize("code", ["usd", "US", "ZZZ", "", "XXX", "XTS", "XAU", "DEM", "USD "])
def test_a_code_that_is_no_money_in_use_is_refused(code: str) -> None:
    with pytest.raises(UnknownCurrencyError, match="ISO 4217"):
        minor_units(code)


def test_every_country_has_a_currency_that_we_know() -> None:
    assert len(currencies()) > 150
    assert {"CNY", "TWD", "MXN", "INR", "IDR", "PHP", "KES", "NGN", "BRL", "EUR"} <= currencies()


def test_where_people_show_fewer_decimals_than_iso_has_iso_decides() -> None:
    """What CLDR shows is kept apart: these codes would otherwise be misread by 100 or 1,000."""
    shown = {code: digits for code, (digits, *_) in get_global("currency_fractions").items()}
    differing = {code for code in currencies() if shown.get(code, shown["DEFAULT"]) != minor_units(code)}
    assert differing == {"AFN", "ALL", "IQD", "IRR", "KPW", "LAK", "LBP", "MGA", "MMK", "RSD", "SOS", "SYP", "YER"}


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("12.5", "USD", 1250),
        ("12", "JPY", 12),
        ("12.000", "JPY", 12),
        ("0.001", "BHD", 1),
        ("-0.05", "EUR", -5),
        ("+7", "EUR", 700),
        ("12.500", "USD", 1250),
        ("90071992547409.93", "USD", 9007199254740993),
    ],
)
def test_a_decimal_text_becomes_exact_minor_units(amount: str, currency: str, minor: int) -> None:
    assert to_minor(amount, currency) == minor


@pytest.mark.parametrize("amount", ["", " 1", "1,000", "1e3", "1.", ".5", "NaN", "$5", "1.2.3", "١٢", "--1", "1_000"])
def test_a_text_that_is_no_plain_number_is_refused_without_repeating_it(amount: str) -> None:
    with pytest.raises(NotAnAmountError) as refused:
        to_minor(amount, "USD")
    assert str(refused.value) == "not a plain decimal number such as 1234.50"


@pytest.mark.parametrize(("amount", "currency"), [("1.005", "USD"), ("0.5", "JPY"), ("1.0001", "BHD")])
def test_more_decimals_than_the_currency_has_are_refused_never_rounded(amount: str, currency: str) -> None:
    with pytest.raises(NotAnAmountError, match="more decimals"):
        to_minor(amount, currency)


@given(minor=st.integers(min_value=-(2**63), max_value=2**63 - 1), currency=st.sampled_from(["USD", *UNUSUAL_DECIMALS]))
def test_there_and_back_is_the_same_amount(minor: int, currency: str) -> None:
    assert to_minor(f"{from_minor(minor, currency):f}", currency) == minor
