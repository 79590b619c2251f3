"""`tideover withdraw`: take an import back.

In:   its number, who says so and why; the ledger.
Out:  what it means in counts, as lines or JSON; complaints on standard error.
Pure: no. Rooms are imported inside commands, so that the others start without them.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from local.refusals import refusals


def withdraw(
    batch: Annotated[int, typer.Argument(help="Number of the import, as `tideover import` said it.")],
    *,
    by: Annotated[str, typer.Option(help="Who says so; asked for, except with --dry-run.")] = "",
    because: Annotated[str, typer.Option(help="Why, for the record; asked for, except with --dry-run.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would mean.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON in place of words.")] = False,
) -> None:
    """Take an import back, while all contact is paused: what was known before it is in force again; stops and holds of it stay."""
    from tasks.withdraw_import import WithdrawalRefused, withdraw_import

    with refusals(WithdrawalRefused, then="nothing is changed"):
        found = withdraw_import(batch, by=by, because=because, dry_run=dry_run)
    if as_json:
        typer.echo(json.dumps(asdict(found) | {"dry_run": dry_run}))
        return
    typer.echo(f"import {batch} {'would be' if dry_run else 'is'} taken back; it speaks of {found.people} people")
    for table, rows in found.rows.items():
        again = found.restored.get(table, 0)
        typer.echo(f"  {table.replace('_', ' ')}: {rows} no longer in force, {again} of them as before it again, {rows - again} gone")
    typer.echo(f"  {found.stays} stops, holds and wishes of it stay")
