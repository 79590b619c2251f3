"""Ageing again: which loans another date, or what was learned since, changes; all others only grow older.

A date's rows follow from those of an earlier date, or of the same one, when every loan is aged anew of which a fact was recorded or
superseded since, or for which the calendar did something: an instalment fell due or comes near, a payment's or plan's day came, days
that do not age, somebody who stands for it, another bucket or stage. What is left out of "since" is bounded by transactions that are
still open: a fact has the time of its writing, and is seen when it is committed.

In:   a local business date.
Out:  what to begin from, and ids of loans to be aged anew.
Pure: no.
Source: docs/adr/0070.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import polars as pl
from sqlalchemy import Connection, text

from decisions.aging import AgingPolicy, turning
from ledger.engine import arrow
from ledger.frames import instant, read

# Rows are carried on over so many days at most; after a longer rest every loan is aged.
CARRIED_DAYS_MAX: Final = 7
# So often every loan is aged all the same: what no rule above foresees does not live longer.
WHOLE_DAYS_MAX: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """Rows to begin from.

    Attributes:
        business_date: Their date.
        known_until: All facts recorded before it are in them.
        whole_on: See `ledger.tables_ageing.AgeingRun`.
    """

    business_date: date
    known_until: datetime
    whole_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """An ageing that was begun.

    Attributes:
        business_date: As of which.
        worker: Whose it is; another one that begins the same date takes it over.
        known_until: What will be in its rows.
        base: Where it begins; None = every loan is aged.
    """

    business_date: date
    worker: UUID
    known_until: datetime | None
    base: Base | None


def begin(connection: Connection, business_date: date, *, policy_hash: str) -> Begun:
    """Say that a date is being aged, and find what it may begin from.

    Args:
        connection: Inside a transaction, which is to be committed before facts are read.
        business_date: Local date.
        policy_hash: Of how lateness is named; rows of another one are no base.
    """
    first = business_date - timedelta(days=CARRIED_DAYS_MAX)
    row = connection.execute(
        _BASE,
        {
            "on": business_date,
            "first": first,
            "whole_from": business_date - timedelta(days=WHOLE_DAYS_MAX),
            "hash": policy_hash,
        },
    ).one_or_none()
    known_until = connection.execute(_KNOWN_UNTIL).scalar_one()
    # Without knowing who still writes, nothing can be carried on from this date, and nothing is.
    base = (
        None
        if row is None or known_until is None
        else Base(business_date=row.business_date, known_until=row.known_until, whole_on=row.whole_on)
    )
    worker = uuid4()
    whole_on = business_date if base is None else base.whole_on
    connection.execute(_BEGIN, {"on": business_date, "worker": worker, "whole_on": whole_on, "hash": policy_hash})
    return Begun(business_date=business_date, worker=worker, known_until=known_until, base=base)


def end(connection: Connection, begun: Begun) -> None:
    """Say that the date's rows are whole; nothing is said where somebody else began it anew meanwhile."""
    connection.execute(_END, {"on": begun.business_date, "worker": begun.worker, "known_until": begun.known_until})


def changed(base: Base, business_date: date, *, policy: AgingPolicy) -> pl.Series:
    """Ids of the loans to be aged anew, ascending (Int64).

    Args:
        base: Rows to begin from.
        business_date: Local date of the new rows, not before the base's.
        policy: By which the base's rows were named.
    """
    turned = turning(policy, days=(business_date - base.business_date).days)
    days_ahead = {scheme.pre_due_days for scheme in policy.schemes.values()}
    base_on, on = (f"'{day.isoformat()}'::date" for day in (base.business_date, business_date))
    statement = _CHANGED.format(
        learned=_LEARNED.format(since=instant(base.known_until)),
        base=base_on,
        on=on,
        near=" OR ".join(f"i.due_on > {base_on} + {ahead:d} AND i.due_on <= {on} + {ahead:d}" for ahead in sorted(days_ahead)),
        turning=", ".join(f"({_quoted(bucket)}, {days:d})" for bucket, days in turned),
    )
    with arrow(read_only=True) as source:
        return read(source, statement, {"loan_id": pl.Int64})["loan_id"]


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"


_BASE = text("""
    SELECT business_date, known_until, whole_on FROM ageing_run
    WHERE business_date BETWEEN :first AND :on AND known_until IS NOT NULL AND policy_hash = :hash AND whole_on > :whole_from
    ORDER BY business_date DESC LIMIT 1
""")
# Before the oldest transaction that may still write. Of other users' transactions the database tells only those who may see them:
# where it hides one, nothing is known.
_KNOWN_UNTIL = text("""
    SELECT CASE WHEN bool_or(query = '<insufficient privilege>') THEN NULL ELSE least(min(xact_start), statement_timestamp()) END
    FROM pg_stat_activity WHERE datname = current_database() AND (backend_type IS NULL OR backend_type = 'client backend')
""")
_BEGIN = text("""
    INSERT INTO ageing_run (business_date, worker, known_until, whole_on, policy_hash) VALUES (:on, :worker, NULL, :whole_on, :hash)
    ON CONFLICT (business_date) DO UPDATE
    SET worker = excluded.worker, known_until = NULL, whole_on = excluded.whole_on, policy_hash = excluded.policy_hash
""")
_END = text("UPDATE ageing_run SET known_until = :known_until WHERE business_date = :on AND worker = :worker")


_CHANGED: Final = """
    SELECT DISTINCT loan_id FROM (
        SELECT i.loan_id FROM instalment i WHERE i.superseded_at IS NULL AND i.due_on >= {base} AND i.due_on < {on}
        UNION ALL
        SELECT i.loan_id FROM instalment i
        WHERE i.superseded_at IS NULL AND ({near})
        UNION ALL
        SELECT y.loan_id FROM payment y WHERE y.superseded_at IS NULL AND y.paid_on > {base} AND y.paid_on <= {on}
        UNION ALL
        SELECT a.loan_id FROM ageing_pause a WHERE a.superseded_at IS NULL AND a.starts_on < {on} AND a.ends_on > {base}
        UNION ALL
        SELECT lp.loan_id FROM loan_party lp
        WHERE lp.superseded_at IS NULL AND (lp.starts_on > {base} AND lp.starts_on <= {on} OR lp.ends_on > {base} AND lp.ends_on <= {on})
        UNION ALL
        SELECT p.loan_id FROM plan p JOIN plan_version v ON v.plan_id = p.id
        WHERE v.superseded_at IS NULL
          AND coalesce(v.agreed_on, v.effective_at::date) > {base} AND coalesce(v.agreed_on, v.effective_at::date) <= {on}
        UNION ALL
        SELECT a.loan_id FROM loan_aging a
        WHERE a.business_date = {base} AND a.days_past_due > 0 AND (a.bucket, a.delinquent_days) IN (VALUES {turning})
        {learned}
    ) changed ORDER BY loan_id
"""
# Tables whose facts ageing reads → the loan that a row is of, and what names it.
_FACTS: Final = {
    **dict.fromkeys(("loan_version", "loan_party", "instalment", "payment", "ageing_pause"), ("f.loan_id", "")),
    "plan_version": ("p.loan_id", "JOIN plan p ON p.id = f.plan_id"),
}
_LEARNED: Final = "".join(
    f" UNION ALL SELECT {loan} FROM {table} f {join} WHERE f.{column} >= {{since}}"  # noqa: S608  # names above
    for table, (loan, join) in _FACTS.items()
    for column in ("recorded_at", "superseded_at")
)
