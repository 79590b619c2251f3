"""What somebody says by letter, by phone or in person, written down by whoever hears it: a hold, a stop, "not my number".

A reply does the same by itself (ledger/replies.py); this is for what comes another way. It protects; only `release_person` ends a hold,
by another colleague than the one who wrote it down. And who has seen
to an answer that waited for a person says so here. What is kept of somebody is written into a file for them.

In:   our id of a borrower, of an attempt or of answers, who says so and why.
Out:  rows of `hold`, `opt_out`, `contact_value`, under the locks of everybody concerned; in force at the gate from the commit;
      rows of `outcome_handled`; a file of JSON.
Pure: no. Saying it twice changes nothing.
Source: DOMAIN.md, "What the borrower's answer does".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from decisions.personal import looks_personal
from decisions.words import CHANNELS, HOLD_KINDS
from gate.person_export import everything_in_words
from ledger import answers, clock, contact_values
from ledger.decisions_log import find_party
from ledger.engine import connection
from ledger.locks import lock_borrowers, lock_with_liable

OWNER_ONLY: Final = 0o600


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


def release_person(borrower: str, *, kind: str, by: str, because: str) -> int:
    """End the holds of a kind that a colleague wrote down; what brought her peace otherwise stays.

    Ending what protects somebody wants a second pair of eyes: whoever wrote a hold down does not end it.

    Returns:
        How many ended.

    Raises:
        PersonRefused: No such kind, nothing to end, the same colleague, personal words.
        UnknownBorrowerError: Nobody has that id.
    """
    if kind not in HOLD_KINDS:
        raise PersonRefused(f"no kind of hold {kind!r}; there are {', '.join(HOLD_KINDS)}")
    source = _source(by, because)
    with connection() as tx:
        party_id = find_party(tx, borrower)
        lock_with_liable(tx, [party_id])
        at = clock.now(tx)
        known = answers.written_by(tx, party_id, kind, at=at)
        if not known:
            raise PersonRefused(
                f"no hold ({kind}) stands that a colleague wrote down; a case's ends with `tideover cases close`, a file's with the file"
            )
        if by.strip().casefold() in {one.partition(": ")[0].casefold() for one in known}:
            raise PersonRefused(f"{by.strip()} wrote it down: somebody else ends it")
        return answers.release(tx, party_id, kind, at=at, source=source)


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


def handle_answers(answer_ids: Sequence[int], *, by: str, done: str) -> int:
    """Say that somebody has seen to answers that waited for a person: telling people of them stops, and their waiting ends.

    What was held stays held: only who lifts a hold ends it.

    Returns:
        How many of them were not said to be handled in the same words before.

    Raises:
        PersonRefused: One of them never waited for a person; personal words. Nothing is written then.
    """
    if not by.strip() or not done.strip():
        raise PersonRefused("say who (--by) and what was done (--done)")
    _impersonal(by, done)
    with connection() as tx:
        at = clock.now(tx)
        new = {one: answers.handled(tx, one, by=by.strip(), done=done.strip(), at=at) for one in answer_ids}
        if unknown := [one for one, said in new.items() if said is None]:
            raise PersonRefused(f"no answer {', '.join(map(str, unknown))} waits or waited for a person; `tideover waiting` lists them")
    return sum(said is True for said in new.values())


def export_person(borrower: str, out: Path) -> int:
    """Write all that is kept of a person into a new file that only its owner may read.

    Returns:
        How many rows it holds.

    Raises:
        PersonRefused: The file exists already, or cannot be written.
        UnknownBorrowerError: Nobody has that id.
        MissingKeyError: A value was encrypted with a key that is gone.
    """
    with connection() as tx:
        everything = everything_in_words(tx, find_party(tx, borrower))
    try:
        out.touch(mode=OWNER_ONLY, exist_ok=False)
        out.write_text(json.dumps(everything, ensure_ascii=False, indent=2) + "\n")
    except FileExistsError:
        raise PersonRefused(f"{out} exists already; an export is never written over something else") from None
    except OSError as error:
        raise PersonRefused(f"{out}: {error.strerror}") from None
    return sum(len(rows) for rows in everything["kept"].values())


def _source(by: str, because: str) -> str:
    if not by.strip() or not because.strip():
        raise PersonRefused("say who (--by) and how it is known (--because)")
    _impersonal(by, because)
    return f"{by.strip()}: {because.strip()}"


def _impersonal(*words: str) -> None:
    if any(looks_personal(one) for one in words):
        raise PersonRefused("this looks like a number or an address of a person: say it without")
