"""Books in memory hold what a ledger would: the same past, played into a ledger, leads to the same decisions."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from config.message_files import message_texts
from config.rule_files import rule_packs
from config.strategy_files import strategy
from decisions.choose import decide
from decisions.facts import Facts
from ledger.aging_facts import age_portfolio
from ledger.engine import arrow
from ledger.facts import read_facts
from sandbox.simulation import TownWorld, open_world
from tasks.simulate import FIRST_DAY, Chosen, play
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio

LIVELY = {"reply_rate": 0.6, "stop_rate": 0.1, "wrong_number_share": 0.1, "sms_delivered": 0.8}
TOLD = ["action", "channel", "purpose", "message", "offer", "locale", "step", "probability", "reasons", "send_after", "expires_at"]


def _morning(world: TownWorld, stage: str) -> Chosen:
    """What was known and chosen on the morning of the ledger's today."""
    seen: list[Chosen] = []
    play([world], "static-ladder", days=(TODAY - FIRST_DAY).days + 1, plans=False, told=seen.append)
    (one,) = [chosen for chosen in seen if chosen.on == TODAY and chosen.stage == stage]
    return one


def _into_ledger(portfolio: Portfolio, world: TownWorld, known: Facts) -> dict[int, BorrowerIds]:
    """Write all that the facts say into the ledger; party in the books → ids there."""
    people = dict(enumerate(world.borrowers, start=1))
    late = dict(known.loans.select("party_id", "days_past_due").iter_rows())
    ids = {
        party: portfolio.borrower(
            country="TW",
            days_past_due=late.get(party, 1),
            consent=["sms", "push", "email", "whatsapp", "rcs"],
            number=people[party].phone,
            push_token=people[party].push_token,
        )
        for party in known.borrowers["party_id"]
    }
    for row in known.history.iter_rows(named=True):
        who = ids[row["party_id"]]
        point = {0: who.sms_id, 1: who.push_id}[row["contact_point_id"] % 4]
        told: dict[str, Any] = {name: row[name] for name in ("channel", "direction", "counterparty", "purpose", "result")}
        portfolio.contact(
            who.party_id, row["at"], loans=[who.loan_id], contact_point_id=point, counts=row["direction"] == "outbound", **told
        )
    for row in known.holds.iter_rows(named=True):
        portfolio.hold(ids[row["party_id"]].party_id, row["kind"], starts_at=row["starts_at"], until=row["until"])
    for row in known.opt_outs.iter_rows(named=True):
        portfolio.opt_out(ids[row["party_id"]].party_id, channel=row["channel"], at=row["at"])
    for row in known.contact_points.filter(pl.col("ownership") == "wrong").iter_rows(named=True):
        portfolio.ownership(people[row["party_id"]].phone, "wrong")
    return ids


@pytest.mark.usefixtures("ledger_url")
def test_the_books_and_a_ledger_with_the_same_past_decide_alike(portfolio: Portfolio) -> None:
    world = open_world("w", "books", LIVELY, borrowers=40, first_day=FIRST_DAY)
    chosen = _morning(world, "early")
    # Something of everything that may stand in the way has happened by then.
    assert chosen.facts.holds.height > 5
    assert chosen.facts.opt_outs.height > 1
    assert (chosen.facts.contact_points["ownership"] == "wrong").any()
    ids = _into_ledger(portfolio, world, chosen.facts)
    age_portfolio(TODAY)
    early = strategy("static-ladder", "early")
    with arrow() as source:
        known = read_facts(
            source,
            parties=[one.party_id for one in ids.values()],
            at=chosen.at,
            business_date=TODAY,
            loans="planned",
            treated_by=early.looks_at,
        )
    by_ledger = decide(known, early, rule_packs(), message_texts(), at=chosen.at, business_date=TODAY, seed=b"x")
    assert by_ledger.select(TOLD).rows() == chosen.decisions.select(TOLD).rows()
    actions = chosen.decisions["action"].value_counts()
    assert actions.height == 2
