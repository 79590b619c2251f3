"""The `tideover` command: what people ask on a terminal. Each command is a few lines that call the rooms.

In:   arguments and files; the environment only where a command says so.
Out:  text or JSON lines on standard output, complaints on standard error, exit codes as in CASES.md.
Pure: no. Rooms are imported inside commands, so that one that needs no database or server starts without them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)

EXPECT_DIFFERS = 1
FILE_UNREADABLE = 2


@app.callback()
def tideover() -> None:
    """Lawful, humane collection campaigns for wallet lenders."""


@app.command()
def age(file: Annotated[Path, typer.Argument(help="Case file, YAML or JSON: a list of cases.")]) -> None:
    """Say what each borrower of a case file owes, and how late it is: one JSON object a line."""
    from config.age_cases import read_age_cases
    from config.load import ConfigError
    from decisions.aging_cases import answers, differences

    try:
        cases = read_age_cases(file)
    except ConfigError as error:
        typer.echo(error, err=True)
        raise typer.Exit(FILE_UNREADABLE) from None
    holds = True
    for answer, expected in zip(answers(cases.ids, cases.facts), cases.expected, strict=True):
        typer.echo(json.dumps(answer))
        for difference in differences(answer, expected):
            typer.echo(f"{answer['id']}: {difference}", err=True)
            holds = False
    raise typer.Exit(0 if holds else EXPECT_DIFFERS)


if __name__ == "__main__":
    app()
