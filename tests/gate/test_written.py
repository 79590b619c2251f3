"""WhatsApp, Messenger and RCS through the gate to the sandbox: free words in the window, a template outside it, nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from channels import codes, registry
from channels.windows import REPLY_WINDOWS
from config.message_files import MESSAGES, message_texts, words_hash
from config.replies import reply_policy_in_force
from config.settings import settings
from decisions.messages import Words
from gate.answers import answer_now
from gate.lane import LaneHalted, LaneReport, run_lane
from gate.reconcile import Reconciled, reconcile
from ledger import inbox
from ledger.engine import connection
from ledger.inbox import Said, Vocabulary
from tests.plugins.portfolio import BorrowerIds, Portfolio, made_up_number, noon
from tests.plugins.sandbox_process import Sandbox
from tests.plugins.sending import Outbox, RecordingChannel
from tests.plugins.sent import Known

NOON = noon("TW")
BEGIN = NOON - timedelta(hours=36)
Go = Callable[[datetime], None]
NUMBER = made_up_number("TW", 42)
PERSON = "5400000000000042"
OURS = {"whatsapp": "+15005550006", "messenger": "100200300400500", "rcs": "lantern_agent"}
CHANNELS = tuple(OURS)
TEMPLATE = "HX" + "1" * 32
SAYS = "{creditor}:您有一筆 {amount} 的款項應於 {due_on} 繳納。繳款或需要更多時間:{link} 回覆 {stop} 可停止接收。"
BODY = "{{1}}:您有一筆 {{2}} 的款項應於 {{3}} 繳納。繳款或需要更多時間:{{4}} 回覆 {{5}} 可停止接收。"
VOCABULARY = Vocabulary(
    state_of=codes.state_of,
    meaning_of=codes.meaning_of_callback,
    intent_of=codes.intent_of,
    replies=reply_policy_in_force(),
    intent_of_button=codes.intent_of_button,
)


@pytest.fixture
def town(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The sandbox as the provider; people out of town have every channel."""
    for name, value in {
        "TWILIO_BASE_URL": sandbox.url,
        "TWILIO_ACCOUNT_SID": sandbox.account_sid,
        "TWILIO_AUTH_TOKEN": sandbox.auth_token,
        "CALL_SECONDS_MAX": "1",
    }.items():
        monkeypatch.setenv(f"TIDEOVER_{name}", value)
    settings.cache_clear()
    sandbox.reset(at=BEGIN.isoformat())
    sandbox.control("POST", "templates", {"templates": [{"sid": TEMPLATE, "body": BODY}]})
    return sandbox


@pytest.fixture
def go(town: Sandbox, portfolio: Portfolio) -> Go:
    """Step both clocks to an instant; they stand a day and a half before noon."""
    portfolio.clock(BEGIN)

    def to(instant: datetime) -> None:
        portfolio.clock(instant)
        town.step(instant.isoformat())

    return to


@pytest.fixture
def people(portfolio: Portfolio) -> dict[str, BorrowerIds]:
    """One borrower whose contact point on each channel stands where the builder plans to."""
    borrower = portfolio.borrower(country="TW", number=NUMBER, consent=("sms", "push", *CHANNELS))
    with connection() as tx:
        for channel, sender in OURS.items():
            given = {"name": channel, "sender": sender}
            tx.execute(
                text("UPDATE creditor SET senders = senders || jsonb_build_object(CAST(:name AS text), CAST(:sender AS text))"), given
            )
    values = {"whatsapp": ("whatsapp", NUMBER), "messenger": ("messenger", PERSON), "rcs": ("mobile", NUMBER)}
    return {
        channel: replace(borrower, push_id=portfolio.contact_point(borrower.party_id, kind, value, country="TW"))
        for channel, (kind, value) in values.items()
    }


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write the early reminder in Chinese for all three channels; with `registered`, as the template that the sandbox knows."""

    def write(*, registered: bool) -> None:
        folder = tmp_path / f"messages-{registered}"
        shutil.copytree(MESSAGES, folder)
        path = folder / "early_reminder" / "zh-Hant.yaml"
        kept = [line for line in path.read_text("utf-8").splitlines() if not line.startswith((*CHANNELS, "registered"))]
        lines = [*kept, *(f'{channel}: "{SAYS}"' for channel in CHANNELS)]
        if registered:
            one = f'{{id: {TEMPLATE}, words: "{words_hash(Words(body=SAYS))}", variables: [creditor, amount, due_on, link, stop]}}'
            lines += ["registered:", *(f"  {channel}: {one}" for channel in CHANNELS)]
        path.write_text("\n".join(lines) + "\n", "utf-8")
        for answer in ("help", "opt_out_confirmation"):
            path = folder / answer / "zh-Hant.yaml"
            kept = [line for line in path.read_text("utf-8").splitlines() if not line.startswith(CHANNELS)]
            said = next(line.removeprefix("sms") for line in kept if line.startswith("sms:"))
            path.write_text("\n".join([*kept, *(f"{channel}{said}" for channel in CHANNELS)]) + "\n", "utf-8")
        texts = message_texts(folder)
        monkeypatch.setattr("gate.answers.message_texts", lambda: texts)
        monkeypatch.setattr("gate.lane.message_texts", lambda: texts)
        monkeypatch.setattr("gate.reconcile.message_texts", lambda: texts)

    return write


def plan(outbox: Outbox, run: int, borrower: BorrowerIds, channel: str, **more: Any) -> int:
    hours = {"send_after": NOON - timedelta(hours=1), "expires_at": NOON + timedelta(hours=5)}
    return outbox.plan(run, borrower, channel=channel, locale="zh-Hant", **{**hours, **more})


def send(run: int, go: Go) -> LaneReport | None:
    """At noon, when everybody may be written to."""
    go(NOON)
    with suppress(LaneHalted):
        return run_lane(run, shard=None, channels=registry.openers())
    return None


def wrote(town: Sandbox, go: Go, channel: str, hours_ago: float, body: str = "你好") -> None:
    """The person writes, before noon: the provider knows it, and so do we, as by its webhook."""
    go(NOON - timedelta(hours=hours_ago))
    person = PERSON if channel == "messenger" else NUMBER
    sender, ours = f"{channel}:{person}", f"{channel}:{OURS[channel]}"
    town.control("POST", "texts", {"from": sender, "to": ours, "text": body})
    fields = {"From": sender, "To": ours, "Body": body}
    sid = f"SM{uuid4().hex}"
    said = Said(provider="twilio", provider_id=sid, kind="inbound", status="received", token=None, error_code=None, fields=fields)
    inbox.receive([said], VOCABULARY)


def arrived(town: Sandbox, channel: str, by: datetime = NOON + timedelta(hours=2)) -> list[str]:
    town.step(by.isoformat())
    return [row["body"] for row in town.received(channel)]


@pytest.mark.parametrize("channel", sorted(REPLY_WINDOWS))
def test_words_that_are_not_registered_do_not_leave_outside_the_window(
    town: Sandbox, go: Go, people: dict[str, BorrowerIds], words: Any, outbox: Outbox, channel: str
) -> None:
    words(registered=False)
    attempt = plan(outbox, run := outbox.run(), people[channel], channel)
    send(run, go)
    row = outbox.attempt(attempt)
    because = "template_not_registered" if channel == "whatsapp" else "window_closed"
    assert (row["state"], row["permit"]["blocked_by"]) == ("withheld", [because])
    assert outbox.events(attempt) == []
    assert arrived(town, channel) == []


@pytest.mark.parametrize("channel", sorted(REPLY_WINDOWS))
@pytest.mark.parametrize("registered", [False, True])
def test_who_wrote_lately_is_answered_in_free_words(
    town: Sandbox, go: Go, people: dict[str, BorrowerIds], words: Any, outbox: Outbox, channel: str, registered: bool
) -> None:
    words(registered=registered)
    wrote(town, go, channel, 20)
    attempt = plan(outbox, run := outbox.run(), people[channel], channel)
    send(run, go)
    row = outbox.attempt(attempt)
    assert row["state"] == "accepted"
    assert "template" not in row["permit"]
    (body,) = arrived(town, channel)
    assert str(row["token"]) in body


def test_who_did_not_write_reads_the_registered_template_and_the_permit_says_so(
    town: Sandbox, go: Go, people: dict[str, BorrowerIds], words: Any, outbox: Outbox
) -> None:
    words(registered=True)
    attempt = plan(outbox, run := outbox.run(), people["whatsapp"], "whatsapp")
    send(run, go)
    row = outbox.attempt(attempt)
    assert (row["state"], row["permit"]["template"]) == ("accepted", TEMPLATE)
    (body,) = arrived(town, "whatsapp")
    assert body.endswith("可停止接收。")
    assert str(row["token"]) in body


def test_no_template_opens_messenger(town: Sandbox, go: Go, people: dict[str, BorrowerIds], words: Any, outbox: Outbox) -> None:
    words(registered=True)
    attempt = plan(outbox, run := outbox.run(), people["messenger"], "messenger")
    send(run, go)
    assert outbox.attempt(attempt)["permit"]["blocked_by"] == ["window_closed"]
    assert arrived(town, "messenger") == []


@pytest.mark.parametrize("registered", [False, True])
def test_rcs_needs_no_window_and_takes_a_template_where_there_is_one(
    town: Sandbox, go: Go, people: dict[str, BorrowerIds], words: Any, outbox: Outbox, registered: bool
) -> None:
    words(registered=registered)
    attempt = plan(outbox, run := outbox.run(), people["rcs"], "rcs")
    send(run, go)
    row = outbox.attempt(attempt)
    assert (row["state"], row["permit"].get("template")) == ("accepted", TEMPLATE if registered else None)
    assert len(arrived(town, "rcs")) == 1
    assert town.received("sms") == []


@pytest.mark.parametrize(("wrote_hours_ago", "ours"), [(23.9, OURS["whatsapp"]), (24.5, OURS["whatsapp"]), (1, "+15005550007")])
def test_a_window_that_is_over_or_anothers_is_none(
    town: Sandbox,
    go: Go,
    people: dict[str, BorrowerIds],
    words: Any,
    outbox: Outbox,
    monkeypatch: pytest.MonkeyPatch,
    wrote_hours_ago: float,
    ours: str,
) -> None:
    words(registered=False)
    monkeypatch.setitem(OURS, "whatsapp", ours)
    wrote(town, go, "whatsapp", wrote_hours_ago)
    attempt = plan(outbox, run := outbox.run(), people["whatsapp"], "whatsapp")
    send(run, go)
    assert outbox.attempt(attempt)["permit"]["blocked_by"] == ["template_not_registered"]


def test_free_words_must_have_arrived_before_the_window_shuts(
    town: Sandbox, go: Go, people: dict[str, BorrowerIds], words: Any, outbox: Outbox
) -> None:
    """It shuts half an hour from now: the provider may not deliver later, though the attempt itself has hours left."""
    words(registered=False)
    hours_left = 0.5
    wrote(town, go, "whatsapp", REPLY_WINDOWS["whatsapp"].lasts / timedelta(hours=1) - hours_left)
    plan(outbox, run := outbox.run(), people["whatsapp"], "whatsapp")
    go(NOON)
    channel = RecordingChannel("whatsapp")
    run_lane(run, shard=None, channels={"whatsapp": lambda: channel})
    (message,) = channel.sent
    assert (message.valid_seconds, message.template) == (1800, None)


def pass_time(minutes: float = 10) -> None:
    with connection() as tx:
        tx.execute(
            text("""UPDATE attempt SET call_deadline = call_deadline - make_interval(secs => :seconds),
                                       not_listed_at = not_listed_at - make_interval(secs => :seconds)
                    WHERE call_deadline IS NOT NULL"""),
            {"seconds": minutes * 60},
        )


def ask() -> Reconciled:
    return reconcile(registry.list_openers())


def taken(town: Sandbox) -> int:
    return int(sum(town.summary()["messages"].values())) - int(town.summary()["messages"].get("received", 0))


@pytest.mark.parametrize("channel", CHANNELS)
def test_I2_what_the_provider_took_is_found_in_its_list_and_never_sent_again(
    town: Sandbox, go: Go, people: dict[str, BorrowerIds], words: Any, outbox: Outbox, channel: str
) -> None:
    words(registered=channel == "whatsapp")
    if channel == "messenger":
        wrote(town, go, channel, 1)
    attempt = plan(outbox, run := outbox.run(), people[channel], channel)
    town.faults({"fault": "accept_then_drop", "channel": channel, "count": 1})
    send(run, go)
    assert outbox.states() == ["unknown"]
    pass_time()
    done = ask()
    row = outbox.attempt(attempt)
    assert (row["state"], dict(done.settled), done.parked) == ("accepted", {"accepted": 1}, 0)
    send(run, go)
    assert taken(town) == 1


@pytest.mark.parametrize("channel", CHANNELS)
def test_I2_what_its_list_did_not_show_twice_has_failed_and_is_not_sent_again(
    town: Sandbox, go: Go, people: dict[str, BorrowerIds], words: Any, outbox: Outbox, channel: str
) -> None:
    words(registered=channel == "whatsapp")
    if channel == "messenger":
        wrote(town, go, channel, 1)
    plan(outbox, run := outbox.run(), people[channel], channel)
    town.faults({"fault": "drop_before_accept", "channel": channel})
    send(run, go)
    town.faults()
    for _ in range(2):
        pass_time()
        ask()
    assert outbox.states() == ["failed"]
    send(run, go)
    assert taken(town) == 0


def test_a_text_message_to_the_same_number_is_not_taken_for_it(
    town: Sandbox, go: Go, people: dict[str, BorrowerIds], words: Any, outbox: Outbox
) -> None:
    """Each channel reads its own part of the one list."""
    words(registered=True)
    plan(outbox, run := outbox.run(), people["whatsapp"], "whatsapp")
    town.faults({"fault": "drop_before_accept", "channel": "whatsapp"})
    send(run, go)
    town.faults()
    client_body = str(outbox.rows("SELECT token FROM attempt")[0][0])
    town.control("POST", "texts", {"from": NUMBER, "to": OURS["whatsapp"], "text": client_body})
    for _ in range(2):
        pass_time()
        ask()
    assert outbox.states() == ["failed"]


def test_a_number_without_rcs_is_still_a_number(
    town: Sandbox, go: Go, people: dict[str, BorrowerIds], words: Any, outbox: Outbox, known: Known
) -> None:
    words(registered=False)
    plan(outbox, run := outbox.run(), people["rcs"], "rcs")
    town.faults({"fault": "rejected", "channel": "rcs", "code": 63036})
    send(run, go)
    assert outbox.states() == ["rejected"]
    assert known.status(people["rcs"].push_id) == "active"


def test_who_is_not_on_whatsapp_is_not_written_to_there_again(
    town: Sandbox, go: Go, people: dict[str, BorrowerIds], words: Any, outbox: Outbox, known: Known
) -> None:
    words(registered=True)
    plan(outbox, run := outbox.run(), people["whatsapp"], "whatsapp")
    town.faults({"fault": "rejected", "channel": "whatsapp", "code": 63024})
    send(run, go)
    assert known.status(people["whatsapp"].push_id) == "unreachable"
    assert known.status(people["whatsapp"].sms_id) == "active"


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize(("body", "purpose"), [("幫助", "reply"), ("不要再傳了", "confirmation")])
def test_who_asks_for_help_or_says_stop_is_answered_where_she_wrote(
    town: Sandbox, go: Go, people: dict[str, BorrowerIds], words: Any, outbox: Outbox, channel: str, body: str, purpose: str
) -> None:
    """Her own message opened the window: the answer is free words, whatever is registered."""
    assert people
    words(registered=False)
    wrote(town, go, channel, 0, body)
    became = answer_now(registry.openers())
    # A busy machine may let a permit grow too old; it is planned again, and sent.
    assert became["accepted"] == 1
    assert outbox.rows("SELECT channel, purpose FROM attempt") == [(channel, purpose)]
    assert len(arrived(town, channel)) == 1
