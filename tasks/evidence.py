"""Evidence of one attempt, gathered: facts as they were known, rules with their sources, moves, answers, proofs.

In:   an attempt's id; whether the words that were sent are wanted.
Out:  a `Dossier`: one JSON object, and the texts of the policies that it names.
Pure: no; reads the ledger and links the attempt's run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from config.message_files import message_texts
from config.rule_files import packs_of
from config.settings import settings
from decisions.explain import as_json
from decisions.facts import Facts
from decisions.packs import Packs
from decisions.rule_words import plainly
from decisions.strategy import STAGE_ORDER
from gate.accounts import read_accounts
from gate.judgement import judge_again
from ledger import dossier
from ledger.campaigns import read_flow_runs, read_run
from ledger.engine import connection
from ledger.facts import read_facts
from ledger.merkle import text_hash
from ledger.policies import jurisdiction_of

FORMAT: Final = "tideover-evidence-1"
# What errors call the place of the packs that were in force.
KEPT: Final = Path("policy_version")
OPENED_BY: Final = "--with-text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """Everything about one attempt.

    Attributes:
        told: JSON's types only; what people and verifiers read.
        bodies: Hash → text of each policy that was in force.
    """

    told: dict[str, Any]
    bodies: dict[str, str]


def gather(attempt_id: int, *, with_text: bool) -> Dossier:
    """Gather the evidence of an attempt.

    Args:
        attempt_id: Which.
        with_text: Also the words that were sent and the salt that opens their commitment, which is the token of the borrower's page.

    Raises:
        UnknownAttemptError: The ledger has no such attempt.
        ConfigError: The rule packs that were in force cannot be read by this program.
    """
    with connection() as tx:
        attempt = dossier.read_attempt(tx, attempt_id)
        decision = dossier.read_decision_of(tx, attempt)
        run = read_run(tx, attempt["campaign_run_id"])
        policies = dossier.read_policies(tx, list(run.policy_hashes.values()))
        packs = _packs(policies)
        facts = _facts(tx, attempt, decision)
        told = {
            "format": FORMAT,
            "attempt": {name: attempt[name] for name in dossier.ATTEMPT_COLUMNS},
            "decision": decision,
            "run": {
                "id": run.id,
                "stage": run.stage,
                "business_date": run.business_date,
                "policies": run.policy_hashes,
                "flow_runs": [settings().flow_run_address(one) or str(one) for one in read_flow_runs(tx, run.id)],
                "approvals": dossier.read_approvals(tx, attempt),
            },
            "transitions": dossier.read_transitions(tx, attempt),
            "contacts": dossier.read_contacts(tx, attempt),
            "answers": dossier.read_answers(tx, attempt),
            "facts": _as_rows(facts),
            "rules": _rules(packs, attempt),
            "policies": [{name: policy[name] for name in ("kind", "name", "hash")} for policy in policies],
            "text": _text(tx, attempt, facts, packs) if with_text else {"opened": False, "why_not": f"{OPENED_BY} opens it"},
            "proofs": dossier.proofs(tx, attempt),
        }
    return Dossier(told=as_json(told), bodies={policy["hash"]: policy["body"] for policy in policies})


def _packs(policies: list[dict[str, Any]]) -> Packs | None:
    bodies = {jurisdiction_of(policy["name"]): policy["body"] for policy in policies if policy["kind"] == "rules"}
    return packs_of(bodies, KEPT) if bodies else None


def _facts(tx: Connection, attempt: Mapping[str, Any], decision: Mapping[str, Any]) -> Facts:
    """As they were known under the gate's lock; of an attempt that never came so far, as they were known when it was planned."""
    permit = attempt["permit"] or {}
    issued = permit.get("issued_at")
    return read_facts(
        tx,
        parties=[attempt["party_id"]],
        at=attempt["submitted_at"] if issued else decision["decided_at"],
        business_date=attempt["business_date"],
        loans="now",
        known_at=datetime.fromisoformat(issued) if issued else decision["facts_known_at"],
        treated_by=STAGE_ORDER,
    )


def _as_rows(facts: Facts) -> dict[str, list[dict[str, Any]]]:
    return {one.name: getattr(facts, one.name).to_dicts() for one in fields(facts)}


def _rules(packs: Packs | None, attempt: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rules that the permit names, or that held the attempt back, as people read them, with their sources."""
    permit = attempt["permit"] or {}
    named = set(permit.get("rules") or permit.get("blocked_by") or ())
    if packs is None:
        return []
    return [plainly(pack, rule, attempt["business_date"]) for pack in packs.packs for rule in pack.rules if rule.id in named]


def _text(tx: Connection, attempt: Mapping[str, Any], facts: Facts, packs: Packs | None) -> dict[str, Any]:
    """The words, written again and compared with the hash of what was sent; only what is proved to be it is shown."""
    if attempt["text_hash"] is None or packs is None:
        return {"opened": False, "why_not": "nothing was sent"}
    planned = dossier.read_as_planned(tx, attempt["id"])
    at = attempt["submitted_at"]
    issued = (attempt["permit"] or {}).get("issued_at")
    texts, known_at = message_texts(), datetime.fromisoformat(issued) if issued else None
    accounts = read_accounts(tx, facts, [planned], texts, business_date=attempt["business_date"], known_at=known_at)
    (judged,) = judge_again(
        facts, [planned], stage=attempt["stage"], packs=packs, texts=texts, at=at, public_url=settings().public_url, accounts=accounts
    )
    token = attempt["token"]
    if judged.words is None or text_hash(token, title=judged.words.title, body=judged.words.in_full) != attempt["text_hash"]:
        why = "the text, the facts or the public address are not the ones of then any more: the words cannot be written again"
        return {"opened": False, "why_not": why}
    return {"opened": True, "title": judged.words.title, "body": judged.words.in_full, "salt": str(token)}
