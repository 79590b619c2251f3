"""`tideover experiments …`: what is tried beside what is done, what was promised before, and what may be said of it.

In:   names of files in config/experiments/; the ledger.
Out:  lines or JSON on standard output; complaints on standard error.
Pure: no; `look` writes what was seen. Rooms are imported inside commands, so that the others start without them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from local.refusals import refusals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

experiments = typer.Typer(no_args_is_help=True, help="Experiments: a champion, what is tried beside it, and when harm stops it.")

AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
Name = Annotated[str, typer.Argument(help="File of config/experiments, without .yaml.")]


@experiments.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List every experiment that is written down, and where it stands."""
    from config.load import ConfigError
    from tasks.experiments import standings

    with refusals(ConfigError, then="mend the file, then try again"):
        found = standings()
    if as_json:
        typer.echo(json.dumps({"experiments": found}))
        return
    for one in found:
        typer.echo(_line(one))
    if not found:
        typer.echo("no experiment is written down in config/experiments/")


@experiments.command()
def show(name: Name, *, as_json: AsJson = False) -> None:
    """Show what was promised of an experiment, and what was seen at each look."""
    from config.load import ConfigError
    from tasks.experiments import shown

    with refusals(ConfigError, then="name one of `tideover experiments list`"):
        found = shown(name)
    if as_json:
        typer.echo(json.dumps(found))
        return
    typer.echo(_line(found))
    typer.echo(f"  {found['question']}")
    arms = ", ".join(f"{arm['name']} ({arm['strategy']})" for arm in found["arms"])
    typer.echo(f"  arms: {arms}; the first one is the champion")
    dates = ", ".join(found["looks"]) or "any day"
    typer.echo(f"  looked at on {dates}; at least {found['borrowers_min']:,} borrowers an arm, each for {found['horizon_days']} days")
    for margin in found["margins"]:
        typer.echo(f"  stopped when {margin['name']} are surely more than {margin['margin']} a borrower above the champion's")
    for seen in found["seen"]:
        typer.echo(f"  look {seen['number']} on {seen['looked_on']}:")
        for line in _verdicts(seen["verdicts"]):
            typer.echo(line)


@experiments.command()
def look(
    name: Name,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say whether a look may be taken, and see nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look at an experiment on a date that was promised; an arm that harms is stopped from the next run on."""
    from config.load import ConfigError
    from tasks.experiments import LookRefused
    from tasks.experiments import look as look_at

    with refusals(ConfigError, LookRefused):
        found = look_at(name, dry_run=dry_run)
    if as_json:
        typer.echo(json.dumps(found))
        return
    typer.echo(f"{name}, look {found['number']} on {found['looked_on']}")
    for arm, count in (found["borrowers"] or {}).items():
        typer.echo(f"  {arm}: {count:,} borrowers whose time is over")
    for line in _verdicts(found["verdicts"] or {}):
        typer.echo(line)
    if dry_run:
        typer.echo("A dry run: what came of them was not looked at, nothing was written.")


def _line(one: Mapping[str, Any]) -> str:
    stands = f"since {one['started_on']}, file {one['hash'][:12]}" if one["started_on"] else f"begins on {one['first']}"
    stopped = f"; STOPPED: {', '.join(one['stopped'])}" if one["stopped"] else ""
    stages = ", ".join(one["stages"])
    return f"{one['experiment']}: {stages}, {one['share_of_borrowers']:.0%} of borrowers, {stands}, until {one['last']}{stopped}"


def _verdicts(verdicts: Mapping[str, Any]) -> Iterator[str]:
    for name, verdict in verdicts.items():
        why = f" ({verdict['why']})" if verdict["why"] else ""
        yield f"    {name}: {verdict['says']}{why}"
        for one in verdict["differences"]:
            yield f"      {one['name']}: {one['value']:+.4f} a borrower, between {one['low']:+.4f} and {one['high']:+.4f}"
        arm, champion = verdict.get("contacts_per_cure") or (None, None)  # a look of before they were counted has none
        if arm is not None and champion is not None:
            yield f"      contacts for each who paid all: {arm:.1f}, the champion's {champion:.1f}; more of them is not better"
