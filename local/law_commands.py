"""`tideover rules …` and `tideover approve …`: the law as people read, try, compare and approve it.

In:   arguments and files; the ledger only where a version that is not a file's, or an approval, is asked for.
Out:  text or JSON on standard output, complaints on standard error, exit codes as in CASES.md.
Pure: no. Rooms are imported inside commands, so that one that needs no database starts without it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from local.refusals import LOOK, ledger_errors, said

if TYPE_CHECKING:
    from ledger.rule_impact import Impact, Progress

EXPECT_DIFFERS = 1
UNREADABLE = 2
NOT_FOUND = 2
REFUSED = 1
IDS_SHOWN_MAX = 20
NAME_ANOTHER = f"{LOOK}, or name `current` or a file in place of a hash"

rules = typer.Typer(no_args_is_help=True, help="Contact rules: what they say, what they say of a case, and what a change changes.")
approve = typer.Typer(no_args_is_help=True, help="Four eyes: what two people have to say yes to: rule packs, strategies, campaign runs.")

AsJson = Annotated[bool, typer.Option("--json", help="JSON in place of words.")]
Clearances = Literal["sandbox", "live"]
OnDate = Annotated[datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="Local date; left out = today.")]


def _tell(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _readable() -> AbstractContextManager[None]:
    """A law that cannot be read, or a version that there is none of, is said in words, not as a traceback."""
    from config.load import ConfigError

    return said(ConfigError, LookupError)


def _clearances_here() -> Clearances:
    from config.settings import settings

    return "live" if settings().is_real else "sandbox"


@rules.command()
def check(
    file: Annotated[Path, typer.Argument(help="Case file, YAML or JSON: a list of cases.")],
    *,
    basis: Annotated[str | None, typer.Option(help="Look only at these bases, such as law,presumption.")] = None,
    clearances: Annotated[
        Clearances | None, typer.Option(help="Providers' words that count: sandbox = the sandbox's too; left out = as TIDEOVER_MODE says.")
    ] = None,
) -> None:
    """Say of each case whether the person may be contacted now, like this, and why not: one JSON object a line."""
    from config.rule_cases import read_rule_cases
    from config.rule_files import rule_packs
    from decisions.rule_answers import answers_here, differences
    from decisions.words import BASES

    bases = None if basis is None else {name.strip() for name in basis.split(",")}
    if bases is not None and (unknown := sorted(bases - set(BASES))):
        typer.echo(f"--basis: {', '.join(unknown) or 'nothing'} is none of {', '.join(BASES)}", err=True)
        raise typer.Exit(UNREADABLE)
    with _readable():
        cases, packs = read_rule_cases(file), rule_packs()

    live = (clearances or _clearances_here()) == "live"
    told = answers_here(cases.ids, cases.facts, cases.candidates, packs, live=live, bases=bases)
    holds = True
    for (answer, only_live), expected in zip(told, cases.expected, strict=True):
        typer.echo(_json(answer))
        if only_live:
            names = ", ".join(only_live)
            typer.echo(f"{answer['id']}: cleared for the sandbox alone (config/clearances.yaml); in live mode {names} blocks it", err=True)
        for difference in differences(answer, expected):
            typer.echo(f"{answer['id']}: {difference}", err=True)
            holds = False
    raise typer.Exit(0 if holds else EXPECT_DIFFERS)


@rules.command()
def show(
    rule: Annotated[str, typer.Argument(help="A rule's id, such as US-REGF-HOURS.")],
    *,
    on: OnDate = None,
    as_json: AsJson = False,
) -> None:
    """Show a rule as people read it: what it says, its numbers on a date, what it counts, its sources, who checked it."""
    from config.rule_files import rule_packs
    from decisions.rule_words import plainly, shown

    with _readable():
        packs = rule_packs()
    try:
        pack, found = packs.rule(rule)
    except KeyError:
        typer.echo(f"no pack has a rule {rule}; `tideover rules list` names them all", err=True)
        raise typer.Exit(NOT_FOUND) from None
    day = on.date() if on else _today()
    _tell([_json(plainly(pack, found, day))] if as_json else shown(pack, found, day))


def _today() -> date:
    return datetime.now().astimezone().date()


@rules.command(name="list")
def list_rules(
    *,
    jurisdiction: Annotated[str | None, typer.Option(help="One pack only, such as US or house.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the rules, one a line, with their basis and confidence, whether they are a draft's, and what is not verified."""
    from config.rule_files import rule_packs
    from decisions.rule_words import listed, listed_plainly

    with _readable():
        packs = rule_packs()
    if jurisdiction is not None and jurisdiction not in packs.versions:
        typer.echo(f"no pack for {jurisdiction}; there are {', '.join(packs.versions)}", err=True)
        raise typer.Exit(NOT_FOUND)
    _tell(map(_json, listed_plainly(packs, jurisdiction)) if as_json else listed(packs, jurisdiction))


@rules.command()
def page() -> None:
    """Print docs/law.md: per jurisdiction what is enforced, from which text, and what is not verified."""
    from config.rule_files import rule_packs
    from decisions.rule_words import page as law_page

    with _readable():
        typer.echo(law_page(rule_packs()), nl=False)


@rules.command()
def diff(
    before: Annotated[str, typer.Argument(help="PACK@VERSION: the version is `current`, a hash or its beginning, or a file.")],
    after: Annotated[str, typer.Argument(help="The same, of the newer one.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Say what changed between two versions of a rule pack, field by field, and whether it tightens or loosens."""
    from decisions.rule_diff import pack_changes
    from ledger.pack_approvals import lines, summary
    from ledger.pack_versions import UnknownReferenceError, version_of

    with ledger_errors(then=NAME_ANOTHER):
        old, new = version_of(before), version_of(after)
        if old.jurisdiction != new.jurisdiction:
            raise UnknownReferenceError(f"{old.label} and {new.label} are packs of two jurisdictions")
    changes = pack_changes(old.pack, new.pack)
    if as_json:
        typer.echo(_json({"from": old.label, "to": new.label, "changes": [change.as_json() for change in changes]}))
        return
    typer.echo(f"{old.label} → {new.label}: {summary(changes)}")
    _tell(lines(changes))


@rules.command()
def impact(
    *,
    before: Annotated[str, typer.Option("--from", help="A version: `current`, a hash or its beginning, or a file; also PACK@VERSION.")],
    after: Annotated[str, typer.Option("--to", help="The same, of the one that is compared with it.")],
    days: Annotated[int, typer.Option(min=1, max=3660, help="How far back.")] = 30,
    jurisdiction: Annotated[str | None, typer.Option(help="Whose pack `current` means.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say which attempts of the last days another version would have forbidden, and which it would allow."""
    from rich.console import Console
    from rich.progress import Progress

    from ledger.pack_versions import UnknownReferenceError, versions_of
    from ledger.rule_impact import rule_impact

    console = Console(stderr=True)
    with ledger_errors(then=NAME_ANOTHER):
        old, new = versions_of(before, after, jurisdiction)
        if old.jurisdiction != new.jurisdiction:
            raise UnknownReferenceError(f"{old.label} and {new.label} are packs of two jurisdictions")
        with Progress(console=console, transient=True, disable=as_json or not console.is_terminal) as bar:
            found = rule_impact(old, new, days=days, progress=_shown_by(bar))
    if as_json:
        typer.echo(_json(found.as_json()))
        return
    typer.echo(f"{old.label} → {new.label}, the last {days} days: {found.attempts} attempts, {found.concerned} under this pack")
    _tell(_told(found))


def _shown_by(bar: object) -> Progress:
    from rich.progress import Progress as Bar

    assert isinstance(bar, Bar)  # noqa: S101  # the type is imported where it is needed
    task = bar.add_task("judging attempts again")
    return lambda done, total: bar.update(task, completed=done, total=total)


def _told(found: Impact) -> Iterator[str]:
    for what, attempts in (("would have been forbidden", found.forbidden), ("would be allowed now", found.allowed)):
        yield f"{what}: {len(attempts)}"
        yield from (f"  {rule}: {count}" for rule, count in found.by_rule(attempts).items())
        ids = ", ".join(map(str, list(attempts)[:IDS_SHOWN_MAX]))
        more = " … (--json names all)" if len(attempts) > IDS_SHOWN_MAX else ""
        if attempts:
            yield f"  attempts {ids}{more}"


@approve.command(name="pack")
def approve_pack(
    jurisdiction: Annotated[str, typer.Argument(help="Whose rule pack, such as US, US-NY or house.")],
    *,
    by: Annotated[str, typer.Option(help="Who asks, approves or rejects.")],
    version: Annotated[str, typer.Option("--hash", help="A version or its beginning; left out = the file's.")] = "current",
    reject: Annotated[bool, typer.Option("--reject", help="Refuse what was asked for, or take an approval back.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why, for the record.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The approval ends when this local date begins.")] = None,
) -> None:
    """Approve a rule pack for live mode: the first person asks, the same command by another one approves."""
    from ledger import schema
    from ledger.approvals import ApprovalRefused, typed
    from ledger.pack_approvals import approve_pack as step

    with ledger_errors(), said(ApprovalRefused, code=REFUSED):
        schema.migrate()
        who = typed(by, reject=reject)
        told = step(jurisdiction, by=who, version=version, reject=reject, reason=reason, until=until.date() if until else None)
    _tell(told)


@approve.command(name="strategy")
def approve_strategy(
    name: Annotated[str, typer.Argument(help="Its folder in config/strategies, such as static-ladder.")],
    *,
    by: Annotated[str, typer.Option(help="Who asks, approves or rejects.")],
    reject: Annotated[bool, typer.Option("--reject", help="Refuse what was asked for, or take an approval back.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why, for the record.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The approval ends when this local date begins.")] = None,
) -> None:
    """Approve a strategy for live mode, as its files are now: the first person asks, the same command by another one approves."""
    from ledger import schema
    from ledger.approvals import ApprovalRefused, typed
    from ledger.strategy_approvals import approve_strategy as step

    with ledger_errors(), said(ApprovalRefused, code=REFUSED):
        schema.migrate()
        told = step(name, by=typed(by, reject=reject), reject=reject, reason=reason, until=until.date() if until else None)
    _tell(told)


@approve.command(name="list")
def approvals(*, as_json: AsJson = False) -> None:
    """List the campaign runs that wait for people, every strategy and every rule pack, with version and whether it is approved."""
    from ledger import schema, strategy_approvals
    from ledger.pack_approvals import standings
    from tasks.approve_run import waiting_runs

    with ledger_errors():
        schema.migrate()
        runs, strategies, packs = waiting_runs(), strategy_approvals.standings(), standings()
    _tell(_json(one.as_json()) if as_json else str(one) for found in (runs, strategies, packs) for one in found)
