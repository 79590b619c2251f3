"""One message of the house's own to people who are owed a word: told of a case, of a plan, reminded of a promise.

In:   whom it reaches, as the ledger found them; texts and law in force.
Out:  a run with its decisions and planned attempts, which `dispatch` sends through the gate.
Pure: no. What is planned under a scope is planned once.
"""

from __future__ import annotations

from datetime import date

import polars as pl
from sqlalchemy import Connection

from config.message_files import message_texts
from config.policies import service_policies
from decisions.service_messages import plan_messages
from ledger import campaigns, clock
from ledger.facts import read_facts
from ledger.law import law_in_force, texts_in_force
from ledger.outbox import wall_clock
from ledger.service_runs import write_service_run


def plan_service(tx: Connection, reached: pl.DataFrame, message: str, *, stage: str, scope: str, purpose: str, on: date) -> int:
    """Plan one message to everybody whom a rule lets a machine write to.

    Args:
        tx: Inside the transaction in which `reached` was read.
        reached: As `decisions.service_messages.plan_messages` takes it; rows with a null are people for whom nothing can be planned.
        message: Name of the text.
        stage: Of the run (ledger.tables.SERVICES).
        scope: Names the run; a second one of it is not written.
        purpose: Of the contact.
        on: Local business date on which it goes out.

    Returns:
        How many are planned now.

    Raises:
        ConfigError: Texts or rule packs cannot be read.
    """
    if reached.is_empty() or campaigns.is_planned(tx, stage=stage, scope=scope):
        return 0
    at, known_at = clock.now(tx), wall_clock(tx)
    law, texts = law_in_force(tx), texts_in_force(tx, message_texts())
    parties = reached["party_id"].to_list()
    facts = read_facts(tx, parties=parties, at=at, business_date=on, loans="now")
    frame = plan_messages(facts, reached.drop_nulls(), message, texts, law.packs, purpose=purpose, at=at, business_date=on)
    _, planned = write_service_run(
        tx,
        frame,
        stage=stage,
        business_date=on,
        scope=scope,
        parties=parties,
        policies=service_policies(message, rules=law.bodies),
        at=at,
        facts_known_at=known_at,
    )
    return planned
