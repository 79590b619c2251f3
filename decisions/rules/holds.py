"""Holds: reasons not to contact, set by a person or an event, and conditions that work like one.

In:   a rule (which kinds of hold, which conditions, what may be said nevertheless, when the law ends a hold); the table.
Out:  a constraint.
Pure: values only.
Source: 12 CFR 1006.6(c), 1006.38; DOMAIN.md "hold"; ARCHITECTURE.md I4, I11; the pack of each jurisdiction.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import polars as pl

from decisions.packs import HOUSE
from decisions.rule_forms import HoldLasts, HoldRule, Period, value_on
from decisions.rules.applies import attaches
from decisions.rules.constraints import Blocks, Constraint, Fixed, Together, later
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
        parts.append(Blocks(holds.select("row", "since", "until")))
    return parts[0] if len(parts) == 1 else Together(tuple(parts))


def _covering(rule: HoldRule, table: Table) -> pl.DataFrame:
    """`row`, `kind`, `since`, `until`: holds that the rule does not let the row's contact through."""
    holds = table.holds
    if rule.holds != "all":
        holds = holds.filter(pl.col("kind").is_in(rule.holds))
    if rule.lets_through and not holds.is_empty():
        holds = holds.join(table.rows.select("row", "purpose", "counterparty"), on="row", how="left", maintain_order="left")
        through = pl.any_horizontal(
            (pl.col("kind") == kind) & (pl.col("purpose").is_in(one.purposes) | pl.col("counterparty").is_in(one.parties))
            for kind, one in rule.lets_through.items()
        )
        holds = holds.filter(through.not_())
    return holds.select("row", "kind", "since", "until")


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
    return span_ends(holds[column], table.rows["zones_number"].gather(holds["row"]), table.zone_places, period)


def _ended_by_law(holds: pl.DataFrame, table: Table) -> pl.DataFrame:
    """The holds; those without an end of their own end with the last law of the person's place that gives them one.

    The law in force on each row's local date decides, whatever the contact: a hold that is over is over for every purpose.
    """
    endless = holds["until"] == NEVER_US
    if not endless.any():
        return holds
    ends = pl.repeat(ALWAYS_US, len(holds), dtype=pl.Int64, eager=True)
    for rule, value, rows in _laws(table):
        ended = endless & rows.gather(holds["row"])
        if rule.holds != "all":
            ended = ended & holds["kind"].is_in(rule.holds)
        which = ended.arg_true()
        law_ends = _ended_by(value, holds[which], table)["until"]
        ends = ends.scatter(which, later(ends.gather(which), law_ends))
    return holds.with_columns(until=ends.zip_with(ends > ALWAYS_US, holds["until"]))


def _laws(table: Table) -> Iterator[tuple[HoldRule, HoldLasts, pl.Series]]:
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
        for day in local_day.unique().to_list():
            value = value_on(rule.values, EPOCH + timedelta(days=day))
            if isinstance(value, HoldLasts) and value.lasts is not None:
                versions.setdefault(value, []).append(day)
        for value, days in versions.items():
            yield rule, value, rows & local_day.is_in(days)


def _fresh(table: Table) -> Constraint:
    """The payment feed's word is good until an instant; without a feed it never was."""
    fresh_until = table.of_borrower("payments_fresh_until").to_physical().fill_null(0)
    return Fixed(table.moment.at < fresh_until)


def _due(table: Table) -> Constraint:
    """Something undisputed is past due on a loan that the contact is about.

    A loan that is named and not among the facts owes nothing; a loan whose amount is not known may.
    """
    owes = (table.row_loans["due_minor"].fill_null(1) > 0) & table.row_loans["known"]
    named = pl.repeat(False, len(table.rows), dtype=pl.Boolean, eager=True).scatter(table.row_loans["row"], True)
    owing = pl.repeat(False, len(table.rows), dtype=pl.Boolean, eager=True).scatter(table.row_loans["row"].filter(owes), True)
    return Fixed(owing | ~named)


def _undisputed(table: Table) -> Constraint:
    disputed = table.row_loans["row"].filter(table.row_loans["disputed"].fill_null(False))
    return Fixed(pl.repeat(True, len(table.rows), dtype=pl.Boolean, eager=True).scatter(disputed, False))


def _running(table: Table) -> Constraint:
    """Operations have not stopped contact, at all or by this channel; not known = stopped."""
    channels = pl.DataFrame([table.of_borrower("paused_channels").alias("paused"), table.rows["channel"]])
    by_channel = channels.select(pl.col("paused").list.contains(pl.col("channel")).fill_null(False))["paused"]
    return Fixed(~(table.of_borrower("paused").fill_null(True) | by_channel))


_CONDITIONS = {"payments_stale": _fresh, "nothing_due": _due, "disputed": _undisputed, "paused": _running}
