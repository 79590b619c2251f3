"""The five stages: each with its flow, its deployment and its strategy, and what they do to people, one after the other."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from prefect import Flow
from prefect.logging import disable_run_logger
from sqlalchemy import text

from config.policies import policies
from config.strategy_files import strategy
from decisions.strategy import ONBOARDING, STAGE_ORDER
from gate.lane import ChannelFactory, run_lane
from ledger import clock
from ledger.campaigns import open_run
from ledger.engine import connection
from tasks.choose import choose
from tasks.explain import explain_borrower
from tasks.pick import pick
from tasks.record import business_zone
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.sending import RecordingChannel

HOUSE = Path(__file__).parent.parent.parent
DEPLOYMENTS = yaml.safe_load((HOUSE / "prefect.yaml").read_text())["deployments"]
DAYS = {"pre_due": -1, "early": 20, "mid": 45, "late": 75, "recovery": 120}


@pytest.fixture(autouse=True)
def _quietly() -> Iterator[None]:
    with disable_run_logger():
        yield


def flow_of(stage: str) -> Flow[Any, Any]:
    found = getattr(importlib.import_module(f"flows.{stage}"), stage)
    assert isinstance(found, Flow)
    return found


def run(stage: str) -> list[RecordingChannel]:
    """The steps of the stage's flow, in their order, without Prefect's server; both channels take what they are given."""
    with connection() as tx:
        at = clock.now(tx)
        day = at.astimezone(ZoneInfo("America/New_York")).date()
        campaign = open_run(tx, stage=stage, business_date=day, preview=False, borrowers_max=None, policies=policies(stage), at=at)
    channels = [RecordingChannel(name) for name in ("sms", "push")]
    for shard in pick.fn(campaign):
        choose.fn(shard, campaign)
        run_lane(campaign, shard=shard, channels=doors(channels))
    return channels


def doors(channels: list[RecordingChannel]) -> dict[str, ChannelFactory]:
    return {channel.name: partial(_itself, channel) for channel in channels}


def _itself(channel: RecordingChannel) -> RecordingChannel:
    return channel


def sent_by(channels: list[RecordingChannel]) -> int:
    return sum(len(channel.sent) for channel in channels)


def attempts() -> list[tuple[str, str, str]]:
    with connection() as tx:
        return [
            tuple(row) for row in tx.execute(text("SELECT stage, message, purpose FROM attempt WHERE submitted_at IS NOT NULL ORDER BY id"))
        ]


def reasons(who: BorrowerIds, stage: str) -> list[str]:
    with connection() as tx:
        return list(
            tx.execute(
                text(
                    "SELECT r.reasons FROM decision d JOIN reason_set r ON r.id = d.reason_set_id WHERE d.party_id = :who AND d.stage = :stage"
                ),
                {"who": who.party_id, "stage": stage},
            ).scalar_one()
        )


def delivered(who: BorrowerIds) -> None:
    """The provider says that the last message arrived."""
    with connection() as tx:
        tx.execute(
            text("""
                INSERT INTO contact_event (business_date, party_id, at, channel, direction, loans, contact_point_id, counterparty, purpose, result,
                                           attempt_business_date, attempt_id, about_event_id, counts, uncounts, source)
                SELECT e.business_date, e.party_id, e.at, e.channel, e.direction, e.loans, e.contact_point_id, e.counterparty, e.purpose, 'delivered',
                       e.attempt_business_date, e.attempt_id, e.id, false, false, 'test'
                FROM contact_event e WHERE e.party_id = :who AND e.about_event_id IS NULL ORDER BY e.id DESC LIMIT 1"""),
            {"who": who.party_id},
        )


def later(portfolio: Portfolio, days: int) -> datetime:
    """Noon of a later day, with the day's payments known."""
    at = noon("US", TODAY + timedelta(days=days))
    portfolio.clock(at)
    with connection() as tx:
        tx.execute(text("UPDATE feed SET covers_until = :at"), {"at": at + timedelta(days=1)})
    return at


@pytest.mark.parametrize("stage", STAGE_ORDER)
def test_every_stage_has_a_flow_with_help_for_each_parameter(stage: str) -> None:
    found = flow_of(stage)
    assert found.name == stage.replace("_", "-")
    schema = found.parameters.model_dump()["properties"]
    assert list(schema) == ["as_of", "country", "preview", "limit", "strategy", "approval", "request_code"]
    assert [name for name, field in schema.items() if not field.get("description")] == []
    assert {"type": "integer", "minimum": 1} in schema["limit"]["anyOf"]


@pytest.mark.parametrize("stage", STAGE_ORDER)
def test_every_stage_is_deployed_with_its_own_schedule_and_loses_no_day(stage: str) -> None:
    (deployment,) = (one for one in DEPLOYMENTS if one["entrypoint"] == f"flows.{stage}.{stage}")
    assert deployment["description"]
    assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}
    assert set(deployment["parameters"]) == set(inspect.signature(flow_of(stage).fn).parameters)
    assert deployment["schedules"]
    # A schedule's zone is the one by which the run's date is told.
    for one in deployment["schedules"]:
        assert one["timezone"] == business_zone(one.get("parameters", {}).get("country"))


def test_schedules_have_names_of_their_own() -> None:
    slugs = [one["slug"] for deployment in DEPLOYMENTS for one in deployment.get("schedules", [])]
    assert len(set(slugs)) == len(slugs)


@pytest.mark.parametrize("stage", STAGE_ORDER)
def test_a_stage_treats_its_own_borrowers_and_nobody_elses(portfolio: Portfolio, stage: str) -> None:
    portfolio.clock(noon("US"))
    people = {each: portfolio.borrower(days_past_due=days) for each, days in DAYS.items()}
    assert sent_by(run(stage)) == 1
    asked_first = strategy("static-ladder", stage).offered_first is not None
    ((_, message, purpose),) = attempts()
    assert (message == ONBOARDING) is asked_first
    assert purpose == ("reminder" if stage == "pre_due" else "collection")
    assert reasons(people[stage], stage) == (["milder_stage_not_offered"] if asked_first else [])
    # A second run of the same date finds everything done.
    assert sent_by(run(stage)) == 0


def test_a_reminder_names_its_date_and_no_amount(portfolio: Portfolio) -> None:
    portfolio.clock(noon("US"))
    portfolio.borrower(days_past_due=-1)
    (message,) = (message for channel in run("pre_due") for message in channel.sent)
    assert "Mar 18, 2026" in message.body
    assert "105" not in message.body.split("http")[0]


def test_whoever_pays_before_the_gate_is_not_reminded(portfolio: Portfolio) -> None:
    portfolio.clock(noon("US"))
    who = portfolio.borrower(days_past_due=-1)
    with connection() as tx:
        campaign = open_run(
            tx, stage="pre_due", business_date=TODAY, preview=False, borrowers_max=None, policies=policies("pre_due"), at=noon("US")
        )
    (shard,) = pick.fn(campaign)
    assert choose.fn(shard, campaign) == 1
    portfolio.payment(who.loan_id, 10_500)
    channel = RecordingChannel()
    run_lane(campaign, shard=shard, channels={"sms": lambda: channel, "push": lambda: RecordingChannel("push")})
    assert channel.sent == []


def test_I12_taken_over_late_a_borrower_is_first_contacted_mildly_then_meets_the_stage(portfolio: Portfolio) -> None:
    portfolio.clock(noon("US"))
    who = portfolio.borrower(days_past_due=75)
    assert sent_by(run("late")) == 1
    for days, message in ((7, ONBOARDING), (14, "late_situation")):
        later(portfolio, days)
        # Only a delivery is an offer: the first message, of whose fate nobody heard, was none.
        run("late")
        assert attempts()[-1][1] == message
        delivered(who)
    assert [message for _, message, _ in attempts()] == [ONBOARDING, ONBOARDING, "late_situation"]
    assert all(told["offered"] for told in [explain_borrower(f"#{who.party_id}")["strategy"]])


def test_I12_the_stage_before_counts_when_it_was_delivered(portfolio: Portfolio) -> None:
    portfolio.clock(noon("US"))
    who = portfolio.borrower(days_past_due=29)
    run("early")
    delivered(who)
    later(portfolio, 5)
    assert sent_by(run("early")) == 0
    assert sent_by(run("mid")) == 1
    assert [(stage, message) for stage, message, _ in attempts()][-1] == ("mid", "mid_talk")


def test_I5_two_stages_on_one_day_make_one_contact(portfolio: Portfolio) -> None:
    """Reminded in the morning; then an import shows another loan that is long late."""
    portfolio.clock(noon("US"))
    who = portfolio.borrower(days_past_due=-1)
    assert sent_by(run("pre_due")) == 1
    portfolio.loan(who.party_id, days_past_due=75)
    portfolio.clock(noon("US") + timedelta(hours=2))
    assert sent_by(run("late")) == 0
    assert "HOUSE-1ADAY" in reasons(who, "late")
    assert sent_by(run("early")) == sent_by(run("mid")) == 0


def test_I5_what_another_stage_sent_after_planning_stops_the_send(portfolio: Portfolio) -> None:
    """Planned for the late stage before the early stage's message was let through."""
    portfolio.clock(noon("US"))
    who = portfolio.borrower(days_past_due=75)
    with connection() as tx:
        campaign = open_run(
            tx, stage="late", business_date=TODAY, preview=False, borrowers_max=None, policies=policies("late"), at=noon("US")
        )
    (shard,) = pick.fn(campaign)
    assert choose.fn(shard, campaign) == 1
    portfolio.contact(who.party_id, noon("US") - timedelta(minutes=1), purpose="reminder", contact_point_id=who.push_id, channel="push")
    channels = [RecordingChannel(name) for name in ("sms", "push")]
    run_lane(campaign, shard=shard, channels=doors(channels))
    assert sent_by(channels) == 0
