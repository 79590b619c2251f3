"""The road of a sender: slots in time that all processes share, taken from one row.

Whoever wants to call takes so many slots at once, 1/rate apart, behind those that are taken; a slot that nobody took in time
is gone. One short statement in a transaction of its own: nothing is held while anybody waits.

In:   a connection; the sender, how many calls, the rate.
Out:  in how many seconds the first slot begins.
Pure: no; the database's wall clock is the only one that all processes share.
"""

from __future__ import annotations

from sqlalchemy import Connection, text


def take_slots(connection: Connection, *, sender: str, calls: int, per_second: float) -> float:
    """Take the next slots of a sender.

    Args:
        connection: Inside a transaction that ends at once.
        sender: Channel and sender id.
        calls: How many slots.
        per_second: The sender's rate.

    Returns:
        Seconds from now until the first one; the others follow 1/rate apart.
    """
    found: float = connection.execute(_TAKE, {"sender": sender, "seconds": calls / per_second}).scalar_one()
    return max(0.0, found)


_TAKE = text("""
    INSERT INTO sender_pace AS s (sender, free_at) VALUES (:sender, clock_timestamp() + make_interval(secs => :seconds))
    ON CONFLICT (sender) DO UPDATE SET free_at = greatest(s.free_at, clock_timestamp()) + make_interval(secs => :seconds)
    RETURNING CAST(extract(epoch FROM s.free_at - clock_timestamp()) - :seconds AS double precision)
""")
