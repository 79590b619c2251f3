"""What a lane that is gone left behind: attempts that are `submitting` past their calls' deadline.

Those that bear the mark of a call were called, or were about to be: their fate is not known. Those without it were not, and
nobody can call them any more: they go back to planned, out of every cap, and whoever sends next takes them up.

In:   a connection inside a transaction.
Out:  how many became unknown, and how many are planned again.
Pure: no; writes the ledger.
Source: docs/adr/0012; invariant I2: nobody contacted twice, nobody lost.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection

from gate.receipts import CLAIM_COLUMNS, take_back
from ledger import attempts, unknowns
from ledger.attempts import Move, NeverCalled

NEVER_CALLED: Final = "the call's deadline passed, and no call was made"


class Late(NamedTuple):
    """What was found.

    Attributes:
        unknown: Attempts whose fate is not known.
        never_called: Attempts that are planned again.
    """

    unknown: int
    never_called: int


def close_late(tx: Connection, *, campaign_run_id: int | None, at: datetime, at_most: int | None = None) -> Late:
    """Close what is `submitting` past its deadline.

    Args:
        tx: Inside a transaction; borrowers are locked before attempts.
        campaign_run_id: Of one run; None = of all.
        at: Business instant, UTC; deadlines are on the database's wall clock.
        at_most: So many of each kind in this transaction; None = all.
    """
    found = attempts.lock_never_called(tx, campaign_run_id=campaign_run_id, at_most=at_most)
    if found:
        _plan_again(tx, found, at)
    return Late(attempts.expire_submitting(tx, campaign_run_id=campaign_run_id, at=at, at_most=at_most), len(found))


def _plan_again(tx: Connection, found: list[NeverCalled], at: datetime) -> None:
    moves = [
        Move(
            business_date=one.business_date,
            attempt_id=one.attempt_id,
            from_state="submitting",
            to_state="planned",
            cause=NEVER_CALLED,
            claim_id=one.claim_id,
            changes=dict.fromkeys(CLAIM_COLUMNS),
        )
        for one in found
    ]
    moved = attempts.move(tx, moves, at=at)
    assert len(moved) == len(moves), "an attempt moved although it was locked"  # noqa: S101  # a bug, not a case
    counted = unknowns.counted_contacts(tx, [(one.business_date, one.attempt_id) for one in found])
    runs: defaultdict[tuple[date, int], list[NeverCalled]] = defaultdict(list)
    for one in found:
        if one.attempt_id in counted:
            runs[one.business_date, one.campaign_run_id].append(one)
    for (business_date, run_id), members in runs.items():
        contacts = [(business_date, counted[one.attempt_id]) for one in members]
        take_back(tx, contacts, campaign_run_id=run_id, claim_id=members[0].claim_id, at=at)
