"""Catch up: missed days are recorded as missed, and nothing that was due then goes out later."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from prefect.logging import disable_run_logger
from sqlalchemy import text

from config.policies import policies
from config.settings import settings
from gate.lane import run_lane
from ledger.backfills import Backfill, finish_backfill
from ledger.campaigns import RunRefused, open_run
from ledger.engine import connection
from ledger.policies import last_in_force
from tasks.backfill_requests import CatchUp
from tasks.catch_up import catch_up_date, foresee, open_catch_up, take_back
from tasks.choose import choose
from tasks.pick import pick
from tasks.re_decide import BackfillRefused
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel

# A Sunday lies between.
SATURDAY, SUNDAY, YESTERDAY = (TODAY - timedelta(days=days) for days in (3, 2, 1))


@pytest.fixture(autouse=True)
def _quietly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TIDEOVER_BUSINESS_ZONE", "America/New_York")
    settings.cache_clear()
    with disable_run_logger():
        yield


def asked(first: date = SATURDAY, last: date = YESTERDAY, **choices: Any) -> CatchUp:
    return CatchUp(what="catch-up", first=first, last=last, **{"stages": ("early",), **choices})


def caught_up(request: CatchUp) -> tuple[Backfill, dict[date, Any]]:
    backfill = open_catch_up(request)
    counts = {day: catch_up_date(backfill, day) for day in backfill.dates}
    take_back(backfill)
    with connection() as tx:
        finish_backfill(tx, backfill.id, at=noon("US"))
    return backfill, counts


def opened(portfolio: Portfolio, on: date, *, stage: str = "early", preview: bool = False) -> int:
    portfolio.clock(noon("US", on))
    with connection() as tx:
        return open_run(tx, stage=stage, business_date=on, preview=preview, borrowers_max=None, policies=policies(stage), at=noon("US", on))


def runs() -> list[tuple[date, str, date | None]]:
    with connection() as tx:
        return [tuple(row) for row in tx.execute(text("SELECT business_date, state, caught_up_on FROM campaign_run ORDER BY 1"))]


def test_a_missed_day_gets_its_ageing_and_a_run_that_says_so_and_takes_nothing_up(portfolio: Portfolio) -> None:
    portfolio.borrower(days_past_due=5)
    portfolio.clock(noon("US"))
    _, counts = caught_up(asked())
    assert counts == {SATURDAY: {"early": "missed"}, SUNDAY: {"early": "day of rest"}, YESTERDAY: {"early": "missed"}}
    assert runs() == [(SATURDAY, "closed", TODAY), (YESTERDAY, "closed", TODAY)]
    with connection() as tx:
        aged = tx.execute(text("SELECT business_date, days_past_due FROM loan_aging ORDER BY 1")).all()
        assert [tuple(row) for row in aged] == [(SATURDAY, 2), (YESTERDAY, 4)]
        assert tx.execute(text("SELECT count(*) FROM attempt")).scalar_one() == 0
        # The last good law is still known by it.
        assert last_in_force(tx)
    with connection() as tx, pytest.raises(RunRefused, match=f"was missed, caught up on {TODAY.isoformat()}"):
        open_run(tx, stage="early", business_date=YESTERDAY, preview=False, borrowers_max=None, policies=policies("early"), at=noon("US"))


def test_where_stages_run_on_sundays_too_a_sunday_was_missed(portfolio: Portfolio) -> None:
    portfolio.borrower(days_past_due=5)
    portfolio.clock(noon("US"))
    _, counts = caught_up(asked(sundays=True))
    assert counts[SUNDAY] == {"early": "missed"}


def test_what_a_run_that_broke_off_had_planned_is_taken_back_and_never_sent(portfolio: Portfolio, outbox: Outbox) -> None:
    portfolio.borrower(days_past_due=5)
    run = opened(portfolio, YESTERDAY)
    for shard in pick.fn(run):
        choose.fn(shard, run)
    # The outage: nothing was sent. It is past noon of the same day in the ledger's plan, and still within its window.
    (attempt,) = outbox.rows("SELECT id, expires_at FROM attempt")
    portfolio.clock(noon("US"))
    backfill, counts = caught_up(asked(YESTERDAY, YESTERDAY))
    assert counts == {YESTERDAY: {"early": "broke off"}}
    assert runs() == [(YESTERDAY, "closed", TODAY)]
    assert outbox.states() == ["superseded"]
    assert outbox.causes(attempt.id)[-1][2] == "its day was missed, and caught up with"
    channel = RecordingChannel()
    run_lane(run, shard=None, channels={"sms": lambda: channel, "push": lambda: channel})
    assert channel.sent == []
    # Taking back again finds what was taken back.
    assert take_back(backfill) == 1


@pytest.mark.parametrize("how", ["whole", "preview", "rejected", "approval awaiting", "approval lapsed", "canary stopped"])
def test_what_was_no_outage_is_left_alone(portfolio: Portfolio, how: str) -> None:
    portfolio.borrower(days_past_due=5)
    run = opened(portfolio, YESTERDAY, preview=how == "preview")
    for shard in pick.fn(run):
        choose.fn(shard, run)
    with connection() as tx:
        if how == "rejected":
            tx.execute(text("UPDATE campaign_run SET state = 'rejected'"))
        if how.startswith("approval"):
            tx.execute(
                text("UPDATE campaign_run SET approval = :now, approval_subject = 'x', approval_until = clock_timestamp()"),
                {"now": how.removeprefix("approval ")},
            )
        if how.startswith("canary"):
            tx.execute(text("UPDATE campaign_run SET canary = 'stopped'"))
        if how == "whole":
            tx.execute(text("UPDATE attempt SET state = 'expired'"))
    before = runs()
    portfolio.clock(noon("US"))
    _, counts = caught_up(asked(YESTERDAY, YESTERDAY))
    assert counts == {YESTERDAY: {"early": {"whole": "ran"}.get(how, how)}}
    assert runs() == before


def test_started_again_it_goes_on_where_it_was(portfolio: Portfolio) -> None:
    portfolio.borrower(days_past_due=5)
    portfolio.clock(noon("US"))
    first = open_catch_up(asked())
    catch_up_date(first, SATURDAY)
    again = open_catch_up(asked())
    assert (again.id, again.left) == (first.id, [SUNDAY, YESTERDAY])
    _, counts = caught_up(asked())
    assert counts[SATURDAY] == {"early": "missed"}
    # Finished, it is another one, which finds that all was caught up with.
    _, counts = caught_up(asked())
    assert counts[SATURDAY] == {"early": "caught up before"}


def test_the_dry_run_says_what_was_missed_and_what_would_be_sent_today_and_writes_nothing(portfolio: Portfolio) -> None:
    portfolio.borrower(days_past_due=5)
    portfolio.clock(noon("US"))
    told = foresee(asked(stages=("early", "mid")))
    assert told["missed"][YESTERDAY.isoformat()] == {"early": "missed", "mid": "missed"}
    assert told["missed"][SUNDAY.isoformat()]["early"] == "day of rest"
    assert told["today"] == {
        "early": {"was": "not run yet", "would_contact": {"sms": 1}},
        "mid": {"was": "not run yet", "would_contact": {}},
    }
    assert runs() == []
    with connection() as tx:
        counts = [tx.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() for table in ("backfill", "decision", "loan_aging")]  # noqa: S608  # words of this file
    assert counts == [0, 0, 0]


def test_today_is_not_missed_and_runs_of_countries_are_caught_up_with_by_country(portfolio: Portfolio, outbox: Outbox) -> None:
    portfolio.borrower(country="TW")
    portfolio.clock(noon("TW"))
    with pytest.raises(BackfillRefused, match="is not over"):
        open_catch_up(asked(YESTERDAY, TODAY))
    outbox.run(business_date=SATURDAY, scope="TW", state="closed")
    # Of what treats no stage, no part has runs of its own.
    outbox.run(business_date=SATURDAY, stage="correction", scope="incident-7", state="closed")
    with pytest.raises(BackfillRefused, match="runs for TW, not for all: name one with `country`"):
        open_catch_up(asked())
    _, counts = caught_up(asked(country="TW"))
    assert counts[YESTERDAY] == {"early": "missed"}
    with connection() as tx:
        assert tx.execute(text("SELECT scope FROM campaign_run WHERE business_date = :on"), {"on": YESTERDAY}).scalars().all() == ["TW"]
