"""Fixture: messages that were sent, as the gate leaves them, and what a ledger knows of people afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from ledger import attempts, clock
from ledger.attempts import Move
from ledger.engine import connection
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio
from tests.plugins.sending import Outbox

CLAIM = UUID(int=11)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A message that a provider took."""

    attempt_id: int
    token: UUID
    provider_id: str


@pytest.fixture
def send(portfolio: Portfolio, outbox: Outbox) -> Callable[..., Sent]:
    """Send a message to a borrower at the clock's instant: attempt, transitions and the contact in the log."""
    del portfolio
    runs: list[int] = []

    def sent(borrower: BorrowerIds, *, channel: str = "sms", provider_id: str = "SM" + "0" * 32, answered: bool = True) -> Sent:
        if not runs:
            runs.append(outbox.run())
        attempt_id = outbox.plan(runs[0], borrower, channel=channel)
        with connection() as tx:
            at = clock.now(tx)
            claimed = {"claim_id": CLAIM, "call_deadline": datetime.now(UTC) + timedelta(seconds=5), "submitted_at": at}
            attempts.move(tx, [_move(attempt_id, "planned", "submitting", claimed)], at=at)
            tx.execute(_CONTACT, {"attempt": attempt_id, "at": at})
            if answered:
                changes = {"provider": "twilio", "provider_id": provider_id}
                attempts.move(tx, [_move(attempt_id, "submitting", "accepted", changes)], at=at)
        return Sent(attempt_id=attempt_id, token=outbox.token(attempt_id), provider_id=provider_id)

    return sent


class Known:
    """What the ledger says of people, facts in force only."""

    def opt_outs(self, borrower: BorrowerIds) -> list[tuple[str, bool]]:
        """Channel of each stop, and whether it still stands."""
        return self._rows(
            "SELECT channel, until IS NULL FROM opt_out WHERE party_id = :party AND superseded_at IS NULL ORDER BY channel", borrower
        )

    def holds(self, borrower: BorrowerIds) -> list[tuple[str, datetime | None]]:
        """Kind and end of each hold."""
        return self._rows("SELECT kind, until FROM hold WHERE party_id = :party AND superseded_at IS NULL ORDER BY id", borrower)

    def outcomes(self, borrower: BorrowerIds) -> list[tuple[str, bool]]:
        """Intent of each outcome, and whether it waits for a person."""
        return self._rows("SELECT intent, needs_person FROM outcome WHERE party_id = :party ORDER BY id", borrower)

    def inbound(self, borrower: BorrowerIds) -> list[tuple[str, str, bool]]:
        """Channel, result and counting of each message that the person wrote."""
        return self._rows(
            "SELECT channel, result, counts FROM contact_event WHERE party_id = :party AND direction = 'inbound' ORDER BY id", borrower
        )

    def status(self, contact_point_id: int | None) -> str:
        """Status of a contact point."""
        with connection() as tx:
            query = text("SELECT status FROM contact_point_version WHERE contact_point_id = :id AND superseded_at IS NULL")
            return str(tx.execute(query, {"id": contact_point_id}).scalar_one())

    def ownership(self, blind_index: bytes) -> str | None:
        """Who owns a number."""
        with connection() as tx:
            query = text("SELECT ownership FROM contact_value WHERE blind_index = :value AND superseded_at IS NULL")
            found: str | None = tx.execute(query, {"value": blind_index}).scalar_one_or_none()
            return found

    def _rows(self, query: str, borrower: BorrowerIds) -> list[Any]:
        with connection() as tx:
            return [tuple(row) for row in tx.execute(text(query), {"party": borrower.party_id})]


@pytest.fixture
def known(ledger_url: str) -> Known:
    """What the ledger says."""
    del ledger_url
    return Known()


def _move(attempt_id: int, from_state: str, to_state: str, changes: dict[str, Any]) -> Move:
    return Move(business_date=TODAY, attempt_id=attempt_id, from_state=from_state, to_state=to_state, cause="test", changes=changes)


_CONTACT = text("""
    INSERT INTO contact_event (business_date, party_id, at, channel, direction, contact_point_id, counterparty, purpose, result,
                               attempt_business_date, attempt_id, counts, source)
    SELECT business_date, party_id, :at, channel, 'outbound', contact_point_id, 'borrower', purpose, 'sent', business_date, id, true, 'gate'
    FROM attempt WHERE id = :attempt
""")
