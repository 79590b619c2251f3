"""The past of people as the ledger tells it: nothing that became known later, nothing that happened later."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from sqlalchemy import text

from decisions.features import features
from decisions.past import SCHEMAS, Past
from ledger.engine import arrow, connection
from ledger.facts import read_facts
from ledger.frames import Source
from ledger.outbox import wall_clock
from ledger.past import read_past
from tests.plugins.portfolio import SINCE, TODAY, BorrowerIds, Portfolio, noon

NOON = noon("US")


def read(source: Source, *parties: int, at: datetime = NOON, known_at: datetime | None = None) -> Past:
    on = at.date()
    facts = read_facts(source, parties=list(parties), at=at, business_date=on, loans="now", known_at=known_at)
    return read_past(source, facts=facts, at=at, business_date=on, known_at=known_at)


def past_of(who: BorrowerIds, **how: Any) -> Past:
    with connection() as tx:
        return read(tx, who.party_id, **how)


def run(statement: str, **values: Any) -> None:
    with connection() as tx:
        tx.execute(text(statement), values)


def fact(table: str, **columns: Any) -> None:
    columns = {"effective_at": SINCE, "source": "test", **columns}
    values = ", ".join(f":{name}" for name in columns)
    run(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})", **columns)  # noqa: S608  # names of this file


def flow(who: BorrowerIds, on: date, kind: str, amount: int) -> None:
    fact("wallet_flow", party_id=who.party_id, moved_on=on, kind=kind, currency="USD", amount_minor=amount)


def said(who: BorrowerIds, at: datetime, intent: str) -> None:
    run(
        "INSERT INTO outcome (party_id, channel, intent, needs_person, at) VALUES (:party, 'sms', :intent, false, :at)",
        party=who.party_id, intent=intent, at=at,
    )  # fmt: skip


def happens(who: BorrowerIds, portfolio: Portfolio, at: datetime) -> None:
    """Something of every kind, on that day."""
    on = at.date()
    portfolio.payment(who.loan_id, 4_000, paid_on=on)
    event = portfolio.contact(who.party_id, at, loans=[who.loan_id], contact_point_id=who.sms_id, result="sent")
    portfolio.contact(who.party_id, at + timedelta(minutes=5), result="read", about_event_id=event)
    said(who, at + timedelta(hours=1), "promise")
    flow(who, on, "salary", 90_000)
    flow(who, on, "essential", 30_000)
    flow(who, on, "balance", 70_000)
    fact("promise", party_id=who.party_id, loan_id=who.loan_id, due_on=on + timedelta(days=3), state="open", effective_at=at)
    portfolio.opt_out(who.party_id, channel="email", at=at)


@pytest.fixture
def who(portfolio: Portfolio) -> BorrowerIds:
    one = portfolio.borrower(days_past_due=20)
    happens(one, portfolio, NOON - timedelta(days=10))
    return one


def test_both_connections_read_the_same_frames_with_their_schemas(who: BorrowerIds, portfolio: Portfolio) -> None:
    other = portfolio.borrower(days_past_due=3)
    with arrow() as source:
        planned = read(source, who.party_id, other.party_id)
    with connection() as tx:
        gated = read(tx, who.party_id, other.party_id)
    for one in fields(planned):
        frame = getattr(planned, one.name)
        assert dict(frame.schema) == dict(SCHEMAS[one.name]), one.name
        assert_frame_equal(frame, getattr(gated, one.name))
        assert frame.height or one.name == "plans", one.name


def test_a_past_in_figures(who: BorrowerIds) -> None:
    found = past_of(who)
    assert found.people.rows() == [(who.party_id, "America/New_York")]
    assert found.payments.select("paid_on", "amount_minor").rows() == [(TODAY - timedelta(days=10), 4_000)]
    assert found.contacts.select("at", "channel", "delivered", "read", "answered").rows() == [
        (NOON - timedelta(days=10), "sms", True, True, False)
    ]
    assert found.flows.select("income_minor", "spent_minor", "balance_minor").rows() == [(90_000, 30_000, 70_000)]
    assert found.replies["intent"].to_list() == ["promise"]
    assert found.promises["state"].to_list() == ["open"]
    assert found.stops["channel"].to_list() == ["email"]
    assert sorted(found.reach["kind"]) == ["mobile", "push"]
    assert found.loans.select("past_due_minor", "days_past_due").rows() == [(6_500, 20)]
    assert found.instalments.height == 2


def test_what_becomes_known_later_changes_nothing(who: BorrowerIds, portfolio: Portfolio) -> None:
    """Leakage: facts of every kind, of a day before the instant, that were recorded after it; and versions that replaced others."""
    with connection() as tx:
        then = wall_clock(tx)
    before = features(past_of(who), as_of=NOON)
    happens(who, portfolio, NOON - timedelta(days=5))
    run("UPDATE promise SET superseded_at = clock_timestamp() WHERE due_on = :on", on=TODAY - timedelta(days=7))
    fact("promise", party_id=who.party_id, loan_id=who.loan_id, due_on=TODAY - timedelta(days=7), state="kept")
    portfolio.payment(who.loan_id, -4_000, reverses="payment-4")
    assert_frame_equal(features(past_of(who, known_at=then), as_of=NOON), before)
    now = features(past_of(who), as_of=NOON)
    changed = [name for name in now.columns if not now[name].equals(before[name], null_equal=True)]
    assert {"days_since_payment", "days_since_sms", "contacts_30d", "replies_30d", "income_days", "promises_kept"} <= set(changed)


def test_what_happens_later_changes_nothing_until_the_clock_gets_there(who: BorrowerIds, portfolio: Portfolio) -> None:
    before = features(past_of(who), as_of=NOON)
    later = NOON + timedelta(days=2)
    happens(who, portfolio, later)
    assert_frame_equal(features(past_of(who), as_of=NOON), before)
    then = later + timedelta(days=1)
    moved = features(past_of(who, at=then), as_of=then).row(0, named=True)
    assert (moved["days_since_payment"], moved["days_since_sms"], moved["contacts_7d"], moved["days_past_due"]) == (1, 1, 1, 23)
    assert before["days_since_payment"].to_list() == [10]


def test_contacts_that_were_taken_back_and_money_that_went_back_were_none(portfolio: Portfolio) -> None:
    who = portfolio.borrower(days_past_due=20)
    event = portfolio.contact(who.party_id, NOON - timedelta(days=2), result="sent")
    portfolio.contact(who.party_id, NOON - timedelta(days=2), result="failed", about_event_id=event, uncounts=True)
    payment = portfolio.payment(who.loan_id, 4_000, paid_on=TODAY - timedelta(days=3))
    portfolio.payment(who.loan_id, -4_000, paid_on=TODAY - timedelta(days=1), reverses=payment)
    portfolio.payment(who.loan_id, 4_000, paid_on=TODAY - timedelta(days=1), state="pending")
    found = past_of(who)
    assert found.contacts.is_empty()
    assert found.payments.is_empty()


def test_who_only_advises_somebody_has_none_of_her_loans(who: BorrowerIds, portfolio: Portfolio) -> None:
    adviser = portfolio.borrower(days_past_due=-2)
    portfolio.liable(who.loan_id, adviser.party_id, role="debt_adviser")
    found = past_of(adviser)
    assert who.loan_id not in [*found.loans["loan_id"], *found.instalments["loan_id"], *found.payments["loan_id"]]


def test_of_nobody_nothing_is_read(portfolio: Portfolio) -> None:
    del portfolio
    with connection() as tx:
        found = read(tx)
    assert all(getattr(found, one.name).is_empty() for one in fields(found))
    assert features(found, as_of=datetime(2026, 3, 17, tzinfo=UTC)).is_empty()
    assert isinstance(found.people, pl.DataFrame)
