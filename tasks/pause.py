"""Stop contact, resume it, and say what is stopped: the same for the terminal, for Prefect and for the desk.

In:   a scope, who says so and why.
Out:  rows of `pause` (ledger/pauses.py); what is concerned, as a value that reads as words or as JSON.
Pure: no; each call is one transaction, in force at the gate from its commit.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from ledger import clock, pauses
from ledger.engine import connection
from ledger.pauses import Concerned, Pause, PauseRefused, Scope

__all__ = ["PauseRefused", "Scope", "Standing", "pause_contact", "resume_contact", "standing_pauses"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A scope, and how it stands.

    Attributes:
        state: `paused`, `already paused`, `would pause`, `resumed`.
        scope: What is stopped, or was.
        pause: The pause, or None where none is written.
        concerned: Attempts, in counts.
    """

    state: str
    scope: Scope
    pause: Pause | None
    concerned: Concerned

    def as_json(self) -> dict[str, Any]:
        """One JSON object."""
        told: dict[str, Any] = {"state": self.state, "id": self.pause.id if self.pause else None, **asdict(self.scope)}
        if self.pause is not None:
            told |= {"because": self.pause.because, "by": self.pause.by, "since": self.pause.since.isoformat()}
            told["until"] = self.pause.until.isoformat() if self.pause.until else None
        return told | asdict(self.concerned)

    def __str__(self) -> str:
        """One line for people."""
        counts = self.concerned
        number = f" #{self.pause.id}" if self.pause else ""
        line = f"{self.state}{number}: {self.scope}"
        if self.pause is not None:
            end = f" until {self.pause.until.isoformat()}" if self.pause.until else ""
            line += f" (since {self.pause.since.isoformat()}{end}, by {self.pause.by or 'somebody'}: {self.pause.because})"
        line += f"; {counts.due} attempts due and {counts.later} planned for later, of {counts.borrowers} borrowers"
        if self.state == "resumed":
            return f"{line}, go on through the gate with the next `dispatch`; {counts.expired} expired meanwhile"
        return line if self.state == "would pause" else f"{line}, wait"


def pause_contact(scope: Scope, *, because: str, by: str, until: datetime | None = None, dry_run: bool = False) -> Standing:
    """Stop contact within a scope.

    Args:
        scope: What is stopped; an empty one = everything.
        because: Why.
        by: Who says so.
        until: When it ends by itself; None = when it is resumed.
        dry_run: Only say what it would concern.

    Raises:
        PauseRefused: The scope names nothing that there is, or who and why are not said.
    """
    with connection() as tx:
        at = clock.now(tx)
        if dry_run:
            pauses.check_scope(tx, scope)
            return Standing(state="would pause", scope=scope, pause=None, concerned=pauses.concerned(tx, scope, at=at))
        made, new = pauses.write_pause(tx, scope, because=because, by=by, at=at, until=until)
    # Counted apart: what stops must not wait for what counts.
    with connection() as tx:
        found = pauses.concerned(tx, scope, at=at)
    return Standing(state="paused" if new else "already paused", scope=scope, pause=made, concerned=found)


def resume_contact(scope: Scope | None, *, by: str, pause_id: int | None = None) -> list[Standing]:
    """Resume what was paused; says of each pause what waits and what expired meanwhile.

    Args:
        scope: Exactly the scope that was paused; None = any.
        by: Who says so.
        pause_id: One pause by its number.

    Raises:
        PauseRefused: Nothing of that kind is paused.
    """
    with connection() as tx:
        at = clock.now(tx)
        ended = pauses.lift(tx, scope, by=by, at=at, pause_id=pause_id)
    with connection() as tx:
        return [
            Standing(state="resumed", scope=one.scope, pause=one, concerned=pauses.concerned(tx, one.scope, at=at, since=one.since))
            for one in ended
        ]


def standing_pauses() -> list[Standing]:
    """The pauses in force, oldest first, with what waits for each."""
    with connection() as tx:
        at = clock.now(tx)
        return [
            Standing(state="paused", scope=one.scope, pause=one, concerned=pauses.concerned(tx, one.scope, at=at, since=one.since))
            for one in pauses.in_force(tx, at=at)
        ]
