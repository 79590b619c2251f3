"""A person's export with the words of what was said to her and of the rules that allowed it: what her page and the desk hand out.

In:   a connection; a party's id.
Out:  `ledger.person_export.everything_of`, messages with their words, rules with their sentences.
Pure: no; reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from config.load import ConfigError
from gate.written_again import explained
from ledger.law import law_in_force
from ledger.person_export import everything_of, rules_named


def everything_in_words(tx: Connection, party_id: int) -> dict[str, Any]:
    """All that is kept of a person, as she can read it.

    Raises:
        MissingKeyError: A value was encrypted with a key that is gone.
    """

    def said(attempt_id: int) -> tuple[str, str] | None:
        try:
            found = explained(tx, attempt_id)
        except ConfigError:
            # Packs of long ago that this program cannot read: the message stands without its words.
            return None
        return None if found.body is None else (found.title, found.body)

    everything = everything_of(tx, party_id, said=said)
    return {**everything, "rules": _sentences(tx, rules_named(everything))}


def _sentences(tx: Connection, named: Iterable[str]) -> dict[str, str]:
    """What rules say, by id; of one that is no more, nothing."""
    wanted = frozenset(named)
    return {rule.id: rule.says for pack in law_in_force(tx).packs.packs for rule in pack.rules if rule.id in wanted}
