"""Parties: who may be contacted about a debt, for what purpose, and who may not be contacted at all.

In:   a rule; the table.
Out:  a constraint.
Pure: values only.
Source: 12 CFR 1006.6(a), (b)(2), (d)(1), 1006.10; the pack of each jurisdiction.
"""

from __future__ import annotations

import polars as pl

from decisions.packs import PartyRule
from decisions.rules.constraints import Blocks, Constraint, Fixed, Together
from decisions.rules.table import Table


def constrain(rule: PartyRule, table: Table) -> Constraint:
    """Allowed for the parties and purposes that the rule names, unless a fact or a hold of the borrower's forbids it."""
    parts: list[Constraint] = []
    if rule.may:
        parts.append(Fixed(_may(rule, table)))
    if rule.forbids_facts:
        parts.append(Fixed(~_any_fact(table, rule.forbids_facts)))
    if rule.forbids_holds:
        parts.append(Blocks(table.holds.filter(pl.col("kind").is_in(rule.forbids_holds)).select("row", "since", "until")))
    return parts[0] if len(parts) == 1 else Together(tuple(parts))


def _may(rule: PartyRule, table: Table) -> pl.Series:
    allowed = pl.repeat(False, len(table.rows), dtype=pl.Boolean, eager=True)
    for clause in rule.may:
        named = [
            profile.party in clause.parties and (clause.purposes is None or profile.purpose in clause.purposes)
            for profile in table.profiles
        ]
        covered = pl.Series(named, dtype=pl.Boolean).gather(table.profile)
        allowed = allowed | (covered & _any_fact(table, clause.only_if) if clause.only_if else covered)
    return allowed


def _any_fact(table: Table, facts: tuple[str, ...]) -> pl.Series:
    """Rows whose borrower has one of `facts`."""
    known = table.borrowers.select(pl.col("facts").list.eval(pl.element().is_in(facts)).list.any().fill_null(False))["facts"]
    return known.gather(table.rows["borrower"]).fill_null(False)
