"""The `tideover` command: what people ask on a terminal. Each command is a few lines that call the rooms.

In:   arguments and files; the environment only where a command says so.
Out:  text or JSON lines on standard output, complaints on standard error, exit codes as in CASES.md.
Pure: no. Rooms are imported inside commands, so that one that needs no database or server starts without them.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from local.agency_commands import agencies
from local.agent_commands import agents
from local.allowlist_commands import allowlist
from local.approve_commands import approve
from local.audit_commands import audit
from local.backfill_commands import backfill
from local.call_commands import calls
from local.canary_commands import canary
from local.case_commands import cases
from local.core_commands import core
from local.deploy_commands import deploy
from local.evaluate_commands import evaluate
from local.evidence_commands import evidence
from local.experiment_commands import experiments
from local.export_commands import export
from local.gateway_commands import gateway
from local.history_commands import history
from local.incident_commands import incident
from local.inspect_commands import inspect
from local.keys_commands import keys
from local.law_commands import rules
from local.learn_commands import learn
from local.ledger_commands import backup, migrate, restore
from local.lint_commands import lint
from local.mail_commands import email, letter
from local.message_commands import message
from local.parked_commands import parked
from local.pause_commands import pause, pauses, resume
from local.person_commands import person
from local.plan_commands import plans
from local.reply_commands import reply
from local.report_commands import report
from local.staff_commands import staff
from local.status_commands import morning, status, waiting
from local.withdraw_commands import withdraw

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)

app.add_typer(message, name="message")
message.command()(lint)
app.add_typer(rules, name="rules")
app.add_typer(approve, name="approve")
app.add_typer(reply, name="reply")
app.add_typer(canary, name="canary")
app.add_typer(agents, name="agents")
app.add_typer(calls, name="calls")
app.add_typer(cases, name="cases")
app.add_typer(plans, name="plans")
app.add_typer(experiments, name="experiments")
app.add_typer(learn, name="learn")
app.add_typer(staff, name="staff")
app.add_typer(backfill, name="backfill")
app.add_typer(agencies, name="agencies")
app.add_typer(gateway, name="gateway")
app.add_typer(history, name="history")
app.add_typer(inspect, name="inspect")
app.add_typer(core, name="core")
app.command()(evaluate)
app.command()(report)
app.command()(evidence)
app.command()(audit)
app.command()(deploy)
app.add_typer(parked, name="parked")
app.add_typer(incident, name="incident")
app.add_typer(person, name="person")
app.add_typer(keys, name="keys")
app.add_typer(email, name="email")
app.add_typer(letter, name="letter")
app.command()(withdraw)
app.add_typer(export, name="export")
for command in (allowlist, status, morning, waiting, pause, resume, pauses, migrate, backup, restore):
    app.command()(command)

EXPECT_DIFFERS = 1
FILE_UNREADABLE = 2
NOT_FOUND = 2
SANDBOX_SEED = 2026
SETTLE_MS = 500


@app.callback()
def tideover() -> None:
    """Lawful, humane collection campaigns for wallet lenders."""


@app.command()
def age(file: Annotated[Path, typer.Argument(help="Case file, YAML or JSON: a list of cases.")]) -> None:
    """Say what each borrower of a case file owes, and how late it is: one JSON object a line."""
    from config.age_cases import read_age_cases
    from config.load import ConfigError
    from decisions.aging_cases import answers, differences

    try:
        cases = read_age_cases(file)
    except ConfigError as error:
        typer.echo(error, err=True)
        raise typer.Exit(FILE_UNREADABLE) from None
    holds = True
    for answer, expected in zip(answers(cases.ids, cases.facts), cases.expected, strict=True):
        typer.echo(json.dumps(answer))
        for difference in differences(answer, expected):
            typer.echo(f"{answer['id']}: {difference}", err=True)
            holds = False
    raise typer.Exit(0 if holds else EXPECT_DIFFERS)


@app.command()
def explain(
    *,
    borrower: Annotated[str, typer.Option(help="The lender's id of the borrower, or ours as #123.")],
    as_of: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Business date; left out = today.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object in place of words.")] = False,
) -> None:
    """Say why a borrower is contacted or left in peace: every candidate, every rule's verdict with its source, score, choice."""
    from decisions.explain import log_words, words
    from ledger.decisions_log import UnknownBorrowerError
    from tasks.explain import explain_borrower

    try:
        told = explain_borrower(borrower, as_of.date() if as_of else None)
    except UnknownBorrowerError as error:
        typer.echo(error, err=True)
        raise typer.Exit(NOT_FOUND) from None
    for line in [json.dumps(told, ensure_ascii=False)] if as_json else [*words(told), *log_words(told)]:
        typer.echo(line)


@app.command()
def up() -> None:
    """Start everything on this machine in sandbox mode and leave it running."""
    from config.settings import STATE_FOLDER
    from ledger.embedded import EmbeddedDatabaseError
    from local.services import ServiceError, Services

    services = Services(STATE_FOLDER, settle_ms=SETTLE_MS)
    try:
        services.start(seed=SANDBOX_SEED, say=typer.echo)
    except (ServiceError, EmbeddedDatabaseError) as error:
        typer.echo(error, err=True)
        raise typer.Exit(1) from None
    typer.echo(f"Sandbox mode: nobody real can be reached. Open {services.addresses['prefect']} for the Prefect UI,")
    typer.echo(f"{services.addresses['portal']}/desk for the staff's desks: the sandbox lets you choose who you are.")
    typer.echo(f"Logs are in {STATE_FOLDER / 'logs'}; `make down` stops it all.")


@app.command()
def down() -> None:
    """Stop what `up` started, the embedded database too; data stay."""
    from config.settings import STATE_FOLDER
    from ledger import embedded
    from local.services import Services

    stopped = Services(STATE_FOLDER).stop()
    if embedded.is_running(embedded.default_folder()):
        embedded.stop(embedded.default_folder())
        stopped.append("database")
    typer.echo(f"stopped: {', '.join(stopped) or 'nothing was running'}")


@app.command()
def demo(
    *,
    accounts: Annotated[int, typer.Option(min=100, max=30_000, help="How many accounts of the panel to import.")] = 3000,
    days: Annotated[int, typer.Option(min=1, max=20, help="How many business days to play.")] = 5,
) -> None:
    """Play business days of the early stage against a simulated town; the last line is one JSON object."""
    from local.demo import play

    typer.echo(json.dumps(play(accounts=accounts, days=days, say=typer.echo)))


@app.command()
def simulate(
    *,
    strategies: Annotated[str, typer.Option(help="Names in config/strategies, with commas between.")] = "static-ladder,learned",
    worlds: Annotated[Path, typer.Option(help="World file: `worlds: [{id, seed, set: {parameter: value}}]`; sandbox/worlds has some.")],
    days: Annotated[int, typer.Option(min=1, max=90, help="How many days to play.")] = 60,
    borrowers: Annotated[int, typer.Option(min=1, max=20_000, help="In each world.")] = 500,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Play each world so often, each time with other people and luck.")] = 1,
    plans: Annotated[str, typer.Option(help="Whether pages offer instalments: on, off or both. Their effects are assumed.")] = "off",
    out: Annotated[Path | None, typer.Option(help="Folder for report.json and the picture frontier.png.")] = None,
    processes: Annotated[int | None, typer.Option(min=1, max=64, help="At most so many; left out = one a core.")] = None,
    train: Annotated[Path | None, typer.Option(help="Compare nothing: learn from tries in these worlds, and write the model here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")] = False,
) -> None:
    """Try strategies on simulated people, by the real rules and the real gate: money, contacts, harm. Needs no database."""
    from config.load import ConfigError
    from local import simulate_screen
    from sandbox.parameters import default_world, fingerprint
    from sandbox.simulation import open_world
    from tasks.simulate import NoShippedModelError
    from tasks.simulation_report import lines

    def say(line: str) -> None:
        typer.echo(line, err=True)

    try:
        if train is not None:
            note = simulate_screen.train_shipped(
                worlds,
                opens=open_world,
                check=default_world,
                parameters=fingerprint(),
                days=days,
                borrowers=borrowers,
                processes=processes,
                folder=train,
                say=say,
            )
            typer.echo(json.dumps(note))
            return
        told = simulate_screen.simulate(
            worlds,
            [name.strip() for name in strategies.split(",") if name.strip()],
            opens=open_world,
            check=default_world,
            days=days,
            borrowers=borrowers,
            seeds=seeds,
            plans=plans,
            processes=processes,
            say=say,
        )
    except (ConfigError, simulate_screen.SimulationRefused, NoShippedModelError) as error:
        typer.echo(error, err=True)
        raise typer.Exit(FILE_UNREADABLE) from None
    for path in [] if out is None else simulate_screen.write(told, out):
        say(f"wrote {path}")
    for line in [json.dumps(told)] if as_json else lines(told):
        typer.echo(line)


@app.command()
def clock(at: Annotated[str, typer.Argument(help="An instant with its offset, like 2026-03-02T10:00+08:00.")]) -> None:
    """Step the simulated clock forward, ours and the sandbox's; refused in live mode."""
    from local.clock import ClockRefused, step_both

    try:
        typer.echo(step_both(at))
    except ClockRefused as error:
        typer.echo(error, err=True)
        raise typer.Exit(1) from None


@app.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(help="CSV, gzipped CSV or Parquet.")],
    *,
    mapping: Annotated[Path, typer.Option(help="How the files map to our rows: config/imports/X.yaml.")],
    as_of: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Panels: the day of their last statement.")] = None,
    covers_until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%dT%H:%M%z", "%Y-%m-%dT%H:%M:%S%z"], help="How far the payments reach.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and count, write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")] = False,
    rejects: Annotated[Path | None, typer.Option(help="Where to list rejected rows; default in build/imports/.")] = None,
) -> None:
    """Bring a portfolio into the ledger: checks every row, writes what is new or changed, accounts for all of it."""
    from config.load import ConfigError
    from ledger import schema
    from ledger.vault import MissingKeyError
    from local.import_screen import import_with_progress, told
    from tasks.portfolio_files import ImportRefused

    day = None if as_of is None else as_of.date()
    try:
        schema.migrate()
        report = import_with_progress(
            mapping, files, as_of=day, covers_until=covers_until, dry_run=dry_run, rejects=rejects, silent=as_json
        )
    except (ConfigError, ImportRefused, MissingKeyError) as error:
        typer.echo(error, err=True)
        raise typer.Exit(FILE_UNREADABLE) from None
    typer.echo(json.dumps(report.as_json()) if as_json else told(report))


if __name__ == "__main__":
    app()
