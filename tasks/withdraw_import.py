"""Take an import back: the step behind `tideover withdraw`.

In:   a batch's number, who says so and why.
Out:  what it means in counts; versions of facts in the ledger.
Pure: no; one transaction.
"""

from __future__ import annotations

from decisions.personal import looks_personal
from ledger import clock, withdrawals
from ledger.engine import connection
from ledger.withdrawals import WithdrawalRefused, Withdrawn

__all__ = ["WithdrawalRefused", "Withdrawn", "withdraw_import"]


def withdraw_import(batch: int, *, by: str, because: str, dry_run: bool = False) -> Withdrawn:
    """Take an import back; with `dry_run` only say what it would mean.

    Raises:
        WithdrawalRefused: It cannot be, or contact is not stopped; the message says what to do.
    """
    if looks_personal(by) or looks_personal(because):
        raise WithdrawalRefused("this looks like a number or an address of a person: say it without")
    with connection() as tx:
        if dry_run:
            return withdrawals.look(tx, batch)
        return withdrawals.withdraw(tx, batch, by=by, because=because, at=clock.now(tx))
