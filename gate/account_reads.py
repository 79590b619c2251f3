"""What a few texts need beyond the facts, read under the lock.

In:   a connection inside the gate's transaction, facts and planned attempts, all texts.
Out:  `Accounts`. Empty, without a question, for all other attempts.
Pure: no; reads the ledger, and makes codes of a key.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from config.affordability import plan_policy_in_force
from config.promises import promise_terms_in_force
from decisions.candidates import owed
from decisions.facts import Facts
from decisions.messages import Texts, gaps
from decisions.planned import Planned
from decisions.promises import StillPromised
from decisions.service_messages import PLAN_REMINDER, PROMISE_REMINDER
from decisions.statements import BREAKDOWN
from gate.accounts import LETTER, NOTHING, Accounts
from ledger import plan_keeping, promises, statements
from ledger.page_codes import ONE_TIME_CODE, code_of


def read_accounts(
    tx: Connection, facts: Facts, planned: Sequence[Planned], texts: Texts, *, business_date: date, known_at: datetime | None = None
) -> Accounts:
    """Read what these attempts' texts ask for beyond the facts.

    Args:
        tx: Under the lock, where somebody is told.
        facts: Read before, of the same borrowers.
        planned: Which attempts.
        texts: All messages.
        business_date: Local date as of which accounts are shown.
        known_at: What was known at that wall-clock instant; None = now.
    """
    shown = {one.party_id for one in planned if _shows_an_account(one, texts)}
    posted = [one.contact_point_id for one in planned if one.channel == LETTER]
    reminded = [one.party_id for one in planned if one.message == PROMISE_REMINDER]
    in_plan = [one.party_id for one in planned if one.message == PLAN_REMINDER]
    codes = {one.token: code_of(one.token) for one in planned if one.purpose == ONE_TIME_CODE}
    if not shown and not posted and not reminded and not in_plan:
        return Accounts(codes=codes) if codes else NOTHING
    loans = {loan for party, spoken_of in owed(facts.loans).select("party_id", "loans").iter_rows() if party in shown for loan in spoken_of}
    return Accounts(
        as_of=business_date,
        statements=statements.read_statements(tx, loans, business_date=business_date, known_at=known_at),
        addressees=statements.read_addressees(tx, posted, known_at=known_at),
        promised=_promised(tx, reminded, business_date, known_at) if reminded else {},
        planned=_planned(tx, in_plan, business_date, known_at) if in_plan else frozenset(),
        codes=codes,
    )


def _promised(tx: Connection, party_ids: Sequence[int], on: date, known_at: datetime | None) -> dict[int, StillPromised]:
    days_before = promise_terms_in_force().reminder_days_before or 0
    return promises.still_open(tx, party_ids, on=on, until=on + timedelta(days=days_before), known_at=known_at)


def _planned(tx: Connection, party_ids: Sequence[int], on: date, known_at: datetime | None) -> frozenset[int]:
    days_before = plan_policy_in_force().reminder_days_before or 0
    return plan_keeping.near(tx, party_ids, first=on, last=on + timedelta(days=days_before), known_at=known_at)


def _shows_an_account(attempt: Planned, texts: Texts) -> bool:
    text = texts.by_key.get((attempt.message, attempt.locale))
    return text is not None and text.says(attempt.channel) and BREAKDOWN in gaps(text.words[attempt.channel].body)
