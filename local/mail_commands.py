"""`tideover email …`, `tideover letter …`: what relays and the print shop tell of what was sent.

In:   paths; the ledger.
Out:  one line on standard output; complaints on standard error.
Pure: no. Rooms are imported inside commands, so that the others start without them.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer

from local.refusals import refusals

email = typer.Typer(no_args_is_help=True, help="Emails: what came back.")
letter = typer.Typer(no_args_is_help=True, help="Letters: what the print shop and the post tell.")


@email.callback()
def emails() -> None:
    """Emails: what came back."""


@letter.callback()
def letters() -> None:
    """Letters: what the print shop and the post tell."""


def _refusals() -> AbstractContextManager[None]:
    """What is refused, and a ledger that is away, are said in words."""
    from channels.bounces import NoMailbox
    from tasks.returned import ListRefused

    return refusals(NoMailbox, ListRefused, then="read it again later")


@email.command()
def bounces(path: Annotated[Path, typer.Argument(help="A Maildir, an mbox file, or one message in a file.")]) -> None:
    """Hear what came back to the sender's mailbox: reports and answers; reading it again changes nothing."""
    from tasks.returned import hear_bounces

    with _refusals():
        counts = hear_bounces(path)
    typer.echo(f"{counts['messages']} messages: {counts['reports']} report on emails of ours, {counts['answers']} are answers of people")


@letter.command()
def told(path: Annotated[Path, typer.Argument(help="The print shop's list: CSV with token, status, reason (docs/letters.md).")]) -> None:
    """Hear what became of letters: posted, delivered, returned, not printed; reading a list again changes nothing."""
    from tasks.returned import hear_print_shop

    with _refusals():
        counts = hear_print_shop(path)
    typer.echo(", ".join(f"{number} {status}" for status, number in sorted(counts.items())) or "an empty list")
