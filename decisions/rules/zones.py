"""Nobody is contacted whose place, or whose law, is not known.

In:   a rule; the table; the jurisdictions that have a pack.
Out:  a constraint.
Pure: values only.
Source: ARCHITECTURE.md I11 (deny by default).
"""

from __future__ import annotations

import polars as pl

from decisions.packs import ZoneRule
from decisions.rules.constraints import Fixed
from decisions.rules.table import Table


def constrain(rule: ZoneRule, table: Table, jurisdictions: frozenset[str]) -> Fixed:
    """Allowed where the borrower has a zone, or a jurisdiction with a pack."""
    if rule.condition == "unknown_zone":
        return Fixed(~table.zoneless)
    known = [not profile.jurisdictions.isdisjoint(jurisdictions) for profile in table.profiles]
    return Fixed(pl.Series(known, dtype=pl.Boolean).gather(table.profile))
