"""Whether a call that a person makes is recorded: only where the law of every place is known and allows it, and never in secret.

In:   the jurisdictions of whoever is called, the rule of each that is known.
Out:  `none`, `announce` (from the first word on, which says so) or `ask` (only after she has said yes), and whose rule that is.
Pure: values only.
Source: docs/adr/0057.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from decisions.jurisdictions import EU

COUNTRY: Final = 2
Way: TypeAlias = Literal["none", "announce", "ask"]
# The strictest first.
WAYS: Final[tuple[Way, ...]] = ("none", "ask", "announce")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRule:
    """What one jurisdiction says of recording a call.

    Attributes:
        jurisdiction: Of decisions/jurisdictions.py.
        way: What is allowed.
        by_region: Its parts have rules of their own: where the region is not known, nothing is.
    """

    jurisdiction: str
    way: Way
    by_region: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What is done in one call, and whose rule says so; None = nobody's is known."""

    way: Way
    jurisdiction: str | None


NOT_RECORDED: Final = Recording(way="none", jurisdiction=None)


def recording_of(jurisdictions: Sequence[str], rules: Mapping[str, RecordingRule]) -> Recording:
    """What is done in a call to a person.

    Args:
        jurisdictions: That attach to her, as `jurisdictions_where` finds them.
        rules: By jurisdiction.

    Returns:
        The strictest of all; nothing is recorded where a country, or a region that has a say, has no rule that is known.
    """
    needed = [code for code in jurisdictions if len(code) == COUNTRY and code != EU]
    for country in tuple(needed):
        rule = rules.get(country)
        if rule is not None and rule.by_region:
            # A country of many regions in which none is known is one about which nothing is known.
            needed += [code for code in jurisdictions if code.startswith(f"{country}-") and code.count("-") == 1] or [f"{country}-?"]
    if not needed or any(code not in rules for code in needed):
        return NOT_RECORDED
    strictest = min((rules[code] for code in jurisdictions if code in rules), key=lambda rule: WAYS.index(rule.way))
    return Recording(way=strictest.way, jurisdiction=strictest.jurisdiction)
