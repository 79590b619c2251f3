"""`tideover email …`, `tideover letter …`: what relays and the print shop tell of what was sent.

In:   paths; the ledger.
Out:  one line on standard output; complaints on standard error.
Pure: no. Rooms are imported inside commands, so that the others start without them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

REFUSED: Final = 2

email = typer.Typer(no_args_is_help=True, help="Emails: what came back.")
letter = typer.Typer(no_args_is_help=True, help="Letters: what the print shop and the post tell.")


@email.callback()
def emails() -> None:
    """Emails: what came back."""


@letter.callback()
def letters() -> None:
    """Letters: what the print shop and the post tell."""


@contextmanager
def _refusals() -> Iterator[None]:
    """What is refused, and a ledger that is away, are said in words."""
    from sqlalchemy.exc import SQLAlchemyError

    from channels.bounces import NoMailbox
    from ledger.embedded import EmbeddedDatabaseError
    from tasks.returned import ListRefused

    try:
        yield
    except (NoMailbox, ListRefused) as error:
        typer.echo(error, err=True)
        raise typer.Exit(REFUSED) from None
    except (SQLAlchemyError, EmbeddedDatabaseError) as error:
        typer.echo(f"the ledger cannot be reached ({type(error).__name__}): read it again later", err=True)
        raise typer.Exit(REFUSED) from None


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
