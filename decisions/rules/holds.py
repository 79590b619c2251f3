"""Holds: reasons not to contact, set by a person or an event, and conditions that work like one.

In:   a rule (which kinds of hold, which conditions, what may be said nevertheless); the table.
Out:  a constraint.
Pure: values only.
Source: 12 CFR 1006.6(c), 1006.38; DOMAIN.md "hold"; ARCHITECTURE.md I4, I11; the pack of each jurisdiction.
"""

from __future__ import annotations

import polars as pl

from decisions.packs import HoldRule
from decisions.rules.constraints import Blocks, Constraint, Fixed, Together
from decisions.rules.table import Table


def constrain(rule: HoldRule, table: Table) -> Constraint:
    """Allowed while none of the rule's holds is on and none of its conditions is met."""
    parts: list[Constraint] = [_CONDITIONS[condition](table) for condition in rule.conditions]
    if rule.holds:
        parts.append(Blocks(_covering(rule, table)))
    return parts[0] if len(parts) == 1 else Together(tuple(parts))


def _covering(rule: HoldRule, table: Table) -> pl.DataFrame:
    holds = table.holds
    if rule.holds != "all":
        holds = holds.filter(pl.col("kind").is_in(rule.holds))
    if rule.lets_through and not holds.is_empty():
        holds = holds.join(table.rows.select("row", "purpose", "counterparty"), on="row", how="left", maintain_order="left")
        for kind, through in rule.lets_through.items():
            passes = pl.col("purpose").is_in(through.purposes) | pl.col("counterparty").is_in(through.parties)
            holds = holds.filter((pl.col("kind") != kind) | passes.not_())
    return holds.select("row", "since", "until")


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
