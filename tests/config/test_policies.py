"""What a run decides by is kept whole, under the hash that its parts know themselves by."""

from __future__ import annotations

from dataclasses import replace

import pytest

from config.message_files import message_texts
from config.policies import policies
from config.rule_files import rule_packs
from config.settings import settings
from config.strategy_files import strategy


def test_every_policy_of_the_stage_is_kept_under_the_version_it_decides_with() -> None:
    kept = {(policy.kind, policy.name): policy.hash for policy in policies("early")}
    ladder = strategy("static-ladder", "early")
    assert kept["strategy", "static-ladder/early"] == ladder.version
    for jurisdiction, version in rule_packs().versions.items():
        assert kept["rules", jurisdiction.lower()] == version
    for (message, locale), text in message_texts().by_key.items():
        if message in {step.message for step in ladder.steps}:
            assert kept["message", f"{message}/{locale}"] == text.version
    assert {("ageing", "ageing"), ("clearance", "clearances")} <= set(kept)
    assert len({policy.hash for policy in policies("early")}) == len(policies("early"))


def test_prices_are_a_policy_of_a_stage_that_weighs_them_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a new price would change the policies of every run."""
    assert "prices" not in {policy.kind for policy in policies("early")}
    ladder = strategy("static-ladder", "early")
    step = replace(ladder.steps[0], channels=("push", "sms"), cheapest_of=("push", "sms"))
    monkeypatch.setattr("config.policies.strategy", lambda *_: replace(ladder, steps=(step,)))
    assert [policy.name for policy in policies("early") if policy.kind == "prices"] == ["prices"]


def test_a_text_that_no_step_uses_is_no_policy_of_the_stage() -> None:
    assert not any(policy.name.startswith("help/") for policy in policies("early"))


def test_another_strategy_keeps_its_own_ladder_and_its_own_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """By name, and where the installation is set to it."""
    named = policies("mid", named="every-channel")
    assert [policy.name for policy in named if policy.kind == "strategy"] == ["every-channel/mid"]
    assert "early_call/en" in {policy.name for policy in named if policy.kind == "message"}
    assert "early_call/en" not in {policy.name for policy in policies("mid")}
    set_to_it = settings().model_copy(update={"strategy": "every-channel"})
    monkeypatch.setattr("config.policies.settings", lambda: set_to_it)
    assert policies("mid") == named
