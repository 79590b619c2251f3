"""Links to a person's page: the token of a message that was sent to her. A link names a page; alone it opens nothing.

In:   a connection; a token.
Out:  whose page it is and where the message went; None where it opens nothing (any more): one answer for whatever the reason is.
Pure: no; reads, and closes links.
Source: docs/adr/0040.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Row, text

from config.portal_files import PagePolicy
from ledger import page_sessions, vault
from ledger.addresses import PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link that works.

    Attributes:
        token: What stands in the address.
        business_date: Of the message's attempt.
        attempt_id: Of it.
        party_id: Whose page.
        contact_point_id: Where the message went.
        channel: By which channel.
    """

    token: UUID
    business_date: date
    attempt_id: int
    party_id: int
    contact_point_id: int
    channel: str


def read(tx: Connection, token: UUID, policy: PagePolicy, *, at: datetime) -> Link | None:
    """The link of a token, at a business instant.

    None where no message with it ever left, where it is too old, where the person closed her links, or where somebody said that
    the number is not hers.
    """
    row = tx.execute(_READ, {"token": token, "since": at - policy.link_open, "at": at}).one_or_none()
    return None if row is None else _link(row)


def address_of(tx: Connection, link: Link) -> str | None:
    """Where the link's message went, as the inbox writes senders; personal. None where it is not known any more."""
    row = tx.execute(_ADDRESS, {"day": link.business_date, "id": link.attempt_id}).one_or_none()
    if row is None or row.value_encrypted is None:
        return None
    vault.learn(tx, [row.key_id])
    value = vault.decrypt(row.value_encrypted, row.key_id)
    return value if link.channel == PLAIN else f"{link.channel}:{value}"


def account_of(tx: Connection, link: Link) -> tuple[str, str]:
    """The lender's own name (`creditor.external_id`), and the lender's own name for the link's person."""
    row = tx.execute(_ACCOUNT, {"party": link.party_id}).one()
    return row.creditor, row.account


def close_all(tx: Connection, party_id: int, *, at: datetime) -> None:
    """Let no link open anything that was sent to a person until now, and end her sessions."""
    tx.execute(_CLOSE, {"party": party_id, "at": at})
    page_sessions.end_all(tx, party_id)


def _link(row: Row[tuple[object, ...]]) -> Link:
    return Link(**row._mapping)  # noqa: SLF001  # SQLAlchemy's public name for a row as a mapping


# The number as it was known when the message was let go: the contact point may have another one by now.
_SENT_TO: Final = """
    SELECT v.blind_index, v.value_encrypted, v.key_id FROM contact_point_version v WHERE v.contact_point_id = a.contact_point_id
    ORDER BY (v.recorded_at <= coalesce((a.permit ->> 'issued_at')::timestamptz, clock_timestamp())) DESC, v.id DESC LIMIT 1
"""
_READ = text(f"""
    SELECT a.token, a.business_date, a.id AS attempt_id, a.party_id, a.contact_point_id, a.channel
    FROM attempt a CROSS JOIN LATERAL ({_SENT_TO}) s
    WHERE a.token = :token AND a.submitted_at > :since AND a.submitted_at <= :at AND a.purpose <> 'one_time_code'
      AND NOT EXISTS (SELECT 1 FROM page_closing c WHERE c.party_id = a.party_id AND c.at >= a.submitted_at)
      AND NOT EXISTS (SELECT 1 FROM contact_value w WHERE w.blind_index = s.blind_index AND w.superseded_at IS NULL
                        AND w.ownership IN ('wrong', 'reassigned'))
""")  # noqa: S608  # the statement above
_ADDRESS = text(f"""
    SELECT s.value_encrypted, s.key_id FROM attempt a CROSS JOIN LATERAL ({_SENT_TO}) s WHERE a.business_date = :day AND a.id = :id
""")  # noqa: S608  # the statement above
_ACCOUNT = text("""
    SELECT c.external_id AS creditor, p.external_id AS account FROM party p JOIN creditor c ON c.id = p.creditor_id WHERE p.id = :party
""")
_CLOSE = text("INSERT INTO page_closing (party_id, at) VALUES (:party, :at)")
