"""From verdicts to the answers of `tideover rules check`, and from an answer to what differs from an expectation.

In:   facts, candidates, packs, as for decisions/rules.judge.
Out:  one answer a candidate (plain values, ready for JSON); a list of differences, field by field.
Pure: no I/O, no clock.
Source: CASES.md "tideover rules check".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from decisions.facts import Facts
from decisions.packs import HOUSE, Packs
from decisions.rule_forms import RuleBase
from decisions.rules import judge, untils
from decisions.rules.required import required


def answers(
    ids: Sequence[str], facts: Facts, candidates: pl.DataFrame, packs: Packs, *, bases: Collection[str] | None = None
) -> list[dict[str, Any]]:
    """Answer every case.

    Args:
        ids: n case ids.
        facts: About their borrowers.
        candidates: n rows, in the order of `ids`.
        packs: In force.
        bases: Look only at rules with one of these bases; None = all.

    Returns:
        n answers in that order, with the fields of CASES.md.
    """
    judged = judge(facts, candidates, packs, bases=bases)
    until = untils(facts, candidates, packs, bases=bases)
    wanted = required(facts, candidates, packs, bases=bases)
    people = {row["party_id"]: row for row in facts.borrowers.iter_rows(named=True)}
    rules = {rule.id: rule for _, rule in packs.gating()}
    found = []
    for case_id, verdict, ends, party_id, names in zip(
        ids, judged.iter_rows(named=True), until.iter_rows(named=True), candidates["party_id"].to_list(), wanted, strict=True
    ):
        person = people[party_id]
        told, because = _verdict(verdict)
        found.append(
            {
                "id": case_id,
                "verdict": told,
                "blocked_by": [_reason(rules[rule_id], person["creditor_role"], ends[rule_id]) for rule_id in because],
                "next_allowed_at": _text(verdict["next_allowed_at"]),
                "required": names,
                "zones": sorted([person["known_zone"]] if person["known_zone"] else person["zones"]),
                "packs": _attached(person["jurisdictions"], packs),
            }
        )
    return found


def answers_here(
    ids: Sequence[str], facts: Facts, candidates: pl.DataFrame, packs: Packs, *, live: bool, bases: Collection[str] | None = None
) -> list[tuple[dict[str, Any], list[str]]]:
    """Each case's answer, and the rules that would block it in live mode alone: where it rests on a clearance of the sandbox's.

    Args:
        ids: As `answers`.
        facts: Likewise.
        candidates: Likewise.
        packs: Of the files.
        live: Whether providers' words for the sandbox count for nothing.
        bases: As `answers`.
    """
    for_real = answers(ids, facts, candidates, packs.without_sandbox(), bases=bases)
    told = for_real if live else answers(ids, facts, candidates, packs, bases=bases)
    return [(answer, sorted(rules_of(real) - rules_of(answer))) for answer, real in zip(told, for_real, strict=True)]


def _verdict(judged: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The word, and the rules behind it: those that forbid, or, where none does, those that ask for a person."""
    if judged["blocked_by"]:
        return "blocked", judged["blocked_by"]
    return ("review", judged["asked_by"]) if judged["asked_by"] else ("allowed", [])


def _reason(rule: RuleBase, role: str | None, until: datetime | None) -> dict[str, Any]:
    source = rule.reference[0]
    return {
        "rule": rule.part_of or rule.id,
        **({"part": rule.id} if rule.part_of else {}),
        "kind": getattr(rule, "kind"),  # noqa: B009  # every rule of a pack has one; the base class does not say which
        "basis": rule.basis_for(role),
        "reference": " ".join(part for part in (source.title, source.section) if part),
        "until": _text(until),
    }


def _attached(jurisdictions: Sequence[str], packs: Packs) -> list[dict[str, str]]:
    attached = [pack for pack in packs.packs if pack.jurisdiction == HOUSE or pack.jurisdiction in jurisdictions]
    return [{"id": pack.jurisdiction, "version": pack.version} for pack in attached]


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")


def rules_of(answer: Mapping[str, Any]) -> set[str]:
    """Ids of the rules that stand against a contact, by its answer."""
    return {reason["rule"] for reason in answer["blocked_by"]}


def differences(answer: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """What an answer lacks of what was expected, one sentence a field; nothing where all is as expected."""
    found = []
    if expected.get("verdict") not in {None, answer["verdict"]}:
        named = ", ".join(reason["rule"] for reason in answer["blocked_by"]) or "no rule"
        found.append(f"verdict: {answer['verdict']} (by {named}), expected {expected['verdict']}")
    for field, key in (("kinds", "kind"), ("rules", "rule")):
        present = {reason[key] for reason in answer["blocked_by"]}
        if field == "rules":
            present |= {reason["part"] for reason in answer["blocked_by"] if "part" in reason}
        missing = [wanted for wanted in expected.get(field, ()) if wanted not in present]
        if missing:
            found.append(f"{field}: {', '.join(missing)} did not block; what did: {', '.join(sorted(present)) or 'nothing'}")
    if "next_allowed_at" in expected:
        wanted = _text(expected["next_allowed_at"])
        if answer["next_allowed_at"] != wanted:
            found.append(f"next_allowed_at: {answer['next_allowed_at']}, expected {wanted}")
    missing = [wanted for wanted in expected.get("required", ()) if wanted not in answer["required"]]
    if missing:
        found.append(f"required: {', '.join(missing)} is not asked for")
    return found
