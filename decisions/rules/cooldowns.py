"""Cool-downs: quiet after a contact of some sort, such as a conversation.

In:   a rule; the table.
Out:  a constraint: free when the last such contact stops to count.
Pure: values only.
Source: 12 CFR 1006.14(b)(2)(i)(B), (ii)(B) and comment (ii)-1.ii: the day of the conversation is the first of seven; the
      person's own calls count.
"""

from __future__ import annotations

from decisions.packs import CooldownRule
from decisions.rules.caps import limited
from decisions.rules.constraints import Constraint
from decisions.rules.table import Table


def constrain(rule: CooldownRule, table: Table) -> Constraint:
    """Allowed while none of the rule's contacts counts."""
    return limited(rule.counts, 1, table, consented_too=True)
