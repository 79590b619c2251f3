"""Taking an import back: what it said is not in force any more, and what was known before it is again.

Nothing is deleted: the batch's versions are superseded, and their predecessors are written once more, as new versions (two
times on every fact: a decision that rested on the batch still replays). What somebody else has said since stays. What only
protects (stops, holds, wishes, past contacts) stays too: nobody can know whether the wrong file was right in that.

In:   a connection inside a transaction; a batch's number, who says so and why.
Out:  rows in counts; versions of facts under the locks of everybody concerned; the batch is marked.
Pure: no; reads and writes the ledger. A batch that is withdrawn stays so; withdrawing it again is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

from ledger import pauses
from ledger.all_tables import METADATA
from ledger.locks import lock_borrowers
from ledger.pauses import Scope

# Table → the columns by which a version finds the one before it, beside those that import targets name.
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "party_version": ("party_id",),
    "loan_version": ("loan_id",),
    "loan_party": ("loan_id", "party_id", "role"),
    "instalment": ("loan_id", "number"),
    "payment": ("loan_id", "external_id"),
    "allocation": ("loan_id", "payment_external_id", "instalment_number", "component"),
    "delinquency_snapshot": ("loan_id", "as_of"),
    "wallet_flow": ("party_id", "moved_on", "kind", "currency"),
    "fairness_attribute": ("party_id", "attribute"),
    "contact_point_version": ("contact_point_id",),
    "contact_value": ("blind_index",),
    "consent": ("party_id", "channel", "given_to", "at"),
    "feed": ("creditor_id", "kind"),
}
# Everybody of whom a batch says something, whatever is in force by now.
OF_BATCH: Final = """
    SELECT party_id FROM party_version WHERE import_batch_id = :batch
    UNION SELECT party_id FROM loan_party WHERE import_batch_id = :batch
    UNION SELECT party_id FROM wallet_flow WHERE import_batch_id = :batch
    UNION SELECT party_id FROM fairness_attribute WHERE import_batch_id = :batch
    UNION SELECT party_id FROM opt_out WHERE import_batch_id = :batch
    UNION SELECT party_id FROM hold WHERE import_batch_id = :batch
    UNION SELECT party_id FROM wish WHERE import_batch_id = :batch
    UNION SELECT party_id FROM consent WHERE import_batch_id = :batch
    UNION SELECT k.party_id FROM contact_point_version v JOIN contact_point k ON k.id = v.contact_point_id WHERE v.import_batch_id = :batch
    UNION SELECT l.party_id FROM loan_version v JOIN loan_party l ON l.loan_id = v.loan_id WHERE v.import_batch_id = :batch
    UNION SELECT l.party_id FROM instalment v JOIN loan_party l ON l.loan_id = v.loan_id WHERE v.import_batch_id = :batch
    UNION SELECT l.party_id FROM payment v JOIN loan_party l ON l.loan_id = v.loan_id WHERE v.import_batch_id = :batch
    UNION SELECT l.party_id FROM allocation v JOIN loan_party l ON l.loan_id = v.loan_id WHERE v.import_batch_id = :batch
"""


class WithdrawalRefused(RuntimeError):
    """The import was not taken back; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """What taking an import back means, or meant.

    Attributes:
        batch: Its number.
        people: Borrowers of whom it says something.
        rows: Table → rows of it that are in force, and are not any more afterwards; tables without any are left out.
        restored: Table → of these how many have a former version that is in force again.
        stays: Stops, holds and wishes that it brought and that stay.
    """

    batch: int
    people: int
    rows: dict[str, int]
    restored: dict[str, int]
    stays: int


def look(connection: Connection, batch: int) -> Withdrawn:
    """What taking a batch back would mean.

    Raises:
        WithdrawalRefused: There is no such batch, or it is withdrawn already.
    """
    _check(connection, batch)
    people = int(connection.execute(text(f"SELECT count(*) FROM ({OF_BATCH}) b"), {"batch": batch}).scalar_one())  # noqa: S608  # our own words
    rows, restored = {}, {}
    for table in _KEYS:
        found = connection.execute(text(_COUNT.format(table=table, before=_before(table, "t"))), {"batch": batch}).one()
        rows[table], restored[table] = int(found.gone), int(found.restored)
    stays = int(connection.execute(_STAYS, {"batch": batch}).scalar_one())
    return Withdrawn(
        batch=batch,
        people=people,
        rows={table: count for table, count in rows.items() if count},
        restored={table: count for table, count in restored.items() if count},
        stays=stays,
    )


def withdraw(connection: Connection, batch: int, *, by: str, because: str, at: datetime) -> Withdrawn:
    """Take a batch back, while all contact is stopped.

    Args:
        connection: Inside a transaction; everybody concerned is locked, and no other import of the creditors runs.
        batch: Number of the import.
        by: Who says so.
        because: Why, for the record.
        at: Business instant: is contact stopped?

    Raises:
        WithdrawalRefused: As `look`; or contact goes on, or who and why are not said.
    """
    if not by.strip() or not because.strip():
        raise WithdrawalRefused("say who takes it back (--by) and why (--because)")
    if not any(one.scope == Scope() for one in pauses.in_force(connection, at=at)):
        raise WithdrawalRefused("contact goes on: `tideover pause` first, and `tideover resume` once the right files are in")
    connection.execute(_LOCK_CREDITORS, {"batch": batch})
    people = connection.execute(text(OF_BATCH), {"batch": batch}).scalars().all()
    lock_borrowers(connection, people)
    found = look(connection, batch)
    connection.execute(_MARK, {"batch": batch, "by": by.strip(), "because": because.strip()})
    for table in found.rows:
        columns = ", ".join(_columns(table))
        statement = _TAKE_BACK.format(
            table=table, columns=columns, before=_before(table, "g"), keys=", ".join(f"t.{key}" for key in _KEYS[table])
        )
        connection.execute(text(statement), {"batch": batch})
    return found


def _check(connection: Connection, batch: int) -> None:
    row = connection.execute(_READ, {"batch": batch}).one_or_none()
    if row is None:
        raise WithdrawalRefused(f"no import {batch}; `tideover import --json` names its number, and `import_batch` lists them")
    if row.withdrawn_at is not None:
        raise WithdrawalRefused(f"import {batch} was taken back already, by {row.withdrawn_by}: {row.withdrawn_because}")


def _columns(table: str) -> list[str]:
    """What a version says, without what the ledger itself gives it."""
    given = {"id", "recorded_at", "superseded_at"}
    return [column.name for column in METADATA.tables[table].columns if column.name not in given]


def _before(table: str, version: str) -> str:
    """Id of the version before one of the batch: the last of the same thing that no withdrawn import said."""
    same = " AND ".join(f"b.{key} IS NOT DISTINCT FROM {version}.{key}" for key in _KEYS[table])
    return (
        f"(SELECT b.id FROM {table} b WHERE {same} AND b.id < {version}.id AND (b.import_batch_id IS NULL OR b.import_batch_id <> :batch"  # noqa: S608  # our own words
        " AND NOT EXISTS (SELECT FROM import_batch w WHERE w.id = b.import_batch_id AND w.withdrawn_at IS NOT NULL))"
        " ORDER BY b.id DESC LIMIT 1)"
    )


_COUNT: Final = """
    SELECT count(*) AS gone, count({before}) AS restored FROM {table} t WHERE t.import_batch_id = :batch AND t.superseded_at IS NULL
"""
_TAKE_BACK: Final = """
    WITH g AS (
        UPDATE {table} t SET superseded_at = clock_timestamp()
        WHERE t.import_batch_id = :batch AND t.superseded_at IS NULL RETURNING t.id, {keys}
    ), former AS MATERIALIZED (SELECT {before} AS id FROM g)
    INSERT INTO {table} ({columns}) SELECT {columns} FROM {table} WHERE id IN (SELECT id FROM former)
"""
_READ = text("SELECT withdrawn_at, withdrawn_by, withdrawn_because FROM import_batch WHERE id = :batch")
_MARK = text("""
    UPDATE import_batch SET withdrawn_at = clock_timestamp(), withdrawn_by = :by, withdrawn_because = :because WHERE id = :batch
""")
# As an import does: nobody imports for the same creditor meanwhile.
_LOCK_CREDITORS = text(f"""
    SELECT id FROM creditor WHERE id IN (SELECT p.creditor_id FROM party p WHERE p.id IN ({OF_BATCH})) ORDER BY id FOR NO KEY UPDATE
""")  # noqa: S608  # our own words
_STAYS = text("""
    SELECT (SELECT count(*) FROM opt_out WHERE import_batch_id = :batch AND superseded_at IS NULL)
         + (SELECT count(*) FROM hold WHERE import_batch_id = :batch AND superseded_at IS NULL)
         + (SELECT count(*) FROM wish WHERE import_batch_id = :batch AND superseded_at IS NULL)
""")
