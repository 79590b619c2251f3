"""Accounts: what a text needs that shows a whole account, read under the lock for those few attempts whose text does.

In:   a connection inside the gate's transaction, facts and planned attempts, all texts.
Out:  `Accounts`: statements of the loans that are spoken of, and whom envelopes are for. Empty, without a question, for the others.
Pure: no; reads the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from sqlalchemy import Connection

from decisions.candidates import owed
from decisions.envelopes import Addressee
from decisions.facts import Facts
from decisions.messages import Texts, gaps
from decisions.statements import BREAKDOWN, Statement
from ledger import statements
from ledger.outbox import Planned

LETTER: Final = "letter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """What stands beside the facts; personal, never logged.

    Attributes:
        as_of: Local business date of the statements; None = there are none.
        statements: Loan → what is past due of it, line by line.
        addressees: Contact point → whom its envelope is for.
    """

    as_of: date | None = None
    statements: Mapping[int, Statement] = field(default_factory=dict, repr=False)
    addressees: Mapping[int, Addressee] = field(default_factory=dict, repr=False)


NOTHING: Final = Accounts()


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
    if not shown and not posted:
        return NOTHING
    loans = {loan for party, spoken_of in owed(facts.loans).select("party_id", "loans").iter_rows() if party in shown for loan in spoken_of}
    return Accounts(
        as_of=business_date,
        statements=statements.read_statements(tx, loans, business_date=business_date, known_at=known_at),
        addressees=statements.read_addressees(tx, posted, known_at=known_at),
    )


def _shows_an_account(attempt: Planned, texts: Texts) -> bool:
    text = texts.by_key.get((attempt.message, attempt.locale))
    return text is not None and text.says(attempt.channel) and BREAKDOWN in gaps(text.words[attempt.channel].body)
