"""Import a portfolio: the same importer as `tideover import`, for operations and for backfills.

In:   paths of files on the worker's machine, and the name of a mapping of config/imports/.
Out:  rows in the ledger, a rejects file in build/imports/ on the worker's machine, and the reconciliation as an artifact.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field

from config.import_mapping import FOLDER
from tasks.import_portfolio import import_and_report

# As many as there are when it is deployed.
Mapping = Annotated[str, Field(pattern=r"^[a-z0-9-]+$", json_schema_extra={"enum": sorted(path.stem for path in FOLDER.glob("*.yaml"))})]


def run_name() -> str:
    """Name the run by its mapping; file names may hold what they should not."""
    return f"import {flow_run.parameters['mapping']}"


@flow(name="import-portfolio", flow_run_name=run_name, timeout_seconds=4 * 3600)
def import_portfolio(
    mapping: Mapping,
    files: Annotated[list[Path], Field(min_length=1)],
    as_of: date | None = None,
    dry_run: bool = False,  # noqa: FBT001, FBT002  # parameters of a flow are given by name, in the UI's form
) -> dict[str, int]:
    """Bring files of the lender's core system into the ledger.

    Args:
        mapping: Name of a mapping in config/imports, without `.yaml`.
        files: Paths on the worker's machine, CSV (gz too) or Parquet.
        as_of: For mappings that shift dates: the day on which the file's last statement is to fall.
        dry_run: Check and count, write nothing.

    Returns:
        Rows read, new, changed, same, rejected.

    Raises:
        ImportRefused: A file is cut, of another encoding, or lacks a column that the mapping names; nothing was written.
    """
    return import_and_report(mapping, files, as_of=as_of, dry_run=dry_run)
