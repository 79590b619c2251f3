"""The form of a text: its characters and scripts, brackets, links, numbers, and what was to be filled in.

In:   the words of one channel with their gaps, and how the language is written.
Out:  breaches: rule and the words that break it.
Pure: yes.
Source: Unicode character names and categories; the codecs of the national character sets, each of which holds what
        its country writes (GB 2312, Big5, JIS X 0208); decisions/segments.py for what a text message can hold.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from typing import Final

from decisions.lint_words import GAP

Breach = tuple[str, str]

# Script → what the Unicode names of its letters begin with.
_SCRIPTS: Final = {
    "LATIN": "Latin",
    "CJK": "Han",
    "HIRAGANA": "Hiragana",
    "KATAKANA": "Katakana",
    "HANGUL": "Hangul",
    "THAI": "Thai",
    "DEVANAGARI": "Devanagari",
    "CYRILLIC": "Cyrillic",
    "GREEK": "Greek",
    "ARABIC": "Arabic",
    "HEBREW": "Hebrew",
    "ARMENIAN": "Armenian",
    "CHEROKEE": "Cherokee",
}
# Way to write Han → the character set of where it is written. What only others hold is theirs.
_HAN: Final = {"simplified": "gb2312", "traditional": "big5", "japanese": "shift_jis"}
_PAIRS: Final = {"(": ")", "[": "]", "（": "）", "「": "」", "『": "』", "【": "】", "《": "》", "〈": "〉", "“": "”", "«": "»", "〔": "〕"}
_CLOSING: Final = {close: opening for opening, close in _PAIRS.items()}
# Hindi joins letters with these two; nobody else needs what nobody sees.
_JOINERS: Final = frozenset("\u200c\u200d")
_INVISIBLE: Final = frozenset("\u034f\u115f\u1160\u3164\uffa0\u2800")
_ALARMS: Final = re.compile("[!！¡‼⁉❗❕⚠🚨⏰📢🔴]")
_CAPITAL: Final = "A-ZÀ-ÖØ-Þ"
_CAPITALS: Final = re.compile(rf"(?<![^\W\d_])(?:[{_CAPITAL}]{{3,}}(?:\s+[{_CAPITAL}]{{2,}})+|[{_CAPITAL}]{{5,}})(?![^\W\d_])")
_UNFILLED: Final = re.compile(
    r"\b(?:TODO|TBD|TBC|FIXME|XX+|N/A)\b|\b(?i:lorem|ipsum|placeholder|insert here|your text here|sample text|dummy text)\b"
    r"|\?\?\?|\.{4,}|_{3,}|%[sd]\b|%\(\w|\$\{|\$[A-Za-z_]\w*|<[^<>]{0,40}>|(?<!\w)\[[^\[\]]{0,40}\]|○○|〇〇|△△|××|□□"
    r"|待定|待补|待補|待填|此处填|此處填|仮文|仮テキスト|ダミー|임시 ?문구|ตัวอย่างข้อความ"
)
_TLDS: Final = (
    "com|net|org|info|biz|co|io|me|ly|app|link|cn|tw|hk|mx|es|br|in|id|ph|vn|th|ke|tz|jp|kr|us|uk|eu"
    "|xyz|shop|online|top|gg|cc|page|site|example|test"
)
_LINK: Final = re.compile(
    rf"(?i:\b(?:https?|ftp)\s*:\s*/|\bwww\s*\.|\b[a-z0-9-]{{2,}}(?:\.[a-z0-9-]+)*\.(?:{_TLDS})(?![a-z0-9]))\S*"
    r"|\S+@\S+\.\S+|(?<!\w)@[A-Za-z]\w{3,}"
)
_NUMBER: Final = re.compile(r"(?<![\w.])(?:\+|\(|00)?\d(?:[\s().\-–]{0,2}\d){6,}")
_DATE: Final = re.compile(r"\d{1,4}([-./])\d{1,2}\1\d{1,4}")
_AFTER_LINK: Final = re.compile(r"\{link\}([^\s{]\S{0,7})")


def breaches(words: str, *, numbers_allowed: bool, scripts: frozenset[str], han: str | None, foreign: frozenset[str]) -> Iterator[Breach]:
    """Everything that is wrong with the form.

    Args:
        words: With gaps.
        numbers_allowed: Whether this channel may name a phone number.
        scripts: Of the language.
        han: Whose Chinese characters it uses; None = that is not asked.
        foreign: Words of other scripts that its readers know (App), in small letters.
    """
    bare = GAP.sub("\N{NO-BREAK SPACE}", words)
    wide = unicodedata.normalize("NFKC", bare)
    yield from (("shouting", match[0]) for match in _ALARMS.finditer(bare))
    yield from (("shouting", match[0]) for match in _CAPITALS.finditer(wide) if match[0].casefold() not in foreign)
    yield from (("placeholder", match[0]) for match in _UNFILLED.finditer(bare))
    yield from (("link", match[0]) for match in _LINK.finditer(wide))
    yield from (("after_link", match[1]) for match in _AFTER_LINK.finditer(words))
    if not numbers_allowed:
        yield from (("phone_number", match[0]) for match in _NUMBER.finditer(_DATE.sub(" ", _LINK.sub(" ", wide))))
    yield from _characters(wide, scripts, han, foreign)
    yield from (("invisible", f"U+{ord(mark):04X}") for mark in dict.fromkeys(bare) if _is_invisible(mark, scripts))
    yield from (("brackets", mark) for mark in _unpaired(bare))


def _characters(text: str, scripts: frozenset[str], han: str | None, foreign: frozenset[str]) -> Iterator[Breach]:
    strangers = {mark for mark in set(text) if _is_strange(mark, scripts)}
    for strange, letters in groupby(text, key=strangers.__contains__) if strangers else ():
        word = "".join(letters)
        if strange and word.casefold() not in foreign:
            yield "mixed_script", word
    if han is not None:
        yield from (("other_characters", mark) for mark in dict.fromkeys(text) if script_of(mark) == "Han" and not _is_written(mark, han))


def _is_strange(mark: str, scripts: frozenset[str]) -> bool:
    script = script_of(mark)
    return script is not None and script not in scripts


@lru_cache(maxsize=8_192)
def script_of(mark: str) -> str | None:
    """Script of a letter; None for what is none, or belongs to several."""
    if unicodedata.category(mark)[0] not in "LM":
        return None
    return _SCRIPTS.get(unicodedata.name(mark, "").split(" ", 1)[0].split("-", 1)[0])


@lru_cache(maxsize=8_192)
def _is_written(mark: str, han: str) -> bool:
    """Whether a way of writing knows a character; one that nobody's character set holds is rare, not foreign."""
    return _encodes(mark, _HAN[han]) or not any(_encodes(mark, codec) for codec in _HAN.values())


def _encodes(mark: str, codec: str) -> bool:
    try:
        mark.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def _is_invisible(mark: str, scripts: frozenset[str]) -> bool:
    if mark in _JOINERS:
        return "Devanagari" not in scripts
    return mark in _INVISIBLE or unicodedata.category(mark) in {"Cf", "Cc", "Co", "Cn"} - ({"Cc"} if mark in "\n\t" else set())


def _unpaired(text: str) -> Iterator[str]:
    opened: list[str] = []
    for mark in text:
        if mark in _PAIRS:
            opened.append(mark)
        elif mark in _CLOSING and (not opened or opened.pop() != _CLOSING[mark]):
            yield mark
            return
    yield from opened
    if text.count('"') % 2:
        yield '"'
