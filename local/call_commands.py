"""`tideover calls`: the phone team's queue on a terminal: who is to be called, leave to dial, what came of it.

In:   the ledger; who dials; afterwards a result and what the person said.
Out:  lines, or JSON lines: ids, times and reasons. A number and a name are shown to whoever takes the call, and nowhere else.
Pure: no. Rooms are imported inside commands, so that the others start without them.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Annotated, Any, Final

import typer

from local.refusals import refusals

NOBODY: Final = 3
INSTANTS: Final = ["%Y-%m-%dT%H:%M%z", "%Y-%m-%dT%H:%M:%S%z"]

calls = typer.Typer(no_args_is_help=True, help="The phone team: who is to be called, leave to dial, what came of it.")

By = Annotated[str, typer.Option(help="Who dials; a colleague's name.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object in place of words.")]


def _refusals() -> AbstractContextManager[None]:
    """What is refused, and a ledger that is away, are said in words."""
    from config.load import ConfigError
    from gate.dial import DialRefused

    return refusals(DialRefused, ConfigError, then="call nobody, and try again")


@calls.command()
def queue(*, at_most: Annotated[int, typer.Option(min=1, max=10_000, help="So many.")] = 50, as_json: AsJson = False) -> None:
    """List who is to be called: first who asked for it, then whom no message reached, then whom a strategy says. Nothing personal."""
    from gate.dial import refresh
    from ledger import call_queue, clock
    from ledger.engine import connection

    with _refusals():
        refresh()
        with connection() as tx:
            at = clock.now(tx)
            waiting = call_queue.waiting(tx, at=at, at_most=at_most)
    for task in waiting:
        row = _row(task, at)
        typer.echo(json.dumps(row) if as_json else _words(row))
    if not as_json:
        typer.echo(f"{len(waiting)} to call" if waiting else "nobody is to be called")


@calls.command()
def take(
    task: Annotated[
        int | None, typer.Argument(help="The task's id, as `tideover calls queue` shows it; left out = the first that is due.")
    ] = None,
    *,
    by: By,
    as_json: AsJson = False,
) -> None:
    """Ask the gate whether a person may be called now; if she may, show whom to ask for, at which number, and what to say first."""
    from gate.dial import NotNow, NotYou, refresh, take_call

    with _refusals():
        refresh()
        taken = take_call(task, by=by)
    if taken is None:
        typer.echo(json.dumps({"task": None}) if as_json else "nobody is to be called now")
        raise typer.Exit(NOBODY)
    if isinstance(taken, NotYou):
        told = {"task": taken.task.id, "may_call": False, "reasons": list(taken.reasons), "not_you": True}
        said = f"task {taken.task.id}: not you ({', '.join(taken.reasons)}); it waits for a colleague who may"
        typer.echo(json.dumps(told) if as_json else said)
        raise typer.Exit(NOBODY)
    if isinstance(taken, NotNow):
        later = None if taken.at is None else taken.at.isoformat()
        told = {"task": taken.task.id, "may_call": False, "reasons": list(taken.reasons), "again_from": later}
        said = f"task {taken.task.id}: not now ({', '.join(taken.reasons) or 'paused'}); " + (
            f"again from {later}" if later else "it waits no more"
        )
        typer.echo(json.dumps(told) if as_json else said)
        raise typer.Exit(NOBODY)
    shown = {
        "task": taken.task.id,
        "may_call": True,
        "reason": taken.task.reason,
        "number": taken.number,
        "ask_for": taken.name,
        "say": taken.says,
        "say_too": {one.name: one.words for one in taken.required},
        "recording": taken.recording.way,
        "outcome_by": taken.until.isoformat(),
    }
    if as_json:
        typer.echo(json.dumps(shown, ensure_ascii=False))
        return
    typer.echo(f"task {taken.task.id} ({taken.task.reason}): call {taken.number} now, ask for {taken.name or 'the person'}")
    typer.echo(taken.says)
    for one in taken.required:
        typer.echo(f"say too ({one.name}): {one.words or 'in her language: there are no words of ours'}")
    typer.echo(f"then: tideover calls outcome {taken.task.id} --by … --result … (by {taken.until.isoformat()})")


@calls.command()
def outcome(
    task: Annotated[int, typer.Argument(help="The task that was taken.")],
    *,
    by: By,
    result: Annotated[
        str,
        typer.Option(
            help="conversation (with the person herself), no_answer, busy, voicemail, limited_content_voicemail, "
            "dropped (also: somebody else answered), not_in_service, wrong_number."
        ),
    ],
    said: Annotated[
        list[str] | None,
        typer.Option(help="What she said: paid, promise, cannot_pay, dispute, complaint, stop, call_me, danger. Can be repeated."),
    ] = None,
    disclosed: Annotated[
        list[str] | None, typer.Option(help="What you said of what has to be said, as `take` names it. Can be repeated.")
    ] = None,
    undisclosed_because: Annotated[str, typer.Option(help="Why the rest was not said.")] = "",
    need: Annotated[
        list[str] | None, typer.Option(help="What is to be done differently for her, of config/needs.yaml. Can be repeated.")
    ] = None,
    hung_up: Annotated[
        bool, typer.Option("--hung-up", help="With --result dropped: she did not want to talk; nobody tries again.")
    ] = False,
    on: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day that a promise names.")] = None,
    amount_minor: Annotated[
        int | None, typer.Option(help="The amount that a promise names, in minor units of the debt's currency.")
    ] = None,
    again_from: Annotated[datetime | None, typer.Option(formats=INSTANTS, help="She wants to be called again, from then on.")] = None,
    again_until: Annotated[datetime | None, typer.Option(formats=INSTANTS, help="And until then.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write down what came of a call: how it ended, what the person said, when to call again."""
    from gate.dial import DialRefused, Told, record_outcome
    from ledger.call_queue import CallWindow

    with _refusals():
        if (again_from is None) != (again_until is None):
            raise DialRefused("another call has a beginning and an end: --again-from and --again-until")
        window = None if again_from is None or again_until is None else CallWindow(again_from, again_until)
        came = Told(
            result=result,
            said=said or (),
            on=None if on is None else on.date(),
            amount_minor=amount_minor,
            again=window,
            needs=need or (),
            disclosed=disclosed or (),
            undisclosed_because=undisclosed_because,
            hung_up=hung_up,
        )
        state = record_outcome(task, came, by=by)
    told = {"task": task, "state": state, "result": result}
    typer.echo(json.dumps(told) if as_json else f"task {task}: {result}; " + ("another call waits" if state == "waiting" else "done"))


def _row(task: Any, at: datetime) -> dict[str, Any]:
    """A task without anything personal."""
    return {
        "task": task.id,
        "reason": task.reason,
        "because": task.because,
        "borrower": task.party_id,
        "state": task.state,
        "due": task.opens_at <= at,
        "from": task.opens_at.isoformat(),
        "until": task.closes_at.isoformat(),
        "missed": task.missed_at is not None,
        "owner": task.owner,
        "taken_by": task.taken_by,
        "tries": task.tries,
    }


def _words(row: dict[str, Any]) -> str:
    state = (
        f"being dialled by {row['taken_by']}"
        if row["state"] == "taken"
        else "MISSED"
        if row["missed"]
        else "due"
        if row["due"]
        else "later"
    )
    return (
        f"task {row['task']}  {row['reason']} ({row['because']})  borrower #{row['borrower']}  {state}  "
        f"{row['from']} to {row['until']}  {row['owner']}  tries {row['tries']}"
    )
