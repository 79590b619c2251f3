"""`tideover evidence`: the proof of one attempt, written for anyone and checked by anyone.

In:   an attempt's id and a folder; or a folder alone.
Out:  files; or words (or JSON) that say what does not match. Exit 0 = written, or all matches; 1 = something does not; 2 = cannot be read.
Pure: no. The ledger is asked only where evidence is written.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from local.refusals import LOOK, REFUSED, refusals, said

MISMATCH = 1


def evidence(
    *,
    attempt: Annotated[int | None, typer.Option(help="Our id of the attempt; `tideover explain` and the contact log name it.")] = None,
    out: Annotated[Path | None, typer.Option(help="A new or empty folder to write into.")] = None,
    with_text: Annotated[bool, typer.Option("--with-text", help="Also the words that were sent, and the salt that opens them.")] = False,
    verify: Annotated[Path | None, typer.Option(help="Check a folder; needs no database.")] = None,
    heads: Annotated[Path | None, typer.Option(help="With --verify: your own copy of the heads kept outside the database.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object in place of words.")] = False,
) -> None:
    """Write the evidence of an attempt (--attempt, --out), or check such a folder on any machine (--verify)."""
    if verify is not None and attempt is None and out is None:
        _verify(verify, heads, as_json=as_json)
    elif attempt is not None and out is not None and verify is None:
        _write(attempt, out, with_text=with_text, as_json=as_json)
    else:
        typer.echo("give --attempt ID --out FOLDER, or --verify FOLDER", err=True)
        raise typer.Exit(REFUSED)


def _write(attempt: int, out: Path, *, with_text: bool, as_json: bool) -> None:
    from config.load import ConfigError
    from gate.evidence import gather
    from ledger.dossier import UnknownAttemptError
    from ledger.evidence_folder import FolderRefused, write

    with refusals(UnknownAttemptError, FolderRefused, ConfigError, then=LOOK):
        gathered = gather(attempt, with_text=with_text)
        write(gathered.told, gathered.bodies, out)
    told = gathered.told
    lines, links = len(told["proofs"]["lines"]), told["proofs"]["links"]
    head = links[-1]["link"] if links else None
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "attempt": attempt,
                    "folder": str(out),
                    "proved": lines,
                    "opened": told["text"]["opened"],
                    "head": head,
                    "flow_runs": told["run"]["flow_runs"],
                }
            )
        )
        return
    typer.echo(f"attempt {attempt}: {out}/index.html, {lines} rows proved; head of its run {head}")
    for place in told["run"]["flow_runs"]:
        typer.echo(f"its run in Prefect: {place}")
    if with_text and not told["text"]["opened"]:
        typer.echo(f"the words are not there: {told['text']['why_not']}")


def _verify(folder: Path, heads: Path | None, *, as_json: bool) -> None:
    from ledger.evidence_folder import FolderRefused, verify

    with said(FolderRefused):
        wrong, unproved = verify(folder, heads)
    if as_json:
        typer.echo(json.dumps({"matches": not wrong, "mismatches": wrong, "not_proved": unproved}))
    else:
        for line in wrong:
            typer.echo(f"DOES NOT MATCH: {line}")
        for line in unproved:
            typer.echo(f"not proved here: {line}")
        typer.echo("all that is proved matches" if not wrong else f"{len(wrong)} things do not match")
    raise typer.Exit(MISMATCH if wrong else 0)
