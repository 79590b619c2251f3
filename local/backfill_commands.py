"""`tideover backfill`: past dates again. Decide them again, catch up with missed ones, record what was learned late.

In:   dates and choices; the ledger. `catch-up` also runs today's stages, for which Prefect's server must be there.
Out:  a page of counts or one JSON object on standard output, dates as they are done and complaints on standard error;
      with `rows`, a file of ids.
Pure: no. Rooms are imported inside commands, so that the others start without them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from local.refusals import REFUSED, refusals

if TYPE_CHECKING:
    from tasks.backfill_requests import CatchUp, ReDecide, ReRecord

backfill = typer.Typer(
    no_args_is_help=True, help="Past dates again: decide them again, catch up with missed ones, record what was learned late."
)

UNFINISHED = 1

First = Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First business date.")]
Last = Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last business date, included; at most 400 dates.")]
Stages = Annotated[list[str] | None, typer.Option("--stage", help="Only this stage, such as early; several may be given.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object in place of words.")]


@contextmanager
def _refusals() -> Iterator[None]:
    """What is refused, and a ledger that is away, are said in words."""
    from pydantic import ValidationError

    from config.load import ConfigError
    from ledger.policies import UnknownVersionError
    from tasks.re_decide import BackfillRefused

    with refusals(BackfillRefused, UnknownVersionError, ConfigError, then="started again, the backfill goes on where it is"):
        try:
            yield
        except ValidationError as error:
            for problem in error.errors():
                where = ".".join(str(part) for part in problem["loc"])
                typer.echo(": ".join(filter(None, [where, problem["msg"].removeprefix("Value error, ")])), err=True)
            raise typer.Exit(REFUSED) from None


@backfill.command("re-decide")
def re_decide(
    *,
    first: First,
    last: Last,
    stage: Stages = None,
    policies: Annotated[Literal["now", "then"], typer.Option(help="Rules, strategy and texts of the files now, or of each date.")] = "now",
    instead: Annotated[
        list[str] | None, typer.Option(help="Another version in its place: the hash of a kept one (6 characters), or a file to be tried.")
    ] = None,
    facts: Annotated[Literal["then", "now"], typer.Option(help="What was known then, or also what was learned since.")] = "then",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the counts, keep nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what would have been done on past dates, by other rules or strategies. Can send nothing."""
    from tasks.backfill_requests import FILES, THEN, ReDecide

    with _refusals():
        asked = ReDecide(
            what="re-decide",
            first=first.date(),
            last=last.date(),
            policies=THEN if policies == "then" else FILES,
            instead=tuple(instead or ()),
            facts="as known then" if facts == "then" else "as known now",
            **_stages(stage),
        )
        if dry_run:
            from tasks.re_decide import foresee_re_decide

            _tell({day.isoformat(): counts for day, counts in foresee_re_decide(asked).items()}, "re_decide", as_json=as_json)
        else:
            _do(asked, as_json=as_json)


@backfill.command("catch-up")
def catch_up(
    *,
    first: First,
    last: Last,
    stage: Stages = None,
    country: Annotated[str | None, typer.Option(help="Only creditors of this country, where each has runs of its own.")] = None,
    sundays: Annotated[bool, typer.Option("--sundays", help="Stages run on Sundays here: one without a run was missed.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what was missed and what would be sent today.")] = False,
    as_json: AsJson = False,
) -> None:
    """Record the days that an outage missed, and run today's stages: sends what is right today, nothing of the days before."""
    from tasks.backfill_requests import CatchUp
    from tasks.catch_up import foresee

    with _refusals():
        asked = CatchUp(
            what="catch-up", first=first.date(), last=last.date(), country=country, sundays=sundays, dry_run=dry_run, **_stages(stage)
        )
        if dry_run:
            _tell_foreseen(foresee(asked), as_json=as_json)
            return
        from flows.backfill import StagesUnfinished
        from flows.backfill import backfill as flow

        try:
            told = flow(asked)
        except StagesUnfinished as error:
            typer.echo(error, err=True)
            raise typer.Exit(UNFINISHED) from None
        assert isinstance(told, dict)  # noqa: S101  # only a dry run ends otherwise
        _tell_done(told["backfill_id"], as_json=as_json)


@backfill.command("re-record")
def re_record(
    *,
    first: First,
    last: Last,
    known_until: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%dT%H:%M%z", "%Y-%m-%dT%H:%M:%S%z"], help="Compare with what was known then; else, before the last import."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count the differences, write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Age past dates again and work out their outcomes again, with what was learned late; lists what is otherwise, overwrites nothing."""
    from tasks.backfill_requests import ReRecord

    with _refusals():
        asked = ReRecord(what="re-record", first=first.date(), last=last.date(), known_until=known_until, dry_run=dry_run)
        if dry_run:
            from tasks.re_record import foresee_re_record

            _tell({day.isoformat(): counts for day, counts in foresee_re_record(asked).items()}, "re_record", as_json=as_json)
        else:
            _do(asked, as_json=as_json)


@backfill.command()
def rows(
    number: Annotated[int, typer.Argument(help="Number of the backfill.")],
    *,
    out: Annotated[Path, typer.Option(help="New file: one JSON object a line, with ids and no name or number.")],
) -> None:
    """Write what a backfill found to be different, of whom, into a file; an existing one is never overwritten."""
    from ledger.backfills import read_backfill, read_differences
    from ledger.engine import connection

    with _refusals():
        try:
            with connection() as tx:
                read_backfill(tx, number)
                found = read_differences(tx, number)
        except LookupError as error:
            typer.echo(error, err=True)
            raise typer.Exit(REFUSED) from None
        try:
            with out.open("x", encoding="utf-8") as file:
                file.writelines(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in found)
        except FileExistsError:
            typer.echo(f"{out} exists already; it is never overwritten", err=True)
            raise typer.Exit(REFUSED) from None
        typer.echo(f"{len(found)} rows: {out}")


def _stages(given: list[str] | None) -> dict[str, Any]:
    return {"stages": tuple(given)} if given else {}


def _do(asked: ReDecide | CatchUp | ReRecord, *, as_json: bool) -> None:
    """Do every date that is left, as the flow does, and say the whole."""
    from prefect.logging import disable_run_logger

    from ledger import clock
    from ledger.backfills import finish_backfill
    from ledger.engine import connection
    from tasks.backfill import STEPS, open_request

    with disable_run_logger():
        opened = open_request(asked)
        if opened.done:
            typer.echo(f"backfill {opened.id} goes on: {len(opened.done)} of {len(opened.dates)} dates are done", err=True)
        for day in opened.left:
            STEPS[opened.kind](opened, day)
            typer.echo(f"{day.isoformat()} done", err=True)
        with connection() as tx:
            finish_backfill(tx, opened.id, at=clock.now(tx))
    _tell_done(opened.id, as_json=as_json)


def _tell_done(number: int, *, as_json: bool) -> None:
    from ledger.backfills import read_backfill
    from ledger.engine import connection
    from tasks.backfill import summary_of, words_of

    with connection() as tx:
        done = read_backfill(tx, number)
    for line in [json.dumps(summary_of(done), ensure_ascii=False)] if as_json else words_of(done):
        typer.echo(line)


def _tell(by_date: Mapping[str, Any], kind: str, *, as_json: bool) -> None:
    """What a dry run found, by date."""
    from tasks.backfill import table_of

    if as_json:
        typer.echo(json.dumps(by_date, ensure_ascii=False))
        return
    for day, counts in by_date.items():
        typer.echo(day)
        for row in table_of(kind, counts):
            typer.echo("  " + "; ".join(f"{name}: {value}" for name, value in row.items()))
    typer.echo("a dry run: nothing is kept")


def _tell_foreseen(told: Mapping[str, Any], *, as_json: bool) -> None:
    """What was missed, and what would be sent today."""
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    from tasks.catch_up import TODAY_IS

    for day, stages in told["missed"].items():
        typer.echo(f"{day}: " + ", ".join(f"{stage} {was}" for stage, was in stages.items()))
    for stage, found in told["today"].items():
        would = ", ".join(f"{number} by {channel}" for channel, number in found["would_contact"].items()) or "nobody"
        typer.echo(
            f"today, {stage}: {found['was']}, "
            + (f"would contact {would}" if found["was"] in TODAY_IS.values() else "nothing more is sent")
        )
    typer.echo("a dry run: nothing is written or sent")
