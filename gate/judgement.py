"""Judging again: the facts as they are under the lock, the same rules as at planning, and the words that would be sent.

In:   facts, planned attempts, rule packs, texts, an instant.
Out:  one `Judged` an attempt.
Pure: yes; claim.py reads and writes around it.
Source: ARCHITECTURE.md, "One borrower through one stage" 5; docs/adr/0003: planning and gate call the same `judge`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import polars as pl

from decisions import gate_verdict
from decisions.candidates import owed
from decisions.choose import NO_CONTACT_POINT, NO_TEXT, NOT_IN_STAGE
from decisions.facts import CANDIDATES, Facts, type_instant
from decisions.messages import GapError, NoTextError, Rendered, Texts, render
from decisions.money import UnknownCurrencyError
from decisions.packs import Packs
from decisions.rules import judge
from ledger.outbox import Planned

# Written down with a contact that is made; a party without a country is never contacted.
_NOWHERE: Final[tuple[str, ...]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A planned attempt and what the gate says of it.

    Attributes:
        planned: The attempt.
        action: A word of decisions/gate_verdict.py.
        reasons: Rule ids and what it lacks.
        send_after: For `later`.
        ends_at: By then it must have been delivered: its window's end, or its own.
        loans: That it speaks of.
        counterparty: Who is contacted, in the field's words.
        jurisdictions: That attach to the person.
        zones: That decided.
        words: What would be said; None where there is no text.
    """

    planned: Planned
    action: str
    reasons: tuple[str, ...]
    send_after: datetime | None
    ends_at: datetime
    loans: tuple[int, ...]
    counterparty: str
    jurisdictions: tuple[str, ...]
    zones: tuple[str, ...]
    words: Rendered | None = field(repr=False)


def judge_again(
    facts: Facts, planned: Sequence[Planned], *, stage: str, packs: Packs, texts: Texts, at: datetime, public_url: str
) -> list[Judged]:
    """Judge planned attempts by the facts as they are now.

    Args:
        facts: Read after the lock, about exactly these borrowers.
        planned: Read after the lock; at most one a borrower.
        stage: Of the run; whoever has left it is not treated by it.
        packs: Rule packs in force.
        texts: All messages.
        at: Business instant.
        public_url: Where links to the borrower's page lead.

    Returns:
        One answer an attempt, in their order.
    """
    asked = {row["party_id"]: row for row in owed(facts.loans).iter_rows(named=True)}
    people = {row["party_id"]: row for row in facts.borrowers.iter_rows(named=True)}
    owners = dict(facts.contact_points.select("contact_point_id", "owner").iter_rows())
    drafts = [_draft(attempt, asked.get(attempt.party_id), stage=stage, texts=texts, public_url=public_url) for attempt in planned]
    rows = [
        _row(number, attempt, lacks, asked.get(attempt.party_id), people.get(attempt.party_id), owners.get(attempt.contact_point_id), at)
        for number, (attempt, (_, lacks)) in enumerate(zip(planned, drafts, strict=True))
    ]
    frame = pl.DataFrame(
        rows, schema={**CANDIDATES, "expires_at": type_instant, "paused": pl.Boolean, "lacks": pl.List(pl.String)}, orient="row"
    )
    judged = judge(facts, frame.select(*CANDIDATES), packs)
    decided = gate_verdict.verdicts(frame.select("candidate", "expires_at", "paused", "lacks"), judged, at=at)
    return [
        Judged(
            planned=attempt,
            action=verdict["action"],
            reasons=tuple(verdict["reasons"]),
            send_after=verdict["send_after"],
            ends_at=verdict["ends_at"],
            loans=tuple(row["loans"]),
            counterparty=row["counterparty"],
            jurisdictions=tuple(people.get(attempt.party_id, {}).get("jurisdictions") or _NOWHERE),
            zones=_zones(people.get(attempt.party_id)),
            words=words,
        )
        for attempt, row, (words, _), verdict in zip(planned, rows, drafts, decided.iter_rows(named=True), strict=True)
    ]


def _row(
    number: int,
    attempt: Planned,
    lacks: list[str],
    asked: Mapping[str, Any] | None,
    person: Mapping[str, Any] | None,
    owner: str | None,
    at: datetime,
) -> dict[str, Any]:
    """One candidate for the rules, and what the verdict needs beside their answer."""
    debtor = asked["counterparty"] if asked else "borrower"
    paused = person is not None and (person["paused"] or attempt.channel in person["paused_channels"])
    return {
        "candidate": number,
        "party_id": attempt.party_id,
        "contact_point_id": attempt.contact_point_id,
        "channel": attempt.channel,
        "purpose": attempt.purpose,
        "at": at,
        "loans": list(asked["loans"]) if asked else [],
        # As at planning: someone else's phone makes that person the one who is contacted, whoever owes.
        "counterparty": debtor if owner in {None, "borrower"} else owner,
        "automated": True,
        "expires_at": attempt.expires_at,
        "paused": paused,
        "lacks": lacks,
    }


def _draft(
    attempt: Planned, asked: Mapping[str, Any] | None, *, stage: str, texts: Texts, public_url: str
) -> tuple[Rendered | None, list[str]]:
    """The words for an attempt, and what is missing for sending it."""
    lacks = []
    if attempt.sender is None:
        lacks.append(gate_verdict.NO_SENDER)
    if attempt.value_encrypted is None:
        lacks.append(NO_CONTACT_POINT)
    if asked is None:
        return None, [gate_verdict.NOTHING_DUE, *lacks]
    if asked["stage"] != stage:
        lacks.append(NOT_IN_STAGE)
    words = _words(attempt, asked, texts, public_url)
    return words, lacks if words else [*lacks, NO_TEXT]


def _words(attempt: Planned, asked: Mapping[str, Any], texts: Texts, public_url: str) -> Rendered | None:
    if texts.locale_for(attempt.locale, attempt.message, attempt.channel, attempt.creditor_role) != attempt.locale:
        return None
    try:
        return render(
            texts.text(attempt.message, attempt.locale),
            channel=attempt.channel,
            creditor_name=attempt.creditor_name,
            amount_minor=asked["amount_minor"],
            currency=asked["currency"],
            due_on=asked["due_on"],
            link=f"{public_url}/b/{attempt.token}",
        )
    except (NoTextError, GapError, UnknownCurrencyError):
        # Nobody is contacted with half a text.
        return None


def _zones(person: Mapping[str, Any] | None) -> tuple[str, ...]:
    if person is None:
        return _NOWHERE
    return (person["known_zone"],) if person["known_zone"] else tuple(person["zones"])
