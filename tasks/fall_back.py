"""Fall back: whoever today's message surely did not reach is tried by the next channel of the same step, while the day allows it.

The day is decided again for them alone, from the facts as they are now: the way that failed is known, a dead address is retired, and
every rule, the budget and the gap judge as in the morning. A way that was tried that day is not tried again.

In:   the ledger; the strategies of today's runs.
Out:  further tries under the same decisions, in the ledger; the gate judges each once more.
Pure: no; contacts nobody.
Source: docs/adr/0028, 0033.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Any, Final

import polars as pl

from config.message_files import message_texts
from config.strategy_files import strategy
from decisions.choose import decide
from decisions.facts import FAILURES
from decisions.gate_verdict import reasons_of_the_way
from decisions.packs import Packs
from ledger import campaigns, clock, fallbacks
from ledger.engine import connection
from ledger.facts import read_facts
from ledger.fallbacks import Failed
from ledger.law import law_in_force, texts_in_force
from ledger.locks import lock_borrowers

# Borrowers whose day is decided again in one run of dispatch; the next one, minutes later, takes the rest.
AT_ONCE_MAX: Final = 2_000
TRY_COLUMNS: Final = ("contact_point_id", "step", "channel", "purpose", "message", "offer", "locale", "send_after", "expires_at")


def fall_back() -> int:
    """Plan the next try for whoever today's message surely did not reach. Planning again plans nothing twice.

    Returns:
        Tries that were planned.

    Raises:
        ConfigError: Strategies, texts or rule packs cannot be used.
    """
    with connection() as tx:
        at = clock.now(tx)
        today = [campaigns.read_run(tx, run) for run in fallbacks.runs_today(tx, at=at)]
        runs = [run.id for run in today if falls_back_within_the_day(run.strategy, run.stage)]
        if not runs:
            return 0
        packs = law_in_force(tx).packs
        found = fallbacks.failed_today(tx, runs=runs, of_the_way=reasons_of_the_way(packs), at=at, at_most=AT_ONCE_MAX)
    by_run = groupby(sorted(found, key=lambda one: one.campaign_run_id), key=lambda one: one.campaign_run_id)
    return sum(_fall_back(run, [one.party_id for one in theirs], packs) for run, theirs in by_run)


def falls_back_within_the_day(name: str, stage: str) -> bool:
    """A model's choice is made once a day, with the chance that is logged; what failed counts the next day."""
    treatment = strategy(name, stage)
    return treatment.falls_back and treatment.learned is None


def _fall_back(campaign_run_id: int, party_ids: Sequence[int], packs: Packs) -> int:
    """One run's: what still holds under the borrowers' lock."""
    with connection() as tx:
        locked = lock_borrowers(tx, party_ids)
        at = clock.now(tx)
        run = campaigns.read_run(tx, campaign_run_id)
        still = fallbacks.failed_today(
            tx, runs=[run.id], of_the_way=reasons_of_the_way(packs), at=at, at_most=len(party_ids), parties=locked
        )
        if not still:
            return 0
        treatment = strategy(run.strategy, run.stage)
        facts = read_facts(
            tx,
            parties=sorted(one.party_id for one in still),
            at=at,
            business_date=run.business_date,
            loans="now",
            treated_by=treatment.looks_at,
            falls_back=True,
            payments_since=treatment.payments_since(run.business_date),
        )
        # What was tried today comes last, whatever the log has of it by now.
        facts = replace(facts, failures=pl.concat([facts.failures, _tried(still, at)]))
        texts = texts_in_force(tx, message_texts())
        decided = decide(facts, treatment, packs, texts, at=at, business_date=run.business_date, seed=run.seed.encode())
        return fallbacks.plan_tries(tx, list(_tries(still, {row["party_id"]: row for row in decided.iter_rows(named=True)})))


def _tried(failed: Sequence[Failed], at: datetime) -> pl.DataFrame:
    rows = [(one.party_id, point, channel, at) for one in failed for point, channel in sorted(one.ways)]
    return pl.DataFrame(rows, schema=FAILURES, orient="row")


def _tries(failed: Sequence[Failed], decided: Mapping[int, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for one in failed:
        row = decided[one.party_id]
        if row["action"] == "contact" and (row["contact_point_id"], row["channel"]) not in one.ways:
            about = {
                "business_date": one.business_date,
                "decision_id": one.decision_id,
                "campaign_run_id": one.campaign_run_id,
                "party_id": one.party_id,
                "stage": one.stage,
                "try_number": one.try_number + 1,
            }
            yield {**about, **{name: row[name] for name in TRY_COLUMNS}}
