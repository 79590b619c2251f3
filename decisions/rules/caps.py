"""Caps: at most so many contacts in a period, counted per person or per debt.

A contact counts through the last local day of the rule's span, in the zone where that ends last. With `n` allowed and `n`
or more still counting, the row is free again when the n-th last of them stops to count.

In:   a rule; the table.
Out:  a constraint.
Pure: values only.
Source: 12 CFR 1006.14(b)(2)(i)(A), (b)(4); the pack of each jurisdiction.
"""

from __future__ import annotations

import polars as pl

from decisions.packs import CapRule, Counts
from decisions.rules.constraints import Constraint, Excused, NotBefore
from decisions.rules.events import consent_excuses, counted
from decisions.rules.table import Table


def constrain(rule: CapRule, at_most: int, table: Table) -> Constraint:
    """Allowed while fewer than `at_most` contacts count."""
    return limited(rule.counts, at_most, table, consented_too=False)


def limited(counts: Counts, at_most: int, table: Table, *, consented_too: bool) -> Constraint:
    """Free from the instant at which fewer than `at_most` of the counted contacts still count."""
    events = counted(counts, table, at_most, consented_too=consented_too)
    free_from = _per_debt(events, at_most, table) if counts.per == "debt" else _per_person(events, at_most, table)
    constraint = NotBefore(free_from)
    if counts.except_consented is None or table.facts.consents.is_empty() or not constraint.binds():
        return constraint
    excuses = consent_excuses(table, counts.except_consented)
    return constraint if excuses.entries.is_empty() else Excused(constraint, excuses)


def _per_person(events: pl.DataFrame, at_most: int, table: Table) -> pl.Series:
    if events.is_empty():
        return pl.zeros(len(table.rows), dtype=pl.Int64, eager=True)
    free = _nth_last(events, ["party_id", "who"], at_most)
    keys = table.rows.select("party_id", "who")
    return keys.join(free, on=["party_id", "who"], how="left", maintain_order="left")["until"].fill_null(0)


def _per_debt(events: pl.DataFrame, at_most: int, table: Table) -> pl.Series:
    """Contacts that name no debt count for each; a row about several debts waits for the last of them."""
    nothing = pl.zeros(len(table.rows), dtype=pl.Int64, eager=True)
    if events.is_empty():
        return nothing
    rows = table.rows.select("row", "party_id", "who").join(events, on=["party_id", "who"], how="semi")
    asked = rows.join(table.row_loans.select("row", "debt"), on="row", how="left")
    pairs = asked.select("party_id", "who", "debt").unique()
    held = pairs.join(events.rename({"debt": "of_debt"}), on=["party_id", "who"])
    held = held.filter(pl.col("of_debt").is_null() | pl.col("debt").is_null() | (pl.col("of_debt") == pl.col("debt")))
    free = _nth_last(held, ["party_id", "who", "debt"], at_most)
    latest = asked.join(free, on=["party_id", "who", "debt"], how="inner", nulls_equal=True).group_by("row").agg(pl.col("until").max())
    return nothing.scatter(latest["row"], latest["until"])


def _nth_last(events: pl.DataFrame, key: list[str], nth: int) -> pl.DataFrame:
    """For each key with at least `nth` events: the `nth` largest `until`."""
    if nth == 1:
        return events.group_by(key).agg(pl.col("until").max())
    return (
        events.group_by(key)
        .agg(pl.len(), pl.col("until"))
        .filter(pl.col("len") >= nth)
        .with_columns(pl.col("until").list.sort(descending=True).list.get(nth - 1))
        .drop("len")
    )
