"""Catch up: days that an outage missed are recorded as missed, and today's stages run. "The message of last Tuesday" is never sent.

A missed day gets its ageing and, for each stage, a campaign run that says "missed, caught up on …" and takes nothing up any more;
what a run that broke off had planned is taken back. Then the stages' own flows run for today (flows/backfill.py): by
today's law and clock, one contact at most a person, caps as of now. Where they ran already, they find their work done.

In:   a `CatchUp`.
Out:  a step of the backfill a date: what became of each stage.
Pure: no.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from config.policies import policies
from ledger import clock, missed_runs
from ledger.aging_facts import age_portfolio
from ledger.backfills import Backfill, no_differences, open_backfill, wall_clock, write_step
from ledger.campaigns import ALL
from ledger.engine import connection
from ledger.law import law_in_force
from tasks.backfill_requests import CatchUp
from tasks.holidays import day_off
from tasks.re_decide import BackfillRefused, decided_again, policies_in_files
from tasks.record import business_zone

SUNDAY: Final = 6
REST: Final = "day of rest"
CAUGHT_UP_NOW: Final = (missed_runs.MISSED, missed_runs.BROKE_OFF)
# Of a day that is not over.
TODAY_IS: Final[Mapping[str, str]] = {missed_runs.MISSED: "not run yet", missed_runs.BROKE_OFF: "not finished"}


def open_catch_up(asked: CatchUp) -> Backfill:
    """Open the backfill, or take up the one that was broken off.

    Raises:
        BackfillRefused: A date is not over yet, or other parts of the portfolio had runs of their own.
    """
    with connection() as tx:
        at = clock.now(tx)
        today = _today(asked.country, at)
        if asked.last >= today:
            raise BackfillRefused(f"{asked.last.isoformat()} is not over: today is {today.isoformat()}, and its own runs treat it")
        scope = asked.country or ALL
        if others := missed_runs.other_parts(tx, asked.first, asked.last, scope):
            advice = "name one with `country`" if scope == ALL else "leave `country` empty"
            raise BackfillRefused(f"these dates had runs for {', '.join(others)}, not for {scope}: {advice}")
        request = {"stages": list(asked.stages), "scope": scope, "sundays": asked.sundays}
        return open_backfill(tx, "catch_up", request, first_on=asked.first, last_on=asked.last, at=at)


def today_of(asked: CatchUp) -> date:
    """Today's business date, by the country's clock."""
    with connection() as tx:
        return _today(asked.country, clock.now(tx))


def _today(country: str | None, at: datetime) -> date:
    return at.astimezone(ZoneInfo(business_zone(country))).date()


def catch_up_date(backfill: Backfill, day: date) -> Mapping[str, Any]:
    """Record what was missed on one date; a date that is done is read back.

    Returns:
        Stage → what became of it: missed, broke off, ran, day of rest, ….
    """
    if day in backfill.done:
        return backfill.done[day]
    scope, stages = backfill.request["scope"], backfill.request["stages"]
    today = _today(None if scope == ALL else scope, backfill.opened_at)
    with connection() as tx:
        law = law_in_force(tx)
        was = {stage: missed_runs.how_it_went(tx, stage, day, scope) for stage in stages}
        aged = missed_runs.is_aged(tx, day)
    resting = {stage for stage in stages if was[stage] == missed_runs.MISSED and _rests(backfill.request, stage, day)}
    if not aged and any(was[stage] in CAUGHT_UP_NOW for stage in stages if stage not in resting):
        age_portfolio(day)
    with connection() as tx:
        counts = {
            stage: REST
            if stage in resting
            else missed_runs.catch_up_with(
                tx, stage, day, scope, policies=policies(stage, law.bodies), at=backfill.opened_at, caught_up_on=today
            )
            for stage in stages
        }
        write_step(tx, backfill, day, counts, no_differences())
    return counts


def take_back(backfill: Backfill) -> int:
    """Take back what runs that broke off had planned, page by page, so that nobody's lock is held for long.

    Returns:
        How many attempts of these dates were taken back, now or before.
    """
    while True:
        with connection() as tx:
            page = missed_runs.take_back(tx, backfill.first_on, backfill.last_on, at=clock.now(tx))
            taken = missed_runs.count_taken_back(tx, backfill.first_on, backfill.last_on)
        if page == 0:
            return taken


def _rests(request: Mapping[str, Any], stage: str, day: date) -> bool:
    if day.weekday() == SUNDAY and not request["sundays"]:
        return True
    return day_off(stage, day, None if request["scope"] == ALL else request["scope"]) is not None


def foresee(asked: CatchUp) -> dict[str, Any]:
    """The dry run: what was missed, and what would be sent today. Keeps today's policies, and writes nothing else.

    Returns:
        `missed`: date → stage → what became of it; `today`: stage → `was` (not run yet, not finished, or what became of its run)
        and, where today's run is still to come, `would_contact` by channel.
    """
    with connection() as tx:
        at, known_at = clock.now(tx), wall_clock(tx)
        today = _today(asked.country, at)
        scope = asked.country or ALL
        request = {"scope": scope, "sundays": asked.sundays}
        went = {
            day: {stage: missed_runs.how_it_went(tx, stage, day, scope) for stage in asked.stages} for day in asked.dates if day < today
        }
        so_far = {stage: missed_runs.how_it_went(tx, stage, today, scope) for stage in asked.stages}
        files = policies_in_files(tx, asked.stages)
    missed = {
        day.isoformat(): {
            stage: REST if was == missed_runs.MISSED and _rests(request, stage, day) else was for stage, was in stages.items()
        }
        for day, stages in went.items()
    }
    decide = {"scope": scope, "stages": list(asked.stages), "facts": "as known now", "policies": files, "instead": {}}
    counts, _ = decided_again(decide, today, at=at, known_at=known_at)
    would = {stage: {channel: numbers[1] for channel, numbers in counts[stage]["by_channel"].items()} for stage in asked.stages}
    return {
        "missed": missed,
        "today": {
            stage: {"was": TODAY_IS.get(was, was), "would_contact": would[stage] if was in CAUGHT_UP_NOW else {}}
            for stage, was in so_far.items()
        },
    }
