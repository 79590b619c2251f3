"""A person's message: whose it is, what it means, and what it does, in one transaction under the borrowers' lock.

A number may belong to several people. A stop, danger and "wrong person" then count for all of them; anything that lowers
nobody's contact but one's own is left to a person, unless only one of them was written to. A stop from a number of nobody
is remembered: whoever's number it becomes by a later import is not contacted there.

In:   an inbound message; config/replies.yaml.
Out:  the message in the contact log, outcomes, opt-outs, holds, promises, cases, the attempt that it follows moved to `replied`.
Pure: no; reads and writes the ledger.
Source: DOMAIN.md, "What the borrower's answer does"; CASES.md for the order of intents.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, text

from config.replies import ReplyPolicy
from decisions.business_days import business_day_after, business_days_end, day_ends_at
from decisions.replies import HERE, UNCLEAR, Reading, Setting, read_reply
from ledger import addresses, answers, attempts, call_queue, cases, promises, vault
from ledger.answers import Answer
from ledger.attempts import StatusEvent
from ledger.call_queue import CallWindow
from ledger.cases import Statement
from ledger.locks import lock_with_liable

# The field of an inbox row that holds what was pressed, or said to a colleague, in place of a text.
PRESSED: Final = "Pressed"
# Whoever writes or presses a key here can be called at the same number.
_CALLABLE: Final = frozenset({"sms", "voice", "call"})
ANSWERS_NOBODY: Final = "no_party"
# The kind of danger that is a death; whose, a person finds out.
_MOURNS: Final = "bereavement"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """What somebody said without words to be read: by a key in a call, on her page, or to a colleague who took it down.

    Attributes:
        intent: One of decisions/replies.py.
        also: Further ones.
        scope: Channels that a stop is for.
        on: Local date that was named.
        amount_minor: Amount that was named, in minor units of the debt's currency.
        party_id: Who surely speaks; None = whoever holds the phone.
        because: How that is known, in a word of ours.
    """

    intent: str
    also: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    on: date | None = None
    amount_minor: int | None = None
    party_id: int | None = None
    because: str = PRESSED.lower()

    @property
    def field(self) -> str:
        """As an inbox row keeps it."""
        return json.dumps(asdict(self), default=str)

    @property
    def reading(self) -> Reading:
        """As a text with that meaning would be read."""
        return Reading(
            intent=self.intent, also=self.also, scope=self.scope, because=self.because, on=self.on, amount_minor=self.amount_minor
        )


def pressed_of(field: str) -> Pressed:
    """What an inbox row kept."""
    kept = json.loads(field)
    on = None if kept["on"] is None else date.fromisoformat(kept["on"])
    return Pressed(**{**kept, "also": tuple(kept["also"]), "scope": tuple(kept["scope"]), "on": on})


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
        said: What it means, where there is no text to be read.
    """

    event_id: int
    provider_id: str
    sender: str
    text: str
    provider_says: str | None
    at: datetime
    said: Pressed | None = None


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
    currency: str | None


def hear(tx: Connection, message: Inbound, policy: ReplyPolicy) -> str:
    """Let a message do what it means.

    Returns:
        What it was taken to mean, or `no_party` where the number is nobody's.
    """
    channel, number = addresses.split(message.sender)
    value = vault.blind_index(number)
    lock_with_liable(tx, tx.execute(_PARTIES, {"value": value}).scalars())
    since = message.at - timedelta(days=policy.follows_attempt_days)
    people = tx.execute(_PEOPLE, {"value": value, "channel": channel, "since": since, "at": message.at}).all()
    speaker = _speaker(people, message.said)
    setting = _setting(message, speaker or (people[0] if people else None))
    reading = (
        message.said.reading
        if message.said is not None
        else read_reply(message.text, policy.lexicons.of(setting.locale), provider_says=message.provider_says, setting=setting)
    )
    if not people:
        if _OF_A_NUMBER.intersection(reading.intents):
            answers.disown(tx, value, at=message.at)
        return ANSWERS_NOBODY
    heard = _Heard(
        message=message, reading=reading, channel=channel, value=value, people=people, speaker=speaker, currency=setting.currency
    )
    for person in people:
        _log(tx, heard, person)
    _follow(tx, heard)
    for intent in reading.intents:
        _take_effect(tx, heard, intent, policy)
    return reading.intent


def _speaker(people: Sequence[Row[Any]], said: Pressed | None) -> Row[Any] | None:
    """Whom a message speaks for: the only owner of the number, or the only one of them whom we wrote to at it; or who said who she is."""
    if said is not None:
        return next((person for person in people if person.party_id == said.party_id), None)
    addressed = [person for person in people if person.attempt_id is not None]
    candidates = people if len(people) == 1 else addressed
    sure = len(candidates) == 1 and candidates[0].is_current and not candidates[0].is_disowned
    return candidates[0] if sure else None


def _setting(message: Inbound, person: Row[Any] | None) -> Setting:
    """What the text does not say: the day where the person is, the language, the currency of the debt where it is one."""
    if person is None:
        return Setting(today=message.at.date())
    currencies = person.currencies or []
    return Setting(
        today=message.at.astimezone(_zone(person)).date(),
        locale=person.locale,
        currency=currencies[0] if len(currencies) == 1 else None,
    )


def _zone(person: Row[Any]) -> ZoneInfo:
    return ZoneInfo(person.known_zone or (person.zones[0] if person.zones else "UTC"))


def _zones(person: Row[Any]) -> tuple[str, ...]:
    return (person.known_zone,) if person.known_zone else tuple(person.zones)


def _log(tx: Connection, heard: _Heard, person: Row[Any]) -> None:
    """The message in the one log; it counts towards no cap."""
    tx.execute(
        _INBOUND,
        {
            "business_date": heard.message.at.astimezone(_zone(person)).date(),
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
        channels = dict.fromkeys(heard.channel if channel == HERE else channel for channel in heard.reading.scope)
        answers.opt_out(tx, everybody, list(channels), at=at)
        needs_person = False
    elif intent == "danger":
        _leave_alone(tx, heard, policy)
    elif intent == "wrong_person":
        answers.disown(tx, heard.value, at=at)
        for person in (one for one in heard.people if one.is_current):
            _open_case(tx, heard, person, "wrong_number", policy, stated_by="third_party")
    elif heard.speaker is not None and (own := _OWN.get(intent)) is not None:
        needs_person = own(tx, heard, heard.speaker, policy)
    for person in heard.people:
        if heard.speaker is None or intent in _FOR_EVERYBODY or person is heard.speaker:
            answers.record(tx, _answer(heard, person, intent, needs_person=needs_person))


# What one of several people at a number says protects all of them.
_FOR_EVERYBODY: Final = frozenset({"stop", "danger", "wrong_person"})
# What a number says that belongs to nobody, and that is kept for whoever it will belong to.
_OF_A_NUMBER: Final = frozenset({"stop", "wrong_person"})


def _open_case(
    tx: Connection,
    heard: _Heard,
    person: Row[Any],
    kind: str,
    policy: ReplyPolicy,
    *,
    loan_id: int | None = None,
    stated_by: str = "borrower",
    hold: str | None = None,
) -> None:
    """What the person is owed an answer to from now on, and the hold that goes with it."""
    pressed = heard.message.said
    said = Statement(
        party_id=person.party_id,
        kind=kind,
        at=heard.message.at,
        channel=heard.channel,
        loan_id=loan_id,
        event_id=heard.message.event_id,
        stated_by=stated_by,
        # On a form the amount is the part that is disputed; in a text it may be anything.
        disputed_minor=pressed.amount_minor if pressed is not None and kind == "dispute" and loan_id is not None else None,
        hold=hold,
        words=heard.message.text or None,
    )
    cases.open_case(tx, said, policy.cases)


def _leave_alone(tx: Connection, heard: _Heard, policy: ReplyPolicy) -> None:
    """Whoever may be in danger is not contacted any more, nor anybody at the same number; where somebody has died, a case is opened."""
    kind = heard.reading.danger_kind or "complaint"
    for person in heard.people:
        if kind == _MOURNS:
            _open_case(tx, heard, person, "deceased", policy, stated_by="unknown", hold=kind)
        else:
            answers.hold(tx, person.party_id, kind, starts_at=heard.message.at, until=None)


def _claim_payment(tx: Connection, heard: _Heard, person: Row[Any], policy: ReplyPolicy) -> bool:
    """Hold while a payment is under way; said again it is a dispute that a person settles. Returns whether one must look."""
    at = heard.message.at
    if answers.said_paid_since(tx, person.party_id, at - timedelta(days=policy.paid_repeated_within_days)):
        _open_case(tx, heard, person, "dispute", policy)
        return True
    by_rail = policy.paid_hold_by_rail.get(answers.last_rail(tx, person.party_id) or "", 0)
    days = max(policy.paid_hold_business_days, by_rail)
    until = business_days_end(at, zones=_zones(person), country=person.country, business_days=days)
    answers.hold(tx, person.party_id, "paid_claimed", starts_at=at, until=until)
    return False


def _start(tx: Connection, heard: _Heard, person: Row[Any], policy: ReplyPolicy) -> bool:
    del policy
    answers.opt_in(tx, person.party_id, heard.channel, at=heard.message.at)
    return False


def _promise(tx: Connection, heard: _Heard, person: Row[Any], policy: ReplyPolicy) -> bool:
    """Leave in peace until the day that was named is over and settled.

    A person looks at one without a day, one that is too far ahead or too small, and at whoever has broken several.
    """
    at, on, terms = heard.message.at, heard.reading.on, policy.promises
    today = at.astimezone(_zone(person)).date()
    amount_minor, currency = heard.reading.amount_minor, heard.currency
    if on is None or not promises.is_good(tx, person.party_id, on, amount_minor=amount_minor, currency=currency, today=today, terms=terms):
        return True
    promises.make_room(tx, person.party_id, on, amount_minor=amount_minor if currency is not None else None, at=at)
    # A message about several loans leaves it open which of them is meant.
    loan_id = person.loans[0] if len(person.loans or ()) == 1 else None
    answers.promise(tx, person.party_id, on, amount_minor=amount_minor, currency=currency, at=at, loan_id=loan_id)
    if promises.plan_is_due(tx, person.party_id, today=today, terms=terms):
        return True
    # What is paid on the day itself takes some days to be posted; nobody is asked meanwhile.
    last_day = business_day_after(on, country=person.country, business_days=terms.settlement_business_days)
    answers.hold(tx, person.party_id, "promise", starts_at=at, until=day_ends_at(last_day, zones=_zones(person)))
    return False


def _hardship(tx: Connection, heard: _Heard, person: Row[Any], policy: ReplyPolicy) -> bool:
    """Nobody is pressed who says that they cannot: a person offers a plan or more time."""
    _open_case(tx, heard, person, "hardship", policy)
    return True


def _dispute(tx: Connection, heard: _Heard, person: Row[Any], policy: ReplyPolicy) -> bool:
    """Hold what the message spoke of, or everything where it spoke of nothing that we know."""
    for loan_id in person.loans or [None]:
        _open_case(tx, heard, person, "dispute", policy, loan_id=loan_id)
    return True


def _complaint(tx: Connection, heard: _Heard, person: Row[Any], policy: ReplyPolicy) -> bool:
    """Nobody is asked for anything while a person looks at how she was treated."""
    _open_case(tx, heard, person, "complaint", policy)
    return True


def _callback(tx: Connection, heard: _Heard, person: Row[Any], policy: ReplyPolicy) -> bool:
    """Nothing automatic until the call is made that is owed now: by the phone team, until the days for it are over."""
    at = heard.message.at
    until = business_days_end(at, zones=_zones(person), country=person.country, business_days=policy.callback_business_days)
    answers.hold(tx, person.party_id, "callback", starts_at=at, until=until)
    # What a colleague writes down brings a window of its own (gate/dial.py).
    point = person.contact_point_id if heard.channel in _CALLABLE else None
    call_queue.enqueue_callback(
        tx,
        party_id=person.party_id,
        because=f"{heard.channel}: {heard.reading.intent}",
        window=CallWindow(at, until),
        at=at,
        contact_point_id=point,
    )
    return True


def _help(tx: Connection, heard: _Heard, person: Row[Any], policy: ReplyPolicy) -> bool:
    """A person answers; who asked for one in a call is called."""
    return _callback(tx, heard, person, policy) if heard.channel == "voice" else True


# What an intent does for the one who speaks; each says whether a person must look.
_OWN: Final[Mapping[str, Callable[[Connection, _Heard, Row[Any], ReplyPolicy], bool]]] = {
    "paid": _claim_payment,
    "start": _start,
    "promise": _promise,
    "cannot_pay": _hardship,
    "dispute": _dispute,
    "complaint": _complaint,
    "call_me": _callback,
    "help": _help,
}


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
        due_on=heard.reading.on,
        amount_minor=heard.reading.amount_minor if heard.currency else None,
        currency=heard.currency,
    )


# Also owners of long ago: a stop from an old number is a stop.
_PARTIES = text("""
    SELECT DISTINCT p.party_id FROM contact_point_version v JOIN contact_point p ON p.id = v.contact_point_id
    WHERE v.blind_index = :value
""")
# One row a person: the number as the person's contact point, and the latest message that went to it.
_PEOPLE = text("""
    SELECT o.party_id, o.contact_point_id, o.owner, o.is_current, o.is_disowned, b.country, b.known_zone, coalesce(b.zones, '{}') AS zones,
           b.locale, m.currencies, e.loans, a.business_date AS attempt_date, a.id AS attempt_id, a.token, a.submitted_at
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
    LEFT JOIN LATERAL (
        SELECT c.loans FROM contact_event c
        WHERE c.business_date = a.business_date AND c.attempt_business_date = a.business_date AND c.attempt_id = a.id
          AND c.direction = 'outbound' AND c.about_event_id IS NULL
        ORDER BY c.id DESC LIMIT 1
    ) e ON true
    LEFT JOIN LATERAL (
        SELECT array_agg(DISTINCT v.currency) AS currencies
        FROM loan_party lp JOIN loan_version v ON v.loan_id = lp.loan_id AND v.superseded_at IS NULL
        WHERE lp.party_id = o.party_id AND lp.superseded_at IS NULL AND (coalesce(e.loans, '{}') = '{}' OR lp.loan_id = ANY(e.loans))
    ) m ON true
    ORDER BY o.party_id
""")
_INBOUND = text("""
    INSERT INTO contact_event (business_date, party_id, at, channel, direction, contact_point_id, counterparty, result,
                               attempt_business_date, attempt_id, counts, external_id, source)
    VALUES (:business_date, :party, :at, :channel, 'inbound', :contact_point, :counterparty, 'received',
            :attempt_date, :attempt, false, :external_id, 'inbox')
""")
