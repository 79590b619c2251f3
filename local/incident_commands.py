"""`tideover incident …`: what went wrong, for whom, what was done, and a correction to those whom it reached.

In:   what somebody says; the ledger.
Out:  lines or JSON on standard output: ids and counts, nothing personal; complaints on standard error.
Pure: no. Rooms are imported inside commands, so that the others start without them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from local.refusals import REFUSED, refusals

if TYPE_CHECKING:
    from ledger.incidents import Incident
    from tasks.incident import Correction

PAGE: Final = 1_000
INSTANTS: Final = ["%Y-%m-%dT%H:%M%z", "%Y-%m-%dT%H:%M:%S%z"]

incident = typer.Typer(no_args_is_help=True, help="What went wrong for people: their list, notes, and a correction to them.")

Number = Annotated[int, typer.Argument(help="The incident's number, as `tideover incident list` shows it.")]
By = Annotated[str, typer.Option(help="Who says so.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON in place of words.")]


def _refusals() -> AbstractContextManager[None]:
    """What is refused, and a ledger that is away, are said in words."""
    from config.load import ConfigError
    from ledger.approvals import ApprovalRefused
    from ledger.campaigns import RunRefused
    from ledger.incidents import IncidentRefused

    return refusals(IncidentRefused, ApprovalRefused, RunRefused, ConfigError, then="see TIDEOVER_DATABASE_URL and `tideover migrate`")


@incident.command(name="open")
def open_(
    *,
    kind: Annotated[str, typer.Option(help="wrong_text, wrong_portfolio, provider_outage, violation, privacy, complaint, other.")],
    title: Annotated[str, typer.Option(help="What happened, in a line; nothing about a person.")],
    by: By,
    run: Annotated[int | None, typer.Option(help="Whoever a campaign run wrote to.")] = None,
    message: Annotated[str | None, typer.Option(help="Whoever got this message, such as early_reminder.")] = None,
    version: Annotated[str | None, typer.Option(help="Only with the text of this hash, or its beginning.")] = None,
    channel: Annotated[str | None, typer.Option(help="Only by this channel.")] = None,
    since: Annotated[datetime | None, typer.Option(formats=INSTANTS, help="Only from this instant on.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=INSTANTS, help="Only before this instant.")] = None,
    batch: Annotated[int | None, typer.Option(help="Of whom this import says something; of their messages those after it.")] = None,
    borrower: Annotated[list[str] | None, typer.Option(help="These borrowers: the lender's id, or ours as #123; may be repeated.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count whom it would concern.")] = False,
    as_json: AsJson = False,
) -> None:
    """Open an incident: whom it concerns is chosen now and does not change any more."""
    from ledger.decisions_log import UnknownBorrowerError
    from ledger.incidents import Concerned, Selection
    from tasks.incident import open_incident

    with _refusals():
        try:
            selection = Selection(
                run=run,
                message=message,
                version=version,
                channel=channel,
                since=since,
                until=until,
                batch=batch,
                borrowers=_parties(borrower),
            )
        except UnknownBorrowerError as error:
            typer.echo(error, err=True)
            raise typer.Exit(REFUSED) from None
        opened = open_incident(kind=kind, title=title, by=by, selection=selection, dry_run=dry_run)
    if as_json:
        typer.echo(_json(asdict(opened)))
    elif isinstance(opened, Concerned):
        typer.echo(f"would concern {opened.people} people, {opened.attempts} attempts, of whom {opened.reached} were reached")
    else:
        typer.echo(_line(opened))


@incident.command(name="list")
def list_(*, everything: Annotated[bool, typer.Option("--all", help="The closed ones too.")] = False, as_json: AsJson = False) -> None:
    """List incidents, the newest first."""
    from ledger import incidents
    from ledger.engine import connection

    with _refusals(), connection() as tx:
        found = incidents.read_all(tx, closed_too=everything)
    for one in found:
        typer.echo(_json(asdict(one)) if as_json else _line(one))
    if not found and not as_json:
        typer.echo("no incident" if everything else "no open incident")


@incident.command()
def show(number: Number, *, as_json: AsJson = False) -> None:
    """Show an incident: its list in counts, its corrections, and every note."""
    from ledger import incidents
    from ledger.engine import connection

    with _refusals(), connection() as tx:
        found = incidents.read(tx, number)
        notes = incidents.notes(tx, number)
    if as_json:
        typer.echo(_json({**asdict(found), "notes": notes}))
        return
    typer.echo(_line(found))
    typer.echo(f"  chosen by {json.dumps(found.selection, ensure_ascii=False)}, opened by {found.opened_by}")
    for one in notes:
        typer.echo(f"  {one['at'].isoformat(timespec='minutes')} {one['said_by']}, {one['kind'].replace('_', ' ')}: {one['said']}")


@incident.command()
def affected(number: Number, *, as_json: AsJson = False) -> None:
    """List the people of an incident, one a line: ids, whether they were reached, and how their correction stands."""
    with _refusals():
        for row in _affected(number):
            if as_json:
                typer.echo(_json(row))
                continue
            attempts = ", ".join(map(str, row["attempts"])) or "none"
            reached = "reached" if row["reached"] else "not reached"
            typer.echo(f"borrower #{row['party_id']}  {reached}  attempts {attempts}  correction: {row['correction'] or 'none'}")


@incident.command()
def note(
    number: Number,
    said: Annotated[str, typer.Argument(help="What is to be kept; nothing about a person.")],
    *,
    by: By,
    reopen: Annotated[bool, typer.Option("--reopen", help="Also open a closed incident again.")] = False,
) -> None:
    """Write something down about an incident; it cannot be changed afterwards."""
    _write(number, said, by=by, kind="reopened" if reopen else "note")
    typer.echo(f"written down for incident {number}")


@incident.command()
def close(number: Number, *, by: By, because: Annotated[str, typer.Option(help="Why it is over.")]) -> None:
    """Close an incident; its list and its notes stay."""
    _write(number, because, by=by, kind="closed")
    typer.echo(f"incident {number} is closed")


@incident.command()
def correct(
    number: Number,
    *,
    by: Annotated[str, typer.Option(help="Who asks or approves; not needed with --dry-run.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say who would be told, where and in which words.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tell those whom it reached that it was wrong: one person asks, the same command by another one approves and plans."""
    from tasks.incident import correct as step

    with _refusals():
        found = step(number, by=by, dry_run=dry_run)
    if as_json:
        typer.echo(_json(asdict(found)))
        return
    for line in _words(found):
        typer.echo(line)


def _words(found: Correction) -> Iterator[str]:
    told = sum(found.planned.values())
    where = ", ".join(f"{count} by {what}" for what, count in found.planned.items()) or "nobody"
    yield f"{found.state}: of {found.reached} people whom it reached {told} are told ({where}), {found.reached - told} are not"
    yield from (f"  not told: {reason} ({count})" for reason, count in found.withheld.items())
    if found.state in {"preview", "asked"}:
        yield from (f"  {locale}: {words}" for locale, words in found.texts.items())
    if found.state == "asked":
        yield f"asked for by {found.asked_by}: another person approves it with the same command"
    if found.state == "planned":
        yield f"approved by {found.approved_by}; run {found.run} goes out with the next `dispatch`, once nothing is paused, in lawful hours"


def _parties(named: list[str] | None) -> tuple[int, ...] | None:
    from ledger.decisions_log import find_party
    from ledger.engine import connection

    if named is None:
        return None
    with connection() as tx:
        return tuple(find_party(tx, one) for one in named)


def _write(number: int, said: str, *, by: str, kind: str) -> None:
    from ledger import clock, incidents
    from ledger.engine import connection

    with _refusals(), connection() as tx:
        incidents.lock(tx, number)
        incidents.note(tx, number, said=said, by=by, at=clock.now(tx), kind=kind)


def _affected(number: int) -> Iterator[dict[str, Any]]:
    """Everybody of an incident, a page at a time."""
    from ledger import incidents
    from ledger.engine import connection

    with connection() as tx:
        incidents.read(tx, number)
    after = 0
    while True:
        with connection() as tx:
            page = incidents.affected(tx, number, after=after, at_most=PAGE)
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1]["party_id"]


def _line(one: Incident) -> str:
    counts = one.concerned
    corrections = ", ".join(f"{number} {state}" for state, number in one.corrections.items())
    return (
        f"incident {one.id} ({one.kind}, {one.state}, {one.opened_at.isoformat(timespec='minutes')}): {one.title}; {counts.people} people, "
        f"{counts.attempts} attempts, {counts.reached} people reached" + (f"; corrections: {corrections}" if corrections else "")
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=lambda one: one.isoformat() if isinstance(one, datetime) else str(one))
