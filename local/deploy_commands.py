"""`tideover deploy`: bring Prefect's server to what prefect.yaml and config/automations.yaml say, and leave alone what operations changed.

In:   the two files, Prefect's server (`PREFECT_API_URL`).
Out:  one line a thing that was done, or JSON, on standard output; complaints on standard error.
Pure: no. Rooms are imported inside the command, so that the others start without them.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer

REFUSED = 2


def deploy(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    restore: Annotated[bool, typer.Option("--restore", help="Make again what operations deleted.")] = False,
    overwrite: Annotated[
        list[str] | None,
        typer.Option(help="A thing, as a deploy says it, that follows the file again though operations changed it; may be repeated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line in place of words.")] = False,
) -> None:
    """Deploy everything to Prefect's server; what operations changed, switched off or made there stays as it is."""
    from config.load import ConfigError
    from local.deploy import deploy as deploy_all
    from local.deploy_report import DeployRefused, How, worst

    try:
        done = deploy_all(How(dry_run=dry_run, restore=restore, overwrite=frozenset(overwrite or ())))
    except (DeployRefused, ConfigError) as error:
        typer.echo(error, err=True)
        raise typer.Exit(REFUSED) from None
    for one in done:
        if as_json:
            typer.echo(json.dumps(one.as_json(), ensure_ascii=False))
        elif one.action != "same":
            typer.echo(one)
    if not as_json:
        same = sum(one.action == "same" for one in done)
        typer.echo(f"{'would be done' if dry_run else 'deployed'}; nothing to do for {same} of {len(done)}")
    raise typer.Exit(worst(done))
