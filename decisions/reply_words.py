"""Finding a lexicon's phrases in what somebody wrote.

A text is folded first (case, width, accents, apostrophes, invisible characters, stretched and spaced-out letters). A phrase
is found as whole words; one of a script without spaces is found anywhere; `~` in a phrase stands for a few words between. Each
language has its own words that take a claim back ("havent paid", "belum bayar", 还没付).

In:   texts; phrases, folded (config/reply_words/).
Out:  the phrases found, with nothing before them that takes them back.
Pure: yes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from decisions.reply_text import UNSPACED, Table, is_spaced, letters

_APOSTROPHE = re.compile("[’‘`´ʼ]")
_STRETCHED = re.compile(r"([^\W\d_])\1{2,}")
_SPELLED_OUT = re.compile(r"\b(?:[a-z] ){2,}[a-z]\b")
# "do not" and "don't" are one phrase.
_NOT = re.compile(r"\b(?:(do|does|did|is|are|was|were|have|has|had|could|would|should|ca|can|will)(?: |(?=not))not)\b")
_SHORT: Final = {"can not": "cant", "cannot": "cant", "will not": "wont"}
_SIDES: Final = f"[\u0900-\u097f{UNSPACED}]"
_BESIDE_OTHER_SCRIPTS = re.compile(f"(?<={_SIDES})(?=[a-z0-9])|(?<=[a-z0-9])(?={_SIDES})")
# How far back a word can take a claim back: "have not yet paid", 还没有付了. In Thai "not able to" has six marks.
NEGATION_WORDS_MAX: Final = 3
NEGATION_CHARACTERS_MAX: Final = 4
NEGATION_THAI_MAX: Final = 10
_THAI = re.compile("[\u0e00-\u0e7f]")
GAP: Final = "~"
# What may stand in a gap: a few words, none of which begins a new thought; in scripts without spaces, a few characters.
GAP_WORDS_MAX: Final = 3
GAP_CHARACTERS_MAX: Final = 4
NEW_THOUGHT: Final = frozenset(
    ("i", "ill", "im", "will", "but", "so", "because", "and", "then", "que", "y", "pero", "porque", "ya", "mas", "tapi", "lekin", "lakini")
)


def fold(text: str) -> str:
    """Letters, digits and symbols as the lexicon compares them: one case, one width, no accents, single spaces."""
    # "I'll" without its apostrophe would be a sickness.
    bare = letters(_APOSTROPHE.sub("'", text)).replace("'ll ", " will ").replace("'", "")
    apart = bare.translate(_KEPT)
    if not apart.isascii():
        apart = _BESIDE_OTHER_SCRIPTS.sub(" ", apart)
    # A lexicon folds tens of thousands of words: what can be seen not to occur is not looked for.
    joined = _STRETCHED.sub(r"\1", " ".join(apart.split()))
    if " " in joined:
        joined = _SPELLED_OUT.sub(lambda found: found[0].replace(" ", ""), joined)
    return _NOT.sub(lambda found: _SHORT.get(found[0], f"{found[1]}nt"), joined) if "not" in joined else joined


def respelt(words: str, spellings: Mapping[str, str]) -> str:
    """Folded words, each as its language usually spells it ("sy jgn di tlp" is "saya jangan di telepon")."""
    return " ".join(spellings.get(word, word) for word in words.split(" ")) if spellings else words


def _kept(mark: str) -> str:
    """A letter or digit as it is, a symbol as a word of its own, a gap for the rest."""
    category = unicodedata.category(mark)
    if category == "So":
        return f" {mark} "
    return mark if category[0] in "LNM" else " "


_KEPT: Final = Table(_kept)


@dataclass(frozen=True, slots=True)
class Gapped:
    """A phrase of parts with gaps between them, or of one part.

    Attributes:
        parts: The alternatives of each part.
        is_spaced: Whether its parts are whole words; otherwise they are pieces of a text without spaces.
        begins: How the first part begins: with which words, or with which characters.
    """

    parts: tuple[frozenset[str], ...]
    is_spaced: bool
    begins: frozenset[str]

    def may_stand_in(self, text: Text) -> bool:
        """Whether it begins anywhere in a text: most do not, which is seen faster than looked for."""
        return not self.begins.isdisjoint(text.runs if self.is_spaced else text.marks)


@dataclass(frozen=True, slots=True)
class WordList:
    """Phrases, by how they are found.

    Attributes:
        whole: Found as whole words.
        anywhere: Found anywhere, spaces left out; by their first character.
        gapped: With gaps between their words.
    """

    whole: frozenset[str] = frozenset()
    anywhere: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    gapped: tuple[Gapped, ...] = ()


def word_list(phrases: Iterable[str]) -> WordList:
    """Sort folded phrases; one with gaps has its parts' alternatives divided by `|`."""
    whole: list[str] = []
    anywhere: dict[str, dict[str, None]] = {}
    for phrase in (phrase for phrase in phrases if GAP not in phrase):
        if is_spaced(phrase):
            whole.append(phrase)
        elif packed := phrase.replace(" ", ""):
            anywhere.setdefault(packed[0], {})[packed] = None
    return WordList(
        whole=frozenset(whole),
        anywhere={first: tuple(found) for first, found in anywhere.items()},
        gapped=tuple(_gapped(phrase) for phrase in phrases if GAP in phrase),
    )


def _gapped(phrase: str) -> Gapped:
    spaced = is_spaced(phrase)
    split = (part.split("|") for part in phrase.split(GAP))
    parts = tuple(frozenset(words if spaced else words.replace(" ", "") for words in part) for part in split)
    return Gapped(parts, spaced, parts[0] if spaced else frozenset(part[:1] for part in parts[0]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One language's words of one intent.

    Attributes:
        within: Count anywhere.
        on_a_date: Count in a clause that names a date which is not over ("Friday I send it").
        negated_by: Words that take a claim back when they stand shortly before it in the same clause.
        is_own: Whether it is the language that the person was written to in: its words are looked for as they are usually spelt.
    """

    within: WordList = WordList()
    on_a_date: WordList = WordList()
    negated_by: frozenset[str] = frozenset()
    is_own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrases:
    """The words of one intent, folded.

    Attributes:
        alone: Count when they are a whole clause, courtesies aside ("end" does, "at the end of May" does not).
        unless: Taken out of the text first ("stop by").
        spoken: The rest, a language each.
        questions: Whether a question counts too ("paid?" claims nothing).
    """

    alone: frozenset[str] = frozenset()
    unless: tuple[Gapped, ...] = ()
    spoken: tuple[Spoken, ...] = ()
    questions: bool = True


@dataclass(frozen=True)
class Text:
    """A folded clause, cut up for looking things up.

    Attributes:
        words: As folded.
        longest: Words of the longest phrase that is looked for.
        tokens: Its words.
    """

    words: str
    longest: int
    tokens: list[str] = field(init=False)

    def __post_init__(self) -> None:
        """Cut it once."""
        object.__setattr__(self, "tokens", self.words.split())

    @cached_property
    def packed(self) -> str:
        """Without spaces; empty where no character asks for it."""
        return "" if self.words.isascii() else self.words.replace(" ", "")

    @cached_property
    def marks(self) -> frozenset[str]:
        """The characters of `packed`."""
        return frozenset(self.packed)

    @cached_property
    def runs(self) -> dict[str, list[int]]:
        """Every run of words → the words before which it stands."""
        found: dict[str, list[int]] = {}
        for start in range(len(self.tokens)):
            for end in range(start + 1, min(start + self.longest, len(self.tokens)) + 1):
                found.setdefault(" ".join(self.tokens[start:end]), []).append(start)
        return found

    def spans(self, gapped: Gapped) -> Iterator[tuple[int, int, tuple[str, ...]]]:
        """Where a phrase with gaps stands: [start, end) in words, or in characters of the packed text, and its parts as found."""
        if gapped.is_spaced:
            firsts = sorted((start, part) for part in self.runs.keys() & gapped.parts[0] for start in self.runs[part])
            follow = self._words_after
        else:
            firsts = sorted((start, part) for part in gapped.parts[0] if part in self.packed for start in _places(self.packed, part))
            follow = self._pieces_after
        for start, part in firsts:
            end = start + (part.count(" ") + 1 if gapped.is_spaced else len(part))
            rest = follow(end, gapped.parts[1:])
            if rest is not None:
                yield start, rest[0], (part, *rest[1])

    def _words_after(self, end: int, parts: tuple[frozenset[str], ...]) -> tuple[int, tuple[str, ...]] | None:
        """The rest of a phrase after a word, and where it ends; None where it does not follow."""
        if not parts:
            return end, ()
        for skipped in range(GAP_WORDS_MAX + 1):
            start = end + skipped
            for length in range(1, self.longest + 1) if start < len(self.tokens) else ():
                part = " ".join(self.tokens[start : start + length])
                if part in parts[0] and (rest := self._words_after(start + length, parts[1:])) is not None:
                    return rest[0], (part, *rest[1])
            if start >= len(self.tokens) or self.tokens[start] in NEW_THOUGHT:
                break
        return None

    def _pieces_after(self, end: int, parts: tuple[frozenset[str], ...]) -> tuple[int, tuple[str, ...]] | None:
        """The same in characters."""
        if not parts:
            return end, ()
        for start in range(end, end + GAP_CHARACTERS_MAX + 1):
            for part in parts[0]:
                if self.packed.startswith(part, start) and (rest := self._pieces_after(start + len(part), parts[1:])) is not None:
                    return rest[0], (part, *rest[1])
        return None


def found_in(text: Text, spoken: Spoken, *, is_to_come: bool, gaps: bool) -> str | None:
    """The fullest phrase of a language that stands in a clause where nothing takes it back; or None.

    Args:
        text: The clause.
        spoken: The language's words.
        is_to_come: Whether the clause names a date that is not over.
        gaps: Whether phrases with gaps count: not across the stops of a whole text.
    """
    lists = (spoken.within, spoken.on_a_date) if is_to_come else (spoken.within,)
    hits = (hit for words in lists for hit in _hits(text, words, spoken.negated_by, gaps=gaps))
    return max(hits, key=lambda phrase: (len(phrase), phrase), default=None)


def _hits(text: Text, words: WordList, negated_by: frozenset[str], *, gaps: bool) -> Iterator[str]:
    for phrase in text.runs.keys() & words.whole if words.whole else ():
        if any(not _is_taken_back(text.tokens[:start], negated_by) for start in text.runs[phrase]):
            yield phrase
    for first in text.marks & words.anywhere.keys() if words.anywhere else ():
        for phrase in words.anywhere[first]:
            if phrase in text.packed and any(
                not _is_taken_back([text.packed[:start]], negated_by) for start in _places(text.packed, phrase)
            ):
                yield phrase
    for gapped in words.gapped if gaps else ():
        if not gapped.may_stand_in(text):
            continue
        for start, _, parts in text.spans(gapped):
            if not _is_taken_back(text.tokens[:start] if gapped.is_spaced else [text.packed[:start]], negated_by):
                yield " … ".join(parts)
                break


def _places(text: str, phrase: str) -> Iterator[int]:
    place = text.find(phrase)
    while place >= 0:
        yield place
        place = text.find(phrase, place + 1)


def _is_taken_back(before: list[str], negated_by: frozenset[str]) -> bool:
    """Whether a word that takes a claim back stands shortly before it; several words may be one such word ("tengo que")."""
    if not negated_by or not before:
        return False
    near = f" {' '.join(before[-NEGATION_WORDS_MAX:])} "
    packed = near.replace(" ", "")
    return any(
        f" {word} " in near
        if is_spaced(word)
        else word in packed[-(NEGATION_THAI_MAX if _THAI.search(word) else NEGATION_CHARACTERS_MAX) :]
        for word in negated_by
    )


def exceptions(phrases: Iterable[str]) -> tuple[Gapped, ...]:
    """What is taken out of a text, the fullest first; a phrase of a script without spaces whatever spaces people put in it."""
    return tuple(_gapped(phrase) for phrase in sorted(phrases, key=lambda phrase: (-len(phrase), phrase)))


def cut(words: str, taken_out: Iterable[Gapped], longest: int) -> Text:
    """A clause without some phrases; something stays in their place, so that their neighbours do not become one."""
    text = Text(words, longest)
    for exception in taken_out:
        if not exception.may_stand_in(text):
            continue
        while (span := next(text.spans(exception), None)) is not None:
            text = Text(_without(text, span[0], span[1], is_spaced=exception.is_spaced), longest)
    return text


def _without(text: Text, start: int, end: int, *, is_spaced: bool) -> str:
    if is_spaced:
        return " ".join([*text.tokens[:start], CUT, *text.tokens[end:]])
    places = [place for place, character in enumerate(text.words) if character != " "]
    return f"{text.words[: places[start]]} {CUT} {text.words[places[end - 1] + 1 :]}".strip()


# What stands where something was taken out.
CUT: Final = "¦"
