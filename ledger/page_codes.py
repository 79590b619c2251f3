"""Codes that open a person's page: asked for by whoever has the link, sent to a contact point of hers, good for minutes and few tries.

A code is not kept, nor a hash of it, which a million guesses would undo: it follows from the token of the attempt that brings it and a
key that is not in the ledger. So any process can write the message, and what was said can be proved afterwards like any other.

In:   a connection inside a transaction; a link; what was typed in.
Out:  rows of `page_code`, planned attempts; whether a code is the right one.
Pure: no; reads and writes the ledger.
Source: docs/adr/0041; NIST SP 800-63B 5.1.3 (out-of-band: at least 20 bits or a limit of tries, valid for 10 minutes).
"""

from __future__ import annotations

import hmac
from datetime import date, datetime
from typing import Final, Literal
from uuid import UUID

from sqlalchemy import Connection, text

from config.portal_files import PagePolicy
from ledger import vault
from ledger.locks import lock_borrowers
from ledger.page_links import Link

# Kind of run, and purpose of its attempts.
CODE: Final = "code"
ONE_TIME_CODE: Final = "one_time_code"
DIGITS: Final = 6
# It is on its way, or may be.
ON_ITS_WAY: Final = frozenset({"submitting", "accepted", "sent", "delivered", "read", "replied", "unknown", "parked"})
Entered = Literal["right", "wrong", "over", "too many"]


def code_of(token: UUID) -> str:
    """The code that the attempt of that token brings."""
    drawn = int.from_bytes(vault.keyed("page code", token.hex)[:8])
    return f"{drawn % 10**DIGITS:0{DIGITS}}"


def may_ask(tx: Connection, party_id: int, policy: PagePolicy) -> bool:
    """Whether a person may be sent another code now; ask under her lock."""
    row = tx.execute(_ASKED, {"party": party_id}).one()
    return bool(row.an_hour < policy.an_hour_max and row.a_day < policy.a_day_max and row.wrong < policy.wrong_a_day_max)


def plan_another(tx: Connection, party_id: int, *, business_date: date, at: datetime, until: datetime) -> tuple[int, int] | None:
    """Plan a further code of a day on which one was sent: (run, attempt); None where this is the first."""
    keys = {"party": party_id, "stage": CODE, "day": business_date, "after": at, "until": until}
    row = tx.execute(_PLAN_ANOTHER, keys).one_or_none()
    return None if row is None else (row.campaign_run_id, row.id)


def planned(tx: Connection, party_id: int, *, business_date: date) -> int:
    """Id of the attempt that was planned for a person's first code of a day."""
    return int(tx.execute(_PLANNED, {"party": party_id, "stage": CODE, "day": business_date}).scalar_one())


def note(tx: Connection, link: Link, *, business_date: date, attempt_id: int) -> None:
    """Write down that a code was asked for, and which attempt brings it."""
    tx.execute(_NOTE, {"party": link.party_id, "link": link.attempt_id, "day": business_date, "attempt": attempt_id})


def is_on_its_way(tx: Connection, *, business_date: date, attempt_id: int) -> bool:
    """Whether a code left, as far as is known."""
    return tx.execute(_STATE, {"day": business_date, "id": attempt_id}).scalar_one() in ON_ITS_WAY


def is_open(tx: Connection, link: Link, policy: PagePolicy) -> bool:
    """Whether a code was asked for through this link that may still be entered."""
    return tx.execute(_OPEN, _keys(link, policy)).one_or_none() is not None


def enter(tx: Connection, link: Link, typed: str, policy: PagePolicy) -> Entered:
    """Try a code, once: a wrong one counts, a right one is used up.

    Returns:
        `right`; `wrong`: it may be tried again; `over`: none is open for this link; `too many`: wrong tries of a day.
    """
    lock_borrowers(tx, [link.party_id])
    if tx.execute(_ASKED, {"party": link.party_id}).one().wrong >= policy.wrong_a_day_max:
        return "too many"
    found = tx.execute(_OPEN, _keys(link, policy)).one_or_none()
    if found is None:
        return "over"
    digits = "".join(str(int(sign)) for sign in typed if sign.isdecimal())
    if not hmac.compare_digest(digits, code_of(found.token)):
        tx.execute(_WRONG, {"id": found.id})
        return "wrong" if found.wrong_tries + 1 < policy.tries_max else "over"
    tx.execute(_USED, {"id": found.id})
    return "right"


def _keys(link: Link, policy: PagePolicy) -> dict[str, float]:
    return {"party": link.party_id, "link": link.attempt_id, "seconds": policy.code_valid.total_seconds(), "tries": policy.tries_max}


_ASKED = text("""
    SELECT count(*) FILTER (WHERE asked_at > clock_timestamp() - interval '1 hour') AS an_hour, count(*) AS a_day,
           coalesce(sum(wrong_tries), 0) AS wrong
    FROM page_code WHERE party_id = :party AND asked_at > clock_timestamp() - interval '1 day'
""")
# As the one before it, of the same decision: it is judged again like any other.
_PLAN_ANOTHER = text("""
    INSERT INTO attempt (business_date, decision_id, campaign_run_id, party_id, contact_point_id, stage, step, try_number, channel, purpose,
                         message, locale, state, token, send_after, expires_at)
    SELECT business_date, decision_id, campaign_run_id, party_id, contact_point_id, stage, step, try_number + 1, channel, purpose,
           message, locale, 'planned', gen_random_uuid(), :after, :until
    FROM attempt WHERE business_date = :day AND party_id = :party AND stage = :stage
    ORDER BY try_number DESC LIMIT 1
    RETURNING campaign_run_id, id
""")
_PLANNED = text("SELECT id FROM attempt WHERE business_date = :day AND party_id = :party AND stage = :stage AND state = 'planned'")
_NOTE = text("""
    INSERT INTO page_code (party_id, link_attempt_id, business_date, attempt_id) VALUES (:party, :link, :day, :attempt)
""")
_STATE = text("SELECT state FROM attempt WHERE business_date = :day AND id = :id")
# The newest alone: who asks for another one has given up the one before it.
_OPEN = text("""
    SELECT newest.id, newest.wrong_tries, a.token FROM (
        SELECT * FROM page_code WHERE party_id = :party AND link_attempt_id = :link ORDER BY id DESC LIMIT 1) newest
    JOIN attempt a ON a.business_date = newest.business_date AND a.id = newest.attempt_id
    WHERE newest.used_at IS NULL AND newest.wrong_tries < :tries AND newest.asked_at > clock_timestamp() - make_interval(secs => :seconds)
""")
_WRONG = text("UPDATE page_code SET wrong_tries = wrong_tries + 1 WHERE id = :id")
_USED = text("UPDATE page_code SET used_at = clock_timestamp() WHERE id = :id")
