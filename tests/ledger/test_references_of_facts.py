"""What the facts of an import name is there: checked once a statement, whoever writes, and kept while they name it (docs/adr/0076)."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from config.import_mapping import FOLDER
from ledger.all_tables import METADATA
from ledger.columns import ImportedFact
from ledger.engine import connection, engine
from tasks.import_portfolio import import_files
from tests.plugins.locks import waiting_for

NOBODY: Final = 999_999_999
PARENTS: Final = {"party_id": "party", "loan_id": "loan", "contact_point_id": "contact_point", "import_batch_id": "import_batch"}
# One row of every table.
FILES: Final = {
    "parties": "external_id,name,locale\nA,Nobody,en\n",
    "loans": "external_id,party,product,currency,principal\nL1,A,nano,USD,10\n",
    "instalments": "loan,number,due_on,principal\nL1,1,2026-03-01,10\n",
    "payments": "loan,external_id,amount,paid_on\nL1,P1,1,2026-03-01\n",
    "allocations": "loan,payment,instalment,component,amount\nL1,P1,1,principal,1\n",
    "delinquency_snapshots": "loan,as_of,months_past_due,status_code\nL1,2026-03-16,1,M1\n",
    "wallet_flows": "party,day,kind,amount,currency\nA,2026-03-01,salary,5,USD\n",
    "contact_points": "party,kind,value,consent,consent_at\nA,mobile,+12125550100,sms,2026-01-05T09:00:00Z\n",
}
# A copy of a row that is another row, and not in force beside the first.
_ANOTHER: Final = {"id": "id + 1000", "superseded_at": "now()", "external_id": "external_id || '-again'"}


def _named() -> list[tuple[str, str]]:
    """Every table whose references are checked so, with each of the columns that name something."""
    tables = [str(fact.__tablename__) for fact in ImportedFact.__subclasses__()]
    return [
        (table, column) for table in sorted([*tables, "contact_point"]) for column in PARENTS if column in METADATA.tables[table].columns
    ]


NAMED: Final = _named()


@pytest.fixture
def imported(ledger_url: str, tmp_path: Path) -> None:
    del ledger_url
    files = [tmp_path / f"{name}.csv" for name in FILES]
    for path, content in zip(files, FILES.values(), strict=True):
        path.write_text(content)
    assert import_files(FOLDER / "wallet.yaml", files).total("rejected") == 0


def copied(table: str, **columns: str) -> str:
    """A statement that writes a table's row again as another one, some columns changed."""
    changed = {**_ANOTHER, **columns}
    given = {column.name: changed.get(column.name, column.name) for column in METADATA.tables[table].columns}
    return f"INSERT INTO {table} ({', '.join(given)}) SELECT {', '.join(given.values())} FROM {table} WHERE id < 1000"  # noqa: S608  # words of ours


def beside_one(tx: Connection, table: str, tables: list[str], statement: str) -> None:
    """Do something where of some tables one alone has rows."""
    tx.execute(text("SET LOCAL session_replication_role = replica"))
    for another in tables:
        if another != table:
            tx.execute(text(f"DELETE FROM {another}"))  # noqa: S608  # words of ours
    tx.execute(text("SET LOCAL session_replication_role = origin"))
    tx.exec_driver_sql(statement)


@pytest.mark.usefixtures("imported")
def test_a_row_that_names_what_is_not_there_is_refused() -> None:
    for table, column in NAMED:
        with connection() as tx:
            assert tx.exec_driver_sql(copied(table)).rowcount == 1
            tx.execute(text(f"DELETE FROM {table} WHERE id > 1000"))  # noqa: S608  # words of ours
        with pytest.raises(IntegrityError, match=f"a row of {table} names a {PARENTS[column]} that is not there"), connection() as tx:
            tx.exec_driver_sql(copied(table, **{column: str(NOBODY)}))


@pytest.mark.usefixtures("imported")
def test_a_row_names_what_it_named() -> None:
    for table, column in NAMED:
        with pytest.raises(IntegrityError, match=f"a row of {table} stays what it is"), connection() as tx:
            tx.execute(text(f"UPDATE {table} SET {column} = {column} + 1"))  # noqa: S608  # words of ours


@pytest.mark.usefixtures("imported")
@pytest.mark.parametrize(("column", "parent"), PARENTS.items())
def test_what_is_named_is_neither_removed_nor_numbered_anew(column: str, parent: str) -> None:
    # The database's other constraints would refuse most of these too: ours is asked alone, and that a row of one table names it is enough.
    with connection() as tx:
        others = tx.execute(
            text("""SELECT conname, conrelid::regclass::text AS of FROM pg_constraint
                    WHERE contype = 'f' AND confrelid = to_regclass(:of) AND conparentid = 0"""),
            {"of": parent},
        ).all()
        for other in others:
            tx.execute(text(f"ALTER TABLE {other.of} DROP CONSTRAINT {other.conname}"))
    tables = [table for table, its_column in NAMED if its_column == column]
    for table in tables:
        for statement, said in (
            (f"DELETE FROM {parent}", f"a {parent} that is removed is named by a row of {table}"),  # noqa: S608  # words of ours
            (f"TRUNCATE {parent}", f"{parent} cannot be emptied: rows of {table}"),
            (f"UPDATE {parent} SET id = id + 5000", "stays what it is"),  # noqa: S608  # words of ours
        ):
            with pytest.raises(IntegrityError, match=said), connection() as tx:
                beside_one(tx, table, tables, statement)
    with connection() as tx:
        tx.execute(text(f"ALTER TABLE {parent} DISABLE TRIGGER {parent}_is_named_by_facts"))
        assert tx.exec_driver_sql(f"DELETE FROM {parent}").rowcount == 1, "the trigger alone stood against it"  # noqa: S608  # as above


@pytest.mark.usefixtures("imported")
def test_what_no_fact_names_may_be_removed() -> None:
    with connection() as tx:
        tx.execute(text("INSERT INTO import_batch (mapping, mapping_hash, file_hash) VALUES ('m', 'h', 'f')"))
        assert tx.execute(text("DELETE FROM import_batch WHERE mapping = 'm'")).rowcount == 1


@pytest.mark.usefixtures("imported")
def test_a_row_that_is_being_written_is_waited_for() -> None:
    with connection() as tx:
        kept = tx.execute(text("INSERT INTO loan (creditor_id, external_id) SELECT creditor_id, 'L2' FROM loan RETURNING id")).scalar_one()

    def remove() -> None:
        with connection() as tx:
            tx.execute(text("DELETE FROM loan WHERE id = :id"), {"id": kept})

    statement = copied("instalment", loan_id=str(kept))
    with ThreadPoolExecutor(1) as threads:
        with connection() as tx:
            tx.exec_driver_sql(statement)
            removal: Future[object] = threads.submit(remove)
            waiting_for(tx.execute(text("SELECT pg_backend_pid()")).scalar_one(), removal)
        with pytest.raises(IntegrityError, match="is named by a row of instalment"):
            removal.result(20)


@pytest.mark.usefixtures("imported")
def test_facts_are_written_and_what_they_name_is_removed_where_others_rows_are_seen() -> None:
    statements = [copied(table) for table in sorted({table for table, _ in NAMED})]
    with connection() as tx:
        for parent in PARENTS.values():
            tx.execute(text(f"ALTER TABLE {parent} DISABLE TRIGGER ALL"))
            tx.execute(text(f"ALTER TABLE {parent} ENABLE TRIGGER {parent}_is_named_by_facts"))
            statements.append(f"DELETE FROM {parent}")  # noqa: S608  # words of ours
        tx.execute(text("ALTER TABLE contact_point ENABLE TRIGGER contact_point_names_party"))
    for statement in statements:
        with pytest.raises(ProgrammingError, match="read committed"), engine().connect() as link:
            link.execution_options(isolation_level="REPEATABLE READ").exec_driver_sql(statement)
