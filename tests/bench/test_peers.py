"""The peers decide what the product decides: otherwise their times would say nothing."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from ledger.engine import connection
from tests.bench.peers import orm_loop, plain_sql
from tests.bench.peers.measure import agreement, set_apart
from tests.bench.peers.tables import fill
from tests.bench.plan import AT, TODAY, late_portfolio, plan

BORROWERS = 300


@pytest.fixture
def planned(ledger_url: str) -> None:
    """A portfolio with stops, disputes, consents taken back and fresh contacts, planned by the product; the peers' tables beside it."""
    del ledger_url
    late_portfolio(BORROWERS)
    with connection() as tx:
        set_apart(tx)
        fill(tx)
    assert plan() == BORROWERS


@pytest.mark.usefixtures("planned")
def test_the_peers_decide_as_we_do() -> None:
    for peer in (orm_loop.plan, plain_sql.plan):
        with connection() as tx:
            tx.execute(text("TRUNCATE peer_decision"))
        peer(TODAY, AT)
        found = agreement()
        assert (found["compared"], found["agree_share"], found["same_hour_share"]) == (BORROWERS, 1.0, 1.0), found
        with connection() as tx:
            reasons = set(tx.execute(text("SELECT DISTINCT reason FROM peer_decision")).scalars())
        assert reasons == {None, "hold", "gap", "cap", "no channel"}
    # The comparison sees a difference.
    with connection() as tx:
        tx.execute(text("UPDATE peer_decision SET channel = NULL WHERE borrower_id <= 30"))
    assert agreement()["agree_share"] < 1
