"""`tideover parked`: attempts whose fate nobody could find out, for a person to look at and to settle.

In:   the ledger; for settling, what became of it, who says so and why.
Out:  one line an attempt, or JSON lines; ids, times and causes, nothing personal. Complaints on standard error.
Pure: no. Rooms are imported inside commands, so that the others start without them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer

from local.refusals import REFUSED, refusals

PAGE: Final = 1_000

parked = typer.Typer(invoke_without_command=True, help="Attempts whose fate nobody could find out: list them, settle them.")


@parked.callback()
def listing(context: typer.Context, *, as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False) -> None:
    """List what is parked, oldest first: each counts against every limit and is never sent again."""
    if context.invoked_subcommand is not None:
        return
    with refusals(then="see TIDEOVER_DATABASE_URL and `tideover migrate`"):
        number = 0
        for row in _rows():
            number += 1
            typer.echo(json.dumps(row, default=str) if as_json else _words(row))
        if not as_json:
            typer.echo(f"{number} parked" if number else "nothing is parked")


@parked.command()
def settle(
    attempt: Annotated[int, typer.Argument(help="The attempt's id, as `tideover parked` shows it.")],
    *,
    sent: Annotated[bool, typer.Option("--sent/--not-sent", help="What became of it.")],
    by: Annotated[str, typer.Option(help="Who says so.")],
    because: Annotated[str, typer.Option(help="How that is known; nothing about the person.")],
) -> None:
    """Say what became of a parked attempt: sent (it goes on counting) or not sent (it no longer counts). It is not sent again today."""
    from gate.parked import ParkedRefused, settle_parked

    with refusals(then="see TIDEOVER_DATABASE_URL and `tideover migrate`"):
        try:
            state = settle_parked(attempt, sent=sent, by=by, because=because)
        except ParkedRefused as error:
            typer.echo(error, err=True)
            raise typer.Exit(REFUSED) from None
    typer.echo(f"attempt {attempt} is {state} now")


def _rows() -> Iterator[dict[str, Any]]:
    """Everything that is parked, a page at a time."""
    from ledger import unknowns
    from ledger.engine import connection

    after = 0
    while True:
        with connection() as tx:
            page = unknowns.read_parked(tx, after=after, at_most=PAGE)
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1]["attempt_id"]


def _words(row: dict[str, Any]) -> str:
    called = row["submitted_at"].isoformat(timespec="seconds") if row["submitted_at"] else "unknown"
    return (
        f"attempt {row['attempt_id']}  {row['channel']}  run {row['campaign_run_id']} ({row['stage']})  borrower #{row['party_id']}  "
        f"called {called}  {row['became_unknown_by'] or row['error_code'] or 'fate unknown'}; {row['parked_because'] or 'parked'}"
    )
