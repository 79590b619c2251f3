"""What operations see, as the Prefect UI gets it: pages, tables and pictures that a browser can show, and not a word about a person."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event
from uuid import UUID

import pytest
from prefect import flow
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.client.schemas.objects import Artifact
from prefect.runtime import flow_run
from prefect.states import Scheduled
from sqlalchemy import text

import tasks.learn
from config.learning import learning_terms
from config.settings import settings
from flows.early import early
from flows.learn import learn
from flows.morning import morning
from flows.report import report
from ledger.aging_facts import age_portfolio
from ledger.campaigns import read_flow_runs
from ledger.engine import connection
from ledger.outbox import wall_clock
from ledger.overview import morning_before
from tasks import progress
from tasks.prefect_kept import kept
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sandbox_process import Sandbox
from tests.plugins.sending import Outbox

NUMBER = "+12125550177"


def artifacts() -> dict[str, Artifact]:
    """The newest artifact of each key."""
    with get_client(sync_client=True) as client:
        return {str(one.key): one for one in sorted(client.read_artifacts(), key=lambda one: str(one.created))}


def of_run(flow_run_id: UUID) -> list[Artifact]:
    """Artifacts of a run, those without a key too."""
    with get_client(sync_client=True) as client:
        wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run_id]))
        return client.read_artifacts(artifact_filter=wanted)


@pytest.mark.usefixtures("prefect_server")
def test_a_run_shows_its_day_and_the_evenings_report_shows_it_again(
    portfolio: Portfolio, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "TWILIO_BASE_URL": sandbox.url,
        "TWILIO_ACCOUNT_SID": sandbox.account_sid,
        "TWILIO_AUTH_TOKEN": sandbox.auth_token,
    }.items():
        monkeypatch.setenv(f"TIDEOVER_{name}", value)
    settings.cache_clear()
    portfolio.clock(noon("US"))
    sandbox.step(noon("US").isoformat())
    portfolio.borrower(days_past_due=10, push=False, number=NUMBER)
    portfolio.borrower(days_past_due=45, push=False)
    age_portfolio(TODAY - timedelta(days=7))

    run = early(as_of=TODAY)
    assert isinstance(run, int)
    shown = artifacts()
    key = f"early-{TODAY}"
    assert {key, f"{key}-funnel", f"{key}-withheld", f"{key}-picture", f"{key}-rolls"} <= set(shown)
    with connection() as tx:
        (run_id,) = read_flow_runs(tx, run)
    assert shown[key].flow_run_id == run_id
    assert str(run_id) in str(shown[key].data)
    for picture in (f"{key}-picture", f"{key}-rolls"):
        kind, _, encoded = str(shown[picture].data).partition(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(encoded, validate=True).startswith(b"\x89PNG\r\n")

    (bar,) = [one for one in of_run(run_id) if one.type == "progress"]
    assert (bar.data, bar.description) == (100.0, "done")

    assert report(day=TODAY) == 1
    again = artifacts()
    assert again[key].id != shown[key].id
    assert "## Roll rates from 2026-03-10 to 2026-03-17" in str(again[f"portfolio-{TODAY}"].data)
    assert [name for name, one in again.items() if NUMBER[2:] in str(one.data) or "Nobody Atall" in str(one.data)] == []


@pytest.mark.usefixtures("prefect_server")
def test_the_morning_page_says_what_prefect_will_start_today(portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch) -> None:
    portfolio.clock(noon("TW"))
    portfolio.borrower(number=NUMBER)
    with connection() as tx:
        soon: datetime = wall_clock(tx) + timedelta(seconds=30)
    # Prefect's clock is the real one: in this zone it is about noon now, and the day does not end meanwhile.
    monkeypatch.setenv("TIDEOVER_BUSINESS_ZONE", f"Etc/GMT{soon.astimezone(UTC).hour - 12:+d}")
    settings.cache_clear()
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow(early)
        deployment = client.create_deployment(flow_id=flow_id, name="daily", paused=True)
        for minute in range(4):
            client.create_flow_run_from_deployment(
                deployment, parameters={"limit": 5, "country": None}, state=Scheduled(scheduled_time=soon + timedelta(seconds=10 * minute))
            )

    to_do = morning()

    shown = artifacts()["morning"]
    told = str(shown.data)
    assert to_do == len([line for line in told.partition("## To know")[0].splitlines() if line.startswith("- **")])
    (row,) = [line for line in told.splitlines() if "early/daily" in line]
    assert "and 1 times more" in row
    assert row.endswith("| limit 5 |")
    assert NUMBER[2:] not in told
    with connection() as tx:
        assert morning_before(tx, TODAY + timedelta(days=1)) is not None

    # What that run looks like from where its time is over: of itself Prefect keeps it for good.
    with get_client(sync_client=True) as client:
        today, then = kept(client, now=soon + timedelta(minutes=10)), kept(client, now=soon + timedelta(days=40))
    assert today.runs >= 1
    assert (today.over, then.over) == (0, today.runs)


@pytest.mark.usefixtures("prefect_server")
def test_long_work_has_one_bar_that_moves_forward_at_most_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[tuple[float, str]] = []

    def creates(percent: float, *, description: str) -> object:
        moved.append((percent, description))
        return create_progress_artifact(percent, description=description)

    def updates(artifact_id: UUID, percent: float, *, description: str) -> object:
        moved.append((percent, description))
        return update_progress_artifact(artifact_id, percent, description=description)

    now = iter([0.0, 0.0, 0.9, 1.0, 1.0, 1.1, 1.1])
    monkeypatch.setattr(progress, "monotonic", lambda: next(now))
    monkeypatch.setattr(progress, "create_progress_artifact", creates)
    monkeypatch.setattr(progress, "update_progress_artifact", updates)

    @flow
    def works() -> UUID:
        # The clock is read twice for each move, once for one that comes too soon.
        progress.tell(10, "first")
        progress.tell(20, "too soon")
        progress.tell(5, "back")
        progress.tell(100, "the end is always shown")
        return UUID(str(flow_run.id))

    run = works()
    assert moved == [(10, "first"), (10, "back"), (100, "the end is always shown")]
    (bar,) = of_run(run)
    assert (bar.type, bar.key, bar.data) == ("progress", None, 100.0)


@pytest.mark.usefixtures("prefect_server")
def test_a_bar_that_cannot_be_shown_stops_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise OSError

    monkeypatch.setattr(progress, "create_progress_artifact", refuses)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LOOKS", 0.01)
    looked = Event()

    def look() -> tuple[float, str]:
        looked.set()
        return 50.0, "half"

    @flow
    def works() -> bool:
        with progress.watched(look):
            return looked.wait(30)

    assert works()
    progress.tell(50, "outside of a run nothing happens")


@pytest.mark.usefixtures("prefect_server")
def test_the_flow_learn_shows_each_model_with_its_curve_or_what_is_missing(
    portfolio: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = replace(learning_terms(), rows_min=20, people_min=20, of_each_min=4, folds=2, rounds=2, rows_a_leaf=2)
    monkeypatch.setattr(tasks.learn, "learning_terms", lambda: terms)
    later = TODAY + timedelta(days=20)
    portfolio.clock(noon("US", later))
    people = [portfolio.borrower(days_past_due=2 + number, consent=(), push=False, number=NUMBER) for number in range(25)]
    for day in (TODAY, TODAY + timedelta(days=8)):
        run = outbox.run(business_date=day)
        for who in people:
            outbox.plan(run, who)
    with connection() as tx:
        tx.execute(text("UPDATE decision SET facts_known_at = now()"))
    for who in people[::2]:
        portfolio.payment(who.loan_id, 3_000, paid_on=TODAY + timedelta(days=2))
        portfolio.payment(who.loan_id, 3_000, paid_on=TODAY + timedelta(days=10))

    found = learn(day=later, kinds=["paid_7d", "plan_kept"])
    assert learn(day=later, kinds=["paid_7d"]) == {"paid_7d": found["paid_7d"]}
    assert "0 rows whose end is known" in found["plan_kept"]
    shown = artifacts()
    assert f"`tideover learn approve {found['paid_7d'][:12]}" in str(shown["model-paid-7d"].data)
    assert str(shown["model-paid-7d-reliability"].data).startswith("data:image/png;base64,")
    assert "no model" in str(shown["model-plan-kept"].data)
    assert "model-plan-kept-reliability" not in shown
    with connection() as tx:
        assert tx.execute(text("SELECT count(*) FROM model_version")).scalar() == 1
