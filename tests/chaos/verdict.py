"""Who was contacted twice, lost, or against a rule: from what phones received, compared with what we say of each attempt.

Nothing of this asks the gate. Messages are told apart by what stands in them (the link of a text, the data of a push), then by the
provider's id; the rules are recomputed by the auditor's own SQL (ledger/audit.py).

Another server of the same protocols has no phones to look into. Then its list of messages stands for them, and three things
cannot be known, and are said: what became of pushes (there is no list), what a phone received of what the list calls
delivered, and at which business instant (its clock is not ours: the instant at which the gate let the message go is taken).

In:   the outside's record; every attempt as `tideover export attempts` writes it.
Out:  counts as CASES.md defines them.
Pure: `count` is; the rest reads.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import text
from twilio.rest import Client  # type: ignore[import-untyped]  # twilio ships no py.typed

from config.audit_limits import audit_limits
from config.settings import settings
from ledger import vault
from ledger.audit import Received, find_violations
from ledger.engine import connection
from local.export_commands import lines
from tests.chaos.house import House

# What we say of an attempt.
CALLED_SENT: Final = frozenset({"accepted", "sent", "delivered", "read", "replied"})
CALLED_NOT_SENT: Final = frozenset({"planned", "withheld", "superseded", "expired", "rejected", "failed", "undelivered"})
NEVER_LEFT: Final = frozenset({"planned"})
OPEN: Final = frozenset({"submitting", "unknown"})
# Counted as twice and lost; not a second time as against a rule.
OTHERWISE_COUNTED: Final = frozenset({"twice_for_one_attempt", "called_not_sent_but_received"})
# What another server says of a message that reached nobody.
REACHED_NOBODY: Final = frozenset({"failed", "undelivered", "canceled", "scheduled"})
_TOKEN: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One message that reached somebody, as the outside has it."""

    channel: str
    to: str = field(repr=False)
    words: str = field(repr=False)
    provider_id: str
    at: datetime


@dataclass(slots=True, kw_only=True)
class Verdict:
    """The counts, and what helps to find out why."""

    twice: int = 0
    lost: int = 0
    against_rule: int = 0
    unknown: int = 0
    parked: int = 0
    because: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    attempts_in_question: list[int] = field(default_factory=list)


def count(attempts: Sequence[Mapping[str, Any]], heard: Iterable[Heard], token_of: Mapping[str, int], *, blind: frozenset[str]) -> Verdict:
    """Compare what we say with what was received.

    Args:
        attempts: As exported.
        heard: What reached people.
        token_of: Token in lower case → attempt's id.
        blind: Channels of which the outside keeps no record: what we say of them cannot be checked.

    Returns:
        Counts without `against_rule`.
    """
    verdict = Verdict()
    by_provider_id = {(one["channel"], one["provider_id"]): one["attempt_id"] for one in attempts if one["provider_id"]}
    of_address: dict[tuple[str, str], set[int]] = defaultdict(set)
    for one in attempts:
        of_address[one["channel"], one["to"]].add(one["attempt_id"])
    received: Counter[int] = Counter()
    for message in heard:
        named = {token_of[token.lower()] for token in _TOKEN.findall(message.words) if token.lower() in token_of}
        known = by_provider_id.get((message.channel, message.provider_id))
        possible = named or ({known} if known is not None else of_address[message.channel, message.to])
        if len(possible) == 1:
            received[next(iter(possible))] += 1
        else:
            verdict.because["received, and no attempt explains it"] += 1
    for one in attempts:
        times, state = received[one["attempt_id"]], one["state"]
        if state in CALLED_SENT and one["provider_id"] is None:
            verdict.because[f"{one['channel']} {state} on the word of who received it: the provider's id is not known"] += 1
        verdict.states[f"{one['channel']} {state}"] += 1
        verdict.twice += times > 1
        verdict.unknown += state in OPEN
        verdict.parked += state == "parked"
        why = _why_lost(state, times, is_seen=one["channel"] not in blind)
        if why is not None:
            verdict.lost += 1
            verdict.because[why] += 1
        if why is not None or times > 1:
            verdict.attempts_in_question.append(one["attempt_id"])
        if state == "parked":
            verdict.because[f"{one['channel']} parked, " + ("received" if times else "and nobody received it")] += 1
    return verdict


def _why_lost(state: str, times: int, *, is_seen: bool) -> str | None:
    """Why an attempt in this state, received so many times, counts as lost; None where it does not."""
    if state in NEVER_LEFT:
        return "never left"
    if state in CALLED_NOT_SENT and times:
        return f"called {state}, and received"
    if state in CALLED_SENT and not times and is_seen:
        return f"called {state}, and not received"
    return None


def judge(house: House, today: date) -> Verdict:
    """The verdict on everything that happened in a house."""
    heard = _listed() if house.outside else _received(house)
    with connection() as tx:
        token_of = {str(row.token): int(row.id) for row in tx.execute(text("SELECT id, token FROM attempt"))}
    attempts = list(lines())
    verdict = count(attempts, heard, token_of, blind=frozenset({"push"}) if house.outside else frozenset())
    let_go = {one["provider_id"]: datetime.fromisoformat(one["submitted_at"]) for one in attempts if one["submitted_at"]}
    received = [
        Received(
            channel=message.channel,
            blind_index=vault.blind_index(message.to),
            provider_id=message.provider_id,
            at=let_go.get(message.provider_id, message.at) if house.outside else message.at,
        )
        for message in heard
    ]
    with connection() as tx:
        violations = [one for one in find_violations(tx, received, audit_limits(today)) if one.check not in OTHERWISE_COUNTED]
    verdict.against_rule = len({one.provider_id for one in violations})
    verdict.because.update(f"against {one.check}" for one in violations)
    return verdict


def _received(house: House) -> list[Heard]:
    """What phones received, as our sandbox recorded it, once nothing is on its way to them any more."""
    house.await_carriers()
    rows = [json.loads(line) for line in house.sandbox("GET", "received").splitlines()]
    return [
        Heard(
            channel=row["channel"],
            to=row["to"],
            words=row["body"] + " " + json.dumps(row.get("data") or {}),
            provider_id=row["provider_id"],
            at=datetime.fromisoformat(row["received_at"]),
        )
        for row in rows
    ]


def _listed() -> list[Heard]:
    """What another server lists as sent to people."""
    chosen = settings()
    client = Client(chosen.twilio_account_sid, chosen.twilio_auth_token.get_secret_value(), environment={"_": ""})
    client.api.base_url = chosen.twilio_base_url
    return [
        Heard(channel="sms", to=str(one.to), words=str(one.body), provider_id=str(one.sid), at=one.date_created)
        for one in client.messages.stream(page_size=1000)
        if str(one.direction) == "outbound-api" and str(one.status) not in REACHED_NOBODY
    ]
