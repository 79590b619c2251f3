"""What every rule becomes: a column that says, for each row, from which instant on it allows the contact.

A constraint answers one question: given an instant a row, what is the earliest instant, that one or later, at which the
rule allows the contact? It allows now if and only if the answer is now. So the verdict and `next_allowed_at` cannot
disagree, and the earliest instant at which *all* rules allow is found by asking them in turn until none moves it on.

In:   rows by number, instants in microseconds since 1970 (Int64).
Out:  instants in microseconds; NEVER_US where no instant is known.
Pure: values only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import polars as pl

from decisions.rules.timetable import (
    DAY_US,
    NEVER_US,
    SLOT_BITS,
    SLOT_END,
    DayPlan,
    Intervals,
    both,
    day_ends,
    hours_in_zone,
    latest_local_days,
    step_values,
)


@dataclass(frozen=True, slots=True)
class AgreedHours:
    """Hours that both sides agreed on, from `since_us` until `until_us` (microseconds since 1970)."""

    days: tuple[int, ...]
    opens_us: int
    closes_us: int
    by_borrower: bool
    since_us: int
    until_us: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody may be, and what was agreed with her: the grain at which hours are laid out."""

    zones: tuple[str, ...]
    agreed: AgreedHours | None = None
    # Hours in which a wish of hers asks for quiet.
    quiet: DayPlan | None = None


@dataclass(frozen=True)
class Moment:
    """One instant a row, and the slot (place and UTC day) in which it lies."""

    at: pl.Series
    place: pl.Series
    places: Sequence[Place]

    @cached_property
    def _coded(self) -> pl.Series:
        # 17 bits hold a day number until the year 2328.
        return self.place.cast(pl.Int64) * (1 << 17) + self.at // DAY_US

    @cached_property
    def _codes(self) -> pl.Series:
        return self._coded.unique().sort()

    @cached_property
    def slots(self) -> list[tuple[Place, int]]:
        """The distinct (place, UTC day)."""
        return [(self.places[code >> 17], code & ((1 << 17) - 1)) for code in self._codes.to_list()]

    @cached_property
    def slot(self) -> pl.Series:
        """Number of each row's slot."""
        return self._codes.search_sorted(self._coded).cast(pl.Int64)

    @cached_property
    def offset(self) -> pl.Series:
        """Microseconds after midnight UTC."""
        return self.at % DAY_US

    @cached_property
    def local_day(self) -> pl.Series:
        """Local date as days since 1970, in the zone that is furthest ahead."""
        return step_values(self.slots, lambda slot: latest_local_days(slot[0].zones, slot[1]), self.slot, self.offset)

    @cached_property
    def day_ends(self) -> pl.Series:
        """Until when it is still today in every zone; without a zone, now."""
        ends = step_values(
            self.slots, lambda slot: day_ends(slot[0].zones, slot[1]) if slot[0].zones else ((0, 0),), self.slot, self.offset
        )
        return ends.zip_with(ends > 0, self.at)


class Constraint(Protocol):
    """A rule over rows."""

    def frees(self, moment: Moment) -> pl.Series:
        """Earliest instant ≥ `moment.at` at which the rule allows, in microseconds; NEVER_US = not known to come."""

    def take(self, rows: pl.Series) -> Constraint:
        """The same rule over some of the rows, renumbered in that order."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Time changes nothing: allowed, or not."""

    allowed: pl.Series

    def frees(self, moment: Moment) -> pl.Series:
        """Now, or never."""
        return moment.at.zip_with(self.allowed, pl.Series([NEVER_US], dtype=pl.Int64))

    def take(self, rows: pl.Series) -> Fixed:
        """See `Constraint`."""
        return Fixed(self.allowed.gather(rows))


@dataclass(frozen=True, slots=True)
class NotBefore:
    """Forbidden until an instant; 0 = free."""

    free_from: pl.Series

    def frees(self, moment: Moment) -> pl.Series:
        """That instant, or now."""
        return later(moment.at, self.free_from)

    def take(self, rows: pl.Series) -> NotBefore:
        """See `Constraint`."""
        return NotBefore(self.free_from.gather(rows))


@dataclass(frozen=True, slots=True)
class Blocks:
    """Forbidden during each of some entries.

    Attributes:
        entries: `row` (number of a row), `since`, `until`: microseconds, [since, until).
    """

    entries: pl.DataFrame

    def frees(self, moment: Moment) -> pl.Series:
        """The last end of the entries that are on now; a later entry is met when the search gets there."""
        on = self._on(moment)
        if on.is_empty():
            return moment.at
        last = on.group_by("row").agg(pl.col("until").max())
        return moment.at.clone().scatter(last["row"], last["until"])

    def _on(self, moment: Moment) -> pl.DataFrame:
        at = moment.at.gather(self.entries["row"])
        return self.entries.filter((self.entries["since"] <= at) & (at < self.entries["until"]))

    def take(self, rows: pl.Series) -> Blocks:
        """See `Constraint`."""
        return Blocks(_renumbered(self.entries, rows))


@dataclass(frozen=True, slots=True)
class Grants:
    """Allowed only during one of some entries (see `Blocks`)."""

    entries: pl.DataFrame

    def frees(self, moment: Moment) -> pl.Series:
        """Now, or never: nobody knows of a grant that is still to be given."""
        return Fixed(self.granted(moment)).frees(moment)

    def granted(self, moment: Moment) -> pl.Series:
        """Which rows have an entry that is on."""
        at = moment.at.gather(self.entries["row"])
        on = self.entries["row"].filter((self.entries["since"] <= at) & (at < self.entries["until"]))
        return pl.repeat(False, len(moment.at), dtype=pl.Boolean, eager=True).scatter(on, True)

    def take(self, rows: pl.Series) -> Grants:
        """See `Constraint`."""
        return Grants(_renumbered(self.entries, rows))


@dataclass(frozen=True, slots=True)
class Hours:
    """Allowed inside local hours in every plausible zone.

    Attributes:
        intervals: For a place and a UTC day: allowed instants as [start, end) in microseconds after that day's midnight UTC.
    """

    intervals: Callable[[Place, int], Intervals]

    def frees(self, moment: Moment) -> pl.Series:
        """The start of the next interval, or now if inside one."""
        starts, _, found = self._found(moment)
        return later(moment.at, starts.gather(found))

    def closes(self, moment: Moment) -> pl.Series:
        """End of the interval that the row's instant lies in, or of the next one."""
        _, ends, found = self._found(moment)
        return ends.gather(found)

    def _found(self, moment: Moment) -> tuple[pl.Series, pl.Series, pl.Series]:
        starts, ends, keys = [], [], []
        for number, (place, day) in enumerate(moment.slots):
            for start, end in self.intervals(place, day):
                starts.append(day * DAY_US + start)
                ends.append(day * DAY_US + end)
                keys.append((number << SLOT_BITS) + end)
            # Past the last interval of this slot: never, rather than the next slot's first.
            starts.append(NEVER_US)
            ends.append(NEVER_US)
            keys.append((number << SLOT_BITS) + SLOT_END)
        wanted = moment.slot * (1 << SLOT_BITS) + moment.offset
        found = pl.Series(keys, dtype=pl.Int64).search_sorted(wanted, side="right")
        return pl.Series(starts, dtype=pl.Int64), pl.Series(ends, dtype=pl.Int64), found

    def take(self, rows: pl.Series) -> Hours:
        """See `Constraint`; hours belong to places, which the moment brings along."""
        del rows
        return self


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Forbidden during local hours that a person named, in any zone where she may be.

    Attributes:
        entries: `row`, `plan` (number of the wish's hours), `since`, `until`: one wish each.
        plans: The distinct hours of all wishes.
        hours: When such hours leave a place in peace.
    """

    entries: pl.DataFrame
    plans: Sequence[DayPlan]
    hours: Hours

    def frees(self, moment: Moment) -> pl.Series:
        """The end of the wished quiet, or of the wish."""
        rows = self.entries["row"]
        at = moment.at.gather(rows)
        coded = moment.place.gather(rows).cast(pl.Int64) * len(self.plans) + self.entries["plan"]
        codes = coded.unique().sort()
        places = [Place(moment.places[code // len(self.plans)].zones, quiet=self.plans[code % len(self.plans)]) for code in codes.to_list()]
        free = self.hours.frees(Moment(at, codes.search_sorted(coded), places))
        on = (self.entries["since"] <= at) & (at < self.entries["until"])
        freed = (
            pl.DataFrame({"row": rows, "free": earlier(free, self.entries["until"])}).filter(on).group_by("row").agg(pl.col("free").max())
        )
        return moment.at.clone().scatter(freed["row"], freed["free"])

    def take(self, rows: pl.Series) -> QuietHours:
        """See `Constraint`."""
        return QuietHours(_renumbered(self.entries, rows), self.plans, self.hours)


@dataclass(frozen=True, slots=True)
class Excused:
    """A constraint that does not bind rows while an excuse of theirs is on."""

    constraint: Constraint
    excuses: Grants

    def frees(self, moment: Moment) -> pl.Series:
        """Now where excused, else what the constraint says."""
        return moment.at.zip_with(self.excuses.granted(moment), self.constraint.frees(moment))

    def take(self, rows: pl.Series) -> Excused:
        """See `Constraint`."""
        return Excused(self.constraint.take(rows), self.excuses.take(rows))


@dataclass(frozen=True, slots=True)
class Together:
    """Several constraints of one rule: all must allow."""

    parts: tuple[Constraint, ...]

    def frees(self, moment: Moment) -> pl.Series:
        """The latest of what the parts say; the search asks again from there."""
        latest = self.parts[0].frees(moment)
        for part in self.parts[1:]:
            latest = later(latest, part.frees(moment))
        return latest

    def take(self, rows: pl.Series) -> Together:
        """See `Constraint`."""
        return Together(tuple(part.take(rows) for part in self.parts))


@dataclass(frozen=True, slots=True)
class Versions:
    """A rule of which several versions are in force among the rows' local dates.

    Attributes:
        parts: (first day, day after the last, constraint) as days since 1970; a day in none of them is free.
    """

    parts: tuple[tuple[int, int, Constraint], ...]

    def frees(self, moment: Moment) -> pl.Series:
        """What the version of each row's local date says."""
        frees = moment.at
        for first, end, constraint in self.parts:
            in_force = (moment.local_day >= first) & (moment.local_day < end)
            if in_force.any():
                frees = constraint.frees(moment).zip_with(in_force, frees)
        return frees

    def take(self, rows: pl.Series) -> Versions:
        """See `Constraint`."""
        return Versions(tuple((first, end, constraint.take(rows)) for first, end, constraint in self.parts))


def open_in_every_zone(plan: DayPlan, zones: Sequence[str], day: int) -> Intervals:
    """Instants inside the plan's hours in each of the zones; none where there is no zone."""
    found: Intervals | None = None
    for zone in zones:
        inside = hours_in_zone(plan, zone, day)
        found = inside if found is None else both(found, inside)
    return found or ()


def later(one: pl.Series, other: pl.Series) -> pl.Series:
    """The later of two instants, row by row."""
    return one.zip_with(one >= other, other)


def earlier(one: pl.Series, other: pl.Series) -> pl.Series:
    """The earlier of two instants, row by row."""
    return one.zip_with(one <= other, other)


def _renumbered(entries: pl.DataFrame, rows: pl.Series) -> pl.DataFrame:
    """Entries of `rows`, by their new numbers."""
    places = pl.DataFrame({"row": rows, "new": pl.int_range(len(rows), eager=True).cast(rows.dtype)})
    return entries.join(places, on="row").drop("row").rename({"new": "row"})
