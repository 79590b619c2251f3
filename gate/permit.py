"""Permits: leave to make one call, written down before it is used; and the letter that carries it to a channel.

In:   an attempt that the rules let pass, the packs in force, the clocks.
Out:  the `Permit` that a channel demands, and its record for `attempt.permit`.
Pure: yes.
Source: docs/adr/0005.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from channels import PERMIT_SECONDS_MAX, Message, Permit
from decisions.packs import HOUSE, Packs
from ledger.calls import Known

CALL_DEADLINE: Final = timedelta(seconds=PERMIT_SECONDS_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One message with its permit, on its way to a channel. What is personal in it is never shown.

    Attributes:
        business_date: Of the attempt.
        attempt_id: Which attempt is `submitting`.
        party_id: To whom.
        contact_point_id: Through what.
        channel: sms, push, ...
        claim_id: The claim under which the result is written.
        event_id: The contact event that counts it.
        at: Business instant of the verdict.
        message: What is said.
        permit: Leave to say it.
        known: How far the ledger had got when it was judged (ledger/calls.py).
    """

    business_date: date
    attempt_id: int
    party_id: int
    contact_point_id: int
    channel: str
    claim_id: UUID
    event_id: int
    at: datetime
    message: Message = field(repr=False)
    permit: Permit
    known: Known


class Rulebook:
    """The packs in force, as a permit cites them."""

    def __init__(self, packs: Packs) -> None:
        """Look the ids up once; a lane makes thousands of permits."""
        self.packs = packs
        self.versions: Final = dict(packs.versions)
        self._ids: dict[str, tuple[str, ...]] = {pack.jurisdiction: tuple(rule.id for rule in pack.gating) for pack in packs.packs}
        self._attached: dict[tuple[str, ...], tuple[tuple[str, ...], tuple[tuple[str, str], ...]]] = {}

    def attached(self, jurisdictions: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
        """Rule ids, and (pack, version), of the packs that attach to these jurisdictions and of the house's own."""
        known = self._attached.get(jurisdictions)
        if known is None:
            names = [name for name in self._ids if name == HOUSE or name in jurisdictions]
            rules = tuple(rule_id for name in names for rule_id in self._ids[name])
            known = self._attached[jurisdictions] = (rules, tuple((name, self.versions[name]) for name in names))
        return known


def write_permit(book: Rulebook, *, attempt_id: int, jurisdictions: tuple[str, ...], issued_at: datetime) -> Permit:
    """Leave to make one call, from `issued_at` (the database's wall clock) on, once the call is marked."""
    rules, packs = book.attached(jurisdictions)
    return Permit(
        attempt_id=attempt_id, issued_at=issued_at, call_deadline=issued_at + CALL_DEADLINE, called_at=None, rules=rules, packs=packs
    )


def mark_letter(letter: Letter, called_at: datetime) -> Letter:
    """The same letter on the same leave, now that the ledger says that its call is about to be made."""
    given = letter.permit
    leave = Permit(
        attempt_id=given.attempt_id,
        issued_at=given.issued_at,
        call_deadline=given.call_deadline,
        called_at=called_at,
        rules=given.rules,
        packs=given.packs,
    )
    return replace(letter, permit=leave)


def record(
    permit: Permit, *, zones: Sequence[str], at: datetime, text_version: str, template: str | None = None, prompts: str | None = None
) -> dict[str, Any]:
    """What is stored with the attempt: which rules said yes, where, on which clock, to which text, registered as what, in which call."""
    registered = {name: value for name, value in (("template", template), ("prompts", prompts)) if value is not None}
    return {
        "rules": list(permit.rules),
        "packs": dict(permit.packs),
        "zones": list(zones),
        "clock": at.isoformat(),
        "text": text_version,
        "issued_at": permit.issued_at.isoformat(),
        # Without a mark no call is made on it (ledger/calls.py).
        "marks_calls": True,
        **registered,
    }


def refusal(reasons: Sequence[str], book: Rulebook, *, at: datetime) -> dict[str, Any]:
    """What is stored with an attempt that the gate stopped for good."""
    return {"blocked_by": list(reasons), "packs": book.versions, "clock": at.isoformat()}
