"""Words in a text, however they are written: one case, one width, no invisible characters, stems, gaps, letters set apart.

A listed phrase is written like those of config/replies.yaml: `a|b c` is "a c" and "b c" (`_` is a space inside such a
choice), `~` stands for up to three words between (six characters where spaces tell nothing), `*` for the rest of a
word: `debt*` is debt, debts and debtor, `*shtak*` whatever holds it. Where a language is written without spaces, or sets
them freely, a phrase is found anywhere, inside a longer word too. A phrase never reaches over the end of a sentence or a
gap of the text.

In:   a text with its gaps, a list of phrases, how the language is written.
Out:  the words that were found.
Pure: yes.
Source: Unicode Standard Annex 15 (NFKC); DOMAIN.md, "Borrowers never read them".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

# Stands where a phrase may not reach over: the end of a sentence, a gap, a phrase that was excepted.
END: Final = "¦"
GAP: Final = re.compile(r"\{[^{}]*\}")
Accents = Literal["ignored", "tones", "kept"]
Spaces = Literal["words", "loose", "none"]

_APOSTROPHES: Final = re.compile("['’‘`´ʼ]")
_SENTENCE_END: Final = re.compile(r"[.!?…]+(?=[\s¦]|$)|[。！？；;:：।॥\n]+")
_CLAUSE_END: Final = re.compile(r"[、，,]")
# Set inside a word, so that it looks like none: c-o-u-r-t, de·bt.
_SET_APART: Final = re.compile(r"(?<=[^\W\d_])[-.*_·•|/\\+~^]{1,2}(?=[^\W\d_])")
_SPELLED_OUT: Final = re.compile(r"(?<= )(?:[^\W\d_] ){2,}[^\W\d_](?= )")
_SYLLABLES_APART: Final = re.compile(r"(?<= )(?:[^\W\d_] )+[^\W\d_](?= )")
_WITH_FIGURES: Final = re.compile(r"[^\W_]*[^\W\d_][0-9@$]+[^\W\d_][^\W_]*")
_FIGURES: Final = str.maketrans("01345@$", "oleasas")
# Vietnamese writes a tone on either vowel of an open pair: hoà, hòa.
_TONE_EARLY: Final = {
    unicodedata.normalize("NFC", f"{first}{second}{tone}"): unicodedata.normalize("NFC", f"{first}{tone}{second}")
    for first, second in ("oa", "oe", "uy")
    for tone in "\u0300\u0301\u0303\u0309\u0323"
}
_TONE_LATE: Final = re.compile(rf"(?<!q)(?:{'|'.join(_TONE_EARLY)})(?!\w)")
# Optional in Hindi: the dot of borrowed sounds; a moon over the line for a dot.
_SPELT_EITHER_WAY: Final = {"\u093c": "", "\u0901": "\u0902"}
_BLANK_MARKS: Final = frozenset("\u034f\u115f\u1160\u3164\uffa0\ufe0e\ufe0f")
_GAP_SIGN: Final = "~"
_BETWEEN: Final[dict[Spaces, str]] = {"words": " ", "loose": " ?", "none": ""}
_WORD_GAP: Final = f"(?: [^ {END}]+){{0,3}}"
_CHARACTER_GAP: Final = f"[^{END}]{{0,6}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How a language is written, as far as finding words goes.

    Attributes:
        spaces: `words`: they stand around each word. `loose`: set freely, a phrase is found with or without. `none`: there are none.
        accents: `ignored`: número is numero. `tones`: they count (hoà is hòa); but a text without any is compared without.
            `kept`: they are letters.
    """

    spaces: Spaces
    accents: Accents


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Listed:
    """Phrases, and phrases that hold one of them and mean something else ("court" and "tennis court").

    A list is itself and equals no other: what it is turned into is found again by it without comparing some hundred phrases.

    Attributes:
        words: Any of these counts.
        unless: Taken out of the text first.
    """

    words: tuple[str, ...]
    unless: tuple[str, ...] = ()


def found(text: str, listed: Listed, writing: Writing) -> list[str]:
    """The words of a text that the list names, as they stand in it but folded; each once, in the order of the text.

    Args:
        text: With its gaps.
        listed: The phrases.
        writing: How the language is written.
    """
    pattern, excepted = _patterns(listed, writing)
    if writing.accents == "tones" and _without_accents(text.casefold()) == unicodedata.normalize("NFC", text.casefold()):
        pattern, excepted = _patterns_without_tones(listed, writing)
    words: dict[str, None] = {}
    for form in folded(text, writing):
        kept = form if excepted is None else excepted.sub(END, form)
        if pattern is not None:
            words |= dict.fromkeys(match[0].strip() for match in pattern.finditer(kept))
    return list(words)


@lru_cache(maxsize=4_096)
def folded(text: str, writing: Writing) -> tuple[str, ...]:
    """A text in the one or two ways in which its words may be read; the second has letters put together that were set apart."""
    plain = _folded(GAP.sub(END, text), writing.accents)
    ended = _SENTENCE_END.sub(END, plain)
    if writing.spaces == "none":
        return (_CLAUSE_END.sub(END, ended).translate(_CLOSE),)
    apart = _spaced(ended)
    spelled_out = _SPELLED_OUT if writing.spaces == "words" else _SYLLABLES_APART
    joined = spelled_out.sub(lambda letters: letters[0].replace(" ", ""), _spaced(_SET_APART.sub("", ended)))
    joined = _WITH_FIGURES.sub(lambda word: word[0].translate(_FIGURES), joined)
    return (apart,) if joined == apart else (apart, joined)


def _spaced(text: str) -> str:
    words = text.translate(_APART).replace(END, f" {END} ")
    return f" {' '.join(words.split())} "


class _Kept(dict[int, str]):
    """Letters, marks and figures as they are, something else in place of the rest; each character is asked about once."""

    def __init__(self, instead: str) -> None:
        super().__init__()
        self.instead = instead

    def __missing__(self, point: int) -> str:
        mark = chr(point)
        self[point] = mark if mark == END or unicodedata.category(mark)[0] in "LMN" or mark in "@$" else self.instead
        return self[point]


class _Seen(dict[int, str]):
    """Characters that are seen, spelt one way; nothing for those that are not."""

    def __missing__(self, point: int) -> str:
        mark = chr(point)
        hidden = unicodedata.category(mark) == "Cf" or mark in _BLANK_MARKS
        self[point] = "" if hidden else _SPELT_EITHER_WAY.get(mark, mark)
        return self[point]


_APART: Final = _Kept(" ")
_CLOSE: Final = _Kept("")
_SEEN: Final = _Seen()


def _folded(text: str, accents: Accents) -> str:
    wide = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", _APOSTROPHES.sub("", text)).casefold())
    seen = unicodedata.normalize("NFD", wide).translate(_SEEN)
    if accents == "ignored":
        return _without_accents(seen)
    composed = unicodedata.normalize("NFC", seen)
    return _tones_placed(composed) if accents == "tones" else composed


def _without_accents(text: str) -> str:
    marks = unicodedata.normalize("NFD", text.replace("đ", "d"))
    return unicodedata.normalize("NFC", "".join(mark for mark in marks if unicodedata.category(mark) != "Mn"))


def _tones_placed(composed: str) -> str:
    return _TONE_LATE.sub(lambda vowels: _TONE_EARLY[vowels[0]], composed)


@lru_cache(maxsize=4_096)
def _patterns(listed: Listed, writing: Writing) -> tuple[re.Pattern[str] | None, re.Pattern[str] | None]:
    return _pattern(listed.words, writing), _pattern(listed.unless, writing)


@lru_cache(maxsize=4_096)
def _patterns_without_tones(listed: Listed, writing: Writing) -> tuple[re.Pattern[str] | None, re.Pattern[str] | None]:
    """Without tones only phrases of several words are sure enough."""
    words, unless = (tuple(one for one in phrases if " " in one) for phrases in (listed.words, listed.unless))
    bare = replace(writing, accents="ignored")
    return _pattern(words, bare), _pattern(unless, bare)


def _pattern(phrases: tuple[str, ...], writing: Writing) -> re.Pattern[str] | None:
    """One expression for all phrases, the longest first; None for no phrases."""
    if not phrases:
        return None
    ordered = sorted({_expression(phrase, writing) for phrase in phrases}, key=lambda one: (-len(one), one))
    either = "|".join(ordered)
    return re.compile(f"(?<= )(?:{either})(?= )" if writing.spaces == "words" else f"(?:{either})")


def _expression(phrase: str, writing: Writing) -> str:
    between, gap = _BETWEEN[writing.spaces], _WORD_GAP if writing.spaces == "words" else _CHARACTER_GAP
    parts = (gap if token == _GAP_SIGN else between + _choice(token.split("|"), writing) for token in _tokens(phrase))
    return "".join(parts).removeprefix(between)


def _tokens(phrase: str) -> list[str]:
    return phrase.replace(_GAP_SIGN, f" {_GAP_SIGN} ").split()


def _choice(alternatives: Iterable[str], writing: Writing) -> str:
    written = [_word(alternative, writing) for alternative in alternatives]
    return written[0] if len(written) == 1 else f"(?:{'|'.join(written)})"


def _word(word: str, writing: Writing) -> str:
    rest, between = f"[^ {END}]*" if writing.spaces == "words" else "", _BETWEEN[writing.spaces]
    spoken = (_folded(part, writing.accents) for part in word.replace("_", " ").split("*"))
    return rest.join(between.join(map(re.escape, _letters(part))) for part in spoken)


def _letters(part: str) -> list[str]:
    return part.translate(_APART).split()


def unfindable(phrase: str, writing: Writing) -> bool:
    """Whether nothing of a phrase is left to be found, or it begins or ends with a gap."""
    tokens = _tokens(phrase)
    if not tokens or _GAP_SIGN in {tokens[0], tokens[-1]}:
        return True
    spoken = [part for token in tokens if token != _GAP_SIGN for part in token.split("|")]
    return not all(_letters(_folded(part.replace("*", "").replace("_", " "), writing.accents)) for part in spoken)
