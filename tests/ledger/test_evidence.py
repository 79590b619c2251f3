"""Evidence: whoever changes, adds or takes away a contact afterwards is found out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from ledger import evidence
from ledger.engine import connection
from ledger.outbox import Contact, log_contacts, read_planned
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sending import Outbox

AT = noon("US")
hashes = st.binary(min_size=32, max_size=32)


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def test_a_root_is_built_in_pairs_and_the_odd_one_moves_up() -> None:
    a, b, c, d, e = (bytes([number]) * 32 for number in range(5))
    assert evidence.merkle_root([a]) == a
    assert evidence.merkle_root([a, b, c]) == node(node(a, b), c)
    assert evidence.merkle_root([a, b, c, d, e]) == node(node(node(a, b), node(c, d)), e)


def test_a_root_over_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        evidence.merkle_root([])


@given(leaves=st.lists(hashes, min_size=1, max_size=20), at=st.integers(0), other=hashes)
def test_any_other_leaf_gives_another_root(leaves: list[bytes], at: int, other: bytes) -> None:
    changed = list(leaves)
    changed[at % len(leaves)] = other
    assert (evidence.merkle_root(changed) == evidence.merkle_root(leaves)) == (changed == leaves)


def test_a_leaf_is_the_same_wherever_its_instant_was_read() -> None:
    event = dict.fromkeys(evidence.CANONICAL)
    in_utc = {**event, "at": datetime(2026, 3, 17, 16, tzinfo=UTC)}
    elsewhere = {**event, "at": datetime.fromisoformat("2026-03-17T12:00:00-04:00")}
    assert evidence.leaf(in_utc) == evidence.leaf(elsewhere)


def test_a_commitment_proves_the_text_only_to_who_has_the_salt() -> None:
    salt, other = UUID(int=1), UUID(int=2)
    said = evidence.commitment(salt, "hash of a text", {"rules": ["A"]})
    assert said == evidence.commitment(salt, "hash of a text", {"rules": ["A"]})
    assert (
        len({said, evidence.commitment(other, "hash of a text", {"rules": ["A"]}), evidence.commitment(salt, "another", {"rules": ["A"]})})
        == 3
    )


@pytest.fixture
def sealed(portfolio: Portfolio, outbox: Outbox) -> int:
    """A run with two batches of two contacts; returns its id."""
    run = outbox.run()
    for _ in range(2):
        people = [portfolio.borrower() for _ in range(2)]
        for person in people:
            outbox.plan(run, person)
        with connection() as tx:
            planned = read_planned(tx, campaign_run_id=run, party_ids=[person.party_id for person in people], channels=["sms"], at=AT)
            batch = evidence.open_batch(tx)
            contacts = [Contact(planned=one, loans=(1, 2), counterparty="borrower", jurisdiction="US", commitment="c") for one in planned]
            events = log_contacts(tx, contacts, at=AT, batch_id=batch)
            evidence.close_batch(
                tx, batch_id=batch, business_date=TODAY, campaign_run_id=run, claim_id=uuid4(), events=list(events.values())
            )
    return run


def broken(run: int) -> int:
    with connection() as tx:
        return len(evidence.broken_batches(tx, run))


def test_what_was_written_can_be_proved(sealed: int) -> None:
    assert broken(sealed) == 0


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE contact_event SET at = at - interval '1 hour' WHERE id = (SELECT min(id) FROM contact_event)",
        "UPDATE contact_event SET counts = false WHERE id = (SELECT min(id) FROM contact_event)",
        "DELETE FROM contact_event WHERE id = (SELECT max(id) FROM contact_event)",
        "UPDATE contact_event SET evidence_batch_id = (SELECT min(id) FROM evidence_batch) WHERE id = (SELECT max(id) FROM contact_event)",
        "UPDATE contact_event SET commitment = 'another text' WHERE id = (SELECT min(id) FROM contact_event)",
    ],
)
def test_tampering_with_a_contact_breaks_its_batch(sealed: int, tampering: str) -> None:
    with connection() as tx:
        tx.execute(text(tampering))
    assert broken(sealed) >= 1


def test_a_run_has_a_root_over_its_batches_and_its_head_lies_outside_the_database(sealed: int, outbox: Outbox, tmp_path: Path) -> None:
    with connection() as tx:
        root = evidence.seal_run(tx, sealed)
    first, second = (row.root for row in outbox.rows("SELECT root FROM evidence_batch ORDER BY id"))
    assert root == node(first, second) == outbox.rows("SELECT evidence_root FROM campaign_run")[0].evidence_root
    head = tmp_path / "state" / "evidence-head"
    for _ in range(2):
        evidence.append_head(business_date=TODAY, campaign_run_id=sealed, root=root, file=head)
    lines = [json.loads(line) for line in head.read_text().splitlines()]
    assert lines == [{"business_date": "2026-03-17", "campaign_run_id": sealed, "root": root.hex()}] * 2


def test_a_run_that_wrote_nothing_has_no_root(outbox: Outbox) -> None:
    with connection() as tx:
        assert evidence.seal_run(tx, outbox.run()) is None
