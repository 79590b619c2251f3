"""Report: the day of every stage, as one page each, when people have answered and paid; and where all loans went.

A stage's own run shows the same page when it ends; by the evening there is more to see. On the first of a month, and for any month
by hand, each country gets the page of a month too. Reads the ledger, contacts nobody, and may be run again. Scheduled in prefect.yaml.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field

from flows.run_names import local_day
from tasks.record import business_date
from tasks.report_artifacts import month_before, months_of, report_month, report_portfolio, report_run, runs_on


def run_name() -> str:
    """Name the run by its date, so that the list in the UI reads as a calendar."""
    return f"report {flow_run.parameters.get('day') or local_day()}"


@flow(name="report", flow_run_name=run_name, timeout_seconds=3600)
def report(day: date | None = None, month: Annotated[str, Field(pattern=r"^(\d{4}-\d{2})?$")] = "") -> int:
    """Show what a day came to: funnel, roll rates, cures, promises, cost, complaints, who was left in peace and why.

    Args:
        day: Business date to look at. Empty = the date on which this run was due, in the portfolio's zone.
        month: Like 2026-03: make the pages of that month instead, one a country. Empty = those of the month before, on its first date only.

    Returns:
        How many campaign runs that date had; with a month, how many pages were made.
    """
    if month:
        return _month(month)
    on = day or business_date(flow_run.scheduled_start_time)
    runs = runs_on(on)
    for run in runs:
        report_run(run)
    report_portfolio(on)
    if on.day == 1:
        _month(month_before(on))
    return len(runs)


def _month(month: str) -> int:
    countries = months_of(month)
    for country in countries:
        report_month(month, country)
    return len(countries)
