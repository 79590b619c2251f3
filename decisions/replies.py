"""What a short answer means: stop, paid, danger and the like, in any of the languages at once.

A reply is folded first (case, width, accents, apostrophes, invisible characters, stretched and spaced-out letters) and
cut into clauses. A phrase is found as whole words; one that holds a character beyond ASCII is found anywhere, since
Chinese is written without spaces. People do not always answer in the language they were written to, so every
language's phrases are tried on every text.

In:   a text as a person wrote it, and a `Lexicon` (config/replies.yaml).
Out:  a `Reading`: intents, most protective first, and the phrase that decided.
Pure: yes. What is not understood is `unclear` and waits for a person; nothing is guessed in favour of contacting.
Source: DOMAIN.md, "What the borrower's answer does"; CASES.md, `tideover reply read` for the order of intents.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import holidays

# The most protective first; the rest of one text takes effect too.
INTENTS: Final = ("danger", "stop", "wrong_person", "paid", "help", "start")
UNCLEAR: Final = "unclear"
EVERY_CHANNEL: Final = "all"
HERE: Final = "here"

_APOSTROPHE = re.compile("[’‘`´ʼ]")
_CLAUSE_END = re.compile(r"([.,;:!?。、…\n\r]+)")
_STRETCHED = re.compile(r"([a-z])\1{2,}")
_SPELLED_OUT = re.compile(r"\b(?:[a-z] ){2,}[a-z]\b")
# How far back a word can take a claim back: "have not yet paid", 还没有付了.
NEGATION_WORDS_MAX: Final = 3
NEGATION_CHARACTERS_MAX: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrases:
    """The words of one intent, folded.

    Attributes:
        alone: Count when they are a whole clause, courtesies aside ("end" does, "at the end of May" does not).
        within: Count anywhere.
        unless: Taken out of the text first ("stop by").
        negated_by: Words that take a claim back when they stand shortly before it in the same clause.
        questions: Whether a question counts too ("paid?" claims nothing).
    """

    alone: frozenset[str] = frozenset()
    within: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    negated_by: frozenset[str] = frozenset()
    questions: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """Every word that decides something.

    Attributes:
        intents: Intent → its phrases; `danger` is not among them.
        danger: Kind of hold → the words that ask for a person at once.
        everything: Phrases that widen a stop to every channel.
        channels: Channels (or "here"), and the words that name them in a stop.
        courtesies: Words that may surround one that has to stand alone; the longest first.
    """

    intents: Mapping[str, Phrases]
    danger: Mapping[str, Phrases]
    everything: tuple[str, ...]
    channels: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    courtesies: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What an answer means.

    Attributes:
        intent: The most protective intent found, or `unclear`.
        also: The others, in the same order.
        scope: Channels that a stop is for; "all" = every channel, "here" = the one the reply came by. Empty without a stop.
        because: The phrase that decided; a word of the lexicon, not of the person. None when unclear.
        danger_kind: Kind of hold that goes with danger, else None.
    """

    intent: str
    also: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    because: str | None = None
    danger_kind: str | None = None

    @property
    def intents(self) -> tuple[str, ...]:
        """All intents, the deciding one first."""
        return (self.intent, *self.also)


@dataclass(frozen=True, slots=True)
class _Clause:
    """A piece of a text between two stops, folded."""

    words: str
    is_question: bool


def fold(text: str) -> str:
    """Letters, digits and symbols as the lexicon compares them: one case, one width, no accents, single spaces."""
    wide = unicodedata.normalize("NFKC", _APOSTROPHE.sub("'", text)).casefold()
    # "I'll" without its apostrophe would be a sickness.
    plain = unicodedata.normalize("NFKD", wide.replace("'ll ", " will ").replace("'", ""))
    kept = "".join(_kept(mark) for mark in plain)
    spaced = _STRETCHED.sub(r"\1", " ".join(unicodedata.normalize("NFC", kept).split()))
    return _SPELLED_OUT.sub(lambda found: found[0].replace(" ", ""), spaced)


def _kept(mark: str) -> str:
    """A letter or digit as it is, a symbol as a word of its own, nothing for an accent, a gap for the rest."""
    category = unicodedata.category(mark)
    if category in {"Mn", "Cf"}:
        return ""
    if category == "So":
        return f" {mark} "
    return mark if category[0] in "LN" else " "


def read_reply(text: str, lexicon: Lexicon, *, provider_says: str | None = None) -> Reading:
    """What an answer means.

    Args:
        text: As the person wrote it; may be empty.
        lexicon: The words.
        provider_says: An intent that the provider itself recognised (Twilio's OptOutType, in our words), or None.
    """
    clauses = _clauses(text)
    found: dict[str, str] = {}
    kind = None
    for danger_kind, phrases in lexicon.danger.items():
        if (because := _found(clauses, phrases, lexicon.courtesies)) is not None and kind is None:
            kind, found["danger"] = danger_kind, because
    for intent, phrases in lexicon.intents.items():
        if (because := _found(clauses, phrases, lexicon.courtesies)) is not None:
            found[intent] = because
    if provider_says is not None:
        found.setdefault(provider_says, provider_says)
    ordered = [intent for intent in INTENTS if intent in found]
    if not ordered:
        return Reading(intent=UNCLEAR)
    if len(ordered) > 1 and "start" in ordered:
        # Nobody is written to again on half a word.
        ordered.remove("start")
    scope = _scope(clauses, lexicon) if "stop" in ordered else ()
    return Reading(intent=ordered[0], also=tuple(ordered[1:]), scope=scope, because=found[ordered[0]], danger_kind=kind)


def paid_hold_until(at: datetime, *, zones: tuple[str, ...], country: str | None, business_days: int) -> datetime:
    """When a hold for a payment said to be under way ends: after so many whole business days where the person is.

    Args:
        at: Instant of the answer, UTC.
        zones: Plausible zones; the latest end counts. Empty = UTC.
        country: ISO 3166-1, whose public holidays are no business days; None or unknown = weekends only.
        business_days: At least 1; the day of the answer is not one of them.

    Returns:
        UTC instant: the start of the local day after the last business day.
    """
    ends = []
    for zone in zones or ("UTC",):
        here = ZoneInfo(zone)
        day = at.astimezone(here).date()
        last = _calendar(country).get_nth_working_day(day, business_days)
        ends.append(datetime.combine(last + timedelta(days=1), time(), here).astimezone(at.tzinfo))
    return max(ends)


def _calendar(country: str | None) -> holidays.HolidayBase:
    try:
        return holidays.country_holidays(country or "")
    except NotImplementedError:
        return holidays.HolidayBase()


def _clauses(text: str) -> list[_Clause]:
    """The clauses of a text, and last the text as one: S.T.O.P. is one word."""
    normal = unicodedata.normalize("NFKC", text)
    pieces = _CLAUSE_END.split(normal)
    ends = [*pieces[1::2], ""]
    clauses = [_Clause(fold(piece), "?" in end) for piece, end in zip(pieces[::2], ends, strict=True)]
    whole = fold(normal)
    if not any(whole == clause.words for clause in clauses):
        clauses.append(_Clause(whole, is_question="?" in normal))
    return [clause for clause in clauses if clause.words]


def _found(clauses: list[_Clause], phrases: Phrases, courtesies: tuple[str, ...]) -> str | None:
    """The first phrase that counts, or None."""
    for clause in clauses:
        if clause.is_question and not phrases.questions:
            continue
        bare = _without_courtesies(clause.words, courtesies)
        if bare in phrases.alone or (bare := _without_symbols(bare)) in phrases.alone:
            return bare
        words = clause.words
        for exception in phrases.unless:
            words = _cut(words, exception)
        for phrase in phrases.within:
            if _counts(words, phrase, phrases.negated_by):
                return phrase
    return None


def _counts(words: str, phrase: str, negated_by: frozenset[str]) -> bool:
    """Whether a phrase stands in a clause, somewhere where nothing takes it back."""
    return any(not _negated(before, negated_by) for before in _before(words, phrase))


def _before(words: str, phrase: str) -> list[str]:
    """What stands before each place of a phrase."""
    whole_words = phrase.isascii()
    text, sought = (f" {words} ", f" {phrase} ") if whole_words else (words.replace(" ", ""), phrase.replace(" ", ""))
    places = []
    place = text.find(sought)
    while place >= 0:
        places.append(text[:place])
        place = text.find(sought, place + 1)
    return places


def _negated(before: str, negated_by: frozenset[str]) -> bool:
    near_words = set(before.split()[-NEGATION_WORDS_MAX:])
    near_characters = before.replace(" ", "")[-NEGATION_CHARACTERS_MAX:]
    return any(word in near_words if word.isascii() else word in near_characters for word in negated_by)


def _cut(words: str, phrase: str) -> str:
    """The clause without a phrase; something stays in its place, so that its neighbours do not become one."""
    if phrase.isascii():
        return f" {words} ".replace(f" {phrase} ", " ¦ ").strip()
    return words.replace(phrase, "¦")


def _without_courtesies(words: str, courtesies: tuple[str, ...]) -> str:
    """The clause without pleases and thanks around it."""
    before = None
    while before != words:
        before = words
        for courtesy in courtesies:
            gap = " " if courtesy.isascii() else ""
            words = words.removeprefix(courtesy + gap).removesuffix(gap + courtesy).strip() or words
    return words


def _without_symbols(words: str) -> str:
    return " ".join("".join(mark for mark in words if unicodedata.category(mark) != "So").split())


def _scope(clauses: list[_Clause], lexicon: Lexicon) -> tuple[str, ...]:
    """Channels that a stop names."""
    if _found(clauses, Phrases(within=lexicon.everything), ()) is not None:
        return (EVERY_CHANNEL,)
    of_stop = [clause for clause in clauses if _found([clause], lexicon.intents["stop"], lexicon.courtesies) is not None]
    named = [channel for channels, words in lexicon.channels if _found(of_stop, Phrases(within=words), ()) for channel in channels]
    return tuple(dict.fromkeys(named)) or (HERE,)
