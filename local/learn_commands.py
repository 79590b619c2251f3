"""`tideover learn …`: models that are trained on the ledger, how good they are, and who says yes to them.

In:   kinds, versions, names.
Out:  lines on standard output, or JSON with `--json`; complaints on standard error.
Pure: no. Rooms are imported inside commands, so that the others start without them.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

import typer

from local.refusals import refusals

learn = typer.Typer(no_args_is_help=True, help="Models: train them on what was decided and what came of it, look at them, approve them.")
AsJson = Annotated[bool, typer.Option("--json", help="JSON in place of words.")]
Version = Annotated[str, typer.Argument(help="A model's version, or its first characters (six at least).")]


@learn.command()
def train(
    kinds: Annotated[list[str] | None, typer.Argument(help="paid_7d, paid_30d, harm_7d, answered, …; left out = all.")] = None,
    *,
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="What came about before this local date counts; left out = today.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Measure, keep nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train models on the ledger's decisions; say how good each is on people and days that it had not seen, or what is missing."""
    from config.load import ConfigError
    from ledger import clock, schema
    from ledger.engine import connection
    from tasks.learn import learn as step
    from tasks.record import business_date

    with refusals(ConfigError, ValueError):
        schema.migrate()
        with connection() as tx:
            now = clock.now(tx)
        typer.echo("reading decisions, and what came of them …", err=True)
        found = step(day.date() if day else business_date(now), kinds or [], dry_run=dry_run)
    for one in found:
        kept = "" if one.trained is None else " — kept" if one.is_new else " — not kept: a dry run" if dry_run else " — kept before"
        typer.echo(json.dumps(one.as_json()) if as_json else f"{one}{kept}")


@learn.command(name="list")
def listed(*, as_json: AsJson = False) -> None:
    """List every model that the ledger keeps, the newest first, and where it stands."""
    for one in _kept():
        if as_json:
            typer.echo(json.dumps(one.as_json()))
            continue
        auc, error = one.metrics.get("auc"), one.metrics.get("calibration_error")
        figures = f"AUC {auc:.3f}, calibration error {error:.3f}" if auc is not None and error is not None else "not measured"
        typer.echo(f"{one.version[:12]}  {one.kind:<15} {one.method:<18} {figures}; as of {one.trained_as_of:%Y-%m-%d}; {one.word}")


@learn.command()
def show(version: Version, *, as_json: AsJson = False) -> None:
    """Show one model: from what it was learned, how good it is, for whom it errs; with --json its text too."""
    from ledger import clock, model_versions, schema
    from ledger.engine import connection

    with refusals(model_versions.NoModelError, ValueError, then="try again"):
        schema.migrate()
        with connection(read_only=True) as tx:
            found = model_versions.find(tx, version, at=clock.now(tx))
            model = model_versions.load(tx, found.version)
    if as_json:
        typer.echo(json.dumps(found.as_json() | {"model": json.loads(model.as_json())}))
        return
    for line in _words(found):
        typer.echo(line)


@learn.command()
def approve(
    version: Version,
    *,
    by: Annotated[str, typer.Option(help="Who asks, approves or rejects.")],
    reject: Annotated[bool, typer.Option("--reject", help="Refuse what was asked for, or take an approval back.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why, for the record.")] = None,
    as_json: AsJson = False,
) -> None:
    """Approve a model for live mode: the first person asks, the same command by another one approves."""
    from ledger import approvals, clock, model_versions, schema
    from ledger.engine import connection

    with refusals(approvals.ApprovalRefused, model_versions.NoModelError):
        schema.migrate()
        with connection() as tx:
            at = clock.now(tx)
            found = model_versions.find(tx, version, at=at)
            who = approvals.typed(by, reject=reject)
            model_versions.ask_or_approve(tx, found.version, by=who, at=at, reject=reject, reason=reason)
            now = model_versions.find(tx, found.version, at=at)
    if as_json:
        typer.echo(json.dumps(now.as_json()))
        return
    typer.echo(f"{now.kind} {now.version[:12]}: {now.word}")
    for line in _words(now):
        typer.echo(line)


def _kept() -> list[Any]:
    from ledger import clock, model_versions, schema
    from ledger.engine import connection

    with refusals(then="try again"):
        schema.migrate()
        with connection(read_only=True) as tx:
            return list(model_versions.kept(tx, at=clock.now(tx)))


def _words(one: Any) -> list[str]:
    """A model in words."""
    lines = [
        f"{one.kind} {one.version}",
        f"  {one.method}, seed {one.seed}, rows {one.data_hash[:12]}, as of {one.trained_as_of:%Y-%m-%d}; {one.word}",
        f"  looks at {len(one.features)}: {', '.join(one.features)}",
    ]
    lines += [
        f"  {name.replace('_', ' ')}: {value:.4f}" if isinstance(value, float) else f"  {name.replace('_', ' ')}: {value:,}"
        for name, value in one.metrics.items()
    ]
    lines += [f"  predicted {row['predicted']:.1%}, came about {row['observed']:.1%} ({row['rows']:,} rows)" for row in one.calibration]
    lines += [f"  {_group(row)}" for row in one.fairness]
    if not one.fairness:
        lines.append("  no group of enough people was measured (config/learning.yaml)")
    if one.errs_for:
        lines.append(f"  errs for {', '.join(one.errs_for)}: whoever approves it says why, with --reason")
    return lines


def _group(row: dict[str, Any]) -> str:
    """How it errs for a group; of one that was measured before they were, some figures are not known."""
    said = f"{row['attribute']} {row['value']}: {row['observed']:.1%} came about, {row['predicted']:.1%} was predicted"
    said += f" ({100 * row['gap']:+.1f} points; {row['rows']:,} rows"
    if "people" not in row:
        return f"{said})"
    return f"{said}, {row['people']:,} people); calibration error {row['calibration_error']:.1%}, {row['selected']:.1%} selected"
