"""Wallets of invented people: repeatable, in words that imports know, and of every kind that the rule of plans tells apart."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta

from config.affordability import affordability_terms
from decisions.affordability import Circumstances, offer
from decisions.wallet_flows import FLOW_KINDS, Flow, Window, seen
from sandbox.wallets import wallet
from tests.plugins.portfolio import TODAY
from tests.plugins.sandbox_process import Sandbox

TERMS = affordability_terms()
UNTIL = TODAY - timedelta(days=1)


def test_they_are_repeatable_and_lead_to_every_road() -> None:
    roads: Counter[str] = Counter()
    for number in range(300):
        rows = wallet(7, f"owner-{number}", until=UNTIL, a_month=42_000)
        assert rows == wallet(7, f"owner-{number}", until=UNTIL, a_month=42_000)
        assert {kind for _, kind, _ in rows} <= set(FLOW_KINDS)
        flows = tuple(Flow(day, kind, amount * 100) for day, kind, amount in rows)
        assert max(flow.on for flow in flows) == UNTIL
        shown = seen(Window(since=min(flow.on for flow in flows), until=UNTIL, flows=flows), today=TODAY, days_min=60)
        if shown is None:
            roads["asked"] += 1
            continue
        known = Circumstances(
            today=TODAY,
            currency="TWD",
            open_minor=800_000,
            income_minor=shown.income_minor,
            essential_minor=max(shown.essential_minor, TERMS.floors["TW"][1]),
            debts_minor=shown.debts_minor,
            aside_minor=0,
            cycle=shown.cycle,
            next_income_on=shown.next_income_on,
            balances=shown.balances,
        )
        roads[offer(known, TERMS).road] += 1
    assert set(roads) == {"asked", "extension", "plan", "review", "hardship"}
    assert min(roads.values()) >= 5, roads


def test_the_sandbox_tells_them(sandbox: Sandbox) -> None:
    asked = {"owners": ["A", "B"], "until": UNTIL.isoformat(), "a_month": 1_000, "seed": 7}
    rows = json.loads(sandbox.control("POST", "wallets", asked))["rows"]
    assert {owner for owner, *_ in rows} == {"A", "B"}
    assert [(day.isoformat(), kind, amount) for day, kind, amount in wallet(7, "A", until=UNTIL, a_month=1_000)] == [
        tuple(row[1:]) for row in rows if row[0] == "A"
    ]
