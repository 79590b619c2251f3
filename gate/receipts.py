"""Receipts: what came of the calls, written down in groups, each only under the claim that made the call.

What surely was not processed goes back to planned and is taken out of the caps. What the provider refused is rejected, and
what it taught us (a dead address, a stop) becomes ours in the same transaction. What nobody knows stays unknown for good
here: only the provider's own evidence, or a person, ends it.

In:   letters and how their calls ended.
Out:  attempts moved, contacts taken back, contact points retired, opt-outs.
Pure: no; writes the ledger.
Source: STYLE.md 7.9; PROVIDERS.md A7; invariants I2, I5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from channels import BadAddress, ChannelError, FateUnknown, OptedOut, PermitExpired, Receipt, TryLater, Unreachable
from gate.permit import Letter
from ledger import attempts, clock, evidence, outbox
from ledger.attempts import Locked, Move
from ledger.engine import connection
from ledger.lessons import LEAVES_THE_NUMBER
from ledger.locks import lock_borrowers

# A provider that wants a longer rest than this is asked again by whoever comes later in the day, not by this lane.
REST_SECONDS_MAX: Final = 30.0
SURELY_NOT_PROCESSED: Final = (TryLater, PermitExpired)
# What a claim writes and what is empty again when it ends without a call.
CLAIM_COLUMNS: Final = ("claim_id", "call_deadline", "called_at", "submitted_at", "permit", "text_hash", "provider")
# What may be a notice (ledger/notices.py), which is a fact of the person.
NOTICE_CHANNELS: Final = frozenset({"email", "letter"})
# States in which an answer to our own call still says something new.
AWAITS_ANSWER: Final = frozenset({"submitting", "unknown", "parked"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How the call for one letter ended."""

    letter: Letter
    provider: str
    outcome: Receipt | ChannelError


def write_results(results: Sequence[Result], *, campaign_run_id: int) -> Counter[str]:
    """Write a group of results in one transaction. Writing the same group twice changes nothing.

    Returns:
        How many by what became of the attempt: `accepted`, `planned`, `rejected`, `unknown`, or `known` where something
        else (a callback, another claim) had already moved it.
    """
    became: Counter[str] = Counter()
    with connection() as tx:
        at = clock.now(tx)
        # Whatever writes more than the attempt's own state: contacts taken back, opt-outs, notices.
        concerned = {
            result.letter.party_id
            for result in results
            if result.letter.channel in NOTICE_CHANNELS or not isinstance(result.outcome, (Receipt, FateUnknown))
        }
        if concerned:
            lock_borrowers(tx, concerned)
        standing = attempts.lock_attempts(tx, {(result.letter.business_date, result.letter.attempt_id) for result in results})
        moves, taken_back, early = [], [], []
        for result in results:
            locked = standing[result.letter.attempt_id]
            wanted = _transition(result, locked)
            if wanted is not None:
                moves.append(wanted)
                if wanted.to_state in {"planned", "rejected"}:
                    taken_back.append(result)
            elif locked.claim_id == result.letter.claim_id and isinstance(result.outcome, Receipt):
                early.append(_receipt(result, result.outcome))
            became[wanted.to_state if wanted else "known"] += 1
        attempts.move(tx, moves, at=at)
        attempts.add_receipts(tx, early)
        if taken_back:
            contacts = [(result.letter.business_date, result.letter.event_id) for result in taken_back]
            take_back(tx, contacts, campaign_run_id=campaign_run_id, claim_id=taken_back[0].letter.claim_id, at=at)
        _learn(tx, results, at)
    return became


def _transition(result: Result, locked: Locked) -> Move | None:
    """The move that a result asks for, or None where the attempt has moved on without it."""
    if locked.claim_id != result.letter.claim_id or locked.state not in AWAITS_ANSWER:
        return None
    outcome = result.outcome
    if isinstance(outcome, Receipt):
        changes = {"provider": outcome.provider, "provider_id": outcome.provider_id, "segments": outcome.segments}
        return _move(result, locked, "accepted", f"the provider took it: {outcome.status}", changes)
    cause = f"{type(outcome).__name__} {outcome.code}"
    if isinstance(outcome, FateUnknown):
        changes = {"error_code": outcome.code, "provider": result.provider}
        return _move(result, locked, "unknown", cause, changes) if locked.state == "submitting" else None
    if isinstance(outcome, SURELY_NOT_PROCESSED):
        # From `unknown` and `parked` there is no way back: somebody may be asking the provider about it already.
        return _move(result, locked, "planned", cause, _planned_again(result.letter, outcome)) if locked.state == "submitting" else None
    return _move(result, locked, "rejected", cause, {"error_code": outcome.code, "provider": result.provider})


def _planned_again(letter: Letter, outcome: ChannelError) -> dict[str, Any]:
    """Back to planned without claim or permit; due at once, unless the provider asked for a long rest."""
    changes: dict[str, Any] = dict.fromkeys(CLAIM_COLUMNS)
    if isinstance(outcome, TryLater) and outcome.retry_after_seconds > REST_SECONDS_MAX:
        changes["send_after"] = letter.at + timedelta(seconds=outcome.retry_after_seconds)
    return changes


def take_back(tx: Connection, contacts: Sequence[tuple[date, int]], *, campaign_run_id: int, claim_id: UUID, at: datetime) -> None:
    """Uncount contacts that did not happen, under a root of their own.

    Args:
        tx: Inside the transaction that holds the borrowers.
        contacts: (business date, id) of each contact event; all of one business date.
        campaign_run_id: The run they belong to.
        claim_id: Of the calls, or of the first of them.
        at: Business instant.
    """
    batch_id = evidence.open_batch(tx)
    events = outbox.uncount(tx, contacts, at=at, batch_id=batch_id)
    evidence.close_batch(
        tx, batch_id=batch_id, business_date=contacts[0][0], campaign_run_id=campaign_run_id, claim_id=claim_id, events=events
    )


def _learn(tx: Connection, results: Sequence[Result], at: datetime) -> None:
    """Keep what refusals taught, whatever has become of the attempts: dead addresses, and stops that the provider heard."""
    for provider in sorted({result.provider for result in results}):
        theirs = [result for result in results if result.provider == provider]
        dead = {
            result.letter.contact_point_id: result.outcome
            for result in theirs
            if isinstance(result.outcome, BadAddress)
            and not (isinstance(result.outcome, Unreachable) and result.letter.channel in LEAVES_THE_NUMBER)
        }
        for status in ("invalid", "unreachable"):
            points = [point for point, error in dead.items() if isinstance(error, Unreachable) == (status == "unreachable")]
            if points:
                outbox.retire_contact_points(tx, points, at=at, source=f"provider:{provider}", status=status)
        # Of every contact point: what the person said to one number she said to us.
        stops = [
            {"party_id": result.letter.party_id, "channel": result.letter.channel, "contact_point_id": None}
            for result in theirs
            if isinstance(result.outcome, OptedOut)
        ]
        if stops:
            outbox.opt_out_by_provider(tx, stops, at=at, source=f"provider:{provider}")


def _receipt(result: Result, receipt: Receipt) -> dict[str, Any]:
    return {
        "business_date": result.letter.business_date,
        "id": result.letter.attempt_id,
        "provider": receipt.provider,
        "provider_id": receipt.provider_id,
        "segments": receipt.segments,
    }


def _move(result: Result, locked: Locked, to_state: str, cause: str, changes: dict[str, Any]) -> Move:
    return Move(
        business_date=locked.business_date,
        attempt_id=locked.attempt_id,
        from_state=locked.state,
        to_state=to_state,
        cause=cause,
        claim_id=result.letter.claim_id,
        changes=changes,
    )
