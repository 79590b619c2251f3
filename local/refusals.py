"""How commands say that something is refused, or that the ledger is away: one line on standard error, and an exit code.

In:   the classes of errors that say themselves why.
Out:  context managers.
Pure: no. Rooms are imported inside, so that commands start without them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

import typer

REFUSED: Final = 2
# Of whoever writes: nothing is half done.
NOTHING_WRITTEN: Final = "nothing is written; pause, or try again"
# Of whoever reads.
LOOK: Final = "see TIDEOVER_DATABASE_URL and `tideover migrate`"


@contextmanager
def said(*known: type[Exception], code: int = REFUSED) -> Iterator[None]:
    """Say in words what is refused.

    Args:
        *known: Errors whose message is for people.
        code: With which the program ends.
    """
    try:
        yield
    except known as error:
        typer.echo(error, err=True)
        raise typer.Exit(code) from None


@contextmanager
def refusals(*known: type[Exception], then: str = NOTHING_WRITTEN, code: int = REFUSED) -> Iterator[None]:
    """Say in words what is refused, and that the ledger cannot be reached.

    Args:
        *known: Errors whose message is for people.
        then: What follows where the ledger is away.
        code: With which the program ends.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from ledger.embedded import EmbeddedDatabaseError

    try:
        with said(*known, code=code):
            yield
    except (SQLAlchemyError, EmbeddedDatabaseError) as error:
        # What the database says may hold its address; what kind of trouble it is does not.
        typer.echo(f"the ledger cannot be reached ({type(error).__name__}): {then}", err=True)
        raise typer.Exit(code) from None


def ledger_errors(*known: type[Exception], then: str = LOOK) -> AbstractContextManager[None]:
    """`refusals` of whoever reads files and the ledger: what cannot be read, and what there is none of, too."""
    from config.load import ConfigError

    return refusals(ConfigError, LookupError, *known, then=then)
