"""A contact as an inspector reads it: the log's row, the rules that let it pass, the text, the proof. Nothing of it is written.

Personal words are left out: the text is shown as it was approved, with its gaps. Only who has the right to see a person reads what
was said to her.

In:   a contact's date and id.
Out:  a `Look`.
Pure: no; reads.
Source: docs/inspect.md; docs/adr/0063.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import Connection

from config.message_files import message_texts
from decisions.explain import as_json
from gate.written_again import Explained, explained, packs_then, rules_then
from ledger import dossier
from ledger.campaigns import read_run
from ledger.engine import connection
from ledger.inspections import Inspected, inspected


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a contact rests on.

    Attributes:
        found: Of the ledger.
        rules: Id → its one sentence; of a contact of ours, those of its permit.
        text: As it was approved, with its gaps; None = it is not ours, or not among the texts any more.
        said: What was said, for who may see the person.
    """

    found: Inspected
    rules: Mapping[str, str]
    text: str | None
    said: Explained | None = field(default=None, repr=False)

    def as_json(self) -> dict[str, Any]:
        """Plain values; never what was said."""
        told: dict[str, Any] = as_json(
            {
                "contact": self.found.event,
                "results": [{"at": at, "result": result} for at, result in self.found.results],
                "rules": dict(self.rules),
                "message": self.found.message,
                "text_with_gaps": self.text,
                "evidence": self.found.proof or "none: this contact is no gate's",
                "findings": list(self.found.findings),
            }
        )
        return told


def look_at(business_date: date, event_id: int) -> Look:
    """A contact and what it rests on, without anything personal.

    Raises:
        InspectionRefused: There is none.
        ConfigError: The rule packs of then cannot be read by this program.
    """
    with connection(read_only=True, archive=True) as tx:
        return look_in(tx, business_date, event_id, with_words=False)


def look_in(tx: Connection, business_date: date, event_id: int, *, with_words: bool) -> Look:
    """As `look_at`, in a transaction that notes the look; `with_words` also writes again what was said."""
    found = inspected(tx, business_date, event_id)
    if found.attempt_id is None:
        return Look(found=found, rules={}, text=None)
    attempt = dossier.read_attempt(tx, found.attempt_id)
    packs = packs_then(dossier.read_policies(tx, list(read_run(tx, attempt["campaign_run_id"]).policy_hashes.values())))
    # Of packs that nobody kept the ids alone are known.
    rules = dict.fromkeys((attempt["permit"] or {}).get("rules", ()), "") | {
        one["rule"]: str(one["says"]) for one in rules_then(packs, attempt)
    }
    return Look(found=found, rules=rules, text=_text(found), said=explained(tx, found.attempt_id) if with_words else None)


def _text(found: Inspected) -> str | None:
    if found.message is None or found.locale is None:
        return None
    text = message_texts().by_key.get((found.message, found.locale))
    if text is None or not text.says(found.event["channel"]):
        return None
    words = text.words[found.event["channel"]]
    return "\n".join(part for part in (words.title, words.body) if part)
