"""What decisions and attempts name is there: checked once a statement, whoever writes, and kept while they name it."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from ledger.engine import connection, engine
from tests.ledger.test_decisions_log import contact, count, opened, silence, write
from tests.plugins.locks import waiting_for
from tests.plugins.portfolio import BorrowerIds, Portfolio

NOBODY = 999_999_999
KEYS = {
    "decision": ("party_id", "campaign_run_id", "reason_set_id"),
    "attempt": ("party_id", "campaign_run_id", "decision_id", "contact_point_id"),
}
_ANOTHER: dict[str, dict[str, str]] = {
    "decision": {"id": "id + 1000", "stage": "'another'"},
    "attempt": {"id": "id + 1000", "step": "step + 1", "state": "'expired'"},
}


@pytest.fixture
def planned(portfolio: Portfolio) -> BorrowerIds:
    """A borrower with a decision and an attempt, beside one who is left in peace."""
    one, two = portfolio.borrower(), portfolio.borrower()
    write(opened(), contact(one), silence(two, "HOUSE-A"))
    return one


def copied(table: str, **columns: Any) -> str:
    """A statement that writes the planned row again as another one, some columns changed."""
    changed = {**_ANOTHER[table], **{name: str(value) for name, value in columns.items()}}
    with connection() as tx:
        names = list(
            tx.execute(
                text("SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = :table"),
                {"table": table},
            ).scalars()
        )
    values = ", ".join(changed.get(name, name) for name in names)
    where = "WHERE action = 'contact'" if table == "decision" else ""
    return f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table} {where}"  # noqa: S608  # words of this file


@pytest.mark.parametrize("table", KEYS)
def test_a_row_that_names_what_is_not_there_is_refused(planned: BorrowerIds, table: str) -> None:
    del planned
    with connection() as tx:
        tx.exec_driver_sql(copied(table))
        tx.execute(text(f"DELETE FROM {table} WHERE id > 1000"))  # noqa: S608  # a word of this file
    before = count(table)
    for column in KEYS[table]:
        with pytest.raises(IntegrityError, match=f"a row of {table} names a"), connection() as tx:
            tx.exec_driver_sql(copied(table, **{column: NOBODY}))
    assert count(table) == before


def test_an_attempt_is_of_the_borrower_of_its_decision(planned: BorrowerIds, portfolio: Portfolio) -> None:
    another = portfolio.borrower()
    assert another.party_id != planned.party_id
    with pytest.raises(IntegrityError, match="names a decision that is not there"), connection() as tx:
        tx.exec_driver_sql(copied("attempt", party_id=another.party_id))


@pytest.mark.parametrize("removed", ["party", "campaign_run", "reason_set", "contact_point", "decision"])
def test_what_is_named_is_neither_removed_nor_numbered_anew(planned: BorrowerIds, removed: str) -> None:
    # The database's other constraints would refuse most of these too: ours is asked alone.
    ours = f"{removed}_is_named"
    with connection() as tx:
        others = tx.execute(
            text("""SELECT conname, conrelid::regclass::text AS of FROM pg_constraint
                    WHERE contype = 'f' AND confrelid = to_regclass(:of) AND conparentid = 0"""),
            {"of": removed},
        ).all()
        for other in others:
            tx.execute(text(f"ALTER TABLE {other.of} DROP CONSTRAINT {other.conname}"))
        # What facts name is tried by test_references_of_facts.py.
        for trigger in (f"{removed}_is_named_by_facts", f"{removed}_is_named_by_facts_in"):
            tx.execute(text(f"DROP TRIGGER IF EXISTS {trigger} ON {removed}"))
    where = {"party": f"WHERE id = {planned.party_id}", "contact_point": f"WHERE id = {planned.sms_id}"}.get(removed, "")
    for statement, said in (
        (f"DELETE FROM {removed} {where}", "is named by a row"),  # noqa: S608  # words of this file
        (f"TRUNCATE {removed}", "cannot be emptied"),
        (f"UPDATE {removed} SET id = id + 5000 {where}", "stays what it is"),  # noqa: S608  # as above
    ):
        with pytest.raises(IntegrityError, match=said), connection() as tx:
            tx.exec_driver_sql(statement)
    with connection() as tx:
        tx.execute(text(f"ALTER TABLE {removed} DISABLE TRIGGER {ours}"))
        assert tx.exec_driver_sql(f"DELETE FROM {removed} {where}").rowcount > 0, "the trigger alone stood against it"  # noqa: S608  # as above


def test_an_aged_loan_is_there_and_stays(planned: BorrowerIds) -> None:
    with pytest.raises(IntegrityError, match="names a loan that is not there"), connection() as tx:
        tx.exec_driver_sql(
            """INSERT INTO loan_aging (business_date, loan_id, party_id, days_past_due, delinquent_days, past_due_minor,
                                       outstanding_minor, bucket)
               SELECT business_date, 999999999, party_id, 1, 1, 1, 1, bucket FROM loan_aging LIMIT 1"""
        )
    with connection() as tx:
        tx.execute(text("SET LOCAL session_replication_role = replica"))
        for table in ("loan_version", "loan_party", "instalment", "payment"):
            tx.execute(text(f"DELETE FROM {table}"))  # noqa: S608  # names above
    hers = {"id": planned.loan_id}
    with pytest.raises(IntegrityError, match="is named by a row of loan_aging"), connection() as tx:
        tx.execute(text("DELETE FROM loan WHERE id = :id"), hers)
    with pytest.raises(IntegrityError, match="stays what it is"), connection() as tx:
        tx.execute(text("UPDATE loan SET id = id + 5000 WHERE id = :id"), hers)
    with connection() as tx:
        tx.execute(text("DELETE FROM loan_aging"))
        assert tx.execute(text("DELETE FROM loan WHERE id = :id"), hers).rowcount == 1


def test_what_nothing_names_may_be_removed(planned: BorrowerIds, portfolio: Portfolio) -> None:
    del planned
    with connection() as tx:
        tx.execute(text("INSERT INTO reason_set (reasons) VALUES ('{NOBODYS}')"))
        assert tx.execute(text("DELETE FROM reason_set WHERE reasons = '{NOBODYS}'")).rowcount == 1
        alone = portfolio.borrower(phone=False, push=False, consent=())
        assert tx.execute(text("DELETE FROM contact_point WHERE party_id = :id"), {"id": alone.party_id}).rowcount == 0


def test_a_row_that_is_being_written_is_waited_for(planned: BorrowerIds) -> None:
    del planned
    with connection() as tx:
        kept = tx.execute(text("INSERT INTO reason_set (reasons) VALUES ('{SOON}') RETURNING id")).scalar_one()

    def remove() -> None:
        with connection() as tx:
            tx.execute(text("DELETE FROM reason_set WHERE id = :id"), {"id": kept})

    statement = copied("decision", reason_set_id=kept)
    with ThreadPoolExecutor(1) as threads:
        with connection() as tx:
            tx.exec_driver_sql(statement)
            removal: Future[object] = threads.submit(remove)
            waiting_for(tx.execute(text("SELECT pg_backend_pid()")).scalar_one(), removal)
        with pytest.raises(IntegrityError, match="is named by a row of decision"):
            removal.result(20)


def test_rows_are_written_where_removals_of_others_are_seen(planned: BorrowerIds) -> None:
    del planned
    statement = copied("decision")
    with pytest.raises(ProgrammingError, match="read committed"), engine().connect() as link:
        link.execution_options(isolation_level="REPEATABLE READ").exec_driver_sql(statement)
