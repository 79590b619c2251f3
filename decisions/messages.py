"""Messages: a text with gaps becomes what a person reads, in her language, with money and dates as she writes them.

In:   texts of config/messages/<message>/<locale>.yaml, and what fills them.
Out:  title and body, ready for a channel, with the hash of the text that was used.
Pure: no I/O. A gap that cannot be filled, an unknown locale and an unapproved text are errors: nobody is contacted
      with half a text.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.dates import format_date

from decisions import money

GAPS: Final = ("creditor", "amount", "due_on", "link", "stop")
GAP: Final = re.compile(r"\{([^{}]*)\}")
SCRIPT_LETTERS: Final = 4
# For these, a text filed under the bare language would not say which script it is in.
WRITTEN_IN_TWO_SCRIPTS: Final = frozenset({"zh"})
# Babel writes no-break spaces, which cost a text message its short encoding.
PLAIN_SPACES: Final = str.maketrans(dict.fromkeys("\u00a0\u202f\u2009", " "))


class NoTextError(LookupError):
    """There is no approved text of that message in that locale (or channel)."""

    def __init__(self, message: str, locale: str | None, reason: str) -> None:
        """Keep what was looked for; none of it is personal."""
        self.message, self.locale, self.reason = message, locale, reason
        super().__init__(f"{message}/{locale}: {reason}")


class GapError(ValueError):
    """A text has a gap that nothing fills, or a brace that is not a gap. Names the gap, never a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One message in one locale.

    Attributes:
        message: Folder in config/messages.
        locale: BCP 47 tag of the file's name.
        purpose: Purpose of CASES.md that it serves.
        version: Hash of the file and of its locale's words.
        writes_like: Tag of the region whose way to write money and dates it follows.
        stop: The word that stops messages, as replies in this locale are read.
        creditor_roles: Roles before the law that may send it: a debt collector owes words that a lender does not.
        approved: False = nobody receives it.
        sms: Text message, or None where it has none.
        push_title: Heading of the notification, or None.
        push_body: Its text, or None.
    """

    message: str
    locale: str
    purpose: str
    version: str
    writes_like: str
    stop: str
    creditor_roles: frozenset[str]
    approved: bool
    sms: str | None
    push_title: str | None
    push_body: str | None

    def says(self, channel: str) -> bool:
        """Whether it has words for that channel."""
        return self.sms is not None if channel == "sms" else channel == "push" and self.push_body is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """All messages; `by_key` is (message, locale) → text."""

    by_key: dict[tuple[str, str], Text]

    def locale_for(self, locale: str | None, message: str, channel: str, creditor_role: str | None) -> str | None:
        """Locale of the approved text that a person of `locale` reads, or None: zh-TW reads zh-Hant, es-MX reads es, fr nothing.

        A language is never guessed: a person whose language is unknown gets no text.
        """
        for tag in _ancestors(locale):
            text = self.by_key.get((message, tag))
            if text is not None:
                return tag if text.approved and text.says(channel) and creditor_role in text.creditor_roles else None
        return None

    def text(self, message: str, locale: str | None) -> Text:
        """The approved text of exactly that locale.

        Raises:
            NoTextError: There is none.
        """
        found = self.by_key.get((message, locale or ""))
        if found is None:
            raise NoTextError(message, locale, "no such text")
        if not found.approved:
            raise NoTextError(message, locale, "not approved")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What the person reads. Personal: never logged.

    Attributes:
        title: Heading; empty where the channel has none.
        body: The text.
        version: Hash of the text it was made of.
    """

    title: str
    body: str
    version: str


def render(
    text: Text,
    *,
    channel: str,
    creditor_name: str,
    amount_minor: int | None = None,
    currency: str | None = None,
    due_on: date | None = None,
    link: str | None = None,
) -> Rendered:
    """Fill a text's gaps.

    Args:
        text: From `Texts.text`.
        channel: `sms` or `push`.
        creditor_name: The lender's name as the borrower knows it.
        amount_minor: What is past due, in minor units of `currency`; never negative.
        currency: ISO 4217.
        due_on: Since when: the oldest due date.
        link: Where to pay or ask for more time.

    Raises:
        NoTextError: The text has no words for that channel, or is not approved.
        GapError: A gap has no value (also an empty one).
        decisions.money.UnknownCurrencyError: Not a currency in use.
    """
    if not text.approved:
        raise NoTextError(text.message, text.locale, "not approved")
    if not text.says(channel):
        raise NoTextError(text.message, text.locale, f"no words for {channel}")
    values = {
        "creditor": creditor_name,
        "amount": None if amount_minor is None or currency is None else money_text(amount_minor, currency, text.writes_like),
        "due_on": None if due_on is None else date_text(due_on, text.writes_like),
        "link": link,
        "stop": text.stop,
    }
    title, body = ("", text.sms) if channel == "sms" else (text.push_title or "", text.push_body)
    return Rendered(title=_fill(title, values), body=_fill(body or "", values), version=text.version)


@lru_cache(maxsize=1_024)
def gaps(words: str) -> frozenset[str]:
    """Names of the gaps in a text.

    Raises:
        GapError: A gap that nobody knows, or a brace that opens or closes none.
    """
    named = set(GAP.findall(words))
    if unknown := sorted(named - set(GAPS)):
        raise GapError(f"unknown gap {{{unknown[0]}}}; known are {', '.join(GAPS)}")
    if set(GAP.sub("", words)) & set("{}"):
        raise GapError("a brace that belongs to no gap")
    return frozenset(named)


@lru_cache(maxsize=65_536)
def money_text(amount_minor: int, currency: str, writes_like: str) -> str:
    """An amount as that region writes it, with all the decimals that ISO 4217 gives the currency.

    CLDR's own decimals are what shops show (none for IQD): an amount owed is never rounded.

    Raises:
        ValueError: A negative amount.
    """
    if amount_minor < 0:
        raise ValueError("an amount owed is never negative")
    locale = known_locale(writes_like)
    pattern = copy.copy(locale.currency_formats["standard"])
    decimals = money.minor_units(currency)
    pattern.frac_prec = (decimals, decimals)
    written = str(pattern.apply(money.from_minor(amount_minor, currency), locale, currency=currency, currency_digits=False))
    return written.translate(PLAIN_SPACES)


@lru_cache(maxsize=4_096)
def date_text(day: date, writes_like: str) -> str:
    """A date with its month in words or its parts named, so that nobody takes the day for the month."""
    return format_date(day, format="medium", locale=known_locale(writes_like)).translate(PLAIN_SPACES)


def _fill(words: str, values: dict[str, str | None]) -> str:
    gaps(words)
    return GAP.sub(lambda gap: _value(gap[1], values), words)


def _value(name: str, values: dict[str, str | None]) -> str:
    value = values[name]
    if not value:
        raise GapError(f"nothing to put into {{{name}}}")
    return value


@lru_cache(maxsize=64)
def known_locale(tag: str) -> Locale:
    """CLDR's data for a BCP 47 tag.

    Raises:
        NoTextError: There are none.
    """
    try:
        return Locale.parse(tag, sep="-")
    except (UnknownLocaleError, ValueError) as error:
        raise NoTextError("*", tag, "unknown locale") from error


@lru_cache(maxsize=1_024)
def _ancestors(locale: str | None) -> tuple[str, ...]:
    """Tags under which a person's text may be filed, closest first: zh-TW → zh-TW, zh-Hant-TW, zh-Hant.

    A language without its script counts with the script that is likely where she lives; where that is not known and the
    language is written in two, nothing is guessed.
    """
    if not locale:
        return ()
    try:
        known = Locale.parse(locale.replace("_", "-"), sep="-")
    except (UnknownLocaleError, ValueError):
        return (locale,)
    usual = _script(known.language)
    two_scripts = known.language in WRITTEN_IN_TWO_SCRIPTS
    script = known.script or _script(f"{known.language}_{known.territory}") or (None if two_scripts else usual)
    if script is None:
        return (locale,)
    own = [f"{known.language}-{script}-{known.territory}"] if known.territory else []
    bare = [known.language] if script == usual and not two_scripts else []
    return tuple(dict.fromkeys([locale, *own, f"{known.language}-{script}", *bare]))


def _script(tag: str) -> str | None:
    """Script in which CLDR expects that language (of that territory) to be written."""
    full = get_global("likely_subtags").get(tag, "")
    return next((part for part in full.split("_")[1:] if len(part) == SCRIPT_LETTERS), None)
