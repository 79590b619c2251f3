"""The core system's flows, as Prefect runs them: what was agreed is delivered, asked about, and late where nobody answers."""

from __future__ import annotations

import pytest

from config.core import core_terms
from config.settings import settings
from flows.core import core_delivery, core_reconcile
from ledger import case_lists
from ledger.core_instructions import Wanted, ask, state_of
from ledger.engine import connection
from tasks.core import CoreAway
from tests.plugins.portfolio import Portfolio, noon
from tests.plugins.sandbox_process import Sandbox


@pytest.mark.usefixtures("prefect_server")
def test_what_was_agreed_is_delivered_asked_about_and_late_where_nobody_answers(
    portfolio: Portfolio, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def agreed(key: str) -> int:
        who = portfolio.borrower()
        wanted = Wanted(
            loan_id=who.loan_id, party_id=who.party_id, kind="stop_debit", terms={"starts_on": "2026-03-18"}, relief_minor=0,
            asked_by="ann", role="agent", key=key,
        )  # fmt: skip
        with connection() as tx:
            return ask(tx, wanted)

    portfolio.clock(noon("US"))
    one = agreed("a")
    monkeypatch.setenv("TIDEOVER_CORE_BASE_URL", "")
    settings.cache_clear()
    assert core_delivery() == {}, "without a core system nothing is delivered, and that is said"
    monkeypatch.setenv("TIDEOVER_CORE_BASE_URL", sandbox.core_url)
    monkeypatch.setenv("TIDEOVER_CORE_KEYS", sandbox.core_keys)
    monkeypatch.setenv("TIDEOVER_PUBLIC_URL", "http://127.0.0.1:9")
    settings.cache_clear()
    sandbox.control("POST", "core", {"later": []})
    assert core_delivery() == {"received": 1}
    sandbox.control("POST", "core", {"at_once": "accepted"})
    two = agreed("b")
    assert core_reconcile() == {"accepted": 1, "received (heard before)": 1, "accepted (heard before)": 1}
    sandbox.faults({"fault": "list_unavailable", "channel": "core"})
    portfolio.clock(noon("US") + core_terms().applied["stop_debit"])
    with pytest.raises(CoreAway):
        core_reconcile()
    with connection() as tx:
        assert (state_of(tx, one), state_of(tx, two)) == ("late", "accepted")
        assert [case.kind for case in case_lists.listed(tx)] == ["core_instruction"] * 2
