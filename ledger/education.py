"""Who may be offered a lesson: whose next payment is some days away, and who was late and is current again.

In:   a connection, a local date, the terms of config/education.yaml.
Out:  `decisions.education.PEOPLE`; the lessons that went out.
Pure: no; reads. Contacts are read from the one log that all caps read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import polars as pl
from sqlalchemy import Connection, text

from decisions.education import EDUCATION, PEOPLE, EducationTerms


def in_question(connection: Connection, *, on: date, terms: EducationTerms) -> pl.DataFrame:
    """People for whom a lesson would be in time, as many as a day may have.

    Args:
        connection: Any.
        on: Local date.
        terms: In force.

    Returns:
        `PEOPLE`, by id. Nobody whose next payment is nearer than the lesson may come to it, and nobody whom the day's ageing found
        late, nearly due or in a plan. Where there are too many, others are left out on another day.
    """
    keys = {
        "on": on,
        "nearest": on + timedelta(days=terms.days_before_min),
        "farthest": on + timedelta(days=terms.days_before_max),
        "late_since": on - timedelta(days=terms.cured_within_days),
        "at_most": terms.people_a_day_max,
    }
    rows = connection.execute(_IN_QUESTION, keys).all()
    return pl.DataFrame([tuple(row) for row in rows], schema=PEOPLE, orient="row").sort("party_id")


def had(connection: Connection, party_ids: Sequence[int]) -> set[tuple[int, str]]:
    """(party, lesson) of every lesson that went out to some people, without those that were taken back."""
    rows = connection.execute(_HAD, {"parties": list(party_ids), "purpose": EDUCATION})
    return {(row.party_id, row.message) for row in rows}


# Loans that are simply paid back, by whoever stands for them. A plan, an agency or a sale is a treatment of its own.
_THEIRS: Final = """
    SELECT lp.party_id, lp.loan_id
    FROM loan_party lp
    JOIN loan_version v ON v.loan_id = lp.loan_id AND v.superseded_at IS NULL AND v.status = 'active' AND v.servicing_status = 'active'
    WHERE lp.superseded_at IS NULL AND lp.role IN ('borrower', 'co_borrower')
      AND (lp.starts_on IS NULL OR lp.starts_on <= :on) AND (lp.ends_on IS NULL OR lp.ends_on > :on)
"""
# What today's ageing kept is late, nearly due or in a plan, and takes nobody's place. The facts, aged again, decide.
_IN_QUESTION = text(f"""
    WITH theirs AS MATERIALIZED ({_THEIRS}),
    due AS (
        SELECT t.party_id, min(i.due_on) AS next_due_on
        FROM instalment i JOIN theirs t ON t.loan_id = i.loan_id
        WHERE i.superseded_at IS NULL AND i.due_on >= :on AND i.due_on <= :farthest
        GROUP BY t.party_id
    ),
    cured AS (
        SELECT DISTINCT t.party_id
        FROM loan_aging a JOIN theirs t ON t.loan_id = a.loan_id
        WHERE a.business_date >= :late_since AND a.business_date < :on AND a.stage IN ('early', 'mid', 'late', 'recovery')
    )
    SELECT party_id, c.party_id IS NOT NULL AS is_cured, d.party_id IS NOT NULL AS is_due_soon
    FROM due d FULL JOIN cured c USING (party_id)
    WHERE coalesce(d.next_due_on >= :nearest, true)
      AND NOT EXISTS (
        SELECT 1 FROM loan_aging a WHERE a.business_date = :on AND a.party_id = coalesce(d.party_id, c.party_id))
    ORDER BY md5(coalesce(d.party_id, c.party_id) || ' ' || CAST(:on AS text)) LIMIT :at_most
""")  # noqa: S608  # no text from outside
_HAD = text("""
    SELECT DISTINCT e.party_id, a.message
    FROM contact_event e JOIN attempt a ON a.business_date = e.attempt_business_date AND a.id = e.attempt_id
    WHERE e.party_id = ANY(:parties) AND e.purpose = :purpose AND e.direction = 'outbound' AND e.about_event_id IS NULL
      AND NOT EXISTS (
        SELECT 1 FROM contact_event u
        WHERE u.business_date = e.business_date AND u.party_id = e.party_id AND u.about_event_id = e.id AND u.uncounts)
""")
