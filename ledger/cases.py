"""Cases: a dispute, complaint, hardship or other matter that somebody is owed an answer to, from its opening to its end.

A case is opened in the transaction that hears of it, together with the hold that keeps the person in peace; the hold ends only
when a person closes the case with a result. Everything that happens is a row of its history, which nothing changes. Every function
that writes needs the borrower's lock (ledger/locks.py); `lock` takes it.

In:   a connection inside a transaction; what was said, or a case's number; the business instant, the terms of config/cases.yaml.
Out:  rows of `borrower_case`, `case_event`, `hold`.
Pure: no; reads and writes the ledger.
Source: DOMAIN.md, "dispute", "complaint"; docs/adr/0038.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, text

from config.load import ConfigError
from config.zones import attached_to
from decisions.cases import (
    ANSWERED_FIRST,
    CASE_KINDS,
    CLOSED,
    HOLD_OF,
    NEEDS_CORRECTION,
    NEEDS_PROOF,
    RESULTS_OF,
    STATED_BY,
    WITHDRAWN,
    CaseTerms,
    Setting,
    deadlines,
)
from decisions.packs import Packs
from ledger import answers, placements, vault
from ledger.law import law_in_force
from ledger.locks import lock_with_liable

# The source of a hold that ends with its case.
PROOF_SEEN: Final = "proof seen: "
OURS: Final = "case"
# Who opens a case by what a person wrote or pressed.
MACHINE: Final = "tideover"
# Kind → what a person's answer that opens such a case is taken to mean.
_HEARD_AS: Final[Mapping[str, list[str]]] = {
    "dispute": ["dispute", "paid"],
    "complaint": ["complaint"],
    "hardship": ["cannot_pay"],
    "deceased": ["danger"],
    "data_request": [],
    "wrong_number": ["wrong_person"],
    "incident": [],
    "core_instruction": [],
    "payment": [],
}


class CaseRefused(RuntimeError):
    """It was not written down; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What opens a case.

    Attributes:
        party_id: Whose.
        kind: One of `decisions.cases.CASE_KINDS`.
        at: Business instant, UTC.
        channel: How it came.
        loan_id: About which loan; None = no one in particular.
        event_id: Inbox row that it came in, where it did.
        stated_by: Who said so, of `decisions.cases.STATED_BY`.
        disputed_minor: The part that is disputed, where one was named; None = the whole.
        hold: Kind of hold that stands meanwhile, where it is not the one of the case's kind.
        said_by: Who writes it down.
        reference: Where it can be read: a letter's number; nothing personal.
        words: What was said; encrypted.
    """

    party_id: int
    kind: str
    at: datetime
    channel: str
    loan_id: int | None = None
    event_id: int | None = None
    stated_by: str = "borrower"
    disputed_minor: int | None = None
    hold: str | None = None
    said_by: str = MACHINE
    reference: str | None = None
    words: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a closed case leaves.

    Attributes:
        lifted: Holds that ended with it.
        still_held: Kinds of holds that stand for other reasons.
    """

    lifted: int
    still_held: tuple[str, ...]


def open_case(tx: Connection, said: Statement, terms: CaseTerms) -> tuple[int, bool]:
    """Open a case, or write down that the same was said again where one is open; its hold stands from now on.

    Returns:
        The case's number, and whether it is new.

    Raises:
        CaseRefused: An unknown kind or word, a part that is no amount of a known currency, or nobody with that id.
    """
    if said.kind not in CASE_KINDS:
        raise CaseRefused(f"no kind {said.kind!r}; there are {', '.join(CASE_KINDS)}")
    if said.stated_by not in STATED_BY:
        raise CaseRefused(f"nobody who states a case is {said.stated_by!r}; there are {', '.join(STATED_BY)}")
    about = tx.execute(_ABOUT, {"party": said.party_id, "loan": said.loan_id, "event": said.event_id}).one_or_none()
    if about is None:
        raise CaseRefused("no such borrower, or the loan is none of theirs")
    _hold(tx, said)
    asked = {"party": said.party_id, "kind": said.kind, "loan": said.loan_id}
    known = tx.execute(_OPEN, asked).scalar()
    reference = said.reference or (None if said.event_id is None else f"inbox {said.event_id}")
    if known is not None:
        note(tx, known, kind="said_again", by=said.said_by, at=said.at, reference=reference, words=said.words)
        return int(known), False
    if said.disputed_minor is not None and (said.disputed_minor <= 0 or about.currency is None):
        raise CaseRefused("a part of a loan is an amount above zero, in the loan's currency: say of which loan")
    opened_on, dates = _dates(tx, about, said.kind, said.at, terms)
    written = {
        **asked,
        "event": said.event_id,
        "stated_by": said.stated_by,
        "channel": said.channel,
        "disputed": said.disputed_minor,
        "currency": about.currency if said.disputed_minor is not None else None,
        "owner": terms.owner,
        "at": said.at,
        "opened_on": opened_on,
        **dates,
    }
    case_id = int(tx.execute(_INSERT, written).scalar_one())
    note(tx, case_id, kind="opened", by=said.said_by, at=said.at, reference=reference, words=said.words)
    return case_id, True


def lock(tx: Connection, case_id: int) -> Row[Any]:
    """Hold a case, its borrower and all who share her loans until the transaction ends.

    Returns:
        `party_id`, `loan_id`, `kind`, `state`, `owner`, `provider_event_id` of it.

    Raises:
        CaseRefused: There is none with this number.
    """
    party_id = tx.execute(_PARTY_OF, {"id": case_id}).scalar()
    if party_id is None:
        raise CaseRefused(f"no case {case_id}; `tideover cases list --all` names them")
    lock_with_liable(tx, [party_id])
    return tx.execute(_LOCK, {"id": case_id}).one()


def take(tx: Connection, case_id: int, *, by: str, at: datetime) -> bool:
    """Become the owner of a case; False where one is already.

    Raises:
        CaseRefused: No such case, or a closed one.
    """
    case = _open_one(tx, case_id)
    if case.owner == by:
        return False
    tx.execute(_OWN, {"id": case_id, "by": by})
    note(tx, case_id, kind="taken", by=by, at=at)
    return True


def acknowledge(tx: Connection, case_id: int, *, by: str, at: datetime, reference: str | None = None, words: str | None = None) -> bool:
    """Write down that the person was told that the case was received; False where that is written already.

    Raises:
        CaseRefused: No such case, or a closed one.
    """
    return _move(tx, case_id, "acknowledged", ("open",), by=by, at=at, reference=reference, words=words)


def answer(tx: Connection, case_id: int, *, by: str, at: datetime, reference: str | None = None, words: str | None = None) -> bool:
    """Write down that the person was answered; an answer also acknowledges. False where one is written already.

    Raises:
        CaseRefused: As above.
    """
    return _move(tx, case_id, "answered", ("open", "acknowledged"), by=by, at=at, reference=reference, words=words)


def disagree(tx: Connection, case_id: int, *, at: datetime, reference: str, words: str | None, channel: str, terms: CaseTerms) -> int:
    """The person does not agree with an answer: the case waits for another one, by a date of its own; after its end a new case is opened.

    Args:
        tx: Inside a transaction.
        case_id: Which.
        at: Business instant.
        reference: Names what she said, without anything personal; the same one is heard once.
        words: What she said; encrypted.
        channel: How it came.
        terms: Of config/cases.yaml.

    Returns:
        The number of the case that she is owed an answer to.

    Raises:
        CaseRefused: No such case, or one of a kind that is not answered.
    """
    case = lock(tx, case_id)
    if case.kind not in ANSWERED_FIRST:
        raise CaseRefused(f"a {case.kind.replace('_', ' ')} is not answered, so nobody can disagree with an answer to it")
    heard = tx.execute(_HEARD, {"party": case.party_id, "reference": reference}).scalar()
    if heard is not None:
        return int(heard)
    if case.state == CLOSED:
        said = Statement(
            party_id=case.party_id, kind=case.kind, at=at, channel=channel, loan_id=case.loan_id, reference=reference, words=words
        )
        return open_case(tx, said, terms)[0]
    if case.state == "answered":
        about = tx.execute(_ABOUT, {"party": case.party_id, "loan": case.loan_id, "event": case.provider_event_id}).one()
        _, dates = _dates(tx, about, case.kind, at, terms)
        # Whoever answered has answered: it waits for a colleague to take it anew.
        tx.execute(_WAITS_AGAIN, {"id": case_id, "owner": terms.owner, **dates})
        note(tx, case_id, kind="disagreed", by=MACHINE, at=at, reference=reference, words=words)
    else:
        note(tx, case_id, kind="said_again", by=MACHINE, at=at, reference=reference, words=words)
    return case_id


def close(
    tx: Connection, case_id: int, *, by: str, result: str, at: datetime, words: str | None = None, is_corrected: bool = False
) -> Ended:
    """Close a case with a result; the peace that it brought ends, unless the result says otherwise.

    Args:
        tx: Inside a transaction.
        case_id: Which.
        by: Who.
        result: One of `decisions.cases.RESULTS_OF` of its kind.
        at: Business instant.
        words: Why; encrypted.
        is_corrected: The lender's books say by now what the result says.

    Raises:
        CaseRefused: No such case or result, a closed one, one that was not answered, of which no proof was seen, or the books are still
            wrong.
    """
    case = _open_one(tx, case_id)
    results = RESULTS_OF[case.kind]
    if result not in results:
        raise CaseRefused(f"a {case.kind.replace('_', ' ')} does not end with {result!r}; it ends with {', '.join(results)}")
    if case.kind in ANSWERED_FIRST and result != WITHDRAWN and case.state != "answered":
        raise CaseRefused(f"case {case_id} was not answered yet: `tideover cases answer {case_id} --by … --reference …` comes first")
    if (case.kind, result) in NEEDS_CORRECTION and not is_corrected:
        raise CaseRefused(
            "the person is right, and the books still ask for what is not owed: have them put right and imported, then close with"
            " --corrected; contact stays stopped until then"
        )
    if (case.kind, result) in NEEDS_PROOF and not tx.execute(_PROOF, {"id": case_id, "seen": PROOF_SEEN}).scalar():
        raise CaseRefused(
            f"nobody has seen a proof of it: `tideover cases proof {case_id} --by … --reference …` comes first; until then the case stays"
            " open and she is left in peace"
        )
    tx.execute(_CLOSE, {"id": case_id, "result": result, "at": at})
    note(tx, case_id, kind=CLOSED, by=by, at=at, reference=result, words=words)
    _see_to(tx, case, case_id, by=by, done=result, at=at)
    lifted = _lift(tx, case, at) if results[result] else _stay(tx, case, at)
    still = tx.execute(_STILL_HELD, {"party": case.party_id, "loan": case.loan_id, "at": at}).scalars()
    return Ended(lifted=lifted, still_held=tuple(still))


def note(tx: Connection, case_id: int, *, kind: str, by: str, at: datetime, reference: str | None = None, words: str | None = None) -> None:
    """Write a row of a case's history.

    Args:
        tx: Inside a transaction.
        case_id: Which.
        kind: One of `ledger.tables.CASE_EVENTS`.
        by: Who.
        at: Business instant.
        reference: Where it can be read; nothing personal.
        words: What was said or written; encrypted.
    """
    encrypted, key_id = vault.encrypt_for(tx, tx.execute(_PARTY_OF, {"id": case_id}).scalar_one(), words) if words else (None, None)
    keys = {"case": case_id, "kind": kind, "by": by, "reference": reference, "words": encrypted, "key": key_id, "at": at}
    tx.execute(_NOTE, keys)


def tell(tx: Connection, case_id: int, *, kind: str, reference: str, at: datetime) -> bool:
    """Write down that a deadline is told to be `near` or `late`; False where that was told already."""
    keys = {"case": case_id, "kind": kind, "by": MACHINE, "reference": reference, "at": at}
    return tx.execute(_TELL, keys).rowcount > 0


def _open_one(tx: Connection, case_id: int) -> Row[Any]:
    case = lock(tx, case_id)
    if case.state == CLOSED:
        raise CaseRefused(f"case {case_id} is closed; what is said anew is a new case: `tideover cases open`")
    return case


def _move(
    tx: Connection, case_id: int, to: str, since: tuple[str, ...], *, by: str, at: datetime, reference: str | None, words: str | None
) -> bool:
    case = _open_one(tx, case_id)
    if case.state not in since:
        return False
    tx.execute(_MOVE, {"id": case_id, "to": to, "at": at})
    note(tx, case_id, kind=to, by=by, at=at, reference=reference, words=words)
    if to == "answered":
        _see_to(tx, case, case_id, by=by, done="answered", at=at)
    return True


def _see_to(tx: Connection, case: Row[Any], case_id: int, *, by: str, done: str, at: datetime) -> None:
    """Whoever answers or ends a case has seen to the answers that opened it: they wait for nobody any more."""
    keys = {"id": case_id, "party": case.party_id, "intents": _HEARD_AS[case.kind]}
    for outcome_id in tx.execute(_WAITING, keys).scalars().all():
        answers.handled(tx, outcome_id, by=by, done=f"case {case_id}: {done}", at=at)


def _hold(tx: Connection, said: Statement) -> None:
    """Leave the person in peace; of a disputed loan, everybody who stands for it. What an agency has is called back."""
    kind = said.hold or HOLD_OF.get(said.kind)
    if kind is not None:
        keys = {"party": said.party_id, "loan": said.loan_id, "kind": kind, "all": said.kind == "dispute", "at": said.at, "source": OURS}
        tx.execute(_HOLD, keys)
        placements.recall_held(tx, [said.party_id], at=said.at)


def _lift(tx: Connection, case: Row[Any], at: datetime) -> int:
    """End the holds of a case, and those of before there were cases that a reply brought for the same."""
    kinds = ["deceased", "bereavement"] if case.kind == "deceased" else [HOLD_OF[case.kind]] if case.kind in HOLD_OF else []
    keys = {"party": case.party_id, "loan": case.loan_id, "kinds": kinds, "at": at, "source": OURS}
    return tx.execute(_LIFT, keys).rowcount


def _stay(tx: Connection, case: Row[Any], at: datetime) -> int:
    """Keep the peace for good, also where mourning was all that was known."""
    keys = {"party": case.party_id, "loan": None, "kind": HOLD_OF[case.kind], "all": False, "at": at, "source": OURS}
    tx.execute(_HOLD, keys)
    placements.recall_held(tx, [case.party_id], at=at)
    return 0


def _dates(tx: Connection, about: Row[Any], kind: str, at: datetime, terms: CaseTerms) -> tuple[date, dict[str, Any]]:
    """The local day on which something is said, and until when it is to be acknowledged and answered, as the columns have it."""
    on = at.astimezone(ZoneInfo(about.known_zone or (about.zones[0] if about.zones else "UTC"))).date()
    due = deadlines(kind, on, _setting(about), terms, _packs(tx))
    return on, {
        "acknowledge_by": due.acknowledge.on,
        "acknowledge_rule": due.acknowledge.rule,
        "answer_by": due.answer.on,
        "answer_rule": due.answer.rule,
        "law_answer_by": due.law_answer.on if due.law_answer else None,
        "law_rule": due.law_answer.rule if due.law_answer else None,
    }


def _setting(about: Row[Any]) -> Setting:
    found = attached_to(country=about.country, region=about.region, postal_code=about.postal_code, known_zone=about.known_zone)
    return Setting(
        jurisdictions=frozenset(found), country=about.country, role=about.role, charged_off=about.charged_off, product=about.product
    )


def _packs(tx: Connection) -> Packs | None:
    """The rule packs; None where they cannot be read: a dispute is heard all the same, and has the house's deadlines."""
    try:
        return law_in_force(tx).packs
    except ConfigError:
        return None


# What a person wrote about a loan that is not theirs any more is a case all the same.
_ABOUT = text("""
    SELECT b.country, b.region, b.postal_code, b.known_zone, coalesce(b.zones, '{}') AS zones, c.role, v.charged_off, v.product, v.currency
    FROM party p
    JOIN creditor c ON c.id = p.creditor_id
    LEFT JOIN party_version b ON b.party_id = p.id AND b.superseded_at IS NULL
    LEFT JOIN loan_version v ON v.loan_id = CAST(:loan AS bigint) AND v.superseded_at IS NULL
    WHERE p.id = :party AND (CAST(:loan AS bigint) IS NULL OR CAST(:event AS bigint) IS NOT NULL OR EXISTS (
        SELECT 1 FROM loan_party lp WHERE lp.party_id = p.id AND lp.loan_id = CAST(:loan AS bigint) AND lp.superseded_at IS NULL))
""")
_OPEN = text("""
    SELECT id FROM borrower_case
    WHERE party_id = :party AND kind = :kind AND loan_id IS NOT DISTINCT FROM CAST(:loan AS bigint) AND state <> 'closed'
""")
_INSERT = text("""
    INSERT INTO borrower_case (kind, party_id, loan_id, provider_event_id, stated_by, channel, disputed_minor, currency, owner, opened_at,
                               opened_on, acknowledge_by, acknowledge_rule, answer_by, answer_rule, law_answer_by, law_rule, state)
    VALUES (:kind, :party, :loan, :event, :stated_by, :channel, :disputed, :currency, :owner, :at,
            :opened_on, :acknowledge_by, :acknowledge_rule, :answer_by, :answer_rule, :law_answer_by, :law_rule, 'open')
    RETURNING id
""")
_PARTY_OF = text("SELECT party_id FROM borrower_case WHERE id = :id")
_LOCK = text("SELECT party_id, loan_id, kind, state, owner, provider_event_id FROM borrower_case WHERE id = :id FOR UPDATE")
_OWN = text("UPDATE borrower_case SET owner = :by WHERE id = :id")
# Whoever was answered knows that the case was received.
_MOVE = text("""
    UPDATE borrower_case SET state = CAST(:to AS text), acknowledged_at = coalesce(acknowledged_at, :at),
                             answered_at = CASE WHEN CAST(:to AS text) = 'answered' THEN CAST(:at AS timestamptz) END
    WHERE id = :id
""")
# She knows that it was received; the answer that she had stays in its history.
_WAITS_AGAIN = text("""
    UPDATE borrower_case SET state = 'acknowledged', answered_at = NULL, owner = :owner, acknowledge_by = :acknowledge_by,
                             acknowledge_rule = :acknowledge_rule, answer_by = :answer_by, answer_rule = :answer_rule,
                             law_answer_by = :law_answer_by, law_rule = :law_rule
    WHERE id = :id
""")
_HEARD = text("""
    SELECT c.id FROM case_event e JOIN borrower_case c ON c.id = e.case_id
    WHERE c.party_id = :party AND e.reference = :reference ORDER BY e.id DESC LIMIT 1
""")
_PROOF = text("SELECT EXISTS (SELECT FROM case_event WHERE case_id = :id AND kind = 'note' AND starts_with(reference, :seen))")
_CLOSE = text("UPDATE borrower_case SET state = 'closed', result = :result, closed_at = :at WHERE id = :id")
_NOTE = text("""
    INSERT INTO case_event (case_id, kind, said_by, reference, words_encrypted, key_id, at)
    VALUES (:case, :kind, :by, :reference, :words, :key, :at)
""")
_TELL = text("""
    INSERT INTO case_event (case_id, kind, said_by, reference, at) VALUES (:case, :kind, :by, :reference, :at)
    ON CONFLICT (case_id, kind, reference) WHERE kind IN ('near', 'late') DO NOTHING
""")
_WAITING = text("""
    SELECT o.id FROM outcome o
    WHERE o.party_id = :party AND o.needs_person AND o.handled_at IS NULL AND o.intent = ANY(:intents) AND o.provider_event_id IN (
        SELECT c.provider_event_id FROM borrower_case c WHERE c.id = :id
        UNION SELECT CAST(substring(e.reference FROM 7) AS bigint) FROM case_event e
        WHERE e.case_id = :id AND e.kind = 'said_again' AND e.reference ~ '^inbox [0-9]+$')
    ORDER BY o.id
""")
_HOLD = text("""
    INSERT INTO hold (effective_at, source, party_id, loan_id, all_liable, kind, starts_at, until)
    SELECT :at, :source, :party, CAST(:loan AS bigint), :all, :kind, :at, NULL
    WHERE NOT EXISTS (
        SELECT 1 FROM hold h
        WHERE h.party_id = :party AND h.kind = :kind AND h.loan_id IS NOT DISTINCT FROM CAST(:loan AS bigint) AND h.source = :source
          AND h.superseded_at IS NULL AND h.until IS NULL)
""")
# The hold itself stays as it was known; from now on its version with an end is in force.
_LIFT = text("""
    WITH old AS (
        UPDATE hold SET superseded_at = clock_timestamp()
        WHERE party_id = :party AND kind = ANY(:kinds) AND loan_id IS NOT DISTINCT FROM CAST(:loan AS bigint) AND superseded_at IS NULL
          AND until IS NULL AND (source = :source OR (source = 'reply' AND kind IN ('dispute', 'hardship', 'bereavement')))
        RETURNING *
    )
    INSERT INTO hold (effective_at, source, party_id, loan_id, all_liable, kind, channel, purpose, starts_at, until)
    SELECT :at, :source, party_id, loan_id, all_liable, kind, channel, purpose, starts_at, greatest(CAST(:at AS timestamptz), starts_at)
    FROM old
""")
_STILL_HELD = text("""
    SELECT DISTINCT kind FROM hold
    WHERE party_id = :party AND superseded_at IS NULL AND starts_at <= :at AND (until IS NULL OR until > :at)
      AND (loan_id IS NULL OR CAST(:loan AS bigint) IS NULL OR loan_id = CAST(:loan AS bigint))
    ORDER BY kind
""")
