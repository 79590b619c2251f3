"""Four eyes: one person asks, another one approves or rejects; every step is a row of its own, and none is changed.

What is approved is a text, named by its hash: one more blank in a rule pack is another pack.

In:   a connection inside a transaction; what is to be approved, who, when.
Out:  rows of `approval`; which versions are approved at an instant.
Pure: no.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection, text

from config.settings import settings

RULE_PACK: Final = "rule pack"
MESSAGE: Final = "message"
STRATEGY: Final = "strategy"
MODEL: Final = "model"
# Under which kind of policy the versions of a subject are kept.
KEPT_AS: Final = {RULE_PACK: "rules", MESSAGE: "message", STRATEGY: "strategy", MODEL: "model"}

_SIGNED_IN: Final = re.compile(r"(.+) \(staff ([0-9]+)\)", re.ASCII)

Verdict = Literal["asked", "approved", "rejected"]


class ApprovalRefused(RuntimeError):
    """It was not written down; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One step.

    Attributes:
        subject_hash: What it is about.
        asked_by: Who asked.
        approved_by: Who approved or rejected; None where it was only asked for.
        verdict: What came of it.
        reason: In their words.
        at: Business instant.
        until: An approval ends there; None = it does not end by itself.
    """

    subject_hash: str
    asked_by: str
    approved_by: str | None
    verdict: Verdict
    reason: str | None
    at: datetime
    until: datetime | None


def as_json(step: Approval | None) -> dict[str, str | None]:
    """The last step about something, as plain values; nulls where there is none."""
    return {
        "verdict": step.verdict if step else None,
        "asked_by": step.asked_by if step else None,
        "approved_by": step.approved_by if step else None,
        "at": step.at.isoformat() if step else None,
        "until": step.until.isoformat() if step and step.until else None,
    }


def in_words(step: Approval | None, *, approved: bool, unasked: str = "sandbox mode only: nobody has asked for approval") -> str:
    """Where something stands by the last step about it.

    Args:
        step: None = nobody has asked.
        approved: Whether it may be used now.
        unasked: What is said then.
    """
    if step is None:
        return unasked
    if step.verdict == "asked":
        return f"waits for a second person (asked for by {step.asked_by})"
    if step.verdict == "approved":
        until = f", until {step.until.isoformat()}" if step.until else ""
        return f"{'approved' if approved else 'approval ended'}: {step.asked_by} and {step.approved_by}{until}"
    return f"rejected by {step.approved_by}"


def ask_or_approve(
    connection: Connection,
    subject_hash: str,
    *,
    by: str,
    at: datetime,
    reject: bool = False,
    reason: str | None = None,
    until: datetime | None = None,
    kind: str = RULE_PACK,
) -> Approval:
    """The first person asks for approval; the same call by another one gives it.

    Args:
        connection: Inside a transaction; the version is locked until its end.
        subject_hash: Of a text in `policy_version`.
        by: Who.
        at: Business instant.
        reject: Refuse what was asked for, or take back what was approved (which either of the two may do alone).
        reason: In their words.
        until: Where an approval ends; the earlier one where both give it.
        kind: Of what is approved.

    Returns:
        The step that was written down.

    Raises:
        ApprovalRefused: The same person twice; nothing to reject; an end that has passed; no name.
    """
    who = " ".join(by.split())
    if not who:
        raise ApprovalRefused("say who: --by NAME")
    if until is not None and until <= at:
        raise ApprovalRefused("an approval that has ended already approves nothing: give a later --until")
    connection.execute(_LOCK, {"hash": subject_hash})
    steps = read_steps(connection, subject_hash, kind=kind)
    waiting = steps[-1] if steps and steps[-1].verdict == "asked" else None
    standing = next((step for step in reversed(steps) if step.verdict != "asked"), None)
    approved = standing is not None and standing.verdict == "approved" and (standing.until is None or standing.until > at)
    if reject and waiting is None:
        if standing is None or not approved:
            raise ApprovalRefused("there is nothing to reject: nobody has asked for this version")
        return _write(connection, kind, _taken_back(standing, subject_hash, who, reason, at))
    if waiting is None:
        if standing is not None and approved and standing.until == until:
            raise ApprovalRefused(f"this version is approved already, by {standing.approved_by} (asked for by {standing.asked_by})")
        asked = Approval(subject_hash=subject_hash, asked_by=who, approved_by=None, verdict="asked", reason=reason, at=at, until=until)
        return _write(connection, kind, asked)
    if same_person(waiting.asked_by, who):
        raise ApprovalRefused(f"{waiting.asked_by} asked for this version: somebody else approves or rejects it (four eyes)")
    ends = [end for end in (waiting.until, until) if end is not None]
    if not reject and ends and min(ends) <= at:
        raise ApprovalRefused("what was asked for has ended already: let it be rejected with --reject, and ask again")
    answered = Approval(
        subject_hash=subject_hash,
        asked_by=waiting.asked_by,
        approved_by=who,
        verdict="rejected" if reject else "approved",
        reason=reason or (None if reject else waiting.reason),
        at=at,
        until=None if reject else min(ends, default=None),
    )
    return _write(connection, kind, answered)


def _taken_back(standing: Approval, subject_hash: str, who: str, reason: str | None, at: datetime) -> Approval:
    """Leave may be withdrawn by one person: the other name of the row is one of the two who gave it."""
    other = standing.approved_by if same_person(standing.asked_by, who) and standing.approved_by else standing.asked_by
    return Approval(subject_hash=subject_hash, asked_by=other, approved_by=who, verdict="rejected", reason=reason, at=at, until=None)


def signed_in(name: str, staff_id: int) -> str:
    """How somebody is written down who signed in: her name, and the number that nobody types."""
    return f"{' '.join(name.split())} (staff {staff_id})"


def typed(name: str, *, reject: bool) -> str:
    """A name that was typed on a terminal, where anybody may type any: good for refusing, else only where no desk asks who it is.

    Args:
        name: As typed.
        reject: Something is refused or taken back, which only ever stops.

    Raises:
        ApprovalRefused: It claims to have signed in; or with the real providers people say yes at the desk.
    """
    if _SIGNED_IN.fullmatch(" ".join(name.split()).casefold()):
        raise ApprovalRefused("a number of the staff is said by signing in at the desk, not typed")
    if not reject and not settings().terminal_codes_allowed:
        raise ApprovalRefused("people say yes where they sign in: /desk/approvals (TIDEOVER_TERMINAL_CODES=true lets a terminal do it too)")
    return name


def same_person(name: str, other: str) -> bool:
    """Whether two names may be one person's: however they are spaced or capitalised, and with or without a number.

    Two people who are called the same count as one: a third one says yes then. One who was renamed is known by the number.
    """
    (called, number), (other_called, other_number) = _parts(name), _parts(other)
    return called == other_called or (number is not None and number == other_number)


def _parts(name: str) -> tuple[str, str | None]:
    """A name in one spelling, and the number of whoever signed in."""
    plain = " ".join(name.split()).casefold()
    found = _SIGNED_IN.fullmatch(plain)
    return (plain, None) if found is None else (found[1], found[2])


def approved_packs(connection: Connection, at: datetime) -> frozenset[str]:
    """Versions of rule packs that are approved at an instant: by two people, not rejected since, not ended."""
    return approved(connection, at, kind=RULE_PACK)


def approved_messages(connection: Connection, at: datetime) -> frozenset[str]:
    """Versions of texts that are approved at an instant, as above."""
    return approved(connection, at, kind=MESSAGE)


def approved(connection: Connection, at: datetime, *, kind: str) -> frozenset[str]:
    """Versions of a kind that are approved at an instant, as above."""
    return frozenset(connection.execute(_APPROVED, {"kind": kind, "at": at}).scalars())


def last_approved(connection: Connection, name: str, *, but: str, kind: str = RULE_PACK) -> str | None:
    """The version of a rule pack, or of another subject, that was approved last, whatever became of it since; None = none was.

    Args:
        connection: Any.
        name: Of the policy: the jurisdiction in small letters, a strategy's folder.
        but: A version that does not count.
        kind: Of the subject.
    """
    found: str | None = connection.execute(_LAST_APPROVED, {"kind": kind, "policy": KEPT_AS[kind], "name": name, "but": but}).scalar()
    return found


def names_of(connection: Connection, versions: Sequence[str]) -> dict[str, str]:
    """Names of rule packs by version, by name."""
    return {row.hash: row.name for row in connection.execute(_NAMES, {"hashes": list(versions)})}


def read_steps(connection: Connection, subject_hash: str | None = None, *, kind: str = RULE_PACK) -> list[Approval]:
    """Every step about one version, or about all of a kind, oldest first."""
    rows = connection.execute(_STEPS, {"hash": subject_hash, "kind": kind}).mappings()
    return [Approval(**row) for row in rows]


def _write(connection: Connection, kind: str, step: Approval) -> Approval:
    connection.execute(
        _INSERT,
        {
            "kind": kind,
            "hash": step.subject_hash,
            "asked_by": step.asked_by,
            "approved_by": step.approved_by,
            "verdict": step.verdict,
            "reason": step.reason,
            "at": step.at,
            "until": step.until,
        },
    )
    return step


_LOCK = text("SELECT hash FROM policy_version WHERE hash = :hash FOR UPDATE")
_INSERT = text("""
    INSERT INTO approval (subject_kind, subject_hash, asked_by, approved_by, verdict, reason, at, until)
    VALUES (:kind, :hash, :asked_by, :approved_by, :verdict, :reason, :at, :until)
""")
_LAST_APPROVED = text("""
    SELECT a.subject_hash FROM approval a JOIN policy_version v ON v.hash = a.subject_hash
    WHERE a.subject_kind = :kind AND a.verdict = 'approved' AND v.kind = :policy AND v.name = :name AND v.hash <> :but
    ORDER BY a.id DESC LIMIT 1
""")
_NAMES = text("SELECT hash, name FROM policy_version WHERE kind = 'rules' AND hash = ANY(:hashes) ORDER BY name, recorded_at")
_STEPS = text("""
    SELECT subject_hash, asked_by, approved_by, verdict, reason, at, until FROM approval
    WHERE subject_kind = :kind AND (CAST(:hash AS text) IS NULL OR subject_hash = :hash) ORDER BY id
""")
_APPROVED = text("""
    SELECT subject_hash FROM (
        SELECT DISTINCT ON (subject_hash) subject_hash, verdict, until FROM approval
        WHERE subject_kind = :kind AND verdict <> 'asked' AND at <= :at ORDER BY subject_hash, id DESC) last
    WHERE verdict = 'approved' AND (until IS NULL OR until > :at)
""")
