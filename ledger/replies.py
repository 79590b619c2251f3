"""A person's message: whose it is, what it means, and what it does, in one transaction under the borrowers' lock.

A number may belong to several people. A stop, danger and "wrong person" then count for all of them; anything that lowers
nobody's contact but one's own is left to a person, unless only one of them was written to.

In:   an inbound message; config/replies.yaml.
Out:  the message in the contact log, outcomes, opt-outs, holds, the attempt that it follows moved to `replied`.
Pure: no; reads and writes the ledger.
Source: DOMAIN.md, "What the borrower's answer does"; CASES.md for the order of intents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, text

from config.replies import ReplyPolicy
from decisions.replies import HERE, UNCLEAR, Reading, paid_hold_until, read_reply
from ledger import answers, attempts, vault
from ledger.answers import Answer
from ledger.attempts import StatusEvent
from ledger.locks import lock_borrowers

# Twilio writes the channel before the number; a plain number is a text message.
PREFIXES: Final = ("whatsapp", "rcs", "messenger")
ANSWERS_NOBODY: Final = "no_party"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """A message from a person.

    Attributes:
        event_id: Its inbox row.
        provider_id: The provider's id of it.
        sender: Number that it came from, with the channel's prefix if it is no text message.
        text: As written.
        provider_says: Intent that the provider itself recognised, or None.
        at: Business instant, UTC.
    """

    event_id: int
    provider_id: str
    sender: str
    text: str
    provider_says: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    """A message, read, with whom it may come from."""

    message: Inbound
    reading: Reading
    channel: str
    value: bytes
    people: Sequence[Row[Any]]
    # The one person that it surely speaks for, or None.
    speaker: Row[Any] | None


def hear(tx: Connection, message: Inbound, policy: ReplyPolicy) -> str:
    """Let a message do what it means.

    Returns:
        What it was taken to mean, or `no_party` where the number is nobody's.
    """
    channel, number = _channel(message.sender)
    value = vault.blind_index(number)
    lock_borrowers(tx, tx.execute(_PARTIES, {"value": value}).scalars())
    since = message.at - timedelta(days=policy.follows_attempt_days)
    people = tx.execute(_PEOPLE, {"value": value, "channel": channel, "since": since, "at": message.at}).all()
    if not people:
        return ANSWERS_NOBODY
    reading = read_reply(message.text, policy.lexicon, provider_says=message.provider_says)
    heard = _Heard(message=message, reading=reading, channel=channel, value=value, people=people, speaker=_speaker(people))
    for person in people:
        _log(tx, heard, person)
    _follow(tx, heard)
    for intent in reading.intents:
        _take_effect(tx, heard, intent, policy)
    return reading.intent


def _channel(sender: str) -> tuple[str, str]:
    """The channel that a sender's address belongs to, and the bare number."""
    prefix, separator, number = sender.partition(":")
    return (prefix, number) if separator and prefix in PREFIXES else ("sms", sender)


def _speaker(people: Sequence[Row[Any]]) -> Row[Any] | None:
    """Whom a message speaks for: the only owner of the number, or the only one of them whom we wrote to at it."""
    addressed = [person for person in people if person.attempt_id is not None]
    candidates = people if len(people) == 1 else addressed
    sure = len(candidates) == 1 and candidates[0].is_current and not candidates[0].is_disowned
    return candidates[0] if sure else None


def _log(tx: Connection, heard: _Heard, person: Row[Any]) -> None:
    """The message in the one log; it counts towards no cap."""
    zone = ZoneInfo(person.known_zone or (person.zones[0] if person.zones else "UTC"))
    tx.execute(
        _INBOUND,
        {
            "business_date": heard.message.at.astimezone(zone).date(),
            "party": person.party_id,
            "at": heard.message.at,
            "channel": heard.channel,
            "contact_point": person.contact_point_id,
            "counterparty": person.owner,
            "attempt_date": person.attempt_date,
            "attempt": person.attempt_id,
            # One message of a shared number stands once for each of its people.
            "external_id": f"{heard.message.provider_id}:{person.party_id}",
        },
    )


def _follow(tx: Connection, heard: _Heard) -> None:
    """Say of the latest message to that number that it was replied to."""
    written_to = [person for person in heard.people if person.attempt_id is not None]
    if not written_to:
        return
    latest = max(written_to, key=lambda person: (person.submitted_at, person.attempt_id))
    token: UUID = latest.token
    told = StatusEvent(
        event_id=heard.message.event_id, token=token, provider_id=None, state="replied", error_code=None, at=heard.message.at
    )
    attempts.apply_provider_events(tx, [told], at=heard.message.at)


def _take_effect(tx: Connection, heard: _Heard, intent: str, policy: ReplyPolicy) -> None:
    """One intent's effect, and the outcome that says so; for everybody of the number, or for the one who speaks."""
    at = heard.message.at
    everybody = [person.party_id for person in heard.people]
    needs_person = True
    if intent == "stop":
        channels = [heard.channel if channel == HERE else channel for channel in heard.reading.scope]
        answers.opt_out(tx, everybody, channels, at=at)
        needs_person = False
    elif intent == "danger":
        for party_id in everybody:
            answers.hold(tx, party_id, heard.reading.danger_kind or "complaint", starts_at=at, until=None)
    elif intent == "wrong_person":
        answers.disown(tx, heard.value, at=at)
    elif intent == "paid" and heard.speaker is not None:
        needs_person = _claim_payment(tx, heard.speaker, at, policy)
    elif intent == "start" and heard.speaker is not None:
        answers.opt_in(tx, heard.speaker.party_id, heard.channel, at=at)
        needs_person = False
    for person in heard.people:
        if heard.speaker is None or intent in _FOR_EVERYBODY or person is heard.speaker:
            answers.record(tx, _answer(heard, person, intent, needs_person=needs_person))


# What one of several people at a number says protects all of them.
_FOR_EVERYBODY: Final = frozenset({"stop", "danger", "wrong_person"})


def _claim_payment(tx: Connection, person: Row[Any], at: datetime, policy: ReplyPolicy) -> bool:
    """Hold while a payment is under way; said again it is a dispute that a person settles. Returns whether one must look."""
    if answers.said_paid_since(tx, person.party_id, at - timedelta(days=policy.paid_repeated_within_days)):
        answers.hold(tx, person.party_id, "dispute", starts_at=at, until=None)
        return True
    zones = (person.known_zone,) if person.known_zone else tuple(person.zones)
    until = paid_hold_until(at, zones=zones, country=person.country, business_days=policy.paid_hold_business_days)
    answers.hold(tx, person.party_id, "paid_claimed", starts_at=at, until=until)
    return False


def _answer(heard: _Heard, person: Row[Any], intent: str, *, needs_person: bool) -> Answer:
    return Answer(
        party_id=person.party_id,
        event_id=heard.message.event_id,
        attempt=(person.attempt_date, person.attempt_id) if person.attempt_id is not None else None,
        channel=heard.channel,
        intent=intent,
        because=heard.reading.because if intent == heard.reading.intent and intent != UNCLEAR else None,
        needs_person=needs_person,
        at=heard.message.at,
    )


# Also owners of long ago: a stop from an old number is a stop.
_PARTIES = text("""
    SELECT DISTINCT p.party_id FROM contact_point_version v JOIN contact_point p ON p.id = v.contact_point_id
    WHERE v.blind_index = :value
""")
# One row a person: the number as the person's contact point, and the latest message that went to it.
_PEOPLE = text("""
    SELECT o.party_id, o.contact_point_id, o.owner, o.is_current, o.is_disowned, b.country, b.known_zone, coalesce(b.zones, '{}') AS zones,
           a.business_date AS attempt_date, a.id AS attempt_id, a.token, a.submitted_at
    FROM (
        SELECT DISTINCT ON (p.party_id) p.party_id, p.id AS contact_point_id, v.owner, v.superseded_at IS NULL AS is_current,
               EXISTS (SELECT 1 FROM contact_value w WHERE w.blind_index = :value AND w.superseded_at IS NULL
                         AND w.ownership IN ('wrong', 'reassigned')) AS is_disowned
        FROM contact_point_version v JOIN contact_point p ON p.id = v.contact_point_id
        WHERE v.blind_index = :value
        ORDER BY p.party_id, v.superseded_at IS NULL DESC, v.id DESC
    ) o
    LEFT JOIN party_version b ON b.party_id = o.party_id AND b.superseded_at IS NULL
    LEFT JOIN LATERAL (
        SELECT t.business_date, t.id, t.token, t.submitted_at
        FROM attempt t JOIN contact_point_version s ON s.contact_point_id = t.contact_point_id AND s.blind_index = :value
        WHERE t.party_id = o.party_id AND t.channel = :channel AND t.state IN ('accepted', 'sent', 'delivered', 'read', 'replied')
          AND t.submitted_at BETWEEN :since AND :at
        ORDER BY t.submitted_at DESC, t.id DESC LIMIT 1
    ) a ON true
    ORDER BY o.party_id
""")
_INBOUND = text("""
    INSERT INTO contact_event (business_date, party_id, at, channel, direction, contact_point_id, counterparty, result,
                               attempt_business_date, attempt_id, counts, external_id, source)
    VALUES (:business_date, :party, :at, :channel, 'inbound', :contact_point, :counterparty, 'received',
            :attempt_date, :attempt, false, :external_id, 'inbox')
""")
