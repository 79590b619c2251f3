"""`tideover core …`: what the lender's core system is told: how far each instruction has come, and what a person decides about it.

In:   an instruction's number, who says so; the ledger; the core system that the settings name.
Out:  lines or JSON lines on standard output: ids, dates, amounts, states. Nothing personal.
Pure: no. Rooms are imported inside commands, so that the others start without them.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import typer

from local.refusals import REFUSED, refusals

if TYPE_CHECKING:
    from ledger.core_instructions import Instruction

NOT_ANSWERED: Final = 1

core = typer.Typer(no_args_is_help=True, help="What the lender's core system is told: plans, later dates, freezes, waivers.")

Number = Annotated[int, typer.Argument(help="The instruction's number, as `tideover core list` shows it.")]
By = Annotated[str, typer.Option(help="Who says so.")]
Role = Annotated[str, typer.Option(help="In which role: one of config/authority.yaml.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON in place of words.")]


def _refusals() -> AbstractContextManager[None]:
    """What is refused, and a ledger or core system that is away, are said in words."""
    from channels import ForbiddenHost
    from channels.core_system import NoCoreSystemError
    from config.load import ConfigError
    from ledger.core_instructions import InstructionRefused

    return refusals(InstructionRefused, ConfigError, NoCoreSystemError, ForbiddenHost)


@core.command(name="list")
def list_(
    *,
    state: Annotated[list[str] | None, typer.Option(help="Only these: needs_approval, queued, delivered, late, accepted, …")] = None,
    kind: Annotated[str | None, typer.Option(help="Only this kind.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Those too that are applied or refused.")] = False,
    as_json: AsJson = False,
) -> None:
    """List instructions that are not ended."""
    from decisions.core_instructions import STATES, TRANSITIONS
    from ledger import core_instructions
    from ledger.engine import connection

    wanted = tuple(state or ())
    if unknown := sorted(set(wanted) - set(STATES)):
        typer.echo(f"no state {unknown[0]!r}; there are {', '.join(STATES)}", err=True)
        raise typer.Exit(REFUSED)
    not_ended = () if everything else tuple(one for one in STATES if TRANSITIONS[one])
    with _refusals(), connection() as tx:
        found = core_instructions.listed(tx, states=wanted or not_ended, kind=kind)
    for one in found:
        typer.echo(_json(one) if as_json else _line(one))
    if not found and not as_json:
        typer.echo("no such instruction")


@core.command()
def show(number: Number, *, as_json: AsJson = False) -> None:
    """Show an instruction with its terms and all that happened to it."""
    from ledger import core_instructions
    from ledger.engine import connection

    with _refusals(), connection() as tx:
        one = core_instructions.read(tx, number)
        happened = core_instructions.history(tx, number)
    if one is None:
        typer.echo(f"no instruction {number}; `tideover core list --all` names them", err=True)
        raise typer.Exit(REFUSED)
    if as_json:
        typer.echo(json.dumps({**_plain(one), "history": [_written(asdict(row)) for row in happened]}))
        return
    typer.echo(_line(one))
    typer.echo(f"  terms {json.dumps(dict(one.terms), sort_keys=True)}")
    typer.echo(f"  key on the wire {one.token}")
    for row in happened:
        who = row.said_by + (f" ({row.said_as})" if row.said_as else "")
        typer.echo(f"  {row.at.isoformat(timespec='minutes')} {row.kind.replace('_', ' ')}, {who}{f': {row.reason}' if row.reason else ''}")


@core.command()
def approve(number: Number, *, by: By, role: Role) -> None:
    """Stand for an instruction above a limit; somebody else than whoever asked."""
    from ledger import core_instructions
    from ledger.engine import connection

    with _refusals(), connection() as tx:
        state = core_instructions.approve(tx, number, by=by, role=role)
    typer.echo(f"instruction {number} is {state}" if state == "queued" else f"instruction {number} needs one more person")


@core.command()
def reject(number: Number, *, by: By, role: Role) -> None:
    """Say no to an instruction that waits for approval; a case is opened, since somebody has to tell the borrower."""
    from ledger import clock, core_answers
    from ledger.engine import connection

    with _refusals(), connection() as tx:
        core_answers.reject_and_open(tx, number, by=by, role=role, at=clock.now(tx))
    typer.echo(f"instruction {number} is refused; `tideover cases list --kind core_instruction` shows who tells the borrower")


@core.command()
def send(number: Number) -> None:
    """Deliver one instruction now, whether its time has come or not; one that was delivered is not delivered twice."""
    from functools import partial

    from gate.core import deliver, with_core_system

    with _refusals():
        became = with_core_system(partial(deliver, only=number))
    _told(dict(became), nothing=f"instruction {number} is not to be delivered (or there is none)")


@core.command()
def reconcile(*, as_json: AsJson = False) -> None:
    """Deliver what is due, ask the core system of all that is not ended, and open the cases of what is late."""
    from gate.core import ask_all, deliver, tell_late, with_core_system

    with _refusals():
        became = with_core_system(deliver) + with_core_system(ask_all) + with_core_system(deliver)
        became["late"] = tell_late()
    if as_json:
        typer.echo(json.dumps(dict(+became)))
        raise typer.Exit(NOT_ANSWERED if became["not_answered"] else 0)
    _told(dict(+became), nothing="nothing waits for the core system")


def _told(became: dict[str, int], *, nothing: str) -> None:
    typer.echo(", ".join(f"{what.replace('_', ' ')} {count}" for what, count in sorted(became.items())) or nothing)
    if became.get("not_answered"):
        raise typer.Exit(NOT_ANSWERED)


def _line(one: Instruction) -> str:
    due = one.apply_by if one.state == "accepted" else one.accept_by
    relief = f", gives up {one.relief_minor} {one.currency} (minor units)" if one.relief_minor else ""
    by = f", due {due.isoformat(timespec='minutes')}" if due is not None and one.state not in {"applied", "refused"} else ""
    why = f" ({one.reason_code})" if one.reason_code else ""
    who = f"{one.asked_by} ({one.asked_as})"
    return f"instruction {one.id}: {one.kind} of #{one.party_id}, loan #{one.loan_id}, {one.state}{why}{relief}{by}; asked by {who}"


def _plain(one: Instruction) -> dict[str, Any]:
    return _written(asdict(one))


def _written(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else str(value) if isinstance(value, UUID) else value
        for name, value in values.items()
    }


def _json(one: Instruction) -> str:
    return json.dumps(_plain(one))
