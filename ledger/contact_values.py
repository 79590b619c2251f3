"""Numbers and tokens by their blind index: where a message went, and who has had it as a contact point.

In:   a connection; an attempt, or a blind index.
Out:  a blind index; party ids.
Pure: no; reads.
"""

from __future__ import annotations

from sqlalchemy import Connection, text


def of_attempt(connection: Connection, attempt_id: int) -> bytes | None:
    """The blind index of what an attempt goes to, as it was known when it was let go; None where there is none."""
    found: bytes | None = connection.execute(_OF_ATTEMPT, {"id": attempt_id}).scalar()
    return found


def owners(connection: Connection, blind_index: bytes) -> list[int]:
    """Whoever has or had it, by id: also owners of long ago."""
    return list(connection.execute(_OWNERS, {"value": blind_index}).scalars())


_OF_ATTEMPT = text("""
    SELECT v.blind_index FROM attempt a JOIN contact_point_version v ON v.contact_point_id = a.contact_point_id
    WHERE a.id = :id
    ORDER BY (v.recorded_at <= coalesce((a.permit ->> 'issued_at')::timestamptz, clock_timestamp())) DESC, v.id DESC LIMIT 1
""")
_OWNERS = text("""
    SELECT DISTINCT p.party_id FROM contact_point_version v JOIN contact_point p ON p.id = v.contact_point_id
    WHERE v.blind_index = :value ORDER BY p.party_id
""")
