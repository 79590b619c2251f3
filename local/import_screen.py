"""An import on a terminal: a bar while it runs, and what became of it in words.

In:   what `tideover import` was asked.
Out:  a progress bar on standard error where that is a terminal; the report as text.
Pure: no.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tasks.import_portfolio import OUTCOMES, ImportReport, Step, import_files

COLUMNS = ("read", *OUTCOMES)
KIND_CHARACTERS = 22
NUMBER_CHARACTERS = 11
CURRENCY_CHARACTERS = 8
AMOUNT_CHARACTERS = 20


def import_with_progress(
    mapping: Path,
    files: Sequence[Path],
    *,
    as_of: date | None,
    covers_until: datetime | None,
    dry_run: bool,
    rejects: Path | None,
    silent: bool,
) -> ImportReport:
    """Import, and show how far it is, unless `silent` (the caller prints JSON).

    All else, errors too, is that of `tasks.import_portfolio.import_files`.
    """
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=Console(stderr=True), transient=True, disable=silent
    )
    with bar:
        task = bar.add_task("opening")

        def show(step: Step) -> None:
            bar.update(task, description=f"{step.what} {step.name}", completed=step.done, total=max(step.total, 1))

        return import_files(mapping, files, as_of=as_of, covers_until=covers_until, dry_run=dry_run, rejects=rejects, progress=show)


def told(report: ImportReport) -> str:
    """The reconciliation as a person reads it: rows by kind, money by kind and currency, and where the lists are."""
    lines = [f"{'dry run, nothing was written' if report.dry_run else f'import {report.batch_id}'}, mapping {report.mapping}"]
    lines += ["", _row("rows", COLUMNS), *(_row(kind, [counts[what] for what in COLUMNS]) for kind, counts in report.rows.items())]
    if report.money:
        lines += ["", "money".ljust(KIND_CHARACTERS + CURRENCY_CHARACTERS) + "".join(what.rjust(AMOUNT_CHARACTERS) for what in COLUMNS)]
    for kind, by_currency in report.money.items():
        for currency, sums in by_currency.items():
            amounts = "".join(f"{sums[what]:,f}".rjust(AMOUNT_CHARACTERS) for what in COLUMNS)
            lines.append(kind.ljust(KIND_CHARACTERS) + currency.ljust(CURRENCY_CHARACTERS) + amounts)
    lines.append("")
    lines += [f"{kind}: {count} rejected rows without a readable amount" for kind, count in report.unreadable_amounts.items()]
    if report.creditor_changed:
        lines.append(f"creditor changed: {', '.join(report.creditor_changed)}")
    if report.zones_derived_again:
        lines.append(f"{report.zones_derived_again} people may now be in other zones, because their numbers changed")
    lines += [f"changed: {change['kind']} {change['key']}: {', '.join(change['columns'])}" for change in report.changes]
    if report.changes_file is not None:
        lines.append(f"all {report.total('changed')} changed rows: {report.changes_file}")
    if report.rejects_file is not None:
        lines.append(f"{report.total('rejected')} rejected rows: {report.rejects_file}")
    lines.append("read = new + changed + same + rejected: the books agree")
    return "\n".join(lines)


def _row(name: str, cells: Sequence[object]) -> str:
    return name.ljust(KIND_CHARACTERS) + "".join(str(cell).rjust(NUMBER_CHARACTERS) for cell in cells)
