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
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
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

# So many rows cost less to look at together than to tell apart, and to sort than to hash.
FEW: Final = 4096


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
    # Zones of the state where she lives; empty = not known.
    home: tuple[str, ...] = ()
    # ISO 3166-1 code of the country where she lives.
    country: str | None = None
    agreed: AgreedHours | None = None
    # Hours in which a wish of hers asks for quiet.
    quiet: DayPlan | None = None


@dataclass(frozen=True)
class Moment:
    """One instant a row, and the slot (place and UTC day) in which it lies."""

    at: pl.Series
    place: pl.Series
    places: Sequence[Place]
    # What windows found in this moment: they are asked for more than one thing.
    looked_up: dict[Hours, tuple[pl.Series, pl.Series]] = field(default_factory=dict)

    @cached_property
    def _coded(self) -> npt.NDArray[np.int64]:
        # 17 bits hold a day number until the year 2328.
        coded: npt.NDArray[np.int64] = self.place.to_numpy().astype(np.int64) * (1 << 17) + self.at.to_numpy() // DAY_US
        return coded

    @cached_property
    def _codes(self) -> npt.NDArray[np.int64]:
        if len(self._coded) <= FEW:
            return np.unique(self._coded)
        # Hashing many goes faster than sorting them.
        return pl.Series(self._coded).unique().sort().to_numpy()

    @cached_property
    def slots(self) -> list[tuple[Place, int]]:
        """The distinct (place, UTC day)."""
        return [(self.places[code >> 17], code & ((1 << 17) - 1)) for code in self._codes.tolist()]

    @cached_property
    def slot(self) -> pl.Series:
        """Number of each row's slot."""
        return pl.Series(np.searchsorted(self._codes, self._coded))

    @cached_property
    def offset(self) -> pl.Series:
        """Microseconds after midnight UTC."""
        return pl.Series(self.at.to_numpy() % DAY_US)

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

    def binds(self) -> bool:
        """Whether it can forbid any of the rows at any time; what binds nobody need not be asked."""

    def frees(self, moment: Moment) -> pl.Series:
        """Earliest instant ≥ `moment.at` at which the rule allows, in microseconds; NEVER_US = not known to come."""

    def take(self, rows: pl.Series) -> Constraint:
        """The same rule over some of the rows, renumbered in that order."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Time changes nothing: allowed, or not."""

    allowed: pl.Series

    def binds(self) -> bool:
        """See `Constraint`."""
        return not self.allowed.all()

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

    def binds(self) -> bool:
        """See `Constraint`."""
        last = self.free_from.max()
        return isinstance(last, int) and last > 0

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

    def binds(self) -> bool:
        """See `Constraint`."""
        return not self.entries.is_empty()

    def frees(self, moment: Moment) -> pl.Series:
        """The last end of the entries that are on now; a later entry is met when the search gets there."""
        rows, on = _on(self.entries, moment.at)
        return _moved_to(moment.at, rows[on], self.entries["until"].to_numpy()[on])

    def take(self, rows: pl.Series) -> Blocks:
        """See `Constraint`."""
        return Blocks(_renumbered(self.entries, rows))


@dataclass(frozen=True, slots=True)
class Grants:
    """Allowed only during one of some entries (see `Blocks`)."""

    entries: pl.DataFrame

    def binds(self) -> bool:
        """See `Constraint`."""
        return True

    def frees(self, moment: Moment) -> pl.Series:
        """Now, or when the next entry begins; never where nobody knows of one that is still to come."""
        own, rows = moment.at.to_numpy(), self.entries["row"].to_numpy()
        since, until = self.entries["since"].to_numpy(), self.entries["until"].to_numpy()
        comes = (until > own[rows]) & (since < until)
        first = np.full(len(own), NEVER_US)
        np.minimum.at(first, rows[comes], np.maximum(since, own[rows])[comes])
        return pl.Series(first)

    def take(self, rows: pl.Series) -> Grants:
        """See `Constraint`."""
        return Grants(_renumbered(self.entries, rows))


@lru_cache(maxsize=16384)
def _laid_out(intervals: Callable[[Place, int], Intervals], place: Place, day: int) -> tuple[npt.NDArray[np.int64], ...]:
    """Starts and ends (µs since 1970) of a place's intervals seen from a day, and their ends on the slot's number line."""
    # Past the last interval: never.
    found = (*intervals(place, day), (NEVER_US - day * DAY_US, SLOT_END))
    starts, ends = np.array([start for start, _ in found]), np.array([end for _, end in found])
    last = np.where(ends == SLOT_END, NEVER_US, day * DAY_US + ends)
    return day * DAY_US + starts, last, ends


@dataclass(frozen=True, slots=True)
class Hours:
    """Allowed inside local hours in every plausible zone.

    Attributes:
        intervals: For a place and a UTC day: allowed instants as [start, end) in microseconds after that day's midnight UTC.
    """

    intervals: Callable[[Place, int], Intervals]

    def binds(self) -> bool:
        """See `Constraint`."""
        return True

    def frees(self, moment: Moment) -> pl.Series:
        """The start of the next interval, or now if inside one."""
        return later(moment.at, self._next(moment)[0])

    def closes(self, moment: Moment) -> pl.Series:
        """End of the interval that the row's instant lies in, or of the next one."""
        return self._next(moment)[1]

    def _next(self, moment: Moment) -> tuple[pl.Series, pl.Series]:
        """Start and end of the interval that each row lies in, or of the next one; looked up once a moment."""
        if self not in moment.looked_up:
            moment.looked_up[self] = self._look_up(moment)
        return moment.looked_up[self]

    def _look_up(self, moment: Moment) -> tuple[pl.Series, pl.Series]:
        laid_out = [_laid_out(self.intervals, place, day) for place, day in moment.slots]
        if not laid_out:
            return moment.at, moment.at
        base = np.arange(len(laid_out)) << SLOT_BITS
        keys = np.concatenate([keys + first for (_, _, keys), first in zip(laid_out, base, strict=True)])
        found = np.searchsorted(keys, (moment.slot * (1 << SLOT_BITS) + moment.offset).to_numpy(), side="right")
        starts, ends = (np.concatenate([one[which] for one in laid_out]) for which in (0, 1))
        return pl.Series(starts[found]), pl.Series(ends[found])

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

    def binds(self) -> bool:
        """See `Constraint`."""
        return not self.entries.is_empty()

    def frees(self, moment: Moment) -> pl.Series:
        """The end of the wished quiet, or of the wish."""
        if self.entries.is_empty():
            return moment.at
        rows, on = _on(self.entries, moment.at)
        at = pl.Series(moment.at.to_numpy()[rows])
        codes, number = np.unique(moment.place.to_numpy()[rows] * len(self.plans) + self.entries["plan"].to_numpy(), return_inverse=True)
        places = [Place(moment.places[code // len(self.plans)].zones, quiet=self.plans[code % len(self.plans)]) for code in codes.tolist()]
        free = self.hours.frees(Moment(at, pl.Series(number), places)).to_numpy()
        until = np.minimum(free, self.entries["until"].to_numpy())
        return _moved_to(moment.at, rows[on], until[on])

    def take(self, rows: pl.Series) -> QuietHours:
        """See `Constraint`."""
        return QuietHours(_renumbered(self.entries, rows), self.plans, self.hours)


@dataclass(frozen=True, slots=True)
class Excused:
    """A constraint that does not bind rows while an excuse of theirs is on."""

    constraint: Constraint
    excuses: Grants

    def binds(self) -> bool:
        """See `Constraint`."""
        return self.constraint.binds()

    def frees(self, moment: Moment) -> pl.Series:
        """What the constraint says, or when an excuse begins, if that is sooner."""
        return earlier(self.constraint.frees(moment), self.excuses.frees(moment))

    def take(self, rows: pl.Series) -> Excused:
        """See `Constraint`."""
        return Excused(self.constraint.take(rows), self.excuses.take(rows))


@dataclass(frozen=True, slots=True)
class Together:
    """Several constraints of one rule: all must allow."""

    parts: tuple[Constraint, ...]

    def binds(self) -> bool:
        """See `Constraint`."""
        return any(part.binds() for part in self.parts)

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

    def binds(self) -> bool:
        """See `Constraint`."""
        return any(part.binds() for _, _, part in self.parts)

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


def _on(entries: pl.DataFrame, at: pl.Series) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Rows of the entries, and which entries are on at the instant of their row."""
    rows = entries["row"].to_numpy()
    own = at.to_numpy()[rows]
    return rows, (entries["since"].to_numpy() <= own) & (own < entries["until"].to_numpy())


def _moved_to(at: pl.Series, rows: npt.NDArray[np.int64], until: npt.NDArray[np.int64]) -> pl.Series:
    """Instants moved on, in some rows, to the last of what is named for them."""
    if not len(rows):
        return at
    moved = at.to_numpy().copy()
    np.maximum.at(moved, rows, until)
    return pl.Series(moved)


def _renumbered(entries: pl.DataFrame, rows: pl.Series) -> pl.DataFrame:
    """Entries of `rows` (ascending), by their new numbers."""
    kept, own = rows.to_numpy(), entries["row"].to_numpy()
    if not len(kept) or not len(own):
        return entries.clear()
    new = np.minimum(np.searchsorted(kept, own), len(kept) - 1)
    return entries.with_columns(pl.Series("row", new)).filter(pl.Series(kept[new] == own))
