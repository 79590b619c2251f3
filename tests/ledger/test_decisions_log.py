"""The log of decisions: written once, whole or not at all, and read back as it was decided."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from psycopg.errors import CheckViolation
from sqlalchemy import text

from decisions.choose import DECISIONS
from ledger.aging_facts import age_portfolio
from ledger.campaigns import cut_shards, open_run, read_shard
from ledger.decisions_log import UnknownBorrowerError, decided, find_party, read_attempts, read_decision, write_decisions
from ledger.engine import connection
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon

AT = noon("US")
EMPTY: dict[str, Any] = dict.fromkeys(DECISIONS)


def opened(scope: str = "all") -> int:
    """A run for the date with one shard."""
    age_portfolio(TODAY)
    with connection() as tx:
        run = open_run(tx, stage="early", business_date=TODAY, scope=scope, preview=False, borrowers_max=None, policies=[], at=AT)
        assert cut_shards(tx, run) == [0]
    return run


def contact(who: BorrowerIds, **columns: Any) -> dict[str, Any]:
    return {
        **EMPTY,
        "party_id": who.party_id,
        "action": "contact",
        "channel": "sms",
        "contact_point_id": who.sms_id,
        "purpose": "collection",
        "message": "early_reminder",
        "offer": "pay_link",
        "locale": "en",
        "step": 2,
        "score": 2_100,
        "probability": 0.853176726,
        "propensities": '{"sms:1:pay_link": 0.853176726, "no_contact": 0.146823274}',
        "reasons": [],
        "send_after": AT,
        "expires_at": AT + timedelta(hours=5, microseconds=1),
        **columns,
    }


def silence(who: BorrowerIds, *reasons: str) -> dict[str, Any]:
    return {**EMPTY, "party_id": who.party_id, "action": "no_contact", "step": 0, "score": 0, "probability": 1.0, "reasons": list(reasons)}


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=DECISIONS, orient="row")


def write(run: int, *rows: dict[str, Any], shard: int = 0) -> int:
    with connection() as tx:
        return write_decisions(tx, run, shard, frame(*rows), at=AT, facts_known_at=AT)


def with_parsed(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its JSON as a value: the database keeps the value, not the spelling."""
    return row | {"propensities": json.loads(row["propensities"] or "null")}


def count(table: str) -> int:
    with connection() as tx:
        return int(tx.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())  # noqa: S608  # a word of this file


def test_a_decision_is_read_back_as_it_was_made(portfolio: Portfolio) -> None:
    one, two = portfolio.borrower(), portfolio.borrower()
    run = opened()
    rows = [contact(one), silence(two, "HOUSE-A", "strategy_wait")]
    assert write(run, *rows) == 1
    with connection() as tx:
        stored = [read_decision(tx, who.party_id, stage="early", business_date=TODAY) for who in (one, two)]
        shard = read_shard(tx, run, 0)
    assert [with_parsed(found.row) if found else None for found in stored] == [with_parsed(row) for row in rows]
    assert [(found.campaign_run_id, found.decided_at, found.facts_known_at) for found in stored if found] == [(run, AT, AT)] * 2
    assert (shard.planned, shard.withheld, shard.decided_at) == (1, 1, AT)


def test_a_planned_attempt_follows_from_its_decision(portfolio: Portfolio) -> None:
    one = portfolio.borrower()
    write(opened(), contact(one))
    with connection() as tx:
        attempt = (
            tx.execute(text("SELECT a.*, d.party_id AS decided_for FROM attempt a JOIN decision d ON d.id = a.decision_id"))
            .mappings()
            .one()
        )
        told = read_attempts(tx, one.party_id, business_date=TODAY)
    assert (attempt["decided_for"], attempt["try_number"], attempt["state"]) == (one.party_id, 1, "planned")
    assert (attempt["send_after"], attempt["expires_at"]) == (AT, AT + timedelta(hours=5, microseconds=1))
    assert [(one_told["id"], one_told["state"], one_told["moves"]) for one_told in told] == [(attempt["id"], "planned", [])]


def test_no_two_attempts_share_a_token(portfolio: Portfolio) -> None:
    people = [portfolio.borrower() for _ in range(5)]
    write(opened(), *(contact(one) for one in people))
    with connection() as tx:
        assert len(set(tx.execute(text("SELECT token FROM attempt")).scalars())) == 5


def test_a_decided_shard_is_read_back_and_written_no_second_time(portfolio: Portfolio) -> None:
    one = portfolio.borrower()
    run = opened()
    assert [write(run, contact(one)), write(run, contact(one)), write(run, silence(one, "HOUSE-A"))] == [1, 1, 1]
    assert (count("decision"), count("attempt")) == (1, 1)
    with connection() as tx:
        assert decided(tx, run, 0) == 1


def test_what_fails_in_the_middle_leaves_nothing_behind(portfolio: Portfolio) -> None:
    one, two = portfolio.borrower(), portfolio.borrower()
    run = opened()
    with pytest.raises(CheckViolation):
        write(run, silence(one, "HOUSE-A"), silence(two, "HOUSE-A") | {"probability": 0.0})
    assert [count(table) for table in ("decision", "attempt", "reason_set")] == [0, 0, 0]
    with connection() as tx:
        assert decided(tx, run, 0) is None


def test_a_set_of_reasons_is_kept_once(portfolio: Portfolio) -> None:
    people = [portfolio.borrower() for _ in range(4)]
    write(opened(), *(silence(one, "HOUSE-A", "HOUSE-B") for one in people[:3]), silence(people[3]))
    assert count("reason_set") == 2


def test_two_workers_on_one_shard_write_one_decision(portfolio: Portfolio) -> None:
    one = portfolio.borrower()
    run = opened()
    planned: list[int] = []
    workers = [threading.Thread(target=lambda: planned.append(write(run, contact(one)))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=30)
    assert planned == [1, 1, 1, 1]
    assert (count("decision"), count("attempt")) == (1, 1)


def test_a_borrower_whom_another_run_of_the_date_decided_for_keeps_that_decision(portfolio: Portfolio) -> None:
    one, two = portfolio.borrower(), portfolio.borrower()
    write(opened("US"), contact(one))
    assert write(opened("all"), contact(one, message="early_need_time"), contact(two)) == 1
    with connection() as tx:
        kept = read_decision(tx, one.party_id, stage="early", business_date=TODAY)
    assert kept
    assert kept.row["message"] == "early_reminder"


def test_a_shard_that_does_not_exist_is_an_error(portfolio: Portfolio) -> None:
    one = portfolio.borrower()
    run = opened()
    with pytest.raises(LookupError, match="no shard 7"):
        write(run, contact(one), shard=7)


def test_an_empty_shard_is_decided(portfolio: Portfolio) -> None:
    portfolio.borrower()
    run = opened()
    assert write(run) == 0
    with connection() as tx:
        assert decided(tx, run, 0) == 0


def test_a_borrower_is_found_by_the_lenders_id_and_by_ours(portfolio: Portfolio) -> None:
    one = portfolio.borrower()
    with connection() as tx:
        external_id = tx.execute(text("SELECT external_id FROM party WHERE id = :id"), {"id": one.party_id}).scalar_one()
        assert find_party(tx, external_id) == one.party_id
        assert find_party(tx, f"#{one.party_id}") == one.party_id


@pytest.mark.parametrize("named", ["nobody", "#0", "#", "#x", "#99999999999", "#99999999999999999999", "#-1", "#1; DROP TABLE party"])
def test_a_borrower_who_does_not_exist_is_an_error_that_repeats_nothing(portfolio: Portfolio, named: str) -> None:
    portfolio.borrower()
    with connection() as tx, pytest.raises(UnknownBorrowerError) as refused:
        find_party(tx, named)
    assert "nobody" not in str(refused.value).replace("no borrower", "")


def test_an_id_that_two_lenders_use_asks_which(portfolio: Portfolio) -> None:
    one, two = portfolio.borrower(country="US"), portfolio.borrower(country="MX")
    with connection() as tx:
        tx.execute(text("UPDATE party SET external_id = 'same'"))
        with pytest.raises(UnknownBorrowerError, match=f"#{one.party_id}, #{two.party_id}"):
            find_party(tx, "same")


def test_nothing_is_known_of_a_date_without_a_decision(portfolio: Portfolio) -> None:
    one = portfolio.borrower()
    with connection() as tx:
        assert read_decision(tx, one.party_id, stage="early", business_date=TODAY) is None
        assert read_attempts(tx, one.party_id, business_date=TODAY) == []
