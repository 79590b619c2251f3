"""`tideover history …`: which months of history are at hand and which lie in the archive, and bringing one back.

In:   a month; the ledger; config/retention.yaml.
Out:  words or JSON on standard output: months and counts, nothing of a person.
Pure: no. Rooms are imported inside commands, so that the others start without them. `list` writes nothing.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from typing import Annotated

import typer

from local.refusals import refusals

history = typer.Typer(
    no_args_is_help=True, help="Months of decisions and contacts: at hand, or in the archive. Nothing of either is removed."
)


def _refusals() -> AbstractContextManager[None]:
    """What is refused, and a ledger that is away, are said in words."""
    from config.load import ConfigError
    from ledger.partitions import MonthRefused

    return refusals(MonthRefused, ConfigError, then="see `tideover history list`")


@history.command("list")
def list_months(*, as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line in place of words.")] = False) -> None:
    """Show every month, how many rows it has, and where it lies."""
    from ledger import partitions
    from ledger.engine import connection

    with _refusals(), connection(read_only=True) as tx:
        for table in partitions.HISTORY:
            for place, lying in (("archive", partitions.archived(tx, table)), ("at hand", partitions.parts(tx, table))):
                for part in lying:
                    rows = partitions.count(tx, part.name if place == "at hand" else f"{partitions.ARCHIVE}.{part.name}")
                    if not as_json:
                        typer.echo(f"{part.name:<30} {place:<8} {rows:>12,}")
                        continue
                    ends = {name: None if day is None else day.isoformat() for name, day in (("from", part.first), ("until", part.until))}
                    typer.echo(json.dumps({"month": part.name, "table": table, "place": place, **ends, "rows": rows}))


@history.command()
def attach(
    month: Annotated[str, typer.Argument(help="As `list` names it, such as decision_2023_04.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
) -> None:
    """Bring a month back from the archive, so that its dates can be decided and corrected again."""
    from config.retention import retention_policy
    from ledger import partitions
    from ledger.engine import connection

    with _refusals(), connection(read_only=dry_run) as tx:
        table, part = partitions.find_archived(tx, month, months=retention_policy().history_months)
        rows = partitions.count(tx, f"{partitions.ARCHIVE}.{month}")
        if not dry_run:
            partitions.attach(tx, table, part)
        typer.echo(f"{month}, {rows:,} rows, {'would be' if dry_run else 'is'} at hand")
