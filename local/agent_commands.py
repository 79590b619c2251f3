"""`tideover agents`: who calls people, in which languages and where, with which certificates, and when.

In:   a roster file; names.
Out:  lines, or JSON lines: names, languages, jurisdictions, certificates that end, hours. No phone number.
Pure: no. Rooms are imported inside commands, so that the others start without them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from local.refusals import REFUSED, refusals

# A certificate that ends so soon is named.
ENDS_SOON: Final = timedelta(days=30)

agents = typer.Typer(no_args_is_help=True, help="The phone team: who calls people, in which languages and where, and when.")


@contextmanager
def _refusals() -> Iterator[None]:
    """What is refused, and a ledger that is away, are said in words."""
    from sqlalchemy.exc import IntegrityError

    from config.load import ConfigError

    with refusals(ConfigError):
        try:
            yield
        except IntegrityError:
            typer.echo("a number of the staff is nobody's, or another agent has it: `tideover staff list`", err=True)
            raise typer.Exit(REFUSED) from None


@agents.command("import")
def import_roster(
    file: Annotated[Path, typer.Argument(help="A roster: see docs/phone-team.md.")],
    *,
    by: Annotated[str, typer.Option(help="Who says so; a colleague's name.")],
) -> None:
    """Take a roster in: who is named there calls people as it says, from today on; who is not named stays as she is."""
    from config.rosters import roster
    from ledger import agents as ledger_agents
    from ledger import clock
    from ledger.agents import Line
    from ledger.engine import connection

    with _refusals():
        forms = roster(file)
        with connection() as tx:
            on = clock.now(tx).date()
            for form in forms:
                line = Line(
                    name=form.name,
                    languages=form.languages,
                    jurisdictions=form.jurisdictions,
                    certificates=tuple((one.certificate, one.reference) for one in form.certificates),
                    shifts=tuple(shift for one in form.shifts for shift in one.shifts),
                    staff_id=form.staff,
                    phone=form.phone,
                )
                ledger_agents.put(tx, line, by=by, on=on)
    typer.echo(f"{len(forms)} agents are as {file.name} says")


@agents.command("list")
def list_agents(*, as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line in place of words.")] = False) -> None:
    """List who calls people, whether she works now, and which certificates have ended or end within a month."""
    from decisions.agents import is_on_shift
    from ledger import agents as ledger_agents
    from ledger import clock
    from ledger.engine import connection

    with _refusals(), connection(read_only=True) as tx:
        at = clock.now(tx)
        found = ledger_agents.everybody(tx)
    for agent in found:
        ending = [one for one in agent.certificates if one.valid_until <= at.date() + ENDS_SOON]
        works = is_on_shift(agent.shifts, at)
        if as_json:
            told = [{"kind": one.kind, "jurisdiction": one.jurisdiction, "until": one.valid_until.isoformat()} for one in ending]
            row = {"agent": agent.name, "works_now": works, "languages": agent.languages, "jurisdictions": agent.jurisdictions}
            typer.echo(json.dumps({**row, "certificates_ending": told}, ensure_ascii=False))
            continue
        languages, places = ", ".join(agent.languages), ", ".join(agent.jurisdictions)
        typer.echo(f"{agent.name}  {'works now' if works else 'off'}  speaks {languages}  for {places}")
        for one in ending:
            typer.echo(f"    {one.kind} ({one.jurisdiction}) ends or ended on {one.valid_until.isoformat()}")
    if not as_json:
        typer.echo(f"{len(found)} agents" if found else "nobody calls people: `tideover agents import` takes a roster in")


@agents.command()
def leave(name: Annotated[str, typer.Argument(help="Of the agent.")]) -> None:
    """Say that a colleague calls nobody any more; what she did stays in the books."""
    from ledger import agents as ledger_agents
    from ledger import clock
    from ledger.engine import connection

    with _refusals(), connection() as tx:
        left = ledger_agents.leave(tx, name, at=clock.now(tx))
    if not left:
        typer.echo("nobody of that name calls people: `tideover agents list` names who does", err=True)
        raise typer.Exit(REFUSED)
    typer.echo(f"{name} calls nobody any more")
