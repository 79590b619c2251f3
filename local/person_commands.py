"""`tideover person …`: what somebody says by letter or phone, written down at once: a hold, a stop, "not my number"; and what was done.

In:   ids, who says so and why; the ledger.
Out:  one line on standard output; complaints on standard error.
Pure: no. Rooms are imported inside commands, so that the others start without them.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from local.refusals import refusals

person = typer.Typer(
    no_args_is_help=True,
    help='What a person says by letter or phone: leave in peace, stop, "not my number", "what do you keep of me"; answers seen to.',
)

Borrower = Annotated[str, typer.Argument(help="The lender's id of the borrower, or ours as #123.")]
By = Annotated[str, typer.Option(help="Who says so.")]
Because = Annotated[str, typer.Option(help="How it is known, such as `letter of 2026-11-20`; no number, no address.")]


def _refusals() -> AbstractContextManager[None]:
    """What is refused, and a ledger that is away, are said in words."""
    from config.load import ConfigError
    from ledger.cases import CaseRefused
    from ledger.decisions_log import UnknownBorrowerError
    from ledger.erasures import ErasureRefused
    from ledger.vault import MissingKeyError
    from tasks.person import PersonRefused

    return refusals(PersonRefused, UnknownBorrowerError, MissingKeyError, ErasureRefused, CaseRefused, ConfigError)


@person.command()
def hold(
    borrower: Borrower,
    *,
    kind: Annotated[str, typer.Option(help="Such as mental_health_crisis, bereavement, illness, dispute, complaint, attorney.")],
    by: By,
    because: Because,
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%dT%H:%M%z", "%Y-%m-%dT%H:%M:%S%z"], help="When it ends by itself; left out = not by itself."),
    ] = None,
) -> None:
    """Leave a person in peace at once; only what the hold itself calls for still reaches them."""
    from tasks.person import hold_person

    with _refusals():
        new = hold_person(borrower, kind=kind, by=by, because=because, until=until)
    typer.echo(f"held ({kind})" if new else f"held already ({kind})")


@person.command()
def release(
    borrower: Borrower,
    *,
    kind: Annotated[str, typer.Option(help="Of the hold, as `person hold` was told.")],
    by: Annotated[str, typer.Option(help="Who says so; another colleague than the one who wrote the hold down.")],
    because: Because,
) -> None:
    """End a hold that a colleague wrote down with `person hold`; what a case, a promise or a file holds stays."""
    from tasks.person import release_person

    with _refusals():
        ended = release_person(borrower, kind=kind, by=by, because=because)
    typer.echo(f"released ({kind}): {ended}")


@person.command()
def stop(borrower: Borrower, *, channel: Annotated[str, typer.Option(help="Such as sms; or all.")], by: By, because: Because) -> None:
    """Write to a person no more, by one channel or by all."""
    from tasks.person import stop_person

    with _refusals():
        stop_person(borrower, channel=channel, by=by, because=because)
    typer.echo(f"stopped ({channel})")


@person.command()
def handled(
    answers: Annotated[list[int], typer.Argument(help="Answers that waited for a person, as `tideover waiting` numbers them.")],
    *,
    by: By,
    done: Annotated[str, typer.Option(help="What was done, such as `called her, she is safe`; no number, no address.")],
) -> None:
    """Say that somebody has seen to an answer: nobody is told of it any more. What was held stays held."""
    from tasks.person import handle_answers

    with _refusals():
        new = handle_answers(answers, by=by, done=done)
    typer.echo(f"handled: {new}" + (f"; {len(set(answers)) - new} were already" if new < len(set(answers)) else ""))


@person.command(name="not-theirs")
def not_theirs(
    attempt: Annotated[int, typer.Argument(help="An attempt that went to the number, as `tideover explain` lists it.")],
    *,
    by: By,
    because: Because,
) -> None:
    """Say that a number belongs to none of our borrowers: nobody is contacted there any more."""
    from tasks.person import disown_number

    with _refusals():
        owners = disown_number(attempt, by=by, because=because)
    typer.echo(f"blocked for every borrower; {owners} of them had it")


@person.command()
def export(
    borrower: Borrower, *, out: Annotated[Path, typer.Option(help="A new file, which only its owner may read: it is personal.")]
) -> None:
    """Write all that is kept of a person into a file, for her: facts, messages with their words, decisions and the rules they name."""
    from tasks.person import export_person

    with _refusals():
        rows = export_person(borrower, out)
    typer.echo(f"{out}: {rows} rows; hand it to her alone, and delete it then")


@person.command()
def erase(
    borrower: Borrower,
    *,
    by: By,
    reference: Annotated[str, typer.Option(help="Where it can be read, such as `letter 2026-131`; nothing personal.")],
) -> None:
    """Leave a person in peace from now on, and erase her on the first day on which nothing has to be kept of her; opens a case."""
    from tasks.erasure import ask_erasure

    with _refusals():
        asked = ask_erasure(borrower, by=by, reference=reference)
    typer.echo(f"case {asked.case_id}. {asked.standing.in_words()}")


@person.command()
def keep(borrower: Borrower, *, by: By, because: Because) -> None:
    """Take an erasure back before it is done: she changed her mind, or it was refused; she may be contacted again."""
    from tasks.erasure import keep_after_all

    with _refusals():
        lifted = keep_after_all(borrower, by=by, because=because)
    typer.echo("not to be erased any more; the rules alone decide again" if lifted else "no erasure was asked for")


@person.command()
def erasures() -> None:
    """List who is left in peace until they are erased: our id, the day, and what it waits for."""
    from tasks.erasure import waiting_erasures

    with _refusals():
        waiting = waiting_erasures()
    for one in waiting:
        until = f"erased from {one.due_on} on ({one.because})" if one.due_on else f"waits for {', '.join(one.waits_for)}"
        typer.echo(f"#{one.party_id}  case {one.case_id or '-'}  {until}")
    if not waiting:
        typer.echo("nobody waits to be erased")
