"""Fixture: attempts that went all the way, through planner, gate and provider, so that there is evidence of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
from prefect.logging import disable_run_logger
from sqlalchemy import text

from channels import Receipt
from config.policies import policies
from config.settings import settings
from gate.lane import run_lane
from ledger import attempts
from ledger.attempts import StatusEvent
from ledger.campaigns import open_run
from ledger.engine import connection
from tasks.choose import choose
from tasks.pick import pick
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sending import RecordingChannel

AT = noon("US")


@pytest.fixture
def proved_attempt(portfolio: Portfolio, ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """One of three attempts that went through planner, gate and provider; returns its id."""
    del ledger_url
    monkeypatch.setenv("TIDEOVER_EVIDENCE_DIR", str(tmp_path / "heads"))
    settings.cache_clear()
    portfolio.clock(AT)
    for _ in range(3):
        portfolio.borrower(push=False)
    with connection() as tx:
        run_id = open_run(tx, stage="early", business_date=TODAY, preview=False, borrowers_max=None, policies=policies("early"), at=AT)
    with disable_run_logger():
        for shard in pick.fn(run_id):
            choose.fn(shard, run_id)
    numbers = count(1)
    answer = lambda *_: Receipt(provider="recorder", provider_id=f"R{next(numbers)}", status="queued", segments=2)  # noqa: E731
    # The lane runs a loop of its own, and in the thread of a browser's test another one runs already.
    with ThreadPoolExecutor(1) as beside:
        beside.submit(run_lane, run_id, shard=None, channels={"sms": lambda: RecordingChannel(answer=answer)}).result()
    with connection() as tx:
        rows = tx.execute(text("SELECT id, provider_id FROM attempt WHERE state = 'accepted' ORDER BY id")).all()
        assert len(rows) == 3
        told = StatusEvent(
            event_id=1, token=None, provider_id=rows[1].provider_id, state="delivered", error_code=None, at=datetime.now(UTC)
        )
        attempts.apply_provider_events(tx, [told], at=AT)
    return int(rows[1].id)
