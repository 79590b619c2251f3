"""Nobody is contacted whose place, or whose law, is not known.

In:   a rule; the table.
Out:  a constraint.
Pure: values only.
Source: ARCHITECTURE.md I11 (deny by default).
"""

from __future__ import annotations

from decisions.jurisdictions import COUNTRY, EU, EU_COUNTRIES
from decisions.packs import HOUSE
from decisions.rule_forms import ZoneRule
from decisions.rules.constraints import Fixed
from decisions.rules.table import Table


def constrain(rule: ZoneRule, _: object, table: Table) -> Fixed:
    """Allowed where the borrower has a zone, no country whose law has no pack, or only approved packs."""
    if rule.condition == "unknown_zone":
        return Fixed(~table.zoneless)
    packs = table.packs
    if rule.condition == "unknown_jurisdiction":
        known = [_known(profile.jurisdictions, packs.jurisdictions) for profile in table.profiles]
    else:
        known = [packs.unapproved.isdisjoint({HOUSE, *profile.jurisdictions}) for profile in table.profiles]
    return Fixed(table.of_profiles(known))


def _known(attached: frozenset[str], with_pack: frozenset[str]) -> bool:
    """Whether the law of every country that attaches is known: by its own pack, or by the layer of the union it belongs to."""
    countries = {one for one in attached if len(one) == COUNTRY and one != EU}
    layered = EU_COUNTRIES if EU in with_pack else frozenset()
    return countries <= with_pack | layered and not attached.isdisjoint(with_pack)
