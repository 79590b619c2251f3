"""How hard a text is to read: a known measure where a language has one, and the length of its sentences in every language.

A gap counts as one short word. A link, a colon and a line's end close a sentence, as readers of short messages take them.

In:   the words of one channel, with gaps.
Out:  grade or ease, and sentence lengths.
Pure: yes.
Source: Kincaid et al. 1975 (Flesch-Kincaid grade, English); Fernández Huerta 1959 (lecturabilidad, Spanish); Martins et al. 1996
        (Flesch's ease adapted to Portuguese). Syllables are counted as groups of vowels: exact enough where spelling follows
        sound, and for English with the silent e taken off. Limits and their sources stand in config/lint/<locale>.yaml.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Literal

from decisions.lint_words import GAP

Measure = Literal["flesch_kincaid", "fernandez_huerta", "martins"]
# Of these a lower figure is easier; of the others a higher one.
GRADES: Final[frozenset[Measure]] = frozenset({"flesch_kincaid"})

_LINK: Final = re.compile(r"\{link\}")
_END: Final = re.compile(r"(?:[.!?…]+(?=\s|$)|[。！？；;:：।\n]+)")
_WORD: Final = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_VOWELS: Final = re.compile(r"[aeiouyáéíóúàèìòùâêôãõäëïöü]+")
# A weak vowel without an accent joins the strong one beside it: cuen-ta, pa-gáis, but dí-a.
_NUCLEUS: Final = re.compile(r"[iuü]?[aeoáéóíúàâêôãõ](?:[iuü](?![aeoáéó]))?|[iuü]+")
_GAP_WORD: Final = " ana "


@dataclass(frozen=True, slots=True, kw_only=True)
class Readability:
    """What is asked of a language's texts.

    Attributes:
        sentence_max: Words of one sentence, or letters and figures where spaces tell nothing.
        measure: A known measure; None = there is none for this language that we could check.
        limit: Highest grade, or lowest ease.
        source: Where the limits come from.
    """

    sentence_max: int
    measure: Measure | None = None
    limit: float | None = None
    source: str


def sentences(words: str) -> list[str]:
    """Sentences of a text, gaps as a short word, links as ends."""
    plain = GAP.sub(_GAP_WORD, _LINK.sub(". ", words))
    return [one.strip() for one in _END.split(plain) if one.strip()]


def length(sentence: str, *, in_words: bool) -> int:
    """Words, or letters and figures where spaces tell nothing.

    A word is what stands between two spaces: in Devanagari a vowel is a mark on its letter, and no letter to Python's expressions.
    """
    if in_words:
        return sum(any(map(str.isalnum, word)) for word in sentence.split())
    return sum(unicodedata.category(mark)[0] in "LN" for mark in sentence)


def figure(words: str, measure: Measure) -> float:
    """Grade or ease of a text; of one without words, the easiest."""
    found = [_WORD.findall(sentence) for sentence in sentences(words)]
    spoken = [word.casefold() for sentence in found for word in sentence]
    if not spoken:
        return 0.0 if measure in GRADES else 100.0
    by_sentence = len(spoken) / max(1, sum(bool(sentence) for sentence in found))
    by_word = sum(_syllables(word, measure) for word in spoken) / len(spoken)
    if measure == "flesch_kincaid":
        return 0.39 * by_sentence + 11.8 * by_word - 15.59
    if measure == "fernandez_huerta":
        return 206.84 - 60 * by_word - 1.02 * by_sentence
    return 248.835 - 84.6 * by_word - 1.015 * by_sentence


def _syllables(word: str, measure: Measure) -> int:
    if measure == "flesch_kincaid":
        # Made, loved, and miles have one; table and wanted have two.
        bare = re.sub(r"(?<![lr])e$|(?<=[^td])ed$|(?<=[^csxz])es$", "", word) if len(word) > 3 else word  # noqa: PLR2004  # the, she, be
        return max(1, len(_VOWELS.findall(bare)))
    return max(1, len(_NUCLEUS.findall(word)))
