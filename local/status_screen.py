"""`tideover status` as a person reads it on a terminal: the mode first, then what is wrong, then what goes on.

In:   a `Status`.
Out:  lines and one table on standard output; colour only where the terminal has it.
Pure: no; prints.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from config.settings import settings
from ledger.funnel import STEPS
from ledger.tables import SENDING_APPROVALS
from tasks.markdown import counted, local, reached
from tasks.status import Status

HOURS_SHOWN_MAX: Final = 6
# The table is never cut: a narrower terminal folds its lines.
WIDTH_MIN: Final = 120
# Heading → count.
COUNTS: Final = {
    "looked at": "borrowers",
    "in peace": "withheld",
    **{name: name for name in STEPS if name != "paid"},
    "due": "due",
    "waiting": "waiting",
    "failed": "failed",
    "unknown": "unknown",
}


def show(found: Status) -> None:
    """Print it."""
    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, WIDTH_MIN)
    console.print(_head(found))
    for line in _wrong(found):
        console.print(f"[bold red]![/] {line}")
    console.print(_runs(found) if found.runs else "no stage has run today")
    for line in _goes_on(found):
        console.print(line)


def _head(found: Status) -> str:
    word, who = reached()
    mode = f"[{'bold' if found.mode == 'sandbox' else 'bold red'}]{word}[/] ({who})"
    return f"{mode}  business date {found.day.isoformat()}, {local(found.at)}"


def _wrong(found: Status) -> Iterator[str]:
    """What somebody has to do something about, and the command to do it."""
    if found.audit is not None and found.audit.violations:
        broken = f"{found.audit.violations} violations ({', '.join(found.audit.broken)})"
        yield f"the last audit found {broken}: `tideover audit` names them, `tideover pause` stops contact"
    for one in found.paused:
        yield escape(f"paused: {one.scope}, by {one.pause.by if one.pause else None}: `tideover pauses`, `tideover resume`")
    for feed in found.feeds:
        if feed.is_late:
            yield escape(
                f"feed {feed.kind} of {feed.creditor} ends {_age(feed.age_seconds)} ago (limit {_age(feed.age_seconds_max)}):"
                " contact is withheld until `tideover import` brings a newer one"
            )
    for asked in found.asked:
        yield f"{asked}: `tideover approve run {asked.campaign_run_id}`, or its form in the Prefect UI"
    for few in found.few_first:
        yield escape(f"few went first: {few}: `tideover canary list`")
    if found.fates["parked"]:
        yield f"{counted(found.fates['parked'], 'attempt is', 'attempts are')} parked: `tideover parked`"
    for waiting in found.waiting:
        people = counted(waiting.people, "person waits", "people wait")
        yield f"{people} for somebody: {waiting.intent}, the oldest since {local(waiting.since)}"


def _runs(found: Status) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("stage", "state", *COUNTS):
        table.add_column(name, justify="left" if name in {"stage", "state"} else "right", no_wrap=True)
    for one in found.runs:
        stage = one.run.stage if one.run.scope == "all" else f"{one.run.stage} {one.run.scope}"
        state = one.run.state + (", preview" if one.run.preview else "")
        state += "" if one.run.approval in SENDING_APPROVALS else f", {one.run.approval}"
        table.add_row(stage, state, *(f"{one.counts[name]:,}" for name in COUNTS.values()))
    return table


def _goes_on(found: Status) -> Iterator[str]:
    if found.not_run:
        yield f"not run today: {', '.join(found.not_run)}"
    hours = list(found.later.items())
    to_come = ", ".join(f"{hour.astimezone(_zone()):%H:%M} {messages:,}" for hour, messages in hours[:HOURS_SHOWN_MAX])
    rest = sum(messages for _, messages in hours[HOURS_SHOWN_MAX:])
    yield f"planned: {found.due:,} due now; later: {to_come or 'none'}{f', after that {rest:,}' if rest else ''}"
    yield f"fate unknown: {found.fates['unknown']:,} (reconcile asks); parked: {found.fates['parked']:,}"
    yield "feeds: " + (escape(", ".join(f"{one.kind} of {one.creditor} {_age(one.age_seconds)} old" for one in found.feeds)) or "none")
    if found.audit is None:
        yield "no audit yet: `tideover audit`"
    else:
        audit, held = found.audit, "all held" if not found.audit.violations else f"{found.audit.violations} violations"
        incomplete = f", incomplete: {len(audit.warnings)} warnings" if audit.warnings else ""
        period = f"{audit.first.isoformat()} to {audit.last.isoformat()}, {audit.attempts:,} attempts"
        yield f"last audit: {period}, {held}{incomplete}, {local(audit.at)}"
    if not found.paused:
        yield "nothing is paused"
    for one in found.runs:
        if one.place:
            yield escape(f"{one.run.stage}: {one.place}")


def _age(seconds: int) -> str:
    """Days and hours, or hours and minutes."""
    age = timedelta(seconds=max(0, seconds))
    hours, minutes = divmod(age.seconds // 60, 60)
    return f"{age.days} d {hours} h" if age.days else f"{hours} h {minutes:02} min"


def _zone() -> ZoneInfo:
    return ZoneInfo(settings().business_zone)
