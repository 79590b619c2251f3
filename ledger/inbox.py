"""The inbox: whatever a provider or the app says is kept raw first, then applied; once, however often it is said.

Two transactions: one that keeps (a callback that came is never lost), one that applies. A crash between them leaves a row
without `applied_at`, which `apply_waiting` finds. A row is applied under its own lock, so two workers never apply it twice.

In:   what was said, already known to be genuine (the portal checks signatures); the provider's vocabulary and the policy
      for replies, handed in.
Out:  rows of `provider_event` and its encrypted payload; attempts moved on; answers (ledger/answers.py).
Pure: no; reads and writes the ledger. A payload leaves this file only as an effect.
Source: ARCHITECTURE.md "One borrower through one stage", 6; PROVIDERS.md A5.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from config.replies import ReplyPolicy
from ledger import addresses, attempts, clock, lessons, replies, reply_windows, vault
from ledger.attempts import StatusEvent
from ledger.engine import connection
from ledger.replies import PRESSED, Pressed

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One thing that was said to us.

    Attributes:
        provider: Who spoke: `twilio`, `app`.
        provider_id: Their id of what they speak about; with `status` it says whether we have heard it before.
        kind: `status` (of a message of ours), `inbound` (a person's message), `acknowledgement` (of the app).
        status: In their words.
        token: The attempt's token, where it came along.
        error_code: Theirs, where they gave one.
        fields: Everything that was said, to be kept encrypted.
    """

    provider: str
    provider_id: str
    kind: str
    status: str
    token: UUID | None
    error_code: str | None
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What providers' words mean, in ours; channels/codes.py knows them, and whoever applies hands them in.

    Attributes:
        state_of: Provider and its status → one of `attempts.PROVIDER_STATES`, or None where it says nothing.
        meaning_of: Error code → what it teaches (ledger/lessons.py): `invalid`, `unreachable`, `opted_out`, `again_soon`, ..., `nothing`.
        result_of: Provider and its status → how a call ended, in the words of CASES.md, or None.
        intent_of: Provider's own reading of a reply (OptOutType) → an intent, or None.
        intent_of_button: What a button of our own stands for that was tapped in place of writing → an intent, or None.
        replies: How people's answers are read.
    """

    state_of: Callable[[str, str], str | None]
    meaning_of: Callable[[str | None], str]
    intent_of: Callable[[str | None], str | None]
    replies: ReplyPolicy
    intent_of_button: Callable[[str | None], str | None] = lambda _: None
    result_of: Callable[[str, str], str | None] = lambda _, __: None


def keep(tx: Connection, said: Sequence[Said]) -> dict[int, str]:
    """Keep what was said, encrypted; what was said before is only counted.

    Returns:
        Id of the inbox row → its kind; one for each different thing, in the order in which it was said.
    """
    asked: dict[tuple[str, str, str], dict[str, Any]] = {}
    first: dict[tuple[str, str, str], Said] = {}
    for one in said:
        key = (one.provider, one.provider_id, one.status)
        row = asked.setdefault(key, {**{name: getattr(one, name) for name in _KEPT}, "times": 0})
        row["times"] += 1
        first.setdefault(key, one)
    # In the order in which it was said: a start after a stop is not a stop after a start.
    rows = json.dumps(list(asked.values()), default=str)
    kept = {(row.provider, row.provider_id, row.status): row for row in tx.execute(_KEEP, {"rows": rows, "at": clock.now(tx)})}
    fresh = [(kept[key].id, first[key]) for key in asked if kept[key].times_received == asked[key]["times"]]
    if fresh:
        payloads, key_ids = zip(*(vault.encrypt(json.dumps(one.fields, ensure_ascii=False)) for _, one in fresh), strict=True)
        tx.execute(_KEEP_PAYLOADS, {"events": [event_id for event_id, _ in fresh], "payloads": list(payloads), "key_ids": list(key_ids)})
    return {kept[key].id: kept[key].kind for key in asked}


def apply(tx: Connection, event_ids: Sequence[int], vocabulary: Vocabulary) -> dict[int, str]:
    """Apply inbox rows that nobody has applied.

    Statuses may come together; a person's message comes alone, since it locks its people.

    Returns:
        Id → what it did, a short word also kept in `effect`. One is missing that was applied before or that another worker is at.
    """
    events = tx.execute(_LOCK, {"events": list(event_ids)}).all()
    statuses = [event for event in events if event.kind != "inbound"]
    effects = _apply_statuses(tx, statuses, vocabulary) | {
        event.id: _apply_message(tx, event, vocabulary) for event in events if event.kind == "inbound"
    }
    if effects:
        told = [{"event": event_id, "effect": effect} for event_id, effect in effects.items()]
        tx.execute(_APPLIED, {"effects": json.dumps(told), "at": clock.now(tx)})
    return effects


def receive(said: Sequence[Said], vocabulary: Vocabulary) -> list[int]:
    """Keep what was said, then apply it; the two in transactions of their own.

    What was kept and could not be applied stays waiting: whoever said it is not asked to say it again.

    Returns:
        Ids of the inbox rows, one for each different thing.
    """
    with connection() as tx:
        kept = keep(tx, said)
    _apply_apart(kept, vocabulary)
    return list(kept)


def apply_waiting(vocabulary: Vocabulary, *, at_most: int = 1000) -> int:
    """Apply what was kept and not applied, oldest first; one that cannot be applied does not stop the others.

    Returns:
        How many were applied.
    """
    with connection() as tx:
        waiting = {row.id: row.kind for row in tx.execute(_WAITING, {"at_most": at_most})}
    return _apply_apart(waiting, vocabulary)


def _apply_apart(kinds: Mapping[int, str], vocabulary: Vocabulary) -> int:
    """Statuses in one transaction, or each in its own where that fails; people's messages each in its own. How many."""
    statuses = [event_id for event_id, kind in kinds.items() if kind != "inbound"]
    applied = _applied(statuses, vocabulary) if statuses else 0
    alone = [event_id for event_id in kinds if applied is None or event_id not in statuses]
    return (applied or 0) + sum(_applied([event_id], vocabulary) or 0 for event_id in alone)


def _applied(event_ids: Sequence[int], vocabulary: Vocabulary) -> int | None:
    """How many were applied now; None where something is in the way."""
    try:
        with connection() as tx:
            return len(apply(tx, event_ids, vocabulary))
    except Exception as error:  # noqa: BLE001  # kept safely; it waits for whoever heals it, and the log says that it does
        # The class alone: a database's error repeats the values of its statement.
        _log.error("inbox rows %d..%d wait: not applied (%s)", min(event_ids), max(event_ids), type(error).__name__)
        return None


def _apply_statuses(tx: Connection, events: Sequence[Row[Any]], vocabulary: Vocabulary) -> dict[int, str]:
    """Move the attempts that statuses and acknowledgements are about."""
    effects: dict[int, str] = {}
    told: list[StatusEvent] = []
    for event in events:
        state = vocabulary.state_of(event.provider, event.status)
        if state is None:
            effects[event.id] = "says_nothing"
            continue
        # The app knows no provider's id.
        provider_id = event.provider_id if event.kind == "status" else None
        told.append(
            StatusEvent(
                event_id=event.id,
                token=event.token,
                provider_id=provider_id,
                state=state,
                error_code=event.error_code,
                at=event.at,
                result=vocabulary.result_of(event.provider, event.status),
            )
        )
    if told:
        effects |= attempts.apply_provider_events(tx, told, at=clock.now(tx))
    for event in events:
        if effects[event.id] == "applied" and vocabulary.state_of(event.provider, event.status) in attempts.PROVIDER_ENDS:
            meaning = vocabulary.meaning_of(event.error_code)
            lessons.learn(tx, provider=event.provider, token=event.token, provider_id=event.provider_id, at=event.at, meaning=meaning)
    return effects


def _apply_message(tx: Connection, event: Row[Any], vocabulary: Vocabulary) -> str:
    """Hear what a person wrote."""
    if event.payload_encrypted is None:
        return "payload_dropped"
    fields = json.loads(vault.decrypt(event.payload_encrypted, event.key_id))
    tapped = vocabulary.intent_of_button(fields.get("ButtonPayload"))
    message = replies.Inbound(
        event_id=event.id,
        provider_id=event.provider_id,
        sender=fields.get("From", ""),
        # The words on a button are ours: what it stands for is known, and they are not read as if she had written them.
        text="" if tapped else fields.get("Body") or fields.get("ButtonText", ""),
        provider_says=tapped or vocabulary.intent_of(fields.get("OptOutType")),
        at=event.at,
        said=_said(fields),
    )
    effect = replies.hear(tx, message, vocabulary.replies)
    if message.said is not None:
        # A key in a call opens no window for messages.
        return effect
    reply_windows.keep(
        tx,
        event_id=event.id,
        sender=message.sender,
        senders_of_ours=[fields.get("To", ""), fields.get("MessagingServiceSid", "")],
        blind_index=vault.blind_index(addresses.split(message.sender)[1]),
        at=event.at,
    )
    return effect


def _said(fields: Mapping[str, str]) -> Pressed | None:
    """What a pressed key, or a colleague who took it down, says without words; None where somebody wrote."""
    return replies.pressed_of(fields[PRESSED]) if PRESSED in fields else None


def counts_waiting(tx: Connection) -> int:
    """How many rows were kept and not applied."""
    return int(tx.execute(_COUNT_WAITING).scalar_one())


def events(tx: Connection, provider_id: str) -> Sequence[tuple[str, int, str | None]]:
    """(status, times received, effect) of everything said about one provider's id, in the order it first came."""
    rows = tx.execute(_EVENTS, {"provider_id": provider_id})
    return [(row.status, row.times_received, row.effect) for row in rows]


_KEPT = ("provider", "provider_id", "kind", "status", "token", "error_code")
_KEEP = text("""
    INSERT INTO provider_event (provider, provider_id, kind, status, token, error_code, at, times_received)
    SELECT provider, provider_id, kind, status, token, error_code, :at, times
    FROM jsonb_to_recordset(CAST(:rows AS jsonb))
        AS r(provider text, provider_id text, kind text, status text, token uuid, error_code text, times integer)
    ON CONFLICT ON CONSTRAINT provider_event_once DO UPDATE SET times_received = provider_event.times_received + excluded.times_received
    RETURNING id, provider, provider_id, kind, status, times_received
""")
# One statement for all: a row each would cost a turn each.
_KEEP_PAYLOADS = text("""
    INSERT INTO provider_event_payload (provider_event_id, payload_encrypted, key_id)
    SELECT * FROM unnest(CAST(:events AS bigint[]), CAST(:payloads AS bytea[]), CAST(:key_ids AS text[]))
""")
_LOCK = text("""
    SELECT e.id, e.provider, e.provider_id, e.kind, e.status, e.token, e.error_code, e.at, p.payload_encrypted, p.key_id
    FROM provider_event e LEFT JOIN provider_event_payload p ON p.provider_event_id = e.id AND e.kind = 'inbound'
    WHERE e.id = ANY(:events) AND e.applied_at IS NULL
    ORDER BY e.id
    FOR UPDATE OF e SKIP LOCKED
""")
_APPLIED = text("""
    UPDATE provider_event e SET applied_at = :at, effect = r.effect
    FROM jsonb_to_recordset(CAST(:effects AS jsonb)) AS r(event bigint, effect text)
    WHERE e.id = r.event
""")
_WAITING = text("SELECT id, kind FROM provider_event WHERE applied_at IS NULL ORDER BY id LIMIT :at_most")
_COUNT_WAITING = text("SELECT count(*) FROM provider_event WHERE applied_at IS NULL")
_EVENTS = text("SELECT status, times_received, effect FROM provider_event WHERE provider_id = :provider_id ORDER BY id")
