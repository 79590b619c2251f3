"""All texts through the linter: each by itself, against the law where it is read, and beside its English sister.

In:   texts, word lists, rule packs, the longest values, a date; and which stop words the reply reader understands.
Out:  findings and costs, in the order of the texts.
Pure: yes.
Source: CASES.md, `tideover message lint`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from decisions import lint_law
from decisions.lint import Excepted, Finding, Language, WordLists, finding, kept, of_text, said
from decisions.lint_sizes import Cost, Longest, costs, currencies, filled, of_sizes
from decisions.messages import Text, Texts, gaps
from decisions.packs import Packs

# What every other language is held against.
FIRST_LANGUAGE: Final = "en"
EVERY_MESSAGE: Final = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Linted:
    """What the linter says of all texts.

    Attributes:
        messages: How many.
        locales: How many.
        findings: By message and locale.
        costs: Pieces of each text message.
    """

    messages: int
    locales: int
    findings: tuple[Finding, ...]
    costs: tuple[Cost, ...]

    @property
    def errors(self) -> int:
        """Findings for which nobody receives a text."""
        return sum(one.severity == "error" for one in self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What stands beside the texts.

    Attributes:
        lists: Word lists and exceptions.
        packs: The law.
        longest: Values that gaps are filled with.
        stops: Stop words that the reply reader reads as a stop.
        on: Local date whose law counts.
    """

    lists: WordLists
    packs: Packs
    longest: Longest
    stops: Collection[str]
    on: date


def of_all(texts: Texts, beside: Beside, *, sisters: Texts | None = None) -> Linted:
    """Look at every text.

    Args:
        texts: All, or those that were asked for.
        beside: Everything else.
        sisters: All texts, where only some were asked for: each is held against its English one.
    """
    findings: list[Finding] = []
    every = [text for _, text in sorted(texts.by_key.items())]
    for text in every:
        findings += _of_one(text, sisters or texts, beside)
    findings += _stop_words(every, beside)
    findings += _void(every, beside.lists.exceptions)
    languages = beside.lists.languages
    return Linted(
        messages=len({text.message for text in every}),
        locales=len({text.locale for text in every}),
        findings=tuple(findings),
        costs=tuple(cost for text in every if text.locale in languages for cost in costs(text, languages[text.locale], beside.longest)),
    )


def _of_one(text: Text, texts: Texts, beside: Beside) -> list[Finding]:
    found = of_text(text, beside.lists)
    language = beside.lists.languages.get(text.locale)
    if language is None:
        return found
    more = [*of_law(text, language, beside, sisters=texts), *of_sizes(text, language, beside.longest), *_says_less(text, texts)]
    return [*found, *kept(list(dict.fromkeys(more)), text, beside.lists)]


def of_law(text: Text, language: Language, beside: Beside, *, sisters: Texts | None = None, whole_call: bool = False) -> Iterator[Finding]:
    """What the law of the countries where a text is read finds wrong with it.

    Args:
        text: One message in one locale.
        language: Its language.
        beside: Rule packs, a date, the longest values.
        sisters: All texts: where one of the same message and language is made for a country, it speaks there for its roles.
        whole_call: Nothing else is said in a call around these words.
    """
    for roles, countries in _readers(text, language, sisters):
        yield from _of_law(text, roles, countries, language, beside, whole_call=whole_call)


def _readers(text: Text, language: Language, sisters: Texts | None) -> Iterator[tuple[frozenset[str], list[str]]]:
    """Roles in which a text speaks, and the countries in which it does in just these."""
    of_country: dict[frozenset[str], list[str]] = {}
    for country in language.serves:
        special = None if sisters is None else sisters.by_key.get((text.message, f"{text.locale}-{country}"))
        roles = text.creditor_roles if special is None else text.creditor_roles - special.creditor_roles
        of_country.setdefault(roles, []).append(country)
    yield from ((roles, countries) for roles, countries in of_country.items() if roles)


def _of_law(
    text: Text, roles: frozenset[str], countries: Sequence[str], language: Language, beside: Beside, *, whole_call: bool
) -> Iterator[Finding]:
    known = currencies(language, beside.longest)
    for channel, parts in said(text).items():
        words = "\n".join(parts.values())
        spoken = lint_law.Spoken(
            words=filled(words, text, channel, beside.longest, known[0]) if known else words,
            channel=channel,
            purpose=text.purpose,
            roles=roles,
            locale=text.locale,
            whole_call=whole_call,
        )
        broken: dict[tuple[str, str, str], list[lint_law.Breach]] = {}
        for breach in lint_law.breaches(spoken, countries, beside.packs, beside.on):
            broken.setdefault((breach.kind, breach.jurisdiction, breach.rule), []).append(breach)
        for (kind, jurisdiction, rule), of_rule in broken.items():
            one = finding(text, channel, "body", kind, ", ".join(breach.element for breach in of_rule))
            yield replace(
                one,
                severity=one.severity if any(breach.for_nobody for breach in of_rule) else "warning",
                because=f"{rule} ({jurisdiction}), {_uses(of_rule)}: {of_rule[0].says}",
            )


def _uses(of_rule: Collection[lint_law.Breach]) -> str:
    """For whom and when, in words: "third_party, first message"."""
    uses = dict.fromkeys(use for breach in of_rule for use in breach.uses)
    places = {first for _, first in uses}
    when = "" if len(places) > 1 else ", first message" if True in places else ", later messages"
    return f"{', '.join(dict.fromkeys(role for role, _ in uses))}{when}"


def _says_less(text: Text, texts: Texts) -> Iterator[Finding]:
    sister = texts.by_key.get((text.message, FIRST_LANGUAGE))
    if sister is None or sister is text:
        return
    theirs = said(sister)
    for channel, parts in said(text).items():
        told = frozenset[str]().union(*(gaps(words) for words in theirs.get(channel, {}).values()))
        own = frozenset[str]().union(*(gaps(words) for words in parts.values()))
        if missing := sorted(told - own):
            yield finding(text, channel, "body", "says_less", ", ".join(f"{{{gap}}}" for gap in missing))


def _stop_words(every: Collection[Text], beside: Beside) -> Iterator[Finding]:
    by_locale = {text.locale: text for text in every}
    for locale, text in sorted(by_locale.items()):
        if text.stop not in beside.stops:
            yield replace(finding(text, "", "", "stop_word", text.stop), message=EVERY_MESSAGE, locale=locale)


def _void(every: Collection[Text], exceptions: Collection[Excepted]) -> Iterator[Finding]:
    """Exceptions for words that have changed since; of texts that were not asked for nothing is said."""
    by_key = {(text.message, text.locale): text for text in every}
    for excepted in exceptions:
        text = by_key.get((excepted.message, excepted.locale))
        if text is not None and text.version != excepted.version:
            yield finding(text, "", "", "void_exception", f"{excepted.rule} {excepted.words or ''}".strip())
