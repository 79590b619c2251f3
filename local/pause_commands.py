"""`tideover pause`, `tideover resume`, `tideover pauses`: stop contact at once, and take it up again.

In:   what is stopped, why, who says so; the ledger.
Out:  one line a pause, or JSON, on standard output; complaints on standard error.
Pure: no. Rooms are imported inside commands, so that the others start without them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from local.refusals import REFUSED, refusals

if TYPE_CHECKING:
    from tasks.pause import Scope, Standing


Stage = Annotated[str | None, typer.Option(help="Only this stage, such as early.")]
ChannelName = Annotated[str | None, typer.Option("--channel", help="Only this channel, such as sms.")]
Jurisdiction = Annotated[str | None, typer.Option(help="Only people to whom this law attaches, such as US or US-NY.")]
Sender = Annotated[str | None, typer.Option(help="Only what goes out from this sender.")]
By = Annotated[str, typer.Option(help="Who says so.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON in place of words.")]


def _refusals() -> AbstractContextManager[None]:
    """What is refused, and a ledger that is away, are said in words."""
    from tasks.pause import PauseRefused

    return refusals(PauseRefused, then="nothing is changed. Without it nothing is sent either")


def _scope(stage: str | None, channel: str | None, jurisdiction: str | None, sender: str | None) -> Scope:
    from tasks.pause import Scope

    return Scope(stage=stage, channel=channel, jurisdiction=jurisdiction, sender=sender)


def _tell(found: Sequence[Standing], *, as_json: bool) -> None:
    for one in found:
        typer.echo(json.dumps(one.as_json(), ensure_ascii=False) if as_json else str(one))


def pause(
    what: Annotated[Literal["all"] | None, typer.Argument(help="`all`, or left out: everything that no option narrows.")] = None,
    *,
    because: Annotated[str, typer.Option(help="Why, for the record; asked for, except with --dry-run.")] = "",
    by: Annotated[str, typer.Option(help="Who says so; asked for, except with --dry-run.")] = "",
    stage: Stage = None,
    channel: ChannelName = None,
    jurisdiction: Jurisdiction = None,
    sender: Sender = None,
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%dT%H:%M%z", "%Y-%m-%dT%H:%M:%S%z"], help="When it ends by itself; left out = by `resume`."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many planned attempts it would concern.")] = False,
    as_json: AsJson = False,
) -> None:
    """Stop contact at once: everything, or a stage, a channel, a jurisdiction, a sender (several together narrow it)."""
    from tasks.pause import pause_contact

    scope = _scope(stage, channel, jurisdiction, sender)
    with _refusals():
        if what is not None and str(scope) != "everything":
            typer.echo(f"`all` and {scope}: say one of them", err=True)
            raise typer.Exit(REFUSED)
        _tell([pause_contact(scope, because=because, by=by, until=until, dry_run=dry_run)], as_json=as_json)


def resume(
    what: Annotated[
        str | None, typer.Argument(help="A pause's number as `tideover pauses` lists it, or `all` of them; left out = by scope.")
    ] = None,
    *,
    by: By,
    stage: Stage = None,
    channel: ChannelName = None,
    jurisdiction: Jurisdiction = None,
    sender: Sender = None,
    as_json: AsJson = False,
) -> None:
    """Resume contact: one pause by number, all, or that of exactly this scope (none = of everything); says what waits and what expired."""
    from tasks.pause import resume_contact

    scope = None if what else _scope(stage, channel, jurisdiction, sender)
    if what not in {None, "all"} and not what.lstrip("#").isdecimal():
        typer.echo(f"{what!r} is neither a pause's number nor `all`", err=True)
        raise typer.Exit(REFUSED)
    number = int(what.lstrip("#")) if what not in {None, "all"} else None
    with _refusals():
        _tell(resume_contact(scope, by=by, pause_id=number), as_json=as_json)


def pauses(*, as_json: AsJson = False) -> None:
    """List the pauses in force, oldest first, with what waits for each."""
    from tasks.pause import standing_pauses

    with _refusals():
        found = standing_pauses()
    _tell(found, as_json=as_json)
    if not found and not as_json:
        typer.echo("nothing is paused")
