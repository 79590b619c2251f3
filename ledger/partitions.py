"""Months: a table that grows by whole days lies in one part a month, so that what is over goes as a table and not row by row.

Rows of a month that has no part of its own are in the table's part for all others; they are moved when their month is made. So nothing
is ever refused for want of a part.

Of what was decided and done nothing goes. A month that is old moves into the schema `archive`, where no statement of the day's work looks;
whoever asks about the past reads `whole`, which is both (`with_archive`).

In:   a connection inside a transaction; a local date.
Out:  parts made; parts removed, with their rows; parts moved into the archive, and back.
Pure: no.
Source: docs/adr/0077, 0095.
"""

# ruff: noqa: S608  # names of tables of ours and of their parts, and dates

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

# What was decided and done. Each by its `business_date`, as all of them.
HISTORY: Final = ("decision", "attempt_transition", "contact_event")
PARTITIONED: Final = ("loan_aging", *HISTORY)
ARCHIVE: Final = "archive"
# A contact's business date is at most so many days before its instant (UTC): the database refuses another (contact_event_near_its_date).
# Whoever changes it migrates that check.
LATE_DAYS_MAX: Final = 31
# In the schema `whole`, a table of history is what is at hand and what lies in the archive. It holds for one transaction.
WITH_ARCHIVE: Final = "SELECT set_config('search_path', 'whole, ' || current_setting('search_path'), true)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a table.

    Attributes:
        name: Of the part, which is a table.
        first: The first date in it; None = whatever was before.
        until: The first date that is no longer in it; None = the part for all others.
    """

    name: str
    first: date | None
    until: date | None

    def has(self, day: date) -> bool:
        """Whether rows of a day lie in it; of the part for all others, no."""
        return self.until is not None and day < self.until and (self.first is None or day >= self.first)

    @property
    def inside(self) -> str:
        """The condition on a row that lies in it."""
        return f"business_date < '{self.until}'" + ("" if self.first is None else f" AND business_date >= '{self.first}'")

    @property
    def bounds(self) -> str:
        """As a table's part is declared."""
        return f"FOR VALUES FROM ({'MINVALUE' if self.first is None else repr(str(self.first))}) TO ('{self.until}')"


class MonthRefused(RuntimeError):
    """A month cannot be brought back; the message says why and what to do."""


def dated_from(at: datetime) -> str:
    """The first business date of contacts since an instant, as the database reads it: it does not look at months before it."""
    return f"'{(at.astimezone(UTC).date() - timedelta(days=LATE_DAYS_MAX)).isoformat()}'::date"


def with_archive(tx: Connection) -> None:
    """Read months in the archive too, under the tables' own names, until the transaction ends; history is not written in it."""
    tx.execute(text(WITH_ARCHIVE))


def parts(tx: Connection, table: str) -> list[Part]:
    """The parts of a table, the oldest first, the one for all others last; `archive.…` = those that were moved there."""
    found = []
    for row in tx.execute(_PARTS, {"table": table}):
        days = [date.fromisoformat(day) for day in re.findall(r"'(\d{4}-\d{2}-\d{2})'", row.bounds)]
        first = days[0] if len(days) > 1 else None
        found.append(Part(name=row.name, first=first, until=days[-1] if days else None))
    return sorted(found, key=lambda part: part.until or date.max)


def archived(tx: Connection, table: str) -> list[Part]:
    """The months of a table that lie in the archive, the oldest first."""
    return parts(tx, f"{ARCHIVE}.{table}") if table in HISTORY else []


def over_before(tx: Connection, table: str, day: date) -> list[Part]:
    """The parts of a table all of whose rows are of days before a day, the oldest first."""
    return [part for part in parts(tx, table) if part.until is not None and part.until <= day]


def make_months(tx: Connection, table: str, on: date) -> list[str]:
    """Give the month of a date, the next one, and every month whose rows lie among all others, a part of its own.

    Waits five seconds at most for whoever uses the table. Rows of a month that lies in the archive stay among the others.

    Returns:
        Names of the parts that were made.
    """
    tx.execute(_PATIENCE)
    there = parts(tx, table)
    others = _others(there)
    strays = set(tx.execute(text(f"SELECT DISTINCT date_trunc('month', business_date)::date AS month FROM {others}")).scalars())
    taken = [*there, *archived(tx, table)]
    months = sorted(month for month in {_month(on), _next_month(on), *strays} if not any(part.has(month) for part in taken))
    return [_made(tx, table, others, month, has_rows=month in strays) for month in months]


def count_others(tx: Connection, table: str, *, at_most: int) -> int:
    """Rows of a table whose month has no part; counted up to a number."""
    others = _others(parts(tx, table))
    return int(tx.execute(text(f"SELECT count(*) FROM (SELECT FROM {others} LIMIT :at_most) counted"), {"at_most": at_most}).scalar_one())


def remove_before(tx: Connection, table: str, day: date) -> int:
    """Remove the parts all of whose rows are of days before a day; how many rows that were."""
    tx.execute(_PATIENCE)
    gone = 0
    for part in over_before(tx, table, day):
        gone += count(tx, part.name)
        tx.execute(text(f"ALTER TABLE {table} DETACH PARTITION {part.name}"))
        tx.execute(text(f"DROP TABLE {part.name}"))
    return gone


def count(tx: Connection, name: str) -> int:
    """Rows of a part."""
    return int(tx.execute(text(f"SELECT count(*) FROM {name}")).scalar_one())


def at_hand_from(tx: Connection, *, months: int, on: date = date.max) -> date:
    """The first day at hand: so many whole months before the one that runs, on a date that has come on the wall clock too."""
    today = min(on, tx.execute(text("SELECT CAST(clock_timestamp() AS date)")).scalar_one())
    number = 12 * today.year + today.month - 1 - months
    return date(number // 12, number % 12 + 1, 1)


def detach(tx: Connection, table: str, part: Part) -> None:
    """Move a month into the archive. Of decisions, nobody can make another one of that month until it is back.

    Waits five seconds at most for whoever uses the table.
    """
    tx.execute(_PATIENCE)
    others = _others(parts(tx, table))
    tx.execute(text(f"ALTER TABLE {table} DETACH PARTITION {part.name}"))
    tx.execute(text(f"ALTER TABLE {part.name} SET SCHEMA {ARCHIVE}"))
    tx.execute(text(f"ALTER TABLE {ARCHIVE}.{table} ATTACH PARTITION {ARCHIVE}.{part.name} {part.bounds}"))
    if table == _ONCE:
        tx.execute(text(f"ALTER TABLE {others} ADD CONSTRAINT {part.name}_is_archived CHECK (NOT ({part.inside}))"))


def find_archived(tx: Connection, name: str, *, months: int) -> tuple[str, Part]:
    """A month in the archive that would stay at hand, were it brought back, and its table.

    Raises:
        MonthRefused: It does not lie there, or is older than the months that are kept at hand.
    """
    found = next(((table, part) for table in HISTORY for part in archived(tx, table) if part.name == name), None)
    if found is None:
        raise MonthRefused(f"{name} does not lie in the archive; `tideover history list` names what does")
    until = found[1].until
    if until is not None and until <= at_hand_from(tx, months=months):
        raise MonthRefused(
            f"{name} would go back in the next night: give `history` in config/retention.yaml more than {months} months first"
        )
    return found


def attach(tx: Connection, table: str, part: Part) -> None:
    """Bring a month back from the archive, with rows of it that were written meanwhile."""
    tx.execute(_PATIENCE)
    others = _others(parts(tx, table))
    tx.execute(text(f"ALTER TABLE {ARCHIVE}.{table} DETACH PARTITION {ARCHIVE}.{part.name}"))
    tx.execute(text(f"ALTER TABLE {ARCHIVE}.{part.name} SET SCHEMA public"))
    if table == _ONCE:
        tx.execute(text(f"ALTER TABLE {others} DROP CONSTRAINT {part.name}_is_archived"))
    _take_in(tx, table, others, part)
    tx.execute(text(f"ALTER TABLE {table} ATTACH PARTITION {part.name} {part.bounds}"))


def gather(tx: Connection, table: str, *, of: date | None = None) -> None:
    """Let the planner know of a table as a whole: the database itself looks at its parts only.

    Args:
        tx: Inside a transaction.
        table: Of `PARTITIONED`.
        of: Look only at the part in which this date lies: to look at the whole takes longer with every month that it has.
    """
    name = table if of is None else _part_of(parts(tx, table), of)
    tx.execute(text(f"ANALYZE {name}"))


def _made(tx: Connection, table: str, others: str, month: date, *, has_rows: bool) -> str:
    part = Part(name=f"{table}_{month:%Y_%m}", first=month, until=_next_month(month))
    tx.execute(text(f"CREATE TABLE {part.name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"))
    # With it the part is moved later on without a look at each of its rows.
    tx.execute(text(f"ALTER TABLE {part.name} ADD CONSTRAINT {part.name}_month CHECK ({part.inside})"))
    if has_rows:
        _take_in(tx, table, others, part)
    tx.execute(text(f"ALTER TABLE {table} ATTACH PARTITION {part.name} {part.bounds}"))
    return part.name


def _take_in(tx: Connection, table: str, others: str, part: Part) -> None:
    """Move the rows of a month from among the others. Nobody writes one in between: it would be in neither."""
    tx.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
    tx.execute(text(f"WITH moved AS (DELETE FROM {others} WHERE {part.inside} RETURNING *) INSERT INTO {part.name} SELECT * FROM moved"))


def _part_of(there: list[Part], day: date) -> str:
    return next((part.name for part in there if part.has(day)), None) or _others(there)


def _others(there: list[Part]) -> str:
    return next(part.name for part in there if part.until is None)


def _month(day: date) -> date:
    return day.replace(day=1)


def _next_month(day: date) -> date:
    return _month(_month(day) + timedelta(days=31))


# A decision is made once for a borrower, a date and a stage: one that lies in the archive is not seen by that key.
_ONCE: Final = "decision"
_PATIENCE: Final = text("SET LOCAL lock_timeout = '5s'")
_PARTS = text("""
    SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bounds
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass(:table)
""")
