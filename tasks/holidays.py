"""Holidays: on a public holiday of the creditor's country a stage leaves everybody in peace, and says so.

The law's own holidays are rules of the packs, which the gate applies to each person. This is the house's courtesy on top
of them: `on_holidays` in a stage's strategy.

In:   a stage, a date, a country; the stage's strategy; config/calendars; which countries the creditors are in.
Out:  a note for operations, as text and as an artifact of the flow run; None on an ordinary day.
Pure: no.
"""

from __future__ import annotations

from datetime import date

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from config.calendar_files import calendars
from config.settings import settings
from config.strategy_files import strategy
from decisions.rules.calendars import holiday_name
from ledger.campaigns import creditor_countries
from ledger.engine import connection
from tasks.record import business_date


@task(task_run_name="holiday for {stage}?", retries=2, retry_delay_seconds=[5, 30], persist_result=False, cache_policy=NO_CACHE)
def holiday(stage: str, as_of: date | None, country: str | None, named: str | None = None) -> str | None:
    """Say whether the stage rests on this date.

    Where creditors are in several countries and none is named, a holiday of any of them lets all rest: nobody can be contacted
    on a day off because another country works. The note says which parts can be run by themselves.

    Args:
        stage: early, ….
        as_of: Local business date; None = `business_date` of when the run was due.
        country: Only the creditors of this country; None = all.
        named: The strategy; None = the one in force.

    Returns:
        The note; None = the stage runs.
    """
    day = as_of or business_date(flow_run.scheduled_start_time, country)
    note = day_off(stage, day, country, named)
    if note is None:
        return None
    get_run_logger().info("%s %s: %s", stage, day.isoformat(), note)
    create_markdown_artifact(
        key="-".join([stage.replace("_", "-"), *([country.lower()] if country else []), day.isoformat(), "holiday"]),
        markdown=f"**{stage} {day.isoformat()}**: {note}",
        description="`on_holidays` in the stage's strategy; days that the calendars do not know go into config/calendars.",
    )
    return note


def day_off(stage: str, day: date, country: str | None, named: str | None = None) -> str | None:
    """Whether the stage rests on a date, and why; None = it does not."""
    if not strategy(named or settings().strategy, stage).rests_on_holidays:
        return None
    with connection() as tx:
        countries = [country] if country else creditor_countries(tx)
    resting = {one: name for one in countries if (name := _name(one, day))}
    if not resting:
        return None
    note = f"holiday: {', '.join(f'{name} ({one})' for one, name in resting.items())}; nobody is contacted"
    if at_work := [one for one in countries if one not in resting]:
        note += f". No holiday in {', '.join(at_work)}: run the stage there with `country`"
    return note


def _name(country: str, day: date) -> str | None:
    try:
        return holiday_name(country, day, calendars())
    except NotImplementedError:
        get_run_logger().warning("no calendar of holidays is known for %s; the law's own rules hold all the same", country)
        return None
