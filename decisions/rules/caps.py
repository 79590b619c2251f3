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

import numpy as np
import polars as pl

from decisions.rule_forms import AtMost, CapRule, Counts
from decisions.rules.constraints import Constraint, Excused, Flags, Grants, Instants, NotBefore, Spans
from decisions.rules.events import consent_excuses, counted, still_counting, whom, with_whom
from decisions.rules.table import Table

# What is counted apart, beside the person.
_APART: Final = {"debt": ("debt",), "account": ("debt",), "contact_point": ("contact_point_id",)}


def constrain(rule: CapRule, value: AtMost, table: Table, *, among: Flags) -> Constraint:
    """Allowed, of the rows `among`, while fewer than the value's number of contacts count."""
    constraint = limited(rule.counts, value.at_most, table, among=among, consented_too=False)
    if not rule.consent_lifts or not constraint.binds():
        return constraint
    return Excused(constraint, Grants(Spans.of(table.consents)))


def limited(counts: Counts, at_most: int, table: Table, *, among: Flags, consented_too: bool) -> Constraint:
    """Free from the instant at which fewer than `at_most` of the counted contacts still count; for the rows `among` alone."""
    if counts.per not in _APART and not counts.other_channels_only and (counts.except_consented is None or consented_too):
        constraint = NotBefore(_of_people(counts, at_most, table, among))
    else:
        events = counted(counts, table, at_most, among=among, consented_too=consented_too)
        constraint = NotBefore(_free_from(counts, at_most, events, table))
    if counts.except_consented is None or table.facts.consents.is_empty() or not constraint.binds():
        return constraint
    excuses = consent_excuses(table, counts.except_consented)
    return Excused(constraint, excuses) if len(excuses.spans) else constraint


def _of_people(counts: Counts, at_most: int, table: Table, among: Flags) -> Instants:
    """`_free_from` where contacts are counted by person alone, whatever they were about."""
    nothing, log = np.zeros(len(table.rows), dtype=np.int64), table.log
    places, until = still_counting(counts, table, at_most, among=among)
    if not len(places):
        return nothing
    # By person, the last to end first: from the n-th of them on a person is free.
    person = with_whom(counts, log.party[places], log.who[places])
    order = np.lexsort((-until, person))
    person, until = person[order], until[order]
    starts = np.flatnonzero(np.append(True, person[1:] != person[:-1]))
    # Of each there are at least `at_most`.
    known, free = person[starts], until[starts + at_most - 1]
    own = with_whom(counts, table.rows["party_id"].to_numpy(), table.rows["who"].to_numpy())
    place = np.minimum(np.searchsorted(known, own), len(known) - 1)
    return np.where(known[place] == own, free[place], nothing)


def _free_from(counts: Counts, at_most: int, events: pl.DataFrame, table: Table) -> Instants:
    """Microseconds since 1970, a number a row; 0 = free."""
    nothing = np.zeros(len(table.rows), dtype=np.int64)
    if events.is_empty():
        return nothing
    person = whom(counts)
    apart = _APART.get(counts.per, ())
    if not apart and not counts.other_channels_only:
        free = _nth_last(events, person, at_most)
        return table.rows.select(person).join(free, on=person, how="left", maintain_order="left")["until"].fill_null(0).to_numpy()
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
    nothing[latest["row"].to_numpy()] = latest["until"].to_numpy()
    return nothing


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
