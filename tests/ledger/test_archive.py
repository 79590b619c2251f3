"""History by months: what the day's work asks looks into few of them; what is old moves away, and is found by whoever asks about the past."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from prefect.logging import disable_run_logger
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from typer.testing import CliRunner, Result

from config.retention import MONTHS_MIN, retention_policy
from decisions.choose import DECISIONS
from decisions.facts import HISTORY_DAYS
from flows.retention import retention
from gate.evidence import gather
from gate.person_export import everything_in_words
from ledger import attempts, clock, erasures, evidence, partitions
from ledger.attempts import StatusEvent
from ledger.decisions_log import read_attempts, write_decisions
from ledger.engine import connection
from ledger.facts import TREATMENT_DAYS, read_facts
from ledger.person_contacts import days_of
from tasks import morning_items
from tasks.audit import audit_period
from tasks.explain import explain_borrower
from tests.ledger.test_decisions_log import contact, opened
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.sending import Outbox
from tideover import app

AT = noon("US")
MONTHS = 24
SHORTEST_MONTH = 28
MONTH = f"{TODAY:%Y_%m}"


def command(*words: str) -> Result:
    return CliRunner().invoke(app, ["history", *words])


def make_months() -> None:
    """A part for each month of two years up to today's, and for the next one."""
    with connection() as tx:
        for table in partitions.HISTORY:
            for number in range(MONTHS):
                partitions.make_months(tx, table, TODAY - timedelta(days=30 * number))


@contextmanager
def looking(tx: Connection) -> Iterator[dict[str, set[str]]]:
    """Table → its parts of which something is read within the block, through an index or whole; filled in at the block's end.

    The session's counts may still hold what earlier transactions read (PostgreSQL hands counts on once a second at most), hence
    the difference.
    """
    found: dict[str, set[str]] = {table: set() for table in partitions.HISTORY}
    before = {row.part: row.reads for row in tx.execute(_READS)}
    yield found
    for row in tx.execute(_READS):
        if row.of in found and row.reads > before.get(row.part, 0):
            found[row.of].add(row.part)


def months_since(first: date, table: str) -> set[str]:
    """The parts of the months since a date."""
    with connection() as tx:
        return {part.name for part in partitions.parts(tx, table) if part.until is None or part.until > first}


@pytest.fixture
def many_months(portfolio: Portfolio, outbox: Outbox) -> BorrowerIds:
    """A borrower with past contacts, in a ledger of two years of months."""
    del outbox
    make_months()
    who = portfolio.borrower()
    for days in (1, 35, 100, 400):
        portfolio.contact(who.party_id, AT - timedelta(days=days))
    return who


def test_the_gate_reads_the_months_that_caps_look_back_over(many_months: BorrowerIds) -> None:
    with connection() as tx, looking(tx) as found:
        facts = read_facts(tx, parties=[many_months.party_id], at=AT, business_date=TODAY, loans="now", falls_back=True)
    assert facts.history.height == 2
    since = AT.date() - timedelta(days=HISTORY_DAYS + partitions.LATE_DAYS_MAX)
    for table in ("contact_event", "attempt_transition"):
        wanted = months_since(since, table)
        assert found[table] <= wanted
        assert len(wanted) <= 6, "three or four months, the next one, and what has none"
    assert found["contact_event"]


def test_a_shard_is_decided_and_proved_in_its_own_month(many_months: BorrowerIds) -> None:
    run = opened()
    rows = [contact(many_months)]
    with connection() as tx, looking(tx) as written:
        assert write_decisions(tx, run, 0, pl.DataFrame(rows, schema=DECISIONS), at=AT, facts_known_at=AT) == 1
    assert written["decision"] <= {f"decision_{MONTH}"}
    with connection() as tx, looking(tx) as proved:
        assert evidence.mismatches(tx, run) == []
    assert proved["decision"] == {f"decision_{MONTH}"}


def test_what_a_provider_says_is_looked_up_in_the_attempts_own_month(many_months: BorrowerIds, outbox: Outbox) -> None:
    attempt = outbox.plan(outbox.run(), many_months)
    claim = {"claim_id": outbox.token(attempt), "call_deadline": AT, "submitted_at": AT}
    with connection() as tx:
        moved = attempts.Move(
            business_date=TODAY, attempt_id=attempt, from_state="planned", to_state="submitting", cause="test", changes=claim
        )
        attempts.move(tx, [moved], at=AT)
    told = StatusEvent(event_id=1, token=outbox.token(attempt), provider_id="R1", state="delivered", error_code=None, at=AT)
    with connection() as tx, looking(tx) as found:
        assert attempts.apply_provider_events(tx, [told], at=AT) == {1: "applied"}
    with connection() as tx, looking(tx) as also:
        moves = read_attempts(tx, many_months.party_id, business_date=TODAY)[0]["moves"]
    assert [row["to"] for row in moves] == ["submitting", "delivered"]
    assert found["contact_event"] <= {f"contact_event_{MONTH}"}
    assert also["attempt_transition"] == {f"attempt_transition_{MONTH}"}


def test_a_contact_that_caps_would_not_find_is_refused(portfolio: Portfolio) -> None:
    who = portfolio.borrower()
    portfolio.contact(who.party_id, AT)
    with connection() as tx:
        tx.execute(text("UPDATE contact_event SET business_date = business_date - :days"), {"days": partitions.LATE_DAYS_MAX})
    with pytest.raises(IntegrityError, match="contact_event_near_its_date"), connection() as tx:
        tx.execute(text("UPDATE contact_event SET business_date = business_date - 1"))


def test_the_months_at_hand_cover_every_look_back_of_the_days_work() -> None:
    longest = max(HISTORY_DAYS, TREATMENT_DAYS) + partitions.LATE_DAYS_MAX
    assert longest <= MONTHS_MIN * SHORTEST_MONTH
    assert retention_policy().history_months >= MONTHS_MIN


def test_the_archive_and_the_whole_have_the_columns_of_the_tables(ledger_url: str) -> None:
    """Whoever changes a column of a table of history changes its archive too, and makes its view in `whole` anew."""
    del ledger_url
    with connection() as tx:
        for table in partitions.HISTORY:
            ours = tx.execute(_COLUMNS, {"table": f"public.{table}"}).all()
            assert ours
            for schema in (partitions.ARCHIVE, "whole"):
                assert tx.execute(_COLUMNS, {"table": f"{schema}.{table}"}).all() == ours, f"{schema}.{table}"


@pytest.fixture
def archived(proved_attempt: int) -> tuple[int, dict[str, Any]]:
    """An attempt whose month lies in the archive, and what was told of it before."""
    make_months()
    before = told_of(proved_attempt)
    with connection() as tx:
        for table in partitions.HISTORY:
            (part,) = [one for one in partitions.parts(tx, table) if one.has(TODAY)]
            partitions.detach(tx, table, part)
    return proved_attempt, before


def told_of(attempt: int) -> dict[str, Any]:
    """Everything that is asked about the past."""
    evidence_of = gather(attempt, with_text=True).told
    party = evidence_of["attempt"]["party_id"]
    with connection() as tx:
        everything = everything_in_words(tx, party)
        days = days_of(tx, party)
        standing = erasures.standing(tx, party, retention_policy().records, at=clock.now(tx), besides=None)
    with disable_run_logger():
        audited = audit_period(TODAY, TODAY)
    explained = explain_borrower(f"#{party}", TODAY)
    return {
        "evidence": {name: evidence_of[name] for name in ("attempt", "decision", "transitions", "contacts", "facts", "text")},
        "lines": evidence_of["proofs"]["lines"],
        "export": everything["kept"],
        "days": days,
        "erasure": standing.due_on,
        "violations": audited.found,
        "explained": {name: explained[name] for name in ("stored", "replays", "differences", "attempts")},
    }


@pytest.mark.usefixtures("prefect_server")
def test_whoever_asks_about_the_past_is_told_the_same(archived: tuple[int, dict[str, Any]], outbox: Outbox) -> None:
    attempt, before = archived
    for table in partitions.HISTORY:
        assert outbox.rows(f"SELECT 1 FROM {table}") == [], table  # noqa: S608  # names of ours
    after = told_of(attempt)
    assert after["explained"]["replays"]
    assert after["violations"] == {}
    assert after == before


def test_what_lies_in_the_archive_stays_as_it_is(archived: tuple[int, dict[str, Any]], outbox: Outbox) -> None:
    del archived
    for table in partitions.HISTORY:
        for statement in (f"DELETE FROM archive.{table}", f"UPDATE archive.{table}_{MONTH} SET id = id + 1"):  # noqa: S608  # as above
            with pytest.raises(IntegrityError, match="stays as it is"), connection() as tx:
                tx.exec_driver_sql(statement)
    with pytest.raises(IntegrityError, match="is named by a row of decision"), connection() as tx:
        tx.execute(text("DELETE FROM reason_set"))
    with pytest.raises(DBAPIError, match="decision_2026_03_is_archived"), connection() as tx:
        tx.execute(text("INSERT INTO decision SELECT * FROM archive.decision"))
    assert outbox.rows("SELECT 1 FROM decision") == []


def test_a_month_comes_back_with_what_was_told_meanwhile(archived: tuple[int, dict[str, Any]], outbox: Outbox) -> None:
    attempt, before = archived
    token = outbox.token(attempt)
    told = StatusEvent(event_id=9, token=token, provider_id=None, state="read", error_code=None, at=AT)
    with connection() as tx:
        attempts.apply_provider_events(tx, [told], at=AT)
    assert [row.part for row in outbox.rows("SELECT tableoid::regclass::text AS part FROM attempt_transition")] == [
        "attempt_transition_others"
    ]
    with connection() as tx:
        partitions.make_months(tx, "attempt_transition", TODAY)
        assert partitions.count_others(tx, "attempt_transition", at_most=9) == 1, "its month is made once"

    assert "archive" in command("list").stdout
    listed = [json.loads(line) for line in command("list", "--json").stdout.splitlines()]
    in_march = {"place": "archive", "from": "2026-03-01", "until": "2026-04-01"}
    assert [one for one in listed if one["place"] == "archive"] == [
        {"month": f"{table}_{MONTH}", "table": table, **in_march, "rows": len(outbox.rows(f"SELECT 1 FROM archive.{table}"))}  # noqa: S608  # as above
        for table in partitions.HISTORY
    ]
    (others,) = [one for one in listed if one["month"] == "attempt_transition_others"]
    assert (others["place"], others["from"], others["until"], others["rows"]) == ("at hand", None, None, 1)
    assert command("attach", "decision_1999_01").exit_code == 2
    for table in partitions.HISTORY:
        month = f"{table}_{MONTH}"
        assert "would be at hand" in command("attach", month, "--dry-run").stdout
        assert command("attach", month).stdout.endswith("is at hand\n")
        assert command("attach", month).exit_code == 2, "it lies there no more"
    moves = [row["to_state"] for row in gather(attempt, with_text=False).told["transitions"]]
    assert moves == [*(row["to_state"] for row in before["evidence"]["transitions"]), "read"]
    assert {row.part for row in outbox.rows("SELECT tableoid::regclass::text AS part FROM attempt_transition")} == {
        f"attempt_transition_{MONTH}"
    }
    with connection() as tx:
        tx.execute(text("SELECT nextval(pg_get_serial_sequence('decision', 'id'))"))
        assert partitions.archived(tx, "decision") == []


@pytest.mark.usefixtures("prefect_server")
def test_the_flow_moves_what_is_older_than_the_months_at_hand(portfolio: Portfolio, outbox: Outbox) -> None:
    who = portfolio.borrower()
    with connection() as tx:
        first = partitions.at_hand_from(tx, months=retention_policy().history_months)
    for day in (first - timedelta(days=40), first - timedelta(days=1), first):
        portfolio.contact(who.party_id, AT.replace(year=day.year, month=day.month, day=day.day))
    assert retention(TODAY)["archived"] == 0, "by an earlier date none is old"
    not_yet = first + timedelta(days=366 * 10)
    assert retention(not_yet, dry_run=True)["archived"] == 2, "a date that has not come is today"
    assert len(outbox.rows("SELECT 1 FROM contact_event")) == 3
    assert retention(not_yet)["archived"] == 2
    assert retention(not_yet)["archived"] == 0
    assert [row.business_date for row in outbox.rows("SELECT business_date FROM contact_event")] == [first]
    assert len(outbox.rows("SELECT 1 FROM whole.contact_event")) == 3
    old = f"contact_event_{first - timedelta(days=1):%Y_%m}"
    refused = command("attach", old)
    assert refused.exit_code == 2
    assert "would go back in the next night" in refused.stderr


def test_the_morning_page_says_which_tables_fill_up_beside_their_months(portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(morning_items, "STRAYS_MAX", 1)
    who = portfolio.borrower()

    def said() -> list[str]:
        with connection(read_only=True) as tx:
            return [item.what for item in morning_items.find(tx, day=TODAY, at=AT) if "no month of their own" in item.what]

    portfolio.contact(who.party_id, AT)
    assert said() == []
    portfolio.contact(who.party_id, AT)
    assert said() == ["more than 1 rows lie in no month of their own: contact_event"]
    make_months()
    assert said() == []


_READS = text("""
    SELECT i.inhparent::regclass::text AS of, t.relname AS part, coalesce(t.seq_scan, 0) + coalesce(t.idx_scan, 0) AS reads
    FROM pg_stat_xact_user_tables t JOIN pg_inherits i ON i.inhrelid = t.relid
""")
_COLUMNS = text("""
    SELECT attname, atttypid::regtype::text, attnum FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped
    ORDER BY attnum
""")
