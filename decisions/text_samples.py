"""A message as it would read, in each language and on each channel: with values made up for looking at, or with one borrower's own.

In:   texts, what fills their gaps, prices.
Out:  `Shown`: the words, what of them was filled in, what they cost.
Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from typing import Final

from babel import Locale
from babel.numbers import get_territory_currencies

from decisions.messages import GAP, GapError, Text, date_text, known_locale, money_text, render
from decisions.money import UnknownCurrencyError, minor_units
from decisions.prices import Price, Usage, cost_of
from decisions.promises import StillPromised
from decisions.segments import Size, measure
from decisions.statements import Line, Statement

# Nobody's: an amount with all its decimals, a day of two figures, a link as long as a real one.
SAMPLE_CREDITOR: Final = "Lantern Wallet"
SAMPLE_WHOLE: Final = 1_234
SAMPLE_DUE_ON: Final = date(2026, 11, 23)
SAMPLE_AS_OF: Final = date(2026, 11, 30)
SAMPLE_OPENED_ON: Final = date(2026, 5, 4)
SAMPLE_APR_BASIS_POINTS: Final = 1_500
SAMPLE_LICENCE: Final = "0000-000"
# Gaps that only calls have.
SAMPLE_CALL: Final[Mapping[str, str]] = {"name": "Nobody Atall", "phone": "1 5 0 0 5 5 5 0 0 0 6", "agent": "Anna"}
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
        promised: What is still open of a promise, or None.
        licence: The lender's number in a register, or None.
        as_of: On which day an account stands so, or None.
        statements: Of the loans that are spoken of.
    """

    creditor_name: str
    amount_minor: int | None
    currency: str | None
    due_on: date | None
    link: str
    country: str | None
    promised: StillPromised | None = None
    licence: str | None = None
    as_of: date | None = None
    statements: tuple[Statement, ...] = ()


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


@lru_cache(maxsize=256)
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
        promised=StillPromised(due_on=SAMPLE_DUE_ON, amount_minor=amount, currency=currency),
        licence=SAMPLE_LICENCE,
        as_of=SAMPLE_AS_OF,
        statements=(_sample_statement(amount, currency),),
    )


def _sample_statement(amount_minor: int, currency: str) -> Statement:
    line = Line(
        due_on=SAMPLE_DUE_ON,
        principal_minor=amount_minor,
        interest_minor=0,
        fee_minor=0,
        penalty_minor=0,
        paid_minor=0,
        open_minor=amount_minor,
    )
    return Statement(
        reference="W-1234",
        currency=currency,
        disputed_minor=0,
        lines=(line,),
        opened_on=SAMPLE_OPENED_ON,
        apr_basis_points=SAMPLE_APR_BASIS_POINTS,
    )


def sample_of_a_call(text: Text) -> Text:
    """A text of which a voice speaks every word, its own gaps filled with what belongs to nobody."""
    filled = {
        channel: replace(words, body=GAP.sub(lambda gap: SAMPLE_CALL.get(gap[1], gap[0]), words.body))
        for channel, words in text.words.items()
    }
    return replace(text, words=filled)


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
                promised=filling.promised,
                creditor_licence=filling.licence,
                as_of=filling.as_of,
                statements=filling.statements,
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
    promised = [] if filling.promised is None else [(filling.promised.amount_minor, filling.promised.currency)]
    owed = [] if filling.amount_minor is None or filling.currency is None else [(filling.amount_minor, filling.currency)]
    amounts = [money_text(*amount, text.writes_like, short=short) for amount in (*owed, *promised) for short in (False, True)]
    days = [filling.due_on, None if filling.promised is None else filling.promised.due_on]
    dates = [date_text(day, text.writes_like) for day in days if day is not None]
    values = {filling.creditor_name, filling.link, text.stop, *amounts, *dates}
    return tuple(sorted(values, key=lambda value: (-len(value), value)))
