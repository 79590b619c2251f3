"""Weigh: what a strategy with a model decides by: its models, the features of the people, the prices of what is scarce.

The models are fixed when a run is opened, and the prices before its first shard is decided; both are written down, so that every
shard, every retry and every replay weighs alike. Without a model that may be used nothing is decided: never by another strategy instead.

In:   a run; facts of some of its borrowers, and the connection that they were read from.
Out:  decisions/predicting.ByModels, ledger/run_policies.Common.
Pure: no; reads the ledger, writes `run_policy`.
Source: SCIENCE.md C1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from hashlib import sha256
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection

from config.experiment_files import EXPERIMENTS, experiment, experiment_body, trial_of
from config.load import ConfigError
from config.model_files import shipped_model
from config.policies import EXPERIMENT, Policy
from config.settings import settings
from config.strategy_files import strategy
from decisions.assignment import Trial, kinds_asked, line_key, who_asks, with_stopped
from decisions.choose import By, decide, price
from decisions.facts import Facts
from decisions.features import features
from decisions.messages import Texts
from decisions.models import Model
from decisions.packs import Packs
from decisions.policy import NO_PRICES, Prices, sample
from decisions.predicting import ByModels
from decisions.strategy import Strategy
from ledger import experiments, model_versions, run_policies
from ledger.approvals import MODEL
from ledger.campaigns import Run, read_shards, shard_borrowers
from ledger.engine import arrow, connection
from ledger.facts import read_facts
from ledger.frames import Ids, Source
from ledger.model_versions import NoModelError
from ledger.past import read_past
from ledger.run_policies import Common


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """What a run weighs by beside its policies.

    Attributes:
        common: Of all its decisions; None = a ladder alone decides, or there was no such run.
        models: Kind → model.
        trials: Experiments of the stage, with the arms that were stopped by then.
    """

    common: Common | None = None
    models: Mapping[str, Model] = field(default_factory=dict)
    trials: tuple[Trial, ...] = ()


LADDER_ALONE: Final = Weighing()


def model_policies(tx: Connection, kinds: Iterable[str], before: Mapping[str, str], *, at: datetime) -> Iterator[Policy]:
    """The models of a run that is opened: those that it was opened by before, else those in force.

    Args:
        tx: The step's transaction.
        kinds: From decisions/assignment.kinds_asked.
        before: Policy → version, as the run was opened before.
        at: Wall clock.

    Raises:
        NoModelError: One is missing, or may not be used; the message says what to do.
        UnreadableModelError: A text is not what its version says.
        ConfigError: A model that ships cannot be read.
    """
    for kind in kinds:
        version = before.get(f"{MODEL}/{kind}")
        model = model_versions.load(tx, version) if version else _in_force(tx, kind, at=at)
        yield Policy(MODEL, kind, model.as_json())


def _in_force(tx: Connection, kind: str, *, at: datetime) -> Model:
    try:
        return model_versions.model_for(tx, kind, at=at)
    except NoModelError:
        model = None if settings().is_real else shipped_model(kind)
        if model is None:
            raise
        return model


def models_in_force(tx: Connection, kinds: Iterable[str], *, at: datetime) -> dict[str, Model]:
    """The models by which would be decided now, by kind.

    Raises:
        NoModelError: As `model_policies`; likewise the other errors.
    """
    return {kind: _in_force(tx, kind, at=at) for kind in kinds}


def models_of(tx: Connection, run: Run, kinds: Iterable[str]) -> dict[str, Model]:
    """The models by which a run decides, by kind.

    Raises:
        NoModelError: The run was opened without one.
    """
    found = {}
    for kind in kinds:
        version = run.policy_hashes.get(f"{MODEL}/{kind}")
        if version is None:
            raise NoModelError(f"campaign run {run.id} was opened without a model of {kind}: run the flow again")
        found[kind] = model_versions.load(tx, version)
    return found


def predictor(
    source: Source,
    facts: Facts,
    kinds: Collection[str],
    models: Mapping[str, Model],
    *,
    at: datetime,
    business_date: date,
    known_at: datetime | None = None,
) -> ByModels | None:
    """Whom strategies ask about these people; None where they ask nobody.

    Raises:
        NoModelError: A model is missing.
    """
    if not kinds:
        return None
    if missing := sorted(set(kinds) - models.keys()):
        raise NoModelError(f"no model of {', '.join(missing)} is among these policies")
    past = read_past(source, facts=facts, at=at, business_date=business_date, known_at=known_at)
    return ByModels(models={kind: models[kind] for kind in kinds}, features=features(past, as_of=at))


def weighed(
    source: Source,
    facts: Facts,
    treatment: Strategy,
    packs: Packs,
    texts: Texts,
    weighing: Weighing,
    *,
    at: datetime,
    business_date: date,
    seed: bytes,
    known_at: datetime | None = None,
) -> pl.DataFrame:
    """Decide, by models where the strategy asks any: decisions/choose.DECISIONS.

    Args:
        source: That the facts were read from.
        facts: Of some borrowers.
        treatment: The strategy.
        packs: Rule packs.
        texts: All messages.
        weighing: Of the run; without `common`, prices are found on these borrowers and the line is the installation's of today.
        at: Business instant.
        business_date: Local date.
        seed: Of the run.
        known_at: Wall clock as of which the past is read; None = now.

    Raises:
        NoModelError: A model is missing.
        UnassignableError: Experiments or hold-outs want the same borrowers.
    """
    common, kinds = weighing.common, kinds_asked(treatment, weighing.trials)
    return decide(
        facts,
        treatment,
        packs,
        texts,
        at=at,
        business_date=business_date,
        seed=seed,
        predicts=predictor(source, facts, kinds, weighing.models, at=at, business_date=business_date, known_at=known_at),
        trials=weighing.trials,
        prices=None if common is None else common.prices,
        line=own_line() if common is None else common.line,
    )


def own_line() -> bytes:
    """The line of this installation."""
    return line_key(settings().seed.get_secret_value().encode())


def weighing_of(run: Run, treatment: Strategy, packs: Packs, texts: Texts, *, at: datetime) -> Weighing:
    """What a run weighs by.

    Raises:
        NoModelError: The run was opened without a model that it asks.
        ConfigError: An experiment's file is another one than when the run was opened, or cannot be read.
    """
    trials = trials_of(run)
    kinds = kinds_asked(treatment, trials)
    if not kinds and not trials:
        return LADDER_ALONE
    with connection() as tx:
        models = models_of(tx, run, kinds)
        stopped = experiments.stopped_arms(tx)
    weighing = Weighing(models=models, trials=with_stopped(trials, stopped))
    common = common_of(run, treatment, packs, texts, weighing, at=at)
    return replace(weighing, common=common, trials=with_stopped(trials, common.trials))


def trials_of(run: Run) -> tuple[Trial, ...]:
    """The experiments that a run was opened with.

    Raises:
        ConfigError: A file has changed since, or cannot be read.
    """
    found = []
    for name, version in run.policy_hashes.items():
        if name.startswith(f"{EXPERIMENT}/"):
            one = experiment(name.partition("/")[2])
            if sha256(experiment_body(one.name).encode()).hexdigest() != version:
                raise ConfigError(EXPERIMENTS / f"{one.name}.yaml", None, "", "has changed since the run was opened: bring it back")
            found.append(trial_of(one, lambda arm: strategy(arm, run.stage), frozenset()))
    return tuple(sorted(found, key=lambda one: one.name))


def common_of(run: Run, treatment: Strategy, packs: Packs, texts: Texts, weighing: Weighing, *, at: datetime) -> Common:
    """What all shards of a run have in common; found by the first one that asks."""
    with connection() as tx:
        found = run_policies.read_common(tx, run.id)
    if found is not None:
        return found
    line = own_line()
    prices = _prices(run, treatment, packs, texts, weighing, line=line, at=at)
    stopped = {one.name: sorted(one.stopped) for one in weighing.trials}
    with connection() as tx:
        return run_policies.keep_common(tx, run.id, Common(line=line, prices=prices, trials=stopped), at=at)


def _prices(run: Run, treatment: Strategy, packs: Packs, texts: Texts, weighing: Weighing, *, line: bytes, at: datetime) -> Prices:
    """On some borrowers of every shard; a model is asked only where something is scarce."""
    asking = who_asks(treatment, weighing.trials)
    if asking is None or asking.learned is None:
        return NO_PRICES
    learned = asking.learned
    with connection() as tx:
        shards = read_shards(tx, run.id)
    whole = sum(shard.borrowers for shard in shards)
    with arrow() as source:
        parties: list[int] = []
        for shard in shards:
            ids = shard_borrowers(source, run, shard)
            parties += sample(_ids(ids), max(1, learned.sample_max * shard.borrowers // max(whole, 1))).to_list()
        facts = read_treated(source, sorted(parties), treatment, weighing.trials, at=at, business_date=run.business_date)
        asked = kinds_asked(treatment, weighing.trials) if learned.caps else ()
        predicts = predictor(source, facts, asked, weighing.models, at=at, business_date=run.business_date)
    by = By(packs=packs, texts=texts, at=at, business_date=run.business_date, predicts=predicts)
    counts = facts.borrowers.group_by("creditor_id").len().iter_rows()
    totals = {creditor: round(count * whole / max(len(parties), 1)) for creditor, count in counts}
    return price(facts, treatment, by, trials=weighing.trials, line=line, totals=totals)


def looked_at(treatment: Strategy, trials: Sequence[Trial], business_date: date) -> dict[str, Any]:
    """As far as what facts a strategy looks, and every arm that is tried beside it: arguments of ledger/facts.read_facts."""
    all_of_them = [treatment, *(arm for trial in trials for _, _, arm in trial.arms)]
    since = [day for one in all_of_them if (day := one.payments_since(business_date)) is not None]
    return {
        "treated_by": tuple(dict.fromkeys(stage for one in all_of_them for stage in one.looks_at)),
        "falls_back": any(one.falls_back for one in all_of_them),
        "payments_since": min(since, default=None),
    }


def read_treated(
    source: Source, parties: Ids, treatment: Strategy, trials: Sequence[Trial] = (), *, at: datetime, business_date: date
) -> Facts:
    """Facts of some borrowers as far as a strategy and what is tried beside it look at them, aged as `tasks/pick` aged them."""
    return read_facts(
        source,
        parties=parties,
        at=at,
        business_date=business_date,
        loans="planned",
        **looked_at(treatment, trials, business_date),
    )


def _ids(parties: Sequence[int]) -> pl.Series:
    return pl.Series(list(parties), dtype=pl.Int64)
