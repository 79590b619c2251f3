"""The frame of a campaign run: open it, close it, and show operations what happened.

In:   a stage and a date; the ledger.
Out:  a campaign run's row; a funnel table, a table of reasons and a picture as artifacts of the flow run.
Pure: no. Artifacts hold counts and rule ids only, never a person.
"""

from __future__ import annotations

import base64
import io
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from prefect import Task, get_run_logger, task
from prefect.artifacts import create_image_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas import State, TaskRun
from prefect.runtime import flow_run

from config.policies import policies
from config.settings import settings
from ledger import campaigns, clock
from ledger.engine import connection
from ledger.funnel import STEPS, Funnel, read_funnel

# From light to dark along the funnel; apart for colour-blind eyes too.
STEP_COLOURS = ("#c6dbef", "#9ecae1", "#6baed6", "#4292c6", "#2171b5", "#08306b")
WITHHELD_COLOUR = "#969696"
REASONS_SHOWN_MAX = 12


class ShardsUnfinished(RuntimeError):
    """Some of a run's work is not done; what is done stands. Run the flow again to complete it."""

    def __init__(self, campaign_run_id: int, unfinished: dict[str, int]) -> None:
        left = ", ".join(f"{count} {what}" for what, count in sorted(unfinished.items()))
        super().__init__(f"campaign run {campaign_run_id} is unfinished: {left}; run the flow again for the same date to complete it")
        self.campaign_run_id = campaign_run_id
        self.unfinished = unfinished


def business_date(due: datetime) -> date:
    """The local date that a run without `as_of` treats.

    In the sandbox the date on the simulated clock. Otherwise the date on which the run was due, in the portfolio's
    zone: a run that starts late, after midnight, still treats its own day (PREFECT.md, the time-zone trap).

    Args:
        due: When the run was scheduled to start.
    """
    with connection() as tx:
        instant = clock.now(tx) if clock.is_simulated(tx) else due
    return instant.astimezone(ZoneInfo(settings().business_zone)).date()


@task(task_run_name="open {stage}", retries=2, retry_delay_seconds=[5, 30], persist_result=False, cache_policy=NO_CACHE)
def open_campaign(stage: str, as_of: date | None, *, preview: bool, limit: int | None) -> int:
    """Open the stage's run for a date, or find the one that a former run opened.

    Args:
        stage: early, ….
        as_of: Local business date; None = `business_date` of when the run was due.
        preview: Decide and show only.
        limit: Borrowers at most; None = all.

    Returns:
        Id of the campaign run.
    """
    day = as_of or business_date(flow_run.scheduled_start_time)
    with connection() as tx:
        run = campaigns.open_run(
            tx,
            stage=stage,
            business_date=day,
            scope="all",
            preview=preview,
            borrowers_max=limit,
            policies=policies(stage),
            at=clock.now(tx),
        )
    get_run_logger().info("%s %s: campaign run %d%s", stage, day.isoformat(), run, ", preview" if preview else "")
    return run


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
        funnel = read_funnel(tx, campaign_run_id)
        run = campaigns.read_run(tx, campaign_run_id)
        unfinished = campaigns.unfinished(tx, campaign_run_id)
        if not unfinished:
            campaigns.close_run(tx, campaign_run_id, at=clock.now(tx))
    title = f"{run.stage} {run.business_date.isoformat()}" + (" (preview)" if run.preview else "")
    show(funnel, title=title, key=f"{run.stage.replace('_', '-')}-{run.business_date.isoformat()}")
    get_run_logger().info(
        "%s: %d borrowers, %d withheld, %s",
        title,
        funnel.borrowers,
        funnel.withheld,
        ", ".join(f"{funnel.total(step)} {step}" for step in STEPS),
    )
    if unfinished:
        raise ShardsUnfinished(campaign_run_id, unfinished)
    return campaign_run_id


def show(funnel: Funnel, *, title: str, key: str) -> None:
    """Put the funnel and the reasons into the Prefect UI, as tables and as a picture."""
    create_table_artifact(
        key=f"{key}-funnel",
        description=f"**{title}**: {funnel.borrowers} borrowers looked at, {funnel.withheld} left in peace.",
        table=funnel.by_channel.to_dicts() or [{"channel": "none", **dict.fromkeys(STEPS, 0)}],
    )
    create_table_artifact(
        key=f"{key}-withheld",
        description=f"**{title}**: why people were left in peace. `tideover explain` says it for one person, with the citation.",
        table=funnel.by_reason.to_dicts() or [{"reason": "nobody was withheld", "borrowers": 0}],
    )
    create_image_artifact(
        image_url="data:image/png;base64," + base64.b64encode(picture(funnel, title=title)).decode(),
        key=f"{key}-picture",
        description=f"**{title}**",
    )


def picture(funnel: Funnel, *, title: str) -> bytes:
    """The funnel beside the reasons for leaving people in peace, as PNG."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    steps, reasons = figure.subplots(1, 2, width_ratios=(3, 2))

    counts = [funnel.total(step) for step in STEPS]
    bars = steps.barh(STEPS, counts, color=STEP_COLOURS)
    steps.bar_label(bars, padding=3)
    steps.invert_yaxis()
    steps.margins(x=0.12)
    steps.set_title("contacted")

    top = funnel.by_reason.head(REASONS_SHOWN_MAX)
    if top.is_empty():
        reasons.text(0.5, 0.5, "nobody", ha="center", va="center", transform=reasons.transAxes)
        reasons.set_yticks([])
    else:
        bars = reasons.barh(top["reason"].to_list(), top["borrowers"].to_list(), color=WITHHELD_COLOUR)
        reasons.bar_label(bars, padding=3)
        reasons.invert_yaxis()
        reasons.margins(x=0.15)
    reasons.set_title(f"left in peace: {funnel.withheld} of {funnel.borrowers}")
    for axes in (steps, reasons):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(axis="x", labelbottom=False, length=0)

    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=110)
    return png.getvalue()
