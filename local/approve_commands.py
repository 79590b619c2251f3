"""`tideover approve code` and `tideover approve run`: who says yes to a campaign run, on the terminal as in the Prefect UI.

In:   a person, a role; or a run and a one-time code.
Out:  a code, told once; or what came of an answer. Complaints on standard error; exit 1 where an answer is refused.
Pure: no. Rooms are imported inside commands, so that the others start without them.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from local.law_commands import REFUSED, approve
from local.refusals import ledger_errors, said

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object in place of words.")]

__all__ = ["approve"]


@approve.command(name="code")
def code(
    *,
    person: Annotated[str, typer.Option("--for", help="Whose code it is: the name under which the answer is kept.")],
    role: Annotated[str, typer.Option(help="In which role: operations, compliance, or another that a strategy names under `approval`.")],
    hours: Annotated[int, typer.Option(min=1, help="How long it can be used.")] = 24,
    run: Annotated[int | None, typer.Option(help="Only for this campaign run; left out = for any.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a one-time approval code for one person; it is shown here and never again. Hand it to nobody else."""
    from ledger import schema
    from tasks.approve_run import CodeRefused, make_code

    with ledger_errors(), said(CodeRefused, code=REFUSED):
        schema.migrate()
        made = make_code(person=person, role=role, hours=hours, campaign_run_id=run)
    if as_json:
        typer.echo(json.dumps({"code": made, "person": person, "role": role, "hours": hours, "campaign_run_id": run}, ensure_ascii=False))
        return
    typer.echo(made)
    what = "any run" if run is None else f"run {run}"
    typer.echo(f"for {person} ({role}), for {what}, once, within {hours} hours; it is not shown again", err=True)


@approve.command(name="run")
def run(
    campaign_run_id: Annotated[int, typer.Argument(metavar="RUN", help="Its number, as `tideover approve list` shows it.")],
    *,
    code: Annotated[str, typer.Option(prompt=True, hide_input=True, help="Your one-time code; left out = asked for, unseen.")],
    up_to: Annotated[int | None, typer.Option(min=1, help="At most so many contacts; the others are not made.")] = None,
    reject: Annotated[bool, typer.Option("--reject", help="Say no, or take back a yes: nothing more of it is sent.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why, for the record; asked for when you reject. No names, no numbers.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say yes or no to a campaign run that waits for people; the same as its form in the Prefect UI."""
    from ledger import schema
    from tasks.approve_run import NoSuchRun, answer_on_terminal

    if reject and up_to is not None:
        typer.echo("--reject and --up-to: say one of them", err=True)
        raise typer.Exit(REFUSED)
    with ledger_errors():
        schema.migrate()
        try:
            done = answer_on_terminal(campaign_run_id, code=code, approve=not reject, up_to=up_to, reason=reason)
        except NoSuchRun as error:
            typer.echo(error, err=True)
            raise typer.Exit(REFUSED) from None
    refused = done.outcome in {"refused", "wrong_code"}
    told = json.dumps({"campaign_run_id": campaign_run_id, "outcome": done.outcome, "said": done.said}, ensure_ascii=False)
    typer.echo(told if as_json else done.said, err=refused and not as_json)
    if refused:
        raise typer.Exit(REFUSED)
