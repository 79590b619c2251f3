"""Before a send: words that the linter refuses are said to nobody, whoever approved them, and a text is looked at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from config.message_files import message_texts
from decisions.lint import Finding, WordLists, of_text
from decisions.messages import Text, Words
from gate.last_look import refused_by

TEXTS = message_texts()
REMINDER = TEXTS.text("early_reminder", "en")


def with_words(added: str, version: str, *, channel: str = "sms") -> Text:
    known = REMINDER.words[channel]
    return replace(REMINDER, version=version, words={**REMINDER.words, channel: Words(title=known.title, body=f"{known.body} {added}")})


@pytest.mark.parametrize("text", TEXTS.by_key.values(), ids=lambda text: f"{text.message}-{text.locale}")
def test_no_shipped_text_is_refused(text: Text) -> None:
    assert [one for channel in text.words if channel != "voicemail" for one in refused_by(text, channel, "Lantern Wallet")] == []


@pytest.mark.parametrize(
    ("added", "rule"), [("We will sue you.", "threat"), ("This is your final notice.", "false_urgency"), ("See www.x.com", "link")]
)
def test_words_that_the_linter_refuses_are_refused(added: str, rule: str) -> None:
    assert refused_by(with_words(added, f"planted {rule}"), "sms", "Lantern Wallet") == (rule,)


def test_what_is_wrong_on_one_channel_stops_no_other() -> None:
    assert refused_by(with_words("We will sue you.", "planted on sms"), "push", "Lantern Wallet") == ()


def test_a_warning_stops_nobody() -> None:
    assert refused_by(with_words("Behind a link: {link}.", "planted warning"), "sms", "Lantern Wallet") == ()


def test_a_lenders_name_is_looked_at_where_it_fills_a_gap() -> None:
    assert refused_by(REMINDER, "sms", "Supreme Court Payments") == ("imitation",)


def test_a_call_is_refused_for_what_a_machine_would_hear() -> None:
    call = replace(REMINDER, version="planted call", words={"voice": Words(body="Hello."), "voicemail": Words(body="You owe {creditor}.")})
    assert refused_by(call, "voice", "Lantern Wallet") == ("reveals_debt",)


def test_a_version_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def counting(text: Text, lists: WordLists) -> list[Finding]:
        looks.append(text.version)
        return of_text(text, lists)

    monkeypatch.setattr("gate.last_look.of_text", counting)
    for _ in range(100):
        refused_by(with_words("We will sue you.", "looked at once"), "sms", "Lantern Wallet")
    assert looks == ["looked at once"]
