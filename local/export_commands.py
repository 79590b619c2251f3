"""`tideover export`: the ledger's own account of every attempt, for somebody who wants to count for himself.

In:   the ledger and its keys.
Out:  one JSON object a line on standard output; complaints on standard error.
Pure: no. Rooms are imported inside commands, so that the others start without them. What it writes is personal: numbers and
      push tokens are decrypted, because a provider's own list can be compared with nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer

from local.refusals import REFUSED, refusals

PAGE: Final = 1_000

export = typer.Typer(no_args_is_help=True, help="Write out what the ledger says, so that others can check it.")


@export.callback()
def exporting() -> None:
    """Write out what the ledger says, so that others can check it."""


@export.command()
def attempts(
    *, as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, as CASES.md names its fields; required.")] = False
) -> None:
    """List every attempt, one line each, WITH ITS NUMBER OR PUSH TOKEN IN THE CLEAR: id, channel, to, state, provider id, when.

    This decrypts personal data: keep the output where only those who may see it can read it, and delete it when it has been
    compared. Read page by page, so that memory stays small; what changes meanwhile is shown as it stands when its page is read.
    """
    from ledger.vault import MissingKeyError

    if not as_json:
        typer.echo("numbers and push tokens are written in the clear; ask for them with --json", err=True)
        raise typer.Exit(REFUSED)
    with refusals(MissingKeyError, then="see TIDEOVER_DATABASE_URL and `tideover migrate`"):
        for line in lines():
            typer.echo(json.dumps(line))


def lines() -> Iterator[dict[str, Any]]:
    """Every attempt with the fields of CASES.md; `to` is None where the address was erased.

    Raises:
        MissingKeyError: A value was encrypted with a key that is not at hand.
    """
    from ledger import attempts_list, vault
    from ledger.engine import connection

    after = attempts_list.BEFORE_ALL
    while True:
        with connection() as tx:
            page = attempts_list.page(tx, after=after, at_most=PAGE)
        for row in page:
            yield {
                "attempt_id": row.id,
                "channel": row.channel,
                "to": None if row.value_encrypted is None or row.key_id is None else vault.decrypt(row.value_encrypted, row.key_id),
                "state": row.state,
                "provider_id": row.provider_id,
                "submitted_at": row.submitted_at.isoformat() if row.submitted_at is not None else None,
            }
        if len(page) < PAGE:
            return
        after = (page[-1].business_date, page[-1].id)
