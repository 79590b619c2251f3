"""Impact: which contacts of the last days another version of a rule pack would have forbidden, and which it would allow.

Each attempt is judged again at its own instant, by the facts as they were known to the gate then, once under each version;
all other packs are those of today. Attempts that passed the gate in one transaction are read together.

In:   two versions of one pack, a number of days.
Out:  an `Impact`: ids and counts.
Pure: no; reads the ledger, writes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from decisions.facts import CANDIDATES, Facts
from decisions.packs import HOUSE, Packs
from decisions.rules import judge
from ledger import clock
from ledger.engine import connection
from ledger.facts import read_facts
from ledger.pack_versions import Version
from ledger.submitted import read_submitted

# (done, of so many) attempts.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """What a change of law would have changed.

    Attributes:
        jurisdiction: Whose pack changed.
        before: Version, in full.
        after: Version, in full.
        since: Business instant from which on attempts were looked at.
        until: Business instant until which.
        attempts: How many were looked at.
        concerned: How many of them were to people under this pack.
        forbidden: Attempt id → rules that forbid it now (or ask for a person) and did not.
        allowed: Attempt id → rules that forbade it and do not any more.
    """

    jurisdiction: str
    before: str
    after: str
    since: datetime
    until: datetime
    attempts: int
    concerned: int
    forbidden: dict[int, list[str]]
    allowed: dict[int, list[str]]

    def by_rule(self, which: dict[int, list[str]]) -> dict[str, int]:
        """Attempts a rule; one that several rules speak of stands under each."""
        return dict(sorted(Counter(rule for rules in which.values() for rule in rules).items()))

    def as_json(self) -> dict[str, Any]:
        """Plain values: ids and counts only."""
        return {
            "jurisdiction": self.jurisdiction,
            "from": self.before,
            "to": self.after,
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "attempts": self.attempts,
            "concerned": self.concerned,
            "forbidden": [{"attempt_id": attempt, "rules": rules} for attempt, rules in self.forbidden.items()],
            "allowed": [{"attempt_id": attempt, "rules": rules} for attempt, rules in self.allowed.items()],
            "forbidden_by_rule": self.by_rule(self.forbidden),
            "allowed_by_rule": self.by_rule(self.allowed),
        }


def rule_impact(before: Version, after: Version, *, days: int, progress: Progress | None = None) -> Impact:
    """Judge the attempts of the last days under two versions of a pack.

    Args:
        before: The version that is compared.
        after: Another one of the same jurisdiction.
        days: How far back from now, on the one clock.
        progress: Told after each transaction of the gate.

    Raises:
        ValueError: The versions are of two jurisdictions, or no day is asked for.
    """
    if before.jurisdiction != after.jurisdiction:
        raise ValueError(f"{before.label} and {after.label} are packs of two jurisdictions")
    if days < 1:
        raise ValueError("at least one day")
    forbidden: dict[int, list[str]] = {}
    allowed: dict[int, list[str]] = {}
    done, concerned = 0, 0
    with connection() as tx:
        until = clock.now(tx)
        since = until - timedelta(days=days)
        # What was submitted at this very instant belongs to the last days too.
        attempts = read_submitted(tx, since=since, until=until + timedelta(microseconds=1))
        for _, group in attempts.group_by("known_at", "at", "business_date", maintain_order=True):
            facts = _known_then(tx, group)
            affected = _under(facts, group, after.jurisdiction)
            concerned += affected.height
            for attempt, was, now in _twice(facts, affected, before.packs, after.packs):
                if now and not was:
                    forbidden[attempt] = now
                elif was and not now:
                    allowed[attempt] = was
            done += group.height
            if progress is not None:
                progress(done, attempts.height)
    return Impact(
        jurisdiction=after.jurisdiction,
        before=before.pack.version,
        after=after.pack.version,
        since=since,
        until=until,
        attempts=attempts.height,
        concerned=concerned,
        forbidden=forbidden,
        allowed=allowed,
    )


def _known_then(tx: Any, group: pl.DataFrame) -> Facts:
    """The facts as the gate knew them, without the contacts that these attempts became."""
    facts = read_facts(
        tx,
        parties=group["party_id"].unique().to_list(),
        at=group["at"][0],
        business_date=group["business_date"][0],
        loans="now",
        known_at=group["known_at"][0],
    )
    history = facts.history.filter(~pl.col("event_id").is_in(group["event_id"].implode()))
    return Facts(**{**{name: getattr(facts, name) for name in facts.__slots__}, "history": history})


def _under(facts: Facts, group: pl.DataFrame, jurisdiction: str) -> pl.DataFrame:
    """Attempts to people whom the pack concerns."""
    if jurisdiction == HOUSE:
        return group
    people = facts.borrowers.filter(pl.col("jurisdictions").list.contains(jurisdiction))["party_id"]
    return group.filter(pl.col("party_id").is_in(people.implode()))


def _twice(facts: Facts, attempts: pl.DataFrame, before: Packs, after: Packs) -> list[tuple[int, list[str], list[str]]]:
    """(attempt, rules that forbade or asked before, and after) of each."""
    if attempts.is_empty():
        return []
    candidates = attempts.with_row_index("candidate").with_columns(pl.col("candidate").cast(pl.Int64), automated=pl.lit(True))
    found = [
        judge(facts, candidates.select(CANDIDATES.keys()), packs, when=False).select(
            rules=pl.concat_list("blocked_by", "asked_by").list.unique(maintain_order=True)
        )["rules"]
        for packs in (before, after)
    ]
    return list(zip(attempts["attempt_id"].to_list(), found[0].to_list(), found[1].to_list(), strict=True))
