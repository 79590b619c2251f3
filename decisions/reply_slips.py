"""Words of a stop or a danger that a finger slipped on: "STPO", "suicde", "berhnti", 수신거브.

A word is mended only where no language's words know it as it stands, where it is long enough that one slip does not make
another word of it, and only for the two intents that protect. Korean syllables are compared by their letters.

In:   folded words (decisions/reply_words.py).
Out:  the word that was meant, or none.
Pure: yes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Final

# So many letters a word must have before a slip of that kind is mended in it.
SWAPPED_LETTERS_MIN: Final = 4
DOUBLED_LETTERS_MIN: Final = 4
MISSED_LETTERS_MIN: Final = 6
OTHER_LETTERS_MIN: Final = 7


class Slips:
    """Words that may have been meant, found by what is left of them without one letter."""

    def __init__(self, words: Iterable[str]) -> None:
        """Keep words that are long enough for one kind of slip at least."""
        self._words = {_letters(word): word for word in sorted(words) if len(_letters(word)) >= SWAPPED_LETTERS_MIN}
        self._shorter: dict[str, set[str]] = {}
        for letters in self._words:
            for shorter in _without_one(letters):
                self._shorter.setdefault(shorter, set()).add(letters)

    def meant(self, written: str) -> str | None:
        """The word that somebody meant; the first of the alphabet where several could be. None = none, or written rightly."""
        letters = _letters(written)
        if letters in self._words:
            return None
        shorter = _without_one(letters)
        near = {word for part in [letters, *shorter] for word in self._shorter.get(part, ())} | (self._words.keys() & shorter)
        return min((self._words[word] for word in near if is_slip(letters, word)), default=None)


def is_slip(written: str, meant: str) -> bool:
    """Whether one slip makes `written` of `meant`: two letters swapped, one doubled, missed, added, or another in its place."""
    longer = len(written) - len(meant)
    place = next(
        (place for place, (one, other) in enumerate(zip(written, meant, strict=False)) if one != other), min(len(written), len(meant))
    )
    if longer == 0:
        swapped = written[place : place + 2] == meant[place : place + 2][::-1] and written[place + 2 :] == meant[place + 2 :]
        other = place > 0 and written[place + 1 :] == meant[place + 1 :]
        return (swapped and len(meant) >= SWAPPED_LETTERS_MIN) or (other and len(meant) >= OTHER_LETTERS_MIN)
    if longer == 1 and written[place + 1 :] == meant[place:]:
        doubled = place > 0 and written[place] == written[place - 1]
        return len(meant) >= (DOUBLED_LETTERS_MIN if doubled else MISSED_LETTERS_MIN) and place > 0
    return longer == -1 and place > 0 and written[place:] == meant[place + 1 :] and len(meant) >= MISSED_LETTERS_MIN


def _letters(word: str) -> str:
    return unicodedata.normalize("NFD", word)


def _without_one(letters: str) -> set[str]:
    return {letters[:place] + letters[place + 1 :] for place in range(len(letters))}
