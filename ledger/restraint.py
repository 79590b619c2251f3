"""What we did not do: whom nobody contacted and why, and what the gate held back at the last moment though it was planned.

A near miss is a planned contact that a rule forbade under the gate's lock: a stop, a payment or an hour that planning could not know.

In:   a connection; local business dates.
Out:  counts by day, rule and reason; nothing personal.
Pure: no; reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, text

from decisions.strategy import STAGE_ORDER
from ledger.figures import WENT_OUT
from ledger.run_narrowing import NOT_AMONG_APPROVED, NOT_APPROVED


@dataclass(frozen=True, slots=True, kw_only=True)
class NearMiss:
    """Planned contacts that the gate held back on a day, by one rule.

    Attributes:
        on: Business date.
        rule: Rule's id, or a reason of the gate's own.
        for_good: Contacts that were not made at all.
        for_now: Contacts that had to wait for a later hour.
    """

    on: date
    rule: str
    for_good: int
    for_now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Restraint:
    """A period in persons.

    Attributes:
        looked_at: People of whom it was decided whether to contact them.
        contacted: Of these, to whom something went out.
        left_alone: The others.
        by_reason: Reason or rule → people who were left alone for it on some day; somebody with several stands under each.
    """

    looked_at: int
    contacted: int
    left_alone: int
    by_reason: tuple[tuple[str, int], ...]


def near_misses(connection: Connection, *, first: date, last: date) -> list[NearMiss]:
    """What the gate held back in a period, the newest day first, of a day the most frequent rule first."""
    keys = {"first": first, "last": last, "people_said_no": [NOT_APPROVED, NOT_AMONG_APPROVED]}
    return [NearMiss(**row) for row in connection.execute(_NEAR_MISSES, keys).mappings()]


def by_rule(misses: Sequence[NearMiss]) -> list[tuple[str, int]]:
    """Near misses of a period by rule, the most frequent first; those for good and those for now together."""
    counts: Counter[str] = Counter()
    for one in misses:
        counts[one.rule] += one.for_good + one.for_now
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def restraint(connection: Connection, *, first: date, last: date) -> Restraint:
    """Who was left alone in a period, and why."""
    keys = {"first": first, "last": last, "stages": list(STAGE_ORDER)}
    looked_at, contacted = connection.execute(_TOTALS, keys).one()
    reasons = tuple((row.reason, row.people) for row in connection.execute(_REASONS, keys))
    return Restraint(looked_at=looked_at, contacted=contacted, left_alone=looked_at - contacted, by_reason=reasons)


# gate/claim.py names the rules behind these words.
_NEAR_MISSES = text("""
    SELECT t.business_date AS on, rule,
           count(DISTINCT t.attempt_id) FILTER (WHERE t.to_state = 'withheld') AS for_good,
           count(DISTINCT t.attempt_id) FILTER (WHERE t.to_state = 'planned') AS for_now
    FROM attempt_transition t
    CROSS JOIN LATERAL unnest(string_to_array(regexp_replace(t.cause, '^blocked( for now)?: ', ''), ', ')) AS rule
    WHERE t.business_date BETWEEN :first AND :last AND t.cause ~ '^blocked( for now)?: ' AND rule <> ALL(:people_said_no)
    GROUP BY t.business_date, rule
    ORDER BY t.business_date DESC, count(DISTINCT t.attempt_id) DESC, rule
""")
# What may have gone out is not called left alone.
_MAY_HAVE = f"({WENT_OUT} OR a.state IN ('submitting', 'unknown', 'parked'))"
_OF_PERIOD = "d.business_date BETWEEN :first AND :last AND d.stage = ANY(:stages)"
# Joined, not asked for each decision: without statistics of a new day that would be one look through all attempts for each.
_TOTALS = text(f"""
    SELECT count(DISTINCT d.party_id),
           (SELECT count(DISTINCT d.party_id) FROM decision d JOIN attempt a ON a.business_date = d.business_date AND a.decision_id = d.id
            WHERE {_OF_PERIOD} AND {_MAY_HAVE})
    FROM decision d WHERE {_OF_PERIOD}
""")  # noqa: S608  # the words above
_REASONS = text(f"""
    WITH people AS (
        SELECT d.party_id FROM decision d WHERE {_OF_PERIOD}
        EXCEPT
        SELECT d.party_id FROM decision d JOIN attempt a ON a.business_date = d.business_date AND a.decision_id = d.id
        WHERE {_OF_PERIOD} AND {_MAY_HAVE}
    )
    SELECT reason, count(DISTINCT party_id) AS people FROM (
        SELECT d.party_id, unnest(r.reasons) AS reason
        FROM decision d JOIN people USING (party_id) JOIN reason_set r ON r.id = d.reason_set_id
        WHERE {_OF_PERIOD} AND d.action = 'no_contact'
        UNION ALL
        SELECT a.party_id, jsonb_array_elements_text(coalesce(a.permit -> 'blocked_by', '["gate"]'::jsonb))
        FROM decision d JOIN people USING (party_id)
        JOIN attempt a ON a.business_date = d.business_date AND a.decision_id = d.id AND a.state = 'withheld'
        WHERE {_OF_PERIOD}) every
    GROUP BY reason ORDER BY people DESC, reason
""")  # noqa: S608  # the words above
