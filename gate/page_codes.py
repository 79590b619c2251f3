"""A code for a person's page: planned for whoever has her link, and sent through the gate like any message.

It goes where the link's message went, if a code may go there, else to another contact point of hers; never anywhere else. A person who
stopped all else still gets it, from a sender of its own (ledger/senders.py).

In:   a link, how to open the channels.
Out:  whether it left.
Pure: no.
Source: docs/adr/0041.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Final, Literal
from zoneinfo import ZoneInfo

import polars as pl
from sqlalchemy import Connection

from config.message_files import message_texts
from config.policies import service_policies
from config.portal_files import PagePolicy, page_policy_in_force
from decisions.choose import DECISIONS
from decisions.service_messages import REACHED, plan_messages
from gate.lane import ChannelFactory, LaneHalted, run_lane
from ledger import clock, outbox, page_codes, page_reads
from ledger.engine import connection
from ledger.facts import read_facts
from ledger.law import law_in_force, texts_in_force
from ledger.locks import lock_borrowers
from ledger.page_codes import CODE, ONE_TIME_CODE
from ledger.page_links import Link
from ledger.service_runs import write_service_run

# Folder of config/messages.
MESSAGE: Final = "page_code"
Asked = Literal["sent", "too many", "not now"]


def send_code(link: Link, channels: Mapping[str, ChannelFactory]) -> Asked:
    """Send a code to the person of a link.

    Returns:
        `sent`, as far as is known; `too many`: she has asked for too many; `not now`: nothing may or can be sent at the moment.

    Raises:
        ConfigError: Texts or rule packs cannot be used.
    """
    policy = page_policy_in_force()
    with connection() as tx:
        locked = lock_borrowers(tx, [link.party_id])
        if not locked or not page_codes.may_ask(tx, link.party_id, policy):
            return "too many"
        at = clock.now(tx)
        day = at.astimezone(ZoneInfo(page_reads.zone_of(tx, link.party_id))).date()
        planned = page_codes.plan_another(tx, link.party_id, business_date=day, at=at, until=at + policy.code_valid)
        planned = planned or _plan_first(tx, link, policy, at=at, business_date=day)
        if planned is None:
            return "not now"
        run, attempt = planned
        page_codes.note(tx, link, business_date=day, attempt_id=attempt)
    try:
        run_lane(run, shard=None, channels=channels)
    except LaneHalted:
        # It is still planned, and may come within its minutes: nobody is told that it does.
        return "not now"
    with connection() as tx:
        return "sent" if page_codes.is_on_its_way(tx, business_date=day, attempt_id=attempt) else "not now"


def _plan_first(tx: Connection, link: Link, policy: PagePolicy, *, at: datetime, business_date: date) -> tuple[int, int] | None:
    """Decide by every rule where a person's first code of a day goes: (run, attempt); None where it may go nowhere now."""
    law, known_at = law_in_force(tx), outbox.wall_clock(tx)
    facts = read_facts(tx, parties=[link.party_id], at=at, business_date=business_date, loans="now")
    reached = pl.DataFrame([(link.party_id, link.contact_point_id)], schema=REACHED, orient="row")
    texts = texts_in_force(tx, message_texts())
    decided = plan_messages(facts, reached, MESSAGE, texts, law.packs, purpose=ONE_TIME_CODE, at=at, business_date=business_date)
    due = decided.filter((pl.col("action") == "contact") & (pl.col("send_after") <= pl.lit(at, dtype=DECISIONS["send_after"])))
    if due.is_empty():
        return None
    soon = due.with_columns(expires_at=pl.min_horizontal("expires_at", pl.lit(at + policy.code_valid, dtype=DECISIONS["expires_at"])))
    run, _ = write_service_run(
        tx,
        soon,
        stage=CODE,
        business_date=business_date,
        scope=f"party-{link.party_id}",
        parties=[link.party_id],
        policies=service_policies(MESSAGE, rules=law.bodies),
        at=at,
        facts_known_at=known_at,
    )
    return run, page_codes.planned(tx, link.party_id, business_date=business_date)
