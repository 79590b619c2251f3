"""Cool-downs: quiet after a contact of some sort, such as a conversation, or one by another channel.

In:   a rule; the table.
Out:  a constraint: free when the last such contact stops to count.
Pure: values only.
Source: 12 CFR 1006.14(b)(2)(i)(B), (ii)(B) and comment (ii)-1.ii: the day of the conversation is the first of seven; the
      person's own calls count.
"""

from __future__ import annotations

from decisions.rule_forms import CooldownRule
from decisions.rules.caps import limited
from decisions.rules.constraints import Constraint, Flags
from decisions.rules.table import Table


def constrain(rule: CooldownRule, _: object, table: Table, *, among: Flags) -> Constraint:
    """Allowed, of the rows `among`, while none of the rule's contacts counts."""
    return limited(rule.counts, 1, table, among=among, consented_too=True)
