"""The past: what is known of some people at an instant, read from the ledger as the frames of decisions/past.py.

Only rows that were recorded until then are read, in the versions that were in force then, and of them only what had happened: what becomes
known later changes nothing of it (DOMAIN.md, "Two times on every fact").

In:   an open connection; facts of the same people, read as of the same instants (ledger/facts.py).
Out:  `decisions.past.Past`.
Pure: no; reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import polars as pl

from decisions import past
from decisions.facts import Facts
from decisions.past import CONTACT_DAYS, FLOW_DAYS, PAYMENT_DAYS, Past
from decisions.wallet_flows import BALANCE, GOES_OUT, INCOME
from ledger.frames import Known, Source, ids_clause, instant, read
from ledger.partitions import dated_from

# A way to her that is somebody else's is none.
NOT_HERS: Final = ("wrong", "reassigned")


def read_past(source: Source, *, facts: Facts, at: datetime, business_date: date, known_at: datetime | None = None) -> Past:
    """Read the past of everybody in `facts`.

    Args:
        source: An ADBC connection, or a SQLAlchemy connection.
        facts: Of the same people at the same instants: whose loans are late, by which ways they may be reached, what they stopped.
        at: Business instant: contacts and answers before it.
        business_date: Local date: payments, flows and liabilities until it.
        known_at: Wall clock: as we knew it then; None = as we know it now.

    Returns:
        Frames with the schemas of decisions/past.py, in an order that does not change.
    """
    known = Known(known_at)
    filled: dict[str, Any] = {
        "who": ids_clause(facts.borrowers["party_id"].to_list()),
        "at": instant(at),
        "on": f"'{business_date.isoformat()}'::date",
        "paid_from": f"'{(business_date - timedelta(days=PAYMENT_DAYS)).isoformat()}'::date",
        "flows_from": f"'{(business_date - timedelta(days=FLOW_DAYS - 1)).isoformat()}'::date",
        "contacts_from": instant(at - timedelta(days=CONTACT_DAYS)),
        "contacts_on": dated_from(at - timedelta(days=CONTACT_DAYS)),
        "known": known,
        "recorded_e": known.recorded("e"),
        "recorded_o": known.recorded("o"),
        "owing": _listed(_OWING),
        "income": _listed(INCOME),
        "spent": _listed(GOES_OUT),
        "balance": _listed((BALANCE,)),
    }
    owed = OWES.format(**filled)
    frames = {name: read(source, statement.format(owed=owed, **filled), past.SCHEMAS[name]) for name, statement in STATEMENTS.items()}
    return Past(
        people=facts.borrowers.select("party_id", zone=pl.coalesce("known_zone", pl.col("zones").list.first())),
        loans=facts.loans.filter(pl.col("role").is_in(_OWING)).select(past.LOANS.keys()),
        reach=_reach(facts),
        stops=_stops(facts, at),
        **frames,
    )


def _reach(facts: Facts) -> pl.DataFrame:
    hers = (pl.col("status") == "active") & (pl.col("owner") == "borrower") & ~pl.col("ownership").is_in(NOT_HERS)
    verified = pl.col("verified_on").is_not_null() | (pl.col("ownership") == "verified")
    return facts.contact_points.filter(hers.fill_null(False)).select("party_id", "kind", verified=verified.fill_null(False))


def _stops(facts: Facts, at: datetime) -> pl.DataFrame:
    at = at.astimezone(UTC)  # as in decisions/features.py
    in_force = (pl.col("at") <= at) & (pl.col("until").is_null() | (pl.col("until") > at))
    return facts.opt_outs.filter(in_force).select("party_id", "channel")


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"'{word}'" for word in sorted(words))


# Who pays; who only advises or represents somebody does not.
_OWING: Final = ("borrower", "co_borrower", "guarantor")
OWES: Final = """
    SELECT DISTINCT m.party_id, m.loan_id FROM loan_party m
    WHERE m.party_id {who} AND {known[m]} AND m.role IN ({owing})
      AND (m.starts_on IS NULL OR m.starts_on <= {on}) AND (m.ends_on IS NULL OR m.ends_on > {on})
"""
STATEMENTS: Final = {
    "instalments": """
        SELECT m.party_id, i.loan_id, i.due_on, i.principal_minor + i.interest_minor + i.fee_minor + i.penalty_minor AS amount_minor
        FROM ({owed}) m JOIN instalment i ON i.loan_id = m.loan_id AND {known[i]}
        ORDER BY m.party_id, i.loan_id, i.number
    """,
    # Money that is only claimed or pending may not arrive, and what was taken back did not.
    "payments": """
        SELECT m.party_id, y.loan_id, y.paid_on, y.paid_at, y.amount_minor
        FROM ({owed}) m
        JOIN payment y ON y.loan_id = m.loan_id AND {known[y]} AND y.state = 'posted' AND y.paid_on BETWEEN {paid_from} AND {on}
        WHERE NOT EXISTS (
            SELECT FROM payment r WHERE r.loan_id = y.loan_id AND r.reverses_external_id = y.external_id AND {known[r]})
        ORDER BY m.party_id, y.loan_id, y.paid_on, y.external_id
    """,
    # What became of a contact stands in later rows about it; one that was taken back was none.
    "contacts": """
        SELECT c.party_id, c.at, c.channel,
               CASE WHEN c.arrived THEN true WHEN c.failed THEN false END AS delivered, c.read, c.answered
        FROM (
            SELECT e.party_id, coalesce(e.about_event_id, e.id) AS event_id,
                   min(e.at) FILTER (WHERE e.about_event_id IS NULL) AS at,
                   min(e.channel) FILTER (WHERE e.about_event_id IS NULL) AS channel,
                   bool_or(e.result IN ('delivered', 'read', 'conversation', 'voicemail', 'limited_content_voicemail')) AS arrived,
                   bool_or(e.result IN ('undelivered', 'failed', 'not_in_service', 'wrong_number')) AS failed,
                   bool_or(e.result IN ('read', 'conversation')) AS read,
                   bool_or(e.result = 'conversation') AS answered
            FROM contact_event e
            WHERE e.party_id {who} AND e.at >= {contacts_from} AND e.at < {at} AND e.business_date >= {contacts_on} AND {recorded_e}
              AND e.direction = 'outbound'
            GROUP BY e.party_id, coalesce(e.about_event_id, e.id)
            HAVING bool_or(e.counts) AND NOT bool_or(e.uncounts)
        ) c
        WHERE c.at IS NOT NULL
        ORDER BY c.party_id, c.at, c.event_id
    """,
    "replies": """
        SELECT o.party_id, o.at, o.channel, o.intent
        FROM outcome o
        WHERE o.party_id {who} AND o.at >= {contacts_from} AND o.at < {at} AND {recorded_o}
        ORDER BY o.party_id, o.at, o.id
    """,
    "promises": """
        SELECT s.party_id, s.due_on, s.state
        FROM promise s WHERE s.party_id {who} AND {known[s]} AND s.effective_at < {at} ORDER BY s.party_id, s.due_on, s.id
    """,
    "plans": """
        SELECT m.party_id, p.loan_id, v.status
        FROM ({owed}) m JOIN plan p ON p.loan_id = m.loan_id
        JOIN plan_version v ON v.plan_id = p.id AND {known[v]} AND v.effective_at < {at}
        ORDER BY m.party_id, p.loan_id, p.id
    """,
    "flows": """
        SELECT f.party_id, f.moved_on, f.currency,
               coalesce(sum(f.amount_minor) FILTER (WHERE f.kind IN ({income})), 0)::bigint AS income_minor,
               coalesce(sum(f.amount_minor) FILTER (WHERE f.kind IN ({spent})), 0)::bigint AS spent_minor,
               (sum(f.amount_minor) FILTER (WHERE f.kind IN ({balance})))::bigint AS balance_minor
        FROM wallet_flow f
        WHERE f.party_id {who} AND {known[f]} AND f.moved_on BETWEEN {flows_from} AND {on}
        GROUP BY f.party_id, f.moved_on, f.currency ORDER BY f.party_id, f.moved_on, f.currency
    """,
}
