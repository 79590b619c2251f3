"""Text as people type it, made comparable; and numbers written in Chinese, Japanese and Korean.

In:   any text.
Out:  the plain text (figures and punctuation stay), expressions for lists of words, numbers.
Pure: yes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Final

_APOSTROPHE: Final = re.compile("[’‘`´ʼ']")
_DIGITS: Final = {
    character: number
    for number, characters in enumerate(("零〇영공", "一일", "二两兩이", "三삼", "四사", "五오", "六육륙", "七칠", "八팔", "九구"))
    for character in characters
}
_UNITS: Final = {"十": 10, "십": 10, "廿": 20, "百": 100, "백": 100, "千": 1000, "천": 1000}
_TEN_THOUSANDS: Final = "万萬만"
# Marks that Latin letters may lose. Those of Thai, Hindi and Japanese are letters' own: ไม่ and ไม้ are two words.
_ACCENTS: Final = re.compile("[\u0300-\u036f\u093c\u1ab0-\u1aff\u20d0-\u20ff\ufe00-\ufe0f]")
# What no decomposition turns into a letter without an accent, and how people misspell a Thai vowel and a Hindi nasal.
_LETTERS: Final = str.maketrans({"đ": "d", "ı": "i", "ø": "o", "ł": "l", "ँ": "ं"})
# One character in two shapes, and Katakana as the Hiragana of the same sound: people write ヤメテ for やめて.
_SHAPES: Final = str.maketrans(
    dict(zip("閲説爲衆羣綫啓銭恆喫裏佔煙纔", "閱說為眾群線啟錢恒吃裡占烟才", strict=True))
    | {chr(katakana): chr(katakana - 0x60) for katakana in range(ord("ァ"), ord("ヶ") + 1)}
)
_TWO_VOWELS: Final = "เเ"
# Without accents "right" in Vietnamese would be "stop" (dừng) and "don't" (đừng).
_ONLY_ACCENTS_TELL: Final = re.compile(r"(?<!\w)đúng(?!\w)")
# Scripts that are written without spaces, or, as Korean, with spaces that people leave out.
UNSPACED: Final = "\u0e00-\u0e7f\u3005\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3"
_UNSPACED: Final = re.compile(f"[{UNSPACED}]")
_LETTER: Final = "a-z\u0900-\u0963\u0966-\u097f"


def letters(text: str) -> str:
    """One case, one width, European figures, no accents where they are no letters; everything else stays."""
    if text.isascii():
        return text.lower()
    wide = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", text).casefold())
    wide = _ONLY_ACCENTS_TELL.sub("dzung", wide).translate(_LETTERS).replace(_TWO_VOWELS, "แ")
    bare = _ACCENTS.sub("", unicodedata.normalize("NFKD", wide)).translate(_LETTERS)
    return unicodedata.normalize("NFC", bare.translate(_MARKS)).translate(_SHAPES)


class Table(dict[int, str]):
    """What each character is to be, for `str.translate`; asked once of each that occurs."""

    def __init__(self, becomes: Callable[[str], str]) -> None:
        """`becomes` says what one character is to be."""
        super().__init__()
        self._becomes = becomes

    def __missing__(self, code: int) -> str:
        found = self[code] = self._becomes(chr(code))
        return found


def _mark(mark: str) -> str:
    """Figures of every script are one; invisible characters are none."""
    if mark.isascii():
        return mark
    category = unicodedata.category(mark)
    if category == "Nd":
        return str(unicodedata.decimal(mark))
    return "" if category == "Cf" else mark


_MARKS: Final = Table(_mark)


def plain(text: str) -> str:
    """One case, one width, no accents and apostrophes, single spaces; figures, signs and punctuation stay."""
    return " ".join(letters(_APOSTROPHE.sub("", text)).split())


def is_spaced(word: str) -> bool:
    """Whether a word is found as a whole word; others are found anywhere, since they are written without spaces."""
    return _UNSPACED.search(word) is None and any(mark.isalnum() for mark in word)


def alternatives(words: Iterable[str]) -> str:
    """An expression, not yet a group's, for any of these words; the longest first. Of no words, one that matches nothing."""
    sides: dict[tuple[str, str], list[str]] = {}
    for word in sorted(words, key=lambda word: (-len(word), word)):
        sides.setdefault(_bounds(word), []).append(re.escape(word))
    grouped = [f"{before}(?:{'|'.join(found)}){after}" for (before, after), found in sides.items()]
    return "(?:" + "|".join(grouped) + ")" if grouped else "(?!)"


def _bounds(word: str) -> tuple[str, str]:
    """A word of letters stands alone; beside Chinese characters and figures it does too ("rm50", "friday還")."""
    if not is_spaced(word):
        return "", ""
    before = f"(?<![{_LETTER}])" if word[0].isalpha() else ""
    after = f"(?![{_LETTER}])" if word[-1].isalpha() or unicodedata.category(word[-1])[0] == "M" else ""
    return before, after


def chinese_number(written: str) -> int | None:
    """The number that Chinese or Korean figures mean: 二十 is 20, 三千五 is 3,500, 一万二 is 12,000; None where they are none."""
    for unit in _TEN_THOUSANDS:
        if unit in written:
            high, _, low = written.partition(unit)
            upper, lower = chinese_number(high) if high else 1, _below_ten_thousand(low, shorthand=1000)
            return None if upper is None or lower is None else upper * 10_000 + lower
    return _below_ten_thousand(written, shorthand=1)


def _below_ten_thousand(written: str, *, shorthand: int) -> int | None:
    """Up to 9,999; a last figure without a unit counts a tenth of the unit before it."""
    if written and all(character in _DIGITS for character in written) and len(written) > 1:
        return int("".join(str(_DIGITS[character]) for character in written))
    total, figure, last = 0, None, shorthand * 10
    zero = False
    for character in written:
        if character in _DIGITS:
            figure = _DIGITS[character]
            zero = zero or figure == 0
        elif character in _UNITS:
            last = _UNITS[character]
            total += (1 if figure is None else figure) * last
            figure = None
        else:
            return None
    if figure is not None:
        # 二十五 is 25, 二百五 is 250, 二百零五 is 205.
        total += figure * (1 if zero or last <= 20 else last // 10)  # noqa: PLR2004  # tens have no shorthand
    return total
