"""Judging again: the facts as they are under the lock, the same rules as at planning, and the words that would be sent.

In:   facts, planned attempts, rule packs, texts, an instant.
Out:  one `Judged` an attempt.
Pure: but for the linter's word lists, which are read once (last_look.py); claim.py reads and writes around it.
Source: ARCHITECTURE.md, "One borrower through one stage" 5; docs/adr/0003: planning and gate call the same `judge`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import polars as pl

from channels.windows import REPLY_WINDOWS, form_of, open_until
from decisions import gate_verdict
from decisions.candidates import owed
from decisions.choose import NO_CONTACT_POINT, NO_SENDER, NO_TEXT, NOT_IN_STAGE, NOT_OFFERED
from decisions.education import EDUCATION
from decisions.facts import BESIDE, CANDIDATES, Facts, Schema, type_instant
from decisions.messages import SPOKEN, VOICEMAIL, GapError, NoTextError, Rendered, Texts, render
from decisions.money import UnknownCurrencyError
from decisions.offered import offered
from decisions.packs import Packs
from decisions.planned import Planned
from decisions.rests import resting
from decisions.rules import judge
from decisions.service_messages import PLAN_REMINDER, PROMISE_REMINDER
from decisions.strategy import DIALLED, ONBOARDING, STAGE_ORDER, Strategy
from decisions.voice import NOBODY, Voice, speak
from decisions.words import GATEWAY_SENDER, SERVICE_PURPOSES
from gate.accounts import LETTER, NOTHING, Accounts
from gate.last_look import prompts_refused_by, refused_by
from ledger.addresses import Line, line_of

# Written down with a contact that is made; a party without a country is never contacted.
_NOWHERE: Final[tuple[str, ...]] = ()
# Of whom nothing is asked a text can name no amount and no date: one with such a gap is not sent.
_NOTHING_ASKED: Final[Mapping[str, Any]] = {"amount_minor": None, "currency": None, "due_on": None}
# Of both kinds of call the rules ask whether somebody is spoken to, or a machine.
LIVE: Final = "live"
SPOKEN_CHANNELS: Final = frozenset({SPOKEN, DIALLED})
_SCHEMA: Final[Schema] = {
    **CANDIDATES,
    "expires_at": type_instant,
    "paused": pl.Boolean(),
    "lacks": pl.List(pl.String),
    "text": BESIDE["text"],
    "form": BESIDE["form"],
}


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """The words for an attempt, in the form in which they may leave, and what is missing for sending it.

    Attributes:
        words: None where there is no text.
        lacks: Why it cannot be sent whatever the rules say.
        open_until: Free words must have arrived by then; None = no window binds them, or they are registered.
        needs_window: It cannot be sent after that instant at all.
    """

    words: Rendered | None
    lacks: list[str]
    open_until: datetime | None = None
    needs_window: bool = False


def judge_again(
    facts: Facts,
    planned: Sequence[Planned],
    *,
    stage: str,
    packs: Packs,
    texts: Texts,
    at: datetime,
    public_url: str,
    treatment: Strategy | None = None,
    reachable: frozenset[bytes] | None = None,
    wrote_at: Mapping[Line, datetime] | None = None,
    accounts: Accounts = NOTHING,
    voice: Voice = NOBODY,
) -> list[Judged]:
    """Judge planned attempts by the facts as they are now.

    Args:
        facts: Read after the lock, about exactly these borrowers.
        planned: Read after the lock; at most one a borrower, all of one run.
        stage: Of the run; whoever has left it is not treated by it. What serves a person (SERVICE_PURPOSES) asks for none.
        packs: Rule packs in force.
        texts: All messages.
        at: Business instant.
        public_url: Where links to the borrower's page lead.
        treatment: The stage's strategy, whose `looks_at` the facts hold: whoever was not offered the milder stage about
            what is asked for now does not meet this one (I12); None = that is not asked.
        reachable: Blind indexes of the only ones who may be reached; None = no one is left out by it.
        wrote_at: When people last wrote to the addresses that the attempts would be sent from (ledger/reply_windows.py).
        accounts: Read after the lock, for the texts that show an account or name a promise, and the letters that need an envelope.
        voice: What automated calls say beside their message; without prompts for a locale nobody is called in it.

    Returns:
        One answer an attempt, in their order.
    """
    texts = texts.as_of(at)
    owing = owed(facts.loans)
    asked = {row["party_id"]: row for row in owing.iter_rows(named=True)}
    rests = _resting(facts, planned, treatment)
    mild = None if treatment is None else set(offered(facts, owing, treatment)["party_id"])
    people = {row["party_id"]: row for row in facts.borrowers.iter_rows(named=True)}
    owners = dict(facts.contact_points.select("contact_point_id", "owner").iter_rows())
    written = [
        _draft(attempt, asked.get(attempt.party_id), stage=stage, texts=texts, public_url=public_url, accounts=accounts, voice=voice)
        for attempt in planned
    ]
    drafts = [_in_its_window(draft, attempt, wrote_at or {}, at) for draft, attempt in zip(written, planned, strict=True)]
    for attempt, draft in zip(planned, drafts, strict=True):
        if mild is not None and attempt.message != ONBOARDING and attempt.party_id in asked and attempt.party_id not in mild:
            draft.lacks.append(NOT_OFFERED)
        draft.lacks.extend(rests.get(attempt.party_id, ()))
        if reachable is not None and attempt.blind_index not in reachable:
            draft.lacks.append(gate_verdict.NOT_ON_ALLOWLIST)
    rows = [
        {
            **_row(number, attempt, asked.get(attempt.party_id), people.get(attempt.party_id), owners.get(attempt.contact_point_id), at),
            "expires_at": min(attempt.expires_at, draft.open_until) if draft.open_until and draft.needs_window else attempt.expires_at,
            "lacks": draft.lacks,
            "text": None if draft.words is None else f"{draft.words.title}\n{draft.words.body}",
        }
        for number, (attempt, draft) in enumerate(zip(planned, drafts, strict=True))
    ]
    frame = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    judged = judge(facts, frame.select(*CANDIDATES, "text", "form"), packs)
    silent = _not_for_machines(facts, frame, drafts, packs)
    decided = gate_verdict.verdicts(frame.select("candidate", "expires_at", "paused", "lacks"), judged, at=at)
    return [
        Judged(
            planned=attempt,
            action=verdict["action"],
            reasons=tuple(verdict["reasons"]),
            send_after=verdict["send_after"],
            ends_at=min(verdict["ends_at"], draft.open_until) if draft.open_until else verdict["ends_at"],
            loans=tuple(row["loans"]),
            counterparty=row["counterparty"],
            jurisdictions=tuple(people.get(attempt.party_id, {}).get("jurisdictions") or _NOWHERE),
            zones=_zones(people.get(attempt.party_id)),
            words=replace(draft.words, voicemail=None) if draft.words is not None and row["candidate"] in silent else draft.words,
        )
        for attempt, row, draft, verdict in zip(planned, rows, drafts, decided.iter_rows(named=True), strict=True)
    ]


def _resting(facts: Facts, planned: Sequence[Planned], treatment: Strategy | None) -> Mapping[int, Sequence[str]]:
    """By party, why she is left in peace for now: what she has done since it was planned counts."""
    if treatment is None or not planned:
        return {}
    found: dict[int, list[str]] = {}
    for party_id, reason in resting(facts, treatment, planned[0].business_date).iter_rows():
        found.setdefault(party_id, []).append(reason)
    return found


def _not_for_machines(facts: Facts, frame: pl.DataFrame, drafts: Sequence[_Draft], packs: Packs) -> set[int]:
    """Calls whose words for a machine the rules do not let pass: where one answers, nothing is said."""
    left = [(number, draft.words.voicemail) for number, draft in enumerate(drafts) if draft.words and draft.words.voicemail]
    if not left:
        return set()
    said = pl.DataFrame(left, schema={"candidate": pl.Int64, "said": pl.String}, orient="row")
    rows = frame.join(said, on="candidate", maintain_order="left").with_columns(text="said", form=pl.lit(VOICEMAIL))
    judged = judge(facts, rows.select(*CANDIDATES, "text", "form"), packs, when=False)
    return set(judged.filter(~pl.col("allowed"))["candidate"])


def _row(
    number: int,
    attempt: Planned,
    asked: Mapping[str, Any] | None,
    person: Mapping[str, Any] | None,
    owner: str | None,
    at: datetime,
) -> dict[str, Any]:
    """One candidate for the rules, and what the verdict needs beside their answer."""
    debtor = asked["counterparty"] if asked else "borrower"
    # A purpose with a sender of its own may be paused by itself.
    ways = {attempt.channel, f"{attempt.channel}/{attempt.purpose}"}
    paused = person is not None and (person["paused"] or not ways.isdisjoint(person["paused_channels"]))
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
        # A person dials a call; everything else a machine starts.
        "automated": attempt.channel != DIALLED,
        "form": LIVE if attempt.channel in SPOKEN_CHANNELS else None,
        "paused": paused,
    }


def _draft(
    attempt: Planned,
    asked: Mapping[str, Any] | None,
    *,
    stage: str,
    texts: Texts,
    public_url: str,
    accounts: Accounts,
    voice: Voice,
) -> _Draft:
    """The words for an attempt, and what is missing for sending it."""
    lacks = _lacks(attempt, asked, stage, accounts)
    # A loan in a plan is in no stage, and asked for by none.
    if attempt.message == PLAN_REMINDER:
        if attempt.party_id not in accounts.planned:
            return _Draft(words=None, lacks=[gate_verdict.NOTHING_PROMISED, *lacks])
    elif attempt.purpose not in SERVICE_PURPOSES and asked is None:
        return _Draft(words=None, lacks=[gate_verdict.NOTHING_DUE, *lacks])
    if attempt.message == PROMISE_REMINDER and attempt.party_id not in accounts.promised:
        return _Draft(words=None, lacks=[gate_verdict.NOTHING_PROMISED, *lacks])
    words = _words(attempt, asked or _NOTHING_ASKED, texts, public_url, accounts, voice)
    if words is None:
        return _Draft(words=None, lacks=[*lacks, NO_TEXT])
    broken = refused_by(texts.text(attempt.message, attempt.locale), attempt.channel, attempt.creditor_name)
    if attempt.channel == SPOKEN:
        broken = (*broken, *prompts_refused_by(voice.prompts[attempt.locale]))
    return _Draft(words=words, lacks=[*lacks, *(f"{gate_verdict.WORDS_REFUSED}:{rule}" for rule in broken)])


def _lacks(attempt: Planned, asked: Mapping[str, Any] | None, stage: str, accounts: Accounts) -> list[str]:
    """What is missing beside the words, or has changed since it was planned."""
    lacks = []
    if attempt.sender is None:
        lacks.append(NO_SENDER)
    if attempt.value_encrypted is None:
        lacks.append(NO_CONTACT_POINT)
    if attempt.channel == LETTER and not ((whose := accounts.addressees.get(attempt.contact_point_id)) and whose.is_whole):
        lacks.append(gate_verdict.NO_ENVELOPE)
    # What is asked for belongs to another stage by now; or a lesson, and something is asked for by now.
    left_its_stage = attempt.purpose not in SERVICE_PURPOSES and stage in STAGE_ORDER and asked is not None and asked["stage"] != stage
    if left_its_stage or (attempt.purpose == EDUCATION and asked is not None):
        lacks.append(NOT_IN_STAGE)
    return lacks


def _is_another_service(attempt: Planned) -> bool:
    """A messenger through the lender's own gateway (WeChat, LINE, …): its rule is its own, and the gateway says when it is shut."""
    return attempt.channel == "messenger" and (attempt.sender or "").startswith(GATEWAY_SENDER)


def _in_its_window(draft: _Draft, attempt: Planned, wrote_at: Mapping[Line, datetime], at: datetime) -> _Draft:
    """The draft as free words while the person's window is open, by its registered template else, or not at all."""
    if draft.words is None or attempt.channel not in REPLY_WINDOWS or _is_another_service(attempt):
        return draft
    line = line_of(attempt)
    until = open_until(attempt.channel, wrote_at.get(line) if line is not None else None)
    is_registered = draft.words.template is not None
    form = form_of(attempt.channel, until=until, at=at, is_registered=is_registered)
    if form is None:
        opens_by_template = REPLY_WINDOWS[attempt.channel].template_opens
        closed = gate_verdict.TEMPLATE_NOT_REGISTERED if opens_by_template else gate_verdict.WINDOW_CLOSED
        return replace(draft, lacks=[*draft.lacks, closed])
    if form == "template":
        return draft
    needs_window = form_of(attempt.channel, until=None, at=at, is_registered=is_registered) is None
    return replace(draft, words=replace(draft.words, template=None, variables=()), open_until=until, needs_window=needs_window)


def _words(attempt: Planned, asked: Mapping[str, Any], texts: Texts, public_url: str, accounts: Accounts, voice: Voice) -> Rendered | None:
    if texts.locale_for(attempt.locale, attempt.message, attempt.channel, attempt.creditor_role) != attempt.locale:
        return None
    try:
        words = render(
            texts.text(attempt.message, attempt.locale),
            channel=attempt.channel,
            creditor_name=attempt.creditor_name,
            creditor_licence=attempt.creditor_licence,
            amount_minor=asked["amount_minor"],
            currency=asked["currency"],
            due_on=asked["due_on"],
            link=f"{public_url}/b/{attempt.token}",
            as_of=accounts.as_of,
            statements=[accounts.statements[loan] for loan in asked.get("loans", ()) if loan in accounts.statements],
            code=accounts.codes.get(attempt.token),
            promised=accounts.promised.get(attempt.party_id),
        )
        return _spoken(attempt, words, voice) if attempt.channel == SPOKEN else words
    except (NoTextError, GapError, UnknownCurrencyError):
        # Nobody is contacted with half a text.
        return None


def _spoken(attempt: Planned, words: Rendered, voice: Voice) -> Rendered | None:
    """All that is said in an automated call; None where its language has no prompts."""
    prompts = voice.prompts.get(attempt.locale)
    if prompts is None or (attempt.sender or "").startswith(GATEWAY_SENDER):
        # A lender's own dialer is not known to wait for a key before it speaks of a debt.
        return None
    name = voice.names.get(attempt.party_id)
    return speak(words, prompts, creditor_name=attempt.creditor_name, name=name, phone=attempt.sender, agent=voice.agent)


def _zones(person: Mapping[str, Any] | None) -> tuple[str, ...]:
    if person is None:
        return _NOWHERE
    return (person["known_zone"],) if person["known_zone"] else tuple(person["zones"])
