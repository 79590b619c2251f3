"""`tideover status`: how things stand; `tideover morning`: what a person has to see to today; `tideover waiting`: who waits for a person.

In:   the ledger; for what is scheduled, the Prefect server where there is one.
Out:  a screen, or JSON, on standard output; complaints on standard error.
Pure: no. Rooms are imported inside commands, so that the others start without them.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from local.refusals import LOOK, refusals

if TYPE_CHECKING:
    from tasks.prefect_kept import Kept
    from tasks.schedule import Scheduled

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object in place of words.")]


def status(*, as_json: AsJson = False) -> None:
    """Say how things stand: today's runs, what is unknown, paused, late, still to come, and what the last audit found."""
    from tasks.status import read_status

    with refusals(then=LOOK):
        found = read_status()
    if as_json:
        typer.echo(json.dumps(found.as_json(), ensure_ascii=False))
        return
    from local.status_screen import show

    show(found)


def morning(*, as_json: AsJson = False) -> None:
    """Say what has to be done today, worst first, each with the command to do it; what changed, and what is planned."""
    from config.settings import settings
    from tasks.morning import read_morning
    from tasks.morning_page import page

    with refusals(then=LOOK):
        address = settings().prefect_api_url
        found = read_morning(*(_asked(address) if address else ()))
    if as_json:
        typer.echo(json.dumps(found.as_json(), ensure_ascii=False))
        return
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(page(found)))
    else:
        typer.echo(page(found))


def _asked(address: str) -> tuple[list[Scheduled], Kept] | tuple[()]:
    """What Prefect will start today and how much it keeps; a server that is away is said, and the rest is told all the same."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from tasks.morning_artifact import ask_prefect

    try:
        with temporary_settings({PREFECT_API_URL: address}):
            return ask_prefect()
    except Exception as error:  # noqa: BLE001  # whatever keeps a server from answering: the ledger's part is told all the same
        typer.echo(f"the Prefect server does not answer ({type(error).__name__})", err=True)
        return ()


def waiting(
    *, intent: Annotated[str | None, typer.Option(help="Only these answers, such as danger or call_me.")] = None, as_json: AsJson = False
) -> None:
    """List whose answers wait for a person, the oldest first: the answer (for `tideover person handled`), our id, meaning, since when."""
    from ledger.engine import connection
    from ledger.overview import who_waits

    with refusals(then=LOOK), connection() as tx:
        found = who_waits(tx, intent=intent)
    for one in found:
        if as_json:
            typer.echo(json.dumps(one | {"since": one["since"].isoformat()}))
        else:
            typer.echo(
                f"answer {one['answer']}: #{one['borrower']}  {one['intent']}  by {one['channel']}  since {one['since'].isoformat()}"
            )
    if not found and not as_json:
        typer.echo("nobody waits")
