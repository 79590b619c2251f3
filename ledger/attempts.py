"""The attempt's state machine: one table of transitions, one guarded update, every move written down with its cause.

Two parties move an attempt. We do, along `OURS`: anything else is a bug and crashes. A provider does, by what it tells
us, in any order, late and more than once: it may only raise a state (`RANK`), end it, or correct an end
("undelivered" that was delivered after all). What a provider says that cannot be is counted and changes nothing.

In:   a connection inside a transaction; moves, or events that providers told.
Out:  moved attempts, rows of `attempt_transition`, results in the contact log.
Pure: `after_event` and the table are; the rest writes the ledger.
Source: ARCHITECTURE.md "Attempt state machine"; PROVIDERS.md A5 for the order of a provider's statuses.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import Connection, Row, text

from ledger import evidence, notices
from ledger.locks import lock_borrowers
from ledger.partitions import LATE_DAYS_MAX
from ledger.tables import LIVE_ATTEMPT_STATES

# What we may do, from → to. A result (from `submitting` on) is written only under the claim that made the call.
OURS: Final[Mapping[str, frozenset[str]]] = {
    "planned": frozenset({"planned", "submitting", "withheld", "superseded", "expired"}),
    # Back to planned only when the provider surely did not process it.
    "submitting": frozenset({"accepted", "rejected", "planned", "unknown"}),
    # Never back to planned: what the provider's list does not show may still have been sent (docs/adr/0012).
    "unknown": frozenset({"accepted", "rejected", "failed", "parked"}),
    "parked": frozenset({"accepted", "rejected"}),
}

# A provider's word counts when it is higher than what we know.
RANK: Final[Mapping[str, int]] = {
    "submitting": 0,
    "unknown": 0,
    "parked": 0,
    "accepted": 1,
    "sent": 2,
    "delivered": 3,
    "read": 4,
    "replied": 5,
}
PROVIDER_ENDS: Final = frozenset({"undelivered", "failed"})
PROVIDER_STATES: Final = frozenset({"accepted", "sent", "delivered", "read", "replied"}) | PROVIDER_ENDS
LIVE_STATES_OF_PROVIDERS: Final = PROVIDER_STATES - PROVIDER_ENDS
# Said about an attempt that never left, or that the provider itself refused: stored and counted.
NEVER_LEFT: Final = frozenset({"rejected", "withheld", "superseded", "expired"})
# Where an attempt may stand whose contact no cap counts any more: it was never made, or surely not processed.
_TAKEN_BACK: Final = NEVER_LEFT | {"planned"}
# Our own code of a failure: the provider's whole list was read twice, and it has no record of the message.
NO_RECORD: Final = "no_record"
# States that the contact log knows as results; `replied` is logged as the inbound message that it is.
LOGGED_RESULTS: Final = frozenset({"delivered", "read", "undelivered", "failed"})
# What is known only of calls: how they ended.
CALL_RESULTS: Final = frozenset(
    {"no_answer", "busy", "not_in_service", "dropped", "voicemail", "limited_content_voicemail", "conversation", "wrong_number"}
)

Effect = Literal["applied", "late", "correction", "impossible", "no_attempt"]


class ImpossibleTransition(AssertionError):
    """We tried to move an attempt in a way that the table does not know."""

    def __init__(self, attempt_id: int, from_state: str, to_state: str) -> None:
        """Say which move."""
        super().__init__(f"attempt {attempt_id}: {from_state} → {to_state} is no transition of ours")
        self.attempt_id, self.from_state, self.to_state = attempt_id, from_state, to_state


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One transition of ours.

    Attributes:
        business_date: Of the attempt.
        attempt_id: Which.
        from_state: Where we believe it is; the move is not made where it is not.
        to_state: Where it goes.
        cause: Why, in words or rule ids; nothing personal.
        claim_id: The claim that a result belongs to; the move is made only where it still holds. None = no claim needed.
        changes: Columns of `attempt` to set with the move (`CHANGEABLE`).
    """

    business_date: date
    attempt_id: int
    from_state: str
    to_state: str
    cause: str
    claim_id: UUID | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusEvent:
    """What a provider told about one message.

    Attributes:
        event_id: Id of the inbox row (`provider_event.id`); effects are answered by it.
        token: The attempt's token from the callback's address, where it came along.
        provider_id: The provider's id of the message.
        state: In our words, one of `PROVIDER_STATES`.
        error_code: The provider's, where it gave one.
        at: When it happened, as the provider or the inbox says.
        result: How a call ended, in the words of CASES.md, which caps are counted by; None = the state says it.
    """

    event_id: int
    token: UUID | None
    provider_id: str | None
    state: str
    error_code: str | None
    at: datetime
    result: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverCalled:
    """An attempt, locked, whose claim ended without a call."""

    business_date: date
    attempt_id: int
    campaign_run_id: int
    claim_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """An attempt that is locked now, as it stands now."""

    business_date: date
    attempt_id: int
    party_id: int
    state: str
    claim_id: UUID | None
    called_at: datetime | None
    provider_id: str | None
    error_code: str | None


def after_event(state: str, told: str, *, once_submitted: bool = True, no_record: bool = False) -> tuple[str, Effect]:
    """Where an attempt stands after a provider's word, and what the word did.

    Args:
        state: Where it stands.
        told: One of `PROVIDER_STATES`.
        once_submitted: Whether a call was ever made for it. A planned attempt of which the provider speaks was
            processed after all, although it had seemed sure that it was not: it must not be sent again.
        no_record: It failed because the provider had no record of it: now it has one, whatever it says.

    Raises:
        ValueError: `told` is not a provider's word.
    """
    if told not in PROVIDER_STATES:
        raise ValueError(f"{told!r} is no state that a provider may tell")
    if state == "planned":
        return (told, "applied") if once_submitted else (state, "impossible")
    if state in NEVER_LEFT:
        return state, "impossible"
    if state in PROVIDER_ENDS:
        arrived = told in RANK and (no_record or RANK[told] >= RANK["delivered"])
        return (told, "correction") if arrived else (state, "late")
    rises = RANK[state] < RANK["delivered"] if told in PROVIDER_ENDS else RANK[told] > RANK[state]
    return (told, "applied") if rises else (state, "late")


def lock_attempts(connection: Connection, keys: Iterable[tuple[date, int]]) -> dict[int, Locked]:
    """Lock attempts in the order of their ids; whoever needs the borrowers' lock has taken it before.

    Args:
        connection: Inside the transaction that will move them.
        keys: (business date, id) of each.

    Returns:
        By id, as they stand under the lock.
    """
    ordered = sorted(set(keys), key=lambda key: key[1])
    rows = connection.execute(_LOCK, {"dates": [key[0] for key in ordered], "ids": [key[1] for key in ordered]})
    return {row.id: _locked(row) for row in rows}


def move(connection: Connection, moves: Sequence[Move], *, at: datetime) -> set[int]:
    """Make transitions of ours, and write each down with its cause.

    Args:
        connection: Inside a transaction.
        moves: At most one for each attempt.
        at: Business instant, UTC.

    Returns:
        Ids that moved; one is missing where the attempt was no longer in `from_state`, or under another claim.

    Raises:
        ImpossibleTransition: The table does not know a move. Nothing was written.
    """
    for wanted in moves:
        if wanted.to_state not in OURS.get(wanted.from_state, frozenset()):
            raise ImpossibleTransition(wanted.attempt_id, wanted.from_state, wanted.to_state)
    return _write(connection, moves, at)


def add_receipts(connection: Connection, receipts: Sequence[Mapping[str, Any]]) -> None:
    """Complete attempts that a callback moved before the provider's own answer was written: no transition, only what was missing.

    Args:
        connection: Inside the transaction that holds the attempts.
        receipts: `business_date`, `id`, `provider`, `provider_id`, `segments` of each.
    """
    if receipts:
        connection.execute(_ADD_RECEIPTS, {"rows": json.dumps([dict(row) for row in receipts], default=str)})


def expire_submitting(connection: Connection, *, campaign_run_id: int | None, at: datetime, at_most: int | None = None) -> int:
    """Call unknown what was called, or may have been, and is `submitting` past its call deadline: whoever made the call is gone.

    Args:
        connection: Inside a transaction.
        campaign_run_id: Of one run; None = of all.
        at: Business instant, UTC; the deadline itself is the database's wall clock.
        at_most: So many in this transaction; None = all.

    Returns:
        How many.
    """
    late = connection.execute(_SUBMITTING_PAST_DEADLINE, {"run": campaign_run_id, "at_most": at_most}).all()
    cause = "the call's deadline passed without a result"
    moves = [
        Move(
            business_date=row.business_date,
            attempt_id=row.id,
            from_state="submitting",
            to_state="unknown",
            cause=cause,
            claim_id=row.claim_id,
        )
        for row in late
    ]
    return len(move(connection, moves, at=at))


def lock_never_called(connection: Connection, *, campaign_run_id: int | None, at_most: int | None = None) -> list[NeverCalled]:
    """What is `submitting` past its call deadline and bears no mark of a call: nobody made one, and nobody can any more.

    Locks the borrowers, passing over whom another holds, then the attempts.

    Args:
        connection: Inside a transaction.
        campaign_run_id: Of one run; None = of all.
        at_most: So many; None = all.
    """
    found = connection.execute(_NEVER_CALLED, {"run": campaign_run_id, "at_most": at_most}).all()
    standing = lock_attempts(connection, {(row.business_date, row.id) for row in found})
    return [
        NeverCalled(business_date=row.business_date, attempt_id=row.id, campaign_run_id=row.campaign_run_id, claim_id=row.claim_id)
        for row in found
        if (now := standing[row.id]).state == "submitting" and now.claim_id == row.claim_id and now.called_at is None
    ]


def expire_planned(connection: Connection, *, campaign_run_id: int | None, at: datetime, at_most: int | None = None) -> int:
    """Close what was planned and whose window has passed, of one run or of all; returns how many."""
    late = connection.execute(_PLANNED_PAST_WINDOW, {"run": campaign_run_id, "at": at, "at_most": at_most}).all()
    moves = [
        Move(business_date=row.business_date, attempt_id=row.id, from_state="planned", to_state="expired", cause="its window passed")
        for row in late
    ]
    return len(move(connection, moves, at=at))


def apply_provider_events(connection: Connection, events: Sequence[StatusEvent], *, at: datetime) -> dict[int, Effect]:
    """Let providers' words move attempts, in any order, however often they were said.

    Takes the borrowers' lock, then the attempts'. Writes the transitions, and delivery results into the contact log.

    Args:
        connection: Inside a transaction.
        events: In the order in which they came in.
        at: Business instant at which we apply them.

    Returns:
        Event id → effect: `applied`; `late` (we knew as much or more); `correction` (an end was taken back);
        `impossible` (stored and counted, no state changed; what was taken out of the caps counts again, and a second message of
        one attempt is a further contact);
        `no_attempt` (nobody knows the message).
    """
    found = _find(connection, events)
    lock_borrowers(connection, {party_id for _, _, party_id in found.values()})
    standing = lock_attempts(connection, {(day, attempt_id) for day, attempt_id, _ in found.values()})
    once = _once_submitted(connection, standing.values())
    effects: dict[int, Effect] = {}
    moves: list[Move] = []
    results: list[dict[str, Any]] = []
    seconds: list[dict[str, Any]] = []
    for event in events:
        if event.event_id not in found:
            effects[event.event_id] = "no_attempt"
            continue
        before = standing[found[event.event_id][1]]
        effect, wanted = _effect_of(event, before, once_submitted=before.attempt_id in once)
        if effect == "correction":
            # Room is made among the attempts as they stand after what was said before this.
            _apply_in_order(connection, moves, at)
            moves.clear()
            replaced = _make_room(connection, before, at)
            if replaced is None:
                # Another try of that day is under way, and only one may be live: the state stays, the result is logged.
                effect, wanted = "late", None
                results.append(_result(event, before))
            standing |= {one: replace(standing[one], state="superseded") for one in replaced or () if one in standing}
        elif effect == "impossible" and not _is_of_its_message(event, before):
            # The provider made two of one call, or processed what it had refused: the person was contacted once more.
            seconds.append({**_result(event, before), "provider_id": event.provider_id})
        elif effect == "impossible" and before.attempt_id in once:
            # Called surely not sent, and closed since: an end is an end, but the person was contacted, and that counts.
            results.append(_result(event, before))
        effects[event.event_id] = effect
        if wanted is not None:
            moves.append(wanted)
            results.append(_result(event, before))
            standing[before.attempt_id] = replace(
                before,
                state=wanted.to_state,
                provider_id=wanted.changes.get("provider_id", before.provider_id),
                error_code=wanted.changes.get("error_code"),
            )
    _apply_in_order(connection, moves, at)
    _log_results(connection, results)
    _log_seconds(connection, seconds)
    return effects


def _effect_of(event: StatusEvent, before: Locked, *, once_submitted: bool) -> tuple[Effect, Move | None]:
    """What one event does to one attempt."""
    if not _is_of_its_message(event, before):
        # Our token under another message's id: a second message for one attempt. For the auditor to see.
        return "impossible", None
    no_record = before.state == "failed" and before.error_code == NO_RECORD
    state, effect = after_event(before.state, event.state, once_submitted=once_submitted, no_record=no_record)
    if state == before.state:
        return effect, None
    changes: dict[str, Any] = {"error_code": event.error_code if state in PROVIDER_ENDS else None}
    if event.provider_id and not before.provider_id:
        changes["provider_id"] = event.provider_id
    return effect, Move(
        business_date=before.business_date,
        attempt_id=before.attempt_id,
        from_state=before.state,
        to_state=state,
        cause=f"provider event {event.event_id}" + (" corrects an end" if effect == "correction" else ""),
        changes=changes,
    )


def _is_of_its_message(event: StatusEvent, before: Locked) -> bool:
    """Whether an event may speak of the one message that we know of."""
    return not before.provider_id or not event.provider_id or before.provider_id == event.provider_id


def _result(event: StatusEvent, before: Locked) -> dict[str, Any]:
    return {
        "business_date": before.business_date.isoformat(),
        "id": before.attempt_id,
        "result": event.result or event.state,
        "at": event.at.isoformat(),
        "recount": before.state in _TAKEN_BACK,
    }


def _make_room(connection: Connection, corrected: Locked, at: datetime) -> set[int] | None:
    """Take back the plan of another try, now that this one has arrived after all: its id; None where it has left already."""
    others = connection.execute(_OTHER_TRIES, {"business_date": corrected.business_date, "id": corrected.attempt_id}).all()
    moves = [
        Move(
            business_date=corrected.business_date,
            attempt_id=row.id,
            from_state="planned",
            to_state="superseded",
            cause=f"attempt {corrected.attempt_id} arrived after all",
        )
        for row in others
        if row.state == "planned"
    ]
    replaced = move(connection, moves, at=at)
    return replaced if len(replaced) == len(others) else None


def _apply_in_order(connection: Connection, moves: Sequence[Move], at: datetime) -> None:
    """One statement moves an attempt once; several events of one attempt go one after the other."""
    waiting = list(moves)
    while waiting:
        now: dict[int, Move] = {}
        later = []
        for wanted in waiting:
            if wanted.attempt_id in now:
                later.append(wanted)
            else:
                now[wanted.attempt_id] = wanted
        moved = _write(connection, list(now.values()), at)
        assert moved == set(now), "an attempt moved although it was locked"  # noqa: S101  # a bug, not a case
        waiting = later


def _log_results(connection: Connection, results: Sequence[Mapping[str, Any]]) -> None:
    if again := {row["id"]: row for row in results if row["recount"]}:
        connection.execute(_COUNT_AGAIN, {"rows": json.dumps(list(again.values()))})
    if logged := [row for row in results if row["result"] in LOGGED_RESULTS | CALL_RESULTS]:
        connection.execute(_LOG_RESULTS, {"rows": json.dumps(logged)})


def _log_seconds(connection: Connection, seconds: Sequence[Mapping[str, Any]]) -> None:
    """Count each further message of an attempt, known by its own id, as a contact of its own, and log what became of it."""
    if seconds:
        connection.execute(_COUNT_SECOND, {"rows": json.dumps(list({row["provider_id"]: row for row in seconds}.values()))})
    if logged := [row for row in seconds if row["result"] in LOGGED_RESULTS | CALL_RESULTS]:
        connection.execute(_LOG_SECOND_RESULTS, {"rows": json.dumps(logged)})


def _find(connection: Connection, events: Sequence[StatusEvent]) -> dict[int, tuple[date, int, int]]:
    """Event id → (business date, attempt, party); by the token first, since a callback may come before the answer."""
    asked = [{"event": e.event_id, "token": str(e.token) if e.token else None, "provider_id": e.provider_id} for e in events]
    rows = connection.execute(_FIND, {"asked": json.dumps(asked)})
    return {row.event: (row.business_date, row.id, row.party_id) for row in rows}


def _once_submitted(connection: Connection, standing: Iterable[Locked]) -> set[int]:
    """Ids of the attempts for which a call was made, now or before they went back to planned."""
    standing = list(standing)
    doubtful = [locked for locked in standing if locked.state in _TAKEN_BACK]
    once = {locked.attempt_id for locked in standing if locked.state not in _TAKEN_BACK}
    if doubtful:
        keys = {"dates": [locked.business_date for locked in doubtful], "ids": [locked.attempt_id for locked in doubtful]}
        once |= set(connection.execute(_ONCE_SUBMITTED, keys).scalars())
    return once


def _write(connection: Connection, moves: Sequence[Move], at: datetime) -> set[int]:
    """The one guarded update."""
    if not moves:
        return set()
    permits: dict[int, tuple[int, Mapping[str, Any]]] = {}
    told = [
        {
            "business_date": wanted.business_date,
            "id": wanted.attempt_id,
            "from_state": wanted.from_state,
            "to_state": wanted.to_state,
            "cause": wanted.cause,
            "claim_id": wanted.claim_id,
            "changes": _with_place(wanted.changes, permits),
        }
        for wanted in moves
    ]
    listed = [permit for _, permit in permits.values()]
    if unknown := {column for wanted in moves for column in wanted.changes} - set(CHANGEABLE):
        raise ValueError(f"no move may set {sorted(unknown)}")
    moved = [
        dict(row)
        for row in connection.execute(_MOVE, {"moves": json.dumps(told, default=str), "permits": json.dumps(listed), "at": at}).mappings()
    ]
    evidence.close_transitions(connection, moved)
    notices.follow(connection, [(row["business_date"], row["attempt_id"], row["to_state"]) for row in moved], at=at)
    return {row["attempt_id"] for row in moved}


def _with_place(changes: Mapping[str, Any], permits: dict[int, tuple[int, Mapping[str, Any]]]) -> Mapping[str, Any]:
    """Changes that name the place of their permit among all; it is added where it is a new one."""
    permit = changes.get("permit")
    if permit is None:
        return changes
    place, _ = permits.setdefault(id(permit), (len(permits), permit))
    return {**changes, "permit": place}


def _locked(row: Row[Any]) -> Locked:
    return Locked(
        business_date=row.business_date,
        attempt_id=row.id,
        party_id=row.party_id,
        state=row.state,
        claim_id=row.claim_id,
        called_at=row.called_at,
        provider_id=row.provider_id,
        error_code=row.error_code,
    )


# Column → its type in PostgreSQL: what may change along with a state.
CHANGEABLE: Final[Mapping[str, str]] = {
    "claim_id": "uuid",
    "call_deadline": "timestamptz",
    "called_at": "timestamptz",
    "submitted_at": "timestamptz",
    "send_after": "timestamptz",
    "provider": "text",
    "provider_id": "text",
    "error_code": "text",
    "text_hash": "text",
    "segments": "integer",
    "permit": "jsonb",
}


def _set(column: str, kind: str) -> str:
    """`column = …`: the move's own value where it brings one, else what stands there."""
    told = f"told.changes ->> '{column}'"
    value = f"(SELECT listed FROM permits) -> CAST({told} AS integer)" if column == "permit" else f"CAST({told} AS {kind})"  # noqa: S608  # column names come from the table above
    return f"{column} = CASE WHEN told.changes ? '{column}' THEN {value} ELSE a.{column} END"


# What of it the transition keeps for good: the attempt only shows the last word.
_TOLD: Final = ("provider", "provider_id", "error_code", "segments")
_DETAILS = "NULLIF(jsonb_strip_nulls(jsonb_build_object(" + ", ".join(f"'{name}', m.changes -> '{name}'" for name in _TOLD) + ")), '{}')"
_SETTING = ", ".join(_set(column, kind) for column, kind in CHANGEABLE.items())
# A permit is long, and many moves bring the same one: it is told once, and each names its place.
_MOVE = text(f"""
    WITH permits AS MATERIALIZED (SELECT CAST(:permits AS jsonb) AS listed), told AS (
        SELECT * FROM jsonb_to_recordset(CAST(:moves AS jsonb))
            AS m(business_date date, id bigint, from_state text, to_state text, cause text, claim_id uuid, changes jsonb)
    ), moved AS (
        UPDATE attempt a SET state = told.to_state, {_SETTING}
        FROM told
        WHERE a.business_date = told.business_date AND a.id = told.id AND a.state = told.from_state
          AND (told.claim_id IS NULL OR a.claim_id = told.claim_id)
        RETURNING a.business_date, a.id, a.campaign_run_id, told.from_state, told.to_state, told.cause, told.changes
    ), batch AS (
        SELECT business_date, campaign_run_id, nextval(pg_get_serial_sequence('evidence_batch', 'id')) AS id
        FROM moved GROUP BY business_date, campaign_run_id
    ), written AS (
        INSERT INTO attempt_transition (business_date, attempt_id, from_state, to_state, cause, details, at, evidence_batch_id)
        SELECT m.business_date, m.id, m.from_state, m.to_state, m.cause, {_DETAILS}, :at, b.id
        FROM moved m JOIN batch b USING (business_date, campaign_run_id)
        RETURNING *
    )
    SELECT w.*, b.campaign_run_id FROM written w JOIN batch b ON b.id = w.evidence_batch_id
""")  # noqa: S608  # column names come from the table above
_ADD_RECEIPTS = text("""
    UPDATE attempt a SET provider = coalesce(a.provider, r.provider), provider_id = coalesce(a.provider_id, r.provider_id),
        segments = coalesce(a.segments, r.segments)
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(business_date date, id bigint, provider text, provider_id text, segments integer)
    WHERE a.business_date = r.business_date AND a.id = r.id
""")
_LOCK = text("""
    SELECT a.business_date, a.id, a.party_id, a.state, a.claim_id, a.called_at, a.provider_id, a.error_code
    FROM attempt a JOIN unnest(CAST(:dates AS date[]), CAST(:ids AS bigint[])) AS k(business_date, id) USING (business_date, id)
    ORDER BY a.id FOR UPDATE OF a
""")
_OTHER_TRIES = text(f"""
    SELECT b.id, b.state
    FROM attempt a JOIN attempt b ON b.business_date = a.business_date AND b.party_id = a.party_id AND b.stage = a.stage AND b.id <> a.id
    WHERE a.business_date = :business_date AND a.id = :id AND b.state IN ({", ".join(f"'{state}'" for state in LIVE_ATTEMPT_STATES)})
    ORDER BY b.id FOR UPDATE OF b
""")  # noqa: S608  # the states are the table's own
# A permit from before there were marks says nothing about them: whether a call was made on it is not known.
_SUBMITTING_PAST_DEADLINE = text("""
    SELECT business_date, id, claim_id FROM attempt
    WHERE state = 'submitting' AND call_deadline < clock_timestamp() AND (CAST(:run AS bigint) IS NULL OR campaign_run_id = :run)
      AND (called_at IS NOT NULL OR (permit -> 'marks_calls') IS NULL)
    ORDER BY id LIMIT :at_most FOR UPDATE SKIP LOCKED
""")
_NEVER_CALLED = text("""
    SELECT a.business_date, a.id, a.campaign_run_id, a.claim_id
    FROM attempt a JOIN party p ON p.id = a.party_id
    WHERE a.state = 'submitting' AND a.call_deadline < clock_timestamp() AND (CAST(:run AS bigint) IS NULL OR a.campaign_run_id = :run)
      AND a.called_at IS NULL AND a.permit ? 'marks_calls'
    ORDER BY p.id LIMIT :at_most FOR UPDATE OF p SKIP LOCKED
""")
_PLANNED_PAST_WINDOW = text("""
    SELECT business_date, id FROM attempt
    WHERE state = 'planned' AND (CAST(:run AS bigint) IS NULL OR campaign_run_id = :run) AND expires_at <= :at
    ORDER BY id LIMIT :at_most FOR UPDATE SKIP LOCKED
""")
_FIND = text("""
    SELECT e.event, a.business_date, a.id, a.party_id
    FROM jsonb_to_recordset(CAST(:asked AS jsonb)) AS e(event bigint, token uuid, provider_id text)
    CROSS JOIN LATERAL (
        SELECT business_date, id, party_id FROM attempt WHERE token = e.token
        UNION ALL
        SELECT business_date, id, party_id FROM attempt WHERE e.token IS NULL AND provider_id = e.provider_id
        LIMIT 1
    ) a
""")
_ONCE_SUBMITTED = text("""
    SELECT DISTINCT t.attempt_id
    FROM attempt_transition t JOIN unnest(CAST(:dates AS date[]), CAST(:ids AS bigint[])) AS k(business_date, id)
      ON t.business_date = k.business_date AND t.attempt_id = k.id
    WHERE t.to_state = 'submitting'
""")
_CONTACT_OF_ATTEMPT = """
    SELECT c.* FROM contact_event c
    WHERE c.business_date = r.business_date AND c.attempt_business_date = r.business_date AND c.attempt_id = r.id
      AND c.about_event_id IS NULL AND c.direction = 'outbound' AND c.external_id IS NULL
    ORDER BY c.id DESC LIMIT 1
"""
# The provider processed what we had taken back: it counts again, as a contact of its own.
_COUNT_AGAIN = text(f"""
    INSERT INTO contact_event (business_date, party_id, at, channel, direction, loans, contact_point_id, counterparty, purpose, result,
                               attempt_business_date, attempt_id, counts, jurisdiction, source)
    SELECT c.business_date, c.party_id, c.at, c.channel, c.direction, c.loans, c.contact_point_id, c.counterparty, c.purpose, 'sent',
           c.attempt_business_date, c.attempt_id, true, c.jurisdiction, 'provider'
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(business_date date, id bigint)
    CROSS JOIN LATERAL ({_CONTACT_OF_ATTEMPT}) c
    WHERE EXISTS (
        SELECT FROM contact_event u
        WHERE u.business_date = c.business_date AND u.about_event_id = c.id AND u.party_id = c.party_id AND u.uncounts)
""")  # noqa: S608  # no text from outside
_LOG_RESULTS = text(f"""
    INSERT INTO contact_event (business_date, party_id, at, channel, direction, loans, contact_point_id, counterparty, purpose, result,
                               attempt_business_date, attempt_id, about_event_id, counts, jurisdiction, source)
    SELECT c.business_date, c.party_id, r.at, c.channel, c.direction, c.loans, c.contact_point_id, c.counterparty, c.purpose, r.result,
           c.attempt_business_date, c.attempt_id, c.id, false, c.jurisdiction, 'provider'
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(business_date date, id bigint, result text, at timestamptz)
    CROSS JOIN LATERAL ({_CONTACT_OF_ATTEMPT}) c
""")  # noqa: S608  # no text from outside
# By its id it is counted once, however often the provider speaks of it; and so near its date that caps find it (ledger/partitions.py).
_COUNT_SECOND = text(f"""
    INSERT INTO contact_event (business_date, party_id, at, channel, direction, loans, contact_point_id, counterparty, purpose, result,
                               attempt_business_date, attempt_id, counts, jurisdiction, external_id, source)
    SELECT c.business_date, c.party_id, least(r.at, (c.business_date + {LATE_DAYS_MAX})::timestamp AT TIME ZONE 'UTC'), c.channel,
           c.direction, c.loans, c.contact_point_id, c.counterparty, c.purpose, 'sent',
           c.attempt_business_date, c.attempt_id, true, c.jurisdiction, r.provider_id, 'provider'
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(business_date date, id bigint, at timestamptz, provider_id text)
    CROSS JOIN LATERAL ({_CONTACT_OF_ATTEMPT}) c
    ON CONFLICT (business_date, source, external_id) WHERE external_id IS NOT NULL DO NOTHING
""")  # noqa: S608  # no text from outside
_LOG_SECOND_RESULTS = text("""
    INSERT INTO contact_event (business_date, party_id, at, channel, direction, loans, contact_point_id, counterparty, purpose, result,
                               attempt_business_date, attempt_id, about_event_id, counts, jurisdiction, source)
    SELECT c.business_date, c.party_id, r.at, c.channel, c.direction, c.loans, c.contact_point_id, c.counterparty, c.purpose, r.result,
           c.attempt_business_date, c.attempt_id, c.id, false, c.jurisdiction, 'provider'
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(business_date date, result text, at timestamptz, provider_id text)
    JOIN contact_event c ON c.business_date = r.business_date AND c.source = 'provider' AND c.external_id = r.provider_id
""")
