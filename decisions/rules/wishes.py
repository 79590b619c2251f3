"""Wishes: times, places and channels that the person asked us to leave alone.

In:   a rule (which sorts of wish, which places); the table.
Out:  a constraint.
Pure: values only.
Source: 12 CFR 1006.6(b)(1) and (3), comments 6(b)(1)-1 and -2: a time or place that the collector knows or should know to be
      inconvenient; the house honours every wish.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from decisions.packs import WishRule
from decisions.rules.constraints import Blocks, Constraint, Hours, Place, QuietHours, Together
from decisions.rules.table import Table, days_numbers, minutes_us
from decisions.rules.timetable import DAY_US, REACH_US, Intervals, hours_in_zone, outside, within

ALIKE: Final = ("days_text", "opens", "closes")


@dataclass(frozen=True, slots=True)
class QuietPlan:
    """Hours of some weekdays in which a person wants quiet; hours that end before they begin reach into the next day."""

    days: tuple[int, ...]
    opens_us: int
    closes_us: int

    def spans(self, day: date) -> Intervals:
        """See `timetable.DayPlan`."""
        if day.weekday() not in self.days:
            return ()
        return ((self.opens_us, self.closes_us if self.opens_us < self.closes_us else self.closes_us + DAY_US),)


def _left_in_peace(place: Place, day: int) -> Intervals:
    """Instants at which the wish of a place is heeded: quiet in no zone where the person may be.

    Without a zone it may be any hour anywhere, so there is none.
    """
    if place.quiet is None or not place.zones:
        return ()
    quiet = [span for zone in place.zones for span in hours_in_zone(place.quiet, zone, day)]
    return within(outside(tuple(quiet), -DAY_US, REACH_US + DAY_US))


def constrain(rule: WishRule, table: Table) -> Constraint:
    """Allowed where none of the rule's wishes is against it."""
    wishes = table.wishes
    parts: list[Constraint] = []
    if "not_at" in rule.wishes:
        parts.append(_quiet(wishes.filter(pl.col("kind") == "not_at")))
    if "not_place" in rule.wishes:
        # A mobile phone or an inbox is at no place.
        places = wishes.filter((pl.col("kind") == "not_place") & (pl.col("place") == pl.col("location")))
        places = places if rule.places is None else places.filter(pl.col("place").is_in(rule.places))
        parts.append(Blocks(places.select("row", "since", "until")))
    if "not_channel" in rule.wishes:
        # A wish that names no channel and is only about channels leaves none.
        parts.append(Blocks(wishes.filter(pl.col("kind") == "not_channel").select("row", "since", "until")))
    return parts[0] if len(parts) == 1 else Together(tuple(parts))


def _quiet(wishes: pl.DataFrame) -> Constraint:
    if wishes.is_empty():
        return Blocks(wishes.select("row", "since", "until"))
    named = wishes.with_columns(days_text=pl.col("days").list.join(" ").fill_null(""))
    kinds = named.unique(ALIKE, keep="any").with_row_index("plan")
    plans = [
        QuietPlan(days_numbers(one["days"]), minutes_us(one["opens"]) or 0, minutes_us(one["closes"]) or DAY_US)
        for one in kinds.iter_rows(named=True)
    ]
    numbered = named.join(kinds.select(*ALIKE, pl.col("plan").cast(pl.Int64)), on=ALIKE, nulls_equal=True)
    return QuietHours(numbered.select("row", "plan", "since", "until"), plans, Hours(_left_in_peace))
