"""Messages: every gap is filled, in the reader's language, or nobody is written to."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from decisions.messages import GapError, NoTextError, Rendered, Text, Texts, gaps, money_text, render
from decisions.money import UnknownCurrencyError


def text(
    locale: str = "en", *, sms: str | None = "{creditor} {amount} {due_on} {link} {stop}", approved: bool = True, message: str = "m"
) -> Text:
    return Text(
        message=message,
        locale=locale,
        purpose="collection",
        version="v",
        writes_like={"en": "en-US", "es": "es-MX", "zh-Hant": "zh-Hant-TW", "zh-Hans": "zh-Hans-CN"}[locale],
        stop="STOP",
        creditor_roles=frozenset({"first_party"}),
        approved=approved,
        sms=sms,
        push_title=None,
        push_body=None,
    )


def filled(
    written: Text,
    *,
    creditor_name: str = "Lantern",
    amount_minor: int | None = 105_000,
    currency: str | None = "USD",
    due_on: date | None = date(2026, 3, 5),
    link: str | None = "https://x.example/a",
) -> Rendered:
    return render(
        written, channel="sms", creditor_name=creditor_name, amount_minor=amount_minor, currency=currency, due_on=due_on, link=link
    )


def test_all_gaps_are_filled() -> None:
    assert filled(text()) == Rendered(title="", body="Lantern $1,050.00 Mar 5, 2026 https://x.example/a STOP", version="v")


@pytest.mark.parametrize(
    ("locale", "currency", "body"),
    [
        ("es", "MXN", "$1,050.00 5 mar 2026"),
        ("zh-Hant", "TWD", "$1,050.00 2026年3月5日"),
        ("zh-Hans", "CNY", "¥1,050.00 2026年3月5日"),
    ],
)
def test_money_and_dates_are_written_as_the_reader_writes_them(locale: str, currency: str, body: str) -> None:
    assert filled(text(locale, sms="{amount} {due_on}"), currency=currency).body == body


@pytest.mark.parametrize("missing", ["amount_minor", "currency", "due_on", "link"])
def test_a_gap_that_nothing_fills_is_an_error(missing: str) -> None:
    values: dict[str, object] = {"amount_minor": 1, "currency": "USD", "due_on": date(2026, 3, 5), "link": "x"}
    values[missing] = None
    with pytest.raises(GapError, match="nothing to put into"):
        render(text(), channel="sms", creditor_name="Lantern", **values)  # type: ignore[arg-type]  # one of them is None on purpose


@pytest.mark.parametrize("given", ["creditor_name", "link"])
def test_an_empty_value_fills_no_gap(given: str) -> None:
    with pytest.raises(GapError, match="nothing to put into"):
        filled(text(), **{given: ""})  # type: ignore[arg-type]  # a name of a parameter


def test_a_value_with_braces_stays_as_it_is() -> None:
    """What is put into a gap is never read for gaps."""
    assert filled(text(sms="{creditor}"), creditor_name="{link}").body == "{link}"


@pytest.mark.parametrize("words", ["{name}", "{ amount }", "{", "}", "{{creditor}}", "{}"])
def test_a_brace_that_is_no_known_gap_is_an_error(words: str) -> None:
    with pytest.raises(GapError):
        gaps(words)


def test_a_channel_without_words_is_an_error() -> None:
    with pytest.raises(NoTextError, match="no words for push"):
        render(text(), channel="push", creditor_name="Lantern")


def test_an_unapproved_text_is_not_read() -> None:
    texts = Texts(by_key={("m", "en"): text(approved=False)})
    with pytest.raises(NoTextError, match="not approved"):
        texts.text("m", "en")
    with pytest.raises(NoTextError, match="not approved"):
        filled(text(approved=False))
    assert texts.locale_for("en", "m", "sms", "first_party") is None


def test_an_unknown_locale_is_an_error() -> None:
    with pytest.raises(NoTextError, match="no such text"):
        Texts(by_key={}).text("m", "fr")
    with pytest.raises(NoTextError, match="unknown locale"):
        filled(replace(text(), writes_like="xx-YY"))


@pytest.mark.parametrize(
    ("reader", "reads"),
    [
        ("zh-Hant", "zh-Hant"),
        ("zh-TW", "zh-Hant"),
        ("zh-HK", "zh-Hant"),
        ("zh_TW", "zh-Hant"),
        ("zh-CN", "zh-Hans"),
        ("zh-SG", "zh-Hans"),
        ("zh-Hans", "zh-Hans"),
        ("es-MX", "es"),
        ("es", "es"),
        ("en-US", "en"),
        ("EN", "en"),
        ("zh", None),  # which of the two scripts is not known, so nothing is guessed
        ("fr", None),
        ("sr-Cyrl", None),
        ("", None),
        (None, None),
        ("../en", None),
    ],
)
def test_a_reader_gets_her_own_language_or_nothing(reader: str | None, reads: str | None) -> None:
    texts = Texts(by_key={("m", locale): text(locale) for locale in ("en", "es", "zh-Hant", "zh-Hans")})
    assert texts.locale_for(reader, "m", "sms", "first_party") == reads


def test_a_debt_collector_does_not_send_a_lenders_text() -> None:
    """12 CFR 1006.18(e) asks words of a debt collector that a lender's text does not have."""
    texts = Texts(by_key={("m", "en"): text()})
    assert texts.locale_for("en", "m", "sms", "third_party") is None
    assert texts.locale_for("en", "m", "sms", None) is None


@pytest.mark.parametrize(
    ("amount_minor", "currency", "written"),
    [
        (5, "JPY", "¥5"),
        (1_234_567, "BHD", "BHD1,234.567"),
        (1_234_567, "IQD", "IQD1,234.567"),  # CLDR shows no decimals; the amount owed has three
        (0, "USD", "$0.00"),
        (10**15, "USD", "$10,000,000,000,000.00"),
    ],
)
def test_an_amount_is_never_rounded(amount_minor: int, currency: str, written: str) -> None:
    assert money_text(amount_minor, currency, "en-US") == written


def test_a_negative_amount_is_an_error() -> None:
    with pytest.raises(ValueError, match="never negative"):
        money_text(-1, "USD", "en-US")


def test_an_unknown_currency_is_an_error() -> None:
    with pytest.raises(UnknownCurrencyError):
        filled(text(), currency="usd")
