"""Parked attempts: a person says what became of them, and it is written down with who and why.

In:   an attempt, what became of it, a name and a reason.
Out:  the attempt `accepted` (it was sent: it goes on counting) or `rejected` (it was not: no cap counts it any more).
Pure: no; writes the ledger.
Source: ARCHITECTURE.md "Attempt state machine": `unknown` ends only by the provider's evidence or a person.
"""

from __future__ import annotations

from typing import Final

from gate.receipts import take_back
from ledger import attempts, clock, unknowns
from ledger.attempts import Move
from ledger.engine import connection
from ledger.locks import lock_borrowers

REASON_CHARACTERS_MAX: Final = 500


class ParkedRefused(ValueError):
    """It cannot be settled like this; the message says why."""


def settle_parked(attempt_id: int, *, sent: bool, by: str, because: str) -> str:
    """Write down what became of a parked attempt.

    Args:
        attempt_id: Which.
        sent: It was sent.
        by: Who says so; a colleague's name.
        because: How that is known, such as "in Twilio's console as SM…"; nothing about the person.

    Returns:
        Its state now.

    Raises:
        ParkedRefused: There is no such parked attempt, or no name or reason.
    """
    name, reason = (_one_line(what, words) for what, words in (("a name (--by)", by), ("a reason (--because)", because)))
    state = "accepted" if sent else "rejected"
    with connection() as tx:
        found = unknowns.read_parked_one(tx, attempt_id)
        if found is not None:
            lock_borrowers(tx, [found["party_id"]])
            standing = attempts.lock_attempts(tx, [(found["business_date"], attempt_id)])[attempt_id]
        if found is None or standing.state != "parked":
            raise ParkedRefused(f"attempt {attempt_id} is not parked; `tideover parked` lists those that are")
        wanted = Move(
            business_date=found["business_date"],
            attempt_id=attempt_id,
            from_state="parked",
            to_state=state,
            cause=f"{name}: {reason}",
        )
        at = clock.now(tx)
        attempts.move(tx, [wanted], at=at)
        counted = {} if sent else unknowns.counted_contacts(tx, [(found["business_date"], attempt_id)])
        if counted:
            contact = (found["business_date"], counted[attempt_id])
            take_back(tx, [contact], campaign_run_id=found["campaign_run_id"], claim_id=found["claim_id"], at=at)
    return state


def _one_line(what: str, words: str) -> str:
    line = " ".join(words.split())
    if not line or not line.isprintable() or len(line) > REASON_CHARACTERS_MAX:
        raise ParkedRefused(f"settling needs {what}: one line of at most {REASON_CHARACTERS_MAX} characters")
    return line
