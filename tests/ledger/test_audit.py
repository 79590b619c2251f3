"""The auditor: each check finds the message that it is there for, and finds nothing in a lawful day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from config.audit_limits import Cap, Hours, Limits, Scope, Window
from decisions.words import ROLES
from ledger import vault
from ledger.audit import Received, find_violations
from ledger.audit_messages import CHECKS
from ledger.engine import connection
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, made_up_number, noon

SCOPE = Scope(
    rule="TEST",
    jurisdiction="TW",
    roles=ROLES,
    channels=("sms", "push"),
    purposes=None,
    except_purposes=(),
    parties=None,
    facts=None,
    products=None,
    except_products=(),
    layer_alone=None,
    since=date(2000, 1, 1),
    until=None,
)
HOURS = tuple(Hours(iso_day=day, opens=7 * 60, closes=22 * 60) for day in range(1, 7))
WINDOW = Window(scope=SCOPE, clock="every_plausible_zone", calendar=None, agreements=True, hours=HOURS)


def cap(at_most: int, unit: str, number: int = 1, *, per: str = "person", except_results: tuple[str, ...] = ()) -> Cap:
    return Cap(
        scope=SCOPE,
        counts_channels=None,
        directions=("outbound",),
        counts_purposes=None,
        counts_except_purposes=(),
        except_results=except_results,
        per=per,
        unit=unit,
        number=number,
        at_most=at_most,
    )


def limits(*caps: Cap, window: Window = WINDOW, **more: Any) -> Limits:
    return Limits(windows=(window,), caps=caps, **{"holidays": (), "countries": frozenset({"TW"}), **more})


LIMITS = limits(cap(1, "days"), cap(2, "days", 7))
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


def _checks(*received: Received, under: Limits = LIMITS) -> set[str]:
    with connection() as tx:
        return {violation.check for violation in find_violations(tx, received, under)}


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


def test_a_message_that_the_phone_acknowledged_and_no_answer_named_is_not_called_unexplained(borrower: BorrowerIds) -> None:
    """The call's answer was lost, as the provider's id was with it; what the app told us is all that is known."""
    _attempt(borrower, provider_id=None, state="delivered")
    assert "without_attempt" not in _checks(_heard())


def test_a_message_that_the_provider_refused_explains_nothing(borrower: BorrowerIds) -> None:
    _attempt(borrower, provider_id=None, state="rejected")
    assert "without_attempt" in _checks(_heard())


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
    assert "unknown_jurisdiction" in _checks(_heard())


def test_a_message_after_stop_is_found(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    portfolio.opt_out(borrower.party_id, channel="sms")
    _attempt(borrower)
    assert "after_stop" in _checks(_heard())


def test_a_confirmation_follows_a_stop_and_only_one_of_it(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    _attempt(borrower)
    with connection() as tx:
        tx.execute(text("UPDATE attempt SET purpose = 'confirmation'"))
    assert "confirmed_without_a_new_stop" in _checks(_heard())
    portfolio.opt_out(borrower.party_id, channel="sms", at=noon("TW"))
    assert not _checks(_heard()) & {"confirmed_without_a_new_stop", "after_stop"}
    portfolio.contact(borrower.party_id, noon("TW"), purpose="confirmation")
    assert "confirmed_without_a_new_stop" in _checks(_heard())


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


@pytest.mark.parametrize(("names_the_loan", "all_liable"), [(True, True), (False, True), (True, False), (False, False)])
def test_a_message_during_a_hold_of_somebody_else_is_found_where_it_reaches_all_who_stand_for_the_loan(
    borrower: BorrowerIds, portfolio: Portfolio, names_the_loan: bool, all_liable: bool
) -> None:
    other = portfolio.borrower(country="TW")
    portfolio.liable(borrower.loan_id, other.party_id, role="guarantor")
    portfolio.hold(other.party_id, "dispute", loan_id=borrower.loan_id if names_the_loan else None, all_liable=all_liable)
    _attempt(borrower)
    with connection() as tx:
        tx.execute(
            text(
                "INSERT INTO contact_event (business_date, party_id, at, channel, direction, loans, counterparty, result, counts, source, attempt_business_date, attempt_id)"
                " SELECT business_date, party_id, :at, 'sms', 'outbound', ARRAY[CAST(:loan AS bigint)], 'borrower', 'sent', true, 'gate', business_date, id FROM attempt"
            ),
            {"at": noon("TW"), "loan": borrower.loan_id},
        )
    assert ("during_hold" in _checks(_heard())) == all_liable


def test_a_message_to_a_number_that_is_somebody_elses_is_found(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    portfolio.ownership(NUMBER, "wrong")
    _attempt(borrower)
    assert "to_a_wrong_number" in _checks(_heard())


def test_a_second_message_on_one_day_is_found(borrower: BorrowerIds) -> None:
    _attempt(borrower)
    _attempt(borrower, provider_id="SM2", stage="pre_due")
    assert _checks(_heard(), _heard(noon("TW") + timedelta(hours=1), provider_id="SM2")) == {"over_a_cap"}


def test_a_third_message_in_seven_days_is_found_and_one_on_the_eighth_is_not(borrower: BorrowerIds) -> None:
    for number, stage in enumerate(("early", "pre_due", "mid"), 1):
        _attempt(borrower, provider_id=f"SM{number}", stage=stage)
    first, second = _heard(noon("TW") - timedelta(days=6)), _heard(noon("TW") - timedelta(days=3), provider_id="SM2")
    assert "over_a_cap" in _checks(first, second, _heard(provider_id="SM3"))
    assert "over_a_cap" not in _checks(first, second, _heard(noon("TW") + timedelta(days=1), provider_id="SM3"))


@pytest.mark.parametrize(
    ("counted", "earlier", "found"),
    [
        (cap(1, "minutes", 60), timedelta(minutes=59), True),
        (cap(1, "minutes", 60), timedelta(minutes=60), False),
        # TODAY is a Tuesday: the day before is in its week, the Sunday before is not.
        (cap(1, "week"), timedelta(days=1), True),
        (cap(1, "week"), timedelta(days=2), False),
        (cap(1, "month"), timedelta(days=16), True),
        (cap(1, "month"), timedelta(days=17), False),
        (cap(1, "months", 1), timedelta(days=27), True),
        (cap(1, "months", 1), timedelta(days=28), False),
        (cap(1, "ever"), timedelta(days=900), True),
    ],
)
def test_spans_end_when_they_say(borrower: BorrowerIds, portfolio: Portfolio, counted: Cap, earlier: timedelta, found: bool) -> None:
    portfolio.contact(borrower.party_id, noon("TW") - earlier)
    _attempt(borrower)
    assert ("over_a_cap" in _checks(_heard(), under=limits(counted))) == found


@pytest.mark.parametrize(
    ("per", "about", "found"),
    [
        ("person", {"counterparty": "spouse"}, False),
        ("household", {"counterparty": "spouse"}, True),
        ("contact_point", {"contact_point_id": 0}, False),
        ("debt", {"loans": [0]}, False),
    ],
)
def test_caps_count_what_they_say(borrower: BorrowerIds, portfolio: Portfolio, per: str, about: dict[str, Any], found: bool) -> None:
    portfolio.contact(borrower.party_id, noon("TW") - timedelta(hours=1), **about)
    _attempt(borrower)
    assert ("over_a_cap" in _checks(_heard(), under=limits(cap(1, "days", per=per)))) == found


def test_a_contact_that_was_taken_back_or_failed_counts_only_where_the_rule_says_so(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    at = noon("TW") - timedelta(hours=1)
    failed = portfolio.contact(borrower.party_id, at, result="sent")
    portfolio.contact(borrower.party_id, at, result="failed", about_event_id=failed)
    _attempt(borrower)
    assert "over_a_cap" in _checks(_heard(), under=limits(cap(1, "days")))
    assert "over_a_cap" not in _checks(_heard(), under=limits(cap(1, "days", except_results=("failed",))))
    portfolio.contact(borrower.party_id, at, result="failed", about_event_id=failed, uncounts=True)
    assert "over_a_cap" not in _checks(_heard(), under=limits(cap(1, "days")))


def test_a_contact_that_the_ledger_learned_of_later_breaks_no_cap(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    _attempt(borrower)
    portfolio.contact(borrower.party_id, noon("TW") - timedelta(hours=1))
    assert "over_a_cap" not in _checks(_heard(), under=limits(cap(1, "days")))


def test_holidays_have_hours_of_their_own(borrower: BorrowerIds) -> None:
    _attempt(borrower)
    window = replace(WINDOW, calendar="TW")
    assert "outside_hours" not in _checks(_heard(), under=limits(window=window))
    assert "outside_hours" in _checks(_heard(), under=limits(window=window, holidays=(("TW", TODAY),)))
    open_then = replace(window, hours=(*HOURS, Hours(iso_day=0, opens=0, closes=24 * 60)))
    late = _heard(datetime.fromisoformat(f"{TODAY}T23:59:59+08:00"))
    assert "outside_hours" in _checks(late, under=limits(window=open_then))
    assert "outside_hours" not in _checks(late, under=limits(window=open_then, holidays=(("TW", TODAY),)))


def test_a_window_counts_from_its_date_to_its_last(borrower: BorrowerIds) -> None:
    _attempt(borrower)
    at = _heard(datetime.fromisoformat(f"{TODAY}T23:00:00+08:00"))
    for since, until, found in ((TODAY, None, True), (TODAY + timedelta(days=1), None, False), (SCOPE.since, TODAY, False)):
        window = replace(WINDOW, scope=replace(SCOPE, since=since, until=until))
        assert ("outside_hours" in _checks(at, under=limits(window=window))) == found


def test_hours_that_the_borrower_asked_for_are_left_to_the_judge(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    portfolio.agreement(borrower.party_id, opens="05:00", closes="23:00")
    _attempt(borrower)
    early = _heard(datetime.fromisoformat(f"{TODAY}T06:00:00+08:00"))
    assert "outside_hours" not in _checks(early)
    assert "outside_hours" in _checks(early, under=limits(window=replace(WINDOW, agreements=False)))


def test_a_message_while_operations_paused_is_found(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    portfolio.pause(stage="early")
    with connection() as tx:
        tx.execute(text("UPDATE pause SET recorded_at = recorded_at - interval '1 minute'"))
    _attempt(borrower)
    assert "while_paused" in _checks(_heard())


def test_a_pause_of_something_else_forbids_nothing(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    portfolio.pause(channel="whatsapp")
    portfolio.pause(stage="late")
    with connection() as tx:
        tx.execute(text("UPDATE pause SET recorded_at = recorded_at - interval '1 minute'"))
    _attempt(borrower)
    assert _checks(_heard()) == set()


def test_a_message_on_the_word_of_an_old_payment_feed_is_found(borrower: BorrowerIds) -> None:
    with connection() as tx:
        tx.execute(text("UPDATE feed SET covers_until = :then"), {"then": noon("TW") - timedelta(days=2)})
    _attempt(borrower)
    assert "stale_payments" in _checks(_heard())


def test_a_hold_that_a_law_ends_is_not_held_against_anybody_after_it(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    portfolio.hold(borrower.party_id, "hardship", starts_at=noon("TW") - timedelta(days=22))
    _attempt(borrower)
    assert "during_hold" in _checks(_heard())
    assert "during_hold" not in _checks(_heard(), under=limits(hold_days=(("hardship", 21),)))


@pytest.mark.parametrize(("milder", "found"), [("delivered", False), ("failed", True), ("withheld", True)])
def test_a_harsher_stage_without_the_milder_one_offered_is_found(borrower: BorrowerIds, milder: str, found: bool) -> None:
    _attempt(borrower, provider_id="SM0", state=milder, stage="early")
    with connection() as tx:
        tx.execute(text("UPDATE attempt SET submitted_at = :at"), {"at": noon("TW") - timedelta(days=1)})
    _attempt(borrower, stage="mid")
    assert ("harsher_without_the_milder" in _checks(_heard())) == found


@pytest.mark.parametrize(
    ("days", "points", "found"), [((9, 5, 2), (1, 2, 2), False), ((8, 5, 2), (1, 2, 2), True), ((9, 5, 2), (1, 1, 1), True)]
)
def test_three_failed_tries_over_seven_days_on_two_contact_points_are_an_offer(
    borrower: BorrowerIds, days: tuple[int, ...], points: tuple[int, ...], found: bool
) -> None:
    _attempt(borrower, stage="mid")
    with connection() as tx:
        for number, (before, point) in enumerate(zip(days, points, strict=True), 1):
            tx.execute(
                text(
                    "INSERT INTO attempt SELECT (jsonb_populate_record(a, jsonb_build_object('id', 900 + CAST(:n AS int), 'stage', 'early', 'step', :n, 'state', 'failed',"
                    " 'provider_id', NULL, 'submitted_at', CAST(:at AS timestamptz), 'contact_point_id', CASE :point WHEN 1 THEN :sms ELSE :push END))).* FROM attempt a WHERE id < 900"
                ),
                {
                    "n": number,
                    "at": noon("TW") - timedelta(days=before),
                    "point": point,
                    "sms": borrower.sms_id,
                    "push": borrower.push_id,
                },
            )
    assert ("harsher_without_the_milder" in _checks(_heard())) == found


def test_whoever_was_taken_over_late_is_offered_it_by_the_first_message(borrower: BorrowerIds) -> None:
    _attempt(borrower, stage="mid")
    with connection() as tx:
        tx.execute(text("UPDATE attempt SET message = 'onboarding'"))
    assert "harsher_without_the_milder" not in _checks(_heard())


def test_what_was_known_then_counts_and_not_what_is_known_now(borrower: BorrowerIds) -> None:
    """A correction of the zone, a week later, makes no violation of a message that was lawful by what was known."""
    _attempt(borrower)
    with connection() as tx:
        tx.execute(
            text(
                "WITH old AS (UPDATE party_version SET superseded_at = clock_timestamp() RETURNING *)"
                " INSERT INTO party_version (party_id, effective_at, source, locale, country, zones, digest)"
                " SELECT party_id, effective_at, source, locale, country, '{America/New_York}', digest FROM old"
            )
        )
    assert _checks(_heard()) == set()


def test_a_message_to_somebody_who_had_paid_is_found(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    portfolio.payment(borrower.loan_id, 10_500)
    _attempt(borrower)
    assert "nothing_was_due" in _checks(_heard())


def test_every_check_can_fail() -> None:
    """Each check has a test above that makes it find something."""
    source = __import__("pathlib").Path(__file__).read_text()
    assert [check.name for check in CHECKS if f'"{check.name}"' not in source] == []
