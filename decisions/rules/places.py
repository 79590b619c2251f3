"""Places: where a person may be reached by what is bound to a place.

In:   a rule (places forbidden, or the only ones allowed); the table.
Out:  a constraint.
Pure: values only.
Source: the pack of each jurisdiction (TH-PLACE, ID-POJK22-PLACE, JP-21-WORK, CO-2300-1CH).
"""

from __future__ import annotations

import polars as pl

from decisions.rule_forms import PlaceRule
from decisions.rules.constraints import Constraint, Excused, Fixed, Grants, Spans
from decisions.rules.table import Table


def constrain(rule: PlaceRule, _: object, table: Table) -> Constraint:
    """Allowed where the person is reached at none of the forbidden places, or at one of the only ones; not known = not allowed there."""
    location = table.rows["location"]
    elsewhere = ~location.is_in(rule.forbids).fill_null(False)
    constraint = Fixed((elsewhere if rule.only is None else location.is_in(rule.only).fill_null(False)).to_numpy())
    if not rule.consent_lifts or not constraint.binds():
        return constraint
    return Excused(constraint, Grants(Spans.of(table.consents.filter(pl.col("given_to").is_not_null()))))
