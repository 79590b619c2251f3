"""Which rules look at which contacts: decided once for each profile, not for each row.

In:   a rule, its pack, a profile.
Out:  yes or no.
Pure: values only.
Source: CASES.md `--basis`; ARCHITECTURE.md "One borrower through one stage" (jurisdictions stack).
"""

from __future__ import annotations

from collections.abc import Collection

from decisions.packs import HOUSE, Pack
from decisions.rule_forms import RuleBase
from decisions.rules.table import Profile


def attaches(pack: Pack, rule: RuleBase, profile: Profile, known: frozenset[str]) -> bool:
    """Whether a rule is law for the person and the creditor of a profile, whatever the contact.

    Args:
        pack: The rule's.
        rule: Any.
        profile: Of the contacts.
        known: Jurisdictions that have a pack.
    """
    layer = rule.applies_to.layer_alone
    return (
        (pack.jurisdiction == HOUSE or pack.jurisdiction in profile.jurisdictions)
        and (layer is None or (layer in profile.jurisdictions and known.isdisjoint(profile.jurisdictions - {layer})))
        and rule.basis_for(profile.role) is not None
    )


def looks(pack: Pack, rule: RuleBase, profile: Profile, known: frozenset[str], bases: Collection[str] | None) -> bool:
    """Whether a rule looks at contacts of a profile, whatever the persons and their loans.

    Args:
        pack: As for `attaches`.
        rule: As for `attaches`.
        profile: As for `attaches`.
        known: As for `attaches`.
        bases: Only rules with one of these bases count; None = all.
    """
    return (
        rule.applies_to.covers(
            channel=profile.channel, purpose=profile.purpose, party=profile.party, automated=profile.automated, place=profile.place
        )
        and attaches(pack, rule, profile, known)
        and (bases is None or rule.basis_for(profile.role) in bases)
    )
