"""Months: a table that grows by whole days lies in one part a month, so that what is over goes as a table and not row by row.

Rows of a month that has no part of its own are in the table's part for all others; they are moved when their month is made. So nothing
is ever refused for want of a part.

In:   a connection inside a transaction; a local date.
Out:  parts made; parts removed, with their rows.
Pure: no.
Source: docs/adr/0077.
"""

# ruff: noqa: S608  # names of tables of ours and of their parts, and dates

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from sqlalchemy import Connection, text

# Each by its `business_date`.
PARTITIONED: Final = ("loan_aging",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a table.

    Attributes:
        name: Of the part, which is a table.
        until: The first date that is no longer in it; None = the part for all others.
    """

    name: str
    first: date | None
    until: date | None

    def has(self, day: date) -> bool:
        """Whether rows of a day lie in it; of the part for all others, no."""
        return self.until is not None and day < self.until and (self.first is None or day >= self.first)


def parts(tx: Connection, table: str) -> list[Part]:
    """The parts of a table, the oldest first, the one for all others last."""
    found = []
    for row in tx.execute(_PARTS, {"table": table}):
        days = [date.fromisoformat(day) for day in re.findall(r"'(\d{4}-\d{2}-\d{2})'", row.bounds)]
        first = days[0] if len(days) > 1 else None
        found.append(Part(name=row.name, first=first, until=days[-1] if days else None))
    return sorted(found, key=lambda part: part.until or date.max)


def make_months(tx: Connection, table: str, on: date) -> list[str]:
    """Give the month of a date, the next one, and every month whose rows lie among all others, a part of its own.

    Waits five seconds at most for whoever uses the table.

    Returns:
        Names of the parts that were made.
    """
    tx.execute(text("SET LOCAL lock_timeout = '5s'"))
    there = parts(tx, table)
    others = next(part.name for part in there if part.until is None)
    strays = tx.execute(text(f"SELECT DISTINCT date_trunc('month', business_date)::date AS month FROM {others}")).scalars()
    months = {_month(on), _next_month(on), *strays}
    return [_made(tx, table, others, month) for month in sorted(months) if not any(part.has(month) for part in there)]


def remove_before(tx: Connection, table: str, day: date) -> int:
    """Remove the parts all of whose rows are of days before a day; how many rows that were."""
    tx.execute(text("SET LOCAL lock_timeout = '5s'"))
    gone = 0
    for part in parts(tx, table):
        if part.until is not None and part.until <= day:
            gone += int(tx.execute(text(f"SELECT count(*) FROM {part.name}")).scalar_one())
            tx.execute(text(f"ALTER TABLE {table} DETACH PARTITION {part.name}"))
            tx.execute(text(f"DROP TABLE {part.name}"))
    return gone


def _made(tx: Connection, table: str, others: str, month: date) -> str:
    name, until = f"{table}_{month:%Y_%m}", _next_month(month)
    inside = f"business_date >= '{month}' AND business_date < '{until}'"
    tx.execute(text(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"))
    # Nobody writes a row of the month in between: it would be in neither.
    tx.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
    tx.execute(text(f"WITH moved AS (DELETE FROM {others} WHERE {inside} RETURNING *) INSERT INTO {name} SELECT * FROM moved"))
    tx.execute(text(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{month}') TO ('{until}')"))
    return name


def _month(day: date) -> date:
    return day.replace(day=1)


def _next_month(day: date) -> date:
    return _month(_month(day) + timedelta(days=31))


_PARTS = text("""
    SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bounds
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass(:table)
""")
