"""How commands say that something is refused, or that the ledger is away: one line on standard error, and exit code 2.

In:   the classes of errors that say themselves why.
Out:  a context manager.
Pure: no. Rooms are imported inside, so that commands start without them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer

REFUSED: Final = 2
# Of whoever writes: nothing is half done.
NOTHING_WRITTEN: Final = "nothing is written; pause, or try again"


@contextmanager
def refusals(*known: type[Exception], then: str = NOTHING_WRITTEN) -> Iterator[None]:
    """Say in words what is refused, and that the ledger cannot be reached.

    Args:
        *known: Errors whose message is for people.
        then: What follows where the ledger is away.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from ledger.embedded import EmbeddedDatabaseError

    try:
        yield
    except known as error:
        typer.echo(error, err=True)
        raise typer.Exit(REFUSED) from None
    except (SQLAlchemyError, EmbeddedDatabaseError) as error:
        # What the database says may hold its address; what kind of trouble it is does not.
        typer.echo(f"the ledger cannot be reached ({type(error).__name__}): {then}", err=True)
        raise typer.Exit(REFUSED) from None
