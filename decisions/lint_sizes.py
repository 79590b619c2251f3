"""How long a text is, in the longest form that a borrower may get: pieces of a text message, and sentences.

In:   a text, what its language asks, the longest values that fill its gaps.
Out:  findings about length, encoding and reading; what each text message costs in pieces by currency.
Pure: yes.
Source: decisions/segments.py (3GPP TS 23.038 and 23.040); decisions/lint_reading.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final

from babel.numbers import get_territory_currencies

from decisions.lint import Finding, Language, finding, said
from decisions.lint_reading import GRADES, figure, length, sentences
from decisions.lint_words import GAP
from decisions.messages import Text, date_text, money_text, writes_short
from decisions.segments import Size, measure, smart

# A month's name may be long in one language and short in another.
_DAYS: Final = tuple(date(2026, month, 28) for month in range(1, 13))
SMS: Final = "sms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Longest:
    """The longest values that gaps are filled with in earnest.

    Attributes:
        creditor: Name of a lender.
        link: Address of a borrower's page.
        amounts_minor: Currency → the largest amount that is asked for.
    """

    creditor: str
    link: str
    amounts_minor: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one text message costs where an amount is in one currency."""

    message: str
    locale: str
    currency: str
    size: Size


def filled(words: str, text: Text, channel: str, longest: Longest, currency: str) -> str:
    """The words of a channel as a person may get them at their longest."""
    day = _longest_date(text.writes_like)
    # As `render` writes it: a text message's sign that would make it dear gives way to the currency's code.
    amount = money_text(longest.amounts_minor[currency], currency, text.writes_like, short=writes_short(channel, text.words[channel]))
    known = {"creditor": longest.creditor, "link": longest.link, "stop": text.stop, "code": "000000"}
    return GAP.sub(lambda gap: known.get(gap[0][1:-1]) or (day if gap[0].endswith(("_on}", "{as_of}")) else amount), words)


@lru_cache(maxsize=64)
def _longest_date(writes_like: str) -> str:
    return max((date_text(day, writes_like) for day in _DAYS), key=len)


def currencies(language: Language, longest: Longest) -> list[str]:
    """What is paid with where the language is read; its first country's currency first."""
    used = (str(currency) for country in language.serves for currency in get_territory_currencies(country))
    return list(dict.fromkeys(currency for currency in used if currency in longest.amounts_minor))


def of_sizes(text: Text, language: Language, longest: Longest) -> Iterator[Finding]:
    """What is too long, too dear or too hard in a text."""
    for channel, parts in said(text).items():
        for part, words in parts.items():
            yield from _reading(text, channel, part, words, language)
        if channel == SMS:
            yield from _pieces(text, parts["body"], language, longest)


def costs(text: Text, language: Language, longest: Longest) -> list[Cost]:
    """Pieces of the text message by currency; none where the text has no such words."""
    words = said(text).get(SMS, {}).get("body", "")
    return [
        Cost(message=text.message, locale=text.locale, currency=currency, size=measure(filled(words, text, SMS, longest, currency)))
        for currency in (currencies(language, longest) if words else ())
    ]


def _pieces(text: Text, words: str, language: Language, longest: Longest) -> Iterator[Finding]:
    # By the first country's currency: a sign that is not in GSM-7 is nothing that the writer of a text can help; `costs` tells all.
    for currency in currencies(language, longest)[:1]:
        segments = measure(filled(words, text, SMS, longest, currency)).segments
        if segments > language.segments_max:
            yield finding(text, SMS, "body", "too_long", f"{segments} > {language.segments_max}")
    # Each by itself: with its amount a text may be dear whatever its writer does.
    own = GAP.sub("", words) + text.stop
    if language.short_alphabet and measure(own).encoding != "GSM-7":
        strange = "".join(mark for mark in dict.fromkeys(own) if measure(mark).encoding != "GSM-7")
        plain = smart(strange)
        healed = plain != strange and measure(plain).encoding == "GSM-7"
        yield finding(text, SMS, "body", "encoding", strange, instead=f"write {plain}" if healed else None)


def _reading(text: Text, channel: str, part: str, words: str, language: Language) -> Iterator[Finding]:
    asked = language.reading
    for sentence in sentences(words):
        if (found := length(sentence, in_words=language.writing.spaces == "words")) > asked.sentence_max:
            yield finding(text, channel, part, "long_sentence", f"{found} > {asked.sentence_max}: {sentence[:40]}…")
    if asked.measure is None or asked.limit is None or part == "title":
        return
    value = figure(words, asked.measure)
    if value > asked.limit if asked.measure in GRADES else value < asked.limit:
        sign = ">" if asked.measure in GRADES else "<"
        yield finding(text, channel, part, "hard_to_read", f"{asked.measure} {value:.1f} {sign} {asked.limit:g}")
