"""Messages: every gap is filled, in the reader's language, or nobody is written to."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from decisions.messages import GapError, NoTextError, Registration, Rendered, Text, Texts, Words, date_text, gaps, money_text, render
from decisions.money import UnknownCurrencyError
from decisions.promises import StillPromised


def text(
    locale: str = "en", *, sms: str | None = "{creditor} {amount} {due_on} {link} {stop}", approved: bool = True, message: str = "m"
) -> Text:
    return Text(
        message=message,
        locale=locale,
        purpose="collection",
        version="v",
        writes_like={"en": "en-US", "es": "es-MX", "zh-Hant": "zh-Hant-TW", "zh-Hans": "zh-Hans-CN", "fil": "fil-PH"}[locale],
        stop="STOP",
        creditor_roles=frozenset({"first_party"}),
        approved=approved,
        words={} if sms is None else {"sms": Words(body=sms)},
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


def test_a_promise_is_named_with_its_day_and_what_is_open_of_it_or_not_at_all() -> None:
    written = text(sms="{promised_amount} {promised_on}")
    promised = StillPromised(due_on=date(2026, 3, 18), amount_minor=2_550, currency="PHP")
    said = render(written, channel="sms", creditor_name="Lantern", promised=promised)
    assert said.body == "PHP 25.50 Mar 18, 2026", "a text message keeps to the short alphabet"
    with pytest.raises(GapError, match="promised_amount"):
        render(written, channel="sms", creditor_name="Lantern")


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


def test_each_channel_has_its_own_words() -> None:
    written = replace(text(), words={"email": Words(title="{creditor}", body="{amount}"), "whatsapp": Words(body="{link}")})
    assert [written.says(channel) for channel in ("email", "whatsapp", "sms")] == [True, True, False]
    filled = render(written, channel="email", creditor_name="Lantern", amount_minor=100, currency="USD", due_on=None, link=None)
    assert (filled.title, filled.body, filled.template, filled.variables) == ("Lantern", "$1.00", None, ())


def test_registered_words_carry_their_providers_id_and_values_in_its_order() -> None:
    known = Registration(id="HX" + "0" * 32, variables=("link", "creditor"))
    written = replace(text(), words={"whatsapp": Words(body="{creditor} {link}")}, registered={"whatsapp": known})
    filled = render(written, channel="whatsapp", creditor_name="Lantern", link="https://x.example/a")
    assert (filled.template, filled.variables) == (known.id, (("link", "https://x.example/a"), ("creditor", "Lantern")))
    with pytest.raises(GapError, match="nothing to put into"):
        render(written, channel="whatsapp", creditor_name="Lantern")


def test_what_a_machine_hears_belongs_to_the_call_alone() -> None:
    words = {"sms": Words(body="a"), "voice": Words(body="b"), "voicemail": Words(body="{creditor}")}
    written = replace(text(), words=words)
    call = render(written, channel="voice", creditor_name="Lantern")
    assert (call.body, call.voicemail, call.in_full) == ("b", "Lantern", "b\nLantern")
    other = render(written, channel="sms", creditor_name="Lantern")
    assert (other.voicemail, other.in_full) == (None, "a")


def test_a_message_says_something_on_the_channels_of_all_its_locales() -> None:
    texts = Texts(by_key={("m", "en"): text(), ("m", "es"): replace(text(), words={"push": Words(title="a", body="b")})})
    assert texts.channels_of("m") == {"sms", "push"}
    assert texts.channels_of("n") == frozenset()


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
        (1_234_567, "BHD", "BHD 1,234.567"),
        (1_234_567, "IQD", "IQD 1,234.567"),  # CLDR shows no decimals; the amount owed has three
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


@pytest.mark.parametrize(
    ("writes_like", "currency", "amount", "day"),
    [
        ("pt-BR", "BRL", "R$ 1.234,50", "5 de mar. de 2026"),
        ("hi-IN", "INR", "₹1,234.50", "5 मार्च 2026"),
        ("id-ID", "IDR", "Rp 1.234,50", "5 Mar 2026"),
        ("fil-PH", "PHP", "₱1,234.50", "Mar 5, 2026"),
        ("vi-VN", "VND", "123.450 ₫", "5 tháng 3, 2026"),
        ("th-TH", "THB", "฿1,234.50", "5 มี.ค. 2569"),
        ("sw-KE", "KES", "Ksh 1,234.50", "5 Machi 2026"),
        ("ja-JP", "JPY", "￥123,450", "2026年3月5日"),
        ("ko-KR", "KRW", "₩123,450", "2026년 3월 5일"),
    ],
)
def test_each_region_has_its_own_money_and_dates(writes_like: str, currency: str, amount: str, day: str) -> None:
    """No day stands as bare figures that could be a month; Thailand counts years from the Buddha's death."""
    assert money_text(123_450, currency, writes_like) == amount
    assert date_text(date(2026, 3, 5), writes_like) == day


@pytest.mark.parametrize(
    ("words", "currency", "amount"),
    [
        ("Pay {amount} {creditor} {due_on} {link} {stop}", "PHP", "PHP 1,050.00"),  # ₱ alone would double the cost of the text
        ("Pay {amount} {creditor} {due_on} {link} {stop}", "INR", "INR 1,050.00"),
        ("Pay {amount} {creditor} {due_on} {link} {stop}", "EUR", "€1,050.00"),  # in the short alphabet
        ("Nhắn {amount} {creditor} {due_on} {link} {stop}", "PHP", "₱1,050.00"),  # the words cost so much anyway
    ],
)
def test_a_sign_outside_the_short_alphabet_gives_way_in_a_text_message_inside_it(words: str, currency: str, amount: str) -> None:
    assert amount in filled(text("fil", sms=words), currency=currency).body


def test_no_other_channel_gives_up_the_sign() -> None:
    spoken = replace(text("fil"), words={"whatsapp": Words(body="{amount}")})
    said = render(spoken, channel="whatsapp", creditor_name="Lantern", amount_minor=105_000, currency="PHP")
    assert said.body == "₱1,050.00"


def shared(*, own_approved: bool | None) -> Texts:
    """English is shared with readers in Kenya; Swahili has a text of its own, an unapproved one, or none."""
    texts = {("m", "en"): replace(text(), read_by=("sw-KE",))}
    if own_approved is not None:
        texts["m", "sw"] = replace(text(approved=own_approved), locale="sw")
    return Texts(by_key=texts)


@pytest.mark.parametrize(
    ("reader", "own_approved", "reads"),
    [
        ("sw-KE", True, "sw"),  # the own language comes first
        ("sw-KE", False, "en"),
        ("sw-KE", None, "en"),
        ("sw-TZ", None, None),  # nobody has said that it is shared there
        ("sw", None, None),
        ("sw-TZ", False, None),
        ("ta-KE", None, None),
    ],
)
def test_a_shared_language_stands_in_only_where_it_was_declared(
    reader: str, own_approved: bool | None, reads: str | None
) -> None:  # a case
    assert shared(own_approved=own_approved).locale_for(reader, "m", "sms", "first_party") == reads


def test_a_shared_language_is_no_way_round_its_own_approval_or_role() -> None:
    texts = shared(own_approved=None)
    assert texts.in_live_mode(()).locale_for("sw-KE", "m", "sms", "first_party") is None
    assert texts.locale_for("sw-KE", "m", "sms", "third_party") is None
    assert texts.locale_for("sw-KE", "m", "push", "first_party") is None


def test_live_mode_sends_exactly_the_words_that_were_approved() -> None:
    ready, changed = replace(text(), version="read"), replace(text("es"), version="changed since")
    draft = replace(text("fil"), version="also read", draft=True)
    live = Texts(by_key={("m", one.locale): one for one in (ready, changed, draft)}).in_live_mode({"read", "also read"})
    assert {locale: live.locale_for(locale, "m", "sms", "first_party") for locale in ("en", "es", "fil")} == {
        "en": "en",
        "es": None,
        "fil": None,
    }
    with pytest.raises(NoTextError, match="not approved"):
        live.text("m", "es")
