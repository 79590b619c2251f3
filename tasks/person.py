"""What somebody says by letter, by phone or in person, written down by whoever hears it: a hold, a stop, "not my number".

A reply does the same by itself (ledger/replies.py); this is for what comes another way. It only ever protects.

In:   our id of a borrower or of an attempt, who says so and why.
Out:  rows of `hold`, `opt_out`, `contact_value`, under the locks of everybody concerned; in force at the gate from the commit.
Pure: no. Saying it twice changes nothing.
Source: DOMAIN.md, "What the borrower's answer does".
"""

from __future__ import annotations

from datetime import datetime

from decisions.personal import looks_personal
from decisions.words import CHANNELS, HOLD_KINDS
from ledger import answers, clock, contact_values
from ledger.decisions_log import find_party
from ledger.engine import connection
from ledger.locks import lock_borrowers


class PersonRefused(RuntimeError):
    """Nothing was written; the message says why and what to do."""


def hold_person(borrower: str, *, kind: str, by: str, because: str, until: datetime | None = None) -> bool:
    """Leave a person in peace, until an instant or until somebody ends it; False where that stands already.

    Raises:
        PersonRefused: No such kind, an end that has passed, personal words.
        UnknownBorrowerError: Nobody has that id.
    """
    if kind not in HOLD_KINDS:
        raise PersonRefused(f"no kind of hold {kind!r}; there are {', '.join(HOLD_KINDS)}")
    source = _source(by, because)
    with connection() as tx:
        party_id = find_party(tx, borrower)
        lock_borrowers(tx, [party_id])
        at = clock.now(tx)
        if until is not None and until <= at:
            raise PersonRefused(f"a hold until {until.isoformat()} would be over: it is {at.isoformat()} now")
        return answers.hold(tx, party_id, kind, starts_at=at, until=until, source=source)


def stop_person(borrower: str, *, channel: str, by: str, because: str) -> None:
    """Write to a person no more, by a channel or by `all`.

    Raises:
        PersonRefused: No such channel, personal words.
        UnknownBorrowerError: Nobody has that id.
    """
    if channel not in {"all", *CHANNELS}:
        raise PersonRefused(f"no channel {channel!r}; there are all, {', '.join(CHANNELS)}")
    source = _source(by, because)
    with connection() as tx:
        party_id = find_party(tx, borrower)
        lock_borrowers(tx, [party_id])
        answers.opt_out(tx, [party_id], [channel], at=clock.now(tx), source=source)


def disown_number(attempt_id: int, *, by: str, because: str) -> int:
    """Say that what an attempt went to belongs to none of our borrowers: nobody is contacted there any more.

    Returns:
        How many borrowers had it.

    Raises:
        PersonRefused: No such attempt, personal words.
    """
    source = _source(by, because)
    with connection() as tx:
        value = contact_values.of_attempt(tx, attempt_id)
        if value is None:
            raise PersonRefused(f"no attempt {attempt_id}, or its contact point is gone")
        locked = lock_borrowers(tx, contact_values.owners(tx, value))
        answers.disown(tx, value, at=clock.now(tx), source=source)
    return len(locked)


def _source(by: str, because: str) -> str:
    if not by.strip() or not because.strip():
        raise PersonRefused("say who (--by) and how it is known (--because)")
    if looks_personal(by) or looks_personal(because):
        raise PersonRefused("this looks like a number or an address of a person: say it without")
    return f"{by.strip()}: {because.strip()}"
