"""Mistyped words of a stop or a danger, and words as people spell them: what is mended, and above all what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.replies import reply_policy_in_force
from decisions.replies import Setting, read_reply
from decisions.reply_slips import Slips, is_slip


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("stpo", "stop"),
        ("bjaa", "baja"),
        ("parrar", "parar"),
        ("berhnti", "berhenti"),
        ("unsubscrybe", "unsubscribe"),
        ("unsubscribbe", "unsubscribe"),
        ("suicde", "suicide"),
    ],
)
def test_one_slip_of_a_finger_is_mended(written: str, meant: str) -> None:
    assert is_slip(written, meant)
    assert Slips([meant, "another"]).meant(written) == meant


@pytest.mark.parametrize(
    ("written", "word"),
    [
        # Another letter, one more or one less makes another word of a short one.
        ("shop", "stop"),
        ("stops", "stop"),
        ("top", "stop"),
        ("paso", "para"),
        # A first letter is seldom wrong.
        ("puerto", "muerto"),
        ("ncancel", "cancel"),
        # Two slips.
        ("sotpp", "stop"),
        ("", "stop"),
    ],
)
def test_another_word_is_no_slip(written: str, word: str) -> None:
    assert not is_slip(written, word)
    assert Slips([word]).meant(written) is None


def test_a_word_written_rightly_is_not_mended() -> None:
    assert Slips(["cancel", "cancels"]).meant("cancel") is None


@given(word=st.text("abcdefgh", min_size=8, max_size=12), place=st.integers(1, 6))
def test_a_swap_in_a_long_word_is_always_found(word: str, place: int) -> None:
    swapped = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    assert Slips([word]).meant(swapped) == (None if swapped == word else word)


@pytest.mark.parametrize(
    ("locale", "text", "intent"),
    [
        ("en", "unsubscrieb", "stop"),
        ("en", "pls stop txtin me", "stop"),
        ("id", "jgn hub sy lg", "stop"),
        ("ko", "수신거브", "stop"),
        ("ja", "ヤメテ", "stop"),
        ("zh-Hant", "取消訂閲", "stop"),
        ("es", "kiero morirme", "danger"),
        ("hi", "mujhe phn mt kro", "stop"),
        ("vi", "k muon song nua", "danger"),
        # They sound like it.
        ("en", "they hit me with a late fee again", "unclear"),
        ("es", "el interes me mata", "unclear"),
        ("id", "mau lunasi besok biar selesai", "promise"),
        ("sw", "nisameheni mama nitalipa kesho", "promise"),
        ("th", "ถึงเวลาแล้วค่ะ", "unclear"),
        ("hi", "bhookh se mar raha hu yaar", "unclear"),
        ("vi", "mệt chết đi được", "unclear"),
        ("ja", "支払いは全部終わりました", "paid"),
        ("pt", "morri de rir kkk", "unclear"),
        ("pt", "qual o numero para eu ligar?", "help"),
        ("ko", "전화가 끊겼어요 다시 전화주세요", "call_me"),
        ("th", "อย่าลืมส่งลิงก์มานะ", "help"),
        ("fil", "wag kalimutan mag text sakin", "unclear"),
        ("hi", "message karna mat bhulna", "unclear"),
    ],
)
def test_a_reply_is_read_as_it_was_meant_however_it_is_spelt(locale: str, text: str, intent: str) -> None:
    assert read_reply(text, reply_policy_in_force().lexicons.of(locale), setting=Setting(locale=locale)).intent == intent
