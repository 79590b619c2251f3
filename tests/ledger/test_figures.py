"""What a stage came to: small portfolios whose figures are computed by hand."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from decisions.kpis import cure_rate, forward_roll, kept_rate, roll_states
from decisions.prices import Usage
from decisions.roll_rates import roll_rates
from ledger import figures
from ledger.aging_facts import age_portfolio
from ledger.engine import arrow, connection
from ledger.figures import HoldOut, Moved
from tests.plugins.portfolio import INSTALMENT_MINOR, INTEREST_MINOR, TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.sending import Outbox

OWED = INSTALMENT_MINOR + INTEREST_MINOR
WEEK_AGO = TODAY - timedelta(days=7)
YESTERDAY = TODAY - timedelta(days=1)
BUCKETS = ("current", "M1", "M2", "M3", "M4+")


def aged(*days: date) -> None:
    for day in days:
        age_portfolio(day)


def told(stage: str | None, *, since: date = WEEK_AGO) -> tuple[Moved, dict[int, str]]:
    with arrow() as source:
        pair = figures.moved(source, since=since, until=TODAY, stage=stage)
    return pair, dict(pair.after.iter_rows())


def run_sql(statement: str, **values: Any) -> None:
    with connection() as tx:
        tx.execute(text(statement), values)


def test_where_each_loan_of_a_stage_went_in_a_week(portfolio: Portfolio) -> None:
    """A week ago eight loans were in M1, 3 to 28 days late, and one in M2."""
    stays = portfolio.borrower(days_past_due=10).loan_id
    rolls = portfolio.borrower(days_past_due=32).loan_id
    cured = portfolio.borrower(days_past_due=10).loan_id
    paid_off = portfolio.borrower(days_past_due=35).loan_id  # its second instalment fell due five days ago
    corrected = portfolio.borrower(days_past_due=10).loan_id
    planned = portfolio.borrower(days_past_due=10).loan_id
    written_off = portfolio.borrower(days_past_due=10).loan_id
    sold = portfolio.borrower(days_past_due=10).loan_id
    other_stage = portfolio.borrower(days_past_due=45).loan_id
    aged(WEEK_AGO)
    portfolio.payment(cured, OWED, paid_on=YESTERDAY)
    portfolio.payment(paid_off, 2 * OWED, paid_on=YESTERDAY)
    run_sql("UPDATE instalment SET due_on = due_on + 60 WHERE loan_id = :id", id=corrected)
    portfolio.plan(planned, instalments=[{"due_on": "2026-04-01", "amount_minor": OWED}], agreed_on=YESTERDAY)
    for loan, status in ((written_off, "written_off"), (sold, "sold")):
        run_sql(
            "UPDATE loan_version SET servicing_status = :status, status = CASE :status WHEN 'sold' THEN 'closed' ELSE status END,"
            " effective_at = :at WHERE loan_id = :id",
            id=loan,
            status=status,
            at=noon("US", YESTERDAY),
        )
    aged(TODAY)

    pair, after = told("early")
    assert after == {
        stays: "M1",
        rolls: "M2",
        cured: "current",
        paid_off: "paid off",
        corrected: "re-aged",
        planned: "in plan",
        written_off: "written off",
        sold: "closed otherwise",
    }
    assert other_stage not in after
    matrix = roll_rates(pair.before, pair.after, buckets=roll_states(BUCKETS))
    assert str(cure_rate(matrix)) == "25.0 % (2 of 8)"
    assert {bucket: str(share) for bucket, share in forward_roll(matrix, BUCKETS).items()} == {"M1": "25.0 % (2 of 8)"}
    assert figures.cured_borrowers(pair) == 2


def test_cures_weigh_by_what_was_owed_at_the_start(portfolio: Portfolio) -> None:
    small, large = (portfolio.borrower(days_past_due=10).loan_id for _ in range(2))
    portfolio.payment(small, OWED - 1_000, paid_on=WEEK_AGO - timedelta(days=1))
    aged(WEEK_AGO)
    portfolio.payment(small, 1_000, paid_on=YESTERDAY)
    aged(TODAY)
    pair, after = told("early")
    assert after == {small: "current", large: "M1"}
    matrix = roll_rates(pair.before, pair.after, buckets=roll_states(BUCKETS))
    balance = cure_rate(matrix, "balance_minor")
    assert (balance.part, balance.whole) == (OWED + 1_000, 3 * OWED + 1_000)


def test_a_borrower_is_cured_when_all_loans_are(portfolio: Portfolio) -> None:
    half, whole = portfolio.borrower(days_past_due=10), portfolio.borrower(days_past_due=10)
    portfolio.loan(half.party_id, days_past_due=10)
    aged(WEEK_AGO)
    for loan in (half.loan_id, whole.loan_id):
        portfolio.payment(loan, OWED, paid_on=YESTERDAY)
    aged(TODAY)
    pair, _ = told("early")
    assert figures.cured_borrowers(pair) == 1


def test_what_was_written_off_before_does_not_go_there_again(portfolio: Portfolio) -> None:
    loan = portfolio.borrower(days_past_due=10).loan_id
    run_sql("UPDATE loan_version SET servicing_status = 'written_off' WHERE loan_id = :id", id=loan)
    aged(WEEK_AGO, TODAY)
    pair, after = told("early")
    assert (pair.before["bucket"].to_list(), after) == (["written off"], {loan: "written off"})
    assert cure_rate(roll_rates(pair.before, pair.after, buckets=roll_states(BUCKETS))).whole == 0


def test_the_whole_portfolio_has_those_who_were_not_late_too(portfolio: Portfolio) -> None:
    falls, stays, late = (portfolio.borrower(days_past_due=days).loan_id for days in (3, -20, 45))
    aged(WEEK_AGO, TODAY)
    pair, after = told(None)
    assert dict(pair.before.select("loan_id", "bucket").iter_rows()) == {falls: "current", stays: "current", late: "M2"}
    assert after == {falls: "M1", stays: "current", late: "M2"}


def test_a_countrys_own_run_looks_at_its_own_loans(portfolio: Portfolio) -> None:
    here, there = (portfolio.borrower(country=country, days_past_due=10) for country in ("TW", "MX"))
    aged(WEEK_AGO, TODAY)
    for who in (here, there):
        portfolio.contact(who.party_id, noon("US", YESTERDAY))
    with arrow() as source, connection() as tx:
        for scope, loans in (("TW", [here.loan_id]), ("MX", [there.loan_id]), ("US", []), ("all", [here.loan_id, there.loan_id])):
            pair = figures.moved(source, since=WEEK_AGO, until=TODAY, stage="early", scope=scope)
            assert sorted(pair.before["loan_id"]) == sorted(pair.after["loan_id"]) == loans
            assert figures.contacts_made(tx, stage="early", since=WEEK_AGO, until=TODAY, scope=scope) == len(loans)
            assert figures.promises(tx, stage="early", first=WEEK_AGO, last=TODAY, scope=scope) == {}
            assert figures.hold_out(tx, stage="early", until=TODAY, scope=scope).contacted == 0


def test_dates_that_were_aged_are_found(portfolio: Portfolio) -> None:
    portfolio.borrower()
    aged(WEEK_AGO, YESTERDAY)
    with connection() as tx:
        assert [figures.aged_before(tx, day) for day in (TODAY, YESTERDAY, WEEK_AGO)] == [YESTERDAY, WEEK_AGO, None]
        assert [figures.is_aged(tx, day) for day in (TODAY, YESTERDAY)] == [False, True]


def test_contacts_are_what_caps_count_with_whom_was_in_the_stage(portfolio: Portfolio) -> None:
    early, late = portfolio.borrower(days_past_due=10), portfolio.borrower(days_past_due=75)
    aged(WEEK_AGO)
    at = noon("US", YESTERDAY)
    counted = portfolio.contact(early.party_id, at)
    portfolio.contact(early.party_id, at, about_event_id=counted)
    taken_back = portfolio.contact(early.party_id, at)
    portfolio.contact(early.party_id, at, about_event_id=taken_back, uncounts=True, result="failed")
    portfolio.contact(early.party_id, at, direction="inbound", result="received", counts=False)
    portfolio.contact(early.party_id, noon("US", WEEK_AGO - timedelta(days=1)))
    portfolio.contact(early.party_id, noon("US", TODAY))
    portfolio.contact(late.party_id, at)
    with connection() as tx:
        counts = [figures.contacts_made(tx, stage=stage, since=WEEK_AGO, until=TODAY) for stage in ("early", "late", "mid", None)]
    assert counts == [1, 1, 0, 2]


def submitted(attempt: int, state: str, *, at: datetime | None = None, **columns: Any) -> None:
    sets = "".join(f", {name} = :{name}" for name in columns)
    run_sql(f"UPDATE attempt SET state = :state, submitted_at = :at{sets} WHERE id = :id", id=attempt, state=state, at=at, **columns)  # noqa: S608  # names of this file


def promised(who: BorrowerIds, state: str, *, due_on: date, at: datetime) -> None:
    run_sql(
        "INSERT INTO promise (effective_at, source, party_id, due_on, amount_minor, currency, state)"
        " VALUES (:at, 'reply', :party, :due, 100, 'USD', :state)",
        at=at,
        party=who.party_id,
        due=due_on,
        state=state,
    )


def test_promises_count_for_the_stage_that_was_answered(portfolio: Portfolio, outbox: Outbox) -> None:
    run, late_run = outbox.run(), outbox.run(stage="late")
    states = ["kept", "kept", "broken", "partial", "open", "withdrawn"]
    for state in states:
        who = portfolio.borrower()
        submitted(outbox.plan(run, who), "replied", at=noon("US", TODAY))
        promised(who, state, due_on=TODAY + timedelta(days=2), at=noon("US", TODAY) + timedelta(hours=1))
    silent, of_late = portfolio.borrower(), portfolio.borrower()
    promised(silent, "kept", due_on=TODAY + timedelta(days=2), at=noon("US", TODAY))
    submitted(outbox.plan(late_run, of_late), "replied", at=noon("US", TODAY))
    promised(of_late, "broken", due_on=TODAY + timedelta(days=2), at=noon("US", TODAY) + timedelta(hours=1))
    with connection() as tx:
        found = figures.promises(tx, stage="early", first=TODAY, last=TODAY + timedelta(days=2))
        assert figures.promises(tx, stage="early", first=TODAY, last=TODAY + timedelta(days=1)) == {}
    assert found == {"kept": 2, "broken": 1, "partial": 1, "open": 1, "withdrawn": 1}
    assert str(kept_rate(found)) == "50.0 % (2 of 4)"


def test_what_went_out_costs_its_segments_by_country(portfolio: Portfolio, outbox: Outbox) -> None:
    run = outbox.run()
    at = noon("US", TODAY)
    for country, state, segments in (
        ("US", "delivered", 2), ("US", "undelivered", 1), ("TW", "sent", 3), ("US", "withheld", None), ("US", "rejected", None),
    ):  # fmt: skip
        submitted(outbox.plan(run, portfolio.borrower(country=country)), state, at=at, segments=segments)
    submitted(outbox.plan(run, portfolio.borrower(), channel="push"), "delivered", at=at)
    with connection() as tx:
        assert figures.usage(tx, run) == [
            Usage(channel="push", country="US", on=TODAY, segments=1),
            Usage(channel="sms", country="TW", on=TODAY, segments=3),
            Usage(channel="sms", country="US", on=TODAY, segments=3),
        ]
        assert figures.contacted(tx, run) == 4


def test_every_message_that_did_not_go_out_says_why(portfolio: Portfolio, outbox: Outbox) -> None:
    run, at = outbox.run(), noon("US", TODAY)
    submitted(outbox.plan(run, portfolio.borrower()), "withheld", permit=json.dumps({"blocked_by": ["US-B", "US-A"]}))
    submitted(outbox.plan(run, portfolio.borrower()), "rejected", error_code="21610")
    submitted(outbox.plan(run, portfolio.borrower()), "delivered")
    outbox.plan(run, portfolio.borrower(), send_after=at + timedelta(hours=1))
    outbox.plan(run, portfolio.borrower())
    expired = outbox.plan(run, portfolio.borrower())
    submitted(expired, "expired")
    run_sql(
        "INSERT INTO attempt_transition (business_date, attempt_id, from_state, to_state, cause, at)"
        " VALUES (:day, :id, 'planned', 'expired', 'its window passed', :at)",
        day=TODAY,
        id=expired,
        at=at,
    )
    with connection() as tx:
        found = {(row["state"], row["because"]): row["messages"] for row in figures.not_sent(tx, run, at=at)}
    assert found == {
        ("withheld", "US-A, US-B"): 1,
        ("rejected", "error 21610"): 1,
        ("planned", "its hour has not come"): 1,
        ("planned", "due: paused, or the run is not done"): 1,
        ("expired", "its window passed"): 1,
    }


def test_answers_count_people_and_the_providers_word_is_a_stop(portfolio: Portfolio, outbox: Outbox) -> None:
    run, at = outbox.run(), noon("US", TODAY)
    who, by_provider, before = (portfolio.borrower() for _ in range(3))
    for one in (who, by_provider, before):
        submitted(outbox.plan(run, one), "replied", at=at)
    for intent in ("stop", "stop", "dispute"):
        run_sql(
            "INSERT INTO outcome (party_id, attempt_business_date, attempt_id, channel, intent, needs_person, at)"
            " SELECT party_id, business_date, id, 'sms', :intent, false, :at FROM attempt WHERE party_id = :party",
            intent=intent,
            at=at,
            party=who.party_id,
        )
    for one, when in ((by_provider, at + timedelta(minutes=1)), (before, at - timedelta(days=1))):
        run_sql(
            "INSERT INTO opt_out (effective_at, source, party_id, channel, at) VALUES (:at, 'provider:twilio', :party, 'sms', :at)",
            party=one.party_id,
            at=when,
        )
    with connection() as tx:
        assert figures.answers(tx, run) == {"stop": 2, "dispute": 1}


@pytest.mark.parametrize(("paid_after_days", "counts"), [(0, 1), (6, 1), (7, 0), (-1, 0)])
def test_a_hold_out_is_whom_chance_left_alone_and_its_label_freezes_after_a_week(
    portfolio: Portfolio, outbox: Outbox, paid_after_days: int, counts: int
) -> None:
    day = TODAY - timedelta(days=7)
    run = outbox.run(business_date=day)
    alone, written, certain, too_young = (portfolio.borrower() for _ in range(4))
    for who in (alone, written, certain):
        outbox.plan(run, who)
    outbox.plan(outbox.run(business_date=TODAY - timedelta(days=6)), too_young)
    drawn = json.dumps({"no_contact": 0.1, "sms:1:-": 0.9})
    run_sql("UPDATE decision SET propensities = CAST(:drawn AS jsonb) WHERE party_id <> :certain", drawn=drawn, certain=certain.party_id)
    run_sql(
        "UPDATE decision SET action = 'no_contact', channel = NULL, contact_point_id = NULL, message = NULL, probability = 0.1"
        " WHERE party_id = ANY(:alone)",
        alone=[alone.party_id, too_young.party_id],
    )
    for who in (alone, certain, too_young):
        portfolio.payment(who.loan_id, 500, paid_on=day + timedelta(days=paid_after_days))
    with connection() as tx:
        assert figures.hold_out(tx, stage="early", until=TODAY) == HoldOut(held_out=1, held_out_paid=counts, contacted=1, contacted_paid=0)
        assert figures.hold_out(tx, stage="late", until=TODAY) == HoldOut(held_out=0, held_out_paid=0, contacted=0, contacted_paid=0)
