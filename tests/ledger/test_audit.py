"""The auditor: each check finds the message that it is there for, and finds nothing in a lawful day."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from config.audit_limits import Hours, Limits
from ledger import vault
from ledger.audit import CHECKS, Received, find_violations
from ledger.engine import connection
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, made_up_number, noon

HOURS = tuple(Hours(country="TW", iso_day=day, opens=time(7), closes=time(22)) for day in range(1, 7))
LIMITS = Limits(hours=HOURS, contacts_a_day_max=1, contacts_a_week_max=2)
NUMBER = made_up_number("TW", 900)


def _attempt(
    borrower: BorrowerIds,
    *,
    provider_id: str | None = "SM1",
    state: str = "accepted",
    step: int = 1,
    submitted: bool = True,
    stage: str = "early",
) -> None:
    """An attempt as the gate would have left it."""
    with connection() as tx:
        run = tx.execute(
            text(
                "INSERT INTO campaign_run (stage, business_date, scope, state, preview, seed, opened_at) VALUES (:stage, :day, 'all', 'open', false, 's', :at)"
                " ON CONFLICT ON CONSTRAINT campaign_run_once DO UPDATE SET state = 'open' RETURNING id"
            ),
            {"stage": stage, "day": TODAY, "at": noon("TW")},
        ).scalar_one()
        reason = tx.execute(
            text("INSERT INTO reason_set (reasons) VALUES ('{}') ON CONFLICT (reasons) DO UPDATE SET reasons = '{}' RETURNING id")
        ).scalar_one()
        key = {
            "run": run,
            "day": TODAY,
            "party": borrower.party_id,
            "point": borrower.sms_id,
            "step": step,
            "stage": stage,
            "at": noon("TW"),
            "reason": reason,
        }
        decision = tx.execute(
            text(
                "INSERT INTO decision (business_date, campaign_run_id, shard, party_id, stage, step, action, channel, contact_point_id, message, score, probability, reason_set_id, decided_at, facts_known_at)"
                " VALUES (:day, :run, 0, :party, :stage, :step, 'contact', 'sms', :point, 'm', 0, 1, :reason, :at, clock_timestamp()) RETURNING id"
            ),
            key,
        ).scalar_one()
        attempt = tx.execute(
            text(
                "INSERT INTO attempt (business_date, decision_id, campaign_run_id, party_id, contact_point_id, stage, step, try_number, channel, purpose, message, locale, state, token, send_after, expires_at, provider_id, claim_id, call_deadline)"
                " VALUES (:day, :decision, :run, :party, :point, :stage, :step, 1, 'sms', 'collection', 'm', 'zh-Hant', :state, :token, :at, :at, :provider_id, :token, :at) RETURNING id"
            ),
            {**key, "decision": decision, "state": state, "token": uuid4(), "provider_id": provider_id},
        ).scalar_one()
        if submitted:
            tx.execute(
                text(
                    "INSERT INTO attempt_transition (business_date, attempt_id, from_state, to_state, cause, at) VALUES (:day, :attempt, 'planned', 'submitting', 'gate', :at)"
                ),
                {"day": TODAY, "attempt": attempt, "at": noon("TW")},
            )


def _heard(at: datetime | None = None, *, provider_id: str = "SM1", number: str = NUMBER) -> Received:
    return Received(channel="sms", blind_index=vault.blind_index(number), provider_id=provider_id, at=at or noon("TW"))


def _checks(*received: Received) -> set[str]:
    with connection() as tx:
        return {violation.check for violation in find_violations(tx, received, LIMITS)}


@pytest.fixture
def borrower(portfolio: Portfolio) -> BorrowerIds:
    return portfolio.borrower(country="TW", number=NUMBER)


def test_a_lawful_message_violates_nothing(borrower: BorrowerIds) -> None:
    _attempt(borrower)
    assert _checks(_heard()) == set()


def test_nothing_received_violates_nothing(borrower: BorrowerIds) -> None:
    del borrower
    assert _checks() == set()


def test_a_message_that_no_attempt_explains_is_found(borrower: BorrowerIds) -> None:
    del borrower
    assert "without_attempt" in _checks(_heard())


def test_a_message_whose_fate_we_call_unknown_is_not_called_unexplained(borrower: BorrowerIds) -> None:
    _attempt(borrower, provider_id=None, state="unknown")
    assert "without_attempt" not in _checks(_heard())


def test_a_call_without_a_committed_intention_is_found(borrower: BorrowerIds) -> None:
    _attempt(borrower, submitted=False)
    assert "without_committed_intention" in _checks(_heard())


def test_a_message_that_we_call_withheld_is_found(borrower: BorrowerIds) -> None:
    _attempt(borrower, state="withheld")
    assert "called_not_sent_but_received" in _checks(_heard())


def test_the_same_attempt_received_twice_is_found(borrower: BorrowerIds) -> None:
    _attempt(borrower)
    assert "twice_for_one_attempt" in _checks(_heard(), _heard())


def test_a_message_that_reached_another_number_is_found(borrower: BorrowerIds) -> None:
    _attempt(borrower)
    assert "to_another_address" in _checks(_heard(number=made_up_number("TW", 901)))


@pytest.mark.parametrize(("local", "allowed"), [("06:59:59", False), ("07:00:00", True), ("21:59:59", True), ("22:00:00", False)])
def test_hours_open_at_the_first_instant_and_close_before_the_last(borrower: BorrowerIds, local: str, allowed: bool) -> None:
    _attempt(borrower)
    at = datetime.fromisoformat(f"{TODAY}T{local}+08:00")
    assert ("outside_hours" not in _checks(_heard(at))) == allowed


def test_a_message_on_a_closed_day_is_found(borrower: BorrowerIds) -> None:
    _attempt(borrower)
    sunday = noon("TW") + timedelta(days=(6 - TODAY.weekday()) % 7)
    assert "outside_hours" in _checks(_heard(sunday))


def test_hours_hold_in_every_zone_where_the_person_may_be(portfolio: Portfolio) -> None:
    borrower = portfolio.borrower(country="TW", number=NUMBER, zones=["Asia/Taipei", "America/New_York"])
    _attempt(borrower)
    assert "outside_hours" in _checks(_heard())


def test_a_message_to_somebody_whose_zone_nobody_knows_is_found(portfolio: Portfolio) -> None:
    borrower = portfolio.borrower(country="TW", number=NUMBER, zones=[])
    _attempt(borrower)
    assert "unknown_zone" in _checks(_heard())


def test_a_message_to_a_country_without_a_pack_is_found(portfolio: Portfolio) -> None:
    borrower = portfolio.borrower(country="MX", number=NUMBER)
    _attempt(borrower)
    assert "unknown_country" in _checks(_heard())


def test_a_message_after_stop_is_found(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    portfolio.opt_out(borrower.party_id, channel="sms")
    _attempt(borrower)
    assert "after_stop" in _checks(_heard())


def test_a_stop_of_another_channel_forbids_nothing_here(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    portfolio.opt_out(borrower.party_id, channel="whatsapp")
    _attempt(borrower)
    assert _checks(_heard()) == set()


def test_a_stop_that_came_after_the_message_was_let_go_is_no_violation(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    _attempt(borrower)
    portfolio.opt_out(borrower.party_id, channel="sms", at=noon("TW"))
    assert "after_stop" not in _checks(_heard(noon("TW") + timedelta(seconds=3)))


def test_a_message_during_a_hold_is_found(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    portfolio.hold(borrower.party_id, "bereavement")
    _attempt(borrower)
    assert "during_hold" in _checks(_heard())


def test_a_message_to_a_number_that_is_somebody_elses_is_found(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    portfolio.ownership(NUMBER, "wrong")
    _attempt(borrower)
    assert "to_a_wrong_number" in _checks(_heard())


def test_a_second_message_on_one_day_is_found(borrower: BorrowerIds) -> None:
    _attempt(borrower)
    _attempt(borrower, provider_id="SM2", stage="mid")
    assert _checks(_heard(), _heard(noon("TW") + timedelta(hours=1), provider_id="SM2")) == {"too_many_a_day"}


def test_a_third_message_in_seven_days_is_found_and_one_on_the_eighth_is_not(borrower: BorrowerIds) -> None:
    stages = ("early", "mid", "late")
    for number, stage in enumerate(stages, 1):
        _attempt(borrower, provider_id=f"SM{number}", stage=stage)
    first, second = _heard(noon("TW") - timedelta(days=6)), _heard(noon("TW") - timedelta(days=3), provider_id="SM2")
    assert _checks(first, second, _heard(provider_id="SM3")) == {"too_many_a_week"}
    assert _checks(first, second, _heard(noon("TW") + timedelta(days=1), provider_id="SM3")) == set()


def test_a_message_to_somebody_who_had_paid_is_found(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    portfolio.payment(borrower.loan_id, 10_500)
    _attempt(borrower)
    assert "nothing_was_due" in _checks(_heard())


def test_every_check_can_fail() -> None:
    """Each check has a test above that makes it find something."""
    source = __import__("pathlib").Path(__file__).read_text()
    assert [check for check in CHECKS if f'"{check}"' not in source] == []
