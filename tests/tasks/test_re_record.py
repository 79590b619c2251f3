"""Re-record: what was learned late stands beside what was recorded; nothing is overwritten, and a closed month stays closed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from prefect.logging import disable_run_logger
from sqlalchemy import text

from config.policies import policies
from config.settings import settings
from gate.lane import run_lane
from ledger.backfills import finish_backfill, read_differences
from ledger.campaigns import open_run
from ledger.engine import connection
from ledger.outbox import wall_clock
from ledger.re_records import recorded_ageing
from tasks.backfill_requests import ReRecord
from tasks.choose import choose
from tasks.pick import pick
from tasks.re_record import foresee_re_record, open_re_record, re_record_date
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.sending import RecordingChannel

YESTERDAY = TODAY - timedelta(days=1)
DUE = 10_500


@pytest.fixture(autouse=True)
def _quietly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TIDEOVER_BUSINESS_ZONE", "America/New_York")
    settings.cache_clear()
    with disable_run_logger():
        yield


def treated(portfolio: Portfolio, on: date) -> None:
    """The date's run of the early stage, decided and sent at noon."""
    portfolio.clock(noon("US", on))
    with connection() as tx:
        tx.execute(text("UPDATE feed SET covers_until = :at"), {"at": noon("US", on) + timedelta(days=1)})
        run = open_run(
            tx, stage="early", business_date=on, preview=False, borrowers_max=None, policies=policies("early"), at=noon("US", on)
        )
    for shard in pick.fn(run):
        choose.fn(shard, run)
    channels = {name: RecordingChannel(name) for name in ("sms", "push")}
    run_lane(run, shard=None, channels={"sms": lambda: channels["sms"], "push": lambda: channels["push"]})


def re_recorded(first: date, last: date | None = None, **choices: Any) -> tuple[dict[date, Any], list[dict[str, Any]]]:
    backfill = open_re_record(ReRecord(what="re-record", first=first, last=last or first, **choices))
    counts = {day: dict(re_record_date(backfill, day)) for day in backfill.dates}
    with connection() as tx:
        finish_backfill(tx, backfill.id, at=noon("US"))
        return counts, read_differences(tx, backfill.id)


def now_known() -> datetime:
    with connection() as tx:
        return wall_clock(tx)


def aging_rows() -> list[Any]:
    with connection() as tx:
        return [tuple(row) for row in tx.execute(text("SELECT * FROM loan_aging ORDER BY business_date, loan_id"))]


def of(differences: list[dict[str, Any]], what: str) -> list[tuple[int, Any, Any]]:
    return [(row["subject_id"], row["before"], row["after"]) for row in differences if row["what"] == what]


def two(portfolio: Portfolio) -> tuple[BorrowerIds, BorrowerIds]:
    return portfolio.borrower(days_past_due=5), portfolio.borrower(days_past_due=6)


def test_a_payment_that_came_late_re_ages_its_days_and_overwrites_nothing(portfolio: Portfolio) -> None:
    paid, late = two(portfolio)
    treated(portfolio, YESTERDAY)
    treated(portfolio, TODAY)
    rows = aging_rows()
    portfolio.payment(paid.loan_id, DUE, paid_on=YESTERDAY - timedelta(days=1))
    counts, differences = re_recorded(YESTERDAY, TODAY)
    assert [counts[day]["loans"] for day in (YESTERDAY, TODAY)] == [1, 1]
    assert [counts[day]["late"] for day in (YESTERDAY, TODAY)] == [[2, 1], [2, 1]]
    assert counts[TODAY]["past_due_change_minor"] == {"USD": -DUE}
    assert counts[TODAY]["buckets"] == {"M1": [2, 1]}
    ((loan, before, after), _) = of(differences, "ageing")
    assert (loan, before["past_due_minor"], before["days_past_due"], after) == (paid.loan_id, DUE, 4, None)
    assert aging_rows() == rows
    # For the next one it is recorded: it finds nothing, and the other loan stands as it stood.
    again, nothing = re_recorded(YESTERDAY, TODAY)
    assert (nothing, again[TODAY]["loans"], again[TODAY]["late"]) == ([], 0, [1, 1])
    with connection() as tx:
        assert recorded_ageing(tx, TODAY)["loan_id"].to_list() == [late.loan_id]


def test_a_correction_of_a_correction_is_a_further_row(portfolio: Portfolio) -> None:
    paid, _ = two(portfolio)
    treated(portfolio, TODAY)
    name = portfolio.payment(paid.loan_id, DUE, paid_on=YESTERDAY)
    re_recorded(TODAY)
    portfolio.payment(paid.loan_id, -DUE, paid_on=YESTERDAY, reverses=name)
    _, differences = re_recorded(TODAY)
    ((loan, before, after),) = of(differences, "ageing")
    assert (loan, before, after["past_due_minor"]) == (paid.loan_id, None, DUE)
    with connection() as tx:
        assert tx.execute(text("SELECT count(*) FROM backfill_difference WHERE what = 'ageing'")).scalar_one() == 2


def test_whoever_was_late_the_day_before_and_is_not_any_more_is_counted_as_recorded_and_as_known(portfolio: Portfolio) -> None:
    paid, _ = two(portfolio)
    treated(portfolio, YESTERDAY)
    treated(portfolio, TODAY)
    portfolio.payment(paid.loan_id, DUE, paid_on=TODAY)
    counts, _ = re_recorded(YESTERDAY, TODAY)
    assert counts[YESTERDAY]["late"] == [2, 2]
    assert counts[TODAY]["no_longer_late"] == [0, 1]


def test_a_contact_about_nothing_is_named_but_not_one_that_was_paid_the_same_day(portfolio: Portfolio) -> None:
    paid_before, paid_after = two(portfolio)
    treated(portfolio, TODAY)
    portfolio.payment(paid_before.loan_id, DUE, paid_on=YESTERDAY)
    portfolio.payment(paid_after.loan_id, DUE, paid_on=TODAY)
    counts, differences = re_recorded(TODAY)
    assert counts[TODAY]["needless_contacts"] == 1
    with connection() as tx:
        attempt = tx.execute(text("SELECT id FROM attempt WHERE party_id = :who"), {"who": paid_before.party_id}).scalar_one()
    assert of(differences, "contact") == [(attempt, {"past_due_minor": DUE}, {"past_due_minor": 0})]


def test_in_a_closed_month_a_difference_is_an_adjustment_of_today(portfolio: Portfolio) -> None:
    paid, _ = two(portfolio)
    treated(portfolio, TODAY)
    later = date(2026, 4, 20)
    portfolio.clock(noon("US", later))
    portfolio.payment(paid.loan_id, DUE, paid_on=YESTERDAY)
    counts, differences = re_recorded(TODAY)
    assert {(row["business_date"], row["booked_on"]) for row in differences} == {(TODAY, later)}
    assert counts[TODAY]["adjustments"] == len(differences) > 0


def test_in_an_open_month_it_counts_on_its_own_date(portfolio: Portfolio) -> None:
    paid, _ = two(portfolio)
    treated(portfolio, TODAY)
    portfolio.clock(noon("US", date(2026, 4, 4)))
    portfolio.payment(paid.loan_id, DUE, paid_on=YESTERDAY)
    counts, differences = re_recorded(TODAY)
    assert {row["booked_on"] for row in differences} == {TODAY}
    assert counts[TODAY]["adjustments"] == 0


def test_a_delivery_that_became_known_late_and_a_payment_within_seven_days_are_listed(portfolio: Portfolio) -> None:
    paid, _ = two(portfolio)
    treated(portfolio, TODAY)
    before = now_known()
    portfolio.clock(noon("US", TODAY + timedelta(days=9)))
    portfolio.payment(paid.loan_id, 4_000, paid_on=TODAY + timedelta(days=3))
    portfolio.payment(paid.loan_id, 1_000, paid_on=TODAY + timedelta(days=8))
    with connection() as tx:
        attempt = tx.execute(text("SELECT id FROM attempt WHERE party_id = :who"), {"who": paid.party_id}).scalar_one()
        tx.execute(
            text("""INSERT INTO attempt_transition (business_date, attempt_id, from_state, to_state, cause, at)
                    VALUES (:on, :id, 'accepted', 'delivered', 'provider', :at)"""),
            {"on": TODAY, "id": attempt, "at": noon("US")},
        )
    counts, differences = re_recorded(TODAY, known_until=before)
    assert (counts[TODAY]["attempts"], counts[TODAY]["outcomes"]) == (1, 1)
    assert of(differences, "attempt") == [(attempt, {"state": "accepted"}, {"state": "delivered"})]
    ((_, was, now),) = of(differences, "outcome")
    assert (was["paid_within_7_days_minor"], now["paid_within_7_days_minor"]) == (0, 4_000)
    # Thirty days are not over: nothing is said of them.
    assert now["paid_within_30_days_minor"] is None
    # Known now, it is no news to the next one, whatever it is asked to compare with.
    _, again = re_recorded(TODAY, known_until=before)
    assert again == []


def test_a_promise_that_was_called_broken_is_kept_once_the_payment_is_known(portfolio: Portfolio) -> None:
    who, _ = two(portfolio)
    treated(portfolio, TODAY)
    with connection() as tx:
        for state, at in (("open", noon("US")), ("broken", noon("US", TODAY + timedelta(days=6)))):
            tx.execute(text("UPDATE promise SET superseded_at = clock_timestamp() WHERE superseded_at IS NULL"))
            tx.execute(
                text("""INSERT INTO promise (effective_at, source, party_id, loan_id, due_on, amount_minor, currency, state)
                        VALUES (:at, 'test', :who, :loan, :due, 5000, 'USD', :state)"""),
                {"at": at, "who": who.party_id, "loan": who.loan_id, "due": TODAY, "state": state},
            )
        promise = tx.execute(text("SELECT min(id) FROM promise")).scalar_one()
    portfolio.clock(noon("US", TODAY + timedelta(days=60)))
    portfolio.payment(who.loan_id, 5_000, paid_on=TODAY)
    asked = ReRecord(what="re-record", first=TODAY, last=TODAY)
    assert foresee_re_record(asked)[TODAY]["promises"] == {"kept": 1}
    counts, differences = re_recorded(TODAY)
    assert counts[TODAY]["promises"] == {"kept": 1}
    ((subject, before, after),) = of(differences, "promise")
    assert (subject, before["state"], after["state"]) == (promise, "broken", "kept")
    with connection() as tx:
        states = tx.execute(text("SELECT state FROM promise ORDER BY id")).scalars().all()
    assert states == ["open", "broken", "kept"]


def test_a_date_that_was_never_aged_has_nothing_to_differ_from(portfolio: Portfolio) -> None:
    two(portfolio)
    portfolio.clock(noon("US"))
    counts, differences = re_recorded(YESTERDAY)
    assert (counts[YESTERDAY]["never_aged"], differences) == (1, [])


def test_one_that_knows_less_than_a_later_one_changes_nothing(portfolio: Portfolio) -> None:
    paid, _ = two(portfolio)
    treated(portfolio, TODAY)
    early = open_re_record(ReRecord(what="re-record", first=YESTERDAY, last=TODAY))
    portfolio.payment(paid.loan_id, DUE, paid_on=YESTERDAY)
    re_recorded(TODAY)
    assert re_record_date(early, TODAY)["known_better"] == 1
    with connection() as tx:
        assert read_differences(tx, early.id) == []


def test_the_dry_run_counts_the_same_and_writes_nothing(portfolio: Portfolio) -> None:
    paid, _ = two(portfolio)
    treated(portfolio, TODAY)
    portfolio.payment(paid.loan_id, DUE, paid_on=YESTERDAY)
    foreseen = foresee_re_record(ReRecord(what="re-record", first=TODAY, last=TODAY))
    with connection() as tx:
        assert tx.execute(text("SELECT count(*) FROM backfill_step")).scalar_one() == 0
    counts, _ = re_recorded(TODAY)
    assert foreseen[TODAY] == counts[TODAY]
