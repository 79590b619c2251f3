"""The frame of a campaign run: open it, close it, and show operations what happened.

In:   a stage and a date; the ledger.
Out:  a campaign run's row; the stage's day as artifacts of the flow run: one page, tables, pictures.
Pure: no. Artifacts hold counts and rule ids only, never a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from prefect import Task, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas import State, TaskRun
from prefect.runtime import flow_run
from sqlalchemy import Connection

from config.canary import canary
from config.experiment_files import running, trial_of
from config.policies import EXPERIMENT, Policy, policies
from config.settings import settings
from config.strategy_files import strategy
from config.zones import zone_tables
from decisions.assignment import kinds_asked
from decisions.experiments import Experiment
from decisions.models import UnreadableModelError
from decisions.strategy import Strategy
from ledger import campaigns, clock, experiments
from ledger.engine import connection
from ledger.funnel import STEPS
from ledger.law import law_in_force
from ledger.model_versions import NoModelError
from ledger.strategy_approvals import must_be_approved
from tasks.progress import WHOLE, tell
from tasks.report import read_stage_day
from tasks.report_artifacts import show
from tasks.weigh import model_policies


class ShardsUnfinished(RuntimeError):
    """Some of a run's work is not done; what is done stands. Run the flow again to complete it."""

    def __init__(self, campaign_run_id: int, unfinished: dict[str, int]) -> None:
        left = ", ".join(f"{count} {what}" for what, count in sorted(unfinished.items()))
        super().__init__(f"campaign run {campaign_run_id} is unfinished: {left}; run the flow again for the same date to complete it")
        self.campaign_run_id = campaign_run_id
        self.unfinished = unfinished


class StrategyRefused(RuntimeError):
    """No run is opened by this strategy; the message says why and what to do."""


def business_date(due: datetime, country: str | None = None) -> date:
    """The local date that a run without `as_of` treats.

    In the sandbox the date on the simulated clock. Otherwise the date on which the run was due, in the zone of the country
    or of the whole portfolio: a run that starts late, after midnight, still treats its own day (PREFECT.md, the time-zone trap).

    Args:
        due: When the run was scheduled to start.
        country: Of the creditors (ISO 3166-1); None = all of them, by the clock of `TIDEOVER_BUSINESS_ZONE`.

    Raises:
        ValueError: The country is unknown, or keeps several clocks of which none is named.
    """
    with connection() as tx:
        instant = clock.now(tx) if clock.is_simulated(tx) else due
    return instant.astimezone(ZoneInfo(business_zone(country))).date()


def business_zone(country: str | None) -> str:
    """The zone by whose clock a business date begins: of a country, or of the whole portfolio (None).

    Raises:
        ValueError: The country is unknown, or keeps several clocks of which none is named.
    """
    if country is None:
        return settings().business_zone
    zone = zone_tables().business_zone(country)
    if zone is None:
        raise ValueError(f"{country}: no such country, or it keeps several clocks; name one under `business_clocks` in config/zones.yaml")
    return zone


@task(task_run_name="open {stage}", retries=2, retry_delay_seconds=[5, 30], persist_result=False, cache_policy=NO_CACHE)
def open_campaign(
    stage: str,
    as_of: date | None,
    country: str | None = None,
    *,
    preview: bool,
    limit: int | None,
    named: str | None = None,
    approval: Literal["as the strategy says", "required"] = "as the strategy says",
) -> int:
    """Open the stage's run for a date, or find the one that a former run opened.

    Args:
        stage: early, ….
        as_of: Local business date; None = `business_date` of when the run was due.
        country: Only borrowers of creditors in this country; None = all.
        preview: Decide and show only.
        limit: Borrowers at most; None = all.
        named: The strategy; None = the one in force (`TIDEOVER_STRATEGY`).
        approval: `required` = people are asked before anything is sent, however little it is.

    Returns:
        Id of the campaign run.

    Raises:
        StrategyNotApproved: With the real providers; a preview may be opened all the same, since it only shows.
        StrategyRefused: The strategy may not treat anybody here.
    """
    day = as_of or business_date(flow_run.scheduled_start_time, country)
    treatment = strategy(named or settings().strategy, stage)
    if treatment.only_simulated and settings().is_real:
        raise StrategyRefused(f"{treatment.name} is a straw man for the simulation: no real person is treated by it. Name another strategy")
    with connection() as tx:
        law = law_in_force(tx)
        tried = running(stage, day)
        kept = policies(stage, law.bodies, treatment.name, tried)
        if not preview:
            must_be_approved(tx, kept)
        kept = (*kept, *_models(tx, treatment, tried, day, country or campaigns.ALL))
        if not preview:
            _begun(tx, tried, kept, day)
        run = campaigns.open_run(
            tx,
            stage=stage,
            business_date=day,
            scope=country or campaigns.ALL,
            preview=preview,
            borrowers_max=limit,
            policies=kept,
            at=clock.now(tx),
            approval_above=0 if approval == "required" else treatment.approval_above,
            few_first=settings().mode in canary().modes,
        )
        if flow_run.id is not None:
            campaigns.note_flow_run(tx, run, UUID(flow_run.id))
    if law.fault is not None:
        show_fault(law.fault, stage=stage, day=day)
    get_run_logger().info("%s %s: campaign run %d%s", stage, day.isoformat(), run, ", preview" if preview else "")
    return run


def _begun(tx: Connection, tried: Sequence[Experiment], kept: Sequence[Policy], day: date) -> None:
    """Freeze the experiments that begin today.

    Raises:
        StrategyRefused: The file of one that has begun is another one now.
    """
    files = {policy.name: policy for policy in kept if policy.kind == EXPERIMENT}
    for one in tried:
        frozen = experiments.begin(tx, one.name, policy=files[one.name], day=day)
        if frozen != files[one.name].hash:
            raise StrategyRefused(
                f"the experiment {one.name} has begun with another file ({frozen[:12]}): what was promised stays. Bring that file back, "
                "or give what is new a name of its own"
            )


def _models(tx: Connection, treatment: Strategy, tried: Sequence[Experiment], day: date, scope: str) -> list[Policy]:
    """The models that the run is to be decided by.

    Raises:
        StrategyRefused: There is none that may be used.
    """
    before = campaigns.policies_of_run(tx, stage=treatment.stage, business_date=day, scope=scope)
    try:
        trials = [trial_of(one, lambda arm: strategy(arm, treatment.stage), frozenset()) for one in tried]
        return list(model_policies(tx, kinds_asked(treatment, trials), before, at=clock.now(tx)))
    except (NoModelError, UnreadableModelError) as fault:
        raise StrategyRefused(f"{treatment.name}/{treatment.stage} is not run: {fault}. Or name another strategy") from None


def show_fault(fault: str, *, stage: str, day: date) -> None:
    """Say loudly, in the log and on the run's own page, that the law is not the one in the files."""
    get_run_logger().error("%s %s: %s", stage, day.isoformat(), fault)
    create_markdown_artifact(
        key=f"{stage.replace('_', '-')}-{day.isoformat()}-law",
        markdown=f"**{fault}**",
        description="The rule packs in config/rules/ cannot be read; this run goes on with the last good ones (TIDEOVER_RULES_LAST_GOOD).",
    )


def _may_pass(_task: Task[..., Any], _task_run: TaskRun, state: State[Any]) -> bool:
    """What is unfinished stays so, however often one asks; anything else may be the database's bad moment."""
    return not isinstance(state.result(raise_on_failure=False), ShardsUnfinished)


@task(
    task_run_name="close run {campaign_run_id}",
    retries=2,
    retry_delay_seconds=[5, 30],
    retry_condition_fn=_may_pass,
    persist_result=False,
    cache_policy=NO_CACHE,
)
def close_campaign(campaign_run_id: int) -> int:
    """Show what happened, then ask the ledger whether all is done.

    Returns:
        Id of the campaign run.

    Raises:
        ShardsUnfinished: Shards are undecided, or attempts are still on their way out.
    """
    with connection() as tx:
        unfinished = campaigns.unfinished(tx, campaign_run_id)
        if not unfinished:
            campaigns.close_run(tx, campaign_run_id, at=clock.now(tx))
    found = read_stage_day(campaign_run_id)
    show(found)
    get_run_logger().info(
        "%s: %d borrowers, %d withheld, %s",
        found.title,
        found.funnel.borrowers,
        found.funnel.withheld,
        ", ".join(f"{found.funnel.total(step)} {step}" for step in STEPS),
    )
    if unfinished:
        tell(0, "not done: " + ", ".join(f"{count} {what}" for what, count in unfinished.items()))
        raise ShardsUnfinished(campaign_run_id, unfinished)
    tell(WHOLE, "done")
    return campaign_run_id
