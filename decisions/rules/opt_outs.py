"""Opt-outs: the person said stop, to a channel, to one contact point, or to all.

In:   a rule; the table.
Out:  a constraint: forbidden from the instant of the opt-out until it ends.
Pure: values only.
Source: 12 CFR 1006.14(h); 47 CFR 64.1200(a)(10): at once, though the law would leave up to ten business days.
"""

from __future__ import annotations

from decisions.rule_forms import OptOutRule
from decisions.rules.constraints import Blocks, Spans
from decisions.rules.table import Table


def constrain(_rule: OptOutRule, _value: object, table: Table) -> Blocks:
    """Allowed while no opt-out covers the row's channel and contact point."""
    return Blocks(Spans.none() if table.facts.opt_outs.is_empty() else Spans.of(table.opt_outs))
