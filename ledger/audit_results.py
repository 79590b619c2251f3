"""What audits found, kept in counts: `tideover status` and the morning page say it without auditing again.

In:   a connection inside a transaction; an audit's outcome.
Out:  rows of `audit_result`; the last one.
Pure: no.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.sql import bindparam
from sqlalchemy.types import Text

if TYPE_CHECKING:  # the auditor brings all rules along, and who only reads what it found needs none
    from ledger.audit import Audited


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What one audit found.

    Attributes:
        first: First business date.
        last: Last one, included.
        at: Business instant at which it ended.
        attempts: How many it looked at.
        violations: How many things must not be; 0 = all that was looked at held.
        invariants: I1 to I12 → held or broken.
        found: Invariant and check → how often.
        warnings: Why not all could be looked at.
    """

    first: date
    last: date
    at: datetime
    attempts: int
    violations: int
    invariants: dict[str, str]
    found: dict[str, int]
    warnings: tuple[str, ...]

    @property
    def broken(self) -> tuple[str, ...]:
        """Invariants that did not hold."""
        return tuple(name for name, state in self.invariants.items() if state == "broken")

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "from": self.first.isoformat(),
            "to": self.last.isoformat(),
            "at": self.at.isoformat(),
            "attempts": self.attempts,
            "violations": self.violations,
            "broken": list(self.broken),
            "found": self.found,
            "warnings": list(self.warnings),
        }


def keep(connection: Connection, audited: Audited, *, at: datetime) -> None:
    """Write down what an audit found; each audit is a row of its own, also of the same dates."""
    connection.execute(
        _KEEP,
        {
            "first": audited.first,
            "last": audited.last,
            "at": at,
            "attempts": audited.attempts,
            "violations": len(audited.violations),
            "invariants": audited.invariants,
            "found": audited.found,
            "warnings": list(audited.warnings),
        },
    )


def last_kept(connection: Connection) -> Kept | None:
    """What the last audit found; None before the first."""
    row = connection.execute(_LAST).mappings().one_or_none()
    return None if row is None else Kept(**{**row, "warnings": tuple(row["warnings"])})


def newest(connection: Connection, *, at_most: int) -> list[Kept]:
    """What the last audits found, the newest first."""
    rows = connection.execute(_NEWEST, {"at_most": at_most}).mappings()
    return [Kept(**{**row, "warnings": tuple(row["warnings"])}) for row in rows]


_KEEP = text("""
    INSERT INTO audit_result (first, last, at, attempts, violations, invariants, found, warnings)
    VALUES (:first, :last, :at, :attempts, :violations, :invariants, :found, :warnings)
""").bindparams(bindparam("invariants", type_=JSONB), bindparam("found", type_=JSONB), bindparam("warnings", type_=ARRAY(Text)))
_COLUMNS = "first, last, at, attempts, violations, invariants, found, warnings"
_NEWEST = text(f"SELECT {_COLUMNS} FROM audit_result ORDER BY id DESC LIMIT :at_most")  # the columns above
_LAST = text(f"SELECT {_COLUMNS} FROM audit_result ORDER BY id DESC LIMIT 1")  # the columns above
