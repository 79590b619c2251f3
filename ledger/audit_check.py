"""What an auditor's check is, and what it finds.

In:   SQL that answers `party_id`, `attempt_id`, `provider_id`, `detail`, a row for each thing that should not be.
Out:  `Violation` values; ids only.
Pure: values only.
"""

from __future__ import annotations

from dataclasses import dataclass

INVARIANTS = tuple(f"I{number}" for number in range(1, 13))


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question to the ledger.

    Attributes:
        name: What it finds, in snake case.
        invariant: I1 to I12 of ARCHITECTURE.md: broken where it finds something.
        sql: Answers a row for each finding.
    """

    name: str
    invariant: str
    sql: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """Something that should not be; ids only.

    Attributes:
        check: Which check found it.
        invariant: Which invariant it breaks.
        provider_id: The provider's id of a message, where there is one.
        party_id: Whom it concerns.
        attempt_id: Which attempt.
        detail: A rule, a count, a table: never a value of a person's.
    """

    check: str
    invariant: str
    provider_id: str | None = None
    party_id: int | None = None
    attempt_id: int | None = None
    detail: str | None = None

    def __str__(self) -> str:
        """One line for people."""
        about = {"party": self.party_id, "attempt": self.attempt_id, "message": self.provider_id}
        named = ", ".join(f"{what} {value}" for what, value in about.items() if value is not None)
        return " ".join(filter(None, (self.invariant, self.check, f"({self.detail})" if self.detail else None, named)))
