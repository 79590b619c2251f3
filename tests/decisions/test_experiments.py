"""Experiments: the bound holds at every look, harm stops an arm, nothing is said too early."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from config.experiment_files import EXPERIMENTS, experiment, experiment_names, running, trial_of
from config.load import ConfigError
from config.strategy_files import strategy
from decisions.experiments import (
    BETTER,
    ENDED,
    OPEN,
    STOPPED,
    WAITING,
    Experiment,
    Outcomes,
    contacts_per_cure,
    difference,
    half_width,
    judged,
)

SHIPPED = experiment("learned-in-early")
SMALL = replace(SHIPPED, borrowers_min=500)
BODY = (EXPERIMENTS / "learned-in-early.yaml").read_text()


def outcomes(count: int, paid: float, *, complain: float = 0.0, contacts: int = 2, seed: int = 1) -> Outcomes:
    chance = np.random.default_rng(seed)
    return Outcomes(
        money=(chance.random(count) < paid).astype(float),
        harms={
            "complaints": (chance.random(count) < complain).astype(float),
            "opt_outs": np.zeros(count),
            "contacts": np.full(count, float(contacts)),
        },
    )


def said(arm: Outcomes, champion: Outcomes, *, look: int = 1, last: bool = False) -> tuple[str, str | None]:
    (verdict,) = judged(
        SMALL, {"champion": champion, "challenger": arm}, look=look, day=SMALL.last if last else SMALL.first + timedelta(days=60)
    )
    return verdict.says, verdict.why


def test_the_bound_holds_at_all_looks_together() -> None:
    """No difference at all, eight looks as the numbers grow: the truth lies outside at some look in far fewer than 5 % of worlds."""
    wrong = 0
    for world in range(200):
        chance = np.random.default_rng(world)
        arm, champion = (chance.random(4_000) < 0.3 for _ in range(2))
        for look in range(1, 9):
            alpha = 0.05 * 6 / (np.pi**2 * look**2)
            seen = difference("money", arm[: 500 * look].astype(float), champion[: 500 * look].astype(float), most=1.0, alpha=alpha)
            if not seen.low <= 0 <= seen.high:
                wrong += 1
                break
    assert wrong <= 200 * 0.05


def test_the_bound_is_maurers_and_pontils() -> None:
    values = np.tile([0.0, 1.0], 50)
    variance, said_log = 100 * 0.25 / 99, np.log(2 / 0.05)
    assert half_width(values, most=1.0, alpha=0.05) == pytest.approx((2 * variance * said_log / 100) ** 0.5 + 7 * said_log / (3 * 99))
    assert half_width(values[:1], most=3.0, alpha=0.05) == 3.0


def test_nothing_is_said_before_there_are_as_many_as_was_promised() -> None:
    assert said(outcomes(400, 0.9), outcomes(5_000, 0.1, seed=2)) == (WAITING, None)


def test_more_money_without_more_harm_may_be_asked_about() -> None:
    assert said(outcomes(40_000, 0.5), outcomes(40_000, 0.4, seed=2)) == (BETTER, None)


def test_more_money_with_harm_that_may_be_too_much_is_not() -> None:
    assert said(outcomes(40_000, 0.5, complain=0.002), outcomes(40_000, 0.4, seed=2))[0] == OPEN
    assert said(outcomes(40_000, 0.4), outcomes(40_000, 0.4, seed=2), last=True) == (ENDED, None)


def test_more_money_for_more_contacts_a_cure_is_not_better() -> None:
    """Within the margin of half a contact a borrower, and yet each who paid all took more of them."""
    arm, champion = outcomes(40_000, 0.5), outcomes(40_000, 0.4, seed=2)
    assert contacts_per_cure(arm) == pytest.approx(4, rel=0.05)
    assert contacts_per_cure(champion) == pytest.approx(5, rel=0.05)
    fewer = replace(champion, harms={**champion.harms, "contacts": np.full(40_000, 1.55)})
    assert said(arm, fewer)[0] == OPEN
    assert contacts_per_cure(replace(arm, money=np.full(40_000, 0.5))) is None


@pytest.mark.parametrize(("more", "why"), [({"complain": 0.2}, "complaints"), ({"contacts": 6}, "contacts")])
def test_harm_stops_an_arm_at_once_even_before_there_are_many(more: dict[str, float], why: str) -> None:
    few = outcomes(450, 0.9, **more)  # type: ignore[arg-type]
    assert said(few, outcomes(450, 0.1, seed=2)) == (STOPPED, why)


def test_every_shipped_experiment_can_be_run_beside_the_others_in_each_of_its_stages() -> None:
    for name in experiment_names():
        one = experiment(name)
        for stage in one.stages:
            assert one in running(stage, one.first)
            assert not running(stage, one.last + timedelta(days=1))
            arms = {arm.strategy: strategy(arm.strategy, stage) for arm in one.arms}
            held_out = max(
                (
                    s.learned.hold_outs.champion_parts + s.learned.hold_outs.minimum_parts
                    for s in arms.values()
                    if s.learned and s.learned.hold_outs
                ),
                default=0,
            )
            assert trial_of(one, arms.__getitem__, frozenset()).first >= held_out


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("share: 0.5, strategy: static-ladder", "share: 0.4, strategy: static-ladder", "add up to 1"),
        ("to: 0.30", "to: 0.05", "must lie behind"),
        ("ends_on: 2027-05-31", "ends_on: 2027-01-31", "ends_on lies before"),
        ("  opt_outs: {margin: 0.01, most: 1}\n", "", "how much is too much"),
        ("[early]", "[pre_due]", "no experiment is made in"),
        ("alpha: 0.05", "alpha: 0.5", "less than or equal to 0.2"),
        ("2027-03-15, 2027-04-15", "2027-04-15, 2027-03-15", "ascend"),
    ],
)
def test_an_experiment_that_promises_nothing_is_refused(tmp_path: Path, old: str, new: str, reason: str) -> None:
    folder = tmp_path
    assert old in BODY
    (folder / "learned-in-early.yaml").write_text(BODY.replace(old, new, 1))
    with pytest.raises(ConfigError, match=reason):
        experiment("learned-in-early", folder)


def test_two_that_want_the_same_borrowers_at_once_are_refused(tmp_path: Path) -> None:
    folder = tmp_path
    for name, part in (("a", "{from: 0.10, to: 0.30}"), ("b", "{from: 0.29, to: 0.50}")):
        text = BODY.replace("experiment: learned-in-early", f"experiment: {name}").replace("{from: 0.10, to: 0.30}", part)
        (folder / f"{name}.yaml").write_text(text)
    with pytest.raises(ConfigError, match="a runs on some of them"):
        running("early", SHIPPED.first, folder)


def test_an_arm_in_which_a_group_is_surely_contacted_more_is_stopped() -> None:
    strict = replace(SMALL, gap_max=1.0)
    chance = np.random.default_rng(3)

    def verdict(count: int, more: float, experiment: Experiment = strict) -> tuple[str, str | None]:
        contacts = {
            ("language", "en"): chance.poisson(2.0, count).astype(float),
            ("language", "es"): chance.poisson(2.0 + more, count).astype(float),
            ("sex", "female"): chance.poisson(9.0, count).astype(float),  # of one group alone nothing is said
        }
        arm = replace(outcomes(count, 0.3), groups=contacts)
        (found,) = judged(experiment, {"champion": outcomes(count, 0.3, seed=2), "challenger": arm}, look=1, day=experiment.first)
        return found.says, found.why

    assert verdict(4_000, 2.0) == (STOPPED, "groups")
    assert verdict(4_000, 0.5)[0] != STOPPED
    assert verdict(40, 2.0)[0] == WAITING
    assert verdict(4_000, 2.0, replace(strict, gap_max=None))[0] != STOPPED
