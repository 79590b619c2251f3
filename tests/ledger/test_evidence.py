"""Evidence: whoever changes, adds or takes away a decision, a transition or a contact afterwards is found out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import uuid4

import polars as pl
import pytest
from sqlalchemy import text

from decisions.choose import DECISIONS
from ledger import attempts, evidence
from ledger.attempts import Move
from ledger.decisions_log import write_decisions
from ledger.engine import connection
from ledger.merkle import NO_LINK
from ledger.outbox import Contact, log_contacts, read_planned
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.sending import Outbox

AT = noon("US")


def decide(outbox: Outbox, run: int, shard: int, people: list[BorrowerIds]) -> None:
    """A shard's decisions: every second person is left in peace, and with several arms the odds are kept."""
    outbox.shard(run, shard, people[0].party_id, people[-1].party_id)
    rows = [
        {
            "party_id": person.party_id,
            "action": "contact" if number % 2 == 0 else "no_contact",
            "channel": "sms" if number % 2 == 0 else None,
            "contact_point_id": person.sms_id if number % 2 == 0 else None,
            "purpose": "collection",
            "message": "early_reminder" if number % 2 == 0 else None,
            "locale": "en",
            "step": 1,
            "score": -5 * number,
            "probability": 1 / 3 if number % 2 == 0 else 1e-9,
            "propensities": '{"sms:early_reminder": 0.333333333, "no_contact": 0.666666667}' if number % 4 == 0 else None,
            "reasons": ["HOUSE-HOURS", 'with "quotes", and a comma'][: 1 + number % 2],
            "send_after": AT,
            "expires_at": noon("US").replace(hour=23),
        }
        for number, person in enumerate(people)
    ]
    with connection() as tx:
        write_decisions(tx, run, shard, pl.DataFrame(rows, schema=DECISIONS), at=AT, facts_known_at=datetime.now(UTC))


@pytest.fixture
def run(portfolio: Portfolio, outbox: Outbox) -> int:
    """A run with a shard of decisions, attempts moved twice, and a batch of contacts; returns its id."""
    run = outbox.run()
    people = [portfolio.borrower() for _ in range(5)]
    decide(outbox, run, 1, people)
    with connection() as tx:
        planned = read_planned(tx, campaign_run_id=run, party_ids=[person.party_id for person in people], channels=["sms"], at=AT)
        claim = {"claim_id": uuid4(), "call_deadline": datetime.now(UTC), "submitted_at": AT}
        attempts.move(tx, [moved(one.id, "planned", "submitting", claim) for one in planned], at=AT)
        batch = evidence.open_batch(tx)
        contacts = [Contact(planned=one, loans=(1, 2), counterparty="borrower", jurisdiction="US", commitment="c") for one in planned]
        events = log_contacts(tx, contacts, at=AT, batch_id=batch)
        evidence.close_batch(tx, batch_id=batch, business_date=TODAY, campaign_run_id=run, claim_id=uuid4(), events=list(events.values()))
    with connection() as tx:
        told = {"provider": "recorder", "provider_id": "R1", "segments": 2}
        attempts.move(tx, [moved(one.id, "submitting", "accepted", told) for one in planned], at=AT)
    return run


def moved(attempt_id: int, before: str, after: str, changes: dict[str, object]) -> Move:
    return Move(business_date=TODAY, attempt_id=attempt_id, from_state=before, to_state=after, cause="test", changes=changes)


def seal(run: int) -> tuple[int, bytes] | None:
    with connection() as tx:
        return evidence.seal_run(tx, run)


def wrong(run: int) -> list[str]:
    with connection() as tx:
        return [found.what for found in evidence.mismatches(tx, run)]


def test_decisions_transitions_and_contacts_are_each_under_a_root(run: int, outbox: Outbox) -> None:
    kinds = [(row.kind, row.leaves) for row in outbox.rows("SELECT kind, leaves FROM evidence_batch ORDER BY id")]
    # Five decisions and the two sets of reasons that they name; three attempts.
    assert sorted(kinds) == [("contacts", 3), ("decisions", 7), ("transitions", 3), ("transitions", 3)]
    assert wrong(run) == []


def test_what_the_provider_said_is_kept_with_the_transition(run: int, outbox: Outbox) -> None:
    del run
    details = {row.to_state: row.details for row in outbox.rows("SELECT to_state, details FROM attempt_transition ORDER BY id")}
    assert details == {"submitting": None, "accepted": {"provider": "recorder", "provider_id": "R1", "segments": 2}}


def test_roots_of_a_run_are_linked_each_to_the_one_before(run: int, outbox: Outbox) -> None:
    sealed = seal(run)
    assert sealed is not None
    with connection() as tx:
        batches = evidence.chain(tx, run)
    assert [batch.number for batch in batches] == [1, 2, 3, 4]
    before = NO_LINK
    for number, batch in enumerate(batches, 1):
        assert batch.link == batch.linked_to(before, number)
        before = batch.link
    assert sealed == (4, before)
    assert outbox.rows("SELECT evidence_root FROM campaign_run")[0].evidence_root == before
    assert wrong(run) == []


def test_what_is_written_later_is_linked_behind(run: int, portfolio: Portfolio, outbox: Outbox) -> None:
    first = seal(run)
    assert seal(run) == first
    decide(outbox, run, 2, [portfolio.borrower()])
    second = seal(run)
    assert first is not None
    assert second is not None
    assert (second[0], second[1] != first[1]) == (5, True)
    assert wrong(run) == []


def test_a_run_that_wrote_nothing_has_no_head(outbox: Outbox) -> None:
    run = outbox.run()
    assert seal(run) is None
    assert wrong(run) == []


def test_transitions_of_two_runs_moved_at_once_have_a_root_each(portfolio: Portfolio, outbox: Outbox) -> None:
    runs = [outbox.run(), outbox.run(stage="mid")]
    ids = [outbox.plan(run, portfolio.borrower()) for run in runs]
    with connection() as tx:
        attempts.move(tx, [moved(one, "planned", "withheld", {}) for one in ids], at=AT)
    assert [row.campaign_run_id for row in outbox.rows("SELECT campaign_run_id FROM evidence_batch ORDER BY 1")] == sorted(runs)
    assert [count for run in runs for count in wrong(run) if "transition" in count] == []


def test_two_lanes_that_end_at_once_make_one_chain(run: int, portfolio: Portfolio, outbox: Outbox) -> None:
    seal(run)
    for shard in range(2, 6):
        decide(outbox, run, shard, [portfolio.borrower()])
    with ThreadPoolExecutor(4) as lanes:
        heads = list(lanes.map(lambda _: seal(run), range(8)))
    assert max(head[0] for head in heads if head) == 8
    assert wrong(run) == []


def test_erasing_a_person_leaves_every_proof_true(run: int) -> None:
    """Names, numbers and the salt of the words can go; what was done stays proved."""
    seal(run)
    with connection() as tx:
        tx.execute(text("UPDATE party_version SET name_encrypted = NULL, postal_code = NULL"))
        tx.execute(text("UPDATE contact_point_version SET value_encrypted = '', blind_index = sha256('gone')"))
        tx.execute(text("UPDATE attempt SET token = gen_random_uuid(), text_hash = NULL"))
    assert wrong(run) == []


def test_rows_from_before_there_was_evidence_accuse_nobody(portfolio: Portfolio, outbox: Outbox) -> None:
    old = outbox.run()
    outbox.plan(old, portfolio.borrower())
    new = outbox.run(stage="mid")
    decide(outbox, new, 1, [portfolio.borrower()])
    assert (wrong(old), wrong(new)) == ([], [])


TAMPERINGS = {
    "a contact's hour": "UPDATE contact_event SET at = at - interval '1 hour' WHERE id = (SELECT min(id) FROM contact_event)",
    "a contact's counting": "UPDATE contact_event SET counts = false WHERE id = (SELECT min(id) FROM contact_event)",
    "a contact's text": "UPDATE contact_event SET commitment = 'another text' WHERE id = (SELECT min(id) FROM contact_event)",
    "a contact's batch": "UPDATE contact_event SET evidence_batch_id = 0 WHERE id = (SELECT max(id) FROM contact_event)",
    "a contact gone": "DELETE FROM contact_event WHERE id = (SELECT max(id) FROM contact_event)",
    "a decision's odds": "UPDATE decision SET probability = probability / 2 WHERE id = (SELECT min(id) FROM decision)",
    "a decision's propensities": """UPDATE decision SET propensities = '{"no_contact": 1}' WHERE propensities IS NOT NULL""",
    "a decision's score": "UPDATE decision SET score = score + 1 WHERE id = (SELECT max(id) FROM decision)",
    "a decision's reasons": "UPDATE reason_set SET reasons = '{HOUSE-OPTOUT}' WHERE reasons = '{HOUSE-HOURS}'",
    "a decision gone": "DELETE FROM decision WHERE action = 'no_contact'",
    "a transition's cause": "UPDATE attempt_transition SET cause = 'passed again' WHERE id = (SELECT min(id) FROM attempt_transition)",
    "a transition's answer": """UPDATE attempt_transition SET details = details || '{"provider_id": "R2"}' WHERE details IS NOT NULL""",
    "a transition gone": "DELETE FROM attempt_transition WHERE to_state = 'accepted'",
    "a transition slipped in": """INSERT INTO attempt_transition (business_date, attempt_id, from_state, to_state, cause, at)
        SELECT business_date, id, 'accepted', 'delivered', 'nobody', now() FROM attempt LIMIT 1""",
    "a decision slipped in": """INSERT INTO decision (business_date, campaign_run_id, shard, party_id, stage, step, action, score, probability,
        reason_set_id, decided_at, facts_known_at) SELECT business_date, campaign_run_id, shard, party_id, 'mid', 1, 'no_contact', 1, 1,
        reason_set_id, decided_at, facts_known_at FROM decision LIMIT 1""",
    "a root": "UPDATE evidence_batch SET root = decode(repeat('00', 32), 'hex') WHERE kind = 'contacts'",
    "a link": "UPDATE evidence_batch SET link = decode(repeat('00', 32), 'hex') WHERE number = 2",
    "a batch gone": "DELETE FROM evidence_batch WHERE number = 2",
    "the last batch gone": "DELETE FROM evidence_batch WHERE number = 4",
    "the run's root": "UPDATE campaign_run SET evidence_root = NULL",
}


@pytest.mark.parametrize("tampering", TAMPERINGS.values(), ids=TAMPERINGS.keys())
def test_tampering_is_found(run: int, tampering: str) -> None:
    seal(run)
    with connection() as tx:
        tx.execute(text("SET LOCAL session_replication_role = replica"))
        assert tx.execute(text(tampering)).rowcount > 0
    assert wrong(run) != []
