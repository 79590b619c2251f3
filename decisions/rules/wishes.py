"""Wishes: times, places and channels that the person asked us to leave alone.

In:   a rule (which sorts of wish, which places, how far the law carries them); the table.
Out:  a constraint.
Pure: values only.
Source: 12 CFR 1006.6(b)(1) and (3), comments 6(b)(1)-1 and -2: a time or place that the collector knows or should know to be
      inconvenient; the house honours every wish. 940 CMR 7.04(1)(h) (what was only spoken lasts ten days); KR
      개인채무자보호법 art. 18 (28 hours a week).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from decisions.rule_forms import Period, WishLimits, WishRule
from decisions.rules.constraints import Blocks, Constraint, Hours, Place, QuietHours, Spans, Together
from decisions.rules.events import span_ends
from decisions.rules.table import ALWAYS_US, Table, days_numbers, from_instant, minutes_us, until_instant
from decisions.rules.timetable import DAY_US, MINUTE_US, REACH_US, Intervals, hours_in_zone, outside, within

ALIKE: Final = ("days_text", "opens", "closes")
# Wishes for quiet hours that agree in this are one; the first is when they were uttered.
SAME: Final = ("since", "until", "days_text", "opens", "closes", "channels_text")
HOUR_US: Final = 60 * MINUTE_US


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


def constrain(rule: WishRule, value: WishLimits, table: Table) -> Constraint:
    """Allowed where none of the rule's wishes is against it."""
    if table.facts.wishes.is_empty():
        return Blocks(Spans.none())
    wishes = table.wishes
    if value.hours_per_week is not None:
        wishes = _within_hours(wishes, value.hours_per_week, table)
    if value.oral_lasts is not None:
        wishes = _while_spoken(wishes, value.oral_lasts, table)
    parts: list[Constraint] = []
    if "not_at" in rule.wishes:
        parts.append(_quiet(wishes.filter(pl.col("kind") == "not_at")))
    if "not_place" in rule.wishes:
        # A mobile phone or an inbox is at no place.
        places = wishes.filter((pl.col("kind") == "not_place") & (pl.col("place") == pl.col("location")))
        places = places if rule.places is None else places.filter(pl.col("place").is_in(rule.places))
        parts.append(Blocks(Spans.of(places)))
    if "not_channel" in rule.wishes:
        # A wish that names no channel and is only about channels leaves none.
        parts.append(Blocks(Spans.of(wishes.filter(pl.col("kind") == "not_channel"))))
    return parts[0] if len(parts) == 1 else Together(tuple(parts))


def _while_spoken(wishes: pl.DataFrame, days: int, table: Table) -> pl.DataFrame:
    """The wishes; one that was only spoken ends after so many local days, unless nobody knows when that was."""
    place = table.rows["zones_number"].gather(wishes["row"])
    ends = span_ends(wishes["since"].to_numpy(), place.to_numpy(), table.zone_places, Period("days", days))
    spoken = (pl.col("form") == "oral").fill_null(False) & (pl.col("since") != ALWAYS_US)
    return wishes.with_columns(until=pl.when(spoken).then(pl.min_horizontal(pl.col("until"), pl.Series("ends", ends))).otherwise("until"))


def _within_hours(wishes: pl.DataFrame, hours_per_week: int, table: Table) -> pl.DataFrame:
    """The wishes; of those for quiet hours the ones asked for first, as long as a person's hours a week stay within the number.

    Each is weighed when it is uttered, against what was granted before and still lasts then; one that does not fit is not
    granted, and leaves its hours to later ones.
    """
    asked = _asked_for(table)
    granted = asked.clear()
    for _, each in asked.group_by("rank", maintain_order=True):
        before = granted.select("party_id", "hours_us", lasts="until").join(each.select("party_id", "since"), on="party_id")
        taken = before.filter(pl.col("lasts") > pl.col("since")).group_by("party_id").agg(taken_us=pl.col("hours_us").sum())
        fits = pl.col("taken_us").fill_null(0) + pl.col("hours_us") <= hours_per_week * HOUR_US
        granted = pl.concat([granted, each.join(taken, on="party_id", how="left").filter(fits).select(granted.columns)])
    quiet = _with_texts(wishes.filter(pl.col("kind") == "not_at")).join(granted, on=["party_id", *SAME], how="semi", nulls_equal=True)
    return pl.concat([wishes.filter(pl.col("kind") != "not_at"), quiet.select(wishes.columns)])


def _asked_for(table: Table) -> pl.DataFrame:
    """`party_id`, what tells wishes for quiet hours apart, their `hours_us` a week, their `rank`: the earliest is 0; by rank."""
    named = table.facts.wishes.filter(pl.col("kind") == "not_at").with_columns(
        since=from_instant("starts_at"), until=until_instant("until")
    )
    named = _with_texts(named).unique(["party_id", *SAME], keep="any").sort("party_id", *SAME)
    opens, closes = (pl.col(name).to_physical() // 1000 for name in ("opens", "closes"))
    length = pl.when(closes > 0).then(closes).otherwise(DAY_US) - opens.fill_null(0)
    days = pl.when(pl.col("days").list.len() > 0).then(pl.col("days").list.n_unique()).otherwise(7)
    return named.select(
        "party_id",
        *SAME,
        hours_us=days.cast(pl.Int64) * pl.when(length > 0).then(length).otherwise(length + DAY_US),
        rank=pl.int_range(pl.len()).over("party_id"),
    ).sort("rank")


def _with_texts(wishes: pl.DataFrame) -> pl.DataFrame:
    return wishes.with_columns(pl.col(name).list.sort().list.join(" ").fill_null("").alias(f"{name}_text") for name in ("days", "channels"))


def _quiet(wishes: pl.DataFrame) -> Constraint:
    if wishes.is_empty():
        return Blocks(Spans.of(wishes))
    named = wishes.with_columns(days_text=pl.col("days").list.join(" ").fill_null(""))
    kinds = named.unique(ALIKE, keep="any").with_row_index("plan")
    plans = [
        QuietPlan(days_numbers(one["days"]), minutes_us(one["opens"]) or 0, minutes_us(one["closes"]) or DAY_US)
        for one in kinds.iter_rows(named=True)
    ]
    numbered = named.join(kinds.select(*ALIKE, pl.col("plan").cast(pl.Int64)), on=ALIKE, nulls_equal=True)
    return QuietHours(Spans.of(numbered), numbered["plan"].to_numpy(), plans, Hours(_left_in_peace))
