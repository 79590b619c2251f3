"""Parties: who may be contacted about a debt, for what purpose, and who may not be contacted at all.

In:   a rule; the table.
Out:  a constraint.
Pure: values only.
Source: 12 CFR 1006.6(a), (b)(2), (d)(1), 1006.10; the pack of each jurisdiction.
"""

from __future__ import annotations

import polars as pl

from decisions.rule_forms import PartyRule
from decisions.rules.constraints import Blocks, Constraint, Fixed, Flags, Spans, Together
from decisions.rules.table import Table


def constrain(rule: PartyRule, _: object, table: Table) -> Constraint:
    """Allowed for the parties and purposes that the rule names, unless a fact or a hold of the borrower's forbids it."""
    parts: list[Constraint] = []
    if rule.nobody:
        parts.append(Fixed(table.all_rows(value=False)))
    if rule.may:
        parts.append(Fixed(_may(rule, table)))
    if rule.forbids_facts:
        parts.append(Fixed(~table.any_fact(rule.forbids_facts)))
    if rule.forbids_holds:
        parts.append(Blocks(Spans.of(table.holds.filter(pl.col("kind").is_in(rule.forbids_holds)))))
    return parts[0] if len(parts) == 1 else Together(tuple(parts))


def _may(rule: PartyRule, table: Table) -> Flags:
    allowed = table.all_rows(value=False)
    for clause in rule.may:
        named = [
            profile.party in clause.parties and (clause.purposes is None or profile.purpose in clause.purposes)
            for profile in table.profiles
        ]
        covered = table.of_profiles(named)
        allowed = allowed | (covered & table.any_fact(clause.only_if) if clause.only_if else covered)
    return allowed
