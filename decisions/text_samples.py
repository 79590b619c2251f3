"""A message as it would read, in each language and on each channel: with values made up for looking at, or with one borrower's own.

In:   texts, what fills their gaps, prices.
Out:  `Shown`: the words, what of them was filled in, what they cost.
Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

from babel import Locale
from babel.numbers import get_territory_currencies

from decisions.messages import GapError, Text, date_text, known_locale, money_text, render
from decisions.money import UnknownCurrencyError, minor_units
from decisions.prices import Price, Usage, cost_of
from decisions.segments import Size, measure

# Nobody's: an amount with all its decimals, a day of two figures, a link as long as a real one.
SAMPLE_CREDITOR: Final = "Lantern Wallet"
SAMPLE_WHOLE: Final = 1_234
SAMPLE_DUE_ON: Final = date(2026, 11, 23)
SAMPLE_LINK: Final = "https://pay.lantern.example/b/7Kq2mW9xTd4Rz1"
SAMPLE_CODE: Final = "123456"
# Channels whose words are cut into segments.
SEGMENTED: Final = frozenset({"sms"})
NO_DECIMALS_TIMES: Final = 100
ENGLISH: Final = Locale("en")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """What fills a text's gaps.

    Attributes:
        creditor_name: As the borrower knows it.
        amount_minor: In minor units of `currency`, or None.
        currency: ISO 4217, or None.
        due_on: The oldest due date, or None.
        link: To the borrower's page.
        country: Whose prices count, or None.
    """

    creditor_name: str
    amount_minor: int | None
    currency: str | None
    due_on: date | None
    link: str
    country: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One text on one channel.

    Attributes:
        locale: Of the text.
        channel: Of CASES.md; `voicemail` = what a machine hears.
        sender: Whose message it is, as the borrower knows them.
        title: Heading or subject; empty where there is none.
        body: The words.
        filled: Values that stand in its gaps, as they are written.
        lacks: Why it cannot be written; None where it can. Then title and body are the words with their gaps.
        version: Of the text.
        size: Encoding, units and segments; None where nothing is cut.
        cost: What one message costs, in words; None where nobody has written a price down.
    """

    locale: str
    channel: str
    sender: str
    title: str = field(repr=False)
    body: str = field(repr=False)
    filled: tuple[str, ...] = field(repr=False)
    lacks: str | None
    version: str
    size: Size | None
    cost: str | None


def names_of(locale: str) -> tuple[str, str]:
    """How its own readers call a language, and how we do."""
    known = known_locale(locale)
    return known.get_display_name() or locale, known.get_display_name(ENGLISH) or locale


def sample_filling(text: Text) -> Filling:
    """Values that belong to nobody, in the currency of the region whose way of writing the text follows."""
    territory = known_locale(text.writes_like).territory or ""
    currency = next(iter(get_territory_currencies(territory)), "USD")
    decimals = minor_units(currency)
    amount = SAMPLE_WHOLE * 10**decimals + 10**decimals // 2 if decimals else SAMPLE_WHOLE * NO_DECIMALS_TIMES
    return Filling(
        creditor_name=SAMPLE_CREDITOR,
        amount_minor=amount,
        currency=currency,
        due_on=SAMPLE_DUE_ON,
        link=SAMPLE_LINK,
        country=territory or None,
    )


def shown(text: Text, filling: Filling, *, prices: Sequence[Price], on: date) -> Iterator[Shown]:
    """A text on every channel on which it says something, drafts and withdrawn texts too: this sends nothing.

    Args:
        text: One message in one locale.
        filling: What fills it.
        prices: Of segments and messages.
        on: Of which day they are.
    """
    looked_at = replace(text, approved=True)
    for channel, words in text.words.items():
        try:
            said = render(
                looked_at,
                channel=channel,
                creditor_name=filling.creditor_name,
                amount_minor=filling.amount_minor,
                currency=filling.currency,
                due_on=filling.due_on,
                link=filling.link,
                code=SAMPLE_CODE,
            )
            title, body, lacks = said.title, said.body, None
        except (GapError, UnknownCurrencyError) as error:
            title, body, lacks = words.title, words.body, str(error)
        size = measure(body) if channel in SEGMENTED and lacks is None else None
        cost = cost_of([Usage(channel=channel, country=filling.country, on=on, segments=size.segments if size else 1)], prices)
        yield Shown(
            locale=text.locale,
            channel=channel,
            sender=filling.creditor_name,
            title=title,
            body=body,
            filled=_filled(text, filling),
            lacks=lacks,
            version=text.version,
            size=size,
            cost=None if cost.unpriced or lacks else str(cost),
        )


def _filled(text: Text, filling: Filling) -> tuple[str, ...]:
    """The values as they are written, longest first, so that one which holds another is found first."""
    amounts = (
        []
        if filling.amount_minor is None or filling.currency is None
        else [money_text(filling.amount_minor, filling.currency, text.writes_like, short=short) for short in (False, True)]
    )
    dates = [] if filling.due_on is None else [date_text(filling.due_on, text.writes_like)]
    values = {filling.creditor_name, filling.link, text.stop, *amounts, *dates}
    return tuple(sorted(values, key=lambda value: (-len(value), value)))
