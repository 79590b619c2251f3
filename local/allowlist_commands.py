"""`tideover allowlist`: staff numbers in, lines of TIDEOVER_ALLOWLIST out.

In:   numbers and push tokens, one a line, on standard input.
Out:  their blind indexes, one a line; complaints on standard error name lines, never a value.
Pure: no. Rooms are imported inside commands, so that the others start without them.
"""

from __future__ import annotations

import sys

import typer

REFUSED = 2


def allowlist() -> None:
    """Make the lines of TIDEOVER_ALLOWLIST: reads numbers (+886912345678) and push tokens, one a line, on standard input."""
    import phonenumbers

    from ledger import vault

    for number, line in enumerate(sys.stdin, start=1):
        value = line.strip()
        if not value:
            continue
        if value.startswith("+") or value.replace(" ", "").replace("-", "").isdigit():
            try:
                value = phonenumbers.format_number(phonenumbers.parse(value, None), phonenumbers.PhoneNumberFormat.E164)
            except phonenumbers.NumberParseException:
                typer.echo(f"standard input:{number}: not a number with its country, such as +886912345678", err=True)
                raise typer.Exit(REFUSED) from None
        try:
            typer.echo(vault.blind_index(value).hex())
        except vault.MissingKeyError as error:
            typer.echo(error, err=True)
            raise typer.Exit(REFUSED) from None
