"""Campaign runs: found again on the second call, cut into shards once, never narrowed or re-decided."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from ledger.aging_facts import age_portfolio
from ledger.campaigns import (
    SHARD_BORROWERS_MAX,
    SHARDS_MAX,
    RunRefused,
    close_run,
    cut_shards,
    finish_shard,
    note_flow_run,
    open_run,
    read_flow_runs,
    read_run,
    read_shard,
    read_shards,
    shard_borrowers,
    shard_size,
    unfinished,
)
from ledger.engine import arrow, connection
from tests.plugins.portfolio import TODAY, Portfolio, noon

NOON = noon("US")


@dataclass(frozen=True)
class Text:
    """A policy of a test."""

    kind: str
    name: str
    body: str

    @property
    def hash(self) -> str:
        """Stands for the hash of the body."""
        return f"hash of {self.body}"


HOURS = Text("rules", "us", "8 to 21")


def opened(*, stage: str = "early", on: date = TODAY, limit: int | None = None, preview: bool = False, **how: Any) -> int:
    asked = {"preview": preview, "borrowers_max": limit, "policies": [HOURS], "at": NOON, **how}
    with connection() as tx:
        return open_run(tx, stage=stage, business_date=on, **asked)


def cut(run: int) -> list[int]:
    age_portfolio(TODAY)
    with connection() as tx:
        return cut_shards(tx, run)


def finished(run: int, *shards: int) -> None:
    with connection() as tx:
        for shard in shards:
            finish_shard(tx, run, shard, planned=1, withheld=0, at=NOON)


def borrowers(run: int) -> list[list[int]]:
    with connection() as tx:
        return [shard_borrowers(tx, read_run(tx, run), shard) for shard in read_shards(tx, run)]


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of two borrowers: the same cut, at a size that a test can read."""
    monkeypatch.setattr("ledger.campaigns.SHARD_BORROWERS_MIN", 2)
    monkeypatch.setattr("ledger.campaigns.SHARD_BORROWERS_MAX", 2)


def test_a_second_run_for_the_same_date_finds_the_first(ledger_url: str) -> None:
    del ledger_url
    first = opened()
    assert opened() == first
    assert opened(on=TODAY + timedelta(days=1)) != first
    assert opened(stage="mid") != first
    assert opened(scope="TW") != first


def test_a_run_knows_every_run_of_a_flow_that_treated_it_once_and_in_order(ledger_url: str) -> None:
    del ledger_url
    run, first, second = opened(), uuid4(), uuid4()
    for flow_run in (first, second, first):
        with connection() as tx:
            note_flow_run(tx, run, flow_run)
    with connection() as tx:
        assert read_flow_runs(tx, run) == [first, second]


def test_a_run_keeps_the_text_of_what_was_in_force(ledger_url: str) -> None:
    del ledger_url
    run = opened()
    with connection() as tx:
        assert read_run(tx, run).policy_hashes == {"rules/us": "hash of 8 to 21"}
        assert tx.execute(text("SELECT kind, name, hash, body FROM policy_version")).all() == [
            ("rules", "us", "hash of 8 to 21", "8 to 21")
        ]


def test_a_runs_seed_is_the_same_each_time_and_is_not_the_secret(ledger_url: str) -> None:
    del ledger_url
    with connection() as tx:
        early, other = read_run(tx, opened()).seed, read_run(tx, opened(stage="mid")).seed
    assert early != other
    assert "madeup" not in early
    with connection() as tx:
        tx.execute(text("DELETE FROM campaign_run"))
    with connection() as tx:
        assert read_run(tx, opened()).seed == early


@pytest.mark.parametrize(("first", "second", "stays"), [(True, False, False), (False, True, False), (True, True, True)])
def test_what_sends_once_is_no_preview_any_more(ledger_url: str, first: bool, second: bool, stays: bool) -> None:
    del ledger_url
    opened(preview=first)
    with connection() as tx:
        assert read_run(tx, opened(preview=second)).preview is stays


def test_a_closed_run_opens_again_and_a_rejected_one_does_not(ledger_url: str) -> None:
    del ledger_url
    run = opened()
    with connection() as tx:
        close_run(tx, run, at=NOON)
    with connection() as tx:
        assert read_run(tx, run).state == "closed"
    opened()
    with connection() as tx:
        assert read_run(tx, run).state == "open"
        tx.execute(text("UPDATE campaign_run SET state = 'rejected'"))
    with pytest.raises(RunRefused, match="rejected by a person"):
        opened()


def test_a_paused_run_stays_paused(ledger_url: str) -> None:
    del ledger_url
    run = opened()
    with connection() as tx:
        tx.execute(text("UPDATE campaign_run SET state = 'paused'"))
    opened()
    with connection() as tx:
        close_run(tx, run, at=NOON)
        assert read_run(tx, run).state == "paused"


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"stage": "gentle"}, "unknown stage"),
        ({"scope": "tw"}, "unknown scope"),
        ({"scope": "TW' OR"}, "unknown scope"),
        ({"limit": 0}, "at least one"),
    ],
)
def test_what_cannot_be_run_is_refused(ledger_url: str, asked: dict[str, Any], reason: str) -> None:
    del ledger_url
    with pytest.raises(ValueError, match=reason):
        opened(**asked)


def test_a_run_that_does_not_exist_is_an_error(ledger_url: str) -> None:
    del ledger_url
    with connection() as tx, pytest.raises(LookupError, match="no campaign run 7"):
        read_run(tx, 7)


def test_policies_may_change_until_the_first_decision(portfolio: Portfolio) -> None:
    portfolio.borrower()
    run = opened()
    other = [Text("rules", "us", "9 to 18")]
    opened(policies=other)
    cut(run)
    finished(run, 0)
    with pytest.raises(RunRefused, match="decided with other policies: rules/us"):
        opened(policies=[HOURS])
    assert opened(policies=other) == run


def test_borrowers_are_cut_into_parts_that_follow_each_other(portfolio: Portfolio, small_shards: None) -> None:
    del small_shards
    people = [portfolio.borrower(days_past_due=days).party_id for days in (1, 30, 5, 5, 5)]
    run = opened()
    assert cut(run) == [0, 1, 2]
    assert borrowers(run) == [people[:2], people[2:4], people[4:]]
    with connection() as tx:
        assert [shard.borrowers for shard in read_shards(tx, run)] == [2, 2, 1]
        assert read_shard(tx, run, 2).first_party_id == people[4]
        with pytest.raises(LookupError, match="no shard 3"):
            read_shard(tx, run, 3)


def test_both_kinds_of_connection_see_the_same_borrowers(portfolio: Portfolio) -> None:
    people = [portfolio.borrower().party_id for _ in range(3)]
    run = opened()
    cut(run)
    with connection() as tx, arrow() as wide:
        assert shard_borrowers(wide, read_run(tx, run), read_shard(tx, run, 0)) == people


@pytest.mark.parametrize(("days", "stage"), [(-3, "pre_due"), (1, "early"), (30, "early"), (31, "mid"), (61, "late"), (91, "recovery")])
def test_a_stage_has_the_borrowers_who_are_so_many_days_late(portfolio: Portfolio, days: int, stage: str) -> None:
    who = portfolio.borrower(days_past_due=days)
    portfolio.borrower(days_past_due=-20)
    age_portfolio(TODAY)
    for name in ("pre_due", "early", "mid", "late", "recovery"):
        run = opened(stage=name)
        cut(run)
        assert borrowers(run) == ([[who.party_id]] if name == stage else [])


def test_a_borrower_is_in_the_stage_of_the_worst_loan(portfolio: Portfolio) -> None:
    who = portfolio.borrower(days_past_due=5)
    portfolio.loan(who.party_id, days_past_due=40)
    early, mid = opened(), opened(stage="mid")
    assert (cut(early), cut(mid)) == ([], [0])
    assert borrowers(mid) == [[who.party_id]]


@pytest.mark.parametrize(("role", "treated"), [("co_borrower", True), ("guarantor", False), ("attorney", False), ("debt_adviser", False)])
def test_only_who_borrowed_is_treated(portfolio: Portfolio, role: str, treated: bool) -> None:
    who, other = portfolio.borrower(), portfolio.borrower(days_past_due=-20)
    portfolio.liable(who.loan_id, other.party_id, role=role)
    run = opened()
    cut(run)
    assert borrowers(run) == [[who.party_id, other.party_id] if treated else [who.party_id]]


def test_a_loan_in_a_plan_puts_nobody_into_a_stage(portfolio: Portfolio) -> None:
    who = portfolio.borrower()
    portfolio.plan(who.loan_id, instalments=[{"due_on": TODAY.isoformat(), "amount_minor": 1}])
    assert cut(opened()) == []


def test_a_run_of_one_country_leaves_the_others(portfolio: Portfolio) -> None:
    here, there = portfolio.borrower(country="TW"), portfolio.borrower(country="MX")
    taiwan, everywhere = opened(scope="TW"), opened()
    cut(taiwan)
    cut(everywhere)
    assert borrowers(taiwan) == [[here.party_id]]
    assert borrowers(everywhere) == [[here.party_id, there.party_id]]


def test_a_limit_takes_the_first_borrowers_and_a_later_run_goes_on_behind_them(portfolio: Portfolio, small_shards: None) -> None:
    del small_shards
    people = [portfolio.borrower().party_id for _ in range(6)]
    run = opened(limit=3)
    assert cut(run) == [0, 1]
    assert borrowers(run) == [people[:2], people[2:3]]
    finished(run, 0)
    assert opened(limit=None) == run
    with connection() as tx:
        assert cut_shards(tx, run) == [0, 1, 2, 3]
    assert borrowers(run) == [people[:2], people[2:3], people[3:5], people[5:]]


def test_a_run_that_decided_further_is_not_narrowed(portfolio: Portfolio) -> None:
    portfolio.borrower()
    run = opened()
    cut(run)
    assert opened(limit=5) == run
    opened()
    finished(run, 0)
    with pytest.raises(RunRefused, match="decided for all borrowers already; it cannot be narrowed to 5"):
        opened(limit=5)


def test_parts_are_cut_anew_until_the_first_is_decided(portfolio: Portfolio, small_shards: None) -> None:
    del small_shards
    people = [portfolio.borrower() for _ in range(3)]
    run = opened()
    assert cut(run) == [0, 1]
    portfolio.payment(people[0].loan_id, 10_500)
    assert cut(run) == [0]
    assert borrowers(run) == [[people[1].party_id, people[2].party_id]]
    finished(run, 0)
    portfolio.payment(people[1].loan_id, 10_500)
    before = _shards(run)
    cut(run)
    assert _shards(run) == before


def test_a_shard_is_decided_once(portfolio: Portfolio) -> None:
    portfolio.borrower()
    run = opened()
    cut(run)
    finished(run, 0)
    with pytest.raises(LookupError, match="no undecided shard 0"):
        finished(run, 0)


def test_what_is_left_of_a_run_is_what_can_be_done_now(portfolio: Portfolio) -> None:
    who = portfolio.borrower()
    portfolio.clock(NOON)
    run = opened()
    cut(run)
    assert _left(run) == {"shards undecided": 1}
    finished(run, 0)
    assert _left(run) == {}
    attempt = _attempt(run, who.party_id, who.sms_id)
    assert _left(run) == {"attempts due": 1}
    for change, left in (
        ("send_after = send_after + interval '1 hour'", {}),
        ("send_after = send_after - interval '1 hour'", {"attempts due": 1}),
        ("expires_at = send_after", {}),
        ("state = 'submitting', claim_id = gen_random_uuid(), call_deadline = now()", {"attempts submitting": 1}),
        ("state = 'delivered'", {}),
    ):
        with connection() as tx:
            tx.execute(text(f"UPDATE attempt SET {change} WHERE id = :id"), {"id": attempt})  # noqa: S608  # our own words
        assert _left(run) == left, change


def test_a_preview_has_nothing_to_send(portfolio: Portfolio) -> None:
    who = portfolio.borrower()
    portfolio.clock(NOON)
    run = opened(preview=True)
    cut(run)
    finished(run, 0)
    _attempt(run, who.party_id, who.sms_id)
    assert _left(run) == {}


@given(st.integers(0, 30_000_000), st.integers(1, SHARDS_MAX))
def test_shards_are_few_and_large_enough(count: int, shards_max: int) -> None:
    size = shard_size(count, shards_max=shards_max)
    assert size * shards_max >= count
    assert size >= min(count, 5_000)
    assert size <= SHARD_BORROWERS_MAX or size == -(-count // shards_max)


def _shards(run: int) -> list[Any]:
    with connection() as tx:
        return list(read_shards(tx, run))


def _left(run: int) -> dict[str, int]:
    with connection() as tx:
        return unfinished(tx, run)


def _attempt(run: int, party_id: int, contact_point_id: int | None) -> int:
    with connection() as tx:
        reasons = tx.execute(text("INSERT INTO reason_set (reasons) VALUES ('{}') RETURNING id")).scalar_one()
        key = {"on": TODAY, "run": run, "party": party_id, "point": contact_point_id, "reasons": reasons, "at": NOON, "token": uuid4()}
        decision = tx.execute(
            text(
                "INSERT INTO decision (business_date, campaign_run_id, shard, party_id, stage, step, action, channel, contact_point_id,"
                " message, score, probability, reason_set_id, decided_at, facts_known_at)"
                " VALUES (:on, :run, 0, :party, 'early', 1, 'contact', 'sms', :point, 'm', 0, 1, :reasons, :at, :at) RETURNING id"
            ),
            key,
        ).scalar_one()
        return int(
            tx.execute(
                text(
                    "INSERT INTO attempt (business_date, decision_id, campaign_run_id, party_id, contact_point_id, stage, step, try_number,"
                    " channel, purpose, message, locale, state, token, send_after, expires_at)"
                    " VALUES (:on, :decision, :run, :party, :point, 'early', 1, 1, 'sms', 'collection', 'm', 'en', 'planned', :token, :at,"
                    " cast(:at as timestamptz) + interval '8 hours') RETURNING id"
                ),
                {**key, "decision": decision},
            ).scalar_one()
        )
