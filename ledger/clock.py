"""The one clock: in live mode the real one, in sandbox mode a row that steps.

The simulated clock stands while a run sends and jumps between phases, so that a demo at night works and a day
can be played in seconds. Without a row, sandbox mode reads the real clock. Live mode never looks at the row, and
refuses to set it (invariant I9). The real clock is the database's: machines' own differ, and a stop written by the clock
of one would be of the future for a gate on another, and stop nothing yet (invariant I4).

In:   an open session.
Out:  a UTC instant, microseconds.
Pure: no; this is the only file that reads wall time for a business instant.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, text
from sqlmodel import Session

from config.settings import settings


class LiveClockError(RuntimeError):
    """Somebody tried to simulate the clock in live mode."""

    def __init__(self) -> None:
        super().__init__("the clock cannot be simulated in live mode (nor in allowlist mode)")


def now(session: Session | Connection) -> datetime:
    """The business instant at which whatever happens in this transaction happens."""
    connection = session.connection() if isinstance(session, Session) else session
    found: datetime = connection.execute(_REAL if settings().is_real else _STANDING_OR_REAL).scalar_one()
    # A server calls its zone what it likes (Debian's says Etc/UTC), and frames compare instants of one name alone.
    return found.astimezone(UTC)


def is_simulated(session: Session | Connection) -> bool:
    """Say whether the simulated clock is set; never in live mode."""
    return settings().mode == "sandbox" and _simulated(session) is not None


def step(session: Session | Connection, at: datetime) -> None:
    """Move the simulated clock forward to `at`.

    Raises:
        LiveClockError: In live mode.
        ValueError: `at` has no zone, or lies before the clock's present instant.
    """
    if settings().is_real:
        raise LiveClockError
    if at.tzinfo is None:
        raise ValueError("the clock is set to an instant, with a zone")
    before = _simulated(session)
    if before is not None and at < before:
        raise ValueError(f"the clock only steps forward: it stands at {before.isoformat()}")
    (session.connection() if isinstance(session, Session) else session).execute(_WRITE, {"at": at})


def _simulated(session: Session | Connection) -> datetime | None:
    connection = session.connection() if isinstance(session, Session) else session
    found: datetime | None = connection.execute(_READ).scalar()
    return found


_REAL = text("SELECT clock_timestamp()")
_STANDING_OR_REAL = text("SELECT coalesce((SELECT at FROM sandbox_clock WHERE id = 1), clock_timestamp())")
_READ = text("SELECT at FROM sandbox_clock WHERE id = 1")
_WRITE = text("INSERT INTO sandbox_clock (id, at) VALUES (1, :at) ON CONFLICT (id) DO UPDATE SET at = excluded.at")
