"""`tideover evaluate`: what another strategy would have brought, by the log of decisions; or that the log cannot tell, and why.

In:   a strategy's file or folder, dates, a creditor, a currency; the ledger.
Out:  a table, or one JSON object (CASES.md), on standard output; which date is looked at, and complaints, on standard error.
Pure: no. Rooms are imported inside the command, so that the others start without them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from local.refusals import ledger_errors

if TYPE_CHECKING:
    from decisions.off_policy import Evaluation
    from tasks.evaluate import Evaluated

REFUSED: Final = 2
NAMES: Final = {
    "money": "paid within 7 days, a decision",
    "complaints_and_opt_outs": "complained or said stop within 7 days, share",
    "contacts": "contacts within 7 days, a decision",
    "cured_7_days": "cured after 7 days, share",
    "cured_30_days": "cured after 30 days, share",
}


def evaluate(
    *,
    strategy: Annotated[
        Path, typer.Option(help="A strategy's YAML of one stage, or a folder of several, such as config/strategies/learned.")
    ],
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First business date of decisions; left out = 90 days.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last one; left out = the last of which it is known what came of it.")
    ] = None,
    creditor: Annotated[str | None, typer.Option(help="Only this creditor's borrowers: the lender's id.")] = None,
    currency: Annotated[str | None, typer.Option(help="Of the money, where the log has several: ISO 4217.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object in place of words.")] = False,
) -> None:
    """Say what another strategy would have brought, by the log of decisions, or that the log cannot tell. Can send nothing."""
    from decisions.off_policy import MalformedLogError
    from tasks.evaluate import Asked, EvaluationRefused, evaluate_strategy

    asked = Asked(
        file=strategy,
        since=since.date() if since else None,
        until=until.date() if until else None,
        creditor=creditor,
        currency=currency,
    )
    silent = as_json or not sys.stderr.isatty()
    with ledger_errors():
        try:
            found = evaluate_strategy(asked, say=lambda _: None if silent else typer.echo(f"\r{_}   ", nl=False, err=True))
        except (EvaluationRefused, MalformedLogError) as error:
            typer.echo(error, err=True)
            raise typer.Exit(REFUSED) from None
    for line in [json.dumps(found.as_json())] if as_json else _words(found):
        typer.echo(line)


def _words(found: Evaluated) -> Iterator[str]:
    """The answer as a person reads it: what is known first, then how well it is known."""
    yield f"{found.strategy} ({', '.join(found.stages)}), by the decisions from {found.since} to {found.until}"
    if found.share_of_borrowers < 1:
        yield f"of {100 * found.share_of_borrowers:.0f} % of the borrowers: the log is long (decisions_max in config/evaluation.yaml)"
    for kind, on in found.seen.items():
        yield f"the model of {kind} was trained as of {on} and may have learned from these days: it looks better than it is"
    for name, outcome in found.outcomes.items():
        unit = f", {found.currency}" if name == "money" and found.currency else ""
        yield ""
        yield f"{NAMES.get(name, name)}{unit}"
        yield from _outcome(outcome, found.currency if name == "money" else None)


def _outcome(outcome: Evaluation, currency: str | None) -> Iterator[str]:
    if outcome.refused is not None:
        yield f"  the log cannot tell: {outcome.refused}"
        return
    if outcome.logged is not None:
        yield f"  {'as it was':<7} {_shown(outcome.logged, currency)}"
    for one in outcome.estimates:
        yield f"  {one.estimator:<9} {_shown(one.value, currency)}   95 %: {_shown(one.low, currency)} to {_shown(one.high, currency)}"
    if outcome.gain is not None:
        gain = outcome.gain
        yield f"  {'gain (DR)':<9} {_shown(gain.value, currency)}   95 %: {_shown(gain.low, currency)} to {_shown(gain.high, currency)}"
    weights = outcome.diagnostics
    yield (
        f"  {weights.decisions:,} decisions about {weights.borrowers:,} borrowers say as much as {weights.ess:,.0f}; mean weight"
        f" {weights.mean_weight:.2f}, largest {weights.max_weight:.1f}"
    )


def _shown(value: float, currency: str | None) -> str:
    """Money in the main unit, a share as it is."""
    from decisions.money import minor_units

    return f"{value:10.4f}" if currency is None else f"{value / 10 ** minor_units(currency):10.2f}"
