"""How long records of a person must be kept: the longest of the duties that attach to her; and what that is in words.

In:   the jurisdictions that attach to her, the day of the last thing that happened, the duties of config/retention.yaml.
Out:  `Keeping`.
Pure: yes.
Source: LAW.md, "retention"; docs/adr/0066.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

CONFIDENCE: Final = {"V1": "the primary text was read", "V2": "verified in a secondary source", "R": "recalled, not verified"}
HOUSE: Final = "house"
FEBRUARY: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordDuty:
    """A duty to keep records of what was done about a debt.

    Attributes:
        where: Jurisdiction, or `house`.
        years: After the last thing that happened.
        source: Which law, or whose word.
        confidence: As in the rule packs.
    """

    where: str
    years: int
    source: str
    confidence: str

    def ends_on(self, last_on: date) -> date:
        """The first day on which this duty is over."""
        return _years_after(last_on, self.years)

    def in_words(self) -> str:
        """As people read it."""
        return f"{self.where}: {self.years} years after the last thing that happened ({self.source}; {CONFIDENCE[self.confidence]})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """Until when records are kept, and by which duty.

    Attributes:
        until: The first day on which nothing has to be kept any more.
        duty: The one that lasts longest.
        is_known: Whether a law of the place is known; if not, only the house's years speak.
    """

    until: date
    duty: RecordDuty
    is_known: bool

    def in_words(self) -> str:
        """As people read it."""
        unknown = "" if self.is_known else "; no duty of her place is known to this program, which does not mean that there is none"
        return f"{self.duty.in_words()}{unknown}"


def keeping(jurisdictions: Collection[str], last_on: date, duties: Sequence[RecordDuty]) -> Keeping:
    """The duty that lasts longest.

    Args:
        jurisdictions: That attach to the person; empty = her place is not known.
        last_on: Day of the last thing that happened.
        duties: All; the house's own among them holds for whoever has no other.
    """
    attached = [duty for duty in duties if duty.where in jurisdictions]
    known = attached or [duty for duty in duties if duty.where == HOUSE]
    longest = max(known, key=lambda duty: (duty.ends_on(last_on), duty.where))
    return Keeping(until=longest.ends_on(last_on), duty=longest, is_known=bool(attached))


def _years_after(day: date, years: int) -> date:
    if (day.month, day.day) == (FEBRUARY, 29):
        return date(day.year + years, 3, 1)
    return day.replace(year=day.year + years)
