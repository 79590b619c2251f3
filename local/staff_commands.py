"""`tideover staff …`: who of the staff may sign in at the desks, in which roles, and who looked at whom.

In:   names, how the issuer names people, roles; the ledger.
Out:  lines or JSON lines on standard output.
Pure: no. Rooms are imported inside commands, so that the others start without them.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import date
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from local.refusals import REFUSED, ledger_errors

staff = typer.Typer(no_args_is_help=True, help="Who may sign in at the desks, in which roles, and who looked at whom.")

Number = Annotated[int, typer.Argument(help="Her number, as `tideover staff list` shows it.")]
Roles = Annotated[list[str], typer.Option("--role", help="A role of config/roles.yaml; may be given more than once.")]
By = Annotated[str, typer.Option(help="Who says so.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON lines in place of words.")]


def _refusals() -> AbstractContextManager[None]:
    """What is refused, and a ledger that is away, are said in words."""
    from ledger.staff import StaffRefused
    from ledger.vault import MissingKeyError

    return ledger_errors(StaffRefused, MissingKeyError)


@staff.command()
def add(
    name: Annotated[str, typer.Argument(help="Under which what she does is kept.")],
    *,
    subject: Annotated[str, typer.Option(help="How the issuer names her (claim `sub`); whoever signs in unknown is told it.")],
    role: Roles,
    by: By,
    issuer: Annotated[str | None, typer.Option(help="Who vouches for her; left out = TIDEOVER_OIDC_ISSUER.")] = None,
) -> None:
    """Let somebody sign in, in these roles."""
    from config.settings import settings
    from ledger import staff as rows
    from ledger.engine import connection

    with _refusals(), connection() as tx:
        number = rows.add(tx, name=name, issuer=issuer or settings().oidc_issuer, subject=subject, roles=role, by=by)
    typer.echo(f"{number}: {' '.join(name.split())} may sign in as {', '.join(sorted(set(role)))}")


@staff.command(name="list")
def list_(*, everybody: Annotated[bool, typer.Option("--all", help="Those who have left, too.")] = False, as_json: AsJson = False) -> None:
    """List the staff with their roles, and when each was last at a desk."""
    from ledger import staff as rows
    from ledger.engine import connection

    with _refusals(), connection(read_only=True) as tx:
        found = rows.everybody(tx, ended_too=everybody)
    for one in found:
        if as_json:
            typer.echo(json.dumps(asdict(one), default=str, ensure_ascii=False))
            continue
        seen = "never at a desk" if one.seen_at is None else f"last at a desk {one.seen_at.isoformat(timespec='minutes')}"
        left = "" if one.ended_at is None else f"; left {one.ended_at.isoformat(timespec='minutes')}"
        typer.echo(f"{one.id}: {one.name} ({one.subject}), {', '.join(one.roles) or 'no role'}, added by {one.added_by}; {seen}{left}")
    if not found and not as_json:
        typer.echo("nobody of the staff may sign in: `tideover staff add`")


@staff.command(name="roles")
def set_roles(number: Number, *, role: Roles, by: By) -> None:
    """Give somebody exactly these roles, at once; those that her groups at the issuer give stay."""
    from ledger import staff as rows
    from ledger.engine import connection

    with _refusals(), connection() as tx:
        rows.set_roles(tx, number, role, by=by)
    typer.echo(f"{number}: {', '.join(sorted(set(role)))}")


@staff.command()
def end(number: Number, *, by: By) -> None:
    """Let somebody in no more; her open desks close at once."""
    from ledger import staff as rows
    from ledger.engine import connection

    with _refusals(), connection() as tx:
        rows.end(tx, number, by=by)
    typer.echo(f"{number} may not sign in any more; her desks are closed")


@staff.command(name="views")
def list_views(
    *,
    day: Annotated[str | None, typer.Option(help="A date like 2026-11-20 in the business zone; left out = today.")] = None,
    number: Annotated[int | None, typer.Option("--staff", help="Only hers.")] = None,
    borrower: Annotated[int | None, typer.Option(help="Only those at this person: our id.")] = None,
    count: Annotated[bool, typer.Option("--count", help="How many people each of the staff looked at, in place of each look.")] = False,
    as_json: AsJson = False,
) -> None:
    """List who looked at whom on a day, by the wall clock; reasons are decrypted."""
    from config.desk_files import desk_policy_in_force
    from config.settings import settings
    from ledger import outbox, staff_views
    from ledger.engine import connection

    zone = settings().business_zone
    with _refusals(), connection(read_only=True) as tx:
        try:
            on = date.fromisoformat(day) if day else outbox.wall_clock(tx).astimezone(ZoneInfo(zone)).date()
        except ValueError:
            typer.echo("--day is a date like 2026-11-20", err=True)
            raise typer.Exit(REFUSED) from None
        if count:
            usual = desk_policy_in_force().unusual_views
            for one in staff_views.looks(tx, day=on, zone=zone):
                more = ", more than usual" if one.people > usual else ""
                typer.echo(
                    json.dumps({**asdict(one), "unusual": bool(more)}, ensure_ascii=False)
                    if as_json
                    else f"{one.staff_id}: {one.name} looked at {one.people} people, {one.views} times{more}"
                )
        else:
            for view in staff_views.views(tx, day=on, zone=zone, staff_id=number, party_id=borrower):
                at = view.at.astimezone(ZoneInfo(zone)).isoformat(timespec="seconds")
                why = "" if view.why is None else f": {view.why}"
                words = f"{at} {view.name} ({view.staff_id}) looked at borrower #{view.party_id}, {view.what}{why}"
                typer.echo(json.dumps(asdict(view), default=str, ensure_ascii=False) if as_json else words)
