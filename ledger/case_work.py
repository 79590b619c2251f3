"""Cases as people work them: written down by whoever hears of one, taken, acknowledged, answered, closed.

A reply that disputes, asks for relief or tells of a death opens its case by itself (ledger/replies.py); this is for letters, calls
and complaints, and for everything that a person does about a case.

In:   our id of a borrower or a case's number, who says so, what.
Out:  rows of `borrower_case`, `case_event`, `hold`, under the borrower's lock; in force at the gate from the commit.
Pure: no. Saying it twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from config.cases import case_terms
from decisions.personal import looks_personal
from ledger import case_lists, cases, clock
from ledger.case_lists import Case
from ledger.cases import CaseRefused, Ended, Statement
from ledger.decisions_log import find_party
from ledger.engine import connection
from ledger.locks import lock_with_liable

# How a case comes that no message brought.
BY_A_PERSON = "person"
# Before the name of a proof in a case's history.


def open_case(
    borrower: str,
    *,
    kind: str,
    by: str,
    loan: str | None = None,
    stated_by: str = "borrower",
    disputed_minor: int | None = None,
    reference: str | None = None,
    words: str | None = None,
) -> tuple[Case, bool]:
    """Open a case; the hold of its kind stands from the commit on.

    Returns:
        The case, and whether it is new.

    Raises:
        CaseRefused: An unknown kind, loan or part; who or where from is not said, or holds something personal.
        UnknownBorrowerError: Nobody has that id.
        ConfigError: config/cases.yaml cannot be used.
    """
    _refuse_personal(by, reference)
    terms = case_terms()
    with connection() as tx:
        party_id = find_party(tx, borrower)
        lock_with_liable(tx, [party_id])
        said = Statement(
            party_id=party_id,
            kind=kind,
            at=clock.now(tx),
            channel=BY_A_PERSON,
            loan_id=None if loan is None else case_lists.loan_of(tx, party_id, loan),
            stated_by=stated_by,
            disputed_minor=disputed_minor,
            said_by=by.strip(),
            reference=reference,
            words=words,
        )
        number, is_new = cases.open_case(tx, said, terms)
        return case_lists.read(tx, number), is_new


def take(number: int, *, by: str) -> bool:
    """Become the owner of a case; False where one is already.

    Raises:
        CaseRefused: No such case, a closed one, or `by` says nobody.
    """
    return _write(by, None, lambda tx: cases.take(tx, number, by=by.strip(), at=clock.now(tx)))


def acknowledge(number: int, *, by: str, reference: str, words: str | None = None) -> bool:
    """Write down that the person was told that it was received; False where that is written already.

    Raises:
        CaseRefused: As above, or the reference holds something personal.
    """
    return _write(
        by, reference, lambda tx: cases.acknowledge(tx, number, by=by.strip(), at=clock.now(tx), reference=reference, words=words)
    )


def answer(number: int, *, by: str, reference: str, words: str | None = None) -> bool:
    """Write down that the person was answered; False where that is written already.

    Raises:
        CaseRefused: As above.
    """
    return _write(by, reference, lambda tx: cases.answer(tx, number, by=by.strip(), at=clock.now(tx), reference=reference, words=words))


def add_note(number: int, *, by: str, words: str) -> None:
    """Write something down about a case, also about a closed one; it cannot be changed afterwards.

    Raises:
        CaseRefused: No such case, nothing said, or `by` says nobody.
    """
    if not words.strip():
        raise CaseRefused("say what is to be kept")

    def noted(tx: Connection) -> bool:
        cases.lock(tx, number)
        cases.note(tx, number, kind="note", by=by.strip(), at=clock.now(tx), words=words)
        return True

    _write(by, None, noted)


def see_proof(number: int, *, by: str, reference: str, words: str | None = None) -> None:
    """Write down that a proof was seen: of a death, of who speaks for the person now.

    Args:
        number: Of a case.
        by: Who saw it.
        reference: Which proof, and where it is kept; nothing personal.
        words: Who the executor or other representative is, and how she is reached; encrypted.

    Raises:
        CaseRefused: No such case, or the reference holds something personal, or is none.
    """

    def seen(tx: Connection) -> bool:
        cases.lock(tx, number)
        cases.note(
            tx, number, kind="note", by=by.strip(), at=clock.now(tx), reference=f"{cases.PROOF_SEEN}{reference.strip()}", words=words
        )
        return True

    _write(by, reference, seen)


def close(number: int, *, by: str, result: str, because: str | None = None, is_corrected: bool = False) -> Ended:
    """Close a case with a result; the peace that it brought ends, unless the result says otherwise.

    Raises:
        CaseRefused: As above; no such result; not answered yet; or the lender's books are still wrong.
    """
    _refuse_personal(by, None)
    with connection() as tx:
        return cases.close(tx, number, by=by.strip(), result=result, at=clock.now(tx), words=because, is_corrected=is_corrected)


def _write(by: str, reference: str | None, step: Callable[[Connection], bool]) -> bool:
    _refuse_personal(by, reference)
    with connection() as tx:
        return step(tx)


def _refuse_personal(by: str, reference: str | None) -> None:
    if not by.strip() or (reference is not None and not reference.strip()):
        raise CaseRefused("say who (--by) and, of a letter or an answer, where it can be read (--reference)")
    if any(looks_personal(one) for one in (by, reference or "")):
        raise CaseRefused("this looks like a number or an address of a person: write it into --words, which are encrypted")
