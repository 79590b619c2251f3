"""One chunk through the gate: claim, lock, judge again, commit the intention. Nothing is called here.

One transaction: borrowers locked by a statement of their own, planned attempts and facts read by later ones, verdicts
written with their causes, contacts counted before they are made. When it has committed, the letters may be sent; when it
has not, nothing has happened.

In:   a door (a run, its borrowers, packs and texts in force), how many at most on each channel.
Out:  a `Chunk`: letters with permits that are valid for seconds.
Pure: no; reads and writes the ledger through ledger/.
Source: ARCHITECTURE.md, "The lock, written down once"; invariants I1, I3, I4, I5.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import perf_counter
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection

from channels import Envelope, Message
from channels.registry import callback_url, provider_of
from channels.windows import REPLY_WINDOWS
from config.settings import settings
from decisions import gate_verdict
from decisions.envelopes import Addressee, sender_lines, window_lines
from decisions.messages import SPOKEN, Rendered, Texts
from decisions.planned import Planned
from decisions.strategy import Strategy
from decisions.voice import NOBODY, Voice
from decisions.words import GATEWAY
from gate import last_look
from gate.account_reads import read_accounts
from gate.accounts import Accounts
from gate.judgement import Judged, judge_again
from gate.permit import Letter, Rulebook, record, refusal, write_permit
from ledger import attempts, call_words, calls, campaigns, clock, evidence, outbox, reply_windows, strategy_approvals, vault
from ledger.attempts import Move
from ledger.call_words import Spoken
from ledger.calls import Known
from ledger.campaigns import Run
from ledger.engine import connection
from ledger.facts import read_facts
from ledger.law import voice_in_force
from ledger.merkle import text_hash
from ledger.outbox import Contact


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What a lane lets through: a run, a part of its borrowers, and the policy in force.

    Attributes:
        run: The campaign run.
        parties: First and last party id, both included.
        book: Rule packs.
        texts: Messages.
        treatment: The stage's strategy: what milder stage must have been offered before it; None = that is not asked.
    """

    run: Run
    parties: tuple[int, int]
    book: Rulebook
    texts: Texts
    treatment: Strategy | None = None


@dataclass(slots=True, kw_only=True)
class Chunk:
    """What one transaction let through.

    Attributes:
        letters: To be sent now.
        claimed: Channel → ids of the borrowers that were locked.
        actions: Verdict → how many attempts.
        stopped: The run is paused, rejected, a preview, or people have still to say yes to it or to its strategy: nothing was claimed.
        seconds: Phase → wall time, for the profile.
    """

    letters: list[Letter] = field(default_factory=list)
    claimed: dict[str, list[int]] = field(default_factory=dict)
    actions: Counter[str] = field(default_factory=Counter)
    stopped: bool = False
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Add the time of a block to a phase."""
        began = perf_counter()
        yield
        self.seconds[phase] += perf_counter() - began


def take_chunk(door: Door, *, at_most: Mapping[str, int], after: Mapping[str, int]) -> Chunk:
    """Let the next attempts of a run through the gate, or hold them back.

    Args:
        door: What this lane lets through.
        at_most: Channel → how many; a channel with none is left out.
        after: Channel → party id after which to go on.

    Returns:
        Letters whose intention is committed.
    """
    last_look.get_ready()
    chunk = Chunk()
    with chunk.timed("commit"), connection() as tx:
        with chunk.timed("claim"):
            at = clock.now(tx)
            known = calls.known(tx)
            run = campaigns.read_run(tx, door.run.id)
            door = replace(door, run=run)
            chunk.stopped = not run.may_send or strategy_approvals.why_not(tx, run.policy_hashes) is not None
            if not chunk.stopped:
                chunk.claimed = _claim(tx, door, at_most=at_most, after=after, at=at)
                # Read again under the lock: what was written until then is not of the future for this gate.
                at = clock.now(tx)
                if run.approval_above is not None and not campaigns.read_run(tx, run.id).may_send:
                    # Decided after people said yes, and claimed with what they said it of: nobody has said yes to these.
                    chunk.stopped, chunk.claimed = True, {}
        parties = sorted({party_id for ids in chunk.claimed.values() for party_id in ids})
        if parties:
            _let_through(tx, door, chunk, parties, at, known)
    # What the block took beyond the phases inside it is the commit itself, and opening the transaction.
    chunk.seconds["commit"] -= sum(seconds for phase, seconds in chunk.seconds.items() if phase != "commit")
    return chunk


def _claim(tx: Connection, door: Door, *, at_most: Mapping[str, int], after: Mapping[str, int], at: datetime) -> dict[str, list[int]]:
    return {
        channel: outbox.claim_borrowers(
            tx,
            campaign_run_id=door.run.id,
            channel=channel,
            parties=door.parties,
            after=after[channel],
            at=at,
            at_most=number,
            rank_max=door.run.rank_max,
        )
        for channel, number in at_most.items()
        if number > 0
    }


def _let_through(tx: Connection, door: Door, chunk: Chunk, parties: Sequence[int], at: datetime, known: Known) -> None:
    """Judge those whom we hold and write down what follows. The lock was taken by an earlier statement: what is read here is true now."""
    with chunk.timed("read"):
        planned = outbox.read_planned(tx, campaign_run_id=door.run.id, party_ids=parties, channels=chunk.claimed, at=at)
        if not planned:
            return
        treated_by = () if door.treatment is None else door.treatment.looks_at
        facts = read_facts(
            tx,
            parties=parties,
            at=at,
            business_date=door.run.business_date,
            loans="now",
            treated_by=treated_by,
            payments_since=None if door.treatment is None else door.treatment.payments_since(door.run.business_date),
        )
        wrote_at = reply_windows.read_last(tx, planned, channels=REPLY_WINDOWS, at=at)
        accounts = read_accounts(tx, facts, planned, door.texts, business_date=door.run.business_date)
    with chunk.timed("judge"):
        judged = judge_again(
            facts,
            planned,
            stage=door.run.stage,
            packs=door.book.packs,
            texts=door.texts,
            at=at,
            public_url=settings().public_url,
            treatment=door.treatment,
            reachable=settings().reachable,
            wrote_at=wrote_at,
            accounts=accounts,
            voice=_voice(tx, planned),
        )
        chunk.actions.update(one.action for one in judged)
    with chunk.timed("write"):
        held_back = [moved for one in judged if (moved := _hold_back(one, door, at)) is not None]
        attempts.move(tx, held_back, at=at)
        passed = [(one, one.words) for one in judged if one.action == gate_verdict.SEND and one.words is not None]
        chunk.letters = _intend(tx, door, passed, at, known, accounts) if passed else []


def _voice(tx: Connection, planned: Sequence[Planned]) -> Voice:
    """What automated calls among these say beside their message."""
    called = [attempt.party_id for attempt in planned if attempt.channel == SPOKEN]
    if not called:
        return NOBODY
    return Voice(prompts=voice_in_force(tx), names=call_words.names(tx, called), agent=settings().voicemail_name or None)


def _hold_back(one: Judged, door: Door, at: datetime) -> Move | None:
    """The transition of an attempt that is not sent now; None where it is, or stays as it is."""
    if one.action == gate_verdict.LATER:
        return _move(one.planned, "planned", f"blocked for now: {', '.join(one.reasons)}", {"send_after": one.send_after})
    if one.action == gate_verdict.WITHHOLD:
        changes = {"permit": refusal(one.reasons, door.book, at=at)}
        return _move(one.planned, "withheld", f"blocked: {', '.join(one.reasons)}", changes)
    if one.action == gate_verdict.EXPIRE:
        return _move(one.planned, "expired", "its window passed", {})
    return None


def _intend(
    tx: Connection, door: Door, passed: Sequence[tuple[Judged, Rendered]], at: datetime, known: Known, accounts: Accounts
) -> list[Letter]:
    """Write down that we are about to call: submitting, counted, under a Merkle root."""
    claim_id = uuid4()
    issued_at = outbox.wall_clock(tx)
    moves, contacts, drafts = [], [], []
    records: dict[tuple[object, ...], tuple[dict[str, Any], str]] = {}
    for one, words in passed:
        attempt = one.planned
        permit = write_permit(door.book, attempt_id=attempt.id, jurisdictions=one.jurisdictions, issued_at=issued_at)
        kind = (one.jurisdictions, one.zones, words.version, words.template, words.prompts)
        if kind not in records:
            # All permits of a chunk are issued at one instant, in one run: those of one kind say the same.
            new = record(permit, zones=one.zones, at=at, text_version=words.version, template=words.template, prompts=words.prompts)
            if door.run.approval == "approved":
                # Which yes of people it goes out on: `approval.subject_hash`.
                new["approval"] = door.run.approval_subject
            records[kind] = (new, evidence.permit_line(new))
        written, line = records[kind]
        said = text_hash(attempt.token, title=words.title, body=words.in_full)
        changes = {
            "claim_id": claim_id,
            "call_deadline": permit.call_deadline,
            "submitted_at": at,
            "permit": written,
            "text_hash": said,
            # Whose word settles it if nobody hears of it again: a creditor's sender may be another one by then.
            **({"provider": GATEWAY} if provider_of(attempt.sender or "", own="") == GATEWAY else {}),
        }
        moves.append(_move(attempt, "submitting", "passed the gate", changes))
        contacts.append(
            Contact(
                planned=attempt,
                loans=one.loans,
                counterparty=one.counterparty,
                jurisdiction=one.jurisdictions[-1] if one.jurisdictions else None,
                commitment=evidence.commitment(attempt.token, said, line),
            )
        )
        drafts.append((attempt, permit, _message(attempt, words, (one.ends_at - at).total_seconds(), accounts)))
    moved = attempts.move(tx, moves, at=at)
    assert len(moved) == len(moves), "an attempt moved although it was locked"  # noqa: S101  # a bug, not a case
    call_words.keep(tx, [_spoken(one.planned, words) for one, words in passed if one.planned.channel == SPOKEN])
    batch_id = evidence.open_batch(tx)
    events = outbox.log_contacts(tx, contacts, at=at, batch_id=batch_id)
    evidence.close_batch(
        tx,
        batch_id=batch_id,
        business_date=door.run.business_date,
        campaign_run_id=door.run.id,
        claim_id=claim_id,
        events=list(events.values()),
    )
    return [
        Letter(
            business_date=attempt.business_date,
            attempt_id=attempt.id,
            party_id=attempt.party_id,
            contact_point_id=attempt.contact_point_id,
            channel=attempt.channel,
            claim_id=claim_id,
            event_id=events[attempt.id]["id"],
            at=at,
            message=message,
            permit=permit,
            known=known,
        )
        for attempt, permit, message in drafts
    ]


def _spoken(attempt: Planned, words: Rendered) -> Spoken:
    return Spoken(
        business_date=attempt.business_date,
        attempt_id=attempt.id,
        party_id=attempt.party_id,
        token=attempt.token,
        locale=attempt.locale,
        title=words.title,
        body=words.body,
        voicemail=words.voicemail,
    )


def _message(attempt: Planned, words: Rendered, seconds_left: float, accounts: Accounts) -> Message:
    """What the channel gets. Decrypted before the commit: an address that no key opens must not become a fate that nobody knows."""
    assert attempt.value_encrypted is not None  # noqa: S101  # the verdict withholds what has no address
    assert attempt.key_id is not None  # noqa: S101  # as above
    assert attempt.sender is not None  # noqa: S101  # or no sender
    to = vault.decrypt(attempt.value_encrypted, attempt.key_id)
    return Message(
        attempt_id=attempt.id,
        to=to,
        sender=attempt.sender,
        title=words.title,
        body=words.body,
        token=str(attempt.token),
        callback_url=callback_url(attempt.channel, attempt.token, sender=attempt.sender),
        valid_seconds=int(seconds_left),
        template=words.template,
        variables=words.variables,
        voicemail=words.voicemail,
        locale=attempt.locale,
        envelope=_envelope(accounts.addressees.get(attempt.contact_point_id), to, attempt.sender),
    )


def _envelope(whose: Addressee | None, address: str, sender: str) -> Envelope | None:
    """Of a letter; None on every other channel, and where the address says nothing that the post could read."""
    if whose is None or whose.name is None or whose.country is None:
        return None
    try:
        window = window_lines(whose.name, address, country=whose.country, sent_from=whose.sent_from)
    except ValueError:
        return None
    return Envelope(to=window, sender=sender_lines(sender), country=whose.country, is_abroad=whose.country != whose.sent_from)


def _move(attempt: Planned, to_state: str, cause: str, changes: Mapping[str, Any]) -> Move:
    return Move(
        business_date=attempt.business_date,
        attempt_id=attempt.id,
        from_state="planned",
        to_state=to_state,
        cause=cause,
        changes=changes,
    )
