"""Off-policy evaluation: equal to obp's estimators, honest intervals, and silent where a log cannot tell."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from numpy.random import PCG64, Generator

from decisions import off_policy
from decisions.off_policy import Limits, Log, MalformedLogError, cross_fitted, diagnose, evaluate, intervals, refusals

LIMITS = Limits(
    ess_min=2000,
    ess_share_min=0.05,
    one_borrower_max=0.02,
    unsupported_max=0.01,
    mean_weight_off_max=0.05,
    mean_weight_errors_max=4,
    folds=5,
    bootstraps=200,
)
FREE = replace(LIMITS, ess_min=0, ess_share_min=0, one_borrower_max=1)
SEED = b"a seed"
OBP = Path(str(importlib.metadata.distribution("obp").locate_file("obp")))


def world(seed: int, *, borrowers: int = 400, decisions: int = 5, arms: int = 4) -> tuple[Log, off_policy.Floats, float]:
    """A log drawn with known probabilities, its rewards, and the true value of the target. Borrowers differ from each other for good."""
    draws = Generator(PCG64(seed))
    count = borrowers * decisions
    borrower = np.repeat(np.arange(borrowers), decisions).astype(np.int64)
    taste = np.repeat(draws.normal(0, 1, borrowers), decisions)
    seen = draws.normal(0, 1, count)
    logged = draws.dirichlet(np.full(arms, 3.0), count)
    target = draws.dirichlet(np.full(arms, 3.0), count)
    mean = 5 + 2 * taste[:, None] + seen[:, None] * np.arange(arms) + np.arange(arms) ** 2
    chosen = (draws.random(count)[:, None] > np.cumsum(logged, axis=1)[:, :-1]).sum(axis=1)
    reward = mean[np.arange(count), chosen] + draws.normal(0, 1, count)
    log = Log(
        borrower=borrower,
        context=np.column_stack([seen]),
        decision=np.repeat(np.arange(count), arms).astype(np.int64),
        kind=np.tile(np.arange(arms), count).astype(np.int64),
        logged=logged.ravel(),
        target=target.ravel(),
        chosen=(np.arange(count) * arms + chosen).astype(np.int64),
    )
    # The truth of these decisions, and of these borrowers' likes: what is estimated is the mean over people like them.
    truth = 5 + float((np.tile(np.arange(arms) ** 2, count) * target.ravel()).sum() / count)
    return log, reward, truth


@pytest.fixture(scope="module")
def obp() -> Any:
    """The estimators of obp 0.4.1. It imports torch for functions of its own that are not called here; a hollow module stands for it."""
    torch = ModuleType("torch")
    torch.Tensor = type("Tensor", (), {})  # type: ignore[attr-defined]
    before = {name: module for name, module in sys.modules.items() if name == "torch" or name.startswith("obp")}
    package = ModuleType("obp")
    package.__path__ = [str(OBP)]
    inner = ModuleType("obp.ope")
    inner.__path__ = [str(OBP / "ope")]
    sys.modules.update({"torch": torch, "obp": package, "obp.ope": inner})
    try:
        yield importlib.import_module("obp.ope.estimators")
    finally:
        for name in [name for name in sys.modules if name == "torch" or name.startswith("obp")]:
            del sys.modules[name]
        sys.modules.update(before)


@pytest.mark.parametrize("seed", range(5))
def test_every_estimator_equals_obps(obp: Any, seed: int) -> None:
    log, reward, _ = world(seed)
    arms, count = 4, len(reward)
    expected = cross_fitted(log, reward, folds=5, seed=SEED)
    asked = {
        "reward": reward,
        "action": log.chosen % arms,
        "position": np.zeros(count, dtype=int),
        "pscore": log.logged[log.chosen],
        "action_dist": log.target.reshape(count, arms, 1),
        "estimated_rewards_by_reg_model": expected.reshape(count, arms, 1),
    }
    theirs = {
        "IPW": obp.InverseProbabilityWeighting(),
        "SNIPW": obp.SelfNormalizedInverseProbabilityWeighting(),
        "DM": obp.DirectMethod(),
        "DR": obp.DoublyRobust(),
    }
    ours = {one.estimator: one.value for one in intervals(log, reward, expected, bootstraps=2, seed=SEED)}
    for name, estimator in theirs.items():
        assert ours[name] == pytest.approx(estimator.estimate_policy_value(**asked), rel=0, abs=1e-9)


def test_the_open_bandit_sample_says_what_is_known_of_it() -> None:
    """Click rate of ZOZOTOWN's policy by the log of a random one (SCIENCE.md B); obp's package carries the sample and the policy's prior."""
    shown = pl.read_csv(
        OBP / "dataset" / "obd" / "random" / "all" / "all.csv", columns=["item_id", "position", "click", "propensity_score"]
    )
    prior = yaml.safe_load((OBP / "policy" / "conf" / "prior_bts.yaml").read_text())["all"]
    items, places = len(prior["alpha"]), 3
    draws = Generator(PCG64(1))
    times = np.zeros((items, places))
    for _ in range(50):
        best = np.argsort(-draws.beta(prior["alpha"], prior["beta"], (2000, items)), axis=1)[:, :places]
        for number in range(places):
            times[:, number] += np.bincount(best[:, number], minlength=items)
    wanted = times / times.sum(axis=0)
    count, place = shown.height, shown["position"].to_numpy() - 1
    log = Log(
        borrower=np.arange(count),
        context=np.zeros((count, 0)),
        decision=np.repeat(np.arange(count), items),
        kind=np.tile(np.arange(items), count),
        logged=np.full(count * items, 1 / items),
        target=wanted[:, place].T.ravel(),
        chosen=np.arange(count) * items + shown["item_id"].to_numpy(),
    )
    assert shown["propensity_score"].unique().to_list() == [1 / items]
    found = evaluate(log, shown["click"].to_numpy().astype(float), replace(LIMITS, ess_min=1000, bootstraps=500), seed=SEED)
    said = {one.estimator: one for one in found.estimates}
    assert found.diagnostics.ess == pytest.approx(1644, abs=15)
    assert said["IPW"].value == pytest.approx(0.00456, abs=0.0001)
    assert said["SNIPW"].value == pytest.approx(0.00479, abs=0.0001)
    assert said["DM"].value == pytest.approx(0.00431, abs=0.0005)
    assert said["DR"].value == pytest.approx(0.00483, abs=0.0005)
    assert said["SNIPW"].low == pytest.approx(0.0017, abs=0.0008)
    assert said["SNIPW"].high == pytest.approx(0.0099, abs=0.0015)
    on_policy = 0.0042
    assert said["SNIPW"].low < on_policy < said["SNIPW"].high
    # By our own measure this sample says too little.
    refused = evaluate(log, shown["click"].to_numpy().astype(float), LIMITS, seed=SEED)
    assert refused.estimates == ()
    assert refused.refused is not None
    assert "as much as 1,6" in refused.refused


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """120 small worlds: both intervals of every estimator that is right by design cover it in at least 90 %."""
    worlds, covered = 120, dict.fromkeys(["IPW", "SNIPW", "DR", "IPW normal", "SNIPW normal", "DR normal"], 0)
    for seed in range(worlds):
        log, reward, truth = world(1000 + seed, borrowers=250, decisions=4)
        expected = cross_fitted(log, reward, folds=5, seed=SEED)
        for one in intervals(log, reward, expected, bootstraps=200, seed=SEED):
            if one.estimator in covered:
                covered[one.estimator] += one.low <= truth <= one.high
                covered[f"{one.estimator} normal"] += one.low_normal <= truth <= one.high_normal
    assert {name: count / worlds for name, count in covered.items() if count / worlds < 0.9} == {}


def test_decisions_of_one_borrower_do_not_count_as_many_people() -> None:
    log, reward, _ = world(1, borrowers=100, decisions=20)
    expected = cross_fitted(log, reward, folds=5, seed=SEED)
    together = {one.estimator: one for one in intervals(log, reward, expected, bootstraps=200, seed=SEED)}["DR"]
    alone = replace(log, borrower=np.arange(len(reward)))
    apart = {one.estimator: one for one in intervals(alone, reward, expected, bootstraps=200, seed=SEED)}["DR"]
    assert together.value == pytest.approx(apart.value, abs=1e-9)
    assert together.high - together.low > 1.5 * (apart.high - apart.low)


def test_both_intervals_are_as_wide_as_each_other() -> None:
    """An interval that is too wide covers the truth too."""
    log, reward, _ = world(10, borrowers=1000, decisions=3)
    expected = cross_fitted(log, reward, folds=5, seed=SEED)
    for one in intervals(log, reward, expected, bootstraps=400, seed=SEED):
        assert one.high_normal - one.low_normal == pytest.approx(one.high - one.low, rel=0.2)


def test_a_strategy_judged_by_its_own_log_is_worth_what_the_log_shows() -> None:
    log, reward, _ = world(2)
    found = evaluate(replace(log, target=log.logged), reward, FREE, seed=SEED)
    for one in found.estimates:
        exact = one.estimator in {"IPW", "SNIPW"}
        assert one.value == pytest.approx(reward.mean(), rel=1e-9 if exact else 0.05)
    assert found.logged == reward.mean()
    assert found.gain is not None
    assert found.gain.low < 0 < found.gain.high
    assert found.gain.high - found.gain.low < found.estimates[-1].high - found.estimates[-1].low
    assert found.diagnostics.agreeing == 1
    assert found.diagnostics.ess == pytest.approx(len(reward))


def test_the_outcome_model_has_not_seen_the_borrower_of_whom_it_speaks() -> None:
    log, reward, _ = world(3, borrowers=60)
    before = cross_fitted(log, reward, folds=5, seed=SEED)
    theirs = log.borrower == 7
    after = cross_fitted(log, np.where(theirs, reward + 1000, reward), folds=5, seed=SEED)
    assert (before[theirs[log.decision]] == after[theirs[log.decision]]).all()
    assert (before != after).any()


def test_the_same_seed_gives_the_same_numbers_and_another_one_others() -> None:
    log, reward, _ = world(4, borrowers=80)
    once, again, other = (evaluate(log, reward, FREE, seed=seed).estimates for seed in (SEED, SEED, b"another"))
    assert once == again
    assert once != other


def deterministic(log: Log, *, target_arm: int) -> Log:
    """A log that left nothing to chance, and a strategy that always takes one arm."""
    count = len(log.borrower)
    logged, target = np.zeros((count, 4)), np.zeros((count, 4))
    logged[np.arange(count), log.chosen % 4] = 1
    target[:, target_arm] = 1
    return replace(log, logged=logged.ravel(), target=target.ravel())


def test_a_log_that_left_nothing_to_chance_says_nothing_of_another_strategy() -> None:
    log, reward, _ = world(5, borrowers=3000)
    found = evaluate(deterministic(log, target_arm=2), reward, LIMITS, seed=SEED)
    assert found.estimates == ()
    assert found.refused is not None
    assert "was never tried in that place (at most 1 %)" in found.refused
    assert "left nothing to chance" in found.refused


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ess_min": 1e9}, "more of it is needed"),
        ({"ess_share_min": 0.999}, "too far apart"),
        ({"one_borrower_max": 0.0001}, "one borrower carries"),
    ],
)
def test_every_other_reason_is_said_in_words(changes: dict[str, float], said: str) -> None:
    log, _, _ = world(6)
    assert refusals(diagnose(log), FREE) == ()
    (reason,) = refusals(diagnose(log), replace(FREE, **changes))  # type: ignore[arg-type]
    assert said in reason


def test_wrong_probabilities_in_the_log_are_found_by_the_mean_weight() -> None:
    log, _, _ = world(7, borrowers=2000)
    flat = replace(log, logged=np.full(len(log.logged), 0.25), target=log.logged)
    (reason,) = refusals(diagnose(flat), FREE)
    assert "the mean weight is" in reason


def test_an_empty_log_is_refused() -> None:
    nothing, none = np.zeros(0), np.zeros(0, dtype=np.int64)
    log = Log(borrower=none, context=np.zeros((0, 1)), decision=none, kind=none, logged=nothing, target=nothing, chosen=none)
    found = evaluate(log, nothing, LIMITS, seed=SEED)
    assert (found.refused, found.logged) == ("no decision of that time and kind is in the log", None)


def test_a_log_that_contradicts_itself_is_an_error() -> None:
    log, reward, _ = world(8, borrowers=5)
    with pytest.raises(MalformedLogError, match="do not add up to 1"):
        replace(log, target=log.target * 0.5)
    impossible = log.logged.reshape(-1, 4).copy()
    impossible[0] = np.roll(np.eye(4)[log.chosen[0]], 1)
    with pytest.raises(MalformedLogError, match="no probability"):
        replace(log, logged=impossible.ravel())
    with pytest.raises(MalformedLogError, match="rewards are not known"):
        evaluate(log, np.where(np.arange(len(reward)) == 0, np.nan, reward), FREE, seed=SEED)


def test_a_part_of_a_log_keeps_every_decision_with_its_arms() -> None:
    log, reward, _ = world(9, borrowers=20)
    keep = log.borrower % 2 == 0
    part = log.only(keep)
    assert (part.weight == log.weight[keep]).all()
    assert len(part.decision) == 4 * keep.sum()
    assert evaluate(part, reward[keep], FREE, seed=SEED).diagnostics.borrowers == 10
