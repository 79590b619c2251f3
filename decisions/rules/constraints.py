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
from typing import Final, Protocol, TypeAlias

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
# Of each row an instant (microseconds since 1970), whether something is so, a number. Not columns of Polars: a call into those costs a
# gate's shard more than all its rows.
Instants: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]
Numbers: TypeAlias = npt.NDArray[np.intp]


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


def distinct(values: Instants) -> Instants:
    """The different values, ascending."""
    # Hashing many goes faster than sorting them.
    return np.unique(values) if len(values) <= FEW else pl.Series(values).unique().sort().to_numpy()


@dataclass(frozen=True)
class Moment:
    """One instant a row, and the slot (place and UTC day) in which it lies."""

    at: Instants
    place: Instants
    places: Sequence[Place]
    # What windows found in this moment: they are asked for more than one thing.
    looked_up: dict[Hours, tuple[Instants, Instants]] = field(default_factory=dict)

    @cached_property
    def _coded(self) -> Instants:
        # 17 bits hold a day number until the year 2328.
        return self.place * (1 << 17) + self.at // DAY_US

    @cached_property
    def _codes(self) -> Instants:
        return distinct(self._coded)

    @cached_property
    def slots(self) -> list[tuple[Place, int]]:
        """The distinct (place, UTC day)."""
        return [(self.places[code >> 17], code & ((1 << 17) - 1)) for code in self._codes.tolist()]

    @cached_property
    def slot(self) -> Instants:
        """Number of each row's slot."""
        return np.searchsorted(self._codes, self._coded)

    @cached_property
    def offset(self) -> Instants:
        """Microseconds after midnight UTC."""
        return self.at % DAY_US

    @cached_property
    def local_day(self) -> Instants:
        """Local date as days since 1970, in the zone that is furthest ahead."""
        return step_values(self.slots, lambda slot: latest_local_days(slot[0].zones, slot[1]), self.slot, self.offset)

    @cached_property
    def day_ends(self) -> Instants:
        """Until when it is still today in every zone; without a zone, now."""
        ends = step_values(
            self.slots, lambda slot: day_ends(slot[0].zones, slot[1]) if slot[0].zones else ((0, 0),), self.slot, self.offset
        )
        return np.where(ends > 0, ends, self.at)


@dataclass(frozen=True, slots=True)
class Spans:
    """Spans of time, each of one row; a row may have several.

    Attributes:
        row: Number of the row.
        since: First microsecond.
        until: The one after the last.
    """

    row: Numbers
    since: Instants
    until: Instants

    @classmethod
    def of(cls, entries: pl.DataFrame) -> Spans:
        """From columns of these names, without nulls."""
        row = entries["row"].to_numpy().astype(np.intp, copy=False)
        return cls(row, entries["since"].to_numpy(), entries["until"].to_numpy())

    @classmethod
    def none(cls) -> Spans:
        """Of no row."""
        return cls(np.empty(0, dtype=np.intp), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.row)

    def are_on(self, at: Instants) -> Flags:
        """Which of them are on at the instant of their row."""
        own = at[self.row]
        return (self.since <= own) & (own < self.until)

    def of_rows(self, rows: Numbers) -> tuple[Spans, Flags]:
        """Those of some rows (ascending), by their new numbers; and which of all they are."""
        new = np.searchsorted(rows, self.row)
        kept = rows[np.minimum(new, len(rows) - 1)] == self.row if len(rows) else np.zeros(len(self), dtype=np.bool_)
        return Spans(new[kept], self.since[kept], self.until[kept]), kept


class Constraint(Protocol):
    """A rule over rows."""

    def binds(self) -> bool:
        """Whether it can forbid any of the rows at any time; what binds nobody need not be asked."""

    def frees(self, moment: Moment) -> Instants:
        """Earliest instant ≥ `moment.at` at which the rule allows, in microseconds; NEVER_US = not known to come."""

    def take(self, rows: Numbers) -> Constraint:
        """The same rule over some of the rows (ascending), renumbered in that order."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Time changes nothing: allowed, or not."""

    allowed: Flags

    def binds(self) -> bool:
        """See `Constraint`."""
        return not self.allowed.all()

    def frees(self, moment: Moment) -> Instants:
        """Now, or never."""
        return np.where(self.allowed, moment.at, NEVER_US)

    def take(self, rows: Numbers) -> Fixed:
        """See `Constraint`."""
        return Fixed(self.allowed[rows])


@dataclass(frozen=True, slots=True)
class NotBefore:
    """Forbidden until an instant; 0 = free."""

    free_from: Instants

    def binds(self) -> bool:
        """See `Constraint`."""
        return bool((self.free_from > 0).any())

    def frees(self, moment: Moment) -> Instants:
        """That instant, or now."""
        return np.maximum(moment.at, self.free_from)

    def take(self, rows: Numbers) -> NotBefore:
        """See `Constraint`."""
        return NotBefore(self.free_from[rows])


@dataclass(frozen=True, slots=True)
class Blocks:
    """Forbidden during each of some spans."""

    spans: Spans

    def binds(self) -> bool:
        """See `Constraint`."""
        return len(self.spans) > 0

    def frees(self, moment: Moment) -> Instants:
        """The last end of the spans that are on now; a later span is met when the search gets there."""
        on = self.spans.are_on(moment.at)
        return _moved_to(moment.at, self.spans.row[on], self.spans.until[on])

    def take(self, rows: Numbers) -> Blocks:
        """See `Constraint`."""
        return Blocks(self.spans.of_rows(rows)[0])


@dataclass(frozen=True, slots=True)
class Grants:
    """Allowed only during one of some spans."""

    spans: Spans

    def binds(self) -> bool:
        """See `Constraint`."""
        return True

    def frees(self, moment: Moment) -> Instants:
        """Now, or when the next span begins; never where nobody knows of one that is still to come."""
        own, spans = moment.at[self.spans.row], self.spans
        comes = (spans.until > own) & (spans.since < spans.until)
        first = np.full(len(moment.at), NEVER_US)
        np.minimum.at(first, spans.row[comes], np.maximum(spans.since, own)[comes])
        return first

    def take(self, rows: Numbers) -> Grants:
        """See `Constraint`."""
        return Grants(self.spans.of_rows(rows)[0])


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

    def frees(self, moment: Moment) -> Instants:
        """The start of the next interval, or now if inside one."""
        return np.maximum(moment.at, self._next(moment)[0])

    def closes(self, moment: Moment) -> Instants:
        """End of the interval that the row's instant lies in, or of the next one."""
        return self._next(moment)[1]

    def _next(self, moment: Moment) -> tuple[Instants, Instants]:
        """Start and end of the interval that each row lies in, or of the next one; looked up once a moment."""
        if self not in moment.looked_up:
            moment.looked_up[self] = self._look_up(moment)
        return moment.looked_up[self]

    def _look_up(self, moment: Moment) -> tuple[Instants, Instants]:
        laid_out = [_laid_out(self.intervals, place, day) for place, day in moment.slots]
        if not laid_out:
            return moment.at, moment.at
        base = np.arange(len(laid_out)) << SLOT_BITS
        keys = np.concatenate([keys + first for (_, _, keys), first in zip(laid_out, base, strict=True)])
        found = np.searchsorted(keys, moment.slot * (1 << SLOT_BITS) + moment.offset, side="right")
        starts, ends = (np.concatenate([one[which] for one in laid_out]) for which in (0, 1))
        return starts[found], ends[found]

    def take(self, rows: Numbers) -> Hours:
        """See `Constraint`; hours belong to places, which the moment brings along."""
        del rows
        return self


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Forbidden during local hours that a person named, in any zone where she may be.

    Attributes:
        spans: One wish each.
        plan: Number of each wish's hours.
        plans: The distinct hours of all wishes.
        hours: When such hours leave a place in peace.
    """

    spans: Spans
    plan: Instants
    plans: Sequence[DayPlan]
    hours: Hours

    def binds(self) -> bool:
        """See `Constraint`."""
        return len(self.spans) > 0

    def frees(self, moment: Moment) -> Instants:
        """The end of the wished quiet, or of the wish."""
        if not len(self.spans):
            return moment.at
        rows, on = self.spans.row, self.spans.are_on(moment.at)
        codes, number = np.unique(moment.place[rows] * len(self.plans) + self.plan, return_inverse=True)
        places = [Place(moment.places[code // len(self.plans)].zones, quiet=self.plans[code % len(self.plans)]) for code in codes.tolist()]
        until = np.minimum(self.hours.frees(Moment(moment.at[rows], number, places)), self.spans.until)
        return _moved_to(moment.at, rows[on], until[on])

    def take(self, rows: Numbers) -> QuietHours:
        """See `Constraint`."""
        spans, kept = self.spans.of_rows(rows)
        return QuietHours(spans, self.plan[kept], self.plans, self.hours)


@dataclass(frozen=True, slots=True)
class Excused:
    """A constraint that does not bind rows while an excuse of theirs is on."""

    constraint: Constraint
    excuses: Grants

    def binds(self) -> bool:
        """See `Constraint`."""
        return self.constraint.binds()

    def frees(self, moment: Moment) -> Instants:
        """What the constraint says, or when an excuse begins, if that is sooner."""
        return np.minimum(self.constraint.frees(moment), self.excuses.frees(moment))

    def take(self, rows: Numbers) -> Excused:
        """See `Constraint`."""
        return Excused(self.constraint.take(rows), self.excuses.take(rows))


@dataclass(frozen=True, slots=True)
class Together:
    """Several constraints of one rule: all must allow."""

    parts: tuple[Constraint, ...]

    def binds(self) -> bool:
        """See `Constraint`."""
        return any(part.binds() for part in self.parts)

    def frees(self, moment: Moment) -> Instants:
        """The latest of what the parts say; the search asks again from there."""
        latest = self.parts[0].frees(moment)
        for part in self.parts[1:]:
            latest = np.maximum(latest, part.frees(moment))
        return latest

    def take(self, rows: Numbers) -> Together:
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

    def frees(self, moment: Moment) -> Instants:
        """What the version of each row's local date says."""
        frees = moment.at
        for first, end, constraint in self.parts:
            in_force = (moment.local_day >= first) & (moment.local_day < end)
            if in_force.any():
                frees = np.where(in_force, constraint.frees(moment), frees)
        return frees

    def take(self, rows: Numbers) -> Versions:
        """See `Constraint`."""
        return Versions(tuple((first, end, constraint.take(rows)) for first, end, constraint in self.parts))


def open_in_every_zone(plan: DayPlan, zones: Sequence[str], day: int) -> Intervals:
    """Instants inside the plan's hours in each of the zones; none where there is no zone."""
    found: Intervals | None = None
    for zone in zones:
        inside = hours_in_zone(plan, zone, day)
        found = inside if found is None else both(found, inside)
    return found or ()


def _moved_to(at: Instants, rows: Numbers, until: Instants) -> Instants:
    """Instants moved on, in some rows, to the last of what is named for them."""
    if not len(rows):
        return at
    moved = at.copy()
    np.maximum.at(moved, rows, until)
    return moved
