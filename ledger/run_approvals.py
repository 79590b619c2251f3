"""Whether a run may send: people are asked about what was planned, and nothing goes out before they have said yes.

The ledger's row says it, not Prefect's word: the gate lets nothing of a run through that is not `none` (nobody has to be
asked) or `approved`. What people say yes to is named by a hash over the decisions' own roots: what is decided later is
another thing. One person asks, another one approves (four eyes); who they are is said by one-time codes.

    undecided ─ask─► none | awaiting ─answer─► approved | narrowing ─narrow─► approved
                             ├─answer─► rejected          └ the rest is withheld, page by page
                             └─time, wrong codes─► lapsed ─ask─► awaiting

In:   a connection inside a transaction; a run, what somebody answers, by which code.
Out:  the run's `approval`, rows of `approval` and `approval_answer`; attempts withheld that nobody approved.
Pure: no. Waiting ends by the database's wall clock; what people say is dated by the one clock.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Final, Literal
from uuid import UUID

from sqlalchemy import Connection, text

from ledger import approval_codes, clock
from ledger.approval_codes import Holder, NoCode
from ledger.approvals import same_person
from ledger.run_standings import RANK, RUN, NoSuchRun, Standing, standing

SCHEDULE: Final = "the schedule"
# After so many codes that are none, nobody is asked any more until the run is started again.
WRONG_CODES_MAX: Final = 5

Outcome = Literal["asked", "approved", "rejected", "refused", "wrong_code"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What somebody answers.

    Attributes:
        form: Which form, or which call on the terminal: the same one is taken once.
        by: The code as typed; or who signed in.
        approve: False = reject, or take back.
        up_to: So many contacts at most; None = all.
        reason: In their words.
        flaw: What is missing in the answer; it is refused then.
    """

    form: str
    by: str | Holder
    approve: bool
    up_to: int | None = None
    reason: str | None = None
    flaw: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came of an answer, in words for whoever gave it."""

    outcome: Outcome
    said: str


def ask(connection: Connection, campaign_run_id: int, *, wait: timedelta, flow_run: UUID | None, asked_by: str | None = None) -> Standing:
    """Ask people about what was planned, unless it is too little to ask, or they were asked already.

    Args:
        connection: Inside a transaction; the run is locked until its end.
        campaign_run_id: The run; all its shards are decided, else nobody is asked.
        wait: How long they have, by the wall clock.
        flow_run: The Prefect flow run that will wait.
        asked_by: Who asks: who holds a code, or `SCHEDULE`; None = nobody known, and two people have to say yes.
    """
    connection.execute(_LOCK, {"id": campaign_run_id})
    lapse(connection, campaign_run_id)
    found = standing(connection, campaign_run_id)
    if found.approval not in {"undecided", "lapsed"} or found.undecided_shards:
        return found
    row = connection.execute(_ABOVE, {"id": campaign_run_id}).one()
    if row.approval_above is None or found.decided <= row.approval_above or not found.planned:
        connection.execute(_NOBODY_ASKED, {"id": campaign_run_id})
        return standing(connection, campaign_run_id)
    subject = _subject(connection, campaign_run_id)
    connection.execute(_ASK, {"id": campaign_run_id, "subject": subject, "wait": wait.total_seconds(), "flow_run": flow_run})
    if asked_by is not None and standing(connection, campaign_run_id).asked_by is None:
        _write(connection, subject, asked_by=asked_by)
    return standing(connection, campaign_run_id)


def who_asks(connection: Connection, campaign_run_id: int, *, code: str, roles: tuple[str, ...], form: str) -> Answered:
    """Spend the code of whoever started a run; who it was counts as having asked, where nobody known has.

    Args:
        connection: Inside a transaction, which is committed also where the code is refused.
        campaign_run_id: The run, after `ask`.
        code: As typed.
        roles: Of which one is needed.
        form: Which start of the flow; the same one spends nothing again.
    """
    before = _taken(connection, campaign_run_id, form)
    if before is not None:
        return before
    used_for = f"asking for run {campaign_run_id}"
    who = approval_codes.redeem(connection, code, roles=roles, campaign_run_id=campaign_run_id, used_for=used_for)
    if isinstance(who, NoCode):
        refused = Answered(outcome="refused", said=f"nobody is known to have asked for this run: {who.because}")
        return _keep(connection, campaign_run_id, form, refused, who.code_id)
    found = standing(connection, campaign_run_id)
    if found.subject is not None and found.approval == "awaiting" and found.asked_by is None:
        _write(connection, found.subject, asked_by=who.person, role=who.role)
    return _keep(connection, campaign_run_id, form, Answered(outcome="asked", said=f"asked for by {who.person} ({who.role})"), who.code_id)


def answer(connection: Connection, campaign_run_id: int, given: Answer, *, roles: tuple[str, ...], subject: str | None = None) -> Answered:
    """Take an answer; a code that was typed is spent, whatever comes of it.

    Args:
        connection: Inside a transaction, which is committed also where the answer is refused.
        campaign_run_id: The run.
        given: Who says what.
        roles: Who may decide.
        subject: What they were shown; refused where something else is planned by now. None = what is planned now.

    Returns:
        What came of it. `narrowing` is left to `narrow`.

    Raises:
        NoSuchRun: There is none with this id.
    """
    if connection.execute(_LOCK, {"id": campaign_run_id}).one_or_none() is None:
        raise NoSuchRun(f"there is no campaign run {campaign_run_id}; `tideover approve list` shows those that wait")
    before = _taken(connection, campaign_run_id, given.form)
    if before is not None:
        return before
    lapse(connection, campaign_run_id)
    found = standing(connection, campaign_run_id)
    needless = _needless(found, given, subject)
    if needless is not None:
        return _keep(connection, campaign_run_id, given.form, Answered(outcome="refused", said=needless), None)
    what = "approving" if given.approve else "rejecting"
    who = (
        _signed_in(given.by, roles)
        if isinstance(given.by, Holder)
        else approval_codes.redeem(
            connection, given.by, roles=roles, campaign_run_id=campaign_run_id, used_for=f"{what} run {campaign_run_id}"
        )
    )
    if isinstance(who, NoCode):
        return _no_code(connection, campaign_run_id, given, who)
    if given.flaw is not None:
        spent = "" if who.code_id is None else "; the code is spent, have a new one made"
        done = Answered(outcome="refused", said=f"{given.flaw}{spent}")
    else:
        done = _approve(connection, found, given, who) if given.approve else _reject(connection, found, given, who)
    return _keep(connection, campaign_run_id, given.form, done, who.code_id)


def forms_taken(connection: Connection, campaign_run_id: int, prefix: str) -> int:
    """How many forms whose name begins like that were taken, refused ones too."""
    return int(connection.execute(_FORMS_TAKEN, {"id": campaign_run_id, "prefix": prefix}).scalar_one())


def refuse(connection: Connection, campaign_run_id: int, *, form: str, because: str) -> Answered:
    """Write down an answer that could not be read, so that the next form is another one."""
    connection.execute(_LOCK, {"id": campaign_run_id})
    before = _taken(connection, campaign_run_id, form)
    return before or _keep(connection, campaign_run_id, form, Answered(outcome="refused", said=because), None)


def lapse(connection: Connection, campaign_run_id: int | None = None) -> list[int]:
    """Close what waited too long, of one run or of all; nothing of it is sent, and it can be started again. Ids of what was closed."""
    return list(connection.execute(_LAPSE, {"id": campaign_run_id}).scalars())


def _needless(found: Standing, given: Answer, subject: str | None) -> str | None:
    """Why nobody needs this answer, in words; the code is not spent then. None = it is needed."""
    name = f"run {found.campaign_run_id} ({found.name})"
    closed = {
        "rejected": f"{name} was rejected already, by {found.approved_by}",
        "lapsed": f"the time for {name} is over; nothing was sent. Start the flow again for the same date, and people are asked again",
        "undecided": f"{name} is not decided yet, or something was decided since: start the flow again, and look at its new preview",
        "none": f"{name} needs no approval",
    }
    if found.approval in closed:
        return closed[found.approval]
    if found.approval != "awaiting":
        return f"{name} was approved already, by {found.approved_by}" if given.approve else None
    if subject is not None and subject != found.subject:
        return f"what is planned for {name} is not what was shown: look at the new preview"
    return "approve at least one contact, or reject" if given.approve and given.up_to is not None and given.up_to < 1 else None


def _signed_in(who: Holder, roles: tuple[str, ...]) -> Holder | NoCode:
    """Who signed in speaks in the role that she has; none is typed."""
    if who.role in roles:
        return who
    return NoCode(because=f"the role {who.role} may not decide this ({', '.join(sorted(roles))} may)", wrong=False)


def _no_code(connection: Connection, campaign_run_id: int, given: Answer, why: NoCode) -> Answered:
    outcome: Outcome = "wrong_code" if why.wrong else "refused"
    done = _keep(connection, campaign_run_id, given.form, Answered(outcome=outcome, said=why.because), why.code_id)
    if not why.wrong:
        return done
    left = WRONG_CODES_MAX - int(connection.execute(_WRONG_CODES, {"id": campaign_run_id}).scalar_one())
    if left > 0:
        return Answered(outcome=outcome, said=f"{why.because} (tries left: {left})")
    connection.execute(_CLOSE_ASKING, {"id": campaign_run_id})
    return Answered(outcome=outcome, said=f"{why.because}. That was one wrong code too many: nothing is sent; start the flow again")


def _approve(connection: Connection, found: Standing, given: Answer, who: Holder) -> Answered:
    """The first of two people asks, where nobody known has; another one approves."""
    assert found.subject is not None  # noqa: S101  # the table's own check
    most = min((number for number in (given.up_to, found.approved_max) if number is not None), default=None)
    if found.asked_by is None:
        _write(connection, found.subject, asked_by=who.person, role=who.role, reason=_reason(given, most))
        connection.execute(_MOST, {"id": found.campaign_run_id, "most": most})
        said = f"{who.person} ({who.role}) says yes; nobody known had asked for this run, so a second person has to say yes too"
        return Answered(outcome="asked", said=said)
    if same_person(found.asked_by, who.person):
        return Answered(
            outcome="refused",
            said=f"{found.asked_by} asked for this run: somebody else approves it (four eyes)"
            + ("" if who.code_id is None else ". The code is spent"),
        )
    _write(connection, found.subject, asked_by=found.asked_by, answered_by=who, verdict="approved", reason=_reason(given, most))
    keys = {"id": found.campaign_run_id, "most": most}
    connection.execute(_APPROVE_ALL if most is None or most >= found.planned else _APPROVE_SOME, keys)
    how_many = "all" if most is None or most >= found.planned else f"{most}"
    return Answered(outcome="approved", said=f"approved by {who.person} ({who.role}): {how_many} of {found.planned} contacts")


def _reject(connection: Connection, found: Standing, given: Answer, who: Holder) -> Answered:
    """Anyone who may decide may say no, also to what was approved; and who asked may take it back."""
    assert found.subject is not None  # noqa: S101  # the table's own check
    asker = found.asked_by or "nobody known"
    asker = f"{asker}, who takes it back" if same_person(asker, who.person) else asker
    _write(connection, found.subject, asked_by=asker, answered_by=who, verdict="rejected", reason=given.reason)
    connection.execute(_REJECT, {"id": found.campaign_run_id})
    return Answered(outcome="rejected", said=f"rejected by {who.person} ({who.role}): nothing more of it is sent, today or later")


def _reason(given: Answer, most: int | None) -> str | None:
    return "; ".join(part for part in (given.reason, None if most is None else f"up to {most} contacts") if part) or None


def _subject(connection: Connection, campaign_run_id: int) -> str:
    """Hash of what people are asked about: the run, its policies, and the roots of everything that was decided in it."""
    row = connection.execute(_SUBJECT, {"id": campaign_run_id}).mappings().one()
    return sha256(json.dumps(dict(row), sort_keys=True, default=str).encode()).hexdigest()


def _write(
    connection: Connection,
    subject: str,
    *,
    asked_by: str,
    answered_by: Holder | None = None,
    verdict: str = "asked",
    role: str | None = None,
    reason: str | None = None,
) -> None:
    keys = {
        "kind": RUN,
        "hash": subject,
        "asked_by": asked_by,
        "approved_by": answered_by.person if answered_by else None,
        "role": answered_by.role if answered_by else role,
        "verdict": verdict,
        "reason": reason,
        "at": clock.now(connection),
    }
    connection.execute(_INSERT, keys)


def _taken(connection: Connection, campaign_run_id: int, form: str) -> Answered | None:
    row = connection.execute(_TAKEN, {"id": campaign_run_id, "form": form}).one_or_none()
    return None if row is None else Answered(outcome=row.outcome, said=row.said)


def _keep(connection: Connection, campaign_run_id: int, form: str, done: Answered, code_id: int | None) -> Answered:
    keys = {"id": campaign_run_id, "form": form, "outcome": done.outcome, "said": done.said, "code": code_id}
    connection.execute(_KEEP, keys)
    return done


_LOCK = text("SELECT id FROM campaign_run WHERE id = :id FOR UPDATE")
_ABOVE = text("SELECT approval_above FROM campaign_run WHERE id = :id")
_NOBODY_ASKED = text("UPDATE campaign_run SET approval = 'none' WHERE id = :id")
_ASK = text("""
    UPDATE campaign_run
    SET approval = 'awaiting', approval_subject = :subject, approval_asked_at = clock_timestamp(),
        approval_until = clock_timestamp() + make_interval(secs => :wait),
        approval_flow_run = :flow_run, approved_max = NULL, approved_rank = NULL
    WHERE id = :id
""")
_MOST = text("UPDATE campaign_run SET approved_max = :most WHERE id = :id")
_APPROVE_ALL = text("UPDATE campaign_run SET approval = 'approved', approved_max = :most WHERE id = :id")
_APPROVE_SOME = text(f"""
    UPDATE campaign_run u SET approval = 'narrowing', approved_max = :most, approved_rank = (
        SELECT {RANK} FROM attempt a JOIN campaign_run r ON r.id = a.campaign_run_id
        WHERE r.id = :id AND a.state = 'planned' ORDER BY 1 LIMIT 1 OFFSET :most - 1)
    WHERE u.id = :id
""")  # noqa: S608  # the rank above
_REJECT = text("UPDATE campaign_run SET approval = 'rejected', state = 'rejected' WHERE id = :id")
_LAPSE = text("""
    UPDATE campaign_run SET approval = 'lapsed'
    WHERE approval = 'awaiting' AND approval_until <= clock_timestamp() AND (CAST(:id AS bigint) IS NULL OR id = :id)
    RETURNING id
""")
_CLOSE_ASKING = text("UPDATE campaign_run SET approval = 'lapsed' WHERE id = :id AND approval = 'awaiting'")
# Since people were asked last.
_WRONG_CODES = text("""
    SELECT count(*) FROM approval_answer w JOIN campaign_run r ON r.id = w.campaign_run_id
    WHERE w.campaign_run_id = :id AND w.outcome = 'wrong_code' AND w.recorded_at > r.approval_asked_at
""")
_SUBJECT = text("""
    SELECT r.id AS run, r.stage, r.business_date, r.scope, r.policy_hashes,
           (SELECT coalesce(jsonb_agg(encode(b.root, 'hex') ORDER BY b.id), '[]'::jsonb) FROM evidence_batch b
            WHERE b.campaign_run_id = r.id AND b.kind = 'decisions') AS decisions
    FROM campaign_run r WHERE r.id = :id
""")
_INSERT = text("""
    INSERT INTO approval (subject_kind, subject_hash, asked_by, approved_by, role, verdict, reason, at)
    VALUES (:kind, :hash, :asked_by, :approved_by, :role, :verdict, :reason, :at)
""")
_TAKEN = text("SELECT outcome, said FROM approval_answer WHERE campaign_run_id = :id AND form = :form")
_FORMS_TAKEN = text("SELECT count(*) FROM approval_answer WHERE campaign_run_id = :id AND starts_with(form, :prefix)")
_KEEP = text("""
    INSERT INTO approval_answer (campaign_run_id, subject_hash, form, outcome, said, approval_code_id)
    SELECT r.id, r.approval_subject, :form, :outcome, :said, :code FROM campaign_run r WHERE r.id = :id
""")
