"""Approving a rule pack: what is approved, what it changes, who has said so and who must say so yet.

In:   a jurisdiction, a version, a name.
Out:  rows of `approval`; lines for the two people; a list of where every pack stands.
Pure: no; reads files, writes the ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from config.load import ConfigError
from config.policies import rule_policy
from config.rule_files import rule_packs
from config.settings import settings
from decisions.packs import Pack
from decisions.rule_diff import Change, pack_changes
from ledger import approvals, clock
from ledger.approvals import Approval, ApprovalRefused
from ledger.campaigns import write_policies
from ledger.engine import connection
from ledger.pack_versions import CURRENT, Version, version_of
from ledger.policies import jurisdiction_of

SHOWN_CHARACTERS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where one version of a rule pack stands.

    Attributes:
        jurisdiction: The pack's.
        version: In full.
        status: ready or draft.
        approved: Whether live mode may use it now.
        last: The last step about it; None = nobody has asked.
    """

    jurisdiction: str
    version: str
    status: str
    approved: bool
    last: Approval | None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "jurisdiction": self.jurisdiction,
            "version": self.version,
            "status": self.status,
            "approved": self.approved,
            **approvals.as_json(self.last),
        }

    def __str__(self) -> str:
        """One line of a list."""
        return f"{self.jurisdiction:<10}  {self.version[:SHOWN_CHARACTERS]}  {self.status:<5}  {self._word()}"

    def _word(self) -> str:
        unasked = "a draft cannot be approved" if self.status == "draft" else "nobody has asked for approval"
        waits = self.last is not None and self.last.verdict == "asked"
        also = "; meanwhile an earlier approval stands" if waits and self.approved else ""
        return approvals.in_words(self.last, approved=self.approved, unasked=unasked) + also


def approve_pack(
    jurisdiction: str, *, by: str, version: str = CURRENT, reject: bool = False, reason: str | None = None, until: date | None = None
) -> list[str]:
    """Ask for approval of a version, or give it, or reject it; the first person asks, another one decides.

    Args:
        jurisdiction: Whose pack.
        by: Who.
        version: `current`, or a hash or its beginning.
        reject: Refuse what was asked for, or take an approval back.
        reason: In their words.
        until: Local date, in the portfolio's zone, at whose start an approval ends.

    Returns:
        Lines that say what was written down, what it changes, and what is to be done next.

    Raises:
        ApprovalRefused: A draft; the same person twice; nothing to reject; an end that has passed.
        UnknownReferenceError: No such pack.
        UnknownVersionError: No such version.
        ConfigError: The pack cannot be read.
    """
    chosen = version_of(f"{jurisdiction}@{version}")
    if chosen.pack.status == "draft" and not reject:
        raise ApprovalRefused(
            f"{chosen.label} is a draft: it says of itself that it was not checked. Have it reviewed, write `status: ready` into "
            f"config/rules/{chosen.jurisdiction.lower()}.yaml, and ask for the approval of that version"
        )
    ends = None if until is None else datetime.combine(until, time(), ZoneInfo(settings().business_zone))
    with connection() as tx:
        write_policies(tx, [rule_policy(chosen.jurisdiction, chosen.body)])
        before = approvals.last_approved(tx, chosen.jurisdiction.lower(), but=chosen.pack.version)
        step = approvals.ask_or_approve(tx, chosen.pack.version, by=by, at=clock.now(tx), reject=reject, reason=reason, until=ends)
    return [_said(step, chosen), *_contents(chosen.pack), *_compared(before, chosen), *_next(step, chosen)]


def _said(step: Approval, chosen: Version) -> str:
    until = f", until {step.until.isoformat()}" if step.until else ""
    if step.verdict == "asked":
        return f"asked for the approval of {chosen.label}, by {step.asked_by}{until}"
    what = "approved" if step.verdict == "approved" else "rejected"
    return f"{what}: {chosen.label}, asked for by {step.asked_by}, {what} by {step.approved_by}{until}"


def _contents(pack: Pack) -> list[str]:
    doubts = [rule.id for rule in pack.rules if rule.unverified is not None or rule.confidence == "R"]
    found = [f"{pack.title}; {len(pack.rules)} rules, {len(pack.gating)} of them gate contact; version {pack.version}"]
    return [*found, f"not verified in whole or in part: {', '.join(doubts)}"] if doubts else found


def _compared(before: str | None, chosen: Version) -> list[str]:
    """What it changes against the version that was approved before."""
    if before is None:
        return [f"no other version of {chosen.jurisdiction} was approved before"]
    try:
        changes = pack_changes(version_of(f"{chosen.jurisdiction}@{before}").pack, chosen.pack)
    except ConfigError as error:
        return [f"cannot be compared with {before[:SHOWN_CHARACTERS]}, which was approved before: {error}"]
    return [f"against {before[:SHOWN_CHARACTERS]}, which was approved before: {summary(changes)}", *lines(changes)]


def _next(step: Approval, chosen: Version) -> list[str]:
    if step.verdict != "asked":
        return []
    again = f"tideover approve pack {chosen.jurisdiction} --hash {chosen.pack.version[:SHOWN_CHARACTERS]} --by NAME"
    return [f"not approved yet: a second person approves it with `{again}`, or rejects it with --reject"]


def summary(changes: Sequence[Change]) -> str:
    """How many changes of which effect, in words."""
    counts = Counter(change.effect for change in changes)
    named = ", ".join(f"{counts[effect]} {effect}" for effect in ("tightens", "loosens", "undecided", "neither") if counts[effect])
    return f"{len(changes)} change{'s' if len(changes) != 1 else ''}{f': {named}' if named else ''}"


def lines(changes: Sequence[Change]) -> list[str]:
    """Changes as a list, each rule's under its id."""
    found: list[str] = []
    for rule in dict.fromkeys(change.rule for change in changes):
        found.append(f"  {rule or 'the pack itself'}")
        found += [f"    {change}" for change in changes if change.rule == rule]
    return found


def standings() -> list[Standing]:
    """Where the version of every file stands, and every other version that is approved or waits."""
    with connection() as tx:
        approved = approvals.approved_packs(tx, clock.now(tx))
        last = {step.subject_hash: step for step in approvals.read_steps(tx)}
        others = _others(tx, approved, last)
    packs = rule_packs().packs
    known = {pack.version for pack in packs}
    found = [
        Standing(
            jurisdiction=pack.jurisdiction,
            version=pack.version,
            status=pack.status,
            approved=pack.version in approved,
            last=last.get(pack.version),
        )
        for pack in packs
    ]
    return [*found, *(standing for standing in others if standing.version not in known)]


def _others(tx: Connection, approved: frozenset[str], last: dict[str, Approval]) -> list[Standing]:
    """Versions that are not a file's any more, or not yet."""
    names = approvals.names_of(tx, [version for version, step in last.items() if version in approved or step.verdict == "asked"])
    return [
        Standing(jurisdiction=jurisdiction_of(name), version=version, status="other", approved=version in approved, last=last[version])
        for version, name in names.items()
    ]
