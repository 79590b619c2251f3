"""`tideover inspect …`: draw a sample of contacts that anybody can draw again, and read what a contact rests on.

In:   a seed, a definition of the population; a contact's date and id; the ledger.
Out:  JSON lines or words on standard output; ids and words of ours, nothing of a person.
Pure: no. Rooms are imported inside commands, so that the others start without them. Writes nothing into the ledger.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Annotated, Any

import typer

from local.refusals import refusals

inspect = typer.Typer(no_args_is_help=True, help="A reproducible sample of contacts, and what each of them rests on. Writes nothing.")

Day = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"])]


def _refusals() -> AbstractContextManager[None]:
    """What is refused, and a ledger that is away, are said in words."""
    from config.load import ConfigError
    from ledger.inspections import InspectionRefused

    return refusals(InspectionRefused, ConfigError, then="see TIDEOVER_DATABASE_URL and `tideover migrate`")


@inspect.command()
def sample(
    *,
    seed: Annotated[str, typer.Option(help="Any word; the same one draws the same sample again.")],
    since: Day,
    until: Day,
    size: Annotated[int, typer.Option(min=1, help="How many contacts.")] = 50,
    jurisdiction: Annotated[str | None, typer.Option(help="US is all of it, US-NY a part; left out = every one.")] = None,
    channel: Annotated[str | None, typer.Option(help="Such as sms; left out = every one.")] = None,
    outcome: Annotated[str | None, typer.Option(help="Such as delivered; left out = every one.")] = None,
    known_at: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%dT%H:%M:%S.%f%z", "%Y-%m-%dT%H:%M:%S%z"], help="As the sample's first line has it; left out = now."),
    ] = None,
) -> None:
    """Draw a sample as JSON lines: how it was drawn, then one contact a line. Its digest goes to standard error."""
    from ledger.engine import connection
    from ledger.inspections import Population, known_now
    from ledger.inspections import sample as drawn

    with _refusals(), connection(read_only=True, archive=True) as tx:
        population = Population(
            since=since.date(),
            until=until.date(),
            jurisdiction=jurisdiction,
            channel=channel,
            outcome=outcome,
            known_at=known_at or known_now(tx),
        )
        found = drawn(tx, population, size=size, seed=seed)
    for line in found.lines():
        typer.echo(line)
    typer.echo(f"{len(found.drawn)} of {found.contacts_in_population} contacts; SHA-256 {found.digest}", err=True)


@inspect.command()
def contact(
    event: Annotated[int, typer.Argument(help="A contact's `event_id`, as a sample has it.")],
    *,
    day: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Its `business_date`.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object in place of words.")] = False,
) -> None:
    """Show what a contact rests on: rules with their sources, the text with its gaps, whether the evidence is as it was written."""
    from gate.inspect import look_at

    with _refusals():
        found = look_at(day.date(), event)
    told = found.as_json()
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    for name, value in told.items():
        typer.echo(f"{name.replace('_', ' ')}: {_said(value)}")


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"\n  {name}: {one}" for name, one in value.items()) or "-"
    if isinstance(value, list):
        return "".join(f"\n  {one}" for one in value) or "-"
    return "-" if value is None else str(value)
