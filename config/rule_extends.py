"""`extends`: a rule that takes what it leaves out from another rule, and may only tighten it.

In:   the documents of all packs; then the packs made of them.
Out:  plain values with every `extends` filled in; an error where one leads nowhere, in a circle, or loosens.
Pure: values only; nothing is read here.
Source: decisions/rule_forms.RuleBase.extends; decisions/rule_diff.loosened says what only tightens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from config.load import ConfigError, Document
from decisions.packs import Pack
from decisions.rule_diff import loosened

# What a rule says of itself alone.
OWN: Final = frozenset({"id", "extends", "says", "reference", "reviewed_by", "unverified"})


@dataclass(frozen=True, slots=True)
class _Found:
    """A rule as its file has it."""

    document: Document
    number: int
    fields: dict[str, Any]

    def error(self, reason: str) -> ConfigError:
        return self.document.error(["rules", self.number, "extends"], reason)


def extended(documents: Sequence[Document]) -> list[tuple[Document, Any]]:
    """Each document with its plain values, in which rules hold what they take from those that they extend.

    What is not of the form of a pack is handed on as it is: its form is checked afterwards.

    Raises:
        ConfigError: A rule extends one that no pack has, one of another kind, or itself by a detour.
    """
    found = {one.fields["id"]: one for document in documents for one in _rules(document)}
    filled = []
    for document in documents:
        plain = document.plain
        own = {one.number: _filled(one, found, ()) for one in _rules(document) if one.fields.get("extends") is not None}
        if own:
            plain = plain | {"rules": [own.get(number, rule) for number, rule in enumerate(plain["rules"])]}
        filled.append((document, plain))
    return filled


def _rules(document: Document) -> list[_Found]:
    plain = document.plain
    rules = plain.get("rules") if isinstance(plain, dict) else None
    if not isinstance(rules, list):
        return []
    return [
        _Found(document, number, rule) for number, rule in enumerate(rules) if isinstance(rule, dict) and isinstance(rule.get("id"), str)
    ]


def _filled(one: _Found, found: dict[str, _Found], behind: tuple[str, ...]) -> dict[str, Any]:
    """A rule's fields with those that it takes from the rule it extends, which may extend another one in turn."""
    parent_id = one.fields.get("extends")
    if parent_id is None:
        return one.fields
    way = (*behind, one.fields["id"])
    parent = found.get(parent_id) if isinstance(parent_id, str) else None
    if parent is None:
        raise one.error("no pack has a rule with this id")
    if parent_id in way:
        raise one.error(f"goes round in a circle: {' → '.join((*way, parent_id))}")
    taken = {name: value for name, value in _filled(parent, found, way).items() if name not in OWN}
    if one.fields.get("kind", taken.get("kind")) != taken.get("kind"):
        raise one.error(f"{parent_id} is of another kind: {taken.get('kind')}")
    return {**taken, **one.fields}


def refuse_loosening(documents: Sequence[Document], packs: Sequence[Pack]) -> None:
    """Refuse a rule that allows anything that the one it extends forbids.

    Args:
        documents: One a pack, in the packs' order.
        packs: With every `extends` filled in.

    Raises:
        ConfigError: With file, line, rule, and every field that loosens or cannot be compared.
    """
    rules = {rule.id: rule for pack in packs for rule in pack.rules}
    for document, pack in zip(documents, packs, strict=True):
        for number, rule in enumerate(pack.rules):
            reasons = [] if rule.extends is None else loosened(rule, rules[rule.extends])
            if reasons:
                raise document.error(["rules", number], f"extends may only tighten; {'; '.join(reasons)}")
