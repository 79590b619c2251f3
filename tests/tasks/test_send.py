"""The send step: retried only where running it again can help, and it speaks in counts."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import State, StateType, TaskRun
from prefect.logging import disable_run_logger
from sqlalchemy.exc import IntegrityError, OperationalError

from config.settings import settings
from gate.lane import LaneHalted, LaneReport
from tasks.send import RETRIES, in_words, is_temporary, send
from tests.plugins.portfolio import Portfolio, noon
from tests.plugins.sandbox_process import Sandbox
from tests.plugins.sending import Outbox


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (OperationalError("SELECT 1", {}, Exception("server closed the connection")), True),
        (LaneHalted("sms", "ReadTimeout", for_good=False), True),
        (LaneHalted("sms", "20003", for_good=True), False),
        (IntegrityError("INSERT", {}, Exception("duplicate key")), False),
        (LookupError("no campaign run 7"), False),
    ],
)
def test_only_what_passes_by_itself_is_a_reason_to_run_the_lane_again(error: Exception, again: bool) -> None:
    failed: State[object] = State(type=StateType.FAILED, data=error)
    run = TaskRun(task_key="send", dynamic_key="0", flow_run_id=uuid4())
    assert is_temporary(send, run, failed) == again


def test_the_step_keeps_no_result_and_is_retried_by_prefect_alone() -> None:
    assert send.persist_result is False
    assert send.retries == RETRIES
    assert send.retry_condition_fn is is_temporary


def test_the_log_names_counts_and_leaves_out_what_did_not_happen() -> None:
    report = LaneReport()
    assert in_words(report) == "nothing was due"
    report.actions.update({"send": 3, "withhold": 1})
    report.became.update({"accepted": 2, "unknown": 1})
    report.stopped = True
    assert in_words(report) == "gate: send 3, gate: withhold 1, now accepted 2, now unknown 1 (stopped)"


def test_a_shard_goes_out_through_the_providers_own_sdks_to_the_right_phones(
    portfolio: Portfolio, outbox: Outbox, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "TWILIO_BASE_URL": sandbox.url,
        "TWILIO_ACCOUNT_SID": sandbox.account_sid,
        "TWILIO_AUTH_TOKEN": sandbox.auth_token,
        "FCM_BASE_URL": sandbox.url,
        "FCM_TOKEN_URL": f"{sandbox.url}/token",
        "FCM_SERVICE_ACCOUNT_FILE": sandbox.service_account_file,
    }.items():
        monkeypatch.setenv(f"TIDEOVER_{name}", value)
    settings.cache_clear()
    at = noon("US")
    portfolio.clock(at)
    sandbox.step(at.isoformat())
    texted = portfolio.borrower(number="+12125550101")
    notified = portfolio.borrower(number="+12125550102", push_token="token-of-a-phone")  # noqa: S106  # a device's token
    elsewhere = portfolio.borrower(number="+12125550103")
    sandbox.settle(
        [
            {"phone": phone, "push_token": token, "locale": "en", "zone": "America/New_York", "loans": []}
            for phone, token in (("+12125550101", None), ("+12125550102", "token-of-a-phone"), ("+12125550103", None))
        ]
    )
    run = outbox.run()
    outbox.shard(run, 0, texted.party_id, notified.party_id)
    outbox.plan(run, texted)
    outbox.plan(run, notified, channel="push")
    outbox.plan(run, elsewhere)

    with disable_run_logger():
        assert send.fn(0, run) == 2
    sandbox.step((at + timedelta(hours=1)).isoformat())
    assert [message["to"] for message in sandbox.received("sms")] == ["+12125550101"]
    # Whether a phone shows a notification is the town's to say; that it was taken for one device only is ours.
    assert sandbox.summary()["counts"]["push accepted"] == 1
    assert outbox.states() == ["accepted", "accepted", "planned"]
    assert [row.provider for row in outbox.rows("SELECT provider FROM attempt ORDER BY id")] == ["twilio", "fcm", None]
