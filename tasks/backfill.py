"""A backfill's steps as Prefect runs them: open it, do one date, close it; and what operations see of it.

In:   a `Request`; the id of a backfill and a date.
Out:  rows of the ledger through tasks/re_decide, catch_up and re_record; tables, a picture and a page of the flow run.
Pure: no. Artifacts hold counts only; rows of people are in the ledger, and in a file for whoever asks for one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from prefect import Task, get_run_logger, task
from prefect.artifacts import create_image_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas import State, TaskRun

from decisions.backfills import add_up
from ledger import clock
from ledger.backfills import Backfill, finish_backfill, read_backfill
from ledger.engine import connection
from tasks.backfill_requests import CatchUp, ReDecide, Request
from tasks.catch_up import catch_up_date, open_catch_up, take_back
from tasks.drawing import png
from tasks.markdown import mode, table
from tasks.pictures import as_address
from tasks.re_decide import BackfillRefused, open_re_decide, re_decide_date
from tasks.re_record import open_re_record, re_record_date

Counts = Mapping[str, Any]

STEPS: Final[Mapping[str, Callable[[Backfill, date], Counts]]] = {
    "re_decide": re_decide_date,
    "catch_up": catch_up_date,
    "re_record": re_record_date,
}
BEFORE_COLOUR, AFTER_COLOUR = "#9ecae1", "#08519c"


def open_request(asked: Request) -> Backfill:
    """Open what was asked for, or take up what was broken off.

    Raises:
        BackfillRefused: It cannot be done as asked; the message says why and what to do.
    """
    if isinstance(asked, ReDecide):
        return open_re_decide(asked)
    return open_catch_up(asked) if isinstance(asked, CatchUp) else open_re_record(asked)


def _may_pass(_task: Task[..., Any], _task_run: TaskRun, state: State[Any]) -> bool:
    """What is refused stays so, however often one asks; anything else may be the database's bad moment."""
    return not isinstance(state.result(raise_on_failure=False), BackfillRefused)


@task(
    task_run_name="open",
    retries=2,
    retry_delay_seconds=[5, 30],
    retry_condition_fn=_may_pass,
    persist_result=False,
    cache_policy=NO_CACHE,
)
def begin(asked: Request) -> tuple[int, list[date]]:
    """Open the backfill.

    Returns:
        Its id, and the dates that are not done.
    """
    backfill = open_request(asked)
    if backfill.done:
        get_run_logger().info("backfill %d goes on: %d of %d dates are done", backfill.id, len(backfill.done), len(backfill.dates))
    return backfill.id, backfill.left


@task(task_run_name="{day}", retries=2, retry_delay_seconds=[10, 60], persist_result=False, cache_policy=NO_CACHE)
def do_date(backfill_id: int, day: date) -> Counts:
    """Do one date, and show what came of it. A date that is done is read back.

    Returns:
        Its counts.
    """
    with connection() as tx:
        backfill = read_backfill(tx, backfill_id)
    counts = STEPS[backfill.kind](backfill, day)
    create_table_artifact(
        key=f"backfill-{backfill_id}-{day.isoformat()}",
        description=f"**{NAMES[backfill.kind]} {day.isoformat()}** (backfill {backfill_id})",
        table=table_of(backfill.kind, counts),
    )
    return counts


@task(task_run_name="take back what was planned", retries=2, retry_delay_seconds=[10, 60], persist_result=False, cache_policy=NO_CACHE)
def take_back_planned(backfill_id: int) -> int:
    """Take back what the missed dates' runs had planned, before anything is sent today.

    Returns:
        How many attempts.
    """
    with connection() as tx:
        backfill = read_backfill(tx, backfill_id)
    taken = take_back(backfill)
    get_run_logger().info("%d planned attempts of missed dates are not sent any more", taken)
    return taken


@task(task_run_name="close", retries=2, retry_delay_seconds=[5, 30], persist_result=False, cache_policy=NO_CACHE)
def close(backfill_id: int) -> dict[str, Any]:
    """Show the whole, and say that it is done.

    Returns:
        `summary_of` the backfill.
    """
    with connection() as tx:
        backfill = read_backfill(tx, backfill_id)
        finish_backfill(tx, backfill_id, at=clock.now(tx))
    summary = summary_of(backfill)
    create_markdown_artifact(
        key=f"backfill-{backfill_id}",
        markdown="\n".join(words_of(backfill)),
        description=f"{NAMES[backfill.kind]} {backfill.first_on.isoformat()} to {backfill.last_on.isoformat()}",
    )
    create_image_artifact(
        image_url=as_address(picture(backfill)),
        key=f"backfill-{backfill_id}-picture",
        description=f"{NAMES[backfill.kind]}, by date",
    )
    return summary


NAMES: Final[Mapping[str, str]] = {"re_decide": "Re-decide", "catch_up": "Catch up", "re_record": "Re-record"}


def summary_of(backfill: Backfill) -> dict[str, Any]:
    """A backfill in counts, JSON types: `backfill_id`, `kind`, `first`, `last`, `done`, `left`, `by_date`, `total`."""
    return {
        "backfill_id": backfill.id,
        "kind": backfill.kind,
        "first": backfill.first_on.isoformat(),
        "last": backfill.last_on.isoformat(),
        "done": len(backfill.done),
        "left": len(backfill.left),
        "by_date": {day.isoformat(): counts for day, counts in backfill.done.items()},
        "total": total_of(backfill.kind, list(backfill.done.values())),
    }


def total_of(kind: str, steps: Sequence[Counts]) -> dict[str, Any]:
    """All dates together; of a catch-up, stage → what became of it → on how many dates."""
    if kind != "catch_up":
        return add_up(steps)
    total: dict[str, dict[str, int]] = {}
    for step in steps:
        for stage, was in step.items():
            total.setdefault(stage, {})[was] = total.setdefault(stage, {}).get(was, 0) + 1
    return total


def table_of(kind: str, counts: Counts) -> list[dict[str, Any]]:
    """One date's counts, or their sum, as rows that people read."""
    if kind == "catch_up":
        return [{"stage": stage, "was": was if isinstance(was, str) else _listed(was)} for stage, was in counts.items()]
    if kind == "re_record":
        return [{"what": WORDS[name], "recorded → now": _said(counts[name])} for name in WORDS if name in counts]
    return [
        {
            "stage": stage,
            "contacted then → now": _said(found["contacted"]),
            "by channel": _listed({name: _said(pair) for name, pair in found["by_channel"].items()}),
            "newly contacted": found["newly_contacted"],
            "left in peace": found["left_in_peace"],
            "contacted otherwise": found["otherwise"],
            "other reasons": found["other_reasons"],
            "withheld for, then → now": _listed(
                {name: _said(pair) for name, pair in found["withheld_by_reason"].items() if pair[0] != pair[1]}
            ),
        }
        for stage, found in counts.items()
    ]


# What each count of a re-record means to operations, in the order of the table.
WORDS: Final[Mapping[str, str]] = {
    "loans": "loans that are aged otherwise",
    "late": "loans late that day",
    "no_longer_late": "late the date before, not any more",
    "buckets": "loans by bucket",
    "past_due_change_minor": "past due, change in minor units",
    "needless_contacts": "contacts about which nothing was past due, as is known now",
    "attempts": "messages whose fate became known later",
    "outcomes": "contacts with other payments within 7 or 30 days",
    "promises": "promises that are judged otherwise",
    "adjustments": "differences that count today: the month is closed",
    "never_aged": "dates that were never aged: catch up with them",
    "known_better": "dates that a later re-record had looked at already",
    "events_waiting": "provider events that still wait in the inbox",
}


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return _listed({name: _said(one) for name, one in value.items()})
    return " → ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)


def _listed(named: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in named.items()) or "–"


def words_of(backfill: Backfill) -> list[str]:
    """The whole as a page: what was asked for, the sum as a table, where the rows are."""
    rows = table_of(backfill.kind, total_of(backfill.kind, list(backfill.done.values())))
    title = f"## {NAMES[backfill.kind]}: {backfill.first_on.isoformat()} to {backfill.last_on.isoformat()}"
    sends = [mode(), ""] if backfill.kind == "catch_up" else []
    lines = [*sends, title, "", MEANING[backfill.kind], "", *table(rows)]
    return [*lines, "", f"{len(backfill.done)} of {len(backfill.dates)} dates done. {ROWS_ARE[backfill.kind].format(id=backfill.id)}"]


MEANING: Final[Mapping[str, str]] = {
    "re_decide": "What would have been done. Each date stands for itself: people's history is what really happened. "
    "Nothing was sent or planned.",
    "catch_up": "Missed dates are recorded as missed and take nothing up any more. What is right today was left to today's runs, "
    "each message after the gate's last look.",
    "re_record": "What was recorded stays; what is known now stands beside it. Differences of a closed month count today, as adjustments.",
}
_ROWS: Final = "Who and what, by ids: `tideover backfill rows {id} --out FILE`."
ROWS_ARE: Final[Mapping[str, str]] = {"re_decide": _ROWS, "catch_up": "", "re_record": _ROWS}


def picture(backfill: Backfill) -> bytes:
    """Before and after by date, as PNG: people contacted, loans late, or stages that were missed."""
    days = sorted(backfill.done)
    title, before, after = _series(backfill, days)
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    places = range(len(days))
    axes.bar([place - 0.2 for place in places], [one for one, _ in before], 0.4, color=BEFORE_COLOUR, label=title[1])
    axes.bar([place + 0.2 for place in places], [one for one, _ in after], 0.4, color=AFTER_COLOUR, label=title[2])
    step = max(1, len(days) // DAYS_NAMED_MAX)
    axes.set_xticks(list(places)[::step], [day.isoformat()[5:] for day in days[::step]])
    axes.set_title(title[0])
    axes.legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    axes.spines[["top", "right"]].set_visible(False)
    return png(figure)


DAYS_NAMED_MAX: Final = 14


def _series(backfill: Backfill, days: Sequence[date]) -> tuple[tuple[str, str, str], list[tuple[int, date]], list[tuple[int, date]]]:
    steps = [(backfill.done[day], day) for day in days]
    if backfill.kind == "re_decide":
        sums = [([sum(found["contacted"][side] for found in counts.values()) for side in (0, 1)], day) for counts, day in steps]
        return ("people contacted", "then", "now"), [(pair[0], day) for pair, day in sums], [(pair[1], day) for pair, day in sums]
    if backfill.kind == "re_record":
        late = [(counts["late"], day) for counts, day in steps]
        return ("loans late", "recorded", "as known now"), [(pair[0], day) for pair, day in late], [(pair[1], day) for pair, day in late]
    missed = [(sum(was == "missed" for was in counts.values()), day) for counts, day in steps]
    broke = [(sum(was == "broke off" for was in counts.values()), day) for counts, day in steps]
    return ("stages caught up with", "missed", "broke off"), missed, broke
