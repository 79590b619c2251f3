"""The auditor: asks, in SQL of its own, whether every message was allowed, and whether the rows bear out what is promised.

It starts from what the outside world says was sent or received, and from what the ledger says was let go; it recomputes the
rules without calling them: if planning and gate share a mistake, this can still see it (docs/adr/0003).

In:   a period, what providers list, the limits in force.
Out:  an `Audited`: violations by invariant, and what is open.
Pure: no; reads the ledger, writes only temporary tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from config.audit_limits import Limits
from decisions.words import GATEWAY
from ledger import audit_ledger, audit_messages, evidence, evidence_heads
from ledger.audit_check import INVARIANTS, Violation
from ledger.audit_messages import Received
from ledger.tables import STAGES

__all__ = ["Audited", "Received", "Violation", "audit", "find_violations"]

# The evidence is what proves decisions later (I8); a move or a contact that was rewritten breaks what I3 says is stored.
EVIDENCE = "evidence_does_not_match"
NAMED_MAX = 1_000
HEAD_NOT_KEPT = "a_head_is_not_kept_outside"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """What an audit found.

    Attributes:
        first: First business date.
        last: Last one.
        violations: In the order of the checks.
        unknown: Attempts of the period whose fate is not known.
        parked: Attempts that were given to a person.
        attempts: How many the period has.
        listed: Channel → messages that a provider (or the sandbox) was asked for and named; a channel that is not here could not be asked.
        not_proved: (rule, why it was not proved again).
        warnings: What is no violation, and must be seen to.
    """

    first: date
    last: date
    violations: tuple[Violation, ...]
    unknown: int
    parked: int
    attempts: int
    listed: dict[str, int]
    not_proved: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...] = field(default=())

    @property
    def invariants(self) -> dict[str, str]:
        """I1 to I12 → held or broken."""
        broken = {violation.invariant for violation in self.violations}
        return {name: "broken" if name in broken else "held" for name in INVARIANTS}

    @property
    def found(self) -> dict[str, int]:
        """Invariant and check → how many violations."""
        return dict(Counter(f"{violation.invariant} {violation.check}" for violation in self.violations))

    def as_json(self) -> dict[str, Any]:
        """Counts first, as CASES.md names them; violations are counted by check, and the first of them are named."""
        return {
            "violations": len(self.violations),
            "unknown": self.unknown,
            "parked": self.parked,
            "invariants": self.invariants,
            "from": self.first.isoformat(),
            "to": self.last.isoformat(),
            "attempts": self.attempts,
            "listed": self.listed,
            "found": self.found,
            "named": [asdict(violation) for violation in self.violations[:NAMED_MAX]],
            "warnings": list(self.warnings),
            "not_proved": dict(self.not_proved),
            "beyond_sql": audit_ledger.BEYOND_SQL,
        }


def find_violations(connection: Connection, received: Iterable[Received], limits: Limits) -> list[Violation]:
    """Every message of an outsider's record that a check forbids, a message once for each check.

    Args:
        connection: Of the ledger; temporary tables end with its transaction.
        received: What reached people.
        limits: From the packs in force.

    Returns:
        Violations in the order of the checks; empty when every message was allowed.
    """
    audit_messages.load(connection, received, limits, None)
    return _found(connection, audit_messages.CHECKS, {})


def audit(
    connection: Connection,
    *,
    period: tuple[date, date],
    listed: dict[str, Sequence[Received]],
    complete: Iterable[str],
    limits: Limits,
    live: bool,
) -> Audited:
    """Prove the invariants again over a period.

    Args:
        connection: Of the ledger, with a transaction of its own; temporary tables end with it.
        period: First and last business date, both included.
        listed: Channel → what its provider (or the sandbox's record) says was sent; a channel that could not be asked is left out.
        complete: Channels of which `listed` names everything of the period, so that what is missing from it was not sent.
        limits: From the packs in force in the period.
        live: Whether this is live mode.

    Returns:
        What was found. What is in the evidence is read as it stands: the caller has linked it.
    """
    first, last = period
    audit_messages.load(connection, [one for some in listed.values() for one in some], limits, period)
    values = {"first": first, "last": last, "live": live}
    found = _found(connection, [*audit_messages.CHECKS, *audit_ledger.CHECKS], values)
    for channel in sorted(set(complete)):
        rows = connection.execute(text(audit_ledger.NOT_LISTED), {"first": first, "last": last, "channel": channel}).mappings()
        found += [Violation(check="called_sent_but_not_listed", invariant="I2", **row) for row in rows]
    evidenced, warnings = _evidence(connection, first, last)
    open_ones = connection.execute(text(audit_ledger.OPEN), {"first": first, "last": last}).one()
    return Audited(
        first=first,
        last=last,
        violations=tuple(found + evidenced),
        unknown=open_ones.unknown,
        parked=open_ones.parked,
        attempts=connection.execute(_ATTEMPTS, {"first": first, "last": last}).scalar_one(),
        listed={channel: len(some) for channel, some in sorted(listed.items())},
        not_proved=limits.not_proved,
        warnings=tuple(warnings),
    )


def seal(connection: Connection, first: date, last: date) -> list[evidence_heads.Head]:
    """Link what the runs of a period have written since the last time; returns their heads, which the caller keeps after the commit."""
    heads = []
    for run in connection.execute(_RUNS, {"first": first, "last": last}):
        sealed = evidence.seal_run(connection, run.id)
        if sealed is not None:
            heads.append(evidence_heads.head_of(run.business_date, run.id, *sealed))
    return heads


def _found(connection: Connection, checks: Iterable[Any], values: dict[str, Any]) -> list[Violation]:
    found = []
    for check in checks:
        rows = connection.execute(text(check.sql), {name: value for name, value in values.items() if f":{name}" in check.sql}).mappings()
        found += [Violation(check=check.name, invariant=check.invariant, **row) for row in rows]
    return found


def _evidence(connection: Connection, first: date, last: date) -> tuple[list[Violation], list[str]]:
    """Rows against roots, roots against links, links against what was kept outside."""
    wrong, warnings = [], []
    chains: dict[date, dict[int, Sequence[evidence.Batch]]] = {}
    for run in connection.execute(_RUNS, {"first": first, "last": last}).all():
        wrong += evidence.mismatches(connection, run.id)
        chains.setdefault(run.business_date, {})[run.id] = evidence.chain(connection, run.id)
    # Every day, also one of which the ledger knows no run any more.
    for day in (first + timedelta(days=number) for number in range((last - first).days + 1)):
        runs = chains.get(day, {})
        try:
            kept = {(head.campaign_run_id, head.links) for head in evidence_heads.read_heads(day.isoformat())}
            wrong += evidence_heads.contradictions(day, runs)
        except OSError as error:
            warnings.append(f"the heads of {day.isoformat()} cannot be read: {error.strerror}")
            continue
        missing = [run for run, batches in runs.items() if batches and (run, len(batches)) not in kept]
        warnings += [f"{HEAD_NOT_KEPT}: run {run}" for run in missing]
    named = [f"run {one.campaign_run_id}" + (f" batch {one.batch_id}" if one.batch_id else "") + f": {one.what}" for one in wrong]
    return [Violation(check=EVIDENCE, invariant="I8", detail=what) for what in named], warnings


def sample(connection: Connection, first: date, last: date, *, at_most: int) -> list[tuple[int, date]]:
    """(party, business date) of some decisions of a period, the same ones each time, spread over all of it."""
    # What serves a person is decided without a strategy: there is nothing to replay.
    rows = connection.execute(_SAMPLE, {"first": first, "last": last, "at_most": at_most, "stages": list(STAGES)})
    return [(row.party_id, row.business_date) for row in rows]


def senders(connection: Connection, channel: str) -> list[str]:
    """From which numbers or services the creditors send by a channel."""
    return sorted(set(connection.execute(_SENDERS, {"channel": channel}).scalars()) - {None})


def addresses_of_tokens(connection: Connection, tokens: Sequence[UUID]) -> dict[UUID, tuple[str, bytes]]:
    """Token of an attempt → its channel and the blind index of its address; one is missing that is nobody's."""
    rows = connection.execute(_OF_TOKENS, {"tokens": list(tokens)})
    return {row.token: (row.channel, row.blind_index) for row in rows}


def channels_used(connection: Connection, first: date, last: date, *, by_gateway: bool = False) -> set[str]:
    """Channels by which something of a period was let go, or taken back: at their own provider, or through a lender's gateway."""
    values = {"first": first, "last": last, "gateway": GATEWAY, "by_gateway": by_gateway}
    return set(connection.execute(_CHANNELS_USED, values).scalars())


_RUNS = text("SELECT id, business_date FROM campaign_run WHERE business_date BETWEEN :first AND :last ORDER BY id")
_ATTEMPTS = text("SELECT count(*) FROM attempt WHERE business_date BETWEEN :first AND :last")
# What was decided of somebody who is erased cannot be made again: the facts are gone, the proof of the decision stays.
_SAMPLE = text("""
    SELECT d.party_id, d.business_date FROM decision d
    WHERE d.business_date BETWEEN :first AND :last AND d.stage = ANY(:stages)
      AND NOT EXISTS (SELECT FROM erasure e WHERE e.party_id = d.party_id AND e.state = 'erased')
    ORDER BY md5(d.id::text), d.id LIMIT :at_most
""")
_OF_TOKENS = text("""
    SELECT a.token, a.channel, v.blind_index
    FROM attempt a JOIN contact_point_version v ON v.contact_point_id = a.contact_point_id AND v.superseded_at IS NULL
    WHERE a.token = ANY(:tokens)
""")
_SENDERS = text("""
    SELECT s.value FROM creditor c CROSS JOIN LATERAL jsonb_each_text(c.senders) s
    WHERE s.key = :channel OR s.key LIKE :channel || '/%'
""")
_CHANNELS_USED = text("""
    SELECT DISTINCT a.channel FROM attempt a
    WHERE a.business_date BETWEEN :first AND :last AND (a.provider IS NOT DISTINCT FROM :gateway) = :by_gateway AND EXISTS (
        SELECT 1 FROM attempt_transition t WHERE t.business_date = a.business_date AND t.attempt_id = a.id AND t.to_state = 'submitting')
""")
