"""Fixtures: planned attempts without a planner, and a channel that records what it is given and answers what it is told.

The channel is a real implementation of the protocol of channels/__init__.py for the tests of the gate, which must see a
provider's every answer; the providers' own SDKs are tested where they are used, in tests/channels and tests/journeys.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from channels import Message, Permit, PermitExpired, Receipt
from ledger.engine import connection
from tests.plugins.portfolio import TODAY, BorrowerIds, noon

Answer = Callable[[Message, Permit], Receipt | BaseException]


class RecordingChannel:
    """Says yes to everything, unless it is told otherwise; looks at the permit as every channel does."""

    provider = "recorder"

    def __init__(self, name: str = "sms", *, answer: Answer | None = None, latency_seconds: float = 0.0) -> None:
        """`answer` returns a receipt, or an error to raise."""
        self.name = name
        self.sent: list[Message] = []
        self.permits: list[Permit] = []
        self.closed = False
        self._answer, self._latency_seconds = answer, latency_seconds

    async def send(self, message: Message, permit: Permit) -> Receipt:
        """Record the call and answer it."""
        permit.refuse_if_foreign(message)
        permit.refuse_if_not_marked()
        permit.refuse_if_late()
        if message.valid_seconds < 1:
            raise PermitExpired(attempt_id=permit.attempt_id)
        self.sent.append(message)
        self.permits.append(permit)
        await asyncio.sleep(self._latency_seconds)
        answer = self._answer(message, permit) if self._answer else taken(message)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True


def taken(message: Message) -> Receipt:
    """A provider's yes."""
    return Receipt(provider="recorder", provider_id=f"R{message.token}", status="queued", segments=2)


class Outbox:
    """Writes planned attempts straight into the ledger, as tasks/choose would."""

    def run(
        self, *, stage: str = "early", business_date: date = TODAY, scope: str = "all", state: str = "open", preview: bool = False
    ) -> int:
        """A campaign run; returns its id."""
        return self._one(
            """INSERT INTO campaign_run (stage, business_date, scope, state, preview, seed, opened_at)
               VALUES (:stage, :business_date, :scope, :state, :preview, 'seed', :opened_at) RETURNING id""",
            stage=stage,
            business_date=business_date,
            scope=scope,
            state=state,
            preview=preview,
            opened_at=noon("US", business_date),
        )

    def shard(self, run: int, shard: int, first_party_id: int, last_party_id: int) -> None:
        """A part of a run's borrowers."""
        self._do(
            """INSERT INTO campaign_shard (campaign_run_id, shard, first_party_id, last_party_id, borrowers)
               VALUES (:run, :shard, :first, :last, 1)""",
            run=run,
            shard=shard,
            first=first_party_id,
            last=last_party_id,
        )

    def plan(
        self,
        run: int,
        borrower: BorrowerIds,
        *,
        channel: str = "sms",
        message: str = "early_reminder",
        locale: str = "en",
        send_after: datetime | None = None,
        expires_at: datetime | None = None,
        try_number: int = 1,
    ) -> int:
        """A decision and its planned attempt; due from midnight on, until ten hours after the borrower's noon unless told otherwise."""
        point = borrower.sms_id if channel == "sms" else borrower.push_id
        with connection() as tx:
            stage, business_date = tx.execute(text("SELECT stage, business_date FROM campaign_run WHERE id = :run"), {"run": run}).one()
            reasons = tx.execute(
                text(
                    "INSERT INTO reason_set (reasons) VALUES ('{}') ON CONFLICT (reasons) DO UPDATE SET reasons = excluded.reasons RETURNING id"
                )
            ).scalar_one()
            values: dict[str, Any] = {
                "day": business_date,
                "run": run,
                "party": borrower.party_id,
                "stage": stage,
                "channel": channel,
                "point": point,
                "message": message,
                "locale": locale,
                "reasons": reasons,
                "at": noon("US", business_date),
                "token": uuid4(),
                "try": try_number,
                "after": send_after or noon("US", business_date) - timedelta(hours=12),
                "expires": expires_at or noon("US", business_date) + timedelta(hours=10),
            }
            values["decision"] = tx.execute(_DECISION, values).scalar_one()
            return int(tx.execute(_ATTEMPT, values).scalar_one())

    def attempt(self, attempt_id: int) -> dict[str, Any]:
        """An attempt as it stands."""
        with connection() as tx:
            return dict(tx.execute(text("SELECT * FROM attempt WHERE id = :id"), {"id": attempt_id}).mappings().one())

    def states(self) -> list[str]:
        """States of all attempts, by id."""
        return [row[0] for row in self.rows("SELECT state FROM attempt ORDER BY id")]

    def causes(self, attempt_id: int) -> list[tuple[str | None, str, str]]:
        """An attempt's transitions: from, to, cause."""
        return [
            tuple(row)
            for row in self.rows(
                "SELECT from_state, to_state, cause FROM attempt_transition WHERE attempt_id = :id ORDER BY id", id=attempt_id
            )
        ]

    def events(self, attempt_id: int) -> list[tuple[str, bool, bool]]:
        """An attempt's rows in the contact log: result, counts, uncounts."""
        return [
            tuple(row)
            for row in self.rows("SELECT result, counts, uncounts FROM contact_event WHERE attempt_id = :id ORDER BY id", id=attempt_id)
        ]

    def token(self, attempt_id: int) -> UUID:
        """An attempt's token."""
        found: UUID = self.attempt(attempt_id)["token"]
        return found

    def rows(self, statement: str, **values: Any) -> Sequence[Any]:
        """Rows of any statement."""
        with connection() as tx:
            return tx.execute(text(statement), values).all()

    def _one(self, statement: str, **values: Any) -> int:
        with connection() as tx:
            return int(tx.execute(text(statement), values).scalar_one())

    def _do(self, statement: str, **values: Any) -> None:
        with connection() as tx:
            tx.execute(text(statement), values)


def tried(attempt: int, who: BorrowerIds, *, at: datetime, result: str, about: int | None = None, uncounts: bool = False) -> int:
    """What the gate writes when it lets an attempt through, and what becomes of it."""
    with connection() as tx:
        written: int = tx.execute(
            text("""
                INSERT INTO contact_event (business_date, party_id, at, channel, direction, loans, contact_point_id, counterparty, purpose, result,
                                           attempt_business_date, attempt_id, about_event_id, counts, uncounts, source)
                SELECT :day, a.party_id, :at, a.channel, 'outbound', :loans, a.contact_point_id, 'borrower', a.purpose, :result,
                       a.business_date, a.id, CAST(:about AS bigint), CAST(:about AS bigint) IS NULL, :uncounts, 'gate'
                FROM attempt a WHERE a.id = :attempt RETURNING id"""),
            {
                "day": at.date(),
                "at": at,
                "loans": [who.loan_id],
                "result": result,
                "attempt": attempt,
                "about": about,
                "uncounts": uncounts,
            },
        ).scalar_one()
    return written


@pytest.fixture
def outbox(ledger_url: str) -> Outbox:
    """Planned attempts in a fresh ledger."""
    del ledger_url
    return Outbox()


_DECISION = text("""
    INSERT INTO decision (business_date, campaign_run_id, shard, party_id, stage, step, action, channel, contact_point_id, message, locale,
                          score, probability, reason_set_id, decided_at, facts_known_at)
    VALUES (:day, :run, 1, :party, :stage, 1, 'contact', :channel, :point, :message, :locale, 1, 1.0, :reasons, :at, :at)
    ON CONFLICT (business_date, party_id, stage) DO UPDATE SET step = excluded.step
    RETURNING id
""")
_ATTEMPT = text("""
    INSERT INTO attempt (business_date, decision_id, campaign_run_id, party_id, contact_point_id, stage, step, try_number, channel, purpose,
                         message, locale, state, token, send_after, expires_at)
    VALUES (:day, :decision, :run, :party, :point, :stage, 1, :try, :channel, 'collection', :message, :locale, 'planned', :token, :after, :expires)
    RETURNING id
""")
