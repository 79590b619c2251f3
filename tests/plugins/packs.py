"""Rule packs made for one test: the house with the rules that the test gives, and a country's."""

from __future__ import annotations

from typing import Any

from decisions.packs import Pack, Packs

Rule = dict[str, Any]


def rule(rule_id: str, kind: str, **fields: Any) -> Rule:
    """A rule in force since 2020 that looks at every contact, with the fields a test gives."""
    return {
        "id": rule_id,
        "says": "A rule made for a test.",
        "kind": kind,
        "values": {"2020-01-01": {}},
        "reason": "test",
        "basis": "law",
        "reference": [{"title": "A test", "read_on": "2026-03-01"}],
        "confidence": "V1",
        "reviewed_by": None,
        **fields,
    }


def pack(jurisdiction: str, *rules: Rule, **fields: Any) -> Pack:
    """A pack of some rules; its version is its jurisdiction's name."""
    whole = {
        "jurisdiction": jurisdiction,
        "title": "Rules of a test",
        "owner": "test",
        "status": "ready",
        "reviewed_on": "2026-03-01",
        "rules": list(rules) or [rule(f"{jurisdiction.upper()}-DUTY", "duty")],
        "version": jurisdiction,
        **fields,
    }
    return Pack.model_validate(whole)


def packs_of(*rules: Rule, jurisdiction: str = "US", **fields: Any) -> Packs:
    """The law of one country, and a house without rules of its own that gate."""
    return Packs.model_validate({"packs": (pack(jurisdiction, *rules), pack("house")), **fields})
