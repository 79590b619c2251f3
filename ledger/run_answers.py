"""An answer to the question whether a run may send, given outside Prefect: on a terminal with a code, or on the desk by who signed in.

In:   a campaign run; an answer.
Out:  what came of it, in words; rows of ledger/run_approvals.py, and attempts withheld that nobody approved.
Pure: no. Nothing is sent here.
"""

from __future__ import annotations

from ledger import campaigns, run_approvals, run_narrowing, run_standings
from ledger.engine import connection
from ledger.in_force import treatment_of
from ledger.run_approvals import Answer, Answered
from ledger.run_standings import Standing


def answer_run(campaign_run_id: int, given: Answer, *, subject: str | None = None) -> tuple[Answered, Standing]:
    """Take an answer, and withhold what was not approved.

    Args:
        campaign_run_id: The run.
        given: Who says what.
        subject: What they were shown; refused where something else is planned by now. None = what is planned now.

    Returns:
        What came of it, and where the run stood before.

    Raises:
        NoSuchRun: There is none with this id.
    """
    with connection() as tx:
        before = run_standings.standing(tx, campaign_run_id)
        run = campaigns.read_run(tx, campaign_run_id)
        done = run_approvals.answer(tx, campaign_run_id, given, roles=treatment_of(tx, run).approval_roles, subject=subject)
    withhold_rest(campaign_run_id)
    return done, before


def withhold_rest(campaign_run_id: int) -> int:
    """Withhold what nobody approved, page by page; how many."""
    withheld = 0
    while True:
        with connection() as tx:
            page = run_narrowing.narrow(tx, campaign_run_id)
        if not page:
            return withheld
        withheld += page


def flaw(*, approve: bool, reason: str | None, up_to_missing: bool = False) -> str | None:
    """What is missing in an answer, in words; None = nothing is."""
    if up_to_missing:
        return "`approve up to` needs a number"
    return None if approve or (reason or "").strip() else "say why you reject"
