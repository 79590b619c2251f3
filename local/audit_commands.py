"""`tideover audit`: the invariants, proved again over any period.

In:   two dates; the ledger, and the providers' lists where they can be asked.
Out:  words for people or one JSON object. Exit 0 = all held; 1 = something is broken; 2 = cannot be audited; 3 = nothing is
      broken, but not all could be looked at.
Pure: no.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from local.refusals import LOOK, refusals

if TYPE_CHECKING:
    from ledger.audit import Audited

BROKEN = 1
INCOMPLETE = 3
SHOWN_MAX = 50


def audit(
    *,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First business date; left out = the day before --to.")
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last business date, included; left out = today.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object in place of words.")] = False,
) -> None:
    """Prove again that nobody was contacted against a rule and that the rows bear out every invariant, I1 to I12."""
    from config.load import ConfigError
    from tasks.audit import audit_period, business_period

    with refusals(ConfigError, ValueError, then=LOOK):
        period = business_period(first.date() if first else None, last.date() if last else None)
        audited = audit_period(*period)
    for line in [json.dumps(audited.as_json())] if as_json else _words(audited):
        typer.echo(line)
    if audited.violations or audited.warnings:
        raise typer.Exit(BROKEN if audited.violations else INCOMPLETE)


def _words(audited: Audited) -> Iterator[str]:
    listed = ", ".join(f"{channel} {count}" for channel, count in audited.listed.items()) or "none"
    yield f"{audited.first.isoformat()} to {audited.last.isoformat()}: {audited.attempts} attempts; messages that providers list: {listed}"
    yield " ".join(f"{name} {state}" for name, state in audited.invariants.items())
    yield f"violations {len(audited.violations)}, unknown {audited.unknown}, parked {audited.parked}"
    yield from (f"  {violation}" for violation in audited.violations[:SHOWN_MAX])
    if len(audited.violations) > SHOWN_MAX:
        yield f"  … and {len(audited.violations) - SHOWN_MAX} more; --json names up to a thousand"
    yield from (f"NOT LOOKED AT: {warning}" for warning in audited.warnings)
    yield f"{len(audited.not_proved)} rules were not proved again (--json names each with the reason)"
