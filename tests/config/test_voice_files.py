"""What automated calls say: in every language the same keys, nothing of a debt before one is pressed, and never a promise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from config.load import ConfigError
from config.message_files import message_texts
from config.settings import Settings
from config.voice_files import ANSWERED, VOICE, voice_prompts, voice_prompts_in_force
from decisions.messages import GapError, Rendered
from decisions.replies import INTENTS
from decisions.voice import FIRST_KEYS, IDENTIFIED, KEYS, Prompts, speak, spoken_number

PROMPTS = voice_prompts()
# Words of paying and owing: whoever is near hears what comes before a key.
REVEALING = {
    "en": ("pay", "debt", "owe", "due", "loan", "money", "account", "time"),
    "es": ("pag", "deuda", "debe", "vence", "crédito", "dinero", "cuenta", "tiempo"),
    "zh-Hans": ("付", "款", "还", "欠", "债", "逾期", "账"),
    "zh-Hant": ("付", "款", "還", "欠", "債", "逾期", "帳", "繳"),
}


@pytest.mark.parametrize("prompts", PROMPTS.values(), ids=list(PROMPTS))
def test_every_language_names_the_same_keys_and_answers_each(prompts: Prompts) -> None:
    assert set(prompts.answers) == ANSWERED


def test_no_key_is_a_promise() -> None:
    """Promises to machines bind less: a voice does not ask for them."""
    meant = {*KEYS.values(), *FIRST_KEYS.values()}
    assert "promise" not in meant
    assert meant - {IDENTIFIED} <= set(INTENTS)


@pytest.mark.parametrize("locale", sorted(REVEALING))
def test_nothing_is_revealed_before_a_key_or_to_a_machine(locale: str) -> None:
    prompts = PROMPTS[locale]
    for words in (
        prompts.greeting,
        prompts.identify,
        prompts.voicemail,
        prompts.goodbye,
        prompts.answers["wrong_person"],
        prompts.answers["stop"],
    ):
        assert [word for word in REVEALING[locale] if word in words.lower()] == []


@pytest.mark.parametrize(
    "locale", sorted({locale for (_, locale), text in message_texts().by_key.items() if text.approved and text.says("voice")})
)
def test_whoever_has_spoken_words_has_prompts(locale: str) -> None:
    assert locale in PROMPTS


def speaking(**changes: str | None) -> Rendered:
    given: dict[str, str | None] = {"name": "Nobody", "phone": "+15005550006", "agent": "Anna", **changes}
    return speak(Rendered(title="", body="It is about this.", version="v"), PROMPTS["en"], creditor_name="Lantern", **given)


def test_a_call_has_three_parts() -> None:
    said = speaking()
    assert said.title.startswith("Hello. This is Lantern with an automated call for Nobody. If you are Nobody, press 1.")
    assert said.body.startswith("It is about this. If you have paid, press 1.")
    assert said.voicemail is not None
    assert said.voicemail.startswith("This is Lantern. Please call Anna back.")
    assert (said.version, said.prompts) == ("v", PROMPTS["en"].version)


def test_without_a_name_or_a_number_nobody_is_called_and_without_an_agent_nothing_is_left() -> None:
    for missing in ("name", "phone"):
        with pytest.raises(GapError):
            speaking(**{missing: None})
    assert speaking(agent=None).voicemail is None


def test_prompts_that_nobody_approved_are_not_spoken_and_drafts_in_the_sandbox_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    withdrawn = replace(PROMPTS["en"], approved=False)
    with pytest.raises(GapError):
        speak(Rendered(title="", body="x", version="v"), withdrawn, creditor_name="L", name="N", phone="+15005550006", agent=None)
    assert PROMPTS["ja"].draft
    voice_prompts_in_force.cache_clear()
    assert "ja" in voice_prompts_in_force()
    voice_prompts_in_force.cache_clear()
    monkeypatch.setattr(Settings, "is_real", True)
    assert set(voice_prompts_in_force()) == {"en", "es", "zh-Hans", "zh-Hant"}
    voice_prompts_in_force.cache_clear()


def test_a_number_is_read_digit_by_digit() -> None:
    assert spoken_number("+1500555") == "1 5 0 0 5 5 5"
    assert spoken_number(None) is None


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("press 9", "press 8", "identify"),
        ("{creditor} with", "{lender} with", "unknown gap"),
        ("for {name}", "for you", "for whom"),
        ("call {agent} back", "call back", "voicemail"),
        ("language: en-US", "language: english", "language"),
        ("  stop:", "  promise:", "answers"),
        ("approved: true", "approved: yes", "approved"),
    ],
)
def test_a_file_that_is_not_whole_is_refused(tmp_path: Path, old: str, new: str, why: str) -> None:
    words = (VOICE / "en.yaml").read_text()
    assert old in words
    (tmp_path / "en.yaml").write_text(words.replace(old, new))
    with pytest.raises(ConfigError, match=why):
        voice_prompts(tmp_path)


def test_a_file_of_no_locale_is_refused(tmp_path: Path) -> None:
    (tmp_path / "qq-nowhere.yaml").write_text((VOICE / "en.yaml").read_text())
    with pytest.raises(ConfigError, match="no locale"):
        voice_prompts(tmp_path)
