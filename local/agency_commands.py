"""`tideover agencies …`: who may collect for the lender, which loan is with whom, what each is told and tells.

In:   codes, ids, dates, files; the ledger.
Out:  lines or JSON lines on standard output: codes, ids, dates, counts. Nothing of a person.
Pure: no. Rooms are imported inside commands, so that the others start without them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from local.refusals import REFUSED, refusals

if TYPE_CHECKING:
    from decisions.placements import Licence
    from ledger.agencies import Agency
    from ledger.placements import Placement

SOME_REJECTED: Final = 1
LICENCE_PARTS: Final = 4

agencies = typer.Typer(no_args_is_help=True, help="Agencies: licences, placing and recalling loans, what each is told and tells.")

Code = Annotated[str, typer.Argument(help="Our short name of the agency, such as `harbour`.")]
LoanName = Annotated[str, typer.Argument(help="The lender's id of the loan, or ours as #123.")]
By = Annotated[str, typer.Option(help="Who says so.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON in place of words.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


@contextmanager
def _refusals() -> Iterator[None]:
    """What is refused, and a ledger or an outbox that is away, are said in words."""
    from config.load import ConfigError
    from ledger.agencies import AgencyRefused
    from ledger.vault import MissingKeyError

    try:
        with refusals(AgencyRefused, ConfigError, MissingKeyError):
            yield
    except OSError as error:
        typer.echo(f"the outbox cannot be written to ({type(error).__name__}): nothing counts as told", err=True)
        raise typer.Exit(REFUSED) from None


@agencies.command()
def add(
    code: Code,
    *,
    name: Annotated[str, typer.Option(help="As borrowers are told it.")],
    contact: Annotated[str, typer.Option(help="How a borrower reaches the firm; nobody's own number.")],
    by: By,
    certificate: Annotated[Path | None, typer.Option(help="X.509, PEM, RSA: what it is sent is encrypted for it.")] = None,
    licence: Annotated[
        list[str] | None, typer.Option(help="JURISDICTION:NUMBER:FROM:UNTIL, such as US-NY:DCA-17:2026-01-01:2027-01-01; may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write an agency down, or what has changed of it, and its licences; a licence is never taken away, only a longer one added."""
    from tasks.agencies import add_agency

    with _refusals():
        found = add_agency(
            code, name=name, contact=contact, certificate=certificate, by=by, licences=[_licence(one) for one in licence or []]
        )
    typer.echo(_json(_plain(found)) if as_json else _line(found))


@agencies.command(name="list")
def list_(*, as_json: AsJson = False) -> None:
    """List agencies with their licences, loans, unacknowledged feeds and findings."""
    from ledger import agencies as read
    from ledger.engine import connection

    with _refusals(), connection(read_only=True) as tx:
        found = read.listed(tx)
    for one in found:
        typer.echo(_json(_plain(one)) if as_json else _line(one))
    if not found and not as_json:
        typer.echo("no agency")


@agencies.command()
def notice(
    loan: LoanName,
    *,
    by: By,
    reference: Annotated[str, typer.Option(help="Where the notice can be read, such as `letter 2026-114`; nothing personal.")],
    sent_at: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%dT%H:%M%z", "%Y-%m-%dT%H:%M:%S%z"], help="When it went out; left out = now.")
    ] = None,
) -> None:
    """Write down that everybody who stands for a loan was told, in writing, which agency is to have it."""
    from ledger.placing import note_notice

    with _refusals():
        new = note_notice(loan, sent_at=sent_at, by=by, reference=reference)
    typer.echo(f"{new} people had notice" if new else "that was written down already")


@agencies.command()
def place(
    loan: LoanName,
    code: Code,
    *,
    by: By,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day after its last; left out = the longest.")] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Place a loan with an agency, or say everything that stands against it; from then on it is not contacted about from here."""
    from ledger.placing import place_loan

    with _refusals():
        found = place_loan(loan, code, until=None if until is None else until.date(), by=by, dry_run=dry_run)
    if found is None:
        typer.echo(_json({"may_be_placed": True}) if as_json else "it may be placed")
        return
    typer.echo(_json(asdict(found)) if as_json else f"placed: {_placement(found)}")


@agencies.command()
def recall(
    loan: LoanName,
    *,
    by: By,
    because: Annotated[str, typer.Option(help="Why, in words without a number or an address.")],
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Take a loan back; its agency is told with the next feed, and what it does from now on is a finding."""
    from ledger.placing import recall_loan

    with _refusals():
        found = recall_loan(loan, because=because, by=by, dry_run=dry_run)
    typer.echo(_json(asdict(found)) if as_json else f"{'would be recalled' if dry_run else 'recalled'}: {_placement(found)}")


@agencies.command()
def placements(
    code: Annotated[str | None, typer.Argument(help="Only this agency's.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Those that have ended too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List which loan is with whom, since when and until when."""
    from ledger import agencies as read
    from ledger import placements as step
    from ledger.engine import connection

    with _refusals(), connection(read_only=True) as tx:
        found = step.listed(tx, agency_id=None if code is None else read.find(tx, code).id, ended_too=everything)
    for one in found:
        typer.echo(_json(asdict(one)) if as_json else _placement(one))
    if not found and not as_json:
        typer.echo("no loan is placed")


@agencies.command(name="import")
def import_(
    code: Code,
    file: Annotated[Path, typer.Argument(help="JSON lines, as docs/agencies.md has them.")],
    *,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Read what an agency tells: contacts into the one log, stops and disputes at once; bad lines are named, good ones kept."""
    from tasks.agencies import read_file

    with _refusals():
        found = read_file(code, file, dry_run=dry_run)
    if as_json:
        typer.echo(_json(found.as_json()))
    else:
        typer.echo(
            f"{found.lines} lines: " + (", ".join(f"{count} {what}" for what, count in found.taken.counts.items()) or "none is good")
        )
        for rule, count in found.taken.findings.items():
            typer.echo(f"  against {rule}: {count}")
    for number, reason in sorted(found.taken.rejected):
        typer.echo(f"{file.name}:{number}: {reason}", err=True)
    raise typer.Exit(SOME_REJECTED if found.taken.rejected else 0)


@agencies.command()
def feed(
    code: Code,
    *,
    again: Annotated[int | None, typer.Option(min=1, help="Write this feed once more, where its file was lost.")] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Write what an agency has not been told yet: an encrypted file in the outbox (TIDEOVER_AGENCY_OUTBOX)."""
    from tasks.agencies import write_feed

    with _refusals():
        found = write_feed(code, number=again, dry_run=dry_run)
    if as_json:
        typer.echo(_json(found.as_json()))
        return
    said = ", ".join(f"{count} {kind}" for kind, count in found.counts.items()) or "nothing new"
    typer.echo(said if found.file is None else f"feed {found.number} ({said}): {found.file}")


@agencies.command()
def feeds(
    code: Annotated[str | None, typer.Argument(help="Only this agency's.")] = None,
    *,
    open_only: Annotated[bool, typer.Option("--open", help="Only those that it has not acknowledged.")] = False,
    as_json: AsJson = False,
) -> None:
    """List what agencies were told, and what they have acknowledged."""
    from ledger import agencies as read
    from ledger import agency_feeds
    from ledger.engine import connection

    with _refusals(), connection(read_only=True) as tx:
        found = agency_feeds.states(tx, agency_id=None if code is None else read.find(tx, code).id, open_only=open_only)
    for one in found:
        acknowledged = (
            "not acknowledged" if one.acknowledged_at is None else f"acknowledged {one.acknowledged_at.isoformat(timespec='minutes')}"
        )
        typer.echo(
            _json(asdict(one))
            if as_json
            else f"{one.agency} feed {one.number} of {one.business_date.isoformat()}: {one.lines} lines, {acknowledged}"
        )
    if not found and not as_json:
        typer.echo("no feed")


@agencies.command()
def findings(
    code: Annotated[str | None, typer.Argument(help="Only this agency's.")] = None,
    *,
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Contacts of this date or later.")] = None,
    as_json: AsJson = False,
) -> None:
    """List contacts of agencies that were against a rule, or about a loan that the agency did not have then."""
    from ledger import agencies as read
    from ledger import agency_lines
    from ledger.engine import connection

    with _refusals(), connection(read_only=True) as tx:
        found = agency_lines.findings(
            tx, agency_id=None if code is None else read.find(tx, code).id, since=None if since is None else since.date()
        )
    for one in found:
        typer.echo(
            _json(one)
            if as_json
            else f"{one['agency']} contact {one['event_id']} ({one['channel']}, {one['at'].isoformat(timespec='minutes')}): {one['rule']}"
        )
    if not found and not as_json:
        typer.echo("no finding")


def _licence(written: str) -> Licence:
    from decisions.placements import Licence
    from ledger.agencies import AgencyRefused

    parts = written.split(":")
    if len(parts) != LICENCE_PARTS:
        raise AgencyRefused(f"a licence is JURISDICTION:NUMBER:FROM:UNTIL, and {written!r} has {len(parts)} parts")
    try:
        return Licence(jurisdiction=parts[0], number=parts[1], from_on=date.fromisoformat(parts[2]), until_on=date.fromisoformat(parts[3]))
    except ValueError:
        raise AgencyRefused(f"the licence of {parts[0]} has a date that is none") from None


def _line(one: Agency) -> str:
    licences = ", ".join(f"{each.jurisdiction} until {each.until_on.isoformat()}" for each in one.licences) or "no licence"
    return (
        f"{one.code} ({one.name}): {licences}; {one.open_placements} loans, {one.unacknowledged} feeds unacknowledged, "
        f"{one.findings} contacts against a rule" + ("" if one.certificate else "; no certificate: nothing can be sent to it")
    )


def _placement(one: Placement) -> str:
    ended = "" if one.ended_at is None else f", ended {one.ended_at.isoformat(timespec='minutes')} ({one.ended_because})"
    return f"loan {one.loan} with {one.agency} since {one.starts_at.isoformat(timespec='minutes')} until {one.until_on.isoformat()}{ended}"


def _plain(one: Agency) -> dict[str, Any]:
    plain = asdict(one)
    return {**plain, "certificate": one.certificate is not None}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=lambda one: one.isoformat() if isinstance(one, date) else str(one))
