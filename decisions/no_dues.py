"""A letter that nothing is owed: only where that is sure; where it is not, why not.

Others rely on such a letter: a bank that lends, an office that registers. So whatever is not known is a reason against it.

In:   what the ledger knows of one loan.
Out:  a reason, or None = the letter may be made.
Pure: yes.
Source: RBI, Fair Practices Code (release of documents when nothing is due); docs/adr/0050.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

# Who does not own a loan any more cannot say that it is paid.
OTHERS: Final = frozenset({"sold"})

Reason = Literal["open", "unknown", "stale", "sold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What is known of a loan.

    Attributes:
        outstanding_minor: All that is still to pay, as ageing has it.
        principal_minor: What was lent.
        instalments_principal_minor: What of it the instalments that we know ask for; None = we know none.
        servicing_status: As the lender says it.
        is_fresh: Whether the feed of payments reaches up to now, and every payment that we count is in the lender's books.
    """

    outstanding_minor: int
    principal_minor: int
    instalments_principal_minor: int | None
    servicing_status: str
    is_fresh: bool


def against(books: Books) -> Reason | None:
    """Why the letter cannot be made; None = nothing is owed."""
    if books.servicing_status in OTHERS:
        return "sold"
    if books.instalments_principal_minor is None or books.instalments_principal_minor < books.principal_minor:
        return "unknown"
    if books.outstanding_minor != 0:
        return "open"
    return None if books.is_fresh else "stale"
