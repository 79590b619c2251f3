"""`tideover keys`: which keys what is encrypted with, and moving it to the one that encrypts now.

In:   the ledger and its keys.
Out:  text or one JSON object on standard output; complaints on standard error.
Pure: no. Rooms are imported inside commands, so that the others start without them. Keys themselves are never shown.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import Annotated

import typer

from local.refusals import refusals

keys = typer.Typer(no_args_is_help=True, help="Which keys what is encrypted with, and moving it to the one that encrypts now.")

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")]


def _refusals() -> AbstractContextManager[None]:
    """What is refused, and a ledger that is away, are said in words."""
    from ledger.decisions_log import UnknownBorrowerError
    from ledger.vault import MissingKeyError

    return refusals(MissingKeyError, UnknownBorrowerError, then="what was moved before stays moved; try again")


@keys.command()
def status(*, as_json: AsJson = False) -> None:
    """Say how many people's keys and values each key closes, what is to be moved, and which keys nothing needs any more."""
    from tasks.keys import keys_stand

    with _refusals():
        stand = keys_stand()
    if as_json:
        typer.echo(json.dumps(asdict(stand)))
        return
    typer.echo(f"encrypts now: {stand.first}")
    for key, count in sorted(stand.wrapped_by.items()):
        typer.echo(f"{key}: wraps the keys of people, {count} of them")
    for key, tables in sorted(stand.house.items()):
        typer.echo(f"{key}: closes itself {', '.join(f'{count} of {table}' for table, count in sorted(tables.items()))}")
    typer.echo(f"to be moved by `tideover keys rotate`: {stand.to_move}")
    if stand.not_at_hand:
        typer.echo(f"NOT AT HAND, so that what they close cannot be read: {', '.join(stand.not_at_hand)}")
    if stand.needless:
        typer.echo(f"needed by nothing but backups of before: {', '.join(stand.needless)}")


@keys.command()
def rotate(
    *,
    borrower: Annotated[str | None, typer.Option(help="Only a new data key for this borrower: the lender's id, or ours as #123.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how much would be moved, and move nothing.")] = False,
    batch: Annotated[int, typer.Option(min=1, max=50_000, help="Rows a transaction.")] = 2_000,
    as_json: AsJson = False,
) -> None:
    """Move everything to the first key of TIDEOVER_ENCRYPTION_KEYS; broken off, it goes on when it is begun anew."""
    from tasks.keys import keys_stand, renew_key_of
    from tasks.keys import rotate as move

    with _refusals():
        if dry_run:
            to_move = keys_stand().to_move
            typer.echo(json.dumps({"to_move": to_move}) if as_json else f"{to_move} would be moved")
        elif borrower is not None:
            values, gone = renew_key_of(borrower)
            told = f"{values} values moved to a new key of hers; {gone} old keys destroyed"
            typer.echo(json.dumps({"values": values, "destroyed": gone}) if as_json else told)
        else:
            done = move(batch=batch)
            rate = done.rows / done.seconds if done.rows else 0
            if as_json:
                typer.echo(json.dumps({"moved": done.moved, "rows": done.rows, "seconds": round(done.seconds, 3)}))
            else:
                typer.echo(f"{done.rows} moved in {done.seconds:.1f} s ({rate:.0f} a second)")
