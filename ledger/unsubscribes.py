"""Unsubscribing: whoever has a message's link may stop the channel by which it came, without saying who they are.

In:   an attempt's token.
Out:  an opt-out of that channel, under the borrower's lock: in force at the gate from the commit.
Pure: no; writes the ledger. Saying it twice changes nothing.
Source: RFC 8058; DOMAIN.md, "What the borrower's answer does".
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from ledger import answers
from ledger.locks import lock_borrowers

SOURCE = "one_click"


def unsubscribe(tx: Connection, token: UUID, *, at: datetime) -> str | None:
    """Stop the channel of an attempt for the person whom it was for.

    Args:
        tx: Inside a transaction.
        token: Of the attempt.
        at: Business instant, UTC.

    Returns:
        The channel; None where no attempt that ever left has that token.
    """
    found = tx.execute(_OF_TOKEN, {"token": token}).first()
    if found is None:
        return None
    lock_borrowers(tx, [found.party_id])
    answers.opt_out(tx, [found.party_id], [found.channel], at=at, source=SOURCE)
    return str(found.channel)


_OF_TOKEN = text("SELECT party_id, channel FROM attempt WHERE token = :token AND submitted_at IS NOT NULL")
