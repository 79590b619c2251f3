"""Letters and emails through the gate: figures as the ledger knows them under the lock, envelopes, notices, and what comes back."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from channels import Message, NeverWorks, Receipt
from config.settings import settings
from decisions.blocks import Table, blocks
from gate.lane import run_lane
from ledger.engine import connection
from ledger.statements import read_statements
from tasks.returned import hear_bounces, hear_print_shop
from tests.channels.test_bounces import POSTFIX, TOKEN, answer
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel

HOME = "1 Example Street\nNew York NY 10001"


@pytest.fixture
def letters(portfolio: Portfolio, outbox: Outbox) -> Letters:
    return Letters(portfolio, outbox)


class Letters:
    """Borrowers with an address and an email, and formal notices planned for them."""

    def __init__(self, portfolio: Portfolio, outbox: Outbox) -> None:
        self.portfolio, self.outbox = portfolio, outbox
        portfolio.clock(noon("US"))

    def borrower(self, **more: Any) -> BorrowerIds:
        found = self.portfolio.borrower(days_past_due=20, consent=("sms", "push", "email", "letter"), **more)
        with connection() as tx:
            tx.execute(
                text("UPDATE creditor SET senders = senders || CAST(:more AS jsonb)"),
                {"more": json.dumps({"letter": "Lantern Wallet; PO Box 1", "email": "Lantern Wallet <notices@lantern.example>"})},
            )
        return found

    def plan(self, borrower: BorrowerIds, kind: str = "address", value: str = HOME, **more: Any) -> int:
        channel = {"address": "letter", "email": "email"}[kind]
        point = self.portfolio.contact_point(borrower.party_id, kind, value, **more)
        attempt = self.outbox.plan(self.run, borrower, channel=channel, message="formal_notice")
        with connection() as tx:
            tx.execute(text("SET LOCAL session_replication_role = replica"))  # a row keeps its keys; here the past is made up
            tx.execute(text("UPDATE attempt SET contact_point_id = :point WHERE id = :id"), {"point": point, "id": attempt})
            tx.execute(text("SET LOCAL session_replication_role = origin"))
        return attempt

    @property
    def run(self) -> int:
        if not hasattr(self, "_run"):
            self._run = self.outbox.run(stage="early")
        return self._run

    def send(self, channel: str = "letter", **more: Any) -> Sequence[Message]:
        recorder = RecordingChannel(channel, **{"answer": lambda message, _: _taken(message), **more})
        report = run_lane(self.run, shard=None, channels={channel: lambda: recorder})
        assert not report.stopped
        return recorder.sent

    def notices(self) -> list[tuple[Any, ...]]:
        return [
            tuple(row)
            for row in self.outbox.rows(
                "SELECT kind, loan_id, received_on, bounced FROM notice WHERE superseded_at IS NULL AND source LIKE 'attempt %' ORDER BY loan_id"
            )
        ]


def _taken(message: Message) -> Receipt:
    """As both channels answer: the provider knows a message by its token."""
    return Receipt(provider="recorder", provider_id=message.token, status="queued", segments=None)


def table_of(message: Message) -> Table:
    (found,) = (block for block in blocks(message.body) if isinstance(block, Table))
    return found


def test_a_letter_shows_the_account_as_it_is_under_the_lock(letters: Letters) -> None:
    borrower = letters.borrower(account="W-1")
    attempt = letters.plan(borrower)
    # Paid after planning: what is shown is what is true now.
    letters.portfolio.payment(borrower.loan_id, 2_507)
    sent = letters.send()
    assert letters.outbox.states() == ["accepted"], letters.outbox.causes(attempt)
    (message,) = sent
    assert "Loan number: W-1" in message.body
    assert table_of(message).rows == (
        ("Feb 25, 2026", "$100.00", "$5.00", "$0.00", "$0.00", "$25.07", "$79.93"),
        ("To pay", "", "", "", "", "", "$79.93"),
    )
    assert "You owe $79.93" in message.body
    assert "stands on Mar 17, 2026" in message.body
    assert message.locale == "en"
    assert message.envelope is not None
    assert message.envelope.to == (*re.findall("Nobody Atall .+", message.envelope.to[0]), "1 Example Street", "New York NY 10001")
    assert (message.envelope.sender, message.envelope.is_abroad) == (("Lantern Wallet", "PO Box 1"), False)


def test_an_email_says_the_same_and_names_where_it_ends(letters: Letters) -> None:
    letters.plan(letters.borrower(), "email", "nobody@borrower.example")
    (message,) = letters.send("email")
    assert table_of(message).rows[-1][-1] == "$105.00"
    assert message.callback_url == f"{settings().public_url}/u/{message.token}"
    assert message.envelope is None
    assert "$" not in message.title


def test_abroad_the_country_stands_on_the_envelope(letters: Letters) -> None:
    letters.plan(letters.borrower(), value="1 Rue\n75001 PARIS", country="MX")
    (message,) = letters.send()
    assert message.envelope is not None
    assert (message.envelope.to[-1], message.envelope.country, message.envelope.is_abroad) == ("MEXICO", "MX", True)


def test_nobody_without_a_name_gets_a_letter(letters: Letters) -> None:
    borrower = letters.borrower()
    with connection() as tx:
        tx.execute(text("UPDATE party_version SET name_encrypted = NULL WHERE party_id = :id"), {"id": borrower.party_id})
    attempt = letters.plan(borrower)
    assert letters.send() == []
    assert letters.outbox.attempt(attempt)["state"] == "withheld"
    assert letters.outbox.attempt(attempt)["permit"]["blocked_by"] == ["no_envelope"]


def test_a_notice_is_known_from_when_it_was_sent_and_whether_it_came_back(letters: Letters, tmp_path: Path) -> None:
    borrower = letters.borrower()
    attempt = letters.plan(borrower)
    letters.send()
    assert letters.notices() == [("formal_notice", borrower.loan_id, None, False)]
    told = tmp_path / "told.csv"
    told.write_text(f"token,status,reason\n{letters.outbox.token(attempt)},posted,\n")
    assert hear_print_shop(told) == {"posted": 1}
    assert letters.outbox.attempt(attempt)["state"] == "sent"
    told.write_text(f"token,status,reason\n{letters.outbox.token(attempt)},returned,unknown_address\n")
    for _ in range(2):  # a list that is read twice
        hear_print_shop(told)
    assert letters.outbox.attempt(attempt)["state"] == "undelivered"
    assert letters.notices() == [("formal_notice", borrower.loan_id, None, True)]
    kept = "SELECT status FROM contact_point_version WHERE contact_point_id = :id AND superseded_at IS NULL"
    assert letters.outbox.rows(kept, id=letters.outbox.attempt(attempt)["contact_point_id"]) == [("invalid",)]


def test_a_notice_that_arrived_says_on_which_day(letters: Letters, tmp_path: Path) -> None:
    borrower = letters.borrower()
    attempt = letters.plan(borrower)
    letters.send()
    letters.portfolio.clock(noon("US", TODAY + timedelta(days=4)))
    told = tmp_path / "told.csv"
    told.write_text(f"token,status\n{letters.outbox.token(attempt)},delivered\n")
    hear_print_shop(told)
    assert letters.notices() == [("formal_notice", borrower.loan_id, date(2026, 3, 21), False)]


def test_what_was_not_sent_is_no_notice(letters: Letters) -> None:
    letters.plan(letters.borrower(phone=False))
    letters.send(answer=lambda _, permit: NeverWorks(code="cannot_be_set", attempt_id=permit.attempt_id))
    assert letters.outbox.states() == ["rejected"]
    assert letters.notices() == []


def test_a_bounce_ends_the_attempt_and_retires_the_address(letters: Letters, tmp_path: Path) -> None:
    attempt = letters.plan(letters.borrower(), "email", "nobody@borrower.example")
    letters.send("email")
    (tmp_path / "bounce.eml").write_text(POSTFIX.replace(str(TOKEN), str(letters.outbox.token(attempt))))
    for _ in range(2):
        assert hear_bounces(tmp_path / "bounce.eml") == {"messages": 1, "reports": 1}
    row = letters.outbox.attempt(attempt)
    assert (row["state"], row["error_code"]) == ("undelivered", "5.1.1")
    assert letters.notices()[0][-1] is True
    kept = "SELECT status FROM contact_point_version WHERE contact_point_id = :id AND superseded_at IS NULL"
    assert letters.outbox.rows(kept, id=row["contact_point_id"]) == [("invalid",)]


def test_whoever_answers_an_email_with_the_word_that_stops_gets_no_more(letters: Letters, tmp_path: Path) -> None:
    borrower = letters.borrower()
    letters.plan(borrower, "email", "nobody@borrower.example")
    letters.send("email")
    (tmp_path / "answer.eml").write_text(answer("STOP\n\n> You owe $105.00\n"))
    for _ in range(2):
        assert hear_bounces(tmp_path / "answer.eml") == {"messages": 1, "answers": 1}
    stopped = letters.outbox.rows("SELECT party_id, channel FROM opt_out WHERE superseded_at IS NULL")
    assert {row.channel for row in stopped} & {"email", "all"}
    assert letters.outbox.states() == ["replied"]


def test_what_a_letter_said_can_be_worked_out_again_from_what_was_known_then(letters: Letters) -> None:
    borrower = letters.borrower()
    attempt = letters.plan(borrower)
    letters.send()
    then = datetime.fromisoformat(letters.outbox.attempt(attempt)["permit"]["issued_at"])
    letters.portfolio.payment(borrower.loan_id, 5_000)
    with connection() as tx:
        said = read_statements(tx, [borrower.loan_id], business_date=TODAY, known_at=then)
        now = read_statements(tx, [borrower.loan_id], business_date=TODAY)
    assert (said[borrower.loan_id].asked_minor, now[borrower.loan_id].asked_minor) == (10_500, 5_500)
