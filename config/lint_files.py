"""Reads config/lint: one file a locale with the words that no borrower reads, the longest values, and approved exceptions.

In:   the folder; the rule packs and the reply reader, for what stands beside the lists.
Out:  `decisions.lint.WordLists`, `decisions.lint_sizes.Longest`; findings with their places in the files.
Pure: no; reads files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field
from yaml import MappingNode

from config.load import Day, Document, Strict, Whole, checked, parse
from config.message_files import MESSAGES
from config.replies import reply_policy_in_force
from config.rule_files import rule_packs
from config.voice_files import VOICE
from config.zones import zone_tables
from decisions.lint import Excepted, Finding, Language, Term, WordLists
from decisions.lint_all import EVERY_MESSAGE, Beside
from decisions.lint_law import disclosures
from decisions.lint_reading import Measure, Readability
from decisions.lint_rules import LISTED, RULES
from decisions.lint_sizes import Longest
from decisions.lint_words import Accents, Listed, Spaces, Writing, unfindable
from decisions.messages import Texts
from decisions.money import UnknownCurrencyError, minor_units
from decisions.replies import read_reply
from decisions.voice import VOICE_PROMPTS

LINT: Final = Path(__file__).with_name("lint")
EXAMPLES: Final = "examples.yaml"
EXCEPTIONS: Final = "exceptions.yaml"
LOCALES: Final = "locales.yaml"
Phrase = Annotated[str, Field(min_length=1)]
Some = Annotated[tuple[Phrase, ...], Field(min_length=1)]


class ListedForm(Strict):
    """Words of one rule, as written."""

    words: Some
    unless: tuple[Phrase, ...] = ()

    def listed(self) -> Listed:
        """As the linter takes them."""
        return Listed(words=self.words, unless=self.unless)


class TermForm(ListedForm):
    """Words that are not for borrowers, as written."""

    instead: Phrase

    def term(self) -> Term:
        """As the linter takes it."""
        return Term(listed=self.listed(), instead=self.instead)


class WritingForm(Strict):
    """How the language is written."""

    spaces: Spaces
    accents: Accents
    scripts: Some
    han: Literal["simplified", "traditional", "japanese"] | None = None


class TextMessageForm(Strict):
    """What a text message of the language may cost."""

    short_alphabet: Literal["true", "false"]
    segments_max: Annotated[Whole, Field(ge=1, le=10)]


class ReadingForm(Strict):
    """What is asked of sentences."""

    sentence_max: Annotated[Whole, Field(ge=5, le=200)]
    measure: Measure | None = None
    limit: float | None = None
    source: Phrase


class LanguageForm(Strict):
    """One file, as written."""

    owner: Phrase
    reviewed_on: Day
    # Who reads the language and has looked at the lists; null = nobody yet.
    reviewed_by: str | None
    serves: Some
    writing: WritingForm
    foreign: tuple[Phrase, ...] = ()
    text_message: TextMessageForm
    reading: ReadingForm
    threat: ListedForm
    shame: ListedForm
    false_urgency: ListedForm
    imitation: ListedForm
    third_party: ListedForm
    other_purpose: ListedForm
    trade: Annotated[tuple[TermForm, ...], Field(min_length=1)]
    other_region: tuple[TermForm, ...] = ()
    reveals_debt: ListedForm
    turns_off: ListedForm
    # Languages whose lists count here too, because people mix them in one sentence.
    with_lists_of: tuple[Phrase, ...] = ()


class RegionForm(Strict):
    """The file of a language as one country reads it: the same words as the whole language's."""

    owner: Phrase
    reviewed_on: Day
    like: Phrase
    serves: Some


class ExamplesForm(Strict):
    """The longest values, as written."""

    owner: Phrase
    reviewed_on: Day
    creditor: Phrase
    link: Phrase
    amounts_minor: Annotated[dict[Phrase, Whole], Field(min_length=1)]


class ExceptionForm(Strict):
    """One exception, as written."""

    text: Annotated[str, Field(pattern=r"^[a-z0-9_]+/[A-Za-z0-9-]+$")]
    version: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    rule: Phrase
    words: Phrase | None = None
    reason: Annotated[str, Field(min_length=10)]
    approved_by: Phrase
    approved_on: Day


@lru_cache(maxsize=1)
def word_lists_in_force() -> WordLists:
    """The shipped lists, read once a process."""
    return word_lists()


def word_lists(folder: Path = LINT) -> WordLists:
    """Read all lists and exceptions.

    Raises:
        ConfigError: A file is not of its form, a phrase can never be found, a country, rule or language does not exist.
    """
    documents = {path.stem: parse(path) for path in sorted(folder.glob("*.yaml")) if path.name not in {EXAMPLES, EXCEPTIONS}}
    regions = {
        locale: checked(one, one.plain, RegionForm)
        for locale, one in documents.items()
        if isinstance(one.plain, dict) and "like" in one.plain
    }
    forms = {locale: _form(document) for locale, document in documents.items() if locale not in regions}
    languages = {locale: _language(form, documents[locale], forms) for locale, form in forms.items()}
    for locale, region in regions.items():
        if region.like not in languages:
            raise documents[locale].error(["like"], f"there is no list {region.like}")
        languages[locale] = replace(languages[region.like], serves=region.serves)
    return WordLists(
        languages=languages,
        exceptions=_exceptions(folder / EXCEPTIONS),
        disclosures=disclosures(rule_packs()),
    )


def longest_values(folder: Path = LINT) -> Longest:
    """Read the longest values that gaps are filled with.

    Raises:
        ConfigError: The file is not of its form, or a currency does not exist.
    """
    document = parse(folder / EXAMPLES)
    form = checked(document, document.plain, ExamplesForm)
    for currency in form.amounts_minor:
        try:
            minor_units(currency)
        except UnknownCurrencyError:
            raise document.error(["amounts_minor", currency], "is no currency of ISO 4217 in use") from None
    return Longest(creditor=form.creditor, link=form.link, amounts_minor=form.amounts_minor)


def beside(texts: Texts, on: date, folder: Path = LINT) -> Beside:
    """Everything that the linter needs beside texts.

    Args:
        texts: Whose stop words are tried on the reply reader.
        on: Local date.
        folder: Of the lists.

    Raises:
        ConfigError: A file cannot be used.
    """
    lexicon = reply_policy_in_force().lexicon
    words = {text.stop for text in texts.by_key.values()}
    return Beside(
        lists=word_lists_in_force() if folder == LINT else word_lists(folder),
        packs=rule_packs(),
        longest=longest_values(folder),
        stops=frozenset(word for word in words if read_reply(word, lexicon).intent == "stop"),
        on=on,
    )


def places(findings: Iterable[Finding], folder: Path = MESSAGES) -> list[tuple[str, int]]:
    """File and line of each finding, from 1; a finding about a whole locale stands in locales.yaml.

    Args:
        findings: Of the linter.
        folder: Of the messages.

    Raises:
        ConfigError: A file cannot be read any more.
    """
    return [_place(one, folder) for one in findings]


def _place(one: Finding, folder: Path) -> tuple[str, int]:
    if one.message == EVERY_MESSAGE:
        return str(folder / LOCALES), _lines(folder / LOCALES).get(one.locale, 1)
    path = VOICE / f"{one.locale}.yaml" if one.message == VOICE_PROMPTS else folder / one.message / f"{one.locale}.yaml"
    lines = _lines(path)
    names = (one.channel, f"{one.channel}_{one.part}", f"{one.channel}_subject" if one.part == "title" else "")
    return str(path), next((lines[name] for name in names if name in lines), 1)


@lru_cache(maxsize=1_024)
def _lines(path: Path) -> dict[str, int]:
    """Key → line of its value, of a file that is one mapping; `answers.paid` for the keys of a mapping in it."""
    root = parse(path).root
    if root is None:
        return {}
    lines = {key.value: key.start_mark.line + 1 for key, _ in root.value}
    inner = [(key.value, node.value) for key, node in root.value if isinstance(node, MappingNode)]
    return lines | {f"{outer}.{key.value}": key.start_mark.line + 1 for outer, pairs in inner for key, _ in pairs}


def _form(document: Document) -> LanguageForm:
    return checked(document, document.plain, LanguageForm)


def _language(form: LanguageForm, document: Document, forms: dict[str, LanguageForm]) -> Language:
    writing = Writing(spaces=form.writing.spaces, accents=form.writing.accents)
    _can_be_found(form, document, writing)
    for number, country in enumerate(form.serves):
        if country not in zone_tables().countries:
            raise document.error(["serves", number], "is no country (ISO 3166-1, two letters)")
    if unknown := [other for other in form.with_lists_of if other not in forms]:
        raise document.error(["with_lists_of"], f"there is no list for {', '.join(unknown)}")
    together = [form, *(forms[other] for other in form.with_lists_of)]
    return Language(
        writing=writing,
        scripts=frozenset(form.writing.scripts),
        han=form.writing.han,
        foreign=frozenset(word.casefold() for one in together for word in one.foreign),
        lists={rule: _joined([getattr(one, rule) for one in together]) for rule in LISTED},
        trade=tuple(term.term() for one in together for term in one.trade),
        other_region=tuple(term.term() for term in form.other_region),
        reveals_debt=_joined([one.reveals_debt for one in together]),
        turns_off=form.turns_off.listed(),
        serves=form.serves,
        short_alphabet=form.text_message.short_alphabet == "true",
        segments_max=form.text_message.segments_max,
        reading=Readability(
            sentence_max=form.reading.sentence_max,
            measure=form.reading.measure,
            limit=form.reading.limit,
            source=form.reading.source,
        ),
    )


def _joined(listed: Iterable[ListedForm]) -> Listed:
    every = list(listed)
    return Listed(words=tuple(word for one in every for word in one.words), unless=tuple(word for one in every for word in one.unless))


def _can_be_found(form: LanguageForm, document: Document, writing: Writing) -> None:
    """A phrase of which nothing is left to be found would guard nobody."""
    for field, value in form:
        for number, listed in enumerate(value if isinstance(value, tuple) else (value,)):
            if isinstance(listed, ListedForm) and (lost := [one for one in (*listed.words, *listed.unless) if unfindable(one, writing)]):
                where: list[int | str] = [field, number] if isinstance(value, tuple) else [field]
                raise document.error(where, f"can never be found: {', '.join(lost)}")


def _exceptions(path: Path) -> tuple[Excepted, ...]:
    document = parse(path)
    found = []
    for number, one in enumerate(checked(document, document.plain, tuple[ExceptionForm, ...])):
        if one.rule not in RULES:
            raise document.error([number, "rule"], f"is no rule; there are {', '.join(RULES)}")
        message, _, locale = one.text.partition("/")
        found.append(Excepted(message=message, locale=locale, version=one.version, rule=one.rule, words=one.words))
    return tuple(found)
