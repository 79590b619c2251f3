"""The flows as Prefect runs them: each stage decides for its own people, two of them on one day make one contact, a halt is told."""

from __future__ import annotations

from time import sleep
from typing import Any, Final

import pytest
from prefect.client.orchestration import get_client
from sqlalchemy import text

from config.settings import settings
from decisions.strategy import STAGE_ORDER
from flows.dispatch import dispatch
from flows.early import early
from flows.late import late
from flows.mid import mid
from flows.pre_due import pre_due
from flows.recovery import recovery
from ledger.engine import connection
from tasks.dispatch import LanesUnfinished
from tasks.send import HALTED_EVENT
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sandbox_process import Sandbox
from tests.plugins.sending import Outbox

SECONDS_FOR_EVENTS: Final = 20


@pytest.mark.usefixtures("prefect_server")
def test_I5_five_stages_on_one_day_each_treat_their_own_and_nobody_is_contacted_twice(
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
    people = {
        stage: portfolio.borrower(days_past_due=days, push=False) for stage, days in zip(STAGE_ORDER, (-1, 20, 45, 75, 120), strict=True)
    }

    pre_due(as_of=TODAY)
    # Meanwhile an import shows that whoever was reminded has another loan, long late.
    portfolio.loan(people["pre_due"].party_id, days_past_due=75)
    for flow, ladder in ((early, None), (mid, "every-channel"), (late, None), (recovery, "every-channel")):
        flow(as_of=TODAY, strategy=ladder)

    with connection() as tx:
        contacted = tx.execute(text("SELECT stage, party_id FROM attempt WHERE submitted_at IS NOT NULL ORDER BY id")).all()
        named = {
            row.stage: row.name
            for row in tx.execute(
                text("SELECT stage, name FROM campaign_run, jsonb_object_keys(policy_hashes) name WHERE name LIKE 'strategy/%'")
            )
        }
        decided = {row.stage: row.people for row in tx.execute(text("SELECT stage, count(*) AS people FROM decision GROUP BY stage"))}
    assert [tuple(row) for row in contacted] == [(stage, who.party_id) for stage, who in people.items()]
    other = {"mid", "recovery"}
    assert named == {stage: f"strategy/{'every-channel' if stage in other else 'static-ladder'}/{stage}" for stage in STAGE_ORDER}
    assert decided == {"pre_due": 1, "early": 1, "mid": 1, "late": 2, "recovery": 1}
    assert sum(sandbox.summary()["messages"].values()) == len(STAGE_ORDER)
    with get_client(sync_client=True) as client:
        names = {run.name for run in client.read_flow_runs()}
    assert names == {f"{stage.replace('_', '-')} {TODAY}" for stage in STAGE_ORDER}


@pytest.mark.usefixtures("prefect_server")
def test_a_halted_account_is_an_event_and_a_line_that_says_what_to_do(
    portfolio: Portfolio, outbox: Outbox, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "TWILIO_BASE_URL": sandbox.url,
        "TWILIO_ACCOUNT_SID": sandbox.account_sid,
        "TWILIO_AUTH_TOKEN": "another",
    }.items():
        monkeypatch.setenv(f"TIDEOVER_{name}", value)
    settings.cache_clear()
    portfolio.clock(noon("US"))
    run = outbox.run()
    outbox.plan(run, portfolio.borrower(push=False))

    with pytest.raises(LanesUnfinished, match="1 of 1"):
        dispatch()

    assert outbox.states() == ["rejected"]
    with get_client(sync_client=True) as client:
        (halted,) = _stored(client, "/events/filter", {"filter": {"event": {"name": [HALTED_EVENT]}}})["events"]
        told = " ".join(line["message"] for line in _stored(client, "/logs/filter", {"logs": {"level": {"ge_": 40}}}))
    assert halted["resource"]["prefect.resource.id"] == "tideover.channel.sms"
    assert halted["payload"] == {"campaign_run_id": run, "shard": None, "code": "20003", "for_good": True}
    assert "tideover resume" in told


def _stored(client: Any, path: str, asked: dict[str, Any]) -> Any:
    """What Prefect's server has of it; it stores events and logs a moment after they were told."""
    for _ in range(SECONDS_FOR_EVENTS):
        found = client.request("POST", path, json=asked).json()
        if found and (not isinstance(found, dict) or found["total"]):
            return found
        sleep(1)
    return found
