"""The `tideover` command: what people ask on a terminal. Each command is a few lines that call the rooms.

In:   arguments and files; the environment only where a command says so.
Out:  text or JSON lines on standard output, complaints on standard error, exit codes as in CASES.md.
Pure: no. Rooms are imported inside commands, so that one that needs no database or server starts without them.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)

message = typer.Typer(no_args_is_help=True, help="Texts: what they cost.")
app.add_typer(message, name="message")

rules = typer.Typer(no_args_is_help=True, help="Contact rules: what they say, and what they say of a case.")
app.add_typer(rules, name="rules")

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


@message.command()
def measure(
    *,
    smart: Annotated[
        bool, typer.Option("--smart", help="Write look-alikes of GSM-7 plainly first, as Twilio's Smart Encoding does.")
    ] = False,
) -> None:
    """Say what texts cost: reads {"text": …} a line on standard input, answers encoding, units and segments a line."""
    from decisions import segments

    for number, line in enumerate(sys.stdin.buffer, start=1):
        if not line.strip():
            continue
        try:
            given = json.loads(line)
        except ValueError:
            given = None
        if not isinstance(given, dict) or not isinstance(given.get("text"), str):
            typer.echo(f'standard input:{number}: not a JSON object like {{"text": "..."}}', err=True)
            raise typer.Exit(FILE_UNREADABLE)
        text = segments.smart(given["text"]) if smart else given["text"]
        typer.echo(json.dumps(asdict(segments.measure(text))))


@rules.command()
def check(
    file: Annotated[Path, typer.Argument(help="Case file, YAML or JSON: a list of cases.")],
    *,
    basis: Annotated[str | None, typer.Option(help="Look only at these bases, such as law,presumption.")] = None,
) -> None:
    """Say of each case whether the person may be contacted now, like this, and why not: one JSON object a line."""
    from config.load import ConfigError
    from config.rule_cases import read_rule_cases
    from config.rule_files import rule_packs
    from decisions.packs import BASES
    from decisions.rule_answers import answers, differences

    bases = None if basis is None else {name.strip() for name in basis.split(",")}
    if bases is not None and (unknown := sorted(bases - set(BASES))):
        typer.echo(f"--basis: {', '.join(unknown) or 'nothing'} is none of {', '.join(BASES)}", err=True)
        raise typer.Exit(FILE_UNREADABLE)
    try:
        cases, packs = read_rule_cases(file), rule_packs()
    except ConfigError as error:
        typer.echo(error, err=True)
        raise typer.Exit(FILE_UNREADABLE) from None
    holds = True
    for answer, expected in zip(answers(cases.ids, cases.facts, cases.candidates, packs, bases=bases), cases.expected, strict=True):
        typer.echo(json.dumps(answer, ensure_ascii=False))
        for difference in differences(answer, expected):
            typer.echo(f"{answer['id']}: {difference}", err=True)
            holds = False
    raise typer.Exit(0 if holds else EXPECT_DIFFERS)


@rules.command()
def show(
    rule: Annotated[str, typer.Argument(help="A rule's id, such as US-REGF-HOURS.")],
    *,
    on: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Local date; left out = today.")] = None,
) -> None:
    """Show a rule as people read it: what it says, its numbers on a date, what it counts, its sources, who checked it."""
    from config.rule_files import rule_packs
    from decisions.rule_words import shown

    try:
        pack, found = rule_packs().rule(rule)
    except KeyError:
        typer.echo(f"no pack has a rule {rule}; `tideover rules list` names them all", err=True)
        raise typer.Exit(NOT_FOUND) from None
    for line in shown(pack, found, on.date() if on else datetime.now().astimezone().date()):
        typer.echo(line)


@rules.command(name="list")
def list_rules(*, jurisdiction: Annotated[str | None, typer.Option(help="One pack only, such as US or house.")] = None) -> None:
    """List the rules, one a line, with their basis and confidence and what of them is not verified."""
    from config.rule_files import rule_packs
    from decisions.rule_words import listed

    lines = listed(rule_packs(), jurisdiction)
    if not lines:
        typer.echo(f"no pack for {jurisdiction}; there are {', '.join(rule_packs().versions)}", err=True)
        raise typer.Exit(NOT_FOUND)
    for line in lines:
        typer.echo(line)


@rules.command()
def page() -> None:
    """Print docs/law.md: per jurisdiction what is enforced, from which text, and what is not verified."""
    from config.rule_files import rule_packs
    from decisions.rule_words import page as law_page

    typer.echo(law_page(rule_packs()), nl=False)


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
    typer.echo(f"Sandbox mode: nobody real can be reached. Open {services.addresses['prefect']} for the Prefect UI.")
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
def migrate() -> None:
    """Bring the ledger to the newest migration, making its database where it is missing."""
    from ledger import schema

    schema.migrate()
    typer.echo("the ledger is at the newest migration")


@app.command()
def backup(file: Annotated[Path, typer.Argument(help="New file, in pg_dump's custom format.")]) -> None:
    """Write the whole ledger to a file; an existing one is never overwritten."""
    _backed_up("backup", file)


@app.command()
def restore(file: Annotated[Path, typer.Argument(help="A file that `tideover backup` wrote.")]) -> None:
    """Bring a backup back into an empty ledger."""
    _backed_up("restore", file)


def _backed_up(what: str, file: Path) -> None:
    from ledger import schema

    try:
        {"backup": schema.backup, "restore": schema.restore}[what](file)
    except schema.BackupError as error:
        typer.echo(error, err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{what}: {file}")


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
