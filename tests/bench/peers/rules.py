"""The peers' rules in plain Python: the same ladder, window, caps, consents, holds and opt-outs, for one borrower.

They are the rules that a good engineer would write within a week, taken from the strategy `static-ladder` and the house's pack. Left out is
what that week leaves out: rules of each jurisdiction and their versions, holidays, several zones a person, agreements and wishes,
fallbacks, freshness of the facts, probabilities, evidence; `measure` says how far the decisions agree all the same.

In:   a `Borrower` with everything that belongs to it, the business date, the instant.
Out:  a `Decision`.
Pure: yes.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from tests.bench.peers.tables import Borrower, Decision, Loan

# First day of being late → step and channel.
LADDER: Final = ((1, 1, "push"), (4, 2, "sms"), (10, 3, "push"), (14, 4, "sms"))
LATE_DAYS_MAX: Final = 30
OPENS, CLOSES = time(8), time(21)
GAP_DAYS: Final = 3
CONTACTS_MAX: Final = 2
SPAN_DAYS: Final = 7


def decide(borrower: Borrower, on: date, at: datetime) -> Decision | None:
    """What is done today; None for somebody who is not in the stage."""
    assert borrower.id is not None
    late = max((_late_days(loan, on) for loan in borrower.loans if loan.status == "active"), default=0)
    if not 1 <= late <= LATE_DAYS_MAX:
        return None
    decision = Decision(borrower_id=borrower.id, business_date=on)
    if borrower.holds:
        decision.reason = "hold"
        return decision
    zone = ZoneInfo(borrower.zone)
    days = [one.at.astimezone(zone).date() for one in borrower.past_contacts]
    if any(on - timedelta(days=GAP_DAYS) < day <= on for day in days):
        decision.reason = "gap"
        return decision
    if sum(on - timedelta(days=SPAN_DAYS) < day <= on for day in days) >= CONTACTS_MAX:
        decision.reason = "cap"
        return decision
    stopped = {one.channel for one in borrower.opt_outs}
    agreed = {one.channel for one in borrower.consents}
    points = {one.channel: one.id for one in borrower.contact_points}
    for from_day, step, channel in reversed(LADDER):
        if late >= from_day and channel in points and channel in agreed and not stopped & {channel, "all"}:
            decision.step, decision.channel, decision.contact_point_id = step, channel, points[channel]
            decision.send_after = _next_open(at, zone)
            return decision
    decision.reason = "no channel"
    return decision


def _late_days(loan: Loan, on: date) -> int:
    """Days since the oldest instalment that payments do not cover."""
    paid = sum(one.amount_minor for one in loan.payments)
    for instalment in loan.instalments:
        paid -= instalment.due_minor
        if paid < 0:
            return (on - instalment.due_on).days
    return 0


def _next_open(at: datetime, zone: ZoneInfo) -> datetime:
    """Now, or when it is eight in the morning there."""
    local = at.astimezone(zone)
    if OPENS <= local.time() < CLOSES:
        return at
    day = local.date() + timedelta(days=local.time() >= CLOSES)
    return datetime.combine(day, OPENS, zone).astimezone(at.tzinfo)
