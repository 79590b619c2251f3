"""How far a run is, by the ledger: shards first, then what they planned; an import by bytes, then by kinds of rows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from ledger.aging_facts import age_portfolio
from ledger.engine import connection
from tasks import import_portfolio
from tasks.import_portfolio import Step
from tasks.progress import AGED, DECIDED, WHOLE, stage_progress
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sending import Outbox


def test_a_run_is_as_far_as_its_shards_and_then_as_its_messages(portfolio: Portfolio, outbox: Outbox) -> None:
    portfolio.clock(noon("US"))
    run = outbox.run()
    for shard in range(4):
        outbox.shard(run, shard, 10 * shard, 10 * shard + 9)
    assert stage_progress(run) == (AGED, "choosing: 0 of 4 shards, 0 contacts planned")
    ids = [outbox.plan(run, portfolio.borrower()) for _ in range(2)]
    ids.append(outbox.plan(run, portfolio.borrower(), send_after=noon("US") + timedelta(hours=1)))
    decide = text("UPDATE campaign_shard SET planned = :planned, decided_at = :at WHERE shard < :below")
    with connection() as tx:
        tx.execute(decide, {"planned": 1, "at": noon("US"), "below": 3})
    assert stage_progress(run) == (AGED + 0.75 * (DECIDED - AGED), "choosing: 3 of 4 shards, 3 contacts planned")
    with connection() as tx:
        tx.execute(decide, {"planned": 1, "at": noon("US"), "below": 4})
    percent, said = stage_progress(run)
    assert said == "sending: 2 of 4 messages are out, withheld or for later"
    with connection() as tx:
        tx.execute(text("UPDATE attempt SET state = 'sent' WHERE id = ANY(:ids)"), {"ids": ids[:2]})
    further, said = stage_progress(run)
    assert percent < further < WHOLE
    assert said == "sending: 4 of 4 messages are out, withheld or for later"


def test_ageing_tells_after_each_chunk(portfolio: Portfolio) -> None:
    for _ in range(5):
        portfolio.borrower()
    told: list[tuple[int, int]] = []
    age_portfolio(TODAY, loans_a_chunk=2, progress=lambda done, loans: told.append((done, loans)))
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_an_import_moves_forward_and_names_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[float, str]] = []
    monkeypatch.setattr(import_portfolio, "tell", lambda percent, said: told.append((percent, said)))
    step = import_portfolio._bar(2)  # noqa: SLF001  # what the importer is told to call
    for name, done in (("of Jane.csv", 0), ("of Jane.csv", 50), ("of Jane.csv", 100), ("b.csv", 0), ("b.csv", 100)):
        step(Step("reading", name, done, 100))
    step(Step("writing", "loans", 1, 2))
    step(Step("writing", "", 2, 2))
    assert [percent for percent, _ in told] == [0, 15, 30, 30, 60, 80, 100]
    assert [said for _, said in told[:1] + told[3:4] + told[5:]] == [
        "reading file 1 of 2",
        "reading file 2 of 2",
        "writing loans",
        "written",
    ]
