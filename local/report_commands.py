"""`tideover report`: a month on one page for each country, as HTML files that open from a disk.

In:   a month, a country, a folder; the ledger.
Out:  files; which they are, or one JSON object with every figure, on standard output; complaints on standard error.
Pure: no. Rooms are imported inside the command, so that the others start without them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from local.refusals import ledger_errors

if TYPE_CHECKING:
    from tasks.month_report import MonthReport

REFUSED: Final = 2


def report(
    *,
    month: Annotated[str | None, typer.Option(help="Like 2026-03; left out = the last whole one.")] = None,
    country: Annotated[str | None, typer.Option(help="Of the creditors, like TW; left out = a page for each.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the pages.")] = Path("build/report"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object with every figure in place of words.")] = False,
) -> None:
    """Make the month's page of each country: roll rates, cures, promises, plans, contacts, complaints, harm, messages not sent."""
    from tasks.month_page import page
    from tasks.month_report import MonthRefused, months_and_countries, read_month

    told = []
    with ledger_errors():
        try:
            chosen, countries = months_and_countries(month, country)
            for one in countries:
                if not as_json:
                    typer.echo(f"{chosen} {one} …", err=True)
                found = read_month(chosen, one)
                out.mkdir(parents=True, exist_ok=True)
                file = out / f"{found.name}.html"
                file.write_text(page(found), "utf-8")
                told.append((file, found))
        except MonthRefused as error:
            typer.echo(error, err=True)
            raise typer.Exit(REFUSED) from None
        except OSError as error:
            typer.echo(f"{out} cannot be written ({error.strerror}): name another folder with --out", err=True)
            raise typer.Exit(REFUSED) from None
    if as_json:
        typer.echo(json.dumps({"month": chosen, "pages": [_as_json(file, found) for file, found in told]}, ensure_ascii=False))
        return
    for file, found in told:
        few = [one.title for one in found.sections if one.too_few]
        typer.echo(str(file))
        if few:
            typer.echo(f"  too few to say all of: {', '.join(few)}")
    if not told:
        typer.echo("there are no loans yet: nothing to report")


def _as_json(file: Path, found: MonthReport) -> dict[str, Any]:
    return {
        "country": found.period.country,
        "file": str(file),
        "first": found.period.first.isoformat(),
        "last": found.period.last.isoformat(),
        "sections": [
            {
                "key": one.key,
                "title": one.title,
                "tables": {heading: list(rows) for heading, rows in one.rows.items()},
                "too_few": one.too_few or None,
            }
            for one in found.sections
        ],
    }
