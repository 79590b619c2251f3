"""What became of a campaign run: how many were reached, answered and paid, and why others were left in peace.

In:   a campaign run's id.
Out:  counts, by channel; withheld borrowers by reason. Counts and rule ids only.
Pure: no; reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl
from sqlalchemy import Connection, text

from decisions.choose import GROUP

# Each step contains the next: whoever read a message also got it.
STEPS = ("planned", "sent", "delivered", "read", "answered", "paid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """One run in counts.

    Attributes:
        borrowers: Borrowers that were looked at.
        withheld: Borrowers who were left in peace: by the decision, or by the gate at the last moment.
        by_channel: One row a channel: `channel`, the steps of STEPS, `waiting`, `failed`, `unknown`, `segments`.
        by_reason: `reason`, `borrowers`; a borrower with several reasons stands under each. How somebody is treated is none.
    """

    borrowers: int
    withheld: int
    by_channel: pl.DataFrame
    by_reason: pl.DataFrame

    def total(self, column: str) -> int:
        """Sum of a column over the channels."""
        return int(self.by_channel[column].sum())


def read_funnel(connection: Connection, campaign_run_id: int) -> Funnel:
    """The run's counts as they stand now; they grow while phones and people answer."""
    key = {"run": campaign_run_id}
    channels = connection.execute(_BY_CHANNEL, key)
    by_channel = pl.DataFrame(
        channels.fetchall(),
        schema={"channel": pl.String, **dict.fromkeys([*STEPS, "waiting", "failed", "unknown", "segments"], pl.Int64)},
        orient="row",
    )
    by_reason = pl.DataFrame(
        connection.execute(_BY_REASON, key).fetchall(), schema={"reason": pl.String, "borrowers": pl.Int64}, orient="row"
    )
    borrowers, withheld = connection.execute(_TOTALS, key).one()
    by_reason = by_reason.filter(~pl.col("reason").str.starts_with(GROUP))
    return Funnel(borrowers=borrowers, withheld=withheld, by_channel=by_channel, by_reason=by_reason)


# What a step is, said once. A further try of the same day is the same plan.
_COUNTS = """
           count(*) FILTER (WHERE a.try_number = 1) AS planned,
           -- What the provider has no record of was not sent.
           count(*) FILTER (WHERE a.state IN ('accepted', 'sent', 'delivered', 'read', 'replied', 'undelivered', 'failed')
                              AND a.error_code IS DISTINCT FROM 'no_record') AS sent,
           count(*) FILTER (WHERE a.state IN ('delivered', 'read', 'replied')) AS delivered,
           count(*) FILTER (WHERE a.state IN ('read', 'replied')) AS read,
           count(*) FILTER (WHERE a.state = 'replied') AS answered,
           count(*) FILTER (WHERE a.state IN ('planned', 'submitting')) AS waiting,
           count(*) FILTER (WHERE a.state IN ('undelivered', 'failed', 'rejected', 'expired')) AS failed,
           count(*) FILTER (WHERE a.state IN ('unknown', 'parked')) AS unknown"""
_BY_CHANNEL = text(f"""
    SELECT channel, planned, sent, delivered, read, answered, paid, waiting, failed, unknown, segments FROM (
        SELECT a.channel, {_COUNTS},
           count(*) FILTER (WHERE a.submitted_at IS NOT NULL AND EXISTS (
               SELECT 1 FROM loan_party lp JOIN payment p ON p.loan_id = lp.loan_id
               WHERE lp.party_id = a.party_id AND lp.superseded_at IS NULL AND p.superseded_at IS NULL
                 AND p.state = 'posted' AND p.paid_at >= a.submitted_at)) AS paid,
           coalesce(sum(a.segments), 0)::bigint AS segments
        FROM attempt a WHERE a.campaign_run_id = :run GROUP BY a.channel) counted
    ORDER BY channel
""")  # noqa: S608  # the columns above
_QUICK = text(f"""
    SELECT (SELECT coalesce(sum(s.borrowers), 0)::bigint FROM campaign_shard s WHERE s.campaign_run_id = r.id) AS borrowers,
           (SELECT coalesce(sum(s.withheld), 0)::bigint FROM campaign_shard s WHERE s.campaign_run_id = r.id)
               + count(DISTINCT a.party_id) FILTER (WHERE a.state = 'withheld') AS withheld, {_COUNTS},
           count(*) FILTER (WHERE a.state = 'planned' AND a.send_after <= :at AND a.expires_at > :at) AS due
    FROM campaign_run r LEFT JOIN attempt a ON a.campaign_run_id = r.id AND a.business_date = r.business_date
    WHERE r.id = :run GROUP BY r.id
""")  # noqa: S608  # the columns above
_BY_REASON = text("""
    SELECT reason, count(DISTINCT party_id) AS borrowers FROM (
        SELECT d.party_id, unnest(r.reasons) AS reason
        FROM decision d JOIN reason_set r ON r.id = d.reason_set_id
        WHERE d.campaign_run_id = :run AND d.business_date = (SELECT business_date FROM campaign_run WHERE id = :run)
          AND d.action = 'no_contact'
        UNION ALL
        SELECT a.party_id, jsonb_array_elements_text(coalesce(a.permit -> 'blocked_by', '["gate"]'::jsonb))
        FROM attempt a WHERE a.campaign_run_id = :run AND a.state = 'withheld'
    ) reasons GROUP BY reason ORDER BY borrowers DESC, reason
""")
# The run's withheld attempts are counted by themselves: asked for each decision, they were looked through once for each of them.
_TOTALS = text("""
    SELECT count(*) AS borrowers,
           count(*) FILTER (WHERE d.action = 'no_contact')
               + (SELECT count(DISTINCT a.decision_id) FROM attempt a WHERE a.campaign_run_id = :run AND a.state = 'withheld') AS withheld
    FROM decision d WHERE d.campaign_run_id = :run AND d.business_date = (SELECT business_date FROM campaign_run WHERE id = :run)
""")


def quick_counts(connection: Connection, campaign_run_id: int, *, at: datetime) -> dict[str, int]:
    """The run's `borrowers`, `withheld`, steps (not `paid`, which asks every borrower's loans), `waiting`, `failed`, `unknown`, `due`.

    One look at the run's attempts: for whoever wants to know at once how it goes.
    """
    return dict(connection.execute(_QUICK, {"run": campaign_run_id, "at": at}).mappings().one())


def read_answers(connection: Connection) -> dict[str, int]:
    """How often people answered what, most often first."""
    return {intent: count for intent, count in connection.execute(_ANSWERS)}  # noqa: C416  # rows are no tuples to dict()


def count_borrowers(connection: Connection) -> int:
    """How many different borrowers any decision looked at."""
    return int(connection.execute(text("SELECT count(DISTINCT party_id) FROM decision")).scalar_one())


_ANSWERS = text("SELECT intent, count(*) FROM outcome GROUP BY intent ORDER BY count(*) DESC, intent")
