"""Evidence of one attempt, gathered: facts as they were known, rules with their sources, moves, answers, proofs.

In:   an attempt's id; whether the words that were sent are wanted.
Out:  a `Dossier`: one JSON object, and the texts of the policies that it names.
Pure: no; reads the ledger and links the attempt's run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from sqlalchemy import Connection

from config.settings import settings
from decisions.explain import as_json
from decisions.facts import Facts
from decisions.packs import Packs
from gate.written_again import facts_then, packs_then, rules_then, words_then
from ledger import dossier
from ledger.campaigns import read_flow_runs, read_run
from ledger.engine import connection

FORMAT: Final = "tideover-evidence-1"
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
    with connection(archive=True) as tx:
        attempt = dossier.read_attempt(tx, attempt_id)
        decision = dossier.read_decision_of(tx, attempt)
        run = read_run(tx, attempt["campaign_run_id"])
        policies = dossier.read_policies(tx, list(run.policy_hashes.values()))
        packs = packs_then(policies)
        facts = facts_then(tx, attempt, decision)
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
            "rules": rules_then(packs, attempt),
            "policies": [{name: policy[name] for name in ("kind", "name", "hash")} for policy in policies],
            "text": _text(tx, attempt, facts, packs) if with_text else {"opened": False, "why_not": f"{OPENED_BY} opens it"},
            "proofs": dossier.proofs(tx, attempt),
        }
    return Dossier(told=as_json(told), bodies={policy["hash"]: policy["body"] for policy in policies})


def _as_rows(facts: Facts) -> dict[str, list[dict[str, Any]]]:
    return {one.name: getattr(facts, one.name).to_dicts() for one in fields(facts)}


def _text(tx: Connection, attempt: Mapping[str, Any], facts: Facts, packs: Packs | None) -> dict[str, Any]:
    """The words, written again and compared with the hash of what was sent; only what is proved to be it is shown."""
    if attempt["text_hash"] is None or packs is None:
        return {"opened": False, "why_not": "nothing was sent"}
    said = words_then(tx, attempt, facts, packs)
    if said is None:
        why = "the text, the facts or the public address are not the ones of then any more: the words cannot be written again"
        return {"opened": False, "why_not": why}
    return {"opened": True, "title": said[0], "body": said[1], "salt": str(attempt["token"])}
