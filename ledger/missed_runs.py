"""Runs that an outage missed, or broke off: recorded as such, so that nothing that was due then goes out later.

In:   a connection inside a transaction; a stage, a past date.
Out:  a closed row of `campaign_run` that says on which date it was caught up with; attempts of that date that are not sent any more.
Pure: no.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql import bindparam

from ledger import attempts
from ledger.attempts import Move
from ledger.campaigns import Policy, seed_of, write_policies
from ledger.locks import lock_borrowers
from ledger.tables import SENDING_APPROVALS, SENDING_CANARIES, STAGES

MISSED: Final = "missed"
BROKE_OFF: Final = "broke off"
RAN: Final = "ran"
CAUGHT_UP: Final = "caught up before"
# Why an attempt of such a day is not sent any more.
TAKEN_BACK: Final = "its day was missed, and caught up with"
# Nobody was asked yet: the run broke off before.
UNDECIDED: Final = "undecided"
# Borrowers whom one transaction locks.
PAGE: Final = 1_000


def how_it_went(connection: Connection, stage: str, day: date, scope: str) -> str:
    """What became of a stage on a past date.

    Returns:
        `missed` (no run), `broke off` (a run that was let out and did not come to its end), `caught up before`, `ran`, or
        what a person made of it or has still to say: `preview`, `paused`, `rejected`, `approval awaiting`, `canary stopped`, ….
    """
    row = connection.execute(_FIND, {"stage": stage, "on": day, "scope": scope}).one_or_none()
    if row is None:
        return MISSED
    if row.caught_up_on is not None:
        return CAUGHT_UP
    left_to = _left_to_people(row)
    if left_to is not None:
        return left_to
    return BROKE_OFF if row.state == "open" and row.is_unfinished else RAN


def _left_to_people(row: Row[Any]) -> str | None:
    """What a person made of a run, or has still to say; None = nothing."""
    if row.preview:
        return "preview"
    if row.state not in {"open", "closed"}:
        return str(row.state)
    if row.state == "open" and row.approval not in {*SENDING_APPROVALS, UNDECIDED}:
        return f"approval {row.approval}"
    if row.state == "open" and row.canary not in {*SENDING_CANARIES, UNDECIDED}:
        return f"canary {row.canary}"
    return None


def other_parts(connection: Connection, first: date, last: date, scope: str) -> list[str]:
    """Parts of the portfolio (`all`, or countries) that had runs of their own in a period, besides this one."""
    return list(connection.execute(_PARTS, {"first": first, "last": last, "scope": scope, "stages": list(STAGES)}).scalars())


def catch_up_with(
    connection: Connection, stage: str, day: date, scope: str, *, policies: Iterable[Policy], at: datetime, caught_up_on: date
) -> str:
    """Record that a stage was missed or broke off on a past date; its run takes nothing up any more.

    Args:
        connection: Inside a transaction.
        stage: Whose.
        day: The past date.
        scope: `all`, or a country.
        policies: In force now; kept with a run that nobody opened, which decided nothing by them.
        at: Business instant.
        caught_up_on: Local business date of now.

    Returns:
        As `how_it_went`, before.
    """
    went = how_it_went(connection, stage, day, scope)
    key = {"stage": stage, "on": day, "scope": scope, "at": at, "caught_up_on": caught_up_on}
    if went == MISSED:
        hashes = write_policies(connection, policies)
        connection.execute(_MISS, {**key, "seed": seed_of(stage, day, scope), "hashes": hashes})
    elif went == BROKE_OFF:
        connection.execute(_CLOSE, key)
    return went


def take_back(connection: Connection, first: date, last: date, *, at: datetime) -> int:
    """Take back a page of what runs that were caught up with had planned in a period; how many. Call it until it is none.

    Locks the borrowers, then the attempts; what somebody else has moved meanwhile stays as they left it.
    """
    found = connection.execute(_PLANNED, {"first": first, "last": last, "at_most": PAGE}).all()
    locked = set(lock_borrowers(connection, [row.party_id for row in found]))
    held = attempts.lock_attempts(connection, [(row.business_date, row.id) for row in found if row.party_id in locked])
    moves = [
        Move(business_date=row.business_date, attempt_id=row.id, from_state="planned", to_state="superseded", cause=TAKEN_BACK)
        for row in found
        if row.id in held
    ]
    return len(attempts.move(connection, moves, at=at))


def count_taken_back(connection: Connection, first: date, last: date) -> int:
    """How many attempts of a period were ever taken back so."""
    return int(connection.execute(_TAKEN_BACK, {"first": first, "last": last, "cause": TAKEN_BACK}).scalar_one())


def is_aged(connection: Connection, day: date) -> bool:
    """Whether the portfolio was ever aged as of a date."""
    return bool(connection.execute(_AGED, {"on": day}).scalar_one())


_WHICH = "r.stage = :stage AND r.business_date = :on AND r.scope = :scope"
_FIND = text(f"""
    SELECT r.state, r.preview, r.caught_up_on, r.approval, r.canary,
           NOT EXISTS (SELECT FROM campaign_shard s WHERE s.campaign_run_id = r.id)
           OR EXISTS (SELECT FROM campaign_shard s WHERE s.campaign_run_id = r.id AND s.decided_at IS NULL)
           OR EXISTS (SELECT FROM attempt a WHERE a.campaign_run_id = r.id AND a.state = 'planned') AS is_unfinished
    FROM campaign_run r WHERE {_WHICH} FOR UPDATE
""")  # noqa: S608  # the condition above
_PARTS = text("""
    SELECT DISTINCT scope FROM campaign_run
    WHERE business_date BETWEEN :first AND :last AND scope <> :scope AND stage = ANY(:stages) AND caught_up_on IS NULL ORDER BY scope
""")
_MISS = text("""
    INSERT INTO campaign_run (stage, business_date, scope, state, preview, seed, policy_hashes, opened_at, closed_at, caught_up_on)
    VALUES (:stage, :on, :scope, 'closed', false, :seed, :hashes, :at, :at, :caught_up_on)
    ON CONFLICT ON CONSTRAINT campaign_run_once DO NOTHING
""").bindparams(bindparam("hashes", type_=JSONB))
_CLOSE = text(f"""
    UPDATE campaign_run r SET state = 'closed', closed_at = :at, caught_up_on = :caught_up_on WHERE {_WHICH} AND r.state = 'open'
""")  # noqa: S608  # as above
_PLANNED = text("""
    SELECT a.business_date, a.id, a.party_id FROM campaign_run r JOIN attempt a ON a.campaign_run_id = r.id AND a.state = 'planned'
    WHERE r.business_date BETWEEN :first AND :last AND r.caught_up_on IS NOT NULL ORDER BY a.party_id, a.id LIMIT :at_most
""")
_TAKEN_BACK = text("""
    SELECT count(*) FROM attempt_transition
    WHERE business_date BETWEEN :first AND :last AND to_state = 'superseded' AND cause = :cause
""")
_AGED = text("SELECT EXISTS (SELECT FROM loan_aging WHERE business_date = :on)")
