"""A what-if that begins with a person's facts: never milder than the gate, and without anything personal in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import polars as pl
import pytest
import yaml
from sqlalchemy import text

from config.rule_cases import rule_cases_of
from config.rule_files import rule_packs
from decisions.facts import CANDIDATES, Facts
from decisions.rule_answers import answers
from decisions.rules import judge
from ledger import vault
from ledger.engine import connection
from ledger.facts import read_facts
from ledger.person_case import NoFactsError, case_of
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon

NOON = noon("US")
VALUES = text("""
    SELECT v.value_encrypted, v.key_id FROM contact_point_version v JOIN contact_point p ON p.id = v.contact_point_id WHERE p.party_id = :party
""")
Event = Callable[[Portfolio, BorrowerIds], object]
HAPPENED: dict[str, Event] = {
    "nothing": lambda *_: None,
    "a dispute": lambda world, who: world.hold(who.party_id, "dispute", loan_id=who.loan_id),
    "a stop": lambda world, who: world.opt_out(who.party_id, channel="sms"),
    "a wish": lambda world, who: world.wish(who.party_id, "not_channel", channels=["sms"]),
    "hours": lambda world, who: world.agreement(who.party_id, opens="09:00", closes="20:00"),
    "seven in seven": lambda world, who: [
        world.contact(who.party_id, NOON - timedelta(hours=hours), loans=[who.loan_id]) for hours in range(1, 9)
    ],
    "a notice": lambda world, who: world.notice(who.party_id),
}


def judged(facts: Facts, borrower: BorrowerIds) -> set[str]:
    """Rules that the facts themselves fall under."""
    candidate = {
        "candidate": 0,
        "party_id": borrower.party_id,
        "contact_point_id": borrower.sms_id,
        "channel": "sms",
        "purpose": "collection",
        "at": NOON,
        "loans": [borrower.loan_id],
        "counterparty": "borrower",
        "automated": True,
    }
    (row,) = judge(facts, pl.DataFrame([candidate], schema=CANDIDATES), rule_packs()).to_dicts()
    return set(row["blocked_by"])


@pytest.mark.parametrize("role", ["first_party", "third_party"])
def test_a_persons_case_is_judged_no_milder_than_she_is(portfolio: Portfolio, role: str) -> None:
    portfolio.clock(NOON)
    for happened, event in HAPPENED.items():
        borrower = portfolio.borrower(known_zone="America/New_York", creditor_role=role, account="4000-1234")
        event(portfolio, borrower)
        with connection() as tx:
            case = case_of(tx, borrower.party_id, at=NOON)
            facts = read_facts(tx, parties=[borrower.party_id], at=NOON, business_date=TODAY, loans="now")
            numbers = [vault.decrypt(row.value_encrypted, row.key_id) for row in tx.execute(VALUES, {"party": borrower.party_id})]
        typed = yaml.safe_dump([case], sort_keys=False)
        assert not any(secret in typed for secret in (*numbers, "4000-1234", "Nobody")), happened
        read = rule_cases_of(typed, "form")
        (answer,) = answers(read.ids, read.facts, read.candidates, rule_packs())
        said = {reason.get("part", reason["rule"]) for reason in answer["blocked_by"]} if answer["verdict"] == "blocked" else set()
        forbidden = judged(facts, borrower)
        assert forbidden <= said, happened
        assert forbidden or happened in {"nothing", "hours", "a notice"}, happened
        assert answer["zones"] == ["America/New_York"]


def test_nobody_has_no_case(portfolio: Portfolio) -> None:
    portfolio.creditor()
    with connection() as tx, pytest.raises(NoFactsError):
        case_of(tx, 10**9, at=NOON)
