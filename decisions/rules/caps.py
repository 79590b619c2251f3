"""Caps: at most so many contacts in a period, counted per person, debt, account, household or contact point.

A contact counts through the last local day of the rule's span, in the zone where that ends last. With `n` allowed and `n`
or more still counting, the row is free again when the n-th last of them stops to count.

In:   a rule; the table.
Out:  a constraint.
Pure: values only.
Source: 12 CFR 1006.14(b)(2)(i)(A), (b)(4); the pack of each jurisdiction.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from decisions.rule_forms import AtMost, CapRule, Counts
from decisions.rules.constraints import Constraint, Excused, Grants, NotBefore
from decisions.rules.events import consent_excuses, counted, whom
from decisions.rules.table import Table

# What is counted apart, beside the person.
_APART: Final = {"debt": ("debt",), "account": ("debt",), "contact_point": ("contact_point_id",)}


def constrain(rule: CapRule, value: AtMost, table: Table, *, among: pl.Series) -> Constraint:
    """Allowed, of the rows `among`, while fewer than the value's number of contacts count."""
    constraint = limited(rule.counts, value.at_most, table, among=among, consented_too=False)
    if not rule.consent_lifts or not constraint.binds():
        return constraint
    return Excused(constraint, Grants(table.consents.select("row", "since", "until")))


def limited(counts: Counts, at_most: int, table: Table, *, among: pl.Series, consented_too: bool) -> Constraint:
    """Free from the instant at which fewer than `at_most` of the counted contacts still count; for the rows `among` alone."""
    events = counted(counts, table, at_most, among=among, consented_too=consented_too)
    free_from = _free_from(counts, at_most, events, table)
    constraint = NotBefore(free_from)
    if counts.except_consented is None or table.facts.consents.is_empty() or not constraint.binds():
        return constraint
    excuses = consent_excuses(table, counts.except_consented)
    return constraint if excuses.entries.is_empty() else Excused(constraint, excuses)


def _free_from(counts: Counts, at_most: int, events: pl.DataFrame, table: Table) -> pl.Series:
    """Microseconds since 1970, a number a row; 0 = free."""
    nothing = table.nothing
    if events.is_empty():
        return nothing
    person = whom(counts)
    apart = _APART.get(counts.per, ())
    if not apart and not counts.other_channels_only:
        free = _nth_last(events, person, at_most)
        return table.rows.select(person).join(free, on=person, how="left", maintain_order="left")["until"].fill_null(0)
    key = [*person, *apart, *(["channel"] if counts.other_channels_only else [])]
    if counts.other_channels_only:
        # Of each channel only the last contact can matter: a cool-down waits for one.
        events = events.group_by(key).agg(pl.col("event").first(), pl.col("until").max())
    asked = _asked(key, events.select(person), table)
    held = asked.select(key).unique().join(events.select(*key, "event", "until"), on=person, suffix="_then").filter(_concerned(key))
    if at_most > 1 and "debt" in key and asked["debt"].null_count():
        # For a row that names no debt, a contact about several was one.
        held = held.unique([*key, "event"], keep="any")
    free = _nth_last(held, key, at_most)
    # A row about several debts waits for the last of them.
    latest = asked.join(free, on=key, nulls_equal=True).group_by("row").agg(pl.col("until").max())
    return nothing.clone().scatter(latest["row"], latest["until"])


def _asked(key: list[str], people: pl.DataFrame, table: Table) -> pl.DataFrame:
    """`row` and what it is counted by, of rows with anything to count: one a debt; a row that names no contact point has no cap on it."""
    columns = ["row", *(name for name in key if name != "debt")]
    rows = table.rows.select(columns).join(people, on=people.columns, how="semi")
    if "debt" in key:
        return rows.join(table.row_loans.select("row", "debt"), on="row", how="left")
    return rows.filter(pl.col("contact_point_id").is_not_null()) if "contact_point_id" in key else rows


def _concerned(key: list[str]) -> pl.Expr:
    """Whether a contact counts for a row; one that does not say at which point or about which debt it was counts for each."""
    found = pl.lit(True)
    for name in key:
        if name == "channel":
            found &= pl.col(name) != pl.col("channel_then")
        elif name in ("debt", "contact_point_id"):
            found &= pl.col(f"{name}_then").is_null() | pl.col(name).is_null() | (pl.col(name) == pl.col(f"{name}_then"))
    return found


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
