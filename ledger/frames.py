"""Rows of the ledger as frames, over whichever connection the caller has.

In:   an ADBC connection (planning: millions of rows, Arrow all the way) or a SQLAlchemy connection (the gate: later
      statements of the transaction that holds the borrower lock, psycopg's rows).
Out:  a Polars frame with exactly the columns and types asked for.
Pure: no; reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import polars as pl
from adbc_driver_manager.dbapi import Connection as ArrowConnection
from sqlalchemy import Connection

from decisions.facts import Schema

Source: TypeAlias = ArrowConnection | Connection
Ids: TypeAlias = range | Sequence[int]
# From so many ids on, and where they fill so much of it, their whole interval is read in their place.
WIDENED_IDS_MIN: Final = 1_000
WIDENED_SHARE_MIN: Final = 0.5


def read(source: Source, statement: str, schema: Schema) -> pl.DataFrame:
    """Run a statement and return its rows.

    Args:
        source: Either kind of connection; its transaction goes on.
        statement: Complete, without parameters: values come in through `ids_clause`, `instant` and `Known`, which
            write numbers and dates only.
        schema: Columns of the statement, in its order, with the types wanted.
    """
    if isinstance(source, Connection):
        return _read_rows(source, statement, schema)
    with source.cursor() as cursor:
        cursor.execute(statement)
        return pl.DataFrame(cursor.fetch_arrow_table()).select(pl.col(name).cast(kind) for name, kind in schema.items())


def _read_rows(connection: Connection, statement: str, schema: Schema) -> pl.DataFrame:
    """Rows over psycopg, without a Python object for each instant and each element of a list.

    Instants travel as microseconds and lists as joined text, and become columns again here: for a chunk of 256
    borrowers that halves the time under their locks.
    """
    wire: Schema = {}
    columns, back = [], []
    for name, kind in schema.items():
        if isinstance(kind, pl.Datetime):
            wire[name] = pl.Int64
            columns.append(f"(extract(epoch FROM {name}) * 1000000)::bigint")
            back.append(pl.col(name).cast(kind))
        elif isinstance(kind, pl.List):
            wire[name] = pl.String
            columns.append(f"array_to_string({name}, E'\\x1f')")
            back.append(pl.when(pl.col(name) == "").then(pl.lit([], kind)).otherwise(pl.col(name).str.split("\x1f").cast(kind)).alias(name))
        else:
            wire[name] = kind
            columns.append(name)
            back.append(pl.col(name))
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor:
        rows = cursor.execute(f"SELECT {', '.join(columns)} FROM ({statement}) wanted").fetchall()  # noqa: S608  # a statement of this room
    if not rows:
        return pl.DataFrame(schema=schema)
    return pl.DataFrame(rows, schema=wire, orient="row").select(back)


def copy_in(connection: Connection, table: str, rows: pl.DataFrame) -> None:
    """COPY a frame into a table; Polars writes the CSV, far faster than row by row.

    Args:
        connection: Inside a transaction.
        table: One of ours.
        rows: Columns named as the table's.
    """
    if rows.is_empty():
        return
    driver: Any = connection.connection.driver_connection
    columns = ", ".join(rows.columns)
    with driver.cursor() as cursor, cursor.copy(f"COPY {table} ({columns}) FROM STDIN WITH (FORMAT csv)") as copy:
        copy.write(rows.write_csv(include_header=False, datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ").encode())


def ids_clause(ids: Ids) -> str:
    """The end of a condition on an id column: `BETWEEN …` for a range (step 1), `= ANY(…)` for a list."""
    if isinstance(ids, range):
        if ids.step != 1:
            raise ValueError("a range of ids has step 1")
        return f"BETWEEN {ids.start:d} AND {ids.stop - 1:d}"
    return f"= ANY({id_list(ids)})"


def id_list(ids: Sequence[int]) -> str:
    """Ids as an array of the database."""
    return "'{" + ",".join(f"{number:d}" for number in ids) + "}'::bigint[]"


def widened(ids: Ids) -> Ids:
    """The interval of many ids that nearly fill it, which the database walks once instead of looking each of them up; else the ids.

    It may hold others too: whoever asks by it leaves out what is not about the ids.
    """
    if isinstance(ids, range) or len(ids) < WIDENED_IDS_MIN:
        return ids
    interval = range(min(ids), max(ids) + 1)
    return interval if len(ids) >= WIDENED_SHARE_MIN * len(interval) else ids


def instant(at: datetime) -> str:
    """An instant as the database reads it.

    Raises:
        ValueError: It has no zone.
    """
    if at.tzinfo is None:
        raise ValueError("an instant has a zone")
    return f"'{at.astimezone(UTC).isoformat()}'::timestamptz"


@dataclass(frozen=True, slots=True)
class Known:
    """Which versions of facts are read: `{known[v]}` in a statement is the condition on the table with the alias v.

    Attributes:
        at: Wall clock: the versions that we knew then. None = those in force now.
    """

    at: datetime | None

    def __getitem__(self, alias: str) -> str:
        """The condition on one table."""
        if self.at is None:
            return f"{alias}.superseded_at IS NULL"
        return f"{self.recorded(alias)} AND ({alias}.superseded_at IS NULL OR {alias}.superseded_at > {instant(self.at)})"

    def recorded(self, alias: str) -> str:
        """The condition on a log, whose rows are never superseded."""
        return "true" if self.at is None else f"{alias}.recorded_at <= {instant(self.at)}"
