"""Rules: each a Boolean column over candidates, true = allowed; the same at planning, in the gate, and for one case.

In:   facts, candidates (decisions/facts.py), the packs in force.
Out:  `judge`: the verdict of every rule for every candidate, the reasons together, and, if asked, when it would be allowed.
      `untils`: for each rule, from which instant on it would allow.
Pure: no clock, no I/O: the instant is a column.

The order of work: number what repeats (table.py); decide per profile, in plain Python, which rules look at it; let each kind's file
turn its rule into a constraint (constraints.py); ask each constraint once for all rows. Only blocked rows are then asked
again, all constraints in turn, until no rule moves the instant on: that is the earliest at which all allow.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import lru_cache, partial
from typing import Any, Final

import numpy as np
import polars as pl

from decisions.facts import Facts
from decisions.packs import HOUSE, Packs
from decisions.rule_forms import (
    PASSING,
    CapRule,
    ChannelRule,
    ConsentRule,
    ContentRule,
    CooldownRule,
    GatingRule,
    HoldRule,
    OptOutRule,
    OrderRule,
    PartyRule,
    PlaceRule,
    WindowRule,
    WishRule,
    ZoneRule,
    value_on,
)
from decisions.rules import (
    caps,
    channels,
    consents,
    contents,
    cooldowns,
    holds,
    opt_outs,
    orders,
    parties,
    places,
    replies,
    windows,
    wishes,
    zones,
)
from decisions.rules.applies import looks
from decisions.rules.constraints import FEW, Constraint, Excused, Fixed, Flags, Hours, Instants, Moment, Numbers, Versions, distinct
from decisions.rules.table import Table, table_of
from decisions.rules.timetable import DAY_US, EPOCH, NEVER_US, day_number

# How far ahead a next instant is looked for: a whole week and the day it began in.
SEARCH_DAYS: Final = 8
# Each round ends at an instant that a rule named; a week has no more of them than this.
ROUNDS_MAX: Final = 64
REASON_BITS: Final = 60


@dataclass(frozen=True)
class _Applied:
    """A rule, the rows that it looks at, and what it says about them.

    Attributes:
        rule_id: Its id.
        applies: Rows that it looks at.
        constraint: What it says.
        passing: It ends without a rule knowing when.
        hours: Its hours, if it is about hours.
        asks: It forbids nothing, it asks for a person's judgement.
        doubted: It asks wherever it looks: in live mode, what was only recalled is no law to rely on.
    """

    rule_id: str
    applies: Flags
    constraint: Constraint
    passing: bool
    hours: Hours | None
    asks: bool
    doubted: bool

    def frees(self, moment: Moment) -> Instants:
        """Earliest instant ≥ now at which this rule neither forbids nor asks; now where it does not look."""
        return np.where(self.applies, NEVER_US if self.doubted else self.constraint.frees(moment), moment.at)

    def forbids(self, moment: Moment) -> Flags:
        """Rows that the rule itself forbids now, doubted or not."""
        return self.applies & (self.constraint.frees(moment) > moment.at)

    def take(self, rows: Numbers) -> _Applied:
        """The same over some rows."""
        return replace(self, applies=self.applies[rows], constraint=self.constraint.take(rows))


def judge(facts: Facts, candidates: pl.DataFrame, packs: Packs, *, bases: Collection[str] | None = None, when: bool = True) -> pl.DataFrame:
    """Say of every candidate what each rule says.

    Only the packs of the borrower's jurisdictions apply, and the house's. Zones and jurisdictions that are not known forbid.

    Args:
        facts: About the candidates' borrowers; others do no harm.
        candidates: n rows of decisions/facts.CANDIDATES; the columns named beside it may be added.
        packs: In force.
        bases: Look only at rules with one of these bases (for the creditor's role); None = all.
        when: Also say from when and until when; costs about as much again where much is forbidden.

    Returns:
        n rows in the same order: `candidate`; one Boolean a gating rule of `packs`, named by its id (true = allowed or not
        concerned, never null); `allowed`: no rule forbids, and none asks for a person; `blocked_by: List[String]`, every rule
        that forbids, in the packs' order; `asked_by: List[String]`, every rule that asks for a person's judgement first.
        With `when`: `blocked_for_good`: nothing frees it within eight days, as far as rules can know; `next_allowed_at`: the
        earliest instant (UTC) ≥ `at` at which every rule allows (= `at` where allowed, null where none is known);
        `allowed_until`: where allowed, the end of the hours and of the local day in which it is.

    Raises:
        ValueError: A candidate lacks its instant, channel, purpose or counterparty, or has a word that is not of CASES.md.
    """
    table = table_of(facts, candidates, packs)
    applied = _applied(table, packs, bases)
    at = table.moment.at
    verdicts = {rule.rule_id: rule.frees(table.moment) <= at for rule in applied}
    allowed = table.all_rows(value=True)
    for verdict in verdicts.values():
        allowed &= verdict
    forbids, asks = _told_apart(table, applied, verdicts)
    # Of the rules of the whole world a handful look at a row: the others are taken together.
    unconcerned = [one.new_from_index(0, len(at)) for one in _unconcerned(tuple(rule.id for _, rule in packs.gating()))]
    said = candidates.select("candidate").hstack(unconcerned)
    said = said.with_columns(
        *(pl.Series(rule_id, verdict) for rule_id, verdict in verdicts.items()),
        pl.Series("allowed", allowed),
        _reasons(forbids, len(at)).alias("blocked_by"),
        _reasons(asks, len(at)).alias("asked_by"),
    )
    if not when:
        return said
    next_at, for_good = _next(table, applied, verdicts, allowed)
    return said.with_columns(
        pl.Series("blocked_for_good", for_good),
        _instants(next_at).alias("next_allowed_at"),
        _instants(_allowed_until(table, applied, allowed)).alias("allowed_until"),
    )


@lru_cache(maxsize=16)
def _unconcerned(rule_ids: tuple[str, ...]) -> tuple[pl.Series, ...]:
    """Every rule allows what it does not look at; one value each."""
    return tuple(pl.Series(rule_id, [True]) for rule_id in rule_ids)


def untils(facts: Facts, candidates: pl.DataFrame, packs: Packs, *, bases: Collection[str] | None = None) -> pl.DataFrame:
    """For each candidate and each rule, from which instant on that rule alone would allow (`at` where it allows now).

    Args:
        facts: See `judge`.
        candidates: See `judge`.
        packs: See `judge`.
        bases: See `judge`.

    Returns:
        n rows: `candidate`, and one column of instants (UTC) a rule that looks at any of them; null = not known to come.
    """
    table = table_of(facts, candidates, packs)
    columns = [candidates["candidate"]]
    columns += [_instants(rule.frees(table.moment)).alias(rule.rule_id) for rule in _applied(table, packs, bases)]
    return pl.DataFrame(columns)


def _applied(table: Table, packs: Packs, bases: Collection[str] | None) -> list[_Applied]:
    """Rules that look at any row, each as its constraint."""
    found = []
    attached = {
        pack.jurisdiction: [pack.jurisdiction == HOUSE or pack.jurisdiction in profile.jurisdictions for profile in table.profiles]
        for pack in packs.packs
    }
    for pack, rule in packs.gating():
        theirs = attached[pack.jurisdiction]
        looked = [there and looks(pack, rule, profile, table.known, bases) for profile, there in zip(table.profiles, theirs, strict=True)]
        doubted = packs.live and rule.confidence == "R"
        if not any(looked):
            continue
        applies = table.of_profiles(looked)
        concerned = table.concerns(rule.applies_to)
        applies = applies if concerned is None else applies & concerned
        constraint = _constraint(rule, table, applies)
        if constraint is not None and (constraint.binds() or doubted):
            hours = constraint if isinstance(constraint, Hours) else None
            if rule.one_reply is not None and any(profile.purpose == replies.REPLY for profile in table.profiles):
                constraint = Excused(constraint, replies.excuses(table, rule.one_reply))
            found.append(
                _Applied(
                    rule_id=rule.id,
                    applies=applies,
                    constraint=constraint,
                    passing=isinstance(rule, HoldRule) and not PASSING.isdisjoint(rule.conditions),
                    hours=hours,
                    asks=rule.outcome == "review",
                    doubted=doubted,
                )
            )
    return found


def _told_apart(table: Table, applied: Sequence[_Applied], verdicts: Mapping[str, Flags]) -> tuple[dict[str, Flags], dict[str, Flags]]:
    """The verdicts of rules that forbid, and of those that ask for a person; a doubted rule may do both."""
    forbids: dict[str, Flags] = {}
    asks: dict[str, Flags] = {}
    for rule in applied:
        if not rule.asks:
            forbids[rule.rule_id] = ~rule.forbids(table.moment) if rule.doubted else verdicts[rule.rule_id]
        if rule.asks or rule.doubted:
            asks[rule.rule_id] = verdicts[rule.rule_id]
    return forbids, asks


def _constraint(rule: GatingRule, table: Table, applies: Flags) -> Constraint | None:
    """The rule over the rows that it looks at, with the values in force on their local dates; None = in force on none."""
    if isinstance(rule, WindowRule):  # looks up its values by each local date itself
        return windows.constrain(rule, table.packs)
    constrain = _OF_KIND[type(rule)]
    if isinstance(rule, CapRule | CooldownRule):
        constrain = partial(constrain, among=applies)
    versions = _versions(rule, table)
    if not versions:
        return None
    if len(versions) == 1 and versions[0][0] is None:
        return constrain(rule, versions[0][2], table)
    return Versions(tuple((first or 0, end or NEVER_US, constrain(rule, value, table)) for first, end, value in versions))


# Each makes the constraint of one version of a rule: (rule, value in force, table); what counts contacts is told among which rows.
_OF_KIND: Final[dict[type[Any], Callable[..., Constraint]]] = {
    CapRule: caps.constrain,
    CooldownRule: cooldowns.constrain,
    HoldRule: holds.constrain,
    OptOutRule: opt_outs.constrain,
    ConsentRule: consents.constrain,
    WishRule: wishes.constrain,
    PartyRule: parties.constrain,
    PlaceRule: places.constrain,
    ChannelRule: channels.constrain,
    ZoneRule: zones.constrain,
    OrderRule: orders.constrain,
    ContentRule: contents.constrain,
}


def _versions(rule: Any, table: Table) -> list[tuple[int | None, int | None, Any]]:
    """Versions of a rule among the rows' local dates and the days searched: (first day, day after the last, value).

    One version that holds on all of them has no first day, so that nobody needs to compute local dates.
    """
    at = table.moment.at
    if not len(at):
        return []
    earliest, latest = int(at.min()), int(at.max())
    # Local dates are at most a day away from UTC's.
    first, last = earliest // DAY_US - 1, latest // DAY_US + 1 + SEARCH_DAYS + 1
    changes = [day_number(since) for since in rule.values if first < day_number(since) <= last]
    if not changes:
        value = value_on(rule.values, _date(first))
        return [] if value is None else [(None, None, value)]
    edges = [0, *changes]
    spans = [(start, edges[number + 1] if number + 1 < len(edges) else NEVER_US) for number, start in enumerate(edges)]
    found = [(start, end, value_on(rule.values, _date(max(start, first)))) for start, end in spans]
    return [(start, end, value) for start, end, value in found if value is not None]


def _date(day: int) -> date:
    return EPOCH + timedelta(days=day)


def _next(table: Table, applied: Sequence[_Applied], verdicts: Mapping[str, Flags], allowed: Flags) -> tuple[Instants, Flags]:
    """Earliest instant at which all rules allow (NEVER_US = not within the search), and which rows nothing frees."""
    at = table.moment.at
    waits, hopeless = table.all_rows(value=False), table.all_rows(value=False)
    for rule in applied:
        if rule.passing:
            waits |= ~verdicts[rule.rule_id]
        elif rule.doubted or isinstance(rule.constraint, Fixed):
            hopeless |= ~verdicts[rule.rule_id]
    next_at = np.where(allowed, at, NEVER_US)
    searched = ~allowed & ~hopeless
    moving = [rule for rule in applied if not (rule.passing or rule.doubted or isinstance(rule.constraint, Fixed))]
    if searched.any():
        if len(at) <= FEW:
            # Picking rows out would cost more than asking about all of them.
            next_at = np.where(searched, _search(moving, table.moment), next_at)
        else:
            rows = np.flatnonzero(searched)
            there = Moment(at[rows], table.moment.place[rows], table.moment.places)
            next_at[rows] = _search([rule.take(rows) for rule in moving], there)
    for_good = ~allowed & (next_at == NEVER_US)
    return np.where(waits, NEVER_US, next_at), for_good


def _search(rules: Sequence[_Applied], moment: Moment) -> Instants:
    """Ask all rules in turn, each time from the latest instant that one of them named, until none moves it.

    Returns:
        The earliest instant at which all of them allow; NEVER_US where that is not within SEARCH_DAYS.
    """
    end = moment.at + SEARCH_DAYS * DAY_US
    result = np.full(len(moment.at), NEVER_US)
    rows = np.arange(len(moment.at))
    for _ in range(ROUNDS_MAX):
        then = moment.at
        for rule in rules:
            then = np.maximum(then, rule.frees(moment))
        within = then <= end
        found = within & (then == moment.at)
        result[rows[found]] = then[found]
        moved = np.flatnonzero(within & ~found)
        if not len(moved):
            return result
        if len(rows) > FEW:
            rules = [rule.take(moved) for rule in rules]
            rows, end = rows[moved], end[moved]
            moment = Moment(then[moved], moment.place[moved], moment.places)
        else:
            # What lies past the search stays there, within reach of the hours that are laid out.
            moment = Moment(np.minimum(then, end + 1), moment.place, moment.places)
    return result


def _allowed_until(table: Table, applied: Sequence[_Applied], allowed: Flags) -> Instants:
    """Where allowed, the end of the hours of every window and of the local day; NEVER_US elsewhere."""
    if not allowed.any():
        return np.full(len(allowed), NEVER_US)
    until = table.moment.day_ends
    for rule in applied:
        if rule.hours is not None:
            # A reply may be allowed outside the hours, which then end nothing.
            inside = rule.applies & (rule.hours.frees(table.moment) == table.moment.at)
            until = np.where(inside, np.minimum(until, rule.hours.closes(table.moment)), until)
    return np.where(allowed, until, NEVER_US)


def _reasons(verdicts: Mapping[str, Flags], n: int) -> pl.Series:
    """Ids of the rules that forbid, row by row: each distinct set of reasons is spelt out once."""
    forbidding = [(rule_id, ~verdict) for rule_id, verdict in verdicts.items() if not verdict.all()]
    number = np.zeros(n, dtype=np.int64)
    for start in range(0, len(forbidding), REASON_BITS):
        bits = np.zeros(n, dtype=np.int64)
        for bit, (_, forbids) in enumerate(forbidding[start : start + REASON_BITS]):
            bits += forbids.astype(np.int64) << bit
        known = distinct(bits)
        number = number * len(known) + np.searchsorted(known, bits)
    sets = distinct(number)
    place = np.searchsorted(sets, number)
    example = np.zeros(len(sets), dtype=np.intp)
    example[place] = np.arange(n)
    spelt = [[rule_id for rule_id, forbids in forbidding if forbids[row]] for row in example.tolist()]
    return pl.Series(spelt, dtype=pl.List(pl.String)).gather(place)


def _instants(microseconds: Instants) -> pl.Series:
    """Instants of microseconds since 1970; NEVER_US is null."""
    known = np.where(microseconds >= NEVER_US, np.iinfo(np.int64).min, microseconds)
    return pl.Series(known.astype("datetime64[us]")).dt.replace_time_zone("UTC")
