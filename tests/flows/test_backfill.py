"""The backfill as Prefect shows and runs it: one form with three choices; dates that are done are not done again; nobody is contacted twice."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from prefect import State
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.logging import disable_run_logger
from sqlalchemy import text

from config.audit_limits import audit_limits
from config.settings import settings
from flows.backfill import StagesUnfinished, backfill
from flows.early import early
from ledger.audit import find_violations
from ledger.engine import connection
from tasks.backfill import open_request
from tasks.backfill_requests import CatchUp, ReDecide, Request, ReRecord
from tasks.re_decide import BackfillRefused, re_decide_date
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.sandbox_process import Sandbox

HOUSE = Path(__file__).parent.parent.parent
YESTERDAY = TODAY - timedelta(days=1)
BEFORE = TODAY - timedelta(days=4)


@pytest.fixture
def town(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Providers to send through, and a zone."""
    for name, value in {
        "TWILIO_BASE_URL": sandbox.url,
        "TWILIO_ACCOUNT_SID": sandbox.account_sid,
        "TWILIO_AUTH_TOKEN": sandbox.auth_token,
        "BUSINESS_ZONE": "America/New_York",
    }.items():
        monkeypatch.setenv(f"TIDEOVER_{name}", value)
    settings.cache_clear()
    return sandbox


def schema() -> dict[str, Any]:
    return backfill.parameters.model_dump()


def test_the_form_offers_three_choices_each_with_its_own_help_and_bounds() -> None:
    found = schema()
    assert found["required"] == ["request"]
    choices = [found["definitions"][one["$ref"].rsplit("/", 1)[1]] for one in found["properties"]["request"]["anyOf"]]
    assert [one["title"].partition(":")[0] for one in choices] == ["Re-decide", "Catch up", "Re-record"]
    for one in choices:
        assert one["description"]
        assert [
            name for name, field in one["properties"].items() if name != "what" and not (field.get("description") and field["title"])
        ] == []
        positions = {name: field["position"] for name, field in one["properties"].items()}
        assert sorted(positions, key=positions.__getitem__)[:2] == ["first", "last"]
        # Filled in by the form, and asked for by whoever reads the request.
        assert "what" in one["required"]
        assert one["properties"]["what"]["default"] == one["properties"]["what"]["const"]
    re_decide, catch_up, _ = choices
    assert re_decide["properties"]["policies"]["enum"] == ["as in the files now", "then in force"]
    assert re_decide["properties"]["stages"]["items"]["enum"] == ["pre_due", "early", "mid", "late", "recovery"]
    # Whoever only fills in the dates sends nothing.
    assert catch_up["properties"]["dry_run"]["default"] is True


@pytest.mark.parametrize(
    ("request_", "is_one"),
    [
        ({"what": "re-decide", "first": "2026-03-01", "last": "2026-03-02"}, True),
        ({"what": "catch-up", "first": "2026-03-01", "last": "2026-03-02", "country": "TW", "dry_run": False}, True),
        ({"what": "re-record", "first": "2026-03-01", "last": "2026-03-02"}, True),
        ({"first": "2026-03-01", "last": "2026-03-02"}, False),
        ({"what": "re-decide", "first": "2026-03-01", "last": "2026-03-02", "country": "TW"}, False),
        ({"what": "re-decide", "first": "2026-03-01", "last": "2026-03-02", "stages": []}, False),
    ],
)
def test_prefects_own_check_of_parameters_tells_the_three_apart(request_: dict[str, Any], *, is_one: bool) -> None:
    assert Draft202012Validator(schema()).is_valid({"request": request_}) is is_one


@pytest.mark.parametrize(
    ("dates", "says"),
    [(("2026-03-02", "2026-03-01"), "lies before"), (("2025-01-01", "2026-03-01"), "more than 400 dates")],
)
def test_dates_that_are_no_range_or_too_many_are_refused(dates: tuple[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ReDecide.model_validate({"what": "re-decide", "first": dates[0], "last": dates[1]})


def test_it_is_deployed_on_a_queue_of_its_own_one_at_a_time() -> None:
    deployments = yaml.safe_load((HOUSE / "prefect.yaml").read_text())["deployments"]
    (deployment,) = (one for one in deployments if one["entrypoint"] == "flows.backfill.backfill")
    assert deployment["work_pool"] == {"name": "tideover", "work_queue_name": "backfill"}
    assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}
    assert "schedules" not in deployment


def artifacts(ended: State[Any]) -> dict[str, Any]:
    """What a run shows, by key."""
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[ended.state_details.flow_run_id]))
        )
    return {one.key: one for one in found if one.key}


def sent(who: BorrowerIds) -> list[Any]:
    with connection() as tx:
        return list(
            tx.execute(
                text("SELECT business_date FROM attempt WHERE party_id = :who AND submitted_at IS NOT NULL ORDER BY 1"),
                {"who": who.party_id},
            ).scalars()
        )


@pytest.mark.usefixtures("prefect_server")
def test_caught_up_each_person_gets_at_most_one_contact_and_it_is_todays(portfolio: Portfolio, town: Sandbox) -> None:
    portfolio.clock(noon("US"))
    town.step(noon("US").isoformat())
    who, paid = (portfolio.borrower(days_past_due=5, push=False) for _ in range(2))
    early(as_of=TODAY)
    assert (sent(who), sent(paid)) == ([TODAY], [TODAY])
    # An outage from Wednesday until Monday. Meanwhile one has paid.
    monday, wednesday, sunday = (TODAY + timedelta(days=days) for days in (6, 1, 5))
    portfolio.clock(noon("US", monday))
    town.step(noon("US", monday).isoformat())
    portfolio.payment(paid.loan_id, 10_500, paid_on=wednesday)
    with connection() as tx:
        tx.execute(text("UPDATE feed SET covers_until = :at"), {"at": noon("US", monday)})

    asked: Request = CatchUp(what="catch-up", first=TODAY, last=sunday, stages=("pre_due", "early"), dry_run=True)
    foreseen: Any = backfill(asked, return_state=True)
    assert (foreseen.name, foreseen.is_completed()) == ("DryRun", True)
    assert sent(who) == [TODAY]
    rows = json.loads(artifacts(foreseen)["backfill-dry-run"].data)
    assert rows[-1] == {"date": "today", "pre_due": "would contact nobody", "early": "would contact 1 by sms"}

    really = asked.model_copy(update={"dry_run": False})
    told: Any = backfill(really)
    assert told["total"] == {"pre_due": {"missed": 5, "day of rest": 1}, "early": {"ran": 1, "missed": 4, "day of rest": 1}}
    assert (sent(who), sent(paid)) == ([TODAY, monday], [TODAY])
    # Once more, and today's own run: nobody is contacted again.
    backfill(really)
    early(as_of=monday)
    assert (sent(who), sent(paid)) == ([TODAY, monday], [TODAY])
    assert sum(town.summary()["messages"].values()) == 3
    with connection() as tx:
        assert list(find_violations(tx, [], audit_limits(TODAY, monday))) == []
    with get_client(sync_client=True) as client:
        names = [run.name for run in client.read_flow_runs()]
    assert f"catch-up {TODAY} to {sunday}" in names


@pytest.mark.usefixtures("prefect_server", "town")
def test_dates_that_are_done_are_not_done_again_and_all_is_shown_in_counts(portfolio: Portfolio) -> None:
    who = portfolio.borrower(days_past_due=8, number="+12125550100")
    portfolio.clock(noon("US"))
    asked: Request = ReDecide(what="re-decide", first=BEFORE, last=TODAY, stages=("early",))
    with disable_run_logger():
        begun = open_request(asked)
        re_decide_date(begun, BEFORE)
    ended: Any = backfill(asked, return_state=True)
    told = ended.result()
    assert (told["backfill_id"], told["done"], told["left"]) == (begun.id, 5, 0)
    shown = artifacts(ended)
    keys = [key for key in shown if key.startswith(f"backfill-{begun.id}-20")]
    assert sorted(keys) == [f"backfill-{begun.id}-{(BEFORE + timedelta(days=number)).isoformat()}" for number in (1, 2, 3, 4)]
    assert shown[f"backfill-{begun.id}-progress"].data == 100.0
    assert shown[f"backfill-{begun.id}-picture"].data.startswith("data:image/png;base64,")
    page = shown[f"backfill-{begun.id}"].data
    assert "| early | 0 → 5 |" in page
    everything = json.dumps([str(one.data) for one in shown.values()])
    assert not [value for value in ("5550100", "Atall", f"#{who.party_id}") if value in everything]


@pytest.mark.usefixtures("prefect_server", "town")
def test_what_was_learned_late_is_shown_and_a_dry_run_keeps_nothing(portfolio: Portfolio) -> None:
    who = portfolio.borrower(days_past_due=8, push=False)
    portfolio.clock(noon("US"))
    early(as_of=TODAY, preview=True)
    portfolio.payment(who.loan_id, 10_500, paid_on=YESTERDAY)
    asked: Request = ReRecord(what="re-record", first=TODAY, last=TODAY, dry_run=True)
    foreseen: Any = backfill(asked, return_state=True)
    assert foreseen.name == "DryRun"
    rows = {row["what"]: row["recorded → now"] for row in json.loads(artifacts(foreseen)["backfill-dry-run"].data)}
    assert rows["loans late that day"] == "1 → 0"
    told: Any = backfill(asked.model_copy(update={"dry_run": False}))
    assert told["total"]["late"] == [1, 0]
    with connection() as tx:
        assert tx.execute(text("SELECT what, subject_id FROM backfill_difference")).all() == [("ageing", who.loan_id)]


@pytest.mark.usefixtures("prefect_server", "town")
def test_where_people_must_say_yes_first_nothing_is_sent_and_it_says_so(portfolio: Portfolio) -> None:
    who = portfolio.borrower(days_past_due=8, push=False)
    portfolio.clock(noon("US"))
    asked_first: Any = early(as_of=TODAY, approval="required", return_state=True)
    assert asked_first.is_failed()
    with pytest.raises(StagesUnfinished, match="waits for approval"):
        backfill(CatchUp(what="catch-up", first=YESTERDAY, last=YESTERDAY, stages=("early",), dry_run=False))
    assert sent(who) == []
    with connection() as tx:
        assert tx.execute(text("SELECT caught_up_on FROM campaign_run WHERE business_date = :on"), {"on": YESTERDAY}).scalar_one() == TODAY


@pytest.mark.usefixtures("prefect_server", "town")
def test_what_is_refused_fails_the_run_at_once_and_says_why(portfolio: Portfolio) -> None:
    portfolio.clock(noon("US"))
    with pytest.raises(BackfillRefused, match="is not over"):
        backfill(CatchUp(what="catch-up", first=TODAY, last=TODAY, dry_run=False))
