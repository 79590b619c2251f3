"""`tideover cases …`: what people are owed an answer to: disputes, complaints, hardship and the like, with their deadlines.

In:   ids, who says so and what; the ledger.
Out:  lines or JSON lines on standard output: ids, dates, states. What was said about a case is shown by `show` alone.
Pure: no. Rooms are imported inside commands, so that the others start without them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from local.refusals import REFUSED, refusals

if TYPE_CHECKING:
    from ledger.case_lists import Case


cases = typer.Typer(no_args_is_help=True, help="What people are owed an answer to: disputes, complaints, hardship …, until when.")

Number = Annotated[int, typer.Argument(help="The case's number, as `tideover cases list` shows it.")]
By = Annotated[str, typer.Option(help="Who says so.")]
Words = Annotated[str | None, typer.Option(help="What was said or written; - reads standard input. Kept encrypted, shown by `show`.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON in place of words.")]


def _refusals() -> AbstractContextManager[None]:
    """What is refused, and a ledger that is away, are said in words."""
    from config.load import ConfigError
    from ledger.cases import CaseRefused
    from ledger.decisions_log import UnknownBorrowerError
    from ledger.person_files import NoSuchFile
    from ledger.vault import MissingKeyError

    return refusals(CaseRefused, UnknownBorrowerError, NoSuchFile, ConfigError, MissingKeyError)


@cases.command(name="open")
def open_(
    borrower: Annotated[str, typer.Argument(help="The lender's id of the borrower, or ours as #123.")],
    *,
    kind: Annotated[str, typer.Option(help="dispute, complaint, hardship, deceased, data_request, wrong_number, incident.")],
    by: By,
    loan: Annotated[str | None, typer.Option(help="The lender's id of the loan, or ours as #123; left out = none in particular.")] = None,
    stated_by: Annotated[str, typer.Option(help="Who states it: borrower, executor, attorney, debt_adviser, household, …")] = "borrower",
    part_minor: Annotated[int | None, typer.Option(min=1, help="The part that is disputed, minor units; left out = the whole.")] = None,
    reference: Annotated[str | None, typer.Option(help="Where it can be read, such as `letter 2026-114`; nothing personal.")] = None,
    words: Words = None,
    as_json: AsJson = False,
) -> None:
    """Open a case that came by letter, phone or in person; whoever disputes, complains or cannot pay is left in peace at once."""
    from ledger.case_work import open_case

    with _refusals():
        case, is_new = open_case(
            borrower,
            kind=kind,
            by=by,
            loan=loan,
            stated_by=stated_by,
            disputed_minor=part_minor,
            reference=reference,
            words=_said(words),
        )
    typer.echo(_json(case) if as_json else f"{'opened' if is_new else 'open already, said again'}: {_line(case)}")


@cases.command(name="list")
def list_(
    *,
    everything: Annotated[bool, typer.Option("--all", help="The closed ones too.")] = False,
    due: Annotated[bool, typer.Option("--due", help="Only those whose next deadline is near or has passed.")] = False,
    kind: Annotated[str | None, typer.Option(help="Only this kind.")] = None,
    as_json: AsJson = False,
) -> None:
    """List cases, whose next deadline comes first at the top. Nothing personal."""
    from config.cases import case_terms
    from ledger import case_lists
    from ledger.engine import connection

    with _refusals(), connection() as tx:
        today, near_days = _today(tx), case_terms().near_days
        found = case_lists.listed(tx, closed_too=everything, kind=kind)
    found = [one for one in found if one.is_late(today) or one.is_near(today, near_days)] if due else found
    for one in found:
        typer.echo(_json(one) if as_json else _line(one, today))
    if not found and not as_json:
        typer.echo("no case is due" if due else "no case" if everything else "no open case")


@cases.command()
def show(number: Number, *, as_json: AsJson = False) -> None:
    """Show a case with its deadlines, whose they are, and all that happened; what was said about it is decrypted."""
    from ledger import case_lists, person_files
    from ledger.engine import connection

    with _refusals(), connection() as tx:
        today = _today(tx)
        case = case_lists.read(tx, number)
        entries, files = case_lists.history(tx, number), person_files.of_case(tx, number)
    if as_json:
        shown = {"history": [_dated(asdict(one)) for one in entries], "files": [_dated(asdict(one)) for one in files]}
        typer.echo(json.dumps({**_plain(case), **shown}, ensure_ascii=False))
        return
    typer.echo(_line(case, today))
    for line in _deadlines(case):
        typer.echo(f"  {line}")
    for one in entries:
        said = "".join(f": {word}" for word in (one.reference, one.words) if word)
        typer.echo(f"  {one.at.isoformat(timespec='minutes')} {one.said_by}, {one.kind.replace('_', ' ')}{said}")
    for sent in files:
        typer.echo(f"  file {sent.id}: {sent.kind}, {sent.size_bytes} bytes, sent {sent.at.isoformat(timespec='minutes')}")


@cases.command(name="file")
def file_(
    number: Number,
    file: Annotated[int, typer.Argument(help="Number of the file, as `tideover cases show` lists it.")],
    *,
    out: Annotated[Path, typer.Option(help="Where it is saved, for your eyes alone; nothing is written over.")],
) -> None:
    """Save a file that the person sent with a case, for whoever works on it. It was not looked at for viruses."""
    from ledger import person_files
    from ledger.engine import connection

    with _refusals(), connection(read_only=True) as tx:
        kept, content = person_files.read(tx, file, case_id=number)
    try:
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as saved:
            saved.write(content)
    except OSError as error:
        typer.echo(f"not saved: {error.strerror}", err=True)
        raise typer.Exit(REFUSED) from None
    typer.echo(f"file {kept.id} is saved: {kept.kind}, {kept.size_bytes} bytes; it was not looked at for viruses")


@cases.command()
def take(number: Number, *, by: By) -> None:
    """Become the owner of a case."""
    from ledger.case_work import take as step

    with _refusals():
        new = step(number, by=by)
    typer.echo(f"case {number} is {by.strip()}'s" if new else f"case {number} was {by.strip()}'s already")


@cases.command()
def acknowledge(
    number: Number,
    *,
    by: By,
    reference: Annotated[str, typer.Option(help="Where it can be read, such as `letter 2026-115`, `call of 2026-11-20`.")],
    words: Words = None,
) -> None:
    """Write down that the person was told that the case was received."""
    from ledger.case_work import acknowledge as step

    with _refusals():
        new = step(number, by=by, reference=reference, words=_said(words))
    typer.echo(f"case {number} is acknowledged" if new else f"case {number} was acknowledged already")


@cases.command()
def answer(
    number: Number,
    *,
    by: By,
    reference: Annotated[str, typer.Option(help="Where the answer can be read, such as `letter 2026-120`.")],
    words: Words = None,
) -> None:
    """Write down that the person was answered, in words that she reads on her page; that is an acknowledgement too."""
    from ledger.case_work import answer as step

    with _refusals():
        new = step(number, by=by, reference=reference, words=_said(words))
    typer.echo(f"case {number} is answered; `tideover cases close {number}` ends it" if new else f"case {number} was answered already")


@cases.command()
def note(
    number: Number, words: Annotated[str, typer.Argument(help="What is to be kept; - reads standard input. Encrypted.")], *, by: By
) -> None:
    """Write something down about a case; it cannot be changed afterwards."""
    from ledger.case_work import add_note

    with _refusals():
        add_note(number, by=by, words=_said(words) or "")
    typer.echo(f"written down for case {number}")


@cases.command()
def proof(
    number: Number,
    *,
    by: By,
    reference: Annotated[str, typer.Option(help="Which proof, and where it is kept, such as `death certificate, file 2026-31`.")],
    words: Annotated[
        str | None, typer.Option(help="Who speaks for the person now (executor, attorney), and how to reach them; - reads standard input.")
    ] = None,
) -> None:
    """Write down that a proof was seen, and who speaks for the person from now on."""
    from ledger.case_work import see_proof

    with _refusals():
        see_proof(number, by=by, reference=reference, words=_said(words))
    typer.echo(f"written down for case {number}: {reference.strip()} was seen")


@cases.command()
def close(
    number: Number,
    *,
    by: By,
    result: Annotated[str, typer.Option(help="How it ends, such as upheld, partly_upheld, not_upheld, withdrawn, relief_agreed.")],
    because: Annotated[str | None, typer.Option(help="Why; - reads standard input. Kept encrypted.")] = None,
    corrected: Annotated[
        bool, typer.Option("--corrected", help="The lender's books say so by now; asked of a dispute that is upheld.")
    ] = False,
) -> None:
    """Close a case with a result; only now the peace that it brought ends."""
    from ledger.case_work import close as step

    with _refusals():
        ended = step(number, by=by, result=result, because=_said(because), is_corrected=corrected)
    held = f"; the person is still held: {', '.join(ended.still_held)}" if ended.still_held else ""
    typer.echo(f"case {number} is closed ({result}), {ended.lifted} holds ended with it{held}")


def _said(words: str | None) -> str | None:
    """Words as given; "-" reads them from standard input, where no list of processes and no history of a shell shows them."""
    return typer.get_text_stream("stdin").read().strip() if words == "-" else words


def _today(tx: Any) -> date:
    """The portfolio's local date."""
    from config.settings import settings
    from ledger import clock

    return clock.now(tx).astimezone(ZoneInfo(settings().business_zone)).date()


def _line(case: Case, today: date | None = None) -> str:
    about = f"borrower #{case.party_id}" + (f", loan #{case.loan_id}" if case.loan_id is not None else "")
    next_step = "nothing is due" if case.due is None else f"{case.due[0]} by {case.due[1].isoformat()}"
    late = "" if today is None or not case.is_late(today) else ", LATE BY LAW" if case.breaks_law(today) else ", late"
    ended = f" ({case.result})" if case.result else ""
    return (
        f"case {case.id}: {case.kind.replace('_', ' ')} of {about}, {case.state}{ended} since {case.opened_on.isoformat()}; "
        f"{next_step}{late}; owner {case.owner}"
    )


def _deadlines(case: Case) -> Iterator[str]:
    part = f", of which {case.disputed_minor} minor units {case.currency}" if case.disputed_minor is not None else ""
    yield f"stated by {case.stated_by.replace('_', ' ')}, by {case.channel}{part}"
    yield f"acknowledge by {case.acknowledge_by.isoformat()} ({_says(case.acknowledge_rule)})"
    yield f"answer by {case.answer_by.isoformat()} ({_says(case.answer_rule)})"
    if case.law_answer_by is not None and case.law_rule != case.answer_rule:
        yield f"the law's own date is {case.law_answer_by.isoformat()} ({case.law_rule})"
    elif case.law_answer_by is None:
        yield "no legal deadline is known for this person's place"


def _says(rule: str) -> str:
    return "the house's own" if rule == "house" else rule


def _plain(case: Case) -> dict[str, Any]:
    due = case.due
    return {**_dated(asdict(case)), "due": None if due is None else {"what": due[0], "by": due[1].isoformat()}}


def _json(case: Case) -> str:
    return json.dumps(_plain(case), ensure_ascii=False)


def _dated(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, (date, datetime)) else value for name, value in row.items()}
