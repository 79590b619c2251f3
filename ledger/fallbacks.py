"""Fallbacks: whom today's message surely did not reach, and the attempt by another way that takes its place.

A decision is made once a day. What falls back is its attempt: another try under the same decision, by the channel that comes next,
through the gate like the first. Only what surely failed falls back: refused by the provider, reported as not delivered, or
withheld by the gate for nothing but what stood against that way. What
nobody knows, and what a provider has no record of, is never made up for (I2).

In:   a connection; under the borrowers' lock when an attempt is planned.
Out:  rows of `attempt`.
Pure: no; reads and writes the ledger.
Source: docs/adr/0028, 0033.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, text

from ledger.attempts import NO_RECORD
from ledger.campaigns import STOPPED_STATES
from ledger.tables import SENDING_APPROVALS, SENDING_CANARIES, STAGES

# A day's message is tried three times at most, whatever the number of channels.
TRIES_MAX: Final = 3
# A business date somewhere on earth, in UTC.
REACH: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The last try of a day's message, which surely reached nobody.

    Attributes:
        business_date: Of the attempt.
        campaign_run_id: Its run.
        stage: Of the run.
        party_id: Whom it was for.
        decision_id: What it followed from.
        try_number: Of the last try.
        ways: (contact point, channel) of every try of that day.
    """

    business_date: date
    campaign_run_id: int
    stage: str
    party_id: int
    decision_id: int
    try_number: int
    ways: frozenset[tuple[int, str]]


def runs_today(connection: Connection, *, at: datetime) -> list[int]:
    """Ids of the stages' runs whose business date is today somewhere."""
    keys = {"first": (at - REACH).date(), "last": (at + REACH).date(), "stages": list(STAGES)}
    return list(connection.execute(_RUNS, keys).scalars())


def failed_today(
    connection: Connection,
    *,
    runs: Sequence[int],
    of_the_way: Collection[str],
    at: datetime,
    at_most: int,
    parties: Sequence[int] | None = None,
) -> list[Failed]:
    """Whose day's message surely did not arrive, while its day is not over and another try is left; the latest first.

    Args:
        connection: Inside a transaction.
        runs: Of these runs.
        of_the_way: Reasons that stand against a way alone (`decisions.gate_verdict.reasons_of_the_way`): what the gate withheld for
            nothing else has failed too.
        at: Business instant.
        at_most: So many.
        parties: Only these; None = everybody.
    """
    keys = {
        "runs": list(runs),
        "at": at,
        "first": (at - REACH).date(),
        "last": (at + REACH).date(),
        "tries_max": TRIES_MAX,
        "no_record": NO_RECORD,
        "of_the_way": json.dumps(sorted(of_the_way)),
        "stopped": list(STOPPED_STATES),
        "approvals": list(SENDING_APPROVALS),
        "canaries": list(SENDING_CANARIES),
        "parties": None if parties is None else list(parties),
        "at_most": at_most,
    }
    return [_failed(dict(row)) for row in connection.execute(_FAILED, keys).mappings()]


def plan_tries(connection: Connection, tries: Sequence[Mapping[str, Any]]) -> int:
    """Plan the next try of a day's message.

    Args:
        connection: Inside the transaction that holds the borrowers.
        tries: `business_date`, `decision_id`, `campaign_run_id`, `party_id`, `stage`, `try_number`, and of decisions/choose.DECISIONS
            `contact_point_id`, `step`, `channel`, `purpose`, `message`, `offer`, `locale`, `send_after`, `expires_at`.

    Returns:
        How many were planned; one is missing where another try has become live meanwhile.
    """
    return connection.execute(_PLAN, {"rows": json.dumps([dict(one) for one in tries], default=str)}).rowcount if tries else 0


def _failed(row: Mapping[str, Any]) -> Failed:
    ways = frozenset(zip(row["points"], row["channels"], strict=True))
    return Failed(**{name: value for name, value in row.items() if name not in {"points", "channels"}}, ways=ways)


_RUNS = text("""
    SELECT id FROM campaign_run
    WHERE business_date BETWEEN :first AND :last AND stage = ANY(CAST(:stages AS text[])) AND NOT preview ORDER BY id
""")
# One that is withheld, expired or taken back has had its answer: nothing takes its place. What stands against that way alone is
# no answer: nothing stands against writing to the person.
_FAILED = text("""
    SELECT a.business_date, a.campaign_run_id, a.stage, a.party_id, a.decision_id, max(a.try_number) AS try_number,
           array_agg(a.contact_point_id ORDER BY a.id) AS points, array_agg(a.channel ORDER BY a.id) AS channels
    FROM attempt a
    JOIN campaign_run r ON r.id = a.campaign_run_id AND NOT r.preview AND r.state <> ALL(CAST(:stopped AS text[]))
     AND r.approval = ANY(CAST(:approvals AS text[])) AND r.canary = ANY(CAST(:canaries AS text[]))
    WHERE a.business_date BETWEEN :first AND :last AND a.campaign_run_id = ANY(CAST(:runs AS bigint[]))
      AND (CAST(:parties AS bigint[]) IS NULL OR a.party_id = ANY(CAST(:parties AS bigint[])))
    GROUP BY a.business_date, a.campaign_run_id, a.stage, a.party_id, a.decision_id
    HAVING bool_and((a.state IN ('rejected', 'undelivered', 'failed') AND a.error_code IS DISTINCT FROM :no_record)
                    OR (a.state = 'withheld' AND a.permit -> 'blocked_by' <> '[]'
                        AND a.permit -> 'blocked_by' <@ CAST(:of_the_way AS jsonb)))
       AND max(a.try_number) < :tries_max AND max(a.expires_at) > :at
    ORDER BY max(a.id) DESC LIMIT :at_most
""")
_PLAN = text("""
    INSERT INTO attempt (business_date, decision_id, campaign_run_id, party_id, contact_point_id, stage, step, try_number, channel, purpose,
                         message, offer, locale, state, token, send_after, expires_at)
    SELECT business_date, decision_id, campaign_run_id, party_id, contact_point_id, stage, step, try_number, channel, purpose,
           message, offer, locale, 'planned', gen_random_uuid(), send_after, expires_at
    FROM jsonb_to_recordset(CAST(:rows AS jsonb))
        AS r(business_date date, decision_id bigint, campaign_run_id bigint, party_id bigint, contact_point_id bigint, stage text,
             step integer, try_number integer, channel text, purpose text, message text, offer text, locale text, send_after timestamptz,
             expires_at timestamptz)
    ON CONFLICT DO NOTHING
""")
