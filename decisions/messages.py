"""Messages: a text with gaps becomes what a person reads, in her language, with money and dates as she writes them.

In:   texts of config/messages/<message>/<locale>.yaml, and what fills them.
Out:  title and body, ready for a channel, with the hash of the text that was used, and what its provider knows it by.
Pure: no I/O. A gap that cannot be filled, an unknown locale and an unapproved text are errors: nobody is contacted
      with half a text.
"""

from __future__ import annotations

import copy
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.dates import format_date
from babel.numbers import NumberPattern, format_percent, get_currency_symbol

from decisions import money
from decisions.promises import StillPromised
from decisions.segments import measure
from decisions.statements import BREAKDOWN, Statement, breakdown_blocks

GAPS: Final = ("creditor", "amount", "due_on", "link", "stop", "as_of", "code", "promised_on", "promised_amount", "licence", BREAKDOWN)
GAP: Final = re.compile(r"\{([^{}]*)\}")
SCRIPT_LETTERS: Final = 4
# What is left with a machine that answers a call: words of their own beside those that are spoken to the person.
VOICEMAIL: Final = "voicemail"
SPOKEN: Final = "voice"
# A date begins first where the clock is so far ahead of UTC.
FIRST_ZONE: Final = timedelta(hours=14)
# For these, a text filed under the bare language would not say which script it is in.
WRITTEN_IN_TWO_SCRIPTS: Final = frozenset({"zh"})
# Where a pattern has the currency.
CURRENCY_SIGN: Final = "\u00a4"
# CLDR's medium date is figures alone there, or cuts the month to two letters: these have their dates in full.
DATES_IN_FULL: Final = frozenset({"ja", "ko", "sw", "vi"})
# Whoever reads Thai in Thailand counts years from the Buddha's death (CLDR, calendarPreferenceData); Babel knows no such calendar.
BUDDHIST_YEARS: Final = ("th", "TH")
BUDDHIST_ERA: Final = 543
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
class Words:
    """What a text says on one channel, with its gaps.

    Attributes:
        title: Heading or subject; empty where the channel has none.
        body: The text.
    """

    title: str = ""
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What a provider, or a register that it answers to, knows the words of one channel by.

    Attributes:
        id: A content template, a DLT id, the id of a signature's template.
        variables: Gaps of the words, in the order in which the provider numbers them.
    """

    id: str
    variables: tuple[str, ...]


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
        draft: Nobody who reads the language has said yes to it: nobody real receives it.
        read_by: Tags of readers who have no text of their own here and share this language officially.
        approved_until: From the beginning of this date, wherever it begins first, nobody receives it; None = no end was set.
        words: Channel → what is said there; a channel without words is missing. `voicemail` = what a machine hears in place of the person.
        registered: Channel → what its provider knows the words by.
        breakdown: What stands over the columns of an account (`decisions.statements.BREAKDOWN_WORDS`); None where it shows none.
    """

    message: str
    locale: str
    purpose: str
    version: str
    writes_like: str
    stop: str
    creditor_roles: frozenset[str]
    approved: bool
    words: Mapping[str, Words]
    registered: Mapping[str, Registration] = field(default_factory=dict)
    approved_until: date | None = None
    draft: bool = False
    read_by: tuple[str, ...] = ()
    breakdown: Mapping[str, str] | None = None

    def says(self, channel: str) -> bool:
        """Whether it has words for that channel."""
        return channel in self.words


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """All messages; `by_key` is (message, locale) → text."""

    by_key: dict[tuple[str, str], Text]

    def as_of(self, at: datetime) -> Texts:
        """The same messages; those whose approval has ended by an instant (UTC) are not approved any more."""
        begun = (at + FIRST_ZONE).date()
        ended = {
            key: replace(text, approved=False)
            for key, text in self.by_key.items()
            if text.approved_until is not None and text.approved_until <= begun
        }
        return Texts(by_key=self.by_key | ended) if ended else self

    def in_live_mode(self, approved: Collection[str]) -> Texts:
        """The same messages; drafts, and those whose version is not among the approved ones, are not approved.

        Args:
            approved: Versions to which two people have said yes.
        """
        held = {key: replace(text, approved=False) for key, text in self.by_key.items() if text.draft or text.version not in approved}
        return Texts(by_key=self.by_key | held) if held else self

    def locale_for(self, locale: str | None, message: str, channel: str, creditor_role: str | None) -> str | None:
        """Locale of the approved text that a person of `locale` reads, or None: zh-TW reads zh-Hant, es-MX reads es, fr nothing.

        Her own language comes first, as that role may speak in it (a collector's words for one country stand in a text of that
        country, en-US); where it has no approved text, one that her country shares officially. A language is never guessed: a
        person whose language is unknown gets no text.
        """
        tags = _ancestors(locale)
        texts = (self.by_key.get((message, tag)) for tag in tags)
        own = next((text for text in texts if text is not None and creditor_role in text.creditor_roles), None)
        text = own if own is not None and own.approved else self._shared(message, tags, creditor_role)
        return text.locale if text is not None and text.says(channel) else None

    def _shared(self, message: str, tags: Collection[str], creditor_role: str | None) -> Text | None:
        found = (text for (name, _), text in self.by_key.items() if name == message and text.read_by)
        shared = (text for text in found if text.approved and creditor_role in text.creditor_roles)
        return next((text for text in shared if not set(tags).isdisjoint(text.read_by)), None)

    def says_as_much(self, locale: str, than: str | None, creditor_role: str | None) -> bool:
        """Whether whoever reads one language misses no message that a reader of another one would get."""
        said = {(message, channel) for (message, _), text in self.by_key.items() for channel in text.words}
        missed = (
            one
            for one in said
            if self.locale_for(than, *one, creditor_role) is not None and self.locale_for(locale, *one, creditor_role) is None
        )
        return next(missed, None) is None

    def channels_of(self, message: str) -> frozenset[str]:
        """Channels on which a message says something in some locale."""
        return frozenset(channel for (name, _), text in self.by_key.items() if name == message for channel in text.words)

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
        voicemail: What a machine hears that answers the call; None where nothing is left with it.
        template: What the provider knows the words by; None where they are not registered.
        variables: What stands in the template's gaps, in its order.
        prompts: Version of what a call says around it; None where it is no call.
    """

    title: str
    body: str
    version: str
    voicemail: str | None = None
    template: str | None = None
    variables: tuple[tuple[str, str], ...] = ()
    prompts: str | None = None

    @property
    def in_full(self) -> str:
        """All that may be said: the text, and behind it what a machine may hear. This is what evidence commits to."""
        return self.body if self.voicemail is None else f"{self.body}\n{self.voicemail}"


def render(
    text: Text,
    *,
    channel: str,
    creditor_name: str,
    creditor_licence: str | None = None,
    amount_minor: int | None = None,
    currency: str | None = None,
    due_on: date | None = None,
    link: str | None = None,
    as_of: date | None = None,
    statements: Sequence[Statement] = (),
    code: str | None = None,
    promised: StillPromised | None = None,
) -> Rendered:
    """Fill a text's gaps.

    Args:
        text: From `Texts.text`.
        channel: Of CASES.md.
        creditor_name: The lender's name as the borrower knows it.
        creditor_licence: What a law makes it say beside its name: its number in a register.
        amount_minor: What is past due, in minor units of `currency`; never negative.
        currency: ISO 4217.
        due_on: Since when: the oldest due date.
        link: Where to pay or ask for more time.
        as_of: On which local date the account stands so.
        statements: Of the loans that are spoken of; together they ask for `amount_minor`, or nothing is written.
        code: With which the person opens her page.
        promised: What is still open of a promise, and the day that was named.

    Raises:
        NoTextError: The text has no words for that channel, or is not approved.
        GapError: A gap has no value (also an empty one).
        decisions.money.UnknownCurrencyError: Not a currency in use.
    """
    if not text.approved:
        raise NoTextError(text.message, text.locale, "not approved")
    if not text.says(channel):
        raise NoTextError(text.message, text.locale, f"no words for {channel}")
    words, registration = text.words[channel], text.registered.get(channel)
    short = writes_short(channel, words)

    def amount(minor: int | None, code: str | None) -> str | None:
        return None if minor is None or code is None else money_text(minor, code, text.writes_like, short=short)

    values = {
        "creditor": creditor_name,
        "amount": amount(amount_minor, currency),
        "due_on": None if due_on is None else date_text(due_on, text.writes_like),
        "licence": creditor_licence,
        "link": link,
        "stop": text.stop,
        "as_of": None if as_of is None else date_text(as_of, text.writes_like),
        "code": code,
        "promised_on": None if promised is None else date_text(promised.due_on, text.writes_like),
        "promised_amount": None if promised is None else amount(promised.amount_minor, promised.currency),
        BREAKDOWN: _account(text, statements, amount_minor),
    }
    return Rendered(
        title=_fill(words.title, values),
        body=_fill(words.body, values),
        version=text.version,
        voicemail=_fill(text.words[VOICEMAIL].body, values) if channel == SPOKEN and text.says(VOICEMAIL) else None,
        template=None if registration is None else registration.id,
        variables=() if registration is None else tuple((name, _value(name, values)) for name in registration.variables),
    )


def _account(text: Text, statements: Sequence[Statement], amount_minor: int | None) -> str | None:
    """The account as the text shows it; None where the statements do not add up to what is asked for, or lack what it must say."""
    if text.breakdown is None or not statements or sum(one.asked_minor for one in statements) != amount_minor:
        return None
    if not all(one.knows(text.breakdown) for one in statements):
        return None
    return breakdown_blocks(
        statements,
        text.breakdown,
        money=lambda minor, currency: money_text(minor, currency, text.writes_like),
        day=lambda day: date_text(day, text.writes_like),
        rate=lambda basis_points: rate_text(basis_points, text.writes_like),
    )


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


def writes_short(channel: str, words: Words) -> bool:
    """Whether a currency's code stands where its sign is none of GSM-7: with the sign a text message would cost twice as much."""
    return channel == "sms" and _in_short_alphabet(words.body)


@lru_cache(maxsize=1_024)
def _in_short_alphabet(words: str) -> bool:
    return measure(GAP.sub("", words)).encoding == "GSM-7"


@lru_cache(maxsize=65_536)
def money_text(amount_minor: int, currency: str, writes_like: str, *, short: bool = False) -> str:
    """An amount as that region writes it, with all the decimals that ISO 4217 gives the currency.

    CLDR's own decimals are what shops show (none for IQD): an amount owed is never rounded.

    Args:
        amount_minor: In minor units.
        currency: ISO 4217.
        writes_like: The region's tag.
        short: A sign that GSM-7 does not have (₱, ₹, ₫) gives way to the currency's code.

    Raises:
        ValueError: A negative amount.
    """
    if amount_minor < 0:
        raise ValueError("an amount owed is never negative")
    pattern, locale, symbol = _money_pattern(currency, writes_like, short=short)
    # Without a currency the pattern leaves its sign; with one it also looks the currency's name up, each time.
    written = str(pattern.apply(money.from_minor(amount_minor, currency), locale, currency_digits=False))
    return written.replace(CURRENCY_SIGN, symbol).translate(PLAIN_SPACES)


@lru_cache(maxsize=1_024)
def _money_pattern(currency: str, writes_like: str, *, short: bool) -> tuple[NumberPattern, Locale, str]:
    locale = known_locale(writes_like)
    pattern = copy.copy(locale.currency_formats["standard"])
    decimals = money.minor_units(currency)
    pattern.frac_prec = (decimals, decimals)
    assert CURRENCY_SIGN * 2 not in pattern.pattern, "a code or a name is written another way"  # noqa: S101  # no locale of ours does
    symbol = get_currency_symbol(currency, locale)
    if short and measure(symbol).encoding != "GSM-7":
        symbol = currency
    # CLDR, currencySpacing: letters do not touch figures; a sign does.
    if pattern.pattern.startswith((f"{CURRENCY_SIGN}#", f"{CURRENCY_SIGN}0")) and not unicodedata.category(symbol[-1]).startswith("S"):
        symbol += " "
    return pattern, locale, symbol


@lru_cache(maxsize=4_096)
def date_text(day: date, writes_like: str) -> str:
    """A date with its month in words or its parts named, so that nobody takes the day for the month."""
    locale = known_locale(writes_like)
    written = format_date(day, format="long" if locale.language in DATES_IN_FULL else "medium", locale=locale)
    if (locale.language, locale.territory) == BUDDHIST_YEARS:
        written = written.replace(str(day.year), str(day.year + BUDDHIST_ERA))
    return written.translate(PLAIN_SPACES)


def rate_text(basis_points: int, writes_like: str) -> str:
    """A rate a year as that region writes it, to the hundredth of a percent."""
    return str(format_percent(basis_points / 10_000, format="#,##0.00%", locale=known_locale(writes_like))).translate(PLAIN_SPACES)


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


def closest(tag: str | None, known: Collection[str]) -> str | None:
    """The locale among some that a reader of a BCP 47 tag reads, as `Texts.locale_for` finds it; None = none of them."""
    return next((one for one in _ancestors(tag) if one in known), None)


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
