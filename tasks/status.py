"""Status: how things stand at this moment, for the terminal; the same figures that the Prefect UI shows.

In:   the ledger; the settings.
Out:  a `Status`: plain values, most urgent first where there is an order. Ids, counts, rule ids, names of creditors.
Pure: no; reads. Loads nothing of Prefect, so that it answers at once and also when its server is down.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from config.settings import settings
from decisions.strategy import STAGE_ORDER
from ledger import audit_results, campaigns, canaries, clock, overview, run_standings
from ledger.audit_results import Kept
from ledger.canaries import Stands
from ledger.engine import connection
from ledger.funnel import quick_counts
from ledger.overview import FeedAge, Waiting
from ledger.run_standings import Standing as Asked
from tasks.pause import Standing, standing_pauses


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """A campaign run of the day.

    Attributes:
        run: Of `campaign_run`.
        counts: `ledger.funnel.quick_counts`.
        place: Where it is seen in the Prefect UI; None where that is not known.
    """

    run: campaigns.Run
    counts: dict[str, int]
    place: str | None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        run = self.run
        return {
            "run": run.id,
            "stage": run.stage,
            "scope": run.scope,
            "state": run.state,
            "preview": run.preview,
            "approval": run.approval,
            **self.counts,
            "prefect": self.place,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How things stand.

    Attributes:
        mode: sandbox, live, …: who can be reached.
        at: Business instant.
        day: Local business date.
        runs: Of the day, from mild to harsh.
        not_run: Stages without a run on that day.
        fates: unknown, parked.
        asked: Runs that wait until people have said yes.
        few_first: Runs of which few go first, and the rest waits.
        waiting: Answers that wait for a person.
        paused: What is stopped.
        feeds: The latest first.
        due: Messages due now.
        later: Hour → messages.
        audit: What the last audit found; None before the first.
    """

    mode: str
    at: datetime
    day: date
    runs: tuple[RunStatus, ...]
    not_run: tuple[str, ...]
    fates: dict[str, int]
    asked: tuple[Asked, ...]
    few_first: tuple[Stands, ...]
    waiting: tuple[Waiting, ...]
    paused: tuple[Standing, ...]
    feeds: tuple[FeedAge, ...]
    due: int
    later: dict[datetime, int]
    audit: Kept | None

    def as_json(self) -> dict[str, Any]:
        """One JSON object, the mode first."""
        return {
            "mode": self.mode,
            "at": self.at.isoformat(),
            "business_date": self.day.isoformat(),
            "runs": [one.as_json() for one in self.runs],
            "not_run": list(self.not_run),
            **self.fates,
            "waiting_for_approval": [one.as_json() for one in self.asked],
            "few_first": [asdict(one) for one in self.few_first],
            "waiting_for_a_person": [{"intent": one.intent, "people": one.people, "since": one.since.isoformat()} for one in self.waiting],
            "paused": [one.as_json() for one in self.paused],
            "feeds": [
                {
                    "creditor": one.creditor,
                    "kind": one.kind,
                    "covers_until": one.covers_until.isoformat(),
                    "age_seconds": one.age_seconds,
                    "age_seconds_max": one.age_seconds_max,
                    "late": one.is_late,
                }
                for one in self.feeds
            ],
            "due": self.due,
            "later": {hour.isoformat(): messages for hour, messages in self.later.items()},
            "audit": None if self.audit is None else self.audit.as_json(),
        }


def read_status() -> Status:
    """Look at everything once."""
    with connection() as tx:
        at = clock.now(tx)
        day = at.astimezone(ZoneInfo(settings().business_zone)).date()
        runs = sorted(_runs(tx, day, at), key=lambda one: (STAGE_ORDER.index(one.run.stage), one.run.scope))
        due, later = overview.planned(tx, at=at)
        return Status(
            mode=settings().mode,
            at=at,
            day=day,
            runs=tuple(runs),
            not_run=tuple(stage for stage in STAGE_ORDER if stage not in {one.run.stage for one in runs}),
            fates=overview.fates(tx),
            few_first=tuple(canaries.stands(tx)),
            asked=tuple(run_standings.waiting(tx)),
            waiting=tuple(overview.waiting_for_a_person(tx)),
            paused=tuple(standing_pauses()),
            feeds=tuple(overview.feeds(tx, at=at)),
            due=due,
            later=later,
            audit=audit_results.last_kept(tx),
        )


def _runs(tx: Connection, day: date, at: datetime) -> Iterator[RunStatus]:
    for run_id in campaigns.runs_of(tx, day):
        places = [settings().flow_run_address(one) for one in campaigns.read_flow_runs(tx, run_id)]
        yield RunStatus(
            run=campaigns.read_run(tx, run_id),
            counts=quick_counts(tx, run_id, at=at),
            place=places[-1] if places else None,
        )
