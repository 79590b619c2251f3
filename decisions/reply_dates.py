"""Dates that a reply names: "Friday", "on the 5th", "mañana", "下周五", "3/20", "in two weeks", "月底".

In:   a text, plain (decisions/reply_text.py), words (config/reply_words/), the local date on which it came.
Out:  the dates, with where they stand, so that nobody takes their figures for money.
Pure: yes. What names no day ("next week", "soon", "payday") is no date; nothing is guessed.
Source: CASES.md, `tideover reply read`.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Final

from decisions.reply_text import alternatives, chinese_number

MONTHS_OF_A_YEAR: Final = 12
TWO_DIGIT_YEARS: Final = 100
CENTURY: Final = 2000
# Thailand counts years from the Buddha's death: 2569 is 2026.
BUDDHIST_FROM: Final = 2500
BUDDHIST: Final = 543
# "Soon" in days: what is further away was not meant by "in N days".
AHEAD_DAYS_MAX: Final = 400
_CN: Final = "[零〇一二两兩三四五六七八九十廿]{1,3}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A date in a text: [start, end) of the plain text."""

    start: int
    end: int
    on: date


@dataclass(frozen=True, kw_only=True)
class DateWords:
    """The words of config/reply_words/, `dates` and `numbers`; plain.

    Attributes:
        days: Word → days from today.
        days_either_way: Word → days from today, ahead or behind as the text goes ("kal" is tomorrow and yesterday).
        not_days: What holds a word of `days` and means something else.
        weekdays: Word → 1 (Monday) to 7.
        weeks: Word beside a weekday → weeks from this one (1, 2, 0, -1).
        months: Word → 1 to 12.
        month_ends: Words for the last day of a month → months from this one.
        next_month: Words beside a day of the month that mean the next one.
        next_month_after: The same, after it only ("mùng 5 tháng sau").
        before_a_day: Words before a bare day of the month.
        day_marks: What a day of the month is followed by ("5号", "15 tarikh").
        not_after_a_day: What follows a number of days, not a day of the month ("3日間").
        month_words: Words between a day and the number of its month ("15 tháng 3").
        ordinals: Word → day of the month.
        units: Word → (days, months) of one.
        in_so_many, so_many_after, so_many_ago, since_so_many: Words around a number of units.
        numbers: Word → number.
    """

    days: Mapping[str, int]
    days_either_way: Mapping[str, int]
    not_days: tuple[str, ...]
    weekdays: Mapping[str, int]
    weeks: Mapping[str, int]
    months: Mapping[str, int]
    month_ends: Mapping[str, int]
    next_month: tuple[str, ...]
    next_month_after: tuple[str, ...]
    before_a_day: tuple[str, ...]
    day_marks: tuple[str, ...]
    not_after_a_day: tuple[str, ...]
    month_words: tuple[str, ...]
    ordinals: Mapping[str, int]
    units: Mapping[str, tuple[int, int]]
    in_so_many: tuple[str, ...]
    so_many_after: tuple[str, ...]
    so_many_ago: tuple[str, ...]
    since_so_many: tuple[str, ...]
    numbers: Mapping[str, int]

    @cached_property
    def no_day(self) -> re.Pattern[str]:
        """What holds a word of `days` and means something else."""
        return re.compile(alternatives(self.not_days))

    @cached_property
    def patterns(self) -> tuple[tuple[re.Pattern[str], str], ...]:
        """Expressions in the order in which they are tried, with the name of their reading."""
        month, weekday = alternatives(self.months), alternatives(self.weekdays)
        week, after, later = alternatives(self.weeks), alternatives(self.next_month), alternatives(self.next_month_after)
        ordinal = alternatives(self.ordinals)
        number = rf"(?P<number>\d{{1,3}}|{alternatives(self.numbers)}|{_CN})"
        unit = rf"(?P<unit>{alternatives(self.units)})"
        before_a_day = alternatives(self.before_a_day)
        mark = rf" ?{alternatives(self.day_marks)}(?! ?{alternatives(self.not_after_a_day)})"
        year = r"(?:,? ?(?:de |del )?(?P<year>20\d\d|25\d\d))?"
        day = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?(?!\d|[.,:]\d)"
        written = (
            (r"(?<!\d)(?P<year>20\d\d) ?[-/.年년] ?(?P<month>\d{1,2}) ?[-/.月월] ?(?P<day>\d{1,2})(?!\d)[日号號일]?", "whole"),
            (rf"(?<!\d)(?P<month>\d{{1,2}}|{_CN}) ?[月월] ?(?P<day>\d{{1,2}}|{_CN}) ?[日号號일]?", "whole"),
            (rf"(?P<following>{after}) ?(?P<day>\d{{1,2}}|{_CN})(?:{mark}|st|nd|rd|th)", "day"),
            (rf"(?P<following>{after}) ?(?P<day>\d{{1,2}})(?!\d)(?![.,:]\d|[%/])", "bare_day"),
            (rf"(?<!\w)(?P<name>{month})\.? (?:the )?{day}\b{year}", "named"),
            (rf"(?<!\w)(?P<ordinal>{ordinal}) ?(?:de |of |ng )?(?P<name>{month})", "named"),
            # Before a number of months: "mùng 5 tháng sau" is the fifth of next month, not five months later.
            (rf"(?:{before_a_day})[.:-]? ?(?:(?P<day>\d{{1,2}})|(?P<ordinal>{ordinal})) ?(?P<following>{after}|{later})", "of_next_month"),
            (rf"(?<!\d)(?<![a-z])(?:el |dia )*{day} ?(?:de |of |ng )?(?P<name>{month}){year}", "named"),
            (rf"(?<!\d)(?P<day>\d{{1,2}}) ?{alternatives(self.month_words)} ?(?P<month>\d{{1,2}})(?!\d){year}", "whole"),
            (r"(?<![\d/.])(?!24/7)(?P<first>\d{1,2})/(?P<second>\d{1,2})(?:/(?P<year>\d{4}|\d{2}))?(?![\d/])", "figures"),
            (rf"(?P<word>{alternatives(self.month_ends)})", "month_end"),
            # Before a number of units: "thứ 2 tuần sau" is Monday of next week, not two weeks later.
            (rf"(?P<weekday>{weekday}) ?(?P<after>{week})", "weekday"),
            (rf"(?:{alternatives(self.in_so_many)}) ?{number} ?{unit}", "ahead"),
            (rf"{number} ?{unit} ?(?:{alternatives(self.so_many_after)})", "ahead"),
            (rf"(?:{alternatives(self.in_so_many)}) ?{unit} {number}", "ahead"),
            (rf"{unit} {number} ?(?:{alternatives(self.so_many_after)})", "ahead"),
            (rf"{number} ?{unit} ?(?:{alternatives(self.so_many_ago)})", "ago"),
            (rf"(?:{alternatives(self.since_so_many)}) ?{number} ?{unit}", "ago"),
            (rf"(?:(?P<before>{week}) ?)?(?P<weekday>{weekday})(?: ?(?P<after>{week}))?", "weekday"),
            (rf"(?P<word>{alternatives(self.days)})", "relative"),
            (rf"(?P<word>{alternatives(self.days_either_way)})", "either_way"),
            (rf"(?<![\d.,/])(?P<day>\d{{1,2}}|{_CN}){mark}", "day"),
            (r"(?<![\d.,])(?P<day>\d{1,2})(?:st|nd|rd|th)\b(?: (?P<following>of next month))?", "day"),
            (rf"(?:{before_a_day})[.:-]? ?(?P<day>\d{{1,2}})\b(?![.,:]\d|[%/])(?: (?P<following>{after}))?", "bare_day"),
            (rf"(?:{before_a_day}) ?(?P<ordinal>{ordinal})", "ordinal"),
        )
        return tuple((re.compile(expression), name) for expression, name in written)


def find_dates(
    plain: str, words: DateWords, *, today: date, past: bool, day_first: bool, not_a_day: Callable[[str], bool]
) -> tuple[list[Found], str]:
    """The dates of a text, in the order in which they stand, and the text with blanks in their place.

    Args:
        plain: Plain text.
        words: The words.
        today: Local date on which it was written.
        past: Whether a day without a year or a week lies behind ("I paid on Friday") and not ahead.
        day_first: Whether 3/4 is the third of April.
        not_a_day: Whether what follows a bare number says that it counts something else.
    """
    text = words.no_day.sub(lambda found: "·" * len(found[0]), plain)
    reader = _Reader(words, today, past=past, day_first=day_first)
    found: list[Found] = []
    for pattern, name in words.patterns:
        for match in pattern.finditer(text):
            if name == "bare_day" and not_a_day(text[match.end() :]):
                continue
            on = reader.read(name, match)
            if on is not None:
                found.append(Found(start=match.start(), end=match.end(), on=on))
        text = _blanked(text, found)
    return sorted(found, key=lambda one: one.start), text


def _blanked(text: str, found: Iterable[Found]) -> str:
    for one in found:
        text = text[: one.start] + "·" * (one.end - one.start) + text[one.end :]
    return text


class _Reader:
    """Turns a match into a date, or into nothing where there is no such day."""

    def __init__(self, words: DateWords, today: date, *, past: bool, day_first: bool) -> None:
        self._words, self._today, self._past, self._day_first = words, today, past, day_first

    def read(self, name: str, match: re.Match[str]) -> date | None:
        reading: Callable[[Mapping[str, str | None]], date | None] = getattr(self, f"_{name}")
        try:
            return reading(match.groupdict())
        except (ValueError, OverflowError):
            return None

    def _whole(self, part: Mapping[str, str | None]) -> date | None:
        return self._of_year(part.get("year"), _number(part["month"]), _number(part["day"]))

    def _named(self, part: Mapping[str, str | None]) -> date | None:
        return self._of_year(part.get("year"), self._words.months[part["name"] or ""], self._day_or_ordinal(part))

    def _figures(self, part: Mapping[str, str | None]) -> date | None:
        first, second = _number(part["first"]), _number(part["second"])
        month, day = (second, first) if (self._day_first and second <= MONTHS_OF_A_YEAR) or first > MONTHS_OF_A_YEAR else (first, second)
        return self._of_year(part.get("year"), month, day)

    def _of_year(self, year: str | None, month: int, day: int) -> date | None:
        if year is not None:
            number = int(year) - (BUDDHIST if int(year) >= BUDDHIST_FROM else 0)
            return date(number + (CENTURY if number < TWO_DIGIT_YEARS else 0), month, day)
        years = (self._today.year, self._today.year - 1) if self._past else (self._today.year, self._today.year + 1)
        return self._first(date(number, month, day) for number in years if day <= calendar.monthrange(number, month)[1])

    def _first(self, days: Iterable[date]) -> date | None:
        """The first that lies on the right side of today."""
        return next((day for day in days if (day <= self._today if self._past else day >= self._today)), None)

    def _day(self, part: Mapping[str, str | None]) -> date | None:
        day = _number(part["day"])
        if not 1 <= day <= 31:  # noqa: PLR2004  # no month has more
            return None
        if part.get("following"):
            return next(self._days(day, _months_from(self._today, 1), 1), None)
        return self._first(self._days(day, self._today.replace(day=1), -1 if self._past else 1))

    _bare_day = _day

    def _of_next_month(self, part: Mapping[str, str | None]) -> date | None:
        return self._day({"day": str(self._day_or_ordinal(part)), "following": part["following"]})

    def _day_or_ordinal(self, part: Mapping[str, str | None]) -> int:
        ordinal = part.get("ordinal")
        return _number(part["day"]) if ordinal is None else self._words.ordinals[ordinal]

    def _ordinal(self, part: Mapping[str, str | None]) -> date | None:
        return self._day({"day": str(self._words.ordinals[part["ordinal"] or ""])})

    def _days(self, day: int, month: date, step: int) -> Iterator[date]:
        """That day of this month and of the ones after or before it, where they have it."""
        for count in range(MONTHS_OF_A_YEAR):
            of = _months_from(month, count * step)
            if day <= calendar.monthrange(of.year, of.month)[1]:
                yield of.replace(day=day)

    def _month_end(self, part: Mapping[str, str | None]) -> date | None:
        month = _months_from(self._today, self._words.month_ends[part["word"] or ""])
        return month.replace(day=calendar.monthrange(month.year, month.month)[1])

    def _relative(self, part: Mapping[str, str | None]) -> date | None:
        return self._today + timedelta(days=self._words.days[part["word"] or ""])

    def _either_way(self, part: Mapping[str, str | None]) -> date | None:
        return self._today + timedelta(days=self._words.days_either_way[part["word"] or ""] * (-1 if self._past else 1))

    def _ahead(self, part: Mapping[str, str | None]) -> date | None:
        return self._so_many(part, 1)

    def _ago(self, part: Mapping[str, str | None]) -> date | None:
        return self._so_many(part, -1)

    def _so_many(self, part: Mapping[str, str | None], sign: int) -> date | None:
        written = part["number"] or ""
        number = self._words.numbers[written] if written in self._words.numbers else _number(written)
        days, months = self._words.units[part["unit"] or ""]
        if number * (days or 30) > AHEAD_DAYS_MAX:
            return None
        if months:
            month = _months_from(self._today, sign * number)
            return month.replace(day=min(self._today.day, calendar.monthrange(month.year, month.month)[1]))
        return self._today + timedelta(days=sign * number * days)

    def _weekday(self, part: Mapping[str, str | None]) -> date | None:
        wanted = self._words.weekdays[part["weekday"] or ""]
        monday = self._today - timedelta(days=self._today.isoweekday() - 1)
        of_this_week = monday + timedelta(days=wanted - 1)
        asked = [self._words.weeks[word] for word in (part.get("before"), part.get("after")) if word]
        if asked and (weeks := max(asked, key=abs)):
            return of_this_week + timedelta(weeks=weeks)
        if self._past:
            return of_this_week if of_this_week <= self._today else of_this_week - timedelta(weeks=1)
        # "This Friday" said on a Friday is today; "Friday" is a week later: the longer wait is the safe one.
        ahead = of_this_week >= self._today if asked else of_this_week > self._today
        return of_this_week if ahead else of_this_week + timedelta(weeks=1)


def _months_from(day: date, months: int) -> date:
    """The first day of the month so many months away."""
    count = day.year * MONTHS_OF_A_YEAR + day.month - 1 + months
    return date(count // MONTHS_OF_A_YEAR, count % MONTHS_OF_A_YEAR + 1, 1)


def _number(written: str | None) -> int:
    assert written is not None  # noqa: S101  # the expression has it
    if written.isdecimal():
        return int(written)
    number = chinese_number(written)
    if number is None:
        raise ValueError("no number")
    return number
