"""The texts that ship: whole, humane, short, in every language."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from config.load import ConfigError
from config.message_files import MESSAGES, message_body, message_texts
from config.replies import reply_policy
from config.strategy_files import strategy
from decisions.messages import Text, render
from decisions.replies import read_reply
from decisions.segments import measure

TEXTS = message_texts()
LOCALES = ("en", "es", "zh-Hans", "zh-Hant")
CURRENCY = {"en": "USD", "es": "MXN", "zh-Hans": "CNY", "zh-Hant": "TWD"}
# The field's words, and what threatens or shames: no borrower reads them (DOMAIN.md).
FORBIDDEN = {
    "en": (
        "delinquen",
        "default",
        "debt",
        "collect",
        "recover",
        "overdue",
        "late",
        "must",
        "immediately",
        "legal",
        "court",
        "final",
        "urgent",
    ),
    "es": ("moros", "mora ", "deuda", "deudor", "cobran", "adeud", "vencid", "legal", "jur", "urgente", "inmediat", "debe "),
    "zh-Hans": ("逾期", "催收", "催", "欠款", "失信", "违约", "债", "法", "必须", "立即", "最后通"),
    "zh-Hant": ("逾期", "催收", "催", "欠款", "失信", "違約", "債", "法", "必須", "立即", "最後通"),
}
# Words that belong to the other side of the strait.
FOREIGN = {"zh-Hant": ("短信", "账", "帐户", "信息", "退订", "软件"), "zh-Hans": ("簡訊", "訊息", "繳", "帳戶", "回覆")}
SEGMENTS_MAX = {"en": 2, "es": 2, "zh-Hans": 3, "zh-Hant": 3}


def example(text: Text, channel: str) -> str:
    """The text as a borrower would read it, with a long name and amount."""
    filled = render(
        text,
        channel=channel,
        creditor_name="Lantern Wallet TW",
        amount_minor=1_234_500,
        currency=CURRENCY[text.locale],
        due_on=date(2026, 11, 23),
        link="https://pay.lantern.example/" + "x" * 22,
    )
    return f"{filled.title} {filled.body}".strip()


@pytest.mark.parametrize("message", sorted({message for message, _ in TEXTS.by_key}))
def test_every_message_exists_in_every_language(message: str) -> None:
    assert tuple(sorted(locale for name, locale in TEXTS.by_key if name == message)) == LOCALES


@pytest.mark.parametrize("text", TEXTS.by_key.values(), ids=lambda text: f"{text.message}-{text.locale}")
def test_no_text_threatens_shames_or_speaks_the_fields_words(text: Text) -> None:
    for channel in ("sms", "push"):
        if text.says(channel):
            words = example(text, channel).lower()
            assert [word for word in FORBIDDEN[text.locale] if word in words] == []
            assert [word for word in FOREIGN.get(text.locale, ()) if word in words] == []
            assert "!" not in words
            assert "！" not in words


@pytest.mark.parametrize("text", TEXTS.by_key.values(), ids=lambda text: f"{text.message}-{text.locale}")
def test_a_text_message_is_short(text: Text) -> None:
    if text.sms:
        assert measure(example(text, "sms")).segments <= SEGMENTS_MAX[text.locale]


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("message", ["early_reminder", "early_need_time"])
def test_a_reminder_names_lender_amount_date_link_stop_and_more_time(message: str, locale: str) -> None:
    text = TEXTS.text(message, locale)
    words = example(text, "sms")
    amount = {"en": "$12,345.00", "es": "$12,345.00", "zh-Hans": "¥12,345.00", "zh-Hant": "$12,345.00"}[locale]
    more_time = {"en": "more time", "es": "otra fecha", "zh-Hans": "更多时间", "zh-Hant": "多一點時間"}[locale]
    for part in ("Lantern Wallet TW", amount, "23", "2026", "https://pay.lantern.example/", text.stop, more_time):
        assert part in words


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("message", ["early_reminder", "early_need_time"])
def test_a_notification_on_a_lock_screen_names_no_amount(message: str, locale: str) -> None:
    """Others see the screen too."""
    assert "12,345" not in example(TEXTS.text(message, locale), "push")


def test_spanish_text_messages_keep_to_the_short_alphabet() -> None:
    found = [
        text.message
        for text in TEXTS.by_key.values()
        if text.locale == "es" and text.sms and measure(example(text, "sms")).encoding != "GSM-7"
    ]
    assert found == []


def test_the_stop_word_stands_in_the_language_of_the_text() -> None:
    assert {locale: TEXTS.text("help", locale).stop for locale in LOCALES} == {
        "en": "STOP",
        "es": "BAJA",
        "zh-Hans": "退订",
        "zh-Hant": "停止",
    }


@pytest.mark.parametrize("locale", LOCALES)
def test_the_stop_word_that_a_text_names_is_read_as_a_stop(locale: str) -> None:
    """Nobody is told a word that then does nothing."""
    word = TEXTS.text("early_reminder", locale).stop
    assert read_reply(word, reply_policy().lexicon).intent == "stop"


def test_every_step_of_the_ladder_has_its_text_in_every_language() -> None:
    steps = strategy("static-ladder", "early").steps
    assert [
        (step.message, locale)
        for step in steps
        for locale in LOCALES
        if TEXTS.locale_for(locale, step.message, step.channel, "first_party") != locale
    ] == []


def test_a_text_changes_its_version_with_its_locales_words(tmp_path: Path) -> None:
    before = _folder(tmp_path / "a", SMS, stop="STOP")
    after = _folder(tmp_path / "b", SMS, stop="QUIT")
    first, second = message_texts(before).text("m", "en"), message_texts(after).text("m", "en")
    assert first.version != second.version
    assert "QUIT" in message_body(second, after)


SMS = 'sms: "{creditor} {amount} {due_on} {link} {stop}"'


def _folder(folder: Path, lines: str, *, stop: str = "STOP", locale: str = "en", purpose: str = "collection") -> Path:
    (folder / "m").mkdir(parents=True)
    (folder / "locales.yaml").write_text(f"en: {{writes_like: en-US, stop: {stop}}}\n")
    head = f"purpose: {purpose}\ncreditor_roles: [first_party]\napproved: true\n"
    (folder / "m" / f"{locale}.yaml").write_text(head + lines + "\n")
    return folder


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ('sms: "{creditor} {amount} {due_on} {link}"', "must name stop"),
        ('sms: "{creditor} {amount} {due_on} {link} {stop} {name}"', "unknown gap"),
        ("push_title: hello", "neither sms nor push_body"),
        (SMS + "\npush_body: hello", "come together"),
        (SMS + "\nvoice: hello", "unknown field"),
        (SMS + "\napproved: true", "given twice"),
    ],
)
def test_a_text_that_is_not_whole_is_refused_with_its_place(tmp_path: Path, lines: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as refused:
        message_texts(_folder(tmp_path, lines))
    assert refused.value.file.endswith("m/en.yaml")


def test_a_text_in_a_locale_that_nobody_described_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"not in locales\.yaml"):
        message_texts(_folder(tmp_path, SMS, locale="fr"))


def test_a_way_to_write_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    folder = _folder(tmp_path, SMS)
    (folder / "locales.yaml").write_text("en: {writes_like: xx-YY, stop: STOP}\n")
    with pytest.raises(ConfigError, match="no locale that is known"):
        message_texts(folder)


def test_the_shipped_folder_is_the_one_that_is_read() -> None:
    assert {path.parent.name for path in MESSAGES.glob("*/*.yaml")} == {message for message, _ in TEXTS.by_key}
