"""The message linter: what nobody should have to read, found before anybody does.

Word lists of each language (config/lint/<locale>.yaml) say what threatens, shames, presses, imitates, reveals; the form is
looked at besides. `of_text` needs nothing but the text and the lists: the gate asks it once for each version of a text.

In:   texts, word lists, exceptions.
Out:  findings: where, which rule, which words, why, what to write instead.
Pure: yes.
Source: issue "Every channel, every answer", 3 and 4; DOMAIN.md, "Borrowers never read them"; LAW.md, primitive 14.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from decisions import lint_forms
from decisions.lint_reading import Readability
from decisions.lint_rules import LISTED, REVEALS_DEBT, RULES, TRADE_WORD, Severity
from decisions.lint_words import Listed, Writing, found
from decisions.messages import VOICEMAIL, Text, gaps

TITLE: Final = "title"
BODY: Final = "body"
# Others see a lock screen and hear a machine.
SEEN_BY_OTHERS: Final = frozenset({"push", VOICEMAIL})
# Others may see a list of mail; but a notice that has to be served must say what it is.
SEEN_IN_A_LIST: Final = ("email", TITLE)
# Where a person expects a number to call.
NAMES_NUMBERS: Final = frozenset({"voice", VOICEMAIL, "letter", "email"})
# The person can answer these with a word, or turns them off on her phone.
ANSWERED: Final = frozenset({"sms", "whatsapp", "messenger", "rcs"})
TURNED_OFF: Final = frozenset({"push", "email"})
# A last word, and a word that was asked for a second ago, say nothing else.
SAYS_NO_STOP: Final = frozenset({"confirmation", "one_time_code"})
HARMLESS_GAPS: Final = frozenset({"creditor", "link", "stop"})
OF_A_PAYMENT: Final = frozenset({"amount", "due_on", "promised_amount", "promised_on"})
# Purpose → gaps that it has no use for.
NOT_FOR_PURPOSE: Final[Mapping[str, frozenset[str]]] = {
    "confirmation": OF_A_PAYMENT | {"link"},
    "one_time_code": OF_A_PAYMENT | {"link"},
    "education": OF_A_PAYMENT,
    "correction": OF_A_PAYMENT,
    "consent_request": OF_A_PAYMENT,
}
# What a lender's own name may not do.
OF_A_NAME: Final = ("threat", "shame", "imitation")
THE_NAME: Final = "{creditor}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something in a text that a person should not read, or that somebody should look at.

    Attributes:
        message: Folder in config/messages; `*` = every one of the locale.
        locale: Of the file.
        channel: Of CASES.md, or `voicemail`; empty = the whole text.
        part: `title` or `body`; empty = both.
        rule: A name in `decisions.lint_rules.RULES`.
        severity: `error` or `warning`.
        words: What was found.
        because: Why it matters.
        instead: What to write.
    """

    message: str
    locale: str
    channel: str
    part: str
    rule: str
    severity: Severity
    words: str
    because: str
    instead: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """Words that are not for borrowers, and what to say instead."""

    listed: Listed
    instead: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Language:
    """What is known of one locale. It is itself and equals no other, as its lists.

    Attributes:
        writing: How words are found.
        scripts: Scripts of its letters.
        han: Whose Chinese characters it uses (`simplified`, `traditional`, `japanese`), or None.
        foreign: Words of other scripts, or in capitals, that its readers know; in small letters.
        lists: Rule of `LISTED` → its words.
        trade: The trade's words.
        other_region: Words of another country's language.
        reveals_debt: Words that tell of a debt.
        turns_off: Words that say where notifications are turned off, or how mail is stopped.
        serves: Countries where it is read, ISO 3166-1.
        short_alphabet: Whether its text messages keep to GSM-7.
        segments_max: Pieces that a text message may be cut into.
        reading: What is asked of its sentences.
    """

    writing: Writing
    scripts: frozenset[str]
    han: str | None
    foreign: frozenset[str]
    lists: Mapping[str, Listed]
    trade: tuple[Term, ...]
    other_region: tuple[Term, ...]
    reveals_debt: Listed
    turns_off: Listed
    serves: tuple[str, ...]
    short_alphabet: bool
    segments_max: int
    reading: Readability


@dataclass(frozen=True, slots=True, kw_only=True)
class Excepted:
    """A finding that a person took for right, in exactly one version of one text.

    Attributes:
        message: Of the text.
        locale: Of the text.
        version: Of the text: another text's words were not looked at.
        rule: The rule that it breaks.
        words: As the finding has them; None = all of this rule's.
    """

    message: str
    locale: str
    version: str
    rule: str
    words: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WordLists:
    """All that the linter knows.

    Attributes:
        languages: Locale → what is known of it.
        exceptions: What was taken for right.
        disclosures: Language → phrases that the law makes a debt collector say.
    """

    languages: Mapping[str, Language]
    exceptions: tuple[Excepted, ...] = ()
    disclosures: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def of_text(text: Text, lists: WordLists) -> list[Finding]:
    """What is wrong with a text's own words, whatever fills its gaps; without what was excepted.

    Args:
        text: One message in one locale.
        lists: The word lists.
    """
    language = lists.languages.get(text.locale)
    if language is None:
        return [finding(text, "", "", "no_word_list", text.locale)]
    if text.creditor_roles.isdisjoint({"first_party"}):
        language = _without(language, _disclosed(lists, text.locale))
    every = [one for channel, parts in said(text).items() for one in _of_channel(text, channel, parts, language)]
    return kept(list(dict.fromkeys(every)), text, lists)


def of_name(name: str, text: Text, channel: str, lists: WordLists) -> list[Finding]:
    """What a lender's own name says in a text that it should not: it fills a gap, so `of_text` does not see it.

    Args:
        name: As the borrower knows it.
        text: The text that it stands in.
        channel: The words of which channel.
        lists: The word lists.
    """
    language = lists.languages.get(text.locale)
    if language is None:
        return []
    listed = [(rule, language.lists[rule]) for rule in OF_A_NAME]
    if channel in SEEN_BY_OTHERS:
        # "Loans" in a name tells what somebody is, "debt recovery" tells of whom others read it.
        listed += [(TRADE_WORD, term.listed) for term in language.trade]
    findings = [
        replace(finding(text, channel, part, rule, words), instead="use a name that says nothing of the kind here")
        for part, said_there in said(text).get(channel, {}).items()
        if THE_NAME in said_there
        for rule, words_of_rule in listed
        for words in found(name, words_of_rule, language.writing)
    ]
    return kept(findings, text, lists)


def said(text: Text) -> dict[str, dict[str, str]]:
    """Channel → `title` and `body`, those that it has."""
    return {
        channel: {part: one for part, one in ((TITLE, words.title), (BODY, words.body)) if one} for channel, words in text.words.items()
    }


def finding(text: Text, channel: str, part: str, rule: str, words: str, *, instead: str | None = None) -> Finding:
    """A finding of a rule, in the rule's words."""
    known = RULES[rule]
    return Finding(
        message=text.message,
        locale=text.locale,
        channel=channel,
        part=part,
        rule=rule,
        severity=known.severity,
        words=words,
        because=known.because,
        instead=instead or known.instead,
    )


def kept(findings: list[Finding], text: Text, lists: WordLists) -> list[Finding]:
    """Findings of a text that no exception covers."""
    mine = [one for one in lists.exceptions if (one.message, one.locale, one.version) == (text.message, text.locale, text.version)]
    return [one for one in findings if not any(covers(excepted, one) for excepted in mine)]


def covers(excepted: Excepted, one: Finding) -> bool:
    """Whether an exception of this very text is about a finding."""
    return excepted.rule == one.rule and excepted.words in {None, one.words}


def _of_channel(text: Text, channel: str, parts: Mapping[str, str], language: Language) -> Iterator[Finding]:
    for part, words in parts.items():
        yield from (finding(text, channel, part, rule, found_, instead=instead) for rule, found_, instead in _in_words(words, language))
        if channel in SEEN_BY_OTHERS:
            revealed = [*found(words, language.reveals_debt, language.writing), *_telling(words)]
            yield from (finding(text, channel, part, REVEALS_DEBT, one) for one in revealed)
        if (channel, part) == SEEN_IN_A_LIST:
            told = found(words, language.reveals_debt, language.writing)
            yield from (replace(finding(text, channel, part, REVEALS_DEBT, one), severity="warning") for one in told)
        formal = lint_forms.breaches(
            words,
            numbers_allowed=channel in NAMES_NUMBERS,
            scripts=language.scripts,
            han=language.han,
            foreign=language.foreign,
        )
        yield from (finding(text, channel, part, rule, found_) for rule, found_ in formal)
        unused = NOT_FOR_PURPOSE.get(text.purpose, frozenset()) & gaps(words)
        yield from (finding(text, channel, part, "one_purpose", f"{{{gap}}}") for gap in sorted(unused))
    if text.purpose not in SAYS_NO_STOP and not _says_stop(channel, "\n".join(parts.values()), language):
        yield finding(text, channel, "body", "opt_out", "")


def _telling(words: str) -> list[str]:
    """Gaps and signs of money that tell of a debt in any language."""
    signs = dict.fromkeys(mark for mark in words if unicodedata.category(mark) == "Sc")
    return [*(f"{{{gap}}}" for gap in sorted(gaps(words) - HARMLESS_GAPS)), *signs]


def _in_words(words: str, language: Language) -> Iterator[tuple[str, str, str | None]]:
    """Rule, words, and what to say instead where the list knows it."""
    for rule in LISTED:
        yield from ((rule, one, None) for one in found(words, language.lists[rule], language.writing))
    for rule, terms in ((TRADE_WORD, language.trade), ("other_region", language.other_region)):
        for term in terms:
            yield from ((rule, one, term.instead) for one in found(words, term.listed, language.writing))


def _says_stop(channel: str, words: str, language: Language) -> bool:
    if channel in ANSWERED:
        return "{stop}" in words
    return (
        channel not in TURNED_OFF or bool(found(words, language.turns_off, language.writing)) or (channel == "email" and "{stop}" in words)
    )


def _disclosed(lists: WordLists, locale: str) -> tuple[str, ...]:
    return tuple(
        phrase for name, phrases in lists.disclosures.items() if locale == name or locale.startswith(f"{name}-") for phrase in phrases
    )


@lru_cache(maxsize=64)
def _without(language: Language, phrases: tuple[str, ...]) -> Language:
    """The same language, in which some phrases are no breach of any list."""
    spared = {rule: replace(listed, unless=(*listed.unless, *phrases)) for rule, listed in language.lists.items()}
    trade = tuple(replace(term, listed=replace(term.listed, unless=(*term.listed.unless, *phrases))) for term in language.trade)
    return replace(language, lists=spared, trade=trade)
