"""Amounts that a reply names: "$50", "RM 50", "五百元", "cien pesos", "500rb", "1tr5", "elfu tano", "pay 50"; in minor units.

In:   plain text in which dates are blanked already, words (config/reply_words/), the debt's currency.
Out:  amounts in minor units, with where they stand.
Pure: yes. A number that nothing marks as money is none; money of another currency is none of the debt's.
Source: CASES.md, `tideover reply read`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Final

from decisions.money import UnknownCurrencyError, minor_units
from decisions.reply_text import alternatives, chinese_number

ANY: Final = "any"
USUAL_DECIMALS: Final = 2
THOUSANDS: Final = 3
# Without a sign so many figures are a telephone or an account number.
BARE_FIGURES_MAX: Final = 6
# How far before a bare number its "pay" may stand.
PAY_REACH: Final = 14
# So much is money without a sign: nobody counts anything else by "50k" or 5万.
MONEY_MULTIPLIER_MIN: Final = 1000
_CN: Final = "(?:[零〇一二两兩三四五六七八九十百千万萬]{1,9}|[영공일이삼사오육륙칠팔구십백천만]{1,9}(?= ?원))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """An amount in a text: [start, end) of the plain text."""

    start: int
    end: int
    minor: int


@dataclass(frozen=True, kw_only=True)
class AmountWords:
    """The words of config/reply_words/, `amounts` and `numbers`; plain.

    Attributes:
        currencies: Sign or word → ISO 4217 code, or `any`.
        pay_words: Before a number without a sign, they say that it is money.
        pay_words_after: The same, after it, in languages whose verb comes last.
        other_units: After a number, they say that it counts something else.
        before_a_time: Before a small bare number they make it an hour.
        numbers, multipliers, joined_by: Numbers as words.
        multipliers_first: Multipliers that stand before what they multiply ("elfu tano").
        halves: After a multiplier, half of it more ("1 triệu rưỡi").
    """

    currencies: Mapping[str, str]
    pay_words: tuple[str, ...]
    pay_words_after: tuple[str, ...]
    other_units: tuple[str, ...]
    before_a_time: tuple[str, ...]
    numbers: Mapping[str, int]
    multipliers: Mapping[str, int]
    multipliers_first: Mapping[str, int]
    halves: tuple[str, ...]
    joined_by: tuple[str, ...]

    @cached_property
    def number(self) -> re.Pattern[str]:
        """A number with the signs around it."""
        sign, joint = alternatives(self.currencies), alternatives(self.joined_by)
        words = alternatives(self.numbers.keys() | self.multipliers.keys())
        # 50k, 2 lakh, 3만5천, 1tr5.
        times = rf"(?: ?(?:{joint} ?)?(?:\d[\d.,]*)? ?{self._glued})*"
        figures = (
            rf"(?P<figures>\d[\d.,]*)(?P<multipliers> ?{self._glued}{times}(?:(?<! )\d{{1,3}}(?!\d))?(?: ?{alternatives(self.halves)})?)?"
        )
        spelled = rf"(?P<spelled>{words}(?: ?(?:{joint} ?)?{words})*)"
        one = rf"(?:\d[\d.,]*|{alternatives(self.numbers)})"
        lead = alternatives(self.multipliers_first)
        led = rf"(?P<led>{lead}(?: {one}(?![a-z]))?(?: (?:{joint} )?{lead} {one})*)" if self.multipliers_first else "(?P<led>(?!))"
        return re.compile(rf"(?:(?P<before>{sign})[.:]? ?)?(?:{led}|{figures}|(?P<chinese>{_CN})|{spelled})(?: ?(?P<after>{sign}))?")

    @cached_property
    def _glued(self) -> str:
        """A multiplier beside figures: "k" in "50k5" stands alone there, too."""
        ordered = sorted(self.multipliers, key=lambda word: (-len(word), word))
        return "(?:" + "|".join(re.escape(word) + ("(?![a-z])" if word.isascii() else "") for word in ordered) + ")"

    @cached_property
    def pieces(self) -> re.Pattern[str]:
        """One multiplied number of several: (figures, multiplier)."""
        return re.compile(rf"(\d[\d.,]*)? ?({self._glued})")

    @cached_property
    def led_pieces(self) -> re.Pattern[str]:
        """One multiplied number of several: (multiplier, figures or word)."""
        return re.compile(rf"({alternatives(self.multipliers_first)})(?: (\d[\d.,]*|{alternatives(self.numbers)}))?")

    @cached_property
    def pays_after(self) -> re.Pattern[str]:
        """A word of paying that follows its number."""
        return re.compile(rf"[^\d.;!?]{{0,{PAY_REACH}}}?{alternatives(self.pay_words_after)}")

    @cached_property
    def pays(self) -> re.Pattern[str]:
        """A word of paying, with what may stand between it and its number."""
        return re.compile(rf"{alternatives(self.pay_words)}[^\d.;!?]{{0,{PAY_REACH}}}$")

    @cached_property
    def others(self) -> re.Pattern[str]:
        """What follows a number that is no amount."""
        # "1.250,00 dia 10/04": a unit before a date, which is blank by now, belongs to the date.
        return re.compile(rf" ?(?:{alternatives(self.other_units)}(?! ?·)|%|:\d|/\d)")

    @cached_property
    def signs(self) -> re.Pattern[str]:
        """A sign that follows a number."""
        return re.compile(rf" ?{alternatives(self.currencies)}")

    @cached_property
    def hours(self) -> re.Pattern[str]:
        """What stands before an hour."""
        return re.compile(rf"{alternatives(self.before_a_time)} $")


def find_amounts(text: str, words: AmountWords, *, currency: str | None) -> list[Amount]:
    """The amounts of a text; those that bear a sign first, each group in the order in which they stand.

    Args:
        text: Plain text, dates blanked.
        words: The words.
        currency: ISO 4217 of the debt; None or unknown = two decimals, and any currency.
    """
    marked: list[Amount] = []
    bare: list[Amount] = []
    for match in words.number.finditer(text):
        sign = match["before"] or match["after"]
        if words.others.match(text, match.end()) and not match["before"]:
            continue
        number = _number(match, words)
        if number is None or not _is_whole(text, match):
            continue
        if sign is not None:
            named = words.currencies[sign]
            if named not in {ANY, currency or named}:
                continue
            minor = _minor(number, currency or (None if named == ANY else named))
        elif _is_large(match, number) or _is_paid(text, match, words):
            minor = _minor(number, currency)
        else:
            continue
        if minor is not None and minor > 0:
            (bare if sign is None else marked).append(Amount(start=match.start(), end=match.end(), minor=minor))
    return marked + bare


def _is_large(match: re.Match[str], number: Decimal) -> bool:
    """Figures with a multiplier of thousands: nobody writes a day or an hour so."""
    return bool(match["multipliers"] or match["led"]) and number >= MONEY_MULTIPLIER_MIN


def _is_whole(text: str, match: re.Match[str]) -> bool:
    """Not a piece of a longer word or number."""
    before = text[match.start() - 1 : match.start()]
    return not (
        before.isascii() and (before.isalnum() or before in {"/", ":", "#"}) and match["before"] is None and match["chinese"] is None
    )


def _is_paid(text: str, match: re.Match[str], words: AmountWords) -> bool:
    """Whether a number without a sign is money: somebody pays it, and it is neither an hour nor an account."""
    if match["chinese"] and len(match["chinese"]) == 1:
        return False  # 一 and 十 stand in too many words
    if match["spelled"] in {"a", "an", "un", "una", "one", "couple", "couple of"}:
        return False
    digits = re.sub(r"\D", "", match["figures"] or "")
    if len(digits) > BARE_FIGURES_MAX:
        return False
    if len(digits) in {1, 2} and words.hours.search(text[: match.start()]):
        return False
    return words.pays.search(text[: match.start()]) is not None or words.pays_after.match(text, match.end()) is not None


def _number(match: re.Match[str], words: AmountWords) -> Decimal | None:
    if match["chinese"]:
        found = chinese_number(match["chinese"])
        return None if found is None else Decimal(found)
    if match["spelled"]:
        return _spelled(match["spelled"], words)
    if match["led"]:
        return _led(match["led"], words)
    if match["multipliers"]:
        return _multiplied(match["figures"], match["multipliers"], words)
    return _figures(match["figures"])


def _multiplied(figures: str, multipliers: str, words: AmountWords) -> Decimal | None:
    """50k is 50,000; 3만5천 is 35,000; what is left over counts the multiplier's next digit: 1tr5 is 1,500,000."""
    total, times = Decimal(0), Decimal(1)
    written: str | None = figures
    end = 0
    for piece in words.pieces.finditer(multipliers):
        number = _figures(piece[1] or written or "1")
        if number is None:
            return None
        times = Decimal(words.multipliers[piece[2]])
        # 10 lakh, 十万: a second multiplier without figures multiplies all before it.
        total = total * times if written is None and piece[1] is None else total + number * times
        written, end = None, piece.end()
    left = multipliers[end:].strip()
    if left in words.halves:
        return total + times / 2
    return total + Decimal(left) * times / 10 ** len(left) if left else total


def _led(written: str, words: AmountWords) -> Decimal | None:
    """A number whose multiplier comes first: "elfu tano na mia mbili" is 5,200."""
    total = Decimal(0)
    for piece in words.led_pieces.finditer(written):
        number = Decimal(words.numbers[piece[2]]) if piece[2] in words.numbers else _figures(piece[2] or "1")
        if number is None:
            return None
        total += number * words.multipliers_first[piece[1]]
    return total


def _figures(written: str) -> Decimal | None:
    """A number as people group it: 1,000.50 and 1.000,50 are the same; a single group of three is thousands."""
    bare = written.rstrip(".,")
    points = [mark for mark in bare if mark in ".,"]
    if not points:
        return Decimal(bare)
    last = points[-1]
    whole, _, rest = bare.rpartition(last)
    if len(set(points)) == 1 and (len(points) > 1 or (len(rest) == THOUSANDS and whole not in {"0", ""})):
        return Decimal(re.sub("[.,]", "", bare))
    if len(set(points)) > 1 and points.count(last) > 1:
        return None
    return Decimal(f"{re.sub('[.,]', '', whole)}.{rest}")


def _spelled(written: str, words: AmountWords) -> Decimal | None:
    """A number in words: "two hundred and fifty" is 250, "dos mil" is 2,000, "dua ratus lima puluh ribu" is 250,000."""
    parts: list[int] = []
    for word in re.findall(rf"{alternatives(words.numbers)}|{alternatives(words.multipliers)}", written):
        if word in words.numbers:
            parts.append(words.numbers[word])
            continue
        times = words.multipliers[word]
        smaller = 0
        while parts and parts[-1] < times:
            smaller += parts.pop()
        parts.append(max(smaller, 1) * times)
    return Decimal(sum(parts)) if sum(parts) else None


def _minor(number: Decimal, currency: str | None) -> int | None:
    """In minor units; None where the currency has no such fraction."""
    try:
        decimals = USUAL_DECIMALS if currency is None else minor_units(currency)
    except UnknownCurrencyError:
        decimals = USUAL_DECIMALS
    minor = number * 10**decimals
    return int(minor) if minor == minor.to_integral_value() else None
