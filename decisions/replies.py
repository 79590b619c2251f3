"""What a short answer means: stop, paid, promise, danger and the like, in any of the languages at once.

A reply is cut into clauses, and a lexicon's phrases are looked for in each (decisions/reply_words.py). People do not always
answer in the language they were written to, so every language's phrases are tried on every text, but for those that mean
something else in the person's own ("pare" is a friend in Filipino and a stop in Spanish).

In:   a text as a person wrote it, a `Lexicon` (config/reply_words/), the local date.
Out:  a `Reading`: intents, most protective first, the phrase that decided, a date and an amount where the text names one.
Pure: yes. What is not understood is `unclear` and waits for a person; nothing is guessed in favour of contacting.
Source: DOMAIN.md, "What the borrower's answer does"; CASES.md, `tideover reply read` for the order of intents.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Final

from decisions.reply_amounts import AmountWords, find_amounts
from decisions.reply_dates import DateWords, find_dates
from decisions.reply_slips import Slips
from decisions.reply_text import alternatives, is_spaced, plain
from decisions.reply_words import Phrases, cut, fold, found_in, respelt

# The most protective first; the rest of one text takes effect too.
INTENTS: Final = ("danger", "stop", "dispute", "wrong_person", "cannot_pay", "paid", "promise", "call_me", "help", "start")
UNCLEAR: Final = "unclear"
EVERY_CHANNEL: Final = "all"
HERE: Final = "here"
# Channels on which a person is spoken to; beside them "messages" means the channel that the reply came by.
SPOKEN: Final = frozenset({"voice", "call"})
# What somebody says who is not the person we look for is nobody's promise.
NOT_OF_A_STRANGER: Final = frozenset({"cannot_pay", "paid", "promise", "call_me", "start"})

_APOSTROPHE = re.compile("[’‘`´ʼ]")
# Not within 1,000.50 or 3:30.
_CLAUSE_END: Final = r"(?:(?<!\d)[.,:]|[.,:](?!\d)|[;!?¿¡。、…।\n\r])+"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """How dates and amounts are named.

    Attributes:
        dates: Words of dates.
        amounts: Words of amounts.
        day_first_locales: Languages in which 3/4 is the third of April.
        day_first_currencies: Currencies of places where it is.
        around_a_date: Words that may stand around a date which is the whole answer.
    """

    dates: DateWords
    amounts: AmountWords
    day_first_locales: frozenset[str]
    day_first_currencies: frozenset[str]
    around_a_date: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Lexicon:
    """Every word that decides something, for people who were written to in one language.

    Attributes:
        intents: Intent → its phrases; `danger` is not among them.
        danger: Kind of hold → the words that ask for a person at once.
        everything: Phrases that widen a stop to every channel.
        channels: Channels (or "here"), and the words that name them in a stop.
        courtesies: Words that may surround one that has to stand alone; the longest first.
        thoughts: Words that begin a thought of its own ("but").
        question_ends: Last words, or last characters, of a question that bears no mark.
        not_that_name: Expressions of somebody else's answer ("I'm not John", "我不是王先生"); None = no language has one.
        measures: How dates and amounts are named.
        longest: Words of the longest phrase.
        spellings: A word of the person's own language as people spell it → as its phrases do.
        known: Every word of the lexicon.
        slips: Words of a stop or a danger in the person's own language that may be mistyped.
        slips_alone: The same, of whole answers in any language.
    """

    intents: Mapping[str, Phrases]
    danger: Mapping[str, Phrases]
    everything: Phrases
    channels: tuple[tuple[tuple[str, ...], Phrases], ...]
    courtesies: tuple[str, ...]
    thoughts: tuple[str, ...]
    question_ends: tuple[str, ...]
    not_that_name: re.Pattern[str] | None
    measures: Measures
    longest: int
    spellings: Mapping[str, str]
    known: frozenset[str]
    slips: Slips
    slips_alone: Slips

    @cached_property
    def clause_end(self) -> re.Pattern[str]:
        """What stands between two clauses; one group, so that a split keeps it."""
        return re.compile(f"({_CLAUSE_END}|{alternatives(self.thoughts)})", re.IGNORECASE)

    @cached_property
    def around(self) -> tuple[tuple[str, str], ...]:
        """Each courtesy as it begins a clause, and as it ends one."""
        return tuple((f"{word} ", f" {word}") if is_spaced(word) else (word, word) for word in self.courtesies)

    @cached_property
    def question_words(self) -> frozenset[str]:
        """Those of `question_ends` that are whole words."""
        return frozenset(word for word in self.question_ends if is_spaced(word))

    @cached_property
    def question_marks(self) -> tuple[str, ...]:
        """Those of `question_ends` that a text ends with."""
        return tuple(word for word in self.question_ends if not is_spaced(word))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What an answer means.

    Attributes:
        intent: The most protective intent found, or `unclear`.
        also: The others, in the same order.
        scope: Channels that a stop is for; "all" = every channel, "here" = the one the reply came by. Empty without a stop.
        because: The phrase that decided; a word of the lexicon, not of the person. None when unclear.
        danger_kind: Kind of hold that goes with danger, else None.
        on: Date that the text names, local; None where it names none, or the day of the reply is not known.
        amount_minor: Amount that the text names, in minor units of the debt's currency.
    """

    intent: str
    also: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    because: str | None = None
    danger_kind: str | None = None
    on: date | None = None
    amount_minor: int | None = None

    @property
    def intents(self) -> tuple[str, ...]:
        """All intents, the deciding one first."""
        return (self.intent, *self.also)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a text does not say itself.

    Attributes:
        today: Local date on which it was written; None = no date can be told from it.
        locale: Language that the person was written to in.
        currency: ISO 4217 of the debt; None = not known.
    """

    today: date | None = None
    locale: str | None = None
    currency: str | None = None


UNKNOWN_SETTING: Final = Setting()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clause:
    """A piece of a text between two stops.

    Attributes:
        words: Folded.
        own: The same, spelt as the person's own language usually is.
        bare: The words without courtesies around them.
        is_question: Ends like one.
        is_whole: The whole text once more: phrases with a gap do not reach over its stops.
        ahead: Its dates, where one without a year or a week lies ahead.
        behind: Its dates, where such a one lies behind.
        is_to_come: One of the dates ahead is not over.
        amounts: In minor units.
        rest: What is left of it, folded, without its dates and amounts.
    """

    words: str
    own: str = ""
    bare: str = ""
    is_question: bool = False
    is_whole: bool = False
    ahead: tuple[date, ...] = ()
    behind: tuple[date, ...] = ()
    is_to_come: bool = False
    amounts: tuple[int, ...] = ()
    rest: str = ""


def read_reply(text: str, lexicon: Lexicon, *, provider_says: str | None = None, setting: Setting = UNKNOWN_SETTING) -> Reading:
    """What an answer means.

    Args:
        text: As the person wrote it; may be empty.
        lexicon: The words.
        provider_says: An intent that the provider itself recognised (Twilio's OptOutType, in our words), or None.
        setting: Local date, language, currency.
    """
    clauses = _clauses(text, lexicon, setting)
    mended = [replace(clause, own=own, bare=own) for clause in clauses if (own := _mended(clause, lexicon)) != clause.own]
    found: dict[str, tuple[str, _Clause]] = {}
    kind, because = _danger(clauses, mended, lexicon)
    if because is not None:
        found["danger"] = because
    for intent, phrases in lexicon.intents.items():
        if (because := _found(clauses, phrases, lexicon)) is not None:
            found[intent] = because
    if "stop" not in found and (because := _found(mended, lexicon.intents["stop"], lexicon)) is not None:
        found["stop"] = because
        clauses = [*clauses, *mended]
    if _is_one_payment(found, lexicon):
        del found["promise"]
    if "wrong_person" not in found and (stranger := _not_that_name(text, clauses, lexicon)) is not None:
        found["wrong_person"] = stranger
    if not found and (named := _only_a_date(clauses, lexicon)) is not None:
        found["promise"] = named
    if provider_says is not None:
        found.setdefault(provider_says, (provider_says, clauses[-1] if clauses else _Clause(words="")))
    ordered = _ordered(found)
    on, amount_minor = _measures(clauses, found, ordered)
    if not ordered:
        return Reading(intent=UNCLEAR, on=on, amount_minor=amount_minor)
    scope = _scope(clauses, lexicon) if "stop" in ordered else ()
    return Reading(
        intent=ordered[0],
        also=tuple(ordered[1:]),
        scope=scope,
        because=found[ordered[0]][0],
        danger_kind=kind,
        on=on,
        amount_minor=amount_minor,
    )


def _danger(clauses: list[_Clause], mended: list[_Clause], lexicon: Lexicon) -> tuple[str | None, tuple[str, _Clause] | None]:
    """The kind of danger and the phrase that tells it: as written, else where a mistyped word is mended; (None, None) = no danger."""
    for said in (clauses, mended):
        for kind, phrases in lexicon.danger.items():
            if (because := _found(said, phrases, lexicon)) is not None:
                return kind, because
    return None, None


def _is_one_payment(found: Mapping[str, tuple[str, _Clause]], lexicon: Lexicon) -> bool:
    """Whether a promise is nothing but the day of a payment that was made ("transferred it this morning")."""
    if not {"paid", "promise"} <= found.keys():
        return False
    clause = found["promise"][1]
    said = [clause if not clause.is_to_come else replace(clause, is_to_come=False)]
    same = clause is found["paid"][1] and len(clause.ahead) <= 1
    return same and _found(said, lexicon.intents["promise"], lexicon) is None


def _ordered(found: Mapping[str, object]) -> list[str]:
    """The intents, most protective first, without those that the others rule out."""
    ordered = [intent for intent in INTENTS if intent in found]
    if "wrong_person" in ordered and "dispute" not in ordered:
        ordered = [intent for intent in ordered if intent not in NOT_OF_A_STRANGER]
    if len(ordered) > 1 and "start" in ordered:
        # Nobody is written to again on half a word.
        ordered.remove("start")
    return ordered


def _measures(clauses: list[_Clause], found: Mapping[str, tuple[str, _Clause]], ordered: list[str]) -> tuple[date | None, int | None]:
    """The date and the amount that count: those of the promise, else of what decided, else the first."""
    first = ordered[0] if ordered else None
    leading = ordered[:1] if first == "paid" else ["promise", *ordered[:1]]
    preferred = [found[intent][1] for intent in leading if intent in found]
    ranked = [*preferred, *clauses]
    past = first == "paid" and "promise" not in ordered
    dates = (day for clause in ranked for day in _days_of(clause, past=past or (first == "paid" and clause in preferred)))
    amounts = (amount for clause in ranked for amount in clause.amounts)
    return next(dates, None), next(amounts, None)


def _days_of(clause: _Clause, *, past: bool) -> tuple[date, ...]:
    return clause.behind if past else clause.ahead


def _not_that_name(text: str, clauses: list[_Clause], lexicon: Lexicon) -> tuple[str, _Clause] | None:
    """A name where a name stands ("I'm not John", "no soy Juan", "我不是王先生"); the name itself is told to nobody."""
    written = _APOSTROPHE.sub("'", unicodedata.normalize("NFKC", text))
    if clauses and lexicon.not_that_name is not None and lexicon.not_that_name.search(written):
        return "not that name", clauses[-1]
    return None


def _only_a_date(clauses: list[_Clause], lexicon: Lexicon) -> tuple[str, _Clause] | None:
    """A date is an answer ("Friday."); whoever asks "Friday?", or says anything beside it, is left to a person."""
    for clause in clauses:
        beside = set(clause.rest.split()) - lexicon.measures.around_a_date - set(lexicon.courtesies)
        if clause.is_to_come and not clause.is_question and not beside:
            return "a date", clause
    return None


def _clauses(text: str, lexicon: Lexicon, setting: Setting) -> list[_Clause]:
    """The clauses of a text, and last the text as one: S.T.O.P. is one word."""
    normal = unicodedata.normalize("NFKC", text)
    pieces = lexicon.clause_end.split(normal)
    ends = [*pieces[1::2], ""]
    clauses = [_clause(piece, lexicon, setting, asked="?" in end) for piece, end in zip(pieces[::2], ends, strict=True)]
    clauses = [clause for clause in clauses if clause.words]
    whole = _clause(normal, lexicon, setting, asked="?" in normal)
    if whole.words and not any(whole.words == clause.words for clause in clauses):
        # Its dates are those of its clauses: 3.15 may have been cut.
        clauses.append(replace(whole, is_whole=len(clauses) > 1))
    return clauses


def _clause(piece: str, lexicon: Lexicon, setting: Setting, *, asked: bool) -> _Clause:
    text, measures = plain(piece), lexicon.measures
    ahead: tuple[date, ...] = ()
    behind: tuple[date, ...] = ()
    blanked = text
    if setting.today is not None:
        language = (setting.locale or "").split("-")[0]
        day_first = language in measures.day_first_locales or (language == "en" and setting.currency in measures.day_first_currencies)
        for past in (True, False):
            dates, blanked = find_dates(
                text,
                measures.dates,
                today=setting.today,
                past=past,
                day_first=day_first,
                not_a_day=lambda rest: _counts_something(rest, measures.amounts),
            )
            if past:
                behind = tuple(one.on for one in dates)
            else:
                ahead = tuple(one.on for one in dates)
    amounts = find_amounts(blanked, measures.amounts, currency=setting.currency)
    for one in amounts:
        blanked = blanked[: one.start] + "·" * (one.end - one.start) + blanked[one.end :]
    words = fold(piece)
    return _Clause(
        words=words,
        own=respelt(words, lexicon.spellings),
        bare=_without_courtesies(words, lexicon),
        is_question=asked or _ends_as_question(words, lexicon),
        ahead=ahead,
        behind=behind,
        is_to_come=setting.today is not None and any(day >= setting.today for day in ahead),
        amounts=tuple(one.minor for one in amounts),
        rest=fold(blanked.replace("·", " ")),
    )


def _ends_as_question(words: str, lexicon: Lexicon) -> bool:
    return words.endswith(lexicon.question_marks) or words.rpartition(" ")[2] in lexicon.question_words


def _counts_something(rest: str, words: AmountWords) -> bool:
    """Whether a bare number goes on as money or as a count, and is no day."""
    return words.others.match(rest) is not None or words.signs.match(rest) is not None


def _found(clauses: list[_Clause], phrases: Phrases, lexicon: Lexicon) -> tuple[str, _Clause] | None:
    """The first phrase that counts, and its clause; or None."""
    for clause in clauses:
        if clause.is_question and not phrases.questions:
            continue
        for bare in (clause.bare, _without_symbols(clause.bare), respelt(clause.bare, lexicon.spellings)):
            if bare in phrases.alone:
                return bare, clause
        text = cut(clause.words, phrases.unless, lexicon.longest)
        own = text if clause.own == clause.words else cut(clause.own, phrases.unless, lexicon.longest)
        to_come = clause.is_to_come and not clause.is_whole
        hits = [found_in(own if spoken.is_own else text, spoken, is_to_come=to_come, gaps=not clause.is_whole) for spoken in phrases.spoken]
        if (because := max((hit for hit in hits if hit is not None), key=len, default=None)) is not None:
            return because, clause
    return None


def _mended(clause: _Clause, lexicon: Lexicon) -> str:
    """The clause with its mistyped words of a stop or a danger put right; a whole answer as one word."""
    packed = clause.bare.replace(" ", "")
    if lexicon.known.isdisjoint({clause.bare, packed}) and (meant := lexicon.slips_alone.meant(packed)) is not None:
        return meant
    words = clause.own.split(" ")
    return " ".join(word if word in lexicon.known else lexicon.slips.meant(word) or word for word in words)


def _without_courtesies(words: str, lexicon: Lexicon) -> str:
    """The clause without pleases and thanks around it."""
    before = None
    while before != words:
        before = words
        for first, last in lexicon.around:
            words = words.removeprefix(first).removesuffix(last).strip() or words
    return words


def _without_symbols(words: str) -> str:
    return " ".join("".join(mark for mark in words if unicodedata.category(mark) != "So").split())


def _scope(clauses: list[_Clause], lexicon: Lexicon) -> tuple[str, ...]:
    """Channels that a stop names; one that names none is for all of them."""
    if _found(clauses, lexicon.everything, lexicon) is not None:
        return (EVERY_CHANNEL,)
    of_stop = [clause for clause in clauses if _found([clause], lexicon.intents["stop"], lexicon) is not None]
    # "Don't call me, text me" as one would name both.
    of_stop = [clause for clause in of_stop if not clause.is_whole] or of_stop
    named = [channels for channels, words in lexicon.channels if _found(of_stop, words, lexicon) is not None]
    written = [channels for channels in named if not SPOKEN.issuperset(channels)]
    if any(channels != (HERE,) for channels in written):
        # "WhatsApp messages" are none of the channel that the reply came by.
        named = [channels for channels in named if channels != (HERE,)]
    return tuple(dict.fromkeys(channel for channels in named for channel in channels)) or (EVERY_CHANNEL,)
