"""The phone team's queue: who is to be called by a person, why, in which window, and who answers for it.

Three reasons, in the order in which people are called: who asked for it, whom no message reached, whom a strategy says. A
person waits in it once. Being in it is leave for nothing: every dial is a planned attempt that passes the gate (gate/dial.py).

In:   a connection inside a transaction; the caller holds the borrower's lock where a task is written for her.
Out:  rows of `call_task`.
Pure: no; reads and writes the ledger.
Source: DOMAIN.md "What the borrower's answer does" (call me); SCIENCE.md A2: a talk is the largest effect that is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, text

from config.zones import attached_to
from decisions.agents import Person
from ledger import vault

# Who answers for a call until a colleague has taken it.
PHONE_TEAM: Final = "phone-team"
CALLBACK: Final = "callback"
UNREACHED: Final = "unreached"
STRATEGY: Final = "strategy"


class CallWindow(NamedTuple):
    """From when until when a person is to be called: [opens_at, closes_at), UTC instants."""

    opens_at: datetime
    closes_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Callee:
    """Who is to be called, and where; the number is not among it.

    Attributes:
        party_id: Who.
        business_date: The local date where she is.
        zone: Where that is.
        contact_point_id: Where to call; None = there is no number that is hers and in use.
        locale: What she speaks.
        creditor_role: Whose role decides which words may be used.
        jurisdictions: Whose law attaches to her.
    """

    party_id: int
    business_date: date
    zone: str
    contact_point_id: int | None
    locale: str | None
    creditor_role: str
    jurisdictions: tuple[str, ...]

    @property
    def person(self) -> Person:
        """As it is asked who may call her (decisions/agents.py)."""
        return Person(locale=self.locale, jurisdictions=self.jurisdictions, today=self.business_date)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTask:
    """A call that is to be made; nothing in it is personal.

    Attributes:
        id: Of `call_task`.
        party_id: Who is to be called.
        contact_point_id: Where she asked to be called; None = wherever she may be called.
        reason: `callback`, `unreached`, `strategy`.
        because: How that is known, in a word of ours.
        opens_at: Not before.
        closes_at: By then.
        owner: Who answers for it.
        state: As in `ledger.tables.CALL_TASK_STATES`.
        asked_at: Since when it waits.
        missed_at: When its window was found to be over; None = it was not.
        attempt_business_date: Of the attempt that is or was dialled; None = none was.
        attempt_id: As above.
        taken_by: Who dials, or dialled last.
        tries: How often it was dialled.
        result: How the last dial ended; None = it is not told yet.
    """

    id: int
    party_id: int
    contact_point_id: int | None
    reason: str
    because: str
    opens_at: datetime
    closes_at: datetime
    owner: str
    state: str
    asked_at: datetime
    missed_at: datetime | None
    attempt_business_date: date | None
    attempt_id: int | None
    taken_by: str | None
    tries: int
    result: str | None


def enqueue_callback(
    tx: Connection,
    *,
    party_id: int,
    because: str,
    window: CallWindow,
    at: datetime,
    contact_point_id: int | None = None,
    owner: str = PHONE_TEAM,
) -> int:
    """Owe a person a call, in the window that she asked for. What was asked for last counts: it takes the place of what waits.

    Args:
        tx: Inside the transaction that holds the borrower.
        party_id: Who asked.
        because: How that is known, in a word of ours ("sms: call_me"); never in hers.
        window: When to call; one that is over already is missed at once.
        at: Business instant.
        contact_point_id: Where to call, where she said so.
        owner: Who answers for it.

    Returns:
        Id of the task.

    Raises:
        ValueError: The window ends before it begins.
    """
    if window.closes_at <= window.opens_at:
        raise ValueError("a window ends after it begins")
    tx.execute(_WITHDRAW_WAITING, {"party": party_id, "at": at})
    return _enqueue(tx, CALLBACK, party_id, because, window, at=at, contact_point_id=contact_point_id, owner=owner)


def enqueue_unreached(
    tx: Connection, *, at: datetime, window: timedelta, tries_min: int, within_days: int, stages: Sequence[str], at_most: int
) -> int:
    """Put in the queue whom no message reached: several tries failed, nothing arrived, nobody answered.

    Args:
        tx: Inside a transaction.
        at: Business instant.
        window: How long it may wait.
        tries_min: So many tries ended undelivered, failed or refused.
        within_days: Business dates that are looked at; whoever was in the queue within them is not put there again.
        stages: Of these stages' tries.
        at_most: People; the others are looked at again the next time.

    Returns:
        How many people.
    """
    keys = {"at": at, "closes": at + window, "tries": tries_min, "days": within_days, "stages": list(stages), "owner": PHONE_TEAM}
    keys |= {"at_most": at_most}
    return tx.execute(_UNREACHED, keys).rowcount


def enqueue_planned(tx: Connection, *, at: datetime, at_most: int) -> int:
    """Put in the queue what a strategy planned for a person to dial, of runs that may contact people by now; how many people.

    At most so many, those first whose window ends first; the others stay planned, and are looked at again the next time.
    """
    return tx.execute(_PLANNED, {"at": at, "owner": PHONE_TEAM, "at_most": at_most}).rowcount


def counts_open(tx: Connection) -> int:
    """How many calls wait or are being made."""
    return int(tx.execute(_COUNT_OPEN).scalar_one())


def note_missed(tx: Connection, *, at: datetime) -> list[CallTask]:
    """Find what was not called in its window: a call-back is missed, and stays first; anything else lapses.

    Returns:
        Call-backs that are missed since now: each is told once.
    """
    tx.execute(_LAPSE, {"at": at})
    return [_task(row) for row in tx.execute(_MISS, {"at": at})]


def overdue(tx: Connection, *, at: datetime) -> tuple[int, datetime | None]:
    """Call-backs that were owed by now and that nobody has made: how many, and when the oldest was due."""
    row = tx.execute(_OVERDUE, {"at": at}).one()
    return row.tasks, row.since


def waiting(tx: Connection, *, at: datetime, at_most: int) -> list[CallTask]:
    """What waits or is being dialled, in the order in which it is called: what may be called now before what may be later."""
    return [_task(row) for row in tx.execute(_QUEUE, {"at": at, "at_most": at_most})]


def read(tx: Connection, task_id: int) -> CallTask | None:
    """One task; None where there is none."""
    row = tx.execute(_READ, {"id": task_id}).one_or_none()
    return None if row is None else _task(row)


def due(tx: Connection, *, at: datetime, at_most: int) -> list[CallTask]:
    """What waits and may be called now, in the order in which it is called."""
    return [_task(row) for row in tx.execute(_DUE, {"at": at, "at_most": at_most})]


def creditor_name(tx: Connection, party_id: int) -> str:
    """For whom a person is called, as she knows it."""
    return str(tx.execute(_CREDITOR_NAME, {"party": party_id}).scalar_one())


def callee(tx: Connection, task: CallTask, *, at: datetime) -> Callee:
    """Who is to be called for a task, and where: at the number that she named, or at a mobile number of her own that was verified last."""
    (found,) = callees(tx, [task], at=at).values()
    return found


def callees(tx: Connection, tasks: Sequence[CallTask], *, at: datetime) -> dict[int, Callee]:
    """Task id → who is to be called for it, and where, as `callee` says."""
    keys = {"tasks": [task.id for task in tasks], "at": at}
    return {row.task_id: _callee(row) for row in tx.execute(_CALLEES, keys)}


def planned_of_day(tx: Connection, party_id: int, *, stage: str, business_date: date, at: datetime) -> tuple[int, int] | None:
    """(campaign run, attempt) that is planned for a person in that kind of run on that date, and not over; None = none is."""
    row = tx.execute(_PLANNED_OF_DAY, {"party": party_id, "stage": stage, "day": business_date, "at": at}).one_or_none()
    return None if row is None else (row.campaign_run_id, row.id)


def planned_attempt(tx: Connection, task: CallTask) -> tuple[int, tuple[date, int]] | None:
    """(campaign run, attempt) that a strategy planned for a task; None where it is planned no more."""
    row = tx.execute(_STILL_PLANNED, {"day": task.attempt_business_date, "id": task.attempt_id}).one_or_none()
    return None if row is None else (row.campaign_run_id, (row.business_date, row.id))


def held_back(tx: Connection, campaign_run_id: int, party_id: int) -> tuple[tuple[str, ...], datetime | None]:
    """Why the gate did not let a person be called, in rule ids and words of its own; and from when on it may."""
    row = tx.execute(_HELD_BACK, {"run": campaign_run_id, "party": party_id}).one_or_none()
    if row is None:
        return (), None
    said = row.cause.partition(": ")[2] or row.cause
    return tuple(said.split(", ")), row.send_after if row.state == "planned" else None


def plan_another_try(tx: Connection, party_id: int, *, stage: str, business_date: date, after: datetime, until: datetime) -> bool:
    """Plan a further try of a day that was decided before; False where one of that day reached the person, or may have."""
    keys = {"party": party_id, "stage": stage, "day": business_date, "after": after, "until": until}
    return tx.execute(_PLAN_ANOTHER, keys).rowcount == 1


def give_time(tx: Connection, attempt: tuple[date, int], *, seconds: float) -> None:
    """Let a call that a person makes last longer than one that a machine asks for, before its fate counts as unknown."""
    tx.execute(_GIVE_TIME, {"day": attempt[0], "id": attempt[1], "seconds": seconds})


def dialled(tx: Connection, task: CallTask) -> tuple[str, UUID] | None:
    """(state, token) of the attempt that was dialled for a task; None where none was."""
    if task.attempt_id is None:
        return None
    row = tx.execute(_DIALLED, {"day": task.attempt_business_date, "id": task.attempt_id}).one_or_none()
    return None if row is None else (row.state, row.token)


def number_of(tx: Connection, task: CallTask) -> tuple[bytes, str, int] | None:
    """(ciphertext, key id, contact point) of the number that was dialled for a task; None where it is gone."""
    row = tx.execute(_NUMBER, {"day": task.attempt_business_date, "id": task.attempt_id}).one_or_none()
    if row is None or row.value_encrypted is None:
        return None
    vault.learn(tx, [row.key_id])
    return row.value_encrypted, row.key_id, row.contact_point_id


def give_back(tx: Connection, task_id: int, *, opens_at: datetime | None) -> None:
    """Nobody dialled: it waits again, from an instant on, or from when it did before."""
    tx.execute(_GIVE_BACK, {"id": task_id, "opens": opens_at})


def postpone(tx: Connection, task_id: int, *, opens_at: datetime) -> None:
    """Let a task that waits wait until an instant, for some hours at least from then on."""
    tx.execute(_POSTPONE, {"id": task_id, "opens": opens_at})


def give_back_left(tx: Connection, *, at: datetime, seconds: float) -> int:
    """Let wait again what was taken, and not dialled for so many seconds: whoever took it is gone. How many."""
    return tx.execute(_GIVE_BACK_LEFT, {"at": at, "seconds": seconds}).rowcount


def handled(tx: Connection, party_id: int, *, by: str, at: datetime) -> None:
    """Say that a person has talked to whoever asked for a call, or for help, until now."""
    tx.execute(_HANDLED, {"party": party_id, "by": by, "at": at})


def take(tx: Connection, task_id: int, *, attempt: tuple[date, int], by: str, at: datetime) -> bool:
    """Say that somebody dials; False where another was faster."""
    keys = {"id": task_id, "day": attempt[0], "attempt": attempt[1], "by": by, "at": at}
    return tx.execute(_TAKE, keys).rowcount == 1


def close(tx: Connection, task_id: int, *, state: str, result: str | None, at: datetime) -> bool:
    """Say what became of a task: `done`, `withdrawn`, `lapsed`; False where it was over before."""
    return tx.execute(_CLOSE, {"id": task_id, "state": state, "result": result, "at": at}).rowcount == 1


def try_again(tx: Connection, task: CallTask, *, result: str, window: CallWindow, at: datetime) -> bool:
    """Nobody was there: wait for another try. False where the person asked for something else meanwhile, which counts."""
    if not close(tx, task.id, state="done", result=result, at=at):
        return False
    keys = {
        "party": task.party_id,
        "point": task.contact_point_id,
        "reason": task.reason,
        "because": task.because,
        "opens": window.opens_at,
        "closes": window.closes_at,
        "owner": task.owner,
        "asked_at": task.asked_at,
        "missed_at": task.missed_at,
        "tries": task.tries,
    }
    return tx.execute(_ENQUEUE_AGAIN, keys).rowcount == 1


def _enqueue(
    tx: Connection, reason: str, party_id: int, because: str, window: CallWindow, *, at: datetime, contact_point_id: int | None, owner: str
) -> int:
    keys = {
        "party": party_id,
        "point": contact_point_id,
        "reason": reason,
        "because": because,
        "opens": window.opens_at,
        "closes": window.closes_at,
        "owner": owner,
        "at": at,
    }
    return int(tx.execute(_ENQUEUE, keys).scalar_one())


def _callee(row: Row[Any]) -> Callee:
    attached = attached_to(country=row.country, region=row.region, postal_code=row.postal_code, known_zone=row.known_zone)
    return Callee(
        party_id=row.party_id,
        business_date=row.business_date,
        zone=row.zone,
        contact_point_id=row.contact_point_id,
        locale=row.locale,
        creditor_role=row.creditor_role,
        jurisdictions=tuple(attached),
    )


def _task(row: Row[Any]) -> CallTask:
    return CallTask(**row._mapping)  # noqa: SLF001  # SQLAlchemy's public name for a row as a mapping


_COLUMNS = (
    "t.id, t.party_id, t.contact_point_id, t.reason, t.because, t.opens_at, t.closes_at, t.owner, t.state, t.asked_at, t.missed_at, "
    "t.attempt_business_date, t.attempt_id, t.taken_by, t.tries, t.result"
)
# Who asked comes first, and of them whose window ends first.
_ORDER = "array_position(ARRAY['callback', 'unreached', 'strategy'], t.reason), t.closes_at, t.id"
_ENQUEUE = text("""
    INSERT INTO call_task (party_id, contact_point_id, reason, because, opens_at, closes_at, owner, state, asked_at)
    VALUES (:party, CAST(:point AS bigint), :reason, :because, :opens, :closes, :owner, 'waiting', :at)
    RETURNING id
""")
_ENQUEUE_AGAIN = text("""
    INSERT INTO call_task (party_id, contact_point_id, reason, because, opens_at, closes_at, owner, state, asked_at, missed_at, tries)
    VALUES (:party, CAST(:point AS bigint), :reason, :because, :opens, :closes, :owner, 'waiting', :asked_at,
            CAST(:missed_at AS timestamptz), :tries)
    ON CONFLICT (party_id) WHERE state = 'waiting' DO NOTHING
""")
_WITHDRAW_WAITING = text("UPDATE call_task SET state = 'withdrawn', closed_at = :at WHERE party_id = :party AND state = 'waiting'")
# What arrived, was answered or is on its way reached somebody; a person who was in the queue lately is left in peace.
_UNREACHED = text("""
    INSERT INTO call_task (party_id, reason, because, opens_at, closes_at, owner, state, asked_at)
    SELECT a.party_id, 'unreached', 'no message arrived', :at, :closes, :owner, 'waiting', :at
    FROM attempt a
    WHERE a.business_date > CAST(:at AS date) - CAST(:days AS integer) AND a.stage = ANY(:stages)
      AND a.state NOT IN ('planned', 'withheld', 'superseded', 'expired')
    GROUP BY a.party_id
    HAVING count(*) FILTER (WHERE a.state IN ('undelivered', 'failed', 'rejected')) >= :tries
       AND bool_and(a.state IN ('undelivered', 'failed', 'rejected'))
       AND NOT EXISTS (
           SELECT 1 FROM contact_event c WHERE c.party_id = a.party_id AND c.direction = 'inbound'
             AND c.business_date >= CAST(:at AS date) - CAST(:days AS integer) - 2
             AND c.at > CAST(:at AS timestamptz) - make_interval(days => CAST(:days AS integer)))
       AND NOT EXISTS (
           SELECT 1 FROM call_task t WHERE t.party_id = a.party_id
             AND (t.state IN ('waiting', 'taken') OR t.asked_at > CAST(:at AS timestamptz) - make_interval(days => CAST(:days AS integer))))
       AND EXISTS (
           SELECT 1 FROM contact_point p JOIN contact_point_version v ON v.contact_point_id = p.id AND v.superseded_at IS NULL
           WHERE p.party_id = a.party_id AND p.kind IN ('mobile', 'landline') AND v.status IN ('active', 'unreachable'))
    ORDER BY min(a.business_date), a.party_id LIMIT :at_most
    ON CONFLICT (party_id) WHERE state = 'waiting' DO NOTHING
""")
_PLANNED = text("""
    INSERT INTO call_task (party_id, contact_point_id, reason, because, opens_at, closes_at, owner, state, asked_at,
                           attempt_business_date, attempt_id)
    SELECT a.party_id, a.contact_point_id, 'strategy', a.message, a.send_after, a.expires_at, :owner, 'waiting', :at, a.business_date, a.id
    FROM attempt a
    JOIN campaign_run r ON r.id = a.campaign_run_id AND NOT r.preview AND r.state IN ('open', 'closed')
     AND r.approval IN ('none', 'approved')
     AND (r.canary IN ('none', 'passed') OR (r.canary = 'trying' AND md5(r.seed || ' ' || a.party_id) <= r.canary_rank))
    WHERE a.state = 'planned' AND a.channel = 'call' AND a.stage NOT IN ('callback', 'call')
      AND a.expires_at > :at AND a.expires_at > a.send_after
      AND NOT EXISTS (SELECT 1 FROM call_task t WHERE t.attempt_business_date = a.business_date AND t.attempt_id = a.id)
      -- Whoever waits already must not take the place of one who does not.
      AND NOT EXISTS (SELECT 1 FROM call_task t WHERE t.party_id = a.party_id AND t.state = 'waiting')
    ORDER BY a.expires_at, a.id LIMIT :at_most
    ON CONFLICT (party_id) WHERE state = 'waiting' DO NOTHING
""")
_LAPSE = text(
    "UPDATE call_task SET state = 'lapsed', closed_at = :at WHERE state = 'waiting' AND reason <> 'callback' AND closes_at <= :at"
)
_MISS = text(f"""
    UPDATE call_task t SET missed_at = :at
    WHERE t.state = 'waiting' AND t.reason = 'callback' AND t.closes_at <= :at AND t.missed_at IS NULL
    RETURNING {_COLUMNS}
""")  # noqa: S608  # columns named above
_OVERDUE = text("""
    SELECT count(*) AS tasks, min(closes_at) AS since FROM call_task
    WHERE state IN ('waiting', 'taken') AND reason = 'callback' AND closes_at <= :at
""")
_QUEUE = text(f"""
    SELECT {_COLUMNS} FROM call_task t WHERE t.state IN ('waiting', 'taken')
    ORDER BY t.opens_at > :at, {_ORDER} LIMIT :at_most
""")  # noqa: S608  # as above
_READ = text(f"SELECT {_COLUMNS} FROM call_task t WHERE t.id = :id")  # noqa: S608  # as above
_DUE = text(f"""
    SELECT {_COLUMNS} FROM call_task t WHERE t.state = 'waiting' AND t.opens_at <= :at ORDER BY {_ORDER} LIMIT :at_most
""")  # noqa: S608  # as above
_COUNT_OPEN = text("SELECT count(*) FROM call_task WHERE state IN ('waiting', 'taken')")
_CREDITOR_NAME = text("SELECT c.name FROM party p JOIN creditor c ON c.id = p.creditor_id WHERE p.id = :party")
_TAKE = text("""
    UPDATE call_task SET state = 'taken', attempt_business_date = :day, attempt_id = :attempt, taken_by = :by, taken_at = :at,
           tries = tries + 1
    WHERE id = :id AND state = 'waiting'
""")
_CLOSE = text("""
    UPDATE call_task SET state = :state, result = :result, closed_at = :at WHERE id = :id AND state IN ('waiting', 'taken')
""")
_CALLEES = text("""
    SELECT t.id AS task_id, p.id AS party_id,
           (CAST(:at AS timestamptz) AT TIME ZONE coalesce(b.known_zone, b.zones[1], 'UTC'))::date AS business_date,
           coalesce(b.known_zone, b.zones[1], 'UTC') AS zone, k.contact_point_id,
           coalesce(w.locale, b.locale) AS locale, c.role AS creditor_role, b.country, b.region, b.postal_code, b.known_zone
    FROM call_task t JOIN party p ON p.id = t.party_id JOIN creditor c ON c.id = p.creditor_id
    LEFT JOIN party_version b ON b.party_id = p.id AND b.superseded_at IS NULL
    LEFT JOIN language_wish w ON w.party_id = p.id AND w.superseded_at IS NULL
    LEFT JOIN LATERAL (
        SELECT k.id AS contact_point_id FROM contact_point k
        JOIN contact_point_version v ON v.contact_point_id = k.id AND v.superseded_at IS NULL
        WHERE k.party_id = p.id AND k.kind IN ('mobile', 'landline') AND v.status = 'active' AND v.owner = 'borrower'
        ORDER BY k.id IS NOT DISTINCT FROM t.contact_point_id DESC, k.kind = 'mobile' DESC, v.verified_on DESC NULLS LAST, k.id LIMIT 1
    ) k ON true
    WHERE t.id = ANY(:tasks)
""")
_PLANNED_OF_DAY = text("""
    SELECT campaign_run_id, id FROM attempt
    WHERE business_date = :day AND party_id = :party AND stage = :stage AND channel = 'call' AND state = 'planned'
      AND expires_at > :at
""")
_PLAN_ANOTHER = text("""
    INSERT INTO attempt (business_date, decision_id, campaign_run_id, party_id, contact_point_id, stage, step, try_number, channel, purpose,
                         message, offer, locale, state, token, send_after, expires_at)
    SELECT business_date, decision_id, campaign_run_id, party_id, contact_point_id, stage, step, try_number + 1, channel, purpose,
           message, offer, locale, 'planned', gen_random_uuid(), :after, :until
    FROM attempt WHERE business_date = :day AND party_id = :party AND stage = :stage AND channel = 'call'
    ORDER BY try_number DESC LIMIT 1
    ON CONFLICT DO NOTHING
""")
_GIVE_TIME = text("""
    UPDATE attempt SET call_deadline = clock_timestamp() + make_interval(secs => :seconds)
    WHERE business_date = :day AND id = :id AND state = 'submitting' AND channel = 'call' AND called_at IS NOT NULL
""")
_DIALLED = text("SELECT state, token FROM attempt WHERE business_date = :day AND id = :id AND called_at IS NOT NULL")
_NUMBER = text("""
    SELECT v.value_encrypted, v.key_id, a.contact_point_id
    FROM attempt a JOIN contact_point_version v ON v.contact_point_id = a.contact_point_id AND v.superseded_at IS NULL
    WHERE a.business_date = :day AND a.id = :id
""")
_GIVE_BACK = text("""
    UPDATE call_task SET state = 'waiting', taken_by = NULL, taken_at = NULL, tries = tries - 1,
           opens_at = coalesce(CAST(:opens AS timestamptz), opens_at),
           closes_at = greatest(closes_at, coalesce(CAST(:opens AS timestamptz), opens_at) + interval '1 hour')
    WHERE id = :id AND state = 'taken'
""")
_POSTPONE = text("""
    UPDATE call_task SET opens_at = :opens, closes_at = greatest(closes_at, CAST(:opens AS timestamptz) + interval '24 hours')
    WHERE id = :id AND state = 'waiting'
""")
_GIVE_BACK_LEFT = text("""
    UPDATE call_task t SET state = 'waiting', taken_by = NULL, taken_at = NULL, tries = tries - 1
    FROM attempt a
    WHERE t.state = 'taken' AND t.taken_at < CAST(:at AS timestamptz) - make_interval(secs => :seconds)
      AND a.business_date = t.attempt_business_date AND a.id = t.attempt_id AND a.called_at IS NULL
      AND NOT EXISTS (SELECT 1 FROM call_task w WHERE w.party_id = t.party_id AND w.state = 'waiting')
""")
_HANDLED = text("""
    WITH ended AS (
        UPDATE outcome SET handled_at = :at
        WHERE party_id = :party AND intent IN ('call_me', 'help') AND needs_person AND handled_at IS NULL AND at <= :at
        RETURNING id
    )
    INSERT INTO outcome_handled (outcome_id, by, done, at) SELECT id, :by, 'talked on the phone', CAST(:at AS timestamptz) FROM ended
    ON CONFLICT (outcome_id, by, done) DO NOTHING
""")
_STILL_PLANNED = text(
    "SELECT campaign_run_id, business_date, id FROM attempt WHERE business_date = :day AND id = :id AND state = 'planned'"
)
_HELD_BACK = text("""
    SELECT a.state, a.send_after, coalesce(t.cause, 'paused') AS cause
    FROM attempt a LEFT JOIN LATERAL (
        SELECT t.cause FROM attempt_transition t WHERE t.business_date = a.business_date AND t.attempt_id = a.id ORDER BY t.id DESC LIMIT 1
    ) t ON true
    WHERE a.campaign_run_id = :run AND a.party_id = :party AND a.channel = 'call'
    ORDER BY a.id DESC LIMIT 1
""")
