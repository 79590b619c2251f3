"""Facts: the frames that rules and choices see, over both kinds of connection."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, time, timedelta
from typing import Any, Literal

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from sqlalchemy import text

from decisions import facts
from decisions.facts import Facts
from ledger.aging_facts import age_portfolio
from ledger.engine import arrow, connection
from ledger.facts import read_facts
from ledger.frames import Ids
from tests.plugins.portfolio import SINCE, TODAY, Portfolio, noon
from tests.plugins.sending import Outbox, tried

NOON = noon("US")
SCHEMAS = {
    "borrowers": facts.BORROWERS,
    "loans": facts.LOANS,
    "contact_points": facts.CONTACT_POINTS,
    "consents": facts.CONSENTS,
    "opt_outs": facts.OPT_OUTS,
    "holds": facts.HOLDS,
    "wishes": facts.WISHES,
    "agreements": facts.AGREEMENTS,
    "notices": facts.NOTICES,
    "history": facts.HISTORY,
    "treatments": facts.TREATMENTS,
    "failures": facts.FAILURES,
    "payments": facts.PAYMENTS,
    "senders": facts.SENDERS,
}

# What is read only where a strategy asks for it.
ALL: dict[str, Any] = {"treated_by": ("early",), "falls_back": True, "payments_since": TODAY}


def facts_of(*parties: int, loans: Literal["planned", "now"] = "now", **how: Any) -> Facts:
    asked = {"parties": list(parties), "at": NOON, "business_date": TODAY, "loans": loans, **how}
    with connection() as tx:
        return read_facts(tx, **asked)


def frames_of(read: Facts) -> dict[str, pl.DataFrame]:
    return {field.name: getattr(read, field.name) for field in fields(read)}


@pytest.fixture
def full(portfolio: Portfolio, outbox: Outbox) -> list[int]:
    """Borrowers with something in every frame."""
    people = [portfolio.borrower(country=country) for country in ("US", "TW", "CN", "MX")]
    run = outbox.run()
    for who in people:
        tried(attempt := outbox.plan(run, who), who, at=NOON - timedelta(days=3), result="delivered")
        _moved(attempt, "undelivered", NOON - timedelta(days=3))
        portfolio.payment(who.loan_id, 4_000)
        portfolio.hold(who.party_id, "dispute", loan_id=who.loan_id, until=NOON)
        portfolio.opt_out(who.party_id, channel="sms", contact_point_id=who.sms_id)
        portfolio.wish(who.party_id, "not_at", days=["mon"], opens="09:00", closes="17:30", channels=["sms"])
        portfolio.agreement(who.party_id, opens="07:00", closes="22:00")
        portfolio.notice(who.party_id, loan_id=who.loan_id, received_on=TODAY)
        event = portfolio.contact(who.party_id, NOON - timedelta(days=2), loans=[who.loan_id], contact_point_id=who.sms_id, result="sent")
        portfolio.contact(who.party_id, NOON - timedelta(days=1), result="delivered", about_event_id=event)
    portfolio.pause(stage="early", channel="push")
    return [who.party_id for who in people]


def test_every_frame_has_its_columns_and_types_even_of_nobody(portfolio: Portfolio) -> None:
    del portfolio
    ids: list[Ids] = [[], range(1, 1), range(1, 100)]
    for parties in ids:
        for name, frame in frames_of(facts_of(loans="now", parties=parties)).items():
            assert dict(frame.schema) == SCHEMAS[name], name
            assert frame.is_empty()


@pytest.mark.parametrize("loans", ["planned", "now"])
def test_planning_and_the_gate_read_the_same_facts(full: list[int], loans: Literal["planned", "now"]) -> None:
    age_portfolio(TODAY)
    ids: list[Ids] = [full, range(min(full), max(full) + 1)]
    for parties in ids:
        with arrow() as tx:
            planned = read_facts(tx, parties=parties, at=NOON, business_date=TODAY, loans=loans, **ALL)
        gated = facts_of(*full, **ALL)
        for name, frame in frames_of(planned).items():
            assert dict(frame.schema) == SCHEMAS[name], name
            assert frame.height >= len(full), name
            assert_frame_equal(frame, frames_of(gated)[name])


def test_a_borrower_reads_as_the_ledger_has_them(portfolio: Portfolio) -> None:
    who = portfolio.borrower(facts=["military"], region="NY", zones=["America/New_York", "America/Chicago"])
    read = facts_of(who.party_id).borrowers.row(0, named=True)
    assert read == {
        "party_id": who.party_id,
        "creditor_id": portfolio.creditor("US"),
        "creditor_role": "first_party",
        "country": "US",
        "region": "NY",
        "locale": "en",
        "known_zone": None,
        "zones": ["America/New_York", "America/Chicago"],
        "facts": ["military"],
        "home_zones": ["America/New_York"],
        "jurisdictions": ["US", "US-NY"],
        "payments_fresh_until": datetime(2026, 3, 19, 23, tzinfo=UTC),
        "paused": False,
        "paused_channels": [],
    }


@pytest.mark.parametrize(
    ("region", "jurisdictions"),
    [("NY", ["US", "US-NY"]), ("US-NY", ["US", "US-NY"]), ("upstate", ["US"])],
)
def test_a_region_adds_its_jurisdiction_to_the_countrys(portfolio: Portfolio, region: str, jurisdictions: list[str]) -> None:
    who = portfolio.borrower(region=region)
    assert facts_of(who.party_id).borrowers["jurisdictions"].to_list() == [jurisdictions]


def test_the_law_of_residence_postal_code_and_location_all_attach(portfolio: Portfolio) -> None:
    city = portfolio.borrower(postal_code="10001")
    moved = portfolio.borrower(region="NJ", postal_code="10001-1234")
    abroad = portfolio.borrower(postal_code="12201", known_zone="Europe/Berlin")
    taipei = portfolio.borrower(country="TW", postal_code="10001")
    read = facts_of(city.party_id, moved.party_id, abroad.party_id, taipei.party_id).borrowers
    assert read["jurisdictions"].to_list() == [
        ["US", "US-NY", "US-NY-NYC"],
        ["US", "US-NJ", "US-NY", "US-NY-NYC"],
        ["US", "US-NY", "EU", "DE"],
        ["TW"],
    ]


def test_a_home_is_where_region_and_postal_code_say(portfolio: Portfolio) -> None:
    agreed, torn = portfolio.borrower(region="CA", postal_code="90210"), portfolio.borrower(region="CA", postal_code="10001")
    assert facts_of(agreed.party_id, torn.party_id).borrowers["home_zones"].to_list() == [
        ["America/Los_Angeles"],
        ["America/Los_Angeles", "America/New_York"],
    ]


def test_nothing_known_of_a_person_is_no_jurisdiction_no_zone_and_no_fresh_feed(portfolio: Portfolio) -> None:
    who = portfolio.borrower()
    with connection() as tx:
        tx.execute(text("UPDATE party_version SET superseded_at = clock_timestamp()"))
        tx.execute(text("UPDATE feed SET superseded_at = clock_timestamp()"))
    read = facts_of(who.party_id).borrowers.row(0, named=True)
    assert (read["jurisdictions"], read["zones"], read["country"], read["payments_fresh_until"]) == ([], [], None, None)


def test_a_loan_is_aged_with_what_was_posted_until_now(portfolio: Portfolio) -> None:
    who = portfolio.borrower(days_past_due=12)
    portfolio.payment(who.loan_id, 3_000, paid_on=TODAY)
    read = facts_of(who.party_id).loans.row(0, named=True)
    assert read["past_due_minor"] == 7_500
    assert read["outstanding_minor"] == 18_000
    assert (read["days_past_due"], read["delinquent_days"], read["bucket"], read["stage"]) == (12, 12, "M1", "early")
    assert read["oldest_unpaid_due_on"] == TODAY - timedelta(days=12)


def test_a_loan_that_was_paid_up_is_gone_at_the_gate_whatever_was_planned(portfolio: Portfolio) -> None:
    who = portfolio.borrower()
    age_portfolio(TODAY)
    portfolio.payment(who.loan_id, 10_500)
    assert facts_of(who.party_id, loans="planned").loans["past_due_minor"].to_list() == [10_500]
    assert facts_of(who.party_id).loans.is_empty()


@pytest.mark.parametrize("state", ["claimed", "pending"])
def test_money_that_may_not_arrive_lowers_no_debt(portfolio: Portfolio, state: str) -> None:
    who = portfolio.borrower()
    portfolio.payment(who.loan_id, 10_500, state=state)
    assert facts_of(who.party_id).loans["past_due_minor"].to_list() == [10_500]


def test_a_returned_payment_opens_the_debt_again(portfolio: Portfolio) -> None:
    who = portfolio.borrower()
    paid = portfolio.payment(who.loan_id, 10_500, paid_on=TODAY - timedelta(days=2))
    portfolio.payment(who.loan_id, -10_500, reverses=paid)
    assert facts_of(who.party_id).loans["past_due_minor"].to_list() == [10_500]


def test_what_never_came_in_cannot_be_taken_back(portfolio: Portfolio) -> None:
    who = portfolio.borrower()
    portfolio.payment(who.loan_id, 4_000)
    pending = portfolio.payment(who.loan_id, 5_000, state="pending")
    portfolio.payment(who.loan_id, -5_000, reverses=pending)
    portfolio.payment(who.loan_id, -5_000, reverses="never-heard-of")
    assert facts_of(who.party_id).loans["past_due_minor"].to_list() == [6_500]


def test_a_payment_paid_on_a_later_local_date_has_not_happened_yet(portfolio: Portfolio) -> None:
    who = portfolio.borrower()
    portfolio.payment(who.loan_id, 10_500, paid_on=TODAY + timedelta(days=1))
    assert facts_of(who.party_id).loans["past_due_minor"].to_list() == [10_500]


def test_paused_days_do_not_age(portfolio: Portfolio) -> None:
    who = portfolio.borrower(days_past_due=35)
    portfolio.ageing_pause(who.loan_id, TODAY - timedelta(days=10), TODAY)
    assert facts_of(who.party_id).loans.select("days_past_due", "delinquent_days", "stage").row(0) == (35, 25, "early")


@pytest.mark.parametrize(("status", "stage"), [("active", "in_plan"), ("late", "in_plan"), ("offered", "early"), ("broken", "early")])
def test_a_loan_in_a_plan_is_in_no_stage(portfolio: Portfolio, status: str, stage: str) -> None:
    who = portfolio.borrower()
    portfolio.plan(who.loan_id, status=status, instalments=[{"due_on": (TODAY + timedelta(days=5)).isoformat(), "amount_minor": 5_000}])
    age_portfolio(TODAY)
    assert facts_of(who.party_id).loans["stage"].to_list() == [stage]
    assert facts_of(who.party_id, loans="planned").loans["stage"].to_list() == [stage]


def test_a_loan_counts_from_the_day_a_person_is_liable_until_the_day_before_the_last(portfolio: Portfolio) -> None:
    who, other = portfolio.borrower(), portfolio.borrower(phone=False, push=False)
    portfolio.liable(who.loan_id, other.party_id, role="guarantor", starts_on=TODAY, ends_on=TODAY + timedelta(days=1))
    assert facts_of(other.party_id).loans["role"].to_list() == ["guarantor", "borrower"]
    assert facts_of(other.party_id, business_date=TODAY - timedelta(days=1)).loans["role"].to_list() == ["borrower"]
    assert facts_of(other.party_id, business_date=TODAY + timedelta(days=1)).loans["role"].to_list() == ["borrower"]


def test_a_person_with_two_roles_in_a_loan_owes_it_once(portfolio: Portfolio) -> None:
    who = portfolio.borrower()
    portfolio.liable(who.loan_id, who.party_id, role="guarantor")
    assert facts_of(who.party_id).loans["role"].to_list() == ["borrower"]


def test_ownership_belongs_to_the_value_whoever_has_it(portfolio: Portfolio) -> None:
    first, second = portfolio.borrower(number="+12125550199"), portfolio.borrower(number="+12125550199", push=False)
    portfolio.ownership("+12125550199", "wrong")
    read = facts_of(first.party_id, second.party_id).contact_points
    assert read.select("contact_point_id", "kind", "ownership").rows() == [
        (first.sms_id, "mobile", "wrong"),
        (first.push_id, "push", "claimed"),
        (second.sms_id, "mobile", "wrong"),
    ]


def test_a_consent_that_was_taken_back_ended_then(portfolio: Portfolio) -> None:
    who = portfolio.borrower(consent=("sms", "push", "voice"))
    with connection() as tx:
        tx.execute(text("UPDATE consent SET withdrawn_at = :at WHERE channel = 'sms'"), {"at": NOON})
        tx.execute(text("UPDATE consent SET withdrawn_at = :at, until = :until WHERE channel = 'push'"), {"at": NOON, "until": SINCE})
    assert dict(facts_of(who.party_id).consents.select("channel", "until").rows()) == {"sms": NOON, "push": SINCE, "voice": None}


def test_a_hold_on_all_who_are_liable_reaches_each_of_them(portfolio: Portfolio) -> None:
    who, other, stranger = (portfolio.borrower() for _ in range(3))
    portfolio.liable(who.loan_id, other.party_id)
    portfolio.hold(who.party_id, "dispute", loan_id=who.loan_id, all_liable=True)
    assert facts_of(other.party_id).holds.select("party_id", "loan_id", "kind").rows() == [(other.party_id, who.loan_id, "dispute")]
    assert facts_of(who.party_id, other.party_id).holds.height == 2
    assert facts_of(stranger.party_id).holds.is_empty()


def test_a_hold_on_all_who_are_liable_for_anything_reaches_others_for_the_shared_loan(portfolio: Portfolio) -> None:
    who, other = portfolio.borrower(), portfolio.borrower()
    portfolio.liable(who.loan_id, other.party_id)
    portfolio.hold(who.party_id, "bankruptcy", all_liable=True)
    assert facts_of(who.party_id).holds.select("party_id", "loan_id").rows() == [(who.party_id, None)]
    assert facts_of(other.party_id).holds.select("party_id", "loan_id").rows() == [(other.party_id, who.loan_id)]


def test_a_persons_own_hold_reaches_nobody_else(portfolio: Portfolio) -> None:
    who, other = portfolio.borrower(), portfolio.borrower()
    portfolio.liable(who.loan_id, other.party_id)
    portfolio.hold(who.party_id, "illness")
    portfolio.hold(who.party_id, "dispute", loan_id=who.loan_id)
    assert facts_of(other.party_id).holds.is_empty()


def test_wishes_carry_times_of_day(portfolio: Portfolio) -> None:
    who = portfolio.borrower()
    portfolio.wish(who.party_id, "not_at", opens="15:00", closes="17:00")
    portfolio.wish(who.party_id, "not_place", place="work")
    assert facts_of(who.party_id).wishes.select("kind", "opens", "closes", "place", "days").rows() == [
        ("not_at", time(15), time(17), None, []),
        ("not_place", None, None, "work", []),
    ]


def test_history_shows_each_contact_once_with_the_latest_result(portfolio: Portfolio) -> None:
    who = portfolio.borrower()
    first = portfolio.contact(who.party_id, NOON - timedelta(days=3), result="sent", loans=[who.loan_id])
    second = portfolio.contact(who.party_id, NOON - timedelta(days=1), result="sent")
    for result in ("delivered", "read"):
        portfolio.contact(who.party_id, NOON - timedelta(days=2), result=result, about_event_id=first)
    inbound = portfolio.contact(who.party_id, NOON - timedelta(hours=2), result="received", direction="inbound", counts=False)
    read = facts_of(who.party_id).history
    assert read.select("event_id", "result", "direction").rows() == [
        (first, "read", "outbound"),
        (second, "sent", "outbound"),
        (inbound, "received", "inbound"),
    ]
    assert read["loans"].to_list() == [[who.loan_id], [], []]


def test_a_contact_that_was_taken_back_is_no_contact(portfolio: Portfolio) -> None:
    who = portfolio.borrower()
    event = portfolio.contact(who.party_id, NOON, result="sent")
    portfolio.contact(who.party_id, NOON, result="failed", about_event_id=event, uncounts=True)
    assert facts_of(who.party_id).history.is_empty()


def test_a_contact_whose_message_failed_still_counts(portfolio: Portfolio) -> None:
    who = portfolio.borrower()
    event = portfolio.contact(who.party_id, NOON, result="sent")
    portfolio.contact(who.party_id, NOON, result="failed", about_event_id=event)
    assert facts_of(who.party_id).history["result"].to_list() == ["failed"]


def test_history_reaches_back_forty_days_or_as_asked(portfolio: Portfolio) -> None:
    who = portfolio.borrower()
    portfolio.contact(who.party_id, NOON - timedelta(days=40))
    portfolio.contact(who.party_id, NOON - timedelta(days=40, seconds=1))
    assert facts_of(who.party_id).history.height == 1
    assert facts_of(who.party_id, history_days=41).history.height == 2


@pytest.mark.parametrize(
    ("pause", "paused"),
    [
        ({}, True),
        ({"stage": "early"}, True),
        ({"stage": "mid"}, False),
        ({"starts_at": NOON, "until": NOON + timedelta(seconds=1)}, True),
        ({"starts_at": NOON + timedelta(seconds=1)}, False),
        ({"until": NOON}, False),
    ],
)
def test_a_pause_stops_whom_it_names_while_it_lasts(portfolio: Portfolio, pause: dict[str, Any], paused: bool) -> None:
    who = portfolio.borrower()
    portfolio.pause(**pause)
    assert facts_of(who.party_id).borrowers["paused"].to_list() == [paused]


def test_a_pause_of_one_creditor_leaves_the_others(portfolio: Portfolio) -> None:
    here, there = portfolio.borrower(country="TW"), portfolio.borrower(country="MX")
    portfolio.pause(creditor_id=portfolio.creditor("TW"))
    assert facts_of(here.party_id, there.party_id).borrowers["paused"].to_list() == [True, False]


def test_a_pause_of_a_stage_concerns_the_worst_loan(portfolio: Portfolio) -> None:
    who = portfolio.borrower(days_past_due=5)
    portfolio.loan(who.party_id, days_past_due=45)
    portfolio.pause(stage="early")
    assert facts_of(who.party_id).borrowers["paused"].to_list() == [False]


def test_a_pause_of_a_channel_names_the_channel_and_stops_no_other(portfolio: Portfolio) -> None:
    who = portfolio.borrower()
    portfolio.pause(channel="sms")
    portfolio.pause(channel="sms", stage="early")
    portfolio.pause(channel="push", stage="mid")
    assert facts_of(who.party_id).borrowers.select("paused", "paused_channels").rows() == [(False, ["sms"])]


def test_facts_replay_as_they_were_known(portfolio: Portfolio) -> None:
    who = portfolio.borrower()
    portfolio.opt_out(who.party_id, channel="sms")
    then = _wall_clock()
    portfolio.payment(who.loan_id, 10_500)
    portfolio.opt_out(who.party_id, channel="push")
    portfolio.contact(who.party_id, NOON - timedelta(days=1))
    with connection() as tx:
        tx.execute(text("UPDATE opt_out SET superseded_at = clock_timestamp() WHERE channel = 'sms'"))
        tx.execute(text("UPDATE party_version SET superseded_at = clock_timestamp()"))
    now = facts_of(who.party_id)
    assert (now.loans.height, now.opt_outs["channel"].to_list(), now.history.height) == (0, ["push"], 1)
    replayed = facts_of(who.party_id, known_at=then)
    assert (replayed.loans.height, replayed.opt_outs["channel"].to_list(), replayed.history.height) == (1, ["sms"], 0)
    assert replayed.borrowers["country"].to_list() == ["US"]


def test_a_replay_of_the_days_kept_ageing_is_refused(portfolio: Portfolio) -> None:
    who = portfolio.borrower()
    with pytest.raises(ValueError, match="a replay reads loans='now'"):
        facts_of(who.party_id, loans="planned", known_at=NOON)


def test_an_instant_without_a_zone_is_refused(portfolio: Portfolio) -> None:
    who = portfolio.borrower()
    with pytest.raises(ValueError, match="an instant has a zone"):
        facts_of(who.party_id, at=datetime(2026, 3, 17, 12))  # noqa: DTZ001  # that is what is tested


def test_a_transaction_sees_what_was_committed_before_its_statement(portfolio: Portfolio) -> None:
    """I4: the gate's second reading, in the transaction that already holds the lock."""
    who = portfolio.borrower()
    with connection() as tx:
        before = read_facts(tx, parties=[who.party_id], at=NOON, business_date=TODAY, loans="now")
        portfolio.payment(who.loan_id, 10_500)
        after = read_facts(tx, parties=[who.party_id], at=NOON, business_date=TODAY, loans="now")
    assert (before.loans.height, after.loans.height) == (1, 0)


def _wall_clock() -> datetime:
    with connection() as tx:
        moment: datetime = tx.execute(text("SELECT clock_timestamp()")).scalar_one()
    return moment


@pytest.mark.parametrize(("days_past_due", "next_due_in"), [(-2, 2), (0, 0), (5, 25), (40, None)])
def test_planning_and_gate_know_the_next_due_date(portfolio: Portfolio, days_past_due: int, next_due_in: int | None) -> None:
    who = portfolio.borrower(days_past_due=days_past_due)
    age_portfolio(TODAY)
    due_on = None if next_due_in is None else TODAY + timedelta(days=next_due_in)
    for loans in ("planned", "now"):
        assert facts_of(who.party_id, loans=loans).loans["next_due_on"].to_list() == [due_on]


def test_tries_of_the_stages_asked_for_are_read_with_their_latest_result_however_long_ago(portfolio: Portfolio, outbox: Outbox) -> None:
    who, other = portfolio.borrower(), portfolio.borrower()
    long_ago = NOON - timedelta(days=300)
    for stage, result in (("early", "delivered"), ("mid", "undelivered"), ("late", "delivered")):
        attempt = outbox.plan(outbox.run(stage=stage), who)
        event = tried(attempt, who, at=long_ago, result="sent")
        tried(attempt, who, at=long_ago, result=result, about=event)
    # An agency's contact is no stage's try.
    portfolio.contact(who.party_id, NOON)
    read = facts_of(who.party_id, other.party_id, treated_by=("early", "mid")).treatments
    assert read.rows() == [
        (who.party_id, stage, "early_reminder", "sms", long_ago, [who.loan_id], who.sms_id, result)
        for stage, result in (("early", "delivered"), ("mid", "undelivered"))
    ]
    assert facts_of(who.party_id).treatments.is_empty()


def test_a_try_that_was_taken_back_is_none_and_a_replay_knows_only_what_was_known(portfolio: Portfolio, outbox: Outbox) -> None:
    who = portfolio.borrower()
    attempt = outbox.plan(outbox.run(), who)
    event = tried(attempt, who, at=NOON, result="sent")
    then = _wall_clock()
    tried(attempt, who, at=NOON, result="delivered", about=event)
    results = [facts_of(who.party_id, treated_by=("early",), known_at=known).treatments["result"].to_list() for known in (then, None)]
    assert results == [["sent"], ["delivered"]]
    tried(attempt, who, at=NOON, result="failed", about=event, uncounts=True)
    assert facts_of(who.party_id, treated_by=("early",)).treatments.is_empty()


def test_money_that_came_in_of_late_is_read_while_it_is_still_here_and_as_it_was_known_then(portfolio: Portfolio) -> None:
    paid, claimed, long_ago, bounced = (portfolio.borrower() for _ in range(4))
    portfolio.payment(paid.loan_id, 100, paid_on=TODAY - timedelta(days=2))
    portfolio.payment(paid.loan_id, 100, paid_on=TODAY - timedelta(days=1))
    portfolio.payment(claimed.loan_id, 100, state="claimed")
    portfolio.payment(long_ago.loan_id, 100, paid_on=TODAY - timedelta(days=3))
    back = portfolio.payment(bounced.loan_id, 100)
    before = _wall_clock()
    portfolio.payment(bounced.loan_id, -100, reverses=back)
    everybody = [one.party_id for one in (paid, claimed, long_ago, bounced)]
    since = TODAY - timedelta(days=2)
    now, then = (facts_of(*everybody, payments_since=since, known_at=known).payments.rows() for known in (None, before))
    assert now == [(paid.party_id, paid.loan_id, TODAY - timedelta(days=1))]
    assert then == [*now, (bounced.party_id, bounced.loan_id, TODAY)]
    assert facts_of(*everybody).payments.is_empty()


def test_tries_of_a_stage_that_does_not_exist_are_refused(portfolio: Portfolio) -> None:
    who = portfolio.borrower()
    with pytest.raises(ValueError, match="unknown stage 'never'"):
        facts_of(who.party_id, treated_by=("early", "never"))


def _moved(attempt_id: int, to_state: str, at: datetime) -> None:
    """A move of an attempt as the ledger keeps it."""
    with connection() as tx:
        tx.execute(
            text("""INSERT INTO attempt_transition (business_date, attempt_id, from_state, to_state, cause, at)
                    SELECT business_date, id, 'sent', :to_state, 'a test', :at FROM attempt WHERE id = :id"""),
            {"id": attempt_id, "to_state": to_state, "at": at},
        )


@pytest.mark.parametrize(
    ("moves", "failed"),
    [
        (("undelivered",), True),
        (("rejected",), True),
        (("delivered",), False),
        # A late correction takes it back.
        (("undelivered", "delivered"), False),
        (("delivered", "undelivered"), True),
    ],
    ids=str,
)
def test_a_way_has_failed_where_its_last_word_says_so(portfolio: Portfolio, outbox: Outbox, moves: tuple[str, ...], failed: bool) -> None:
    who = portfolio.borrower()
    attempt = outbox.plan(outbox.run(), who)
    before = _wall_clock()
    for number, state in enumerate(moves):
        _moved(attempt, state, NOON - timedelta(hours=3 - number))
    rows = facts_of(who.party_id, falls_back=True).failures.select("party_id", "contact_point_id", "channel").rows()
    assert rows == ([(who.party_id, who.sms_id, "sms")] if failed else [])
    assert facts_of(who.party_id).failures.is_empty()
    assert facts_of(who.party_id, falls_back=True, known_at=before).failures.is_empty()


def test_senders_are_read_by_channel_and_purpose(portfolio: Portfolio) -> None:
    who, other = portfolio.borrower(), portfolio.borrower(country="TW")
    with connection() as tx:
        tx.execute(
            text(
                """UPDATE creditor SET senders = '{"sms": "+1", "sms/receipt": "+2"}' WHERE id = (SELECT creditor_id FROM party WHERE id = :id)"""
            ),
            {"id": who.party_id},
        )
    assert facts_of(who.party_id, falls_back=True).senders.select("channel", "purpose").rows() == [("sms", None), ("sms", "receipt")]
    assert set(facts_of(other.party_id, falls_back=True).senders["channel"]) == {"sms", "push"}
    assert facts_of(who.party_id).senders.is_empty()
