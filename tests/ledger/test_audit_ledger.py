"""The auditor of the ledger: a day that went through planner and gate is clean, and whatever is planted in it is found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from prefect.logging import disable_run_logger
from sqlalchemy import Connection, text

from channels import FateUnknown, Message, Permit, Receipt
from config.audit_limits import audit_limits
from config.policies import policies
from config.settings import settings
from gate.lane import run_lane
from ledger import attempts, vault
from ledger.attempts import StatusEvent
from ledger.audit import Audited, Received, audit, sample, seal
from ledger.audit_check import INVARIANTS
from ledger.audit_ledger import BEYOND_SQL, CHECKS
from ledger.campaigns import open_run
from ledger.engine import engine
from ledger.evidence_heads import keep_head
from tasks.choose import choose
from tasks.pick import pick
from tests.plugins.portfolio import TODAY, Portfolio, made_up_number, noon
from tests.plugins.sending import RecordingChannel

AT = noon("US")
PEOPLE = 6


@pytest.fixture
def day(portfolio: Portfolio, ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Received]:
    """A day of the early stage: delivered, accepted, unknown, withheld, left in peace. What the provider lists of it."""
    del ledger_url
    monkeypatch.setenv("TIDEOVER_EVIDENCE_DIR", str(tmp_path / "heads"))
    settings.cache_clear()
    portfolio.clock(AT)
    people = [portfolio.borrower(push=False, number=made_up_number("US", serial)) for serial in range(PEOPLE)]
    portfolio.hold(people[-1].party_id, "bereavement")
    with engine().begin() as tx:
        run = open_run(tx, stage="early", business_date=TODAY, preview=False, borrowers_max=None, policies=policies("early"), at=AT)
    with disable_run_logger():
        for shard in pick.fn(run):
            choose.fn(shard, run)
    portfolio.opt_out(people[-2].party_id)
    listed: list[Received] = []
    numbers = count(1)

    def answer(message: Message, permit: Permit) -> Receipt | BaseException:
        del permit
        provider_id = f"R{next(numbers)}"
        listed.append(Received(channel="sms", blind_index=vault.blind_index(message.to), provider_id=provider_id, at=AT))
        if provider_id == "R2":
            return FateUnknown(code="TimeoutError")
        return Receipt(provider="recorder", provider_id=provider_id, status="queued", segments=2)

    run_lane(run, shard=None, channels={"sms": lambda: RecordingChannel(answer=answer)})
    with engine().begin() as tx:
        told = [
            StatusEvent(event_id=number, token=None, provider_id=one, state=state, error_code=None, at=datetime.now(UTC))
            for number, (one, state) in enumerate((("R1", "sent"), ("R1", "delivered"), ("R3", "delivered")))
        ]
        attempts.apply_provider_events(tx, told, at=AT)
        for head in seal(tx, TODAY, TODAY):
            keep_head(head)
    assert len(listed) == PEOPLE - 2
    return listed


def audited(tx: Connection, listed: list[Received] | None = None, *, live: bool = False, last: date = TODAY) -> Audited:
    said: dict[str, Sequence[Received]] = {} if listed is None else {"sms": listed}
    return audit(tx, period=(TODAY, last), listed=said, complete=set(said), limits=audit_limits(TODAY), live=live)


def test_a_day_through_planner_and_gate_holds_every_invariant(day: list[Received]) -> None:
    with engine().begin() as tx:
        found = audited(tx, day)
    assert [str(violation) for violation in found.violations] == []
    assert found.invariants == dict.fromkeys(INVARIANTS, "held")
    assert (found.attempts, found.unknown, found.parked, found.warnings) == (PEOPLE - 1, 1, 0, ())
    told = found.as_json()
    assert {"violations", "unknown", "parked", "invariants"} <= told.keys()
    assert "HOUSE-CONSENT" in told["not_proved"]


# Check → SQL that makes it find something. Constraints are dropped where the database itself would refuse.
DELIVERED = "(SELECT min(id) FROM attempt WHERE state = 'delivered')"
PLANTS: dict[str, list[str]] = {
    "left_without_an_intention": [f"DELETE FROM attempt_transition WHERE to_state = 'submitting' AND attempt_id = {DELIVERED}"],
    "answered_before_the_intention": [
        f"UPDATE attempt_transition SET recorded_at = recorded_at - interval '1 hour' WHERE to_state = 'accepted' AND attempt_id = {DELIVERED}"
    ],
    "idempotency_key_twice": [
        "ALTER TABLE attempt DROP CONSTRAINT attempt_idempotency_key",
        "DROP INDEX attempt_one_live",
        f"INSERT INTO attempt SELECT (jsonb_populate_record(a, '{{\"id\": 900}}')).* FROM attempt a WHERE id = {DELIVERED}",
    ],
    "provider_id_twice": ["UPDATE attempt SET provider = 'recorder', provider_id = 'R1' WHERE provider_id = 'R3'"],
    "sent_again_though_its_fate_was_unknown": [
        """INSERT INTO attempt_transition (business_date, attempt_id, from_state, to_state, cause, at)
           SELECT business_date, id, 'unknown', 'planned', 'again', now() FROM attempt WHERE state = 'unknown'"""
    ],
    "another_try_though_the_fate_was_unknown": [
        "DROP INDEX attempt_one_live",
        """INSERT INTO attempt SELECT (jsonb_populate_record(a, '{"id": 901, "try_number": 2, "state": "accepted"}')).* FROM attempt a
           WHERE state = 'unknown'""",
        """INSERT INTO attempt_transition (business_date, attempt_id, from_state, to_state, cause, at)
           SELECT business_date, id, 'planned', 'submitting', 'again', now() FROM attempt WHERE id = 901""",
    ],
    "two_live_at_once": [
        "DROP INDEX attempt_one_live",
        f"""INSERT INTO attempt SELECT (jsonb_populate_record(a, '{{"id": 902, "try_number": 2, "state": "planned"}}')).* FROM attempt a
            WHERE id = {DELIVERED}""",
    ],
    "left_without_a_mark": [f"UPDATE attempt SET called_at = NULL WHERE id = {DELIVERED}"],
    "marked_outside_its_permit": [f"UPDATE attempt SET called_at = call_deadline + interval '1 second' WHERE id = {DELIVERED}"],
    "moves_do_not_follow": [f"DELETE FROM attempt_transition WHERE to_state = 'accepted' AND attempt_id = {DELIVERED}"],
    "state_is_not_the_last_move": [f"UPDATE attempt SET state = 'read' WHERE id = {DELIVERED}"],
    "submitting_and_forgotten": [
        "UPDATE attempt SET state = 'submitting', call_deadline = now() - interval '2 days' WHERE state = 'accepted' OR state = 'unknown'"
    ],
    "permit_is_not_whole": [f"UPDATE attempt SET permit = permit - 'zones' WHERE id = {DELIVERED}"],
    "permit_of_another_instant": [f"UPDATE attempt SET call_deadline = call_deadline + interval '1 minute' WHERE id = {DELIVERED}"],
    "permit_of_a_version_that_nobody_kept": [
        f"""UPDATE attempt SET permit = jsonb_set(permit, '{{packs,US}}', '"{"0" * 64}"') WHERE id = {DELIVERED}"""
    ],
    "left_and_not_counted": [f"UPDATE contact_event SET counts = false WHERE attempt_id = {DELIVERED}"],
    "personal_in_the_clear": [
        "UPDATE attempt_transition SET cause = 'told +12125550100' WHERE id = (SELECT min(id) FROM attempt_transition)"
    ],
    "personal_not_under_lock": [
        "UPDATE contact_point_version SET value_encrypted = 'x' WHERE id = (SELECT min(id) FROM contact_point_version)"
    ],
    "money_is_not_whole": ["ALTER TABLE payment ALTER COLUMN amount_minor TYPE numeric"],
    "an_instant_without_a_zone": ["ALTER TABLE outcome ADD COLUMN seen_at timestamp"],
    "an_amount_without_its_currency": [
        "INSERT INTO promise (effective_at, source, party_id, due_on, amount_minor, state) SELECT now(), 'test', id, now(), 5, 'open' FROM party LIMIT 1"
    ],
    "a_contact_of_another_date": [
        "UPDATE contact_event SET business_date = business_date + 1 WHERE id = (SELECT min(id) FROM contact_event WHERE source = 'gate')"
    ],
    "a_policy_that_nobody_kept": ["UPDATE policy_version SET body = body || ' ' WHERE name = 'us'"],
    "another_offer_in_the_same_circumstances": [
        f"""INSERT INTO plan_offer (party_id, loan_id, at, road, figures_from, rule_hash, circumstances_digest, offer_digest, record_encrypted, key_id)
            SELECT p.id, l.id, '{AT.isoformat()}', 'plan', 'wallet', 'h', 'same', x::bytea, 'r', 'k'
            FROM (SELECT id FROM party LIMIT 1) p, (SELECT id FROM loan LIMIT 1) l, unnest(ARRAY['one', 'other']) x"""
    ],
    "a_decision_that_knew_the_future": ["UPDATE decision SET facts_known_at = now() + interval '1 hour'"],
    "a_run_without_its_seed": ["UPDATE campaign_run SET seed = ''"],
    "a_simulated_clock_in_live_mode": [],
    "a_permit_of_another_clock_in_live_mode": [],
    "a_decision_without_its_probability": [
        "ALTER TABLE decision DROP CONSTRAINT decision_probability",
        "UPDATE decision SET probability = 0",
    ],
    "odds_that_do_not_fit": ["""UPDATE decision SET propensities = '{"no_contact": 0.5, "sms:1:-": 0.4}'"""],
    "left_in_peace_without_a_reason": [
        "INSERT INTO reason_set (id, reasons) OVERRIDING SYSTEM VALUE VALUES (900, '{}') ON CONFLICT DO NOTHING",
        "UPDATE decision SET reason_set_id = (SELECT id FROM reason_set WHERE reasons = '{}') WHERE action = 'no_contact'",
    ],
    "withheld_without_a_reason": ["UPDATE attempt SET permit = NULL WHERE state = 'withheld'"],
    "sent_without_the_yes_that_it_needed": ["UPDATE campaign_run SET approval_above = 0"],
    "sent_under_an_unapproved_pack": [],
    "evidence_does_not_match": ["UPDATE decision SET score = score + 1"],
    "a_decision_that_does_not_replay": [],
}
IN_LIVE_MODE = {"a_simulated_clock_in_live_mode", "a_permit_of_another_clock_in_live_mode", "sent_under_an_unapproved_pack"}
# Of the task, which makes decisions again: tests/tasks/test_audit.py.
ELSEWHERE = {"a_decision_that_does_not_replay"}


def test_every_check_has_its_plant_and_every_invariant_its_check() -> None:
    assert {check.name for check in CHECKS} <= PLANTS.keys()
    from ledger import audit_messages  # noqa: PLC0415  # the other half of the checks

    assert {check.invariant for check in (*CHECKS, *audit_messages.CHECKS)} == set(INVARIANTS)
    assert set(BEYOND_SQL) <= set(INVARIANTS)


def test_whatever_is_planted_is_found_by_its_check(day: list[Received]) -> None:
    """All plants in one ledger, each in a transaction that is taken back."""
    missed = {}
    for check, statements in PLANTS.items():
        if check in ELSEWHERE:
            continue
        with engine().connect() as tx, tx.begin() as transaction:
            tx.execute(text("SET LOCAL session_replication_role = replica"))
            for statement in statements:
                tx.exec_driver_sql(statement)
            found = audited(tx, live=check in IN_LIVE_MODE)
            names = {violation.check: violation.invariant for violation in found.violations}
            if check not in names or found.invariants[names[check]] != "broken":
                missed[check] = sorted(names)
            transaction.rollback()
    assert missed == {}
    with engine().begin() as tx:
        assert audited(tx, day).violations == ()


def test_what_we_call_sent_and_the_provider_does_not_list_is_found(day: list[Received]) -> None:
    with engine().begin() as tx:
        found = audited(tx, [one for one in day if one.provider_id != "R1"])
    assert [(violation.check, violation.provider_id) for violation in found.violations] == [("called_sent_but_not_listed", "R1")]


def test_a_list_that_could_not_be_read_accuses_nobody(day: list[Received]) -> None:
    del day
    with engine().begin() as tx:
        assert audited(tx).violations == ()


def test_a_message_on_the_list_that_nobody_intended_is_found(day: list[Received]) -> None:
    stray = Received(channel="sms", blind_index=day[0].blind_index, provider_id="R99", at=AT)
    with engine().begin() as tx:
        assert {violation.check for violation in audited(tx, [*day, stray]).violations} >= {"without_attempt"}


def test_messages_that_the_ledger_alone_knows_are_audited_too(day: list[Received]) -> None:
    """Without any list: what was let go at night is found from the ledger's own rows."""
    del day
    with engine().connect() as tx, tx.begin() as transaction:
        tx.execute(text("UPDATE attempt SET submitted_at = submitted_at + interval '12 hours' WHERE state = 'delivered'"))
        found = audited(tx)
        transaction.rollback()
    assert {violation.check for violation in found.violations} >= {"outside_hours"}


def test_a_period_without_attempts_holds(day: list[Received]) -> None:
    del day
    with engine().begin() as tx:
        later = date(2026, 4, 1)
        found = audit(tx, period=(later, later), listed={}, complete=(), limits=audit_limits(later), live=False)
    assert (found.attempts, found.violations) == (0, ())


def test_a_head_that_was_not_kept_outside_is_told(day: list[Received], tmp_path: Path) -> None:
    del day
    for file in (tmp_path / "heads").iterdir():
        file.unlink()
    with engine().begin() as tx:
        found = audited(tx)
    assert found.violations == ()
    assert [warning.split(":")[0] for warning in found.warnings] == ["a_head_is_not_kept_outside"]


def test_a_run_that_was_taken_out_of_the_ledger_contradicts_its_head(day: list[Received]) -> None:
    del day
    tables: list[Any] = ["contact_event", "attempt_transition", "attempt", "decision", "evidence_batch", "campaign_shard", "campaign_run"]
    with engine().connect() as tx, tx.begin() as transaction:
        tx.execute(text("SET LOCAL session_replication_role = replica"))
        for table in tables:
            tx.execute(text(f"DELETE FROM {table}"))  # names above
        found = audited(tx)
        transaction.rollback()
    assert {violation.check for violation in found.violations} == {"evidence_does_not_match"}
    assert "no such run" in str(found.violations[0].detail)


def test_the_sample_is_the_same_each_time_and_no_larger_than_asked(day: list[Received]) -> None:
    del day
    with engine().begin() as tx:
        first, second = (sample(tx, TODAY, TODAY, at_most=3) for _ in range(2))
    assert first == second
    assert len(first) == 3
