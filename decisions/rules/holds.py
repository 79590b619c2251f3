"""Holds: reasons not to contact, set by a person or an event, and conditions that work like one.

In:   a rule (which kinds of hold, which conditions, what may be said nevertheless, when the law ends a hold); the table.
Out:  a constraint.
Pure: values only.
Source: 12 CFR 1006.6(c), 1006.38; DOMAIN.md "hold"; ARCHITECTURE.md I4, I11; the pack of each jurisdiction.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import polars as pl

from decisions.packs import HOUSE
from decisions.rule_forms import HoldLasts, HoldRule, Period, value_on
from decisions.rules.applies import attaches
from decisions.rules.constraints import Blocks, Constraint, Fixed, Flags, Spans, Together
from decisions.rules.events import span_ends
from decisions.rules.table import ALWAYS_US, Table
from decisions.rules.timetable import EPOCH, NEVER_US


def constrain(rule: HoldRule, value: HoldLasts, table: Table) -> Constraint:
    """Allowed while none of the rule's holds is on and none of its conditions is met."""
    parts: list[Constraint] = [_CONDITIONS[condition](table) for condition in rule.conditions]
    if rule.holds:
        holds = _covering(rule, table)
        holds = _ended_by(value, holds, table)
        if rule.ends_with_law:
            holds = _ended_by_law(holds, table)
        parts.append(Blocks(Spans.of(holds)))
    return parts[0] if len(parts) == 1 else Together(tuple(parts))


def _covering(rule: HoldRule, table: Table) -> pl.DataFrame:
    """`row`, `kind`, `since`, `until`: holds that the rule does not let the row's contact through."""
    holds = table.holds
    if rule.holds != "all":
        holds = holds.filter(pl.col("kind").is_in(rule.holds))
    if not rule.lets_through or holds.is_empty():
        return holds
    kinds, rows = holds["kind"].to_numpy(), holds["row"].to_numpy()
    covers = np.ones(len(holds), dtype=np.bool_)
    for kind in holds["kind"].unique().drop_nulls():
        if (through := rule.lets_through.get(kind)) is not None:
            let = table.of_profiles([one.purpose in through.purposes or one.party in through.parties for one in table.profiles])
            covers &= ~((kinds == kind) & let[rows])
    return holds if covers.all() else holds.filter(pl.Series(covers))


def _ended_by(value: HoldLasts, holds: pl.DataFrame, table: Table) -> pl.DataFrame:
    """The holds with the ends that a law gives them: after so long, or so long after their own."""
    if (value.lasts is None and value.after is None) or holds.is_empty():
        return holds
    if value.lasts is not None:
        # Since when a hold has been on may not be known; then nobody knows when its time is over.
        ends = _span_ends("since", holds, value.lasts, table)
        holds = holds.with_columns(until=pl.when(pl.col("since") == ALWAYS_US).then("until").otherwise(pl.min_horizontal("until", ends)))
    if value.after is not None:
        # What ended before it began was no hold, and leaves no quiet behind.
        holds = holds.filter(pl.col("since") < pl.col("until"))
        holds = holds.with_columns(until=_span_ends("until", holds, value.after, table))
    return holds


def _span_ends(column: str, holds: pl.DataFrame, period: Period, table: Table) -> pl.Series:
    place = table.rows["zones_number"].gather(holds["row"])
    return pl.Series("ends", span_ends(holds[column].to_numpy(), place.to_numpy(), table.zone_places, period))


def _ended_by_law(holds: pl.DataFrame, table: Table) -> pl.DataFrame:
    """The holds; those without an end of their own end with the last law of the person's place that gives them one.

    The law in force on each row's local date decides, whatever the contact: a hold that is over is over for every purpose.
    """
    until, row = holds["until"].to_numpy(), holds["row"].to_numpy()
    endless = until == NEVER_US
    if not endless.any():
        return holds
    ends = np.full(len(holds), ALWAYS_US)
    for rule, value, rows in _laws(table):
        ended = endless & rows[row]
        if rule.holds != "all":
            ended &= holds["kind"].is_in(rule.holds).to_numpy()
        which = np.flatnonzero(ended)
        ends[which] = np.maximum(ends[which], _ended_by(value, holds[which], table)["until"].to_numpy())
    return holds.with_columns(until=pl.Series(np.where(ends > ALWAYS_US, ends, until)))


def _laws(table: Table) -> Iterator[tuple[HoldRule, HoldLasts, Flags]]:
    """Versions of hold rules that know how long a hold lasts, and the rows that they bind."""
    found = [
        (pack, rule)
        for pack, rule in table.packs.gating()
        if isinstance(rule, HoldRule) and any(isinstance(value, HoldLasts) and value.lasts for value in rule.values.values())
    ]
    for pack, rule in found:
        theirs = [pack.jurisdiction != HOUSE and attaches(pack, rule, profile, table.known) for profile in table.profiles]
        if not any(theirs):
            continue
        rows = table.of_profiles(theirs)
        concerned = table.concerns(rule.applies_to)
        rows = rows if concerned is None else rows & concerned
        local_day = table.moment.local_day
        versions: dict[HoldLasts, list[int]] = {}
        for day in np.unique(local_day).tolist():
            value = value_on(rule.values, EPOCH + timedelta(days=day))
            if isinstance(value, HoldLasts) and value.lasts is not None:
                versions.setdefault(value, []).append(day)
        for value, days in versions.items():
            yield rule, value, rows & np.isin(local_day, days)


def _fresh(table: Table) -> Constraint:
    """The payment feed's word is good until an instant; without a feed it never was."""
    fresh_until = table.borrowers["payments_fresh_until"].to_physical().fill_null(0).to_numpy()
    return Fixed(table.moment.at < np.append(fresh_until, 0)[table.borrower_places])


def _due(table: Table) -> Constraint:
    """Something undisputed is past due on a loan that the contact is about.

    A loan that is named and not among the facts owes nothing; a loan whose amount is not known may.
    """
    owes = (table.row_loans["due_minor"].fill_null(1) > 0) & table.row_loans["known"]
    named = table.row_loans["row"]
    return Fixed(table.with_rows(named.filter(owes)) | ~table.with_rows(named))


def _undisputed(table: Table) -> Constraint:
    return Fixed(~table.with_rows(table.row_loans["row"].filter(table.row_loans["disputed"].fill_null(False))))


def _running(table: Table) -> Constraint:
    """Operations have not stopped contact, at all or by this channel; not known = stopped."""
    channels = pl.DataFrame([table.of_borrower("paused_channels").alias("paused"), table.rows["channel"]])
    by_channel = channels.select(pl.col("paused").list.contains(pl.col("channel")).fill_null(False))["paused"]
    return Fixed(~(table.of_borrower("paused").fill_null(True) | by_channel).to_numpy())


_CONDITIONS = {"payments_stale": _fresh, "nothing_due": _due, "disputed": _undisputed, "paused": _running}
