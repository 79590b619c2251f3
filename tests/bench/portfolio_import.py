"""Import: files of a lender's core system become a ledger, every row checked, versioned and accounted for.

The floor is what any program would have to do that brings the rows in at all: COPY the very same files, as plain text, into
unlogged tables without a key, an index or a check, in one transaction.

In:   CSV files of borrowers with loans, instalments and contact points, eight rows a borrower.
Out:  one result.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import text

from config.import_mapping import FOLDER
from ledger import schema
from ledger.engine import connection
from tasks.import_portfolio import import_files
from tests.bench.ground import address_of, apart, new_ledger
from tests.bench.harness import Result, by_turns
from tests.bench.portfolio import Filled, Wanted, write_files

ROUNDS: Final = 3
SECONDS_MAX: Final = 150.0
ROWS_PER_SECOND_MIN: Final = 25_000
PEAK_BYTES_MAX: Final = 2**30
# Fewer are mostly fixed costs.
TARGET_BORROWERS: Final = 100_000
TODAY: Final = date(2026, 3, 17)
COVERS_UNTIL: Final = datetime(2026, 3, 17, 23, tzinfo=UTC)
TEMPLATE: Final = "bench_template"
LEDGER: Final = "bench_import"
READ_BYTES: Final = 2**20


def at(size: int) -> Iterator[Result]:
    """Measure with so many borrowers."""
    schema.migrate(address_of(TEMPLATE))
    with tempfile.TemporaryDirectory(prefix="tideover-bench-files-") as folder:
        yield _measure(Path(folder), size)


def _measure(folder: Path, borrowers: int) -> Result:
    files, filled = apart(partial(write_files, folder, Wanted(borrowers=borrowers, as_of=TODAY)))
    fresh = partial(new_ledger, LEDGER, like=TEMPLATE)
    sides = by_turns(
        partial(_import, files, filled),
        partial(floor, files),
        rounds=ROUNDS,
        seconds_max=SECONDS_MAX,
        before_product=fresh,
        before_floor=fresh,
    )
    measured = sides.report()
    per_second = filled.total / measured["seconds"]
    return Result(
        name="import",
        size=borrowers,
        **measured,
        ratio=measured["seconds"] / measured["floor_seconds"],
        unit="borrowers",
        ratio_means="seconds ÷ floor_seconds",
        target=f"≥ {ROWS_PER_SECOND_MIN} rows a second, ≤ 1 GiB",
        met=per_second >= ROWS_PER_SECOND_MIN and measured["peak_rss_bytes"] <= PEAK_BYTES_MAX if borrowers >= TARGET_BORROWERS else None,
        more={**sides.spread(), "rows_per_second": per_second, "rows_in_all": filled.total, "rows": filled.rows},
    )


def _import(files: Sequence[Path], filled: Filled) -> None:
    report = import_files(FOLDER / "wallet.yaml", files, covers_until=COVERS_UNTIL, rejects=files[0].with_name("rejects.csv"))
    new = {kind: report.rows[kind]["new"] for kind in filled.rows}
    assert new == filled.rows, "every row is new"


def floor(files: Sequence[Path]) -> None:
    """COPY the files as they are."""
    with connection() as tx:
        driver: Any = tx.connection.driver_connection
        for path in files:
            with path.open("rb") as file:
                columns = [name.strip() for name in file.readline().decode().split(",")]
                tx.execute(text(f"CREATE UNLOGGED TABLE floor_{path.stem} ({', '.join(f'{name} text' for name in columns)})"))
                with driver.cursor() as cursor, cursor.copy(f"COPY floor_{path.stem} FROM STDIN WITH (FORMAT csv)") as stream:
                    while part := file.read(READ_BYTES):
                        stream.write(part)
