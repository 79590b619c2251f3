"""Heads outside the database: a run that is rewritten, links and all, contradicts them; a full disk stops nobody's contact."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest
from sqlalchemy import text

from ledger import evidence
from ledger.engine import connection
from ledger.evidence_heads import Head, contradictions, folder, head_of, keep_head, read_heads
from ledger.merkle import leaf, merkle_root
from tests.ledger.test_evidence import AT, moved
from tests.plugins.portfolio import TODAY, Portfolio
from tests.plugins.sending import Outbox

HEAD = Head(business_date="2026-03-17", campaign_run_id=1, links=3, link="ab" * 32)
ROOM_BYTES = 20


def test_a_head_is_a_line_in_the_days_file(tmp_path: Path) -> None:
    assert keep_head(HEAD, tmp_path / "new")
    line = (tmp_path / "new" / "heads-2026-03-17.jsonl").read_text()
    assert json.loads(line) == {"business_date": "2026-03-17", "campaign_run_id": 1, "links": 3, "link": "ab" * 32}
    assert read_heads("2026-03-17", tmp_path / "new") == [HEAD]
    assert read_heads("2026-03-18", tmp_path / "new") == []


def test_the_same_head_is_written_once_and_the_next_behind_it(tmp_path: Path) -> None:
    later = Head(business_date="2026-03-17", campaign_run_id=1, links=4, link="cd" * 32)
    for head in (HEAD, HEAD, later):
        assert keep_head(head, tmp_path)
    assert read_heads("2026-03-17", tmp_path) == [HEAD, later]


def test_a_line_that_a_full_disk_cut_short_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / "heads-2026-03-17.jsonl").write_text('{"business_date": "2026-03')
    assert keep_head(HEAD, tmp_path)
    assert read_heads("2026-03-17", tmp_path) == [HEAD]


def test_a_folder_that_cannot_be_written_is_said_and_raises_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    assert not keep_head(HEAD, tmp_path / "taken")
    assert "EVIDENCE HEAD NOT KEPT" in caplog.text
    assert str(tmp_path) not in caplog.text


def test_a_disk_without_room_is_said_and_raises_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM_BYTES, hard))
    try:
        assert not keep_head(HEAD, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "EVIDENCE HEAD NOT KEPT" in caplog.text
    assert read_heads("2026-03-17", tmp_path) == []
    assert keep_head(HEAD, tmp_path)
    assert read_heads("2026-03-17", tmp_path) == [HEAD]


def test_heads_lie_where_the_setting_says(ledger_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    del ledger_url
    assert folder().name == "evidence"
    monkeypatch.setenv("TIDEOVER_EVIDENCE_DIR", str(tmp_path))
    from config.settings import settings  # noqa: PLC0415  # the settings of this test

    settings.cache_clear()
    assert folder() == tmp_path


@pytest.fixture
def kept(portfolio: Portfolio, outbox: Outbox, tmp_path: Path) -> int:
    """A run with two links, whose head is kept; returns its id."""
    from ledger import attempts  # noqa: PLC0415  # only here

    run = outbox.run()
    for _ in range(2):
        attempt = outbox.plan(run, portfolio.borrower())
        with connection() as tx:
            attempts.move(tx, [moved(attempt, "planned", "withheld", {})], at=AT)
    with connection() as tx:
        sealed = evidence.seal_run(tx, run)
    assert sealed is not None
    assert keep_head(head_of(TODAY, run, *sealed), tmp_path)
    return run


def contradicting(run: int, place: Path) -> list[str]:
    with connection() as tx:
        chains = {known: evidence.chain(tx, known) for known in tx.execute(text("SELECT id FROM campaign_run")).scalars().all()}
    assert run >= 1
    return [found.what for found in contradictions(TODAY, chains, place)]


def test_a_run_as_it_was_contradicts_nothing(kept: int, tmp_path: Path) -> None:
    assert contradicting(kept, tmp_path) == []


def test_a_run_that_was_rewritten_with_all_its_links_contradicts_its_head(kept: int, tmp_path: Path) -> None:
    with connection() as tx:
        tx.execute(
            text("UPDATE attempt_transition SET cause = 'something else' WHERE evidence_batch_id = (SELECT min(id) FROM evidence_batch)")
        )
        batch = next(iter(evidence.chain(tx, kept)))
        root = merkle_root([leaf(line) for _, _, line in evidence.lines_of(tx, batch)])
        tx.execute(text("UPDATE evidence_batch SET root = :root WHERE id = :id"), {"root": root, "id": batch.id})
        tx.execute(text("UPDATE evidence_batch SET number = NULL, link = NULL"))
        evidence.seal_run(tx, kept)
        assert [found.what for found in evidence.mismatches(tx, kept) if "decision" not in found.what] == []
    assert contradicting(kept, tmp_path) == ["link 2 is not the one that was kept outside"]


def test_links_that_are_gone_contradict_the_head(kept: int, tmp_path: Path) -> None:
    with connection() as tx:
        tx.execute(text("DELETE FROM evidence_batch WHERE number = 2"))
    assert contradicting(kept, tmp_path) == ["2 links were kept outside, 1 are in the ledger"]


def test_a_run_that_is_gone_contradicts_its_head(kept: int, tmp_path: Path) -> None:
    with connection() as tx:
        tx.execute(text("SET LOCAL session_replication_role = replica"))
        tx.execute(text("DELETE FROM campaign_run"))
    assert contradicting(kept, tmp_path) == ["the folder outside keeps a head of this run, and the ledger has no such run"]
