"""Experiments: where each stands, and a look at one on a date that was promised.

A look is written down once a date, and an arm that is surely worse than its margin allows is stopped from the next run on: its borrowers
are treated by the champion. Nobody is promoted here: a strategy comes into force by two people's approval and TIDEOVER_STRATEGY.

In:   the files of config/experiments/, the ledger.
Out:  plain dictionaries for people and `--json`; rows of `experiment_look`.
Pure: no; reads and writes the ledger.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event
from sqlalchemy import Connection

from config.experiment_files import experiment, experiment_names, experiment_of
from config.settings import settings
from decisions.experiments import STOPPED, Experiment, judged, line_share
from ledger import clock, experiments
from ledger.engine import connection
from ledger.fairness_groups import read_groups
from ledger.law import KEPT
from ledger.policies import find_policy

STOPPED_EVENT: Final = "tideover.experiment.stopped"


class LookRefused(ValueError):
    """No look is taken; the message says why and what to do."""


def standings() -> list[dict[str, Any]]:
    """Every experiment that is written down, by name."""
    with connection(read_only=True, archive=True) as tx:
        begun, stopped = experiments.started(tx), experiments.stopped_arms(tx)
    return [_standing(experiment(name), begun, stopped) for name in experiment_names()]


def shown(name: str) -> dict[str, Any]:
    """One experiment with what was promised and what was seen.

    Raises:
        ConfigError: There is none of that name.
    """
    one = experiment(name)
    with connection(read_only=True, archive=True) as tx:
        standing = _standing(one, experiments.started(tx), experiments.stopped_arms(tx))
        seen = [{**look, "looked_on": look["looked_on"].isoformat()} for look in experiments.looks(tx, name)]
    return {
        **standing,
        "arms": [asdict(arm) for arm in one.arms],
        "borrowers_min": one.borrowers_min,
        "horizon_days": one.horizon_days,
        "looks": [day.isoformat() for day in one.looks],
        "alpha": one.alpha,
        "margins": [asdict(margin) for margin in one.margins],
        "group_gap": one.gap_max,
        "seen": seen,
    }


def look(name: str, *, dry_run: bool = False) -> dict[str, Any]:
    """Look at an experiment today, by the file that it began with.

    Args:
        name: Which.
        dry_run: Say whether a look may be taken and at how many borrowers; of what came of them nothing, for that would be a look.

    Returns:
        `experiment`, `looked_on`, `number`, `borrowers` (by arm), `verdicts` (None for a dry run), `stopped`.

    Raises:
        LookRefused: It has not begun, or today is none of its dates.
    """
    with connection(read_only=dry_run, archive=True) as tx:
        today = _today(tx)
        begun = experiments.started(tx).get(name)
        if begun is None:
            raise LookRefused(f"the experiment {name} has not begun: `tideover experiments list`")
        one = experiment_of(name, find_policy(tx, begun[0]).body, KEPT)
        before = experiments.looks(tx, name)
        again = next((seen for seen in before if seen["looked_on"] == today), None)
        if again is not None:
            return _looked(name, today, again["number"], None, again["verdicts"], again["stopped"])
        if not one.may_be_looked_at(today):
            raise LookRefused(_when(one, today))
        # Its last day is over for whoever's horizon ended yesterday, and payments have had their days to be posted.
        until = today - timedelta(days=settings().month_closes_after_days)
        outcomes = experiments.read_outcomes(tx, one, until=until, groups=lambda people: read_groups(tx, people))
        number, counts = len(before) + 1, {arm: len(seen.money) for arm, seen in outcomes.items()}
        if dry_run:
            return _looked(name, today, number, counts, None, [])
        verdicts = {verdict.arm: asdict(verdict) for verdict in judged(one, outcomes, look=number, day=today)}
        stopped = sorted(arm for arm, verdict in verdicts.items() if verdict["says"] == STOPPED)
        experiments.write_look(tx, name, day=today, number=number, verdicts=verdicts, stopped=stopped)
    return _looked(name, today, number, counts, verdicts, stopped)


@task(task_run_name="look at experiments", persist_result=False, cache_policy=NO_CACHE)
def take_looks() -> dict[str, list[str]]:
    """Take every look that was promised for today and is not taken yet; tell of arms that are stopped.

    Returns:
        Experiment → arms that this look stopped.
    """
    with connection(read_only=True, archive=True) as tx:
        today = _today(tx)
        promised = [
            one.name
            for name, (version, _) in sorted(experiments.started(tx).items())
            if (one := experiment_of(name, find_policy(tx, version).body, KEPT)).may_be_looked_at(today)
            and all(seen["looked_on"] != today for seen in experiments.looks(tx, name))
        ]
    stopped = {}
    for name in promised:
        found = look(name)
        said = ", ".join(f"{arm} {one['says']}" for arm, one in found["verdicts"].items())
        get_run_logger().info("%s, look %d: %s", name, found["number"], said)
        stopped[name] = list(found["stopped"])
        for arm in found["stopped"]:
            emit_event(
                event=STOPPED_EVENT,
                resource={"prefect.resource.id": f"tideover.experiment.{name}.{arm}", "prefect.resource.name": f"{arm} of {name}"},
                payload={"look": found["number"]},
            )
    return stopped


def _today(tx: Connection) -> date:
    return clock.now(tx).astimezone(ZoneInfo(settings().business_zone)).date()


def _looked(name: str, on: date, number: int, borrowers: dict[str, int] | None, verdicts: Any, stopped: list[str]) -> dict[str, Any]:
    said = {"experiment": name, "looked_on": on.isoformat(), "number": number}
    return {**said, "borrowers": borrowers, "verdicts": verdicts, "stopped": stopped}


def _when(one: Experiment, today: date) -> str:
    still = [day.isoformat() for day in one.looks if day > today]
    promised = f"the next look is on {still[0]}" if still else "all its looks are taken"
    return f"{one.name} is not looked at on {today.isoformat()}, as was promised before it began; {promised}"


def _standing(one: Experiment, begun: dict[str, tuple[str, date]], stopped: dict[str, list[str]]) -> dict[str, Any]:
    start = begun.get(one.name)
    return {
        "experiment": one.name,
        "question": one.question,
        "stages": list(one.stages),
        "first": one.first.isoformat(),
        "last": one.last.isoformat(),
        "share_of_borrowers": line_share(one),
        "started_on": None if start is None else start[1].isoformat(),
        "hash": None if start is None else start[0],
        "stopped": stopped.get(one.name, []),
    }
