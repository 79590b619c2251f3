"""Sessions of the borrower's page: opened by a code, ended by half an hour of rest, by the person, or with her links.

In:   a connection; what a browser shows, of which only the hash is kept.
Out:  rows of `page_session`; whose page is open.
Pure: no; reads and writes the ledger. Secrets are drawn from the operating system. Times are the database's wall clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import Connection, text

from config.portal_files import PagePolicy
from ledger import browser_secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A page that is open.

    Attributes:
        id: Of the session.
        party_id: Whose page.
        token: Of the link through which she came.
        business_date: Of the link's attempt.
        attempt_id: Of it.
        contact_point_id: Where its message went.
        channel: By which channel.
        open_seconds: Since she entered her code.
    """

    id: int
    party_id: int
    token: UUID
    business_date: date
    attempt_id: int
    contact_point_id: int
    channel: str
    open_seconds: float


def begin(tx: Connection, party_id: int, *, link: tuple[date, int]) -> str:
    """Open a page; returns what her browser has to show, which is kept nowhere."""
    secret = browser_secrets.draw()
    tx.execute(_BEGIN, {"party": party_id, "hash": browser_secrets.hash_of(secret), "day": link[0], "attempt": link[1]})
    return secret


def find(tx: Connection, secret: str, policy: PagePolicy) -> Session | None:
    """The session of a secret, which goes on by being found; None where it has ended."""
    keys = {"hash": browser_secrets.hash_of(secret), "idle": policy.idle.total_seconds(), "longest": policy.longest.total_seconds()}
    row = tx.execute(_FIND, keys).one_or_none()
    return None if row is None else Session(**row._mapping)  # noqa: SLF001  # SQLAlchemy's public name for a row as a mapping


def end(tx: Connection, session_id: int) -> None:
    """Close a page."""
    tx.execute(_END, {"id": session_id})


def end_all(tx: Connection, party_id: int) -> None:
    """Close every page of a person."""
    tx.execute(_END_ALL, {"party": party_id})


_BEGIN = text("""
    INSERT INTO page_session (party_id, secret_hash, link_business_date, link_attempt_id) VALUES (:party, :hash, :day, :attempt)
""")
_FIND = text("""
    UPDATE page_session s SET seen_at = clock_timestamp() FROM attempt a
    WHERE s.secret_hash = :hash AND s.ended_at IS NULL AND s.seen_at > clock_timestamp() - make_interval(secs => :idle)
      AND s.opened_at > clock_timestamp() - make_interval(secs => :longest)
      AND a.business_date = s.link_business_date AND a.id = s.link_attempt_id
    RETURNING s.id, s.party_id, a.token, a.business_date, a.id AS attempt_id, a.contact_point_id, a.channel,
              CAST(extract(epoch FROM clock_timestamp() - s.opened_at) AS double precision) AS open_seconds
""")
_END = text("UPDATE page_session SET ended_at = clock_timestamp() WHERE id = :id AND ended_at IS NULL")
_END_ALL = text("UPDATE page_session SET ended_at = clock_timestamp() WHERE party_id = :party AND ended_at IS NULL")
