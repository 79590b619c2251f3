"""A planned attempt, as it is judged again before it leaves.

In:   nothing.
Out:  the shape.
Pure: a value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A planned attempt under the lock, with what is needed to write to the person. The address is still encrypted."""

    business_date: date
    id: int
    party_id: int
    contact_point_id: int
    channel: str
    purpose: str
    message: str
    locale: str
    token: UUID
    send_after: datetime
    expires_at: datetime
    creditor_name: str
    creditor_role: str
    sender: str | None
    value_encrypted: bytes | None = field(repr=False)
    key_id: str | None
    blind_index: bytes | None = field(repr=False, default=None)
    creditor_licence: str | None = None
