"""`tideover migrate`, `tideover backup`, `tideover restore`: the schema, and copies of the whole.

In:   files and folders; the ledger.
Out:  one line or one JSON object on standard output; complaints on standard error, exit 1.
Pure: no. Rooms are imported inside commands, so that the others start without them.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer

from local.refusals import refusals

REFUSED = 1
KEEP = 14

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object in place of words.")]


def _refusals() -> AbstractContextManager[None]:
    """What is refused, and a ledger that is away, are said in words."""
    from ledger.backup import BackupError
    from ledger.embedded import EmbeddedDatabaseError

    return refusals(BackupError, EmbeddedDatabaseError, then="see TIDEOVER_DATABASE_URL; nothing is half done", code=REFUSED)


def migrate(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which migrations would be applied.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the ledger to the newest migration, making its database where it is missing."""
    from ledger import schema
    from ledger.engine import connection, database_url

    with _refusals():
        schema.create_database(database_url())
        with connection() as tx:
            before = schema.revision(tx)
        known = schema.known_revisions()
        # A ledger that a newer version has migrated has nothing to come.
        missing = list(known if before is None else known[known.index(before) + 1 :] if before in known else ())
        if missing and not dry_run:
            schema.migrate()
    if as_json:
        typer.echo(json.dumps({"before": before, "newest": known[-1], "missing": missing, "applied": [] if dry_run else missing}))
    elif before is not None and before not in known:
        typer.echo(f"the ledger stands at {before}, which a newer version of tideover made; nothing is changed")
    elif dry_run and missing:
        typer.echo(f"would apply {len(missing)} migrations: {', '.join(missing)}")
    else:
        typer.echo("the ledger is at the newest migration")


def backup(
    file: Annotated[Path | None, typer.Argument(help="New file, in pg_dump's custom format.")] = None,
    *,
    into: Annotated[Path | None, typer.Option(help="Or a folder, in which the file is named by its time.")] = None,
    keep: Annotated[int, typer.Option(min=1, help="With --into: how many backups stay there; older ones are removed.")] = KEEP,
    as_json: AsJson = False,
) -> None:
    """Write the whole ledger to a file; an existing one is never overwritten. The keys are not in it."""
    from ledger import backup as backups

    if (file is None) == (into is None):
        typer.echo("give a file, or --into FOLDER", err=True)
        raise typer.Exit(REFUSED)
    removed: list[Path] = []
    with _refusals():
        if into is not None:
            file, removed = backups.backup_into(into, keep=keep)
        elif file is not None:
            backups.backup(file)
    if as_json:
        typer.echo(json.dumps({"file": str(file), "removed": [str(path) for path in removed]}))
    else:
        typer.echo(f"backup: {file}" + (f"; removed {len(removed)} older" if removed else ""))


def restore(file: Annotated[Path, typer.Argument(help="A file that `tideover backup` wrote.")], *, as_json: AsJson = False) -> None:
    """Bring a backup back into an empty ledger, migrate it, and pause all contact until somebody has looked."""
    from ledger import backup as backups

    with _refusals():
        pause = backups.restore(file)
    if as_json:
        typer.echo(json.dumps({"file": str(file), "pause": pause.id}))
        return
    typer.echo(f"restore: {file}")
    typer.echo(f"All contact is paused (#{pause.id}): what was sent after this backup is not in it.")
    typer.echo('Follow "After a restore" in docs/deploy.md, then `tideover resume --by NAME`.')
