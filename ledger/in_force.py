"""What was in force: every policy by which a run decided, read again from the texts that the ledger keeps.

In:   a connection; the hashes that a run named, or some of them replaced; a stage.
Out:  an `InForce`: the stage's strategy, the law with its calendars and clearances, the texts, the order of ageing.
Pure: no; reads.
Source: ARCHITECTURE.md I8: a decision is made again by the same versions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

from config.aging import aging_policy
from config.experiment_files import experiment_of, trial_of
from config.load import ConfigError
from config.message_files import texts_of
from config.policies import ARM, EXPERIMENT, Policy
from config.prices import prices
from config.rule_files import BesideThen, packs_of
from config.settings import settings
from config.strategy_files import champion_named, strategy, strategy_of
from decisions.aging import AgingPolicy
from decisions.assignment import Trial
from decisions.messages import Texts
from decisions.models import Model
from decisions.packs import Packs
from decisions.strategy import Strategy
from ledger.approvals import approved_messages, approved_packs
from ledger.campaigns import Run
from ledger.law import KEPT
from ledger.policies import jurisdiction_of

SEVERAL: Final = 16
MODEL: Final = "model"
# Kinds of policies that say by which strategy a borrower is treated.
TREATING: Final = frozenset({"strategy", ARM, EXPERIMENT, "prices"})


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """The policies by which a stage decides.

    Attributes:
        treatment: The stage's strategy.
        packs: In live mode held to what was approved at that instant.
        texts: Messages, in live mode held to approvals as well; those of which the run named none are not among them.
        ageing: Schemes of buckets and stages.
        trials: Experiments of the stage, no arm of them stopped yet.
        models: Kind → the model that weighs; those that the ledger keeps.
        hashes: `kind/name` → hash of each.
        not_kept: Of those asked for, which the ledger does not keep: today's stands in for each.
    """

    treatment: Strategy
    packs: Packs
    texts: Texts
    ageing: AgingPolicy
    hashes: Mapping[str, str]
    models: Mapping[str, Model]
    trials: tuple[Trial, ...]
    not_kept: tuple[str, ...]


def in_force(connection: Connection, hashes: Mapping[str, str], today: Iterable[Policy], *, stage: str, at: datetime) -> InForce:
    """Read policies by their hashes.

    Args:
        connection: Any.
        hashes: `kind/name` → hash, as a run names them.
        today: Those in force today: they stand in for what is not kept, or is of a kind of which the run names none.
        stage: Whose strategy.
        at: Business instant, for approvals in live mode.

    Raises:
        ConfigError: A text cannot be read any more, which its form may have outgrown.
        LookupError: There is no strategy for the stage.
    """
    bodies = _bodies(connection, hashes)
    kinds = {_kind(name) for name in hashes}
    # A run that names its clearances was opened when calendars were kept too: where it names none, there was none.
    kinds |= {"calendar"} if "clearance" in kinds else set()
    standing_in = {
        policy_key(policy): policy
        for policy in today
        if policy_key(policy) not in bodies and (policy.kind not in kinds or policy_key(policy) in hashes)
    }
    used = {name: hashes[name] for name in bodies} | {name: policy.hash for name, policy in standing_in.items()}
    bodies |= {name: policy.body for name, policy in standing_in.items()}
    treatment = _treatment(stage, bodies)
    texts = _texts(tuple(_of_kind(bodies, "message").items()))
    packs = _packs(*(tuple(_of_kind(bodies, kind).items()) for kind in ("rules", "calendar", "clearance")))
    return InForce(
        treatment=treatment,
        packs=packs.in_live_mode(approved_packs(connection, at)) if settings().is_real else packs,
        texts=texts.in_live_mode(approved_messages(connection, at)) if settings().is_real else texts,
        ageing=_ageing(next(iter(_of_kind(bodies, "ageing").values()))),
        hashes=used,
        trials=_trials(stage, bodies),
        models={kind: Model.from_json(body) for kind, body in _of_kind(bodies, MODEL).items()},
        not_kept=tuple(sorted(name for name, version in hashes.items() if used.get(name) != version)),
    )


def treating(connection: Connection, hashes: Mapping[str, str], *, stage: str) -> tuple[Strategy, tuple[Trial, ...]]:
    """Who treats a run's borrowers, by the texts that it was opened with: its strategy, and the stage's experiments, no arm stopped yet.

    Raises:
        ConfigError: A text cannot be read any more, which its form may have outgrown.
        LookupError: A text that is needed is not kept.
    """
    bodies = _treating_bodies(connection, hashes)
    return _treatment(stage, bodies), _trials(stage, bodies)


def treatment_of(connection: Connection, run: Run) -> Strategy:
    """The strategy that a run was opened with: who may answer for the run does not change with the file, nor go with it.

    Where the ledger does not keep its text, or its form has outgrown it, today's file stands in.

    Raises:
        ConfigError: There is no such file, or it cannot be read.
    """
    try:
        return _treatment(run.stage, _treating_bodies(connection, run.policy_hashes))
    except (ConfigError, LookupError):
        return strategy(run.strategy, run.stage)


def _treating_bodies(connection: Connection, hashes: Mapping[str, str]) -> dict[str, str]:
    return _bodies(connection, {name: version for name, version in hashes.items() if _kind(name) in TREATING})


def _bodies(connection: Connection, hashes: Mapping[str, str]) -> dict[str, str]:
    """Of policies by their hashes, the texts that the ledger keeps: `kind/name` → text."""
    kept = {row.hash: row.body for row in connection.execute(_BODIES, {"hashes": list(hashes.values())})}
    return {name: kept[version] for name, version in hashes.items() if version in kept}


def _treatment(stage: str, bodies: Mapping[str, str]) -> Strategy:
    """The stage's strategy, with the champion of whom it holds out.

    Raises:
        ConfigError: A text cannot be read any more.
        LookupError: The strategy or its champion is not among the policies.
    """
    named = next((name for name in bodies if _kind(name) == "strategy" and name.endswith(f"/{stage}")), None)
    if named is None:
        raise LookupError(f"no strategy for the stage {stage} among these policies")
    return _with_champion(named.split("/")[1], stage, bodies[named], bodies)


def _with_champion(name: str, stage: str, text: str, bodies: Mapping[str, str]) -> Strategy:
    champion = champion_named(name, stage, text, KEPT)
    if champion is None:
        read = strategy_of(name, stage, text, KEPT)
    else:
        body = bodies.get(f"{ARM}/{champion}/{stage}")
        if body is None:
            raise LookupError(f"{name}/{stage} holds borrowers out for {champion}, which is not among these policies")
        read = strategy_of(name, stage, text, KEPT, champion=strategy_of(champion, stage, body, KEPT))
    if read.weighs_cost and "prices/prices" in bodies:
        return replace(read, prices=prices(KEPT / "prices.yaml", bodies["prices/prices"]))
    return read


def _trials(stage: str, bodies: Mapping[str, str]) -> tuple[Trial, ...]:
    """The experiments of the stage, with their arms' strategies.

    Raises:
        LookupError: An arm's strategy is not among the policies.
    """

    def arm(name: str) -> Strategy:
        body = bodies.get(f"{ARM}/{name}/{stage}")
        if body is None:
            raise LookupError(f"an experiment treats borrowers by {name}/{stage}, which is not among these policies")
        return _with_champion(name, stage, body, bodies)

    found = [experiment_of(name, body, KEPT) for name, body in _of_kind(bodies, EXPERIMENT).items()]
    return tuple(trial_of(one, arm, frozenset()) for one in found)


def policy_key(policy: Policy) -> str:
    """How a run names a policy: kind/name."""
    return f"{policy.kind}/{policy.name}"


def _kind(name: str) -> str:
    return name.partition("/")[0]


def _of_kind(bodies: Mapping[str, str], kind: str) -> dict[str, str]:
    return {name.removeprefix(f"{kind}/"): body for name, body in sorted(bodies.items()) if _kind(name) == kind}


Bodies = tuple[tuple[str, str], ...]


# A backfill asks for the same law for every one of its dates; reading it takes a second.
@lru_cache(maxsize=SEVERAL)
def _packs(rules: Bodies, calendars: Bodies, clearances: Bodies) -> Packs:
    beside = BesideThen(calendars=dict(calendars), clearances=dict(clearances).get("clearances"), where=KEPT)
    return packs_of({jurisdiction_of(name): body for name, body in rules}, KEPT, beside=beside)


@lru_cache(maxsize=SEVERAL)
def _texts(messages: Bodies) -> Texts:
    return texts_of(dict(messages), KEPT)


@lru_cache(maxsize=SEVERAL)
def _ageing(body: str) -> AgingPolicy:
    return aging_policy(Path(KEPT / "aging.yaml"), body)


_BODIES = text("SELECT hash, body FROM policy_version WHERE hash = ANY(:hashes)")
