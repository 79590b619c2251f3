"""A day in the Prefect UI: one page, tables that sort, pictures; of each stage, and of the whole portfolio.

In:   a campaign run, or a business date; the ledger.
Out:  artifacts of the flow run, under keys that name stage, country and date; a later look at the same date is a new version of them.
Pure: no. Artifacts hold counts and rule ids only, never a person.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from prefect import get_run_logger, task
from prefect.artifacts import create_image_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from config.settings import STATE_FOLDER, settings
from ledger import campaigns
from ledger.engine import connection
from ledger.funnel import STEPS
from tasks.month_page import page as month_page
from tasks.month_page import tables as month_tables
from tasks.month_report import months_and_countries, read_month
from tasks.pictures import as_address, funnel_picture, roll_picture
from tasks.report import StageDay, read_rolls, read_stage_day
from tasks.report_page import page, portfolio_page

PORTFOLIO: Final = "portfolio"


@task(task_run_name="runs on {day}", retries=2, retry_delay_seconds=[5, 30], persist_result=False, cache_policy=NO_CACHE)
def runs_on(day: date) -> list[int]:
    """Campaign runs of a date: of each stage, and of each part of the portfolio."""
    with connection() as tx:
        return campaigns.runs_of(tx, day)


@task(task_run_name="report run {campaign_run_id}", retries=2, retry_delay_seconds=[5, 30], persist_result=False, cache_policy=NO_CACHE)
def report_run(campaign_run_id: int) -> None:
    """Show a stage's day as it stands now."""
    found = read_stage_day(campaign_run_id)
    show(found)
    get_run_logger().info("%s: %d sent, %d paid since", found.title, found.funnel.total("sent"), found.funnel.total("paid"))


@task(task_run_name="report portfolio {day}", retries=2, retry_delay_seconds=[5, 30], persist_result=False, cache_policy=NO_CACHE)
def report_portfolio(day: date) -> None:
    """Show where all loans went up to a date; nothing where it, or no date before it, was aged."""
    rolls = read_rolls(day, None)
    key, title = f"{PORTFOLIO}-{day.isoformat()}", f"{PORTFOLIO} {day.isoformat()}"
    create_markdown_artifact(key=key, markdown=portfolio_page(day, rolls), description=f"**{title}**: where all loans went.")
    rolled = roll_picture(rolls, title=title)
    if rolled is not None:
        create_image_artifact(image_url=as_address(rolled), key=f"{key}-rolls", description=f"**{title}**: where all loans went")


@task(task_run_name="countries of {month}", retries=2, retry_delay_seconds=[5, 30], persist_result=False, cache_policy=NO_CACHE)
def months_of(month: str) -> list[str]:
    """Countries that get a page of a month."""
    return months_and_countries(month, None)[1]


@task(task_run_name="report {month} {country}", retries=2, retry_delay_seconds=[5, 30], persist_result=False, cache_policy=NO_CACHE)
def report_month(month: str, country: str) -> None:
    """Leave the month's page in the folder of reports, and show its tables; a later look takes the place of an earlier one."""
    found = read_month(month, country)
    folder = settings().report_dir or STATE_FOLDER / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{found.name}.html"
    file.write_text(month_page(found), "utf-8")
    create_markdown_artifact(
        key=f"month-{found.name}", markdown=month_tables(found, file.name), description=f"**{month}, {country}**: the month's tables."
    )
    get_run_logger().info("%s %s: %s", month, country, file)


def month_before(day: date) -> str:
    """The month before a date's, like 2026-03."""
    return f"{day.replace(day=1) - timedelta(days=1):%Y-%m}"


def show(found: StageDay) -> None:
    """Put a stage's day into the Prefect UI: one page, the funnel and the reasons as tables that sort, and two pictures."""
    funnel, key = found.funnel, found.key
    create_markdown_artifact(key=key, markdown=page(found), description=f"**{found.title}**: the whole day on one page.")
    create_table_artifact(
        key=f"{key}-funnel",
        description=f"**{found.title}**: {funnel.borrowers} borrowers looked at, {funnel.withheld} left in peace.",
        table=funnel.by_channel.to_dicts() or [{"channel": "none", **dict.fromkeys(STEPS, 0)}],
    )
    create_table_artifact(
        key=f"{key}-withheld",
        description=f"**{found.title}**: why people were left in peace. `tideover explain` says it for one person, with the citation.",
        table=funnel.by_reason.to_dicts() or [{"reason": "nobody was withheld", "borrowers": 0}],
    )
    create_image_artifact(
        image_url=as_address(funnel_picture(funnel, title=found.title)), key=f"{key}-picture", description=f"**{found.title}**"
    )
    rolled = roll_picture(found.rolls, title=found.title)
    if rolled is not None:
        create_image_artifact(image_url=as_address(rolled), key=f"{key}-rolls", description=f"**{found.title}**: where loans went")
