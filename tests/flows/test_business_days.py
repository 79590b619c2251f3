"""Business days as Prefect runs them: each country's own date and its own run, holidays at rest, a late start within the law."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.objects import FlowRun
from prefect.flow_engine import run_flow
from prefect.states import Scheduled
from sqlalchemy import text

from config.settings import settings
from flows.dispatch import dispatch
from flows.early import early
from flows.late import late
from flows.pause import pause, resume
from ledger.engine import connection
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sandbox_process import Sandbox

PEACE_MEMORIAL_DAY = date(2026, 2, 28)
# 17:30 on the second in UTC: half past one on the third in Taipei, before noon on the second in Mexico City.
DUE = datetime(2026, 3, 2, 17, 30, tzinfo=UTC)


pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture
def provider(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A provider that takes messages."""
    for name, value in {
        "TWILIO_BASE_URL": sandbox.url,
        "TWILIO_ACCOUNT_SID": sandbox.account_sid,
        "TWILIO_AUTH_TOKEN": sandbox.auth_token,
    }.items():
        monkeypatch.setenv(f"TIDEOVER_{name}", value)
    settings.cache_clear()
    return sandbox


def rows(statement: str) -> list[tuple[Any, ...]]:
    with connection() as tx:
        return [tuple(row) for row in tx.execute(text(statement))]


def run_due(at: datetime, **parameters: Any) -> FlowRun:
    """A run that the scheduler asked for at that instant and a worker starts only now."""
    with get_client(sync_client=True) as client:
        asked = client.create_flow_run(early, parameters=parameters, state=Scheduled(scheduled_time=at))
    run_flow(early, flow_run=asked, parameters=parameters, return_type="state")
    with get_client(sync_client=True) as client:
        return client.read_flow_run(asked.id)


@pytest.mark.usefixtures("ledger_url")
@pytest.mark.parametrize(("country", "day"), [("TW", date(2026, 3, 3)), ("MX", date(2026, 3, 2)), (None, date(2026, 3, 3))])
def test_a_run_treats_the_date_on_which_it_was_due_by_the_countrys_clock(country: str | None, day: date) -> None:
    ended = run_due(DUE, country=country)
    assert ended.state is not None
    assert ended.state.is_completed(), ended.state.message
    assert rows("SELECT stage, business_date, scope FROM campaign_run") == [("early", day, country or "all")]
    assert ended.name == f"early {country} {day}" if country else f"early {day}"


@pytest.mark.usefixtures("ledger_url")
def test_a_country_whose_clock_nobody_named_is_no_guess() -> None:
    ended = run_due(DUE, country="RU")
    assert ended.state is not None
    assert ended.state.is_failed()
    assert "business_clocks" in str(ended.state.message)
    assert rows("SELECT 1 FROM campaign_run") == []


def test_two_countries_mornings_are_two_runs_and_one_contact_a_person(portfolio: Portfolio, provider: Sandbox) -> None:
    # Morning in Mexico City, and the same hour of the same date for the creditors of both.
    portfolio.clock(noon("US"))
    provider.step(noon("US").isoformat())
    people = {country: portfolio.borrower(country=country, push=False).party_id for country in ("MX", "US")}
    early(as_of=TODAY, country="MX")
    assert rows("SELECT party_id FROM decision") == [(people["MX"],)]
    early(as_of=TODAY, country="US")
    # And a whole run on top, by mistake: whoever was decided stays decided.
    early(as_of=TODAY)
    assert rows("SELECT r.scope, d.party_id FROM decision d JOIN campaign_run r ON r.id = d.campaign_run_id ORDER BY r.id") == [
        ("MX", people["MX"]),
        ("US", people["US"]),
    ]
    assert rows("SELECT scope, state FROM campaign_run ORDER BY id") == [("MX", "closed"), ("US", "closed"), ("all", "closed")]
    (contacted,) = rows("SELECT count(*), count(DISTINCT party_id) FROM attempt WHERE submitted_at IS NOT NULL")
    assert contacted[0] == contacted[1]


@pytest.mark.parametrize("country", ["TW", None])
def test_a_holiday_ends_completed_with_a_note_and_nobody_is_contacted(portfolio: Portfolio, country: str | None) -> None:
    portfolio.clock(noon("TW", PEACE_MEMORIAL_DAY))
    portfolio.creditor("TW")
    state = early(as_of=PEACE_MEMORIAL_DAY, country=country, return_state=True)
    assert (state.type, state.name) == ("COMPLETED", "Holiday")
    assert state.message == "holiday: Peace Memorial Day (TW); nobody is contacted"
    assert rows("SELECT 1 FROM campaign_run") == []
    key = f"early{'-tw' if country else ''}-2026-02-28-holiday"
    with get_client(sync_client=True) as client:
        (artifact,) = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])))
    assert "Peace Memorial Day" in str(artifact.data)


def test_a_holiday_of_one_of_several_countries_lets_all_rest_and_names_who_works(portfolio: Portfolio) -> None:
    portfolio.clock(noon("TW", PEACE_MEMORIAL_DAY))
    for country in ("TW", "US"):
        portfolio.creditor(country)
    state = early(as_of=PEACE_MEMORIAL_DAY, return_state=True)
    assert "No holiday in US: run the stage there with `country`" in str(state.message)
    assert early(as_of=PEACE_MEMORIAL_DAY, country="US", return_state=True).name == "Completed"


def test_a_late_start_sends_what_is_lawful_now_and_the_rest_is_left_in_peace(portfolio: Portfolio, provider: Sandbox) -> None:
    """Due in the morning, started at half past nine in the evening in New York: half past six in Los Angeles."""
    at = noon("US") + timedelta(hours=9, minutes=30)
    portfolio.clock(at)
    provider.step(at.isoformat())
    portfolio.borrower(push=False)
    west = portfolio.borrower(push=False, region="WA", zones=["America/Los_Angeles"], known_zone="America/Los_Angeles")
    early(as_of=TODAY)
    assert rows("SELECT party_id FROM attempt WHERE submitted_at IS NOT NULL") == [(west.party_id,)]
    assert rows("SELECT count(*) FROM attempt WHERE state = 'planned'") == [(0,)]


def test_an_early_start_waits_for_its_hour_within_its_own_day(portfolio: Portfolio, provider: Sandbox) -> None:
    at = noon("US") - timedelta(hours=5)
    portfolio.clock(at)
    provider.step(at.isoformat())
    portfolio.borrower(push=False)
    early(as_of=TODAY)
    ((state, send_after, expires_at),) = rows("SELECT state, send_after, expires_at FROM attempt")
    assert state == "planned"
    assert at < send_after < expires_at <= noon("US") + timedelta(hours=12)


@pytest.mark.usefixtures("ledger_url")
def test_runs_are_named_by_their_minute_and_by_what_they_stop() -> None:
    pause(because="a wrong amount went out", by="anna", stage="early", channel="sms")
    resume(by="ben")
    dispatch()
    with get_client(sync_client=True) as client:
        names = [run.name for run in client.read_flow_runs()]
    for what in ("pause early sms", "resume all", "dispatch"):
        assert any(re.fullmatch(rf"{what} \d{{4}}-\d\d-\d\d \d\d:\d\d", name) for name in names), names
    assert not any("anna" in name or "amount" in name for name in names)


def test_a_run_that_starts_on_the_next_day_keeps_its_own_and_contacts_nobody(portfolio: Portfolio, provider: Sandbox) -> None:
    at = noon("US", TODAY + timedelta(days=1))
    portfolio.clock(at)
    provider.step(at.isoformat())
    portfolio.borrower(push=False)
    portfolio.borrower(push=False, days_past_due=75)
    for stage in (early, late):
        stage(as_of=TODAY)
    assert rows("SELECT DISTINCT business_date, action FROM decision") == [(TODAY, "no_contact")]
    assert rows("SELECT 1 FROM attempt") == []
