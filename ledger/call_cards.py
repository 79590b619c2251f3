"""Whose a waiting person's card is: an agent is given one person, whom nobody else is given meanwhile.

A lease of some minutes on a task of the queue, in wall time. It is leave for nothing: the dial passes the gate (gate/dial.py).

In:   a connection inside a transaction; tasks in the order in which they are called, an agent.
Out:  rows of `call_card`.
Pure: no; reads and writes the ledger.
Source: docs/adr/0056; issue 8, "two agents never get the same person".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection, text


def held_by(tx: Connection, agent_id: int) -> int | None:
    """The task whose card an agent has; None = none."""
    found: int | None = tx.execute(_HELD, {"agent": agent_id}).scalar()
    return found


def take_first(tx: Connection, task_ids: Sequence[int], *, agent_id: int, lease: timedelta) -> int | None:
    """Give an agent the first of these tasks that waits and that nobody else has or is being given at this moment.

    Args:
        tx: Inside a transaction that ends at once.
        task_ids: In the order in which they are called.
        agent_id: Who; her earlier card goes back.
        lease: For how long.

    Returns:
        Which; None where all are gone.
    """
    tx.execute(_DROP, {"agent": agent_id})
    for task_id in task_ids:
        # Whoever has the row locked is giving it to somebody: it is passed over, not waited for.
        if tx.execute(_FREE, {"task": task_id}).scalar() is None:
            continue
        if tx.execute(_TAKE, {"task": task_id, "agent": agent_id, "seconds": lease.total_seconds()}).rowcount:
            return task_id
    return None


def give_back(tx: Connection, agent_id: int) -> bool:
    """Let somebody else have the card; False where the agent has none."""
    return tx.execute(_DROP, {"agent": agent_id}).rowcount > 0


def is_anothers(tx: Connection, task_id: int, *, agent_id: int) -> bool:
    """Whether the card of a task is somebody else's."""
    return tx.execute(_OTHERS, {"task": task_id, "agent": agent_id}).scalar() is not None


def others(tx: Connection, *, agent_id: int) -> set[int]:
    """Tasks whose cards others have."""
    return set(tx.execute(_ALL_OTHERS, {"agent": agent_id}).scalars())


_HELD = text("""
    SELECT c.task_id FROM call_card c JOIN call_task t ON t.id = c.task_id AND t.state IN ('waiting', 'taken')
    WHERE c.agent_id = :agent AND (c.until > clock_timestamp() OR t.state = 'taken')
""")
_DROP = text("DELETE FROM call_card WHERE agent_id = :agent")
_FREE = text("SELECT id FROM call_task WHERE id = :task AND state = 'waiting' FOR UPDATE SKIP LOCKED")
# A card whose time is over is anybody's.
_TAKE = text("""
    INSERT INTO call_card (task_id, agent_id, until) VALUES (:task, :agent, clock_timestamp() + make_interval(secs => :seconds))
    ON CONFLICT (task_id) DO UPDATE SET agent_id = excluded.agent_id, taken_at = clock_timestamp(), until = excluded.until
    WHERE call_card.until <= clock_timestamp()
""")
_OTHERS = text("SELECT 1 FROM call_card WHERE task_id = :task AND agent_id <> :agent AND until > clock_timestamp()")
_ALL_OTHERS = text("SELECT task_id FROM call_card WHERE agent_id <> :agent AND until > clock_timestamp()")
