"""What was said, written again: the words of an attempt as the gate judged them, made of what was known then, and proved by their hash.

No text that was sent is kept. It follows from the attempt, the facts, the texts and the packs; only what has the hash that was committed
to before it was sent is shown as what was said.

In:   a connection; an attempt; facts and packs as they were.
Out:  title and body, or nothing.
Pure: no; reads the ledger and config/messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from config.message_files import message_texts
from config.rule_files import packs_of
from config.settings import settings
from decisions.facts import Facts
from decisions.packs import Packs
from decisions.rule_words import plainly
from decisions.strategy import STAGE_ORDER
from gate.account_reads import read_accounts
from gate.judgement import judge_again
from ledger import dossier
from ledger.campaigns import read_run
from ledger.facts import read_facts
from ledger.merkle import text_hash
from ledger.policies import jurisdiction_of

# What errors call the place of the packs that were in force.
KEPT: Final = Path("policy_version")
# Reading thirty packs takes a third of a second, and somebody waits for the page; they change every few weeks.
PACKS_KEPT_MAX: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """What was said to a person, and what allowed it; for her eyes.

    Attributes:
        title: Heading; empty where the channel has none, or the words cannot be written again.
        body: The text; None where it cannot.
        rules: Those that the permit names: id → its one sentence.
    """

    title: str = field(repr=False)
    body: str | None = field(repr=False)
    rules: Mapping[str, str]


def explained(tx: Connection, attempt_id: int) -> Explained:
    """What an attempt that left said, and the rules under which it did.

    Raises:
        UnknownAttemptError: The ledger has no such attempt.
        ConfigError: The rule packs that were in force cannot be read by this program.
    """
    attempt = dossier.read_attempt(tx, attempt_id)
    decision = dossier.read_decision_of(tx, attempt)
    packs = packs_then(dossier.read_policies(tx, list(read_run(tx, attempt["campaign_run_id"]).policy_hashes.values())))
    said = words_then(tx, attempt, facts_then(tx, attempt, decision), packs)
    rules = {one["rule"]: str(one["says"]) for one in rules_then(packs, attempt)}
    return Explained(title="" if said is None else said[0], body=None if said is None else said[1], rules=rules)


def packs_then(policies: list[dict[str, Any]]) -> Packs | None:
    """The rule packs among policies that were in force; None where there were none."""
    bodies = tuple(sorted((jurisdiction_of(policy["name"]), str(policy["body"])) for policy in policies if policy["kind"] == "rules"))
    return _packs(bodies) if bodies else None


@lru_cache(maxsize=PACKS_KEPT_MAX)
def _packs(bodies: tuple[tuple[str, str], ...]) -> Packs:
    return packs_of(dict(bodies), KEPT)


def facts_then(tx: Connection, attempt: Mapping[str, Any], decision: Mapping[str, Any]) -> Facts:
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


def rules_then(packs: Packs | None, attempt: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rules that the permit names, or that held the attempt back, as people read them, with their sources."""
    permit = attempt["permit"] or {}
    named = set(permit.get("rules") or permit.get("blocked_by") or ())
    if packs is None:
        return []
    return [plainly(pack, rule, attempt["business_date"]) for pack in packs.packs for rule in pack.rules if rule.id in named]


def words_then(tx: Connection, attempt: Mapping[str, Any], facts: Facts, packs: Packs | None) -> tuple[str, str] | None:
    """(title, body) of what was sent; None where nothing was, or where what can be written now is not it."""
    if attempt["text_hash"] is None or packs is None:
        return None
    planned = dossier.read_as_planned(tx, attempt["id"])
    issued = (attempt["permit"] or {}).get("issued_at")
    texts, known_at = message_texts(), datetime.fromisoformat(issued) if issued else None
    accounts = read_accounts(tx, facts, [planned], texts, business_date=attempt["business_date"], known_at=known_at)
    (judged,) = judge_again(
        facts,
        [planned],
        stage=attempt["stage"],
        packs=packs,
        texts=texts,
        at=attempt["submitted_at"],
        public_url=settings().public_url,
        accounts=accounts,
    )
    words = judged.words
    if words is None or text_hash(attempt["token"], title=words.title, body=words.in_full) != attempt["text_hash"]:
        return None
    return words.title, words.in_full
