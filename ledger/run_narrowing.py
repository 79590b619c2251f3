"""Withholding what nobody approved: of a rejected run all that is planned, of one that was approved in part the rest.

A run sends nothing while this is under way; it is taken up again from the ledger wherever it broke off.

In:   a connection inside a transaction; a run to which somebody has answered.
Out:  attempts withheld with the reason, a page a transaction; a narrowed run that is approved at the end.
Pure: no.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, text

from ledger import attempts, clock
from ledger.attempts import Move
from ledger.locks import lock_borrowers
from ledger.run_standings import RANK

# Attempts that one transaction withholds.
PAGE: Final = 2_000
# Why an attempt was withheld, in the words of the funnel.
NOT_APPROVED: Final = "run_rejected"
NOT_AMONG_APPROVED: Final = "not_among_the_approved"


def narrow(connection: Connection, campaign_run_id: int, *, at_most: int = PAGE) -> int:
    """Withhold a page of what nobody approved; with none left, a narrowed run is approved.

    Returns:
        How many were looked at; 0 = it is done.
    """
    run = connection.execute(_LOCK_NARROWED, {"id": campaign_run_id}).one()
    if run.approval not in {"narrowing", "rejected"}:
        return 0
    rank = "" if run.approval == "rejected" else run.approved_rank
    rows = connection.execute(_BEYOND, {"id": campaign_run_id, "rank": rank, "at_most": at_most}).all()
    if not rows:
        connection.execute(_NARROWED, {"id": campaign_run_id})
        return 0
    at = clock.now(connection)
    lock_borrowers(connection, [row.party_id for row in rows])
    reason = NOT_APPROVED if run.approval == "rejected" else NOT_AMONG_APPROVED
    moves = [
        Move(
            business_date=row.business_date,
            attempt_id=row.id,
            from_state="planned",
            to_state="withheld",
            cause=f"blocked: {reason}",
            changes={"permit": {"blocked_by": [reason], "approval": run.approval_subject, "clock": at.isoformat()}},
        )
        for row in rows
    ]
    attempts.move(connection, moves, at=at)
    return len(rows)


def unfinished_answers(connection: Connection) -> list[int]:
    """Runs to which somebody has answered, and of which not all is withheld that nobody approved."""
    return list(connection.execute(_UNFINISHED).scalars())


_LOCK_NARROWED = text("SELECT approval, approved_rank, approval_subject FROM campaign_run WHERE id = :id FOR UPDATE")
_BEYOND = text(f"""
    SELECT a.business_date, a.id, a.party_id FROM attempt a JOIN campaign_run r ON r.id = a.campaign_run_id
    WHERE r.id = :id AND a.state = 'planned' AND {RANK} > :rank ORDER BY a.party_id LIMIT :at_most
""")  # noqa: S608  # the rank above
_NARROWED = text("UPDATE campaign_run SET approval = 'approved' WHERE id = :id AND approval = 'narrowing'")
_UNFINISHED = text("""
    SELECT r.id FROM campaign_run r
    WHERE r.approval = 'narrowing' OR (r.approval = 'rejected' AND EXISTS (
        SELECT 1 FROM attempt a WHERE a.campaign_run_id = r.id AND a.state = 'planned'))
    ORDER BY r.id
""")
