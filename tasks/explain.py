"""Explain: why one borrower was contacted, or left in peace, or would be today.

In:   the lender's id of a borrower, or ours; a date.
Out:  decisions/explain.explain's dictionary, with what the log says of the same date: the decision as it was written,
      whether it replays, which policies changed since, and what became of each attempt.
Pure: no; reads the ledger, writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from config.experiment_files import running
from config.message_files import message_texts
from config.policies import Policy, policies
from config.settings import settings
from config.strategy_files import REST_DAYS_MAX, stages_of, strategy, strategy_names
from decisions.assignment import kinds_asked, with_stopped
from decisions.candidates import owed
from decisions.choose import CAPPED
from decisions.explain import as_json, differences, explain
from decisions.model_words import model_part
from decisions.predicting import ByModels
from decisions.strategy import STAGE_ORDER
from ledger import clock
from ledger.campaigns import read_flow_runs, read_run, seed_of
from ledger.decisions_log import Decided, find_party, read_attempts, read_decision
from ledger.engine import connection
from ledger.facts import read_facts
from ledger.in_force import in_force, policy_key
from ledger.law import law_in_force, texts_in_force
from ledger.model_versions import NoModelError
from ledger.run_policies import read_common
from tasks.weigh import model_policies, models_in_force, own_line, predictor

# A day that is not today, and on which nothing was decided, is looked at from its middle.
MIDDAY: Final = time(12)


def explain_borrower(named: str, as_of: date | None = None) -> dict[str, Any]:
    """Tell everything about one borrower's decision on a date.

    Where a decision is in the log, the facts are read as they were known when it was made, and it is made again at its
    own instant, by the policies that were in force then: rules with their calendars and clearances, strategy, texts,
    ageing. Where there is none, it is made now as it would be: at this instant, or at midday of another date.

    Args:
        named: The lender's id of the borrower, or ours as #123.
        as_of: Local business date; None = today, on the one clock.

    Returns:
        The dictionary of `decisions.explain.explain`, and `model` (what a model's say rested on, or None), `campaign_run_id`, `flow_runs`
        (where people see them, or their ids), `stored` (the decision's row, or None), `replays` (None where nothing is stored),
        `differences`, `policies_changed` (since then), `policies_not_kept` (of the run's, which the ledger does not keep: today's stand
        in), `attempts`.

    Raises:
        UnknownBorrowerError: No such borrower, or several.
        NoModelError: Nothing is decided yet, and the strategy in force asks a model that there is not.
    """
    with connection(archive=True) as tx:
        party = find_party(tx, named)
        now = clock.now(tx)
        zone = ZoneInfo(settings().business_zone)
        on = as_of or now.astimezone(zone).date()
        stage, stored = _decided(tx, party, on)
        at = now if on == now.astimezone(zone).date() else datetime.combine(on, MIDDAY, zone)
        run = read_run(tx, stored.campaign_run_id) if stored else None
        law, texts = law_in_force(tx), texts_in_force(tx, message_texts())
        # Its own strategy, which a run may name beside the one in force: what has changed is texts.
        own = run.strategy if run and run.strategy in strategy_names() else None
        today = policies(stage, law.bodies, own, running(stage, on) if run else ()) if stage else ()
        then = in_force(tx, run.policy_hashes, today, stage=run.stage, at=stored.decided_at) if run and stored else None
        facts = read_facts(
            tx,
            parties=[party],
            at=stored.decided_at if stored else at,
            business_date=on,
            loans="now",
            known_at=stored.facts_known_at if stored else None,
            treated_by=STAGE_ORDER,
            falls_back=True,
            payments_since=on - timedelta(days=REST_DAYS_MAX),
            ageing=then.ageing if then else None,
        )
        named = settings().strategy
        stage = stage or next(iter(set(owed(facts.loans)["stage"]) & set(stages_of(named))), stages_of(named)[0])
        treatment = then.treatment if then else strategy(named, stage)
        common = read_common(tx, run.id) if run else None
        when: dict[str, Any] = {"at": stored.decided_at if stored else at, "business_date": on}
        known_at = stored.facts_known_at if stored else None
        trials = with_stopped(then.trials if then else (), common.trials if common else {})
        kinds = kinds_asked(treatment, trials)
        models = then.models if then else models_in_force(tx, kinds, at=at)
        predicts = predictor(tx, facts, kinds, models, known_at=known_at, **when)
        today = (*today, *_models_today(tx, kinds, at=now))
        flow_runs = read_flow_runs(tx, run.id) if run else []
        attempts = read_attempts(tx, party, business_date=on)
    told = explain(
        facts,
        treatment,
        then.packs if then else law.packs,
        then.texts if then else texts,
        seed=(run.seed if run else seed_of(stage, on)).encode(),
        predicts=predicts,
        prices=common.prices if common else None,
        trials=trials,
        line=common.line if common else own_line(),
        put_off=stored is not None and CAPPED in stored.row["reasons"],
        **when,
    )
    differing = differences(told, stored.row) if stored else []
    return told | as_json(
        {
            "model": _model_part(told, predicts),
            "campaign_run_id": run.id if run else None,
            "flow_runs": [settings().flow_run_address(one) or str(one) for one in flow_runs],
            "stored": stored.row if stored else None,
            "replays": not differing if stored else None,
            "differences": differing,
            "policies_changed": _changed(run.policy_hashes, today) if run else [],
            "policies_not_kept": list(then.not_kept) if then else [],
            "attempts": attempts,
        }
    )


def _model_part(told: Mapping[str, Any], predicts: ByModels | None) -> dict[str, Any] | None:
    """What the model's say rested on: of the contact that was chosen, or else of the one that came nearest."""
    contacts = [arm for arm in told["arms"] if arm["channel"] is not None and arm["gain"] is not None]
    if predicts is None or not contacts:
        return None
    decision = told["decision"]
    taken = [arm for arm in contacts if all(arm[name] == decision[name] for name in ("channel", "contact_point_id", "offer", "hour_slot"))]
    paying, *_ = told["strategy"]["models"]
    return model_part(predicts.models[paying], predicts.features, max(taken or contacts, key=lambda arm: arm["score"]))


def _models_today(tx: Connection, kinds: Iterable[str], *, at: datetime) -> tuple[Policy, ...]:
    """The models that a run would be opened by now; none where it would be refused."""
    try:
        return tuple(model_policies(tx, kinds, {}, at=at))
    except NoModelError:
        return ()


def _decided(tx: Connection, party: int, on: date) -> tuple[str | None, Decided | None]:
    # The worst one, should a later import have moved somebody within the day; `attempts` lists those of every stage.
    for stage in reversed(STAGE_ORDER):
        stored = read_decision(tx, party, stage=stage, business_date=on)
        if stored is not None:
            return stage, stored
    return None, None


def _changed(decided_by: Mapping[str, str], in_force_today: Iterable[Policy]) -> list[str]:
    """Policies of the run whose text is another one today."""
    today = {policy_key(policy): policy.hash for policy in in_force_today}
    return sorted(name for name in decided_by.keys() | today.keys() if decided_by.get(name) != today.get(name))
