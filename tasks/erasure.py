"""Being forgotten, as people ask for it: left in peace at once, erased when nothing has to be kept any more; or that taken back.

In:   the lender's id of a borrower, or ours; who writes it down, and where it can be read.
Out:  a case `data_request`, rows of `erasure` and `hold`; what it means, in words.
Pure: no. Saying it twice changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from config.cases import case_terms
from config.retention import retention_policy_in_force
from decisions.personal import looks_personal
from ledger import cases, clock, erasures
from ledger.cases import Statement
from ledger.decisions_log import find_party
from ledger.engine import connection
from ledger.erasures import Asked, ErasureRefused, Standing
from ledger.locks import lock_with_liable

KIND = "data_request"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureAsked:
    """What was written down.

    Attributes:
        case_id: The case that answers for it.
        standing: When she can be erased.
    """

    case_id: int
    standing: Standing


def ask_erasure(borrower: str, *, by: str, reference: str) -> ErasureAsked:
    """Leave a person in peace from now on, until she is erased, and open the case by which she is answered.

    Raises:
        ErasureRefused: She is erased already, or the words look personal.
        UnknownBorrowerError: Nobody has that id, or she is erased.
        ConfigError: config/retention.yaml or config/cases.yaml cannot be read.
    """
    _impersonal(by, reference)
    duties, terms = retention_policy_in_force().records, case_terms()
    with connection() as tx:
        party_id = find_party(tx, borrower)
        lock_with_liable(tx, [party_id])
        at = clock.now(tx)
        said = Statement(party_id=party_id, kind=KIND, at=at, channel="person", said_by=by, reference=reference)
        case_id, _ = cases.open_case(tx, said, terms)
        return ErasureAsked(case_id=case_id, standing=erasures.ask(tx, party_id, duties, by=by, at=at, case_id=case_id))


def keep_after_all(borrower: str, *, by: str, because: str) -> bool:
    """End the restriction: she took it back, or it was refused. False where there was none.

    Raises:
        ErasureRefused: The words look personal.
        UnknownBorrowerError: Nobody has that id, or she is erased.
    """
    _impersonal(by, because)
    with connection() as tx:
        party_id = find_party(tx, borrower)
        found = erasures.of(tx, party_id)
        at = clock.now(tx)
        if found is not None and found.case_id is not None:
            cases.lock(tx, found.case_id)
            cases.note(tx, found.case_id, kind="note", by=by, at=at, words=because)
        return erasures.lift(tx, party_id, at=at)


def waiting_erasures() -> list[Asked]:
    """Everybody who asked and is not erased yet."""
    with connection(read_only=True) as tx:
        return erasures.listed(tx)


def _impersonal(*words: str) -> None:
    if not all(one.strip() for one in words):
        raise ErasureRefused("say who (--by), and where or why it can be read")
    if any(looks_personal(one) for one in words):
        raise ErasureRefused("this looks like a number or an address of a person: say it without")
