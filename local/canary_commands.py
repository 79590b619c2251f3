"""`tideover canary`: what waits for the few who go first, and what people decide about it.

In:   a run, a one-time code, why.
Out:  lines or JSON; exit 1 where a decision is refused.
Pure: no. Rooms are imported inside commands, so that the others start without them.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from local.law_commands import REFUSED
from local.refusals import ledger_errors

canary = typer.Typer(
    no_args_is_help=True, help="Few first: where a strategy or a text is new, a small part of a run is sent before the rest."
)
AsJson = Annotated[bool, typer.Option("--json", help="JSON in place of words.")]


@canary.command(name="list")
def held(*, as_json: AsJson = False) -> None:
    """List the runs of which something waits for their few, or for people to decide about them."""
    from ledger import schema
    from tasks.canary import held_runs

    with ledger_errors():
        schema.migrate()
        found = held_runs()
    for one in found:
        typer.echo(json.dumps(asdict(one), ensure_ascii=False) if as_json else str(one))
    if not found and not as_json:
        typer.echo("nothing waits")


@canary.command(name="decide")
def decide(
    run: Annotated[int, typer.Argument(help="Its number, as `tideover canary list` shows it.")],
    *,
    go_on: Annotated[bool, typer.Option("--go-on/--reject", help="Send the rest after all, or nothing more of the run.")],
    because: Annotated[str, typer.Option(help="Why, for the record. No names, no numbers.")],
    code: Annotated[str, typer.Option(prompt=True, hide_input=True, help="Your one-time code; left out = asked for, unseen.")],
    as_json: AsJson = False,
) -> None:
    """Decide about a run whose few were stopped, or whose new texts were never sent to staff."""
    from ledger import schema
    from tasks.canary import decide as step

    with ledger_errors():
        schema.migrate()
        taken, said = step(run, code=code, go_on=go_on, reason=because)
    typer.echo(json.dumps({"campaign_run_id": run, "taken": taken, "said": said}) if as_json else said, err=not taken and not as_json)
    if not taken:
        raise typer.Exit(REFUSED)
