"""The strategies that ship, and what a strategy file may not say."""

from __future__ import annotations

import re
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest

from config.aging import aging_policy
from config.learned_form import Harming, Paying
from config.load import ConfigError
from config.strategy_files import STRATEGIES, stages_of, strategy, strategy_names
from decisions.learning import KINDS
from decisions.strategy import ONBOARDING, REACHABLE, SPOKEN, STAGE_ORDER

SHIPPED = (STRATEGIES / "static-ladder" / "early.yaml").read_text()

NAMED = pytest.mark.parametrize("named", strategy_names())


def _written(folder: Path, text: str, stage: str = "early") -> Path:
    (folder / "mine").mkdir()
    (folder / "mine" / f"{stage}.yaml").write_text(text)
    return folder


def test_the_early_ladder_begins_mildly_and_leaves_days_between_contacts() -> None:
    early = strategy("static-ladder", "early")
    assert early.steps[0].channels == ("push",)
    assert (early.first_day, early.last_day) == (1, 30)
    assert early.gap_days_min >= 3
    assert early.contacts_max == 2
    assert (early.exploration, early.temperature) == (0.0, 0)


def test_a_strategys_version_is_the_hash_of_its_file() -> None:
    assert strategy("static-ladder", "early").version == sha256(SHIPPED.encode()).hexdigest()


def test_a_step_is_reached_on_its_day_and_stays_reached() -> None:
    early = strategy("static-ladder", "early")
    reached = {day: {channel: step.number for channel, step in early.reached(day).items()} for day in (0, 1, 3, 4, 13, 14, 30, 31)}
    assert reached == {
        0: {},
        1: {"push": 1},
        3: {"push": 1},
        4: {"push": 1, "sms": 2},
        13: {"push": 3, "sms": 2},
        14: {"push": 3, "sms": 4},
        30: {"push": 3, "sms": 4},
        31: {},
    }


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("from_day: 4,", "from_day: 11,", "must ascend"),
        ("from_day: 14,", "from_day: 31,", "outside days_past_due"),
        ("from_day: 1,", "from_day: 0,", "outside days_past_due"),
        ("{from: 1, to: 30}", "{from: 31, to: 30}", "lies after"),
        ("channel: sms,  message: early_reminder", "channel: fax, message: early_reminder", "no kind of contact point"),
        ("[pay_link]", "[pay_link, pay_link]", "named twice"),
        ("exploration: 0.0", "exploration: 1.5", "less than or equal to 1"),
        ("exploration: 0.0", "exploration: lots", "not a share"),
        ("contacts_per_borrower: 2", "contacts_per_borrower: 0", "greater than or equal to 1"),
        ("gap_days: 3", "gap_days: 0", "greater than or equal to 1"),
        ("gap_days: 3", "gap_day: 3", "unknown field"),
        ("stage: early", "stage: late", "must say when the milder stage counts as offered"),
        ("message: early_reminder", "message: onboarding", "belongs to offered_first"),
        ("purpose: collection", "purpose: reminder", "a reminder is what pre_due sends"),
    ],
)
def test_a_strategy_that_makes_no_sense_is_refused(tmp_path: Path, old: str, new: str, reason: str) -> None:
    assert old in SHIPPED
    with pytest.raises(ConfigError, match=reason):
        strategy("mine", "early", _written(tmp_path, SHIPPED.replace(old, new, 1)))


@pytest.mark.parametrize("name", ["../static-ladder", "no-such", ""])
def test_a_strategy_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        strategy(name, "early")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("{written: 1.5, spoken: 0.1}", "a_contact_counts.written"),
        ("{written: 0.02}", "a_contact_counts.spoken"),
        ("{written: 0.02, spoken: -0.1}", "a_contact_counts.spoken"),
    ],
)
def test_what_a_contact_counts_is_a_share_and_an_amount_is_refused(tmp_path: Path, said: str, reason: str) -> None:
    shipped = (STRATEGIES / "learned" / "early.yaml").read_text()
    counts = re.compile(r"a_contact_counts: \{.*\}")
    assert counts.search(shipped)
    with pytest.raises(ConfigError, match=reason):
        strategy("mine", "early", _written(tmp_path, counts.sub(f"a_contact_counts: {said}", shipped)))


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("model: harm_7d", "'paid_7d' or 'paid_30d'"),
        ("model: self_cured_30d", "'paid_7d' or 'paid_30d'"),
        ("harm_model: paid_7d\n  model: paid_7d", "'harm_7d'"),
    ],
)
def test_a_contact_is_weighed_by_kinds_of_models_that_tell_money_and_harm_and_look_at_what_is_done(
    tmp_path: Path, said: str, reason: str
) -> None:
    shipped = (STRATEGIES / "learned" / "early.yaml").read_text()
    assert "  model: paid_7d " in shipped
    with pytest.raises(ConfigError, match=reason):
        strategy("mine", "early", _written(tmp_path, shipped.replace("  model: paid_7d ", f"  {said} ")))
    assert all(KINDS[kind].arms for kind in (*get_args(Paying), *get_args(Harming)))


def test_a_strategy_under_another_stages_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="stands for the stage late"):
        strategy("mine", "late", _written(tmp_path, SHIPPED, "late"))


def test_the_shipped_strategies_are_known_by_name() -> None:
    assert strategy_names() == ("calls-everyone", "every-channel", "learned", "static-ladder")


@NAMED
def test_every_stage_has_its_strategy_and_they_meet_where_ageing_says(named: str) -> None:
    assert sorted(STAGE_ORDER) == list(stages_of(named))
    shipped = [strategy(named, stage) for stage in STAGE_ORDER]
    assert [later.first_day - earlier.last_day for earlier, later in pairwise(shipped)] == [1] * 4
    for scheme in aging_policy().schemes.values():
        assert scheme.stages == tuple((one.stage, one.first_day) for one in shipped[1:])
        assert scheme.pre_due_days == -shipped[0].first_day


@NAMED
def test_a_later_stage_never_writes_more_often_than_the_one_before(named: str) -> None:
    late_enough = [strategy(named, stage) for stage in STAGE_ORDER[1:]]
    a_month = [30 / max(one.gap_days_min, one.span_days / one.contacts_max) for one in late_enough]
    assert a_month == sorted(a_month, reverse=True)


@NAMED
def test_before_anything_is_late_there_is_one_reminder_and_no_call(named: str) -> None:
    pre_due = strategy(named, "pre_due")
    assert (pre_due.purpose, pre_due.contacts_max) == ("reminder", 1)
    assert {channel for step in pre_due.steps for channel in step.channels} <= {"push", "sms"}
    assert pre_due.offered_first is None
    reached = {day: sorted(pre_due.reached(day)) for day in (-4, -3, -2, -1, 0, 1)}
    assert reached == {-4: [], -3: ["push"], -2: ["push"], -1: ["push", "sms"], 0: ["push", "sms"], 1: []}


@NAMED
@pytest.mark.parametrize(("stage", "milder"), [("mid", "early"), ("late", "mid"), ("recovery", "late")])
def test_a_harsher_stage_begins_with_onboarding_until_the_milder_one_was_offered(named: str, stage: str, milder: str) -> None:
    harsher = strategy(named, stage)
    assert harsher.offered_first is not None
    assert (harsher.offered_first.stage, harsher.looks_at) == (milder, (milder, stage))
    for day in (harsher.first_day, harsher.last_day):
        assert {step.message for step in harsher.reached(day, offered=False).values()} == {ONBOARDING}
        assert ONBOARDING not in {step.message for step in harsher.reached(day).values()}
    assert [step.number for step in harsher.steps] == list(range(1, len(harsher.steps) + 1))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("failed_tries: 3", "failed_tries: 2", "greater than or equal to 3"),
        ("span_days: 7   ", "span_days: 6   ", "greater than or equal to 7"),
        ("contact_points: 2", "contact_points: 1", "greater than or equal to 2"),
        ("channel: sms,  offers", "channel: fax,  offers", "no kind of contact point"),
        ("stage: mid", "stage: early", "asks for no milder stage"),
    ],
)
def test_what_must_be_offered_first_cannot_be_talked_down(tmp_path: Path, old: str, new: str, reason: str) -> None:
    shipped = (STRATEGIES / "static-ladder" / "mid.yaml").read_text()
    head, offered_first = shipped.split("offered_first:")
    text = (
        shipped.replace(old, new, 1) if old in head and "span" not in old else head + "offered_first:" + offered_first.replace(old, new, 1)
    )
    assert text != shipped
    with pytest.raises(ConfigError, match=reason):
        strategy("mine", "mid", _written(tmp_path, text, "mid"))


def test_one_shipped_strategy_uses_every_channel_and_calls_only_late_and_after_writing() -> None:
    stages = {stage: strategy("every-channel", stage) for stage in STAGE_ORDER}
    assert set().union(*(one.channels for one in stages.values())) == set(REACHABLE)
    calls = [
        (stage, channel, step.from_day - one.first_day, step.after_written)
        for stage, one in stages.items()
        for step in one.steps
        for channel in step.channels
        if channel in SPOKEN
    ]
    assert calls == [("mid", "call", 10, 2), ("mid", "voice", 21, 3), ("late", "call", 14, 2)]
    # While somebody might be called nobody else's way is lost: a written step follows each call before the stage is over.
    for stage in ("mid", "late"):
        assert SPOKEN.isdisjoint(stages[stage].steps[-1].channels)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("channel: call, message: early_call", "after how many written messages"),
        ("channels: [sms, voice], message: mid_talk", "after how many written messages"),
        ("channel: call, message: early_call, after_written: 0", "greater than or equal to 1"),
    ],
)
def test_a_ladder_that_calls_before_it_has_written_is_refused(tmp_path: Path, written: str, reason: str) -> None:
    shipped = (STRATEGIES / "static-ladder" / "mid.yaml").read_text()
    first = "channel: push, message: mid_talk"
    assert first in shipped
    with pytest.raises(ConfigError, match=reason):
        strategy("mine", "mid", _written(tmp_path, shipped.replace(first, written), "mid"))


def test_a_first_mild_contact_is_written_and_a_stage_that_keeps_no_account_calls_nobody(tmp_path: Path) -> None:
    mid = (STRATEGIES / "static-ladder" / "mid.yaml").read_text()
    with pytest.raises(ConfigError, match="first, mild contact is written"):
        strategy("mine", "mid", _written(tmp_path, mid.replace("channel: push, offers", "channel: voice, offers", 1), "mid"))
    (tmp_path / "mine" / "early.yaml").write_text(
        SHIPPED.replace("message: early_reminder,", "message: early_reminder, after_written: 1,", 1)
    )
    with pytest.raises(ConfigError, match="keeps no account"):
        strategy("mine", "early", tmp_path)
