"""Reads config/reply_words/: which words of a reply decide something, one file a language.

The words of every language are tried on every reply, but for two kinds: those that a file calls `only_here` count for people
who are written to in that language, and those that it calls `false_friends` are other languages' words that mean something
else in this one.

In:   the files.
Out:  `Lexicons`; folded and expanded, only phrases with a gap keep their alternatives.
Pure: no; reads files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cache, cached_property
from itertools import product
from pathlib import Path
from typing import Final

from pydantic import Field

from config.load import ConfigError, Day, Strict, read
from decisions.replies import INTENTS, Lexicon, Measures
from decisions.reply_amounts import AmountWords
from decisions.reply_dates import DateWords
from decisions.reply_slips import Slips
from decisions.reply_text import is_spaced, plain
from decisions.reply_words import GAP, Phrases, Spoken, exceptions, fold, respelt, word_list

WORDS: Final = Path(__file__).with_name("reply_words")
# What every language shares: signs, codes of currencies.
SHARED: Final = "any"
# Other names that people use for a language.
SAME: Final[Mapping[str, str]] = {"tl": "fil", "in": "id"}
# Questions in which these words stand claim nothing ("paid?").
NO_QUESTIONS: Final = frozenset({"paid", "start"})
# A name in an expression of `not_that_name`: NAME as Latin letters write one, SURNAME by its first character.
_NAME: Final = r"(?!I\b|OK\b|Ok\b)(?:(?:Mr|Mrs|Ms|Miss|Dr|Sr|Sra)\.? )?[A-ZÀ-Ý][a-zà-ÿ]+\b(?! (?:day|debt|loan))"
_TITLES: Final = "(?: ?(?:先生|小姐|女士|太太|씨|님))?"

# The kind of hold where a text speaks of several: the first of these.
DANGER_ORDER: Final = ("mental_health_crisis", "complaint", "illness", "bereavement")

Words = tuple[str, ...]


class PhrasesForm(Strict):
    """The words of one intent, as written."""

    alone: Words = ()
    within: Words = ()
    on_a_date: Words = ()
    unless: Words = ()
    negated_by: Words = ()


class DatesForm(Strict):
    """Words of dates, as written."""

    days: dict[int, Words] = Field(default_factory=dict)
    days_either_way: dict[int, Words] = Field(default_factory=dict)
    not_days: Words = ()
    weekdays: dict[int, Words] = Field(default_factory=dict)
    week_after: Words = ()
    week_after_next: Words = ()
    this_week: Words = ()
    week_before: Words = ()
    months: dict[int, Words] = Field(default_factory=dict)
    month_end: Words = ()
    next_month_end: Words = ()
    next_month: Words = ()
    next_month_after: Words = ()
    before_a_day: Words = ()
    day_marks: Words = ()
    not_after_a_day: Words = ()
    month_words: Words = ()
    ordinals: dict[str, int] = Field(default_factory=dict)
    day_units: Words = ()
    week_units: Words = ()
    month_units: Words = ()
    in_so_many: Words = ()
    so_many_after: Words = ()
    so_many_ago: Words = ()
    since_so_many: Words = ()
    around_a_date: Words = ()
    day_first: bool = False
    day_first_currencies: Words = ()


class NumbersForm(Strict):
    """Numbers in words, as written."""

    words: dict[str, int] = Field(default_factory=dict)
    multipliers: dict[str, int] = Field(default_factory=dict)
    multipliers_first: dict[str, int] = Field(default_factory=dict)
    halves: Words = ()
    joined_by: Words = ()


class AmountsForm(Strict):
    """Words of amounts, as written."""

    currencies: dict[str, Words] = Field(default_factory=dict)
    pay_words: Words = ()
    pay_words_after: Words = ()
    other_units: Words = ()
    before_a_time: Words = ()


class WordsForm(Strict):
    """One language's file, as written."""

    owner: str
    reviewed_on: Day
    intents: dict[str, PhrasesForm] = Field(default_factory=dict)
    danger: dict[str, PhrasesForm] = Field(default_factory=dict)
    everything: Words = ()
    channels: dict[str, Words] = Field(default_factory=dict)
    courtesies: Words = ()
    thoughts: Words = ()
    question_ends: Words = ()
    surnames: str = ""
    not_that_name: Words = ()
    spellings: dict[str, Words] = Field(default_factory=dict)
    dates: DatesForm = Field(default_factory=DatesForm)
    numbers: NumbersForm = Field(default_factory=NumbersForm)
    amounts: AmountsForm = Field(default_factory=AmountsForm)
    only_here: Words = ()
    false_friends: Words = ()


class Lexicons:
    """The lexicon of each language, put together when it is first asked for."""

    def __init__(self, forms: Mapping[str, WordsForm]) -> None:
        """Keep the files; `forms` is by language."""
        self._forms = dict(forms)
        self._made: dict[str | None, Lexicon] = {}

    @property
    def languages(self) -> tuple[str, ...]:
        """Every language that has words, in the order of the alphabet."""
        return tuple(sorted(language for language in self._forms if language != SHARED))

    def of(self, locale: str | None) -> Lexicon:
        """The words for somebody who is written to in a locale; where its language has none, or is not known, all of them."""
        language = _language(locale)
        known = language if language in self._forms else None
        if known not in self._made:
            self._made[known] = _Making(self._forms, known, self._known).lexicon()
        return self._made[known]

    @cached_property
    def _known(self) -> frozenset[str]:
        """Every word of every file."""
        written = {part for form in self._forms.values() for part in _every_word(form.model_dump())}
        return frozenset(word for part in written for word in fold(part).split())


def _language(locale: str | None) -> str:
    bare = (locale or "").replace("_", "-").split("-")[0].lower()
    return SAME.get(bare, bare)


def read_lexicons(folder: Path = WORDS) -> Lexicons:
    """Read every language's words.

    Raises:
        ConfigError: A file is not of its form, names an intent that nobody handles, or holds a word that can never be found.
    """
    forms = {path.stem: read(path, WordsForm) for path in sorted(folder.glob("*.yaml"))}
    for language, form in forms.items():
        path = folder / f"{language}.yaml"
        if unknown := set(form.intents) - set(INTENTS):
            raise ConfigError(path, None, "intents", f"nobody handles {', '.join(sorted(unknown))}")
        try:
            for phrase in _every_phrase(form):
                _checked(phrase)
        except ValueError as error:
            raise ConfigError(path, None, "", str(error)) from error
    return Lexicons(forms)


def _every_phrase(form: WordsForm) -> Iterator[str]:
    for phrases in [*form.intents.values(), *form.danger.values()]:
        yield from (*phrases.alone, *phrases.within, *phrases.on_a_date, *phrases.unless, *phrases.negated_by)
    yield from (*form.everything, *form.courtesies, *(word for words in form.channels.values() for word in words))


def _every_word(written: object) -> Iterator[str]:
    """Every word of a file as written, whatever it is for."""
    if isinstance(written, str):
        yield from _BETWEEN.split(written)
    elif isinstance(written, Mapping):
        yield from (word for key, value in written.items() for part in (key, value) for word in _every_word(part))
    elif isinstance(written, tuple):
        yield from (word for part in written for word in _every_word(part))


_BETWEEN: Final = re.compile("[|~_ ]")


def _checked(phrase: str) -> None:
    """See that a phrase can be found.

    Raises:
        ValueError: It cannot.
    """
    for written in _expanded([phrase]):
        if any(not part.strip() for words in written.split(GAP) for part in words.split("|")):
            raise ValueError("a phrase that has no letters in it can never be found")


class _Making:
    """Puts one language's lexicon together from all files."""

    def __init__(self, forms: Mapping[str, WordsForm], language: str | None, known: frozenset[str]) -> None:
        # The person's own language last: where two say different things of a word, its own word counts.
        names = [name for name in forms if name != language] + ([language] if language is not None else [])
        self._forms = {name: forms[name] for name in names}
        own = forms[language] if language is not None else WordsForm(owner="", reviewed_on=date.min)
        foreign = frozenset(_expanded(own.false_friends))
        self._hidden = {
            name: foreign | frozenset(_expanded(form.only_here)) if name != language else frozenset() for name, form in self._forms.items()
        }
        self._longest = 1
        self._language, self._known = language, known
        self._spellings = {fold(spelt): fold(usual) for usual, others in own.spellings.items() for spelt in others}

    def lexicon(self) -> Lexicon:
        """All of it."""
        kinds = {kind for form in self._forms.values() for kind in form.danger}
        channels = dict.fromkeys(named for form in self._forms.values() for named in form.channels)
        intents = {intent: self._phrases(intent, lambda form: form.intents) for intent in INTENTS if intent != "danger"}
        danger: dict[str, Phrases] = {kind: self._phrases(kind, lambda form: form.danger) for kind in DANGER_ORDER if kind in kinds}
        return Lexicon(
            intents=intents,
            danger=danger,
            everything=self._listed(lambda form: form.everything),
            channels=tuple((tuple(named.split("+")), self._channel(named)) for named in channels),
            courtesies=tuple(sorted(self._folded(lambda form: form.courtesies), key=lambda word: (-len(word), word))),
            thoughts=self._words(lambda form: form.thoughts, as_written=True),
            question_ends=self._folded(lambda form: form.question_ends),
            not_that_name=_strangers(list(self._forms.values())),
            measures=self._measures(),
            longest=self._longest,
            spellings=self._spellings,
            known=self._known,
            slips=Slips(self._protecting()),
            slips_alone=Slips(phrase.replace(" ", "") for phrase in intents["stop"].alone),
        )

    def _protecting(self) -> Iterator[str]:
        """Words of the person's own language that a stop or a danger is told by."""
        if (own := self._forms.get(self._language or "")) is not None:
            for phrases in (own.intents.get("stop", PhrasesForm()), *own.danger.values()):
                words = (word for part in _every_word((*phrases.alone, *phrases.within)) for word in fold(part).split())
                yield from (word for word in words if is_spaced(word))

    def _channel(self, named: str) -> Phrases:
        return self._listed(lambda form: form.channels.get(named, ()))

    def _phrases(self, name: str, part: Callable[[WordsForm], Mapping[str, PhrasesForm]]) -> Phrases:
        forms = {language: part(form).get(name, PhrasesForm()) for language, form in self._forms.items()}
        alone = {phrase for language, form in forms.items() for phrase in self._both(language, form.alone)}
        unless = {phrase for language, form in forms.items() for phrase in self._both(language, form.unless)}
        spoken = tuple(
            Spoken(
                within=word_list(self._spelt(language, self._shown(language, form.within))),
                on_a_date=word_list(self._spelt(language, self._shown(language, form.on_a_date))),
                negated_by=frozenset(self._spelt(language, _expanded(form.negated_by))),
                is_own=language == self._language,
            )
            for language, form in forms.items()
            if form.within or form.on_a_date
        )
        return Phrases(alone=frozenset(alone), unless=exceptions(unless), spoken=spoken, questions=name not in NO_QUESTIONS)

    def _spelt(self, language: str, phrases: Iterable[str]) -> tuple[str, ...]:
        """A language's phrases; those of the person's own as they are usually spelt, each once."""
        if language != self._language or not self._spellings:
            return tuple(phrases)
        # A phrase with a gap is "a|b~c|d" by now.
        return tuple(
            dict.fromkeys(
                GAP.join("|".join(respelt(words, self._spellings) for words in part.split("|")) for part in phrase.split(GAP))
                for phrase in phrases
            )
        )

    def _both(self, language: str, written: Iterable[str]) -> tuple[str, ...]:
        """A language's phrases as written and as usually spelt."""
        shown = self._shown(language, written)
        return (*shown, *self._spelt(language, shown))

    def _listed(self, part: Callable[[WordsForm], Words]) -> Phrases:
        return Phrases(
            spoken=tuple(
                Spoken(within=word_list(self._spelt(language, self._shown(language, part(form)))), is_own=language == self._language)
                for language, form in self._forms.items()
                if part(form)
            )
        )

    def _folded(self, part: Callable[[WordsForm], Words]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(word for language, form in self._forms.items() for word in self._shown(language, part(form))))

    def _shown(self, language: str, written: Iterable[str]) -> tuple[str, ...]:
        """A language's phrases, expanded, without those that count elsewhere only."""
        shown = tuple(phrase for phrase in _expanded(written) if phrase not in self._hidden[language])
        longest = (len(part.split()) for phrase in shown for part in phrase.replace("|", GAP).split(GAP))
        self._longest = max(self._longest, *longest) if shown else self._longest
        return shown

    def _words(self, part: Callable[[WordsForm], Words], *, as_written: bool = False) -> tuple[str, ...]:
        """Words of all languages that are compared plainly, not folded."""
        return tuple(
            dict.fromkeys(
                word
                for language, form in self._forms.items()
                for written in part(form)
                for word in ((written,) if as_written else _plain((written,)))
                if fold(word) not in self._hidden[language]
            )
        )

    def _table(self, part: Callable[[WordsForm], Iterable[tuple[int, Iterable[str]]]]) -> dict[str, int]:
        """Word → number, of all languages; the person's own language has the last word."""
        return {
            word: number
            for language, form in self._forms.items()
            for number, words in part(form)
            for word in _plain(tuple(words))
            if fold(word) not in self._hidden[language]
        }

    def _measures(self) -> Measures:
        """How dates and amounts are named."""
        numbers = self._table(lambda form: _turned(form.numbers.words))
        units = self._table(lambda form: ((1, form.dates.day_units), (7, form.dates.week_units), (MONTH, form.dates.month_units)))
        currencies = {
            word: currency
            for language, form in self._forms.items()
            for currency, words in form.amounts.currencies.items()
            for word in _plain(tuple(words))
            if fold(word) not in self._hidden[language] or not fold(word)
        }
        return Measures(
            dates=DateWords(
                days=self._table(lambda form: form.dates.days.items()),
                days_either_way=self._table(lambda form: form.dates.days_either_way.items()),
                not_days=self._words(lambda form: form.dates.not_days),
                weekdays=self._table(lambda form: form.dates.weekdays.items()),
                weeks=self._table(
                    lambda form: (
                        (-1, form.dates.week_before),
                        (0, form.dates.this_week),
                        (1, form.dates.week_after),
                        (2, form.dates.week_after_next),
                    )
                ),
                months=self._table(lambda form: form.dates.months.items()),
                month_ends=self._table(lambda form: ((0, form.dates.month_end), (1, form.dates.next_month_end))),
                next_month=self._words(lambda form: form.dates.next_month),
                next_month_after=self._words(lambda form: form.dates.next_month_after),
                before_a_day=self._words(lambda form: form.dates.before_a_day),
                day_marks=self._words(lambda form: form.dates.day_marks),
                not_after_a_day=self._words(lambda form: form.dates.not_after_a_day),
                month_words=self._words(lambda form: form.dates.month_words),
                ordinals=self._table(lambda form: _turned(form.dates.ordinals)),
                units={word: (0, 1) if days == MONTH else (days, 0) for word, days in units.items()},
                in_so_many=self._words(lambda form: form.dates.in_so_many),
                so_many_after=self._words(lambda form: form.dates.so_many_after),
                so_many_ago=self._words(lambda form: form.dates.so_many_ago),
                since_so_many=self._words(lambda form: form.dates.since_so_many),
                numbers=numbers,
            ),
            amounts=AmountWords(
                currencies=currencies,
                pay_words=self._words(lambda form: form.amounts.pay_words),
                pay_words_after=self._words(lambda form: form.amounts.pay_words_after),
                other_units=self._words(_counted),
                before_a_time=self._words(lambda form: form.amounts.before_a_time),
                numbers=numbers,
                multipliers=self._table(lambda form: _turned(form.numbers.multipliers)),
                multipliers_first=self._table(lambda form: _turned(form.numbers.multipliers_first)),
                halves=self._words(lambda form: form.numbers.halves),
                joined_by=self._words(lambda form: form.numbers.joined_by),
            ),
            day_first_locales=frozenset(language for language, form in self._forms.items() if form.dates.day_first),
            day_first_currencies=frozenset(currency for form in self._forms.values() for currency in form.dates.day_first_currencies),
            around_a_date=frozenset(self._folded(lambda form: form.dates.around_a_date)),
        )


def _counted(form: WordsForm) -> Words:
    """What a number may count that is no money."""
    return (*form.amounts.other_units, *form.dates.day_units, *form.dates.week_units, *form.dates.month_units)


# In the table of units: a month has no fixed number of days.
MONTH: Final = 30


def _turned(words: Mapping[str, int]) -> Iterable[tuple[int, tuple[str]]]:
    return ((number, (word,)) for word, number in words.items())


def _expanded(written: Iterable[str]) -> tuple[str, ...]:
    """`a|b c` as "a c", "b c"; folded, each once."""
    phrases: dict[str, None] = {}
    for phrase in written:
        phrases.update(dict.fromkeys((_with_gap(phrase),) if GAP in phrase else _combinations(phrase)))
    return tuple(phrases)


@cache
def _combinations(written: str) -> tuple[str, ...]:
    """Every combination of a phrase's alternatives, folded; each once. Kept, since every language's lexicon asks for it."""
    return tuple(dict.fromkeys(fold(" ".join(words)) for words in product(*(part.split("|") for part in written.split()))))


@cache
def _with_gap(phrase: str) -> str:
    """A phrase with gaps: each part as its alternatives, since all of their combinations would be thousands."""
    parts = [_combinations(part) for part in phrase.split(GAP)]
    if not is_spaced(phrase):
        parts = [tuple(words.replace(" ", "") for words in part) for part in parts]
    return GAP.join("|".join(part) for part in parts)


@cache
def _plain(written: tuple[str, ...]) -> tuple[str, ...]:
    return tuple({plain(" ".join(words)): None for phrase in written for words in product(*(part.split("|") for part in phrase.split()))})


def _strangers(forms: Sequence[WordsForm]) -> re.Pattern[str] | None:
    """One expression for somebody else's name in all languages' phrases."""
    surnames = "".join(form.surnames for form in forms)
    # In Chinese the name ends the phrase: whatever goes on is no name.
    names = {"NAME": _NAME, "SURNAME": rf"[{surnames}][\u4e00-\u9fff\uac00-\ud7a3]{{0,2}}{_TITLES}(?![\u4e00-\u9fff])"}
    found = []
    for phrase in (phrase for form in forms for phrase in form.not_that_name):
        parts = [names.get(part, f"(?i:{re.escape(part)})") for part in re.split("(SURNAME|NAME)", phrase) if part]
        found.append((r"\b" if is_spaced(phrase) else "") + "".join(parts))
    return re.compile("|".join(found)) if found else None
