"""Every attempt as an outsider may count it: to whom, by what, what we say became of it, and the provider's id.

In:   an open transaction.
Out:  attempts in the order of their dates and ids, page by page; the address is still encrypted.
Pure: no; reads.
Source: CASES.md, `tideover export attempts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from sqlalchemy import Connection, text

from ledger import vault

BEFORE_ALL: Final = (date.min, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAttempt:
    """One attempt.

    Attributes:
        business_date: Of the attempt.
        id: Which.
        channel: sms, push, ...
        state: Where it stands.
        provider_id: The provider's id of the message; None where we know none.
        submitted_at: Business instant at which the gate last let it go; None where it never did.
        value_encrypted: The number or token that it goes to, as it was when the gate let it go; None where it was erased.
        key_id: Opens it.
    """

    business_date: date
    id: int
    channel: str
    state: str
    provider_id: str | None
    submitted_at: datetime | None
    value_encrypted: bytes | None = field(repr=False)
    key_id: str | None


def page(connection: Connection, *, after: tuple[date, int], at_most: int) -> Sequence[ListedAttempt]:
    """The next attempts.

    Args:
        connection: Any.
        after: Business date and id of the last one before; `BEFORE_ALL` for the first page.
        at_most: How many.
    """
    keys = {"day": after[0], "id": after[1], "at_most": at_most}
    rows = connection.execute(_PAGE, keys).all()
    vault.learn(connection, [row.key_id for row in rows])
    return [ListedAttempt(**row._mapping) for row in rows]  # noqa: SLF001  # SQLAlchemy's public name for a row as a mapping


# A contact point's value may change: what was known when the permit was written is where the message went.
_PAGE = text("""
    SELECT a.business_date, a.id, a.channel, a.state, a.provider_id, a.submitted_at, v.value_encrypted, v.key_id
    FROM attempt a
    LEFT JOIN LATERAL (
        SELECT value_encrypted, key_id FROM contact_point_version
        WHERE contact_point_id = a.contact_point_id
        ORDER BY (recorded_at <= coalesce((a.permit ->> 'issued_at')::timestamptz, clock_timestamp())) DESC, id DESC LIMIT 1) v ON true
    WHERE (a.business_date, a.id) > (:day, :id)
    ORDER BY a.business_date, a.id LIMIT :at_most
""")
