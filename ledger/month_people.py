"""What a month did to each borrower who was late in it, person by person: for comparing groups and arms, never for showing one of them.

In:   a connection; a country, the month's first and last date.
Out:  frames with party ids, which stay inside the process; the pages hold what decisions/month_fairness.py makes of them.
Pure: no; reads.
Source: SCIENCE.md C3, F. A contact is what the caps count and was not un-counted.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

import polars as pl

from decisions.facts import Schema
from decisions.kpis import COMPLAINTS
from decisions.wallet_flows import INCOME
from ledger.frames import Source, read
from ledger.month_figures import MADE, Period

# One row a borrower who was late on an aged date of the month.
PEOPLE: Final[Schema] = {
    "party_id": pl.Int64,
    "bucket": pl.String,  # of her latest loan, on the first of these dates
    "spare_share": pl.Float64,  # of counted income, what essentials and other debts leave; null = nothing is known of it
    "borrowers": pl.Int64,  # 1
    "weeks": pl.Int64,  # calendar weeks in which she was late
    "contacts": pl.Int64,
    "reached": pl.Int64,  # 1: at least one contact was delivered
    "objected": pl.Int64,  # 1: complained, disputed, said stop, or was the wrong person
    "offered": pl.Int64,  # 1: she saw a plan or a later date that fits
    "relieved": pl.Int64,  # 1: she was left in peace for hardship, or a plan of hers was agreed
    "judged": pl.Int64,  # promises that fell due and were judged
    "kept": pl.Int64,
}
OWED: Final[Schema] = {"party_id": pl.Int64, "owed_minor": pl.Int64, "paid_minor": pl.Int64, "objected": pl.Int64, "contacts": pl.Int64}
# What moved in a wallet in so many days before the month says what somebody had to spare in it.
SPARE_DAYS: Final = 90


def late_people(source: Source, period: Period) -> pl.DataFrame:
    """Everybody who was late in the month, with what happened to her: `PEOPLE`."""
    filled = {
        **_dates(period),
        "since": _day(period.first - timedelta(days=SPARE_DAYS)),
        "income": ", ".join(f"'{kind}'" for kind in sorted(INCOME)),
    }
    return read(source, _PEOPLE.format(**filled), PEOPLE)


def owed_and_paid(source: Source, period: Period) -> pl.DataFrame:
    """Everybody who was late on the first of two dates: what was past due, what came in until the second, objections and contacts: `OWED`.

    Args:
        source: Either kind of connection.
        period: From one aged date to another.
    """
    return read(source, _OWED.format(**_dates(period)), OWED)


def _dates(period: Period) -> dict[str, str]:
    # A country is two letters, dates are dates: nothing comes from outside.
    of = f"(SELECT p.id FROM party p JOIN creditor c ON c.id = p.creditor_id WHERE c.country = '{period.country}')"  # noqa: S608  # see above
    return {"first": _day(period.first), "last": _day(period.last), "parties": of, "made": MADE, "intents": _INTENTS}


def _day(on: date) -> str:
    return f"'{on.isoformat()}'::date"


_INTENTS: Final = ", ".join(f"'{intent}'" for intent in COMPLAINTS)
_OBJECTED: Final = """
    SELECT party_id FROM outcome WHERE at::date BETWEEN {first} AND {last} AND intent IN ({intents})
    UNION SELECT party_id FROM opt_out WHERE superseded_at IS NULL AND at::date BETWEEN {first} AND {last}
    UNION SELECT party_id FROM borrower_case WHERE kind = 'complaint' AND opened_on BETWEEN {first} AND {last}
"""
_CONTACTS: Final = """
    SELECT e.party_id, count(*) AS contacts FROM contact_event e
    WHERE e.business_date BETWEEN {first} AND {last} AND {made} GROUP BY 1
"""
_PEOPLE: Final = f"""
    WITH late AS (
        SELECT party_id, count(DISTINCT date_trunc('week', business_date)) AS weeks, min(business_date) AS first_on FROM loan_aging
        WHERE business_date BETWEEN {{first}} AND {{last}} AND days_past_due > 0 AND party_id IN {{parties}} GROUP BY 1),
    stood AS (
        SELECT DISTINCT ON (l.party_id) l.party_id, a.bucket FROM late l
        JOIN loan_aging a ON a.business_date = l.first_on AND a.party_id = l.party_id AND a.days_past_due > 0
        WHERE a.business_date BETWEEN {{first}} AND {{last}} ORDER BY l.party_id, a.days_past_due DESC, a.loan_id),
    moved AS (
        SELECT f.party_id, f.currency, sum(f.amount_minor) FILTER (WHERE f.kind IN ({{income}})) AS came,
               coalesce(sum(f.amount_minor) FILTER (WHERE f.kind IN ('essential', 'debt')), 0) AS went
        FROM wallet_flow f WHERE f.superseded_at IS NULL AND f.moved_on >= {{since}} AND f.moved_on < {{first}} GROUP BY 1, 2),
    spare AS (SELECT party_id, min((came - went) / came) AS share FROM moved WHERE came > 0 GROUP BY 1),
    made AS ({_CONTACTS}),
    got AS (
        SELECT DISTINCT a.party_id FROM attempt a
        WHERE a.business_date BETWEEN {{first}} AND {{last}} AND a.state IN ('delivered', 'read', 'replied')
        UNION SELECT e.party_id FROM contact_event e WHERE e.business_date BETWEEN {{first}} AND {{last}} AND {{made}}
          AND e.result IN ('delivered', 'read', 'conversation')),
    objected AS ({_OBJECTED}),
    offered AS (
        SELECT DISTINCT party_id FROM plan_offer WHERE at::date BETWEEN {{first}} AND {{last}} AND road IN ('plan', 'extension')),
    relieved AS (
        SELECT party_id FROM hold WHERE kind = 'hardship' AND superseded_at IS NULL AND starts_at::date BETWEEN {{first}} AND {{last}}
        UNION SELECT o.party_id FROM plan_version v JOIN plan p ON p.id = v.plan_id
        JOIN loan_party o ON o.loan_id = p.loan_id AND o.superseded_at IS NULL AND o.role = 'borrower'
        WHERE v.agreed_on BETWEEN {{first}} AND {{last}} AND v.status IN ('active', 'late', 'broken', 'renegotiated', 'completed')),
    promised AS (
        SELECT party_id, count(*) AS judged, count(*) FILTER (WHERE state = 'kept') AS kept FROM promise
        WHERE superseded_at IS NULL AND due_on BETWEEN {{first}} AND {{last}} AND state IN ('kept', 'partial', 'broken') GROUP BY 1)
    SELECT l.party_id, s.bucket, w.share::float8 AS spare_share, 1::bigint AS borrowers, l.weeks, coalesce(m.contacts, 0) AS contacts,
           (g.party_id IS NOT NULL)::int::bigint AS reached, (b.party_id IS NOT NULL)::int::bigint AS objected,
           (o.party_id IS NOT NULL)::int::bigint AS offered, (r.party_id IS NOT NULL)::int::bigint AS relieved,
           coalesce(p.judged, 0) AS judged, coalesce(p.kept, 0) AS kept
    FROM late l JOIN stood s USING (party_id) LEFT JOIN spare w USING (party_id) LEFT JOIN made m USING (party_id)
    LEFT JOIN got g USING (party_id) LEFT JOIN objected b USING (party_id) LEFT JOIN offered o USING (party_id)
    LEFT JOIN relieved r USING (party_id) LEFT JOIN promised p USING (party_id)
    ORDER BY l.party_id
"""  # noqa: S608  # our own words, as below
_OWED: Final = f"""
    WITH late AS (
        SELECT party_id, sum(past_due_minor)::bigint AS owed_minor FROM loan_aging
        WHERE business_date = {{first}} AND days_past_due > 0 AND party_id IN {{parties}} GROUP BY 1),
    came AS (
        SELECT lp.party_id, sum(p.amount_minor)::bigint AS paid_minor FROM payment p
        JOIN loan_party lp ON lp.loan_id = p.loan_id AND lp.superseded_at IS NULL AND lp.role = 'borrower'
        WHERE p.superseded_at IS NULL AND p.state IN ('posted', 'reversed') AND p.paid_on >= {{first}} AND p.paid_on < {{last}} GROUP BY 1),
    made AS ({_CONTACTS}),
    objected AS ({_OBJECTED})
    SELECT l.party_id, l.owed_minor, coalesce(c.paid_minor, 0) AS paid_minor, (b.party_id IS NOT NULL)::int::bigint AS objected,
           coalesce(m.contacts, 0) AS contacts
    FROM late l LEFT JOIN came c USING (party_id) LEFT JOIN objected b USING (party_id) LEFT JOIN made m USING (party_id)
    ORDER BY l.party_id
"""  # noqa: S608
