"""Lessons over the ledger: who gets one, who is left in peace, and that each goes through the gate, once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from prefect.logging import disable_run_logger
from sqlalchemy import text

from config.prices import prices
from gate.lane import run_lane
from ledger.campaigns import read_run
from ledger.engine import connection
from ledger.run_standings import standing
from tasks.education import plan_lessons
from tasks.preview import page, read_preview
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel


@pytest.fixture(autouse=True)
def _quietly(portfolio: Portfolio) -> Iterator[None]:
    portfolio.clock(noon("US"))
    portfolio.creditor()
    with connection() as tx:
        tx.execute(text("""UPDATE creditor SET senders = senders || '{"email": "Lantern <notices@lantern.example>"}'"""))
    with disable_run_logger():
        yield


def reader(portfolio: Portfolio, *, due_in_days: int = 12, email: bool = True) -> BorrowerIds:
    """Somebody who reads email, and whose next payment is some days away."""
    person = portfolio.borrower(days_past_due=-due_in_days, consent=("email", "sms"))
    if email:
        portfolio.contact_point(person.party_id, "email", f"nobody{person.party_id}@lantern.example")
    return person


def was_late(person: BorrowerIds, *, days_ago: int = 3, stage: str = "early") -> None:
    with connection() as tx:
        tx.execute(
            text("""
                INSERT INTO loan_aging (business_date, loan_id, party_id, days_past_due, delinquent_days, past_due_minor,
                                        outstanding_minor, bucket, stage)
                VALUES (:on, :loan, :party, 5, 5, 10500, 21000, 'M1', :stage)
            """),
            {"on": TODAY - timedelta(days=days_ago), "loan": person.loan_id, "party": person.party_id, "stage": stage},
        )


def decided(outbox: Outbox) -> dict[int, str | None]:
    """Party → the lesson that is planned for it, or None."""
    return {row.party_id: row.message for row in outbox.rows("SELECT party_id, message FROM decision ORDER BY party_id")}


def send(run: int) -> list[str]:
    channel = RecordingChannel("email")
    run_lane(run, shard=None, channels={"email": lambda: channel})
    return [message.body for message in channel.sent]


def test_before_a_payment_one_lesson_goes_out_through_the_gate_and_none_to_who_is_late_near_or_far(
    portfolio: Portfolio, outbox: Outbox
) -> None:
    soon = reader(portfolio)
    for days in (-5, 2, 9, 20):
        reader(portfolio, due_in_days=days)
    run = plan_lessons.fn(TODAY)
    assert decided(outbox) == {soon.party_id: "education_due_dates"}
    assert run is not None
    (body,) = send(run)
    assert "How due dates work" in body
    assert "Lantern Wallet US" in body
    (attempt,) = outbox.rows("SELECT purpose, stage, state, channel FROM attempt")
    assert tuple(attempt) == ("education", "education", "accepted", "email")
    # The same day again, and the day after: one in thirty days.
    assert plan_lessons.fn(TODAY) == run
    assert send(run) == []
    portfolio.clock(noon("US", TODAY + timedelta(days=1)))
    again = plan_lessons.fn(TODAY + timedelta(days=1))
    assert again is not None
    assert send(again) == []
    (reasons,) = outbox.rows(
        "SELECT s.reasons FROM decision d JOIN reason_set s ON s.id = d.reason_set_id WHERE d.campaign_run_id = :run", run=again
    )
    assert "HOUSE-LESSON-MONTH" in reasons.reasons


def test_who_was_late_and_is_current_again_gets_another_lesson_once(portfolio: Portfolio, outbox: Outbox) -> None:
    cured, late, planned, long_ago = (reader(portfolio, due_in_days=-5) for _ in range(4))
    for person in (cured, late, planned):
        was_late(person)
    was_late(long_ago, days_ago=15)
    for person in (cured, long_ago):
        portfolio.payment(person.loan_id, 10_500)
    portfolio.plan(planned.loan_id, instalments=[{"due_on": str(TODAY + timedelta(days=20)), "amount_minor": 10_500}])
    run = plan_lessons.fn(TODAY)
    assert run is not None
    assert decided(outbox) == {cured.party_id: "education_budget"}
    assert len(send(run)) == 1
    was_late(cured, days_ago=2)
    # Whoever had it is not offered it again, however often a loan is current again.
    assert plan_lessons.fn(TODAY + timedelta(days=1)) is None


def test_a_lesson_waits_for_a_quiet_week_a_consent_and_a_hold_that_is_over(portfolio: Portfolio, outbox: Outbox) -> None:
    asked, stopped, held, silent, nowhere = (reader(portfolio, email=number < 4) for number in range(5))
    portfolio.contact(asked.party_id, noon("US") - timedelta(days=6), purpose="reminder")
    portfolio.opt_out(stopped.party_id)
    portfolio.hold(held.party_id, "bereavement")
    with connection() as tx:
        tx.execute(text("DELETE FROM consent WHERE party_id = :party"), {"party": silent.party_id})
    assert plan_lessons.fn(TODAY) is not None
    assert decided(outbox) == dict.fromkeys([asked.party_id, stopped.party_id, held.party_id, silent.party_id, nowhere.party_id])
    against = {
        row.party_id: set(row.reasons)
        for row in outbox.rows("SELECT d.party_id, s.reasons FROM decision d JOIN reason_set s ON s.id = d.reason_set_id")
    }
    for person, reason in (
        (asked, "HOUSE-LESSON-QUIET"),
        (stopped, "HOUSE-OPTOUT"),
        (held, "HOUSE-HOLD"),
        (silent, "HOUSE-CONSENT"),
        (nowhere, "no_contact_point"),
    ):
        assert reason in against[person.party_id]


def test_whoever_becomes_late_before_it_is_sent_gets_none(portfolio: Portfolio, outbox: Outbox) -> None:
    person = reader(portfolio)
    run = plan_lessons.fn(TODAY)
    assert run is not None
    portfolio.loan(person.party_id, days_past_due=1)
    assert send(run) == []
    assert outbox.rows("SELECT permit FROM attempt")[0].permit["blocked_by"] == ["not_in_stage"]


def test_a_preview_shows_the_lesson_and_sends_nothing_until_the_day_runs(portfolio: Portfolio) -> None:
    reader(portfolio)
    run = plan_lessons.fn(TODAY, preview=True)
    assert run is not None
    with connection() as tx:
        stands, of_run = standing(tx, run), read_run(tx, run)
        shown = page(read_preview(tx, of_run, stands.name), of_run, stands, prices())
    assert shown.startswith(f"# education {TODAY}: 1 contacts planned")
    assert "**email, en, education_due_dates**" in shown
    assert "How due dates work" in shown
    assert send(run) == []
    assert plan_lessons.fn(TODAY) == run
    assert len(send(run)) == 1
