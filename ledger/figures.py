"""What a stage came to on a business date, beyond the funnel: who rolled and who cured, what was promised, answered and spent.

In:   a connection; a stage, dates that were aged, ids of campaign runs.
Out:  frames of loans at two dates for decisions/roll_rates.py; counts for decisions/kpis.py; segments for decisions/prices.py.
Pure: no; reads. Counts, loan ids and rule ids; nothing personal.
Source: SCIENCE.md F. A loan's bucket on a date is the one of `loan_aging`: as it was known when that date was aged.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, text

from decisions.facts import Schema
from decisions.kpis import CLOSED, CURRENT, IN_PLAN, PAID_OFF, RE_AGED, WRITTEN_OFF
from decisions.prices import Usage
from ledger.campaigns import ALL
from ledger.frames import Source, read

FROM: Final[Schema] = {
    "loan_id": pl.Int64,
    "party_id": pl.Int64,
    "currency": pl.String,
    "bucket": pl.String,
    "balance_minor": pl.Int64,
}
TO: Final[Schema] = {"loan_id": pl.Int64, "bucket": pl.String}
WEEK: Final = timedelta(days=7)
# A label is frozen at this age (SCIENCE.md C2): a payment counts for a decision when it came within so many days.
LABEL_DAYS: Final = 7
# A hold-out is counted over so many days before the label of the last one is frozen.
HOLD_OUT_DAYS: Final = 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The loans of a stage at t0, and where they are at t1.

    Attributes:
        since: t0, a date that was aged.
        until: t1.
        before: `FROM`, one row a loan.
        after: `TO`, the same loans.
    """

    since: date
    until: date
    before: pl.DataFrame
    after: pl.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldOut:
    """Who was left alone by chance though a contact was possible, beside who was contacted with the same chance.

    Attributes:
        held_out: Decisions in which the draw fell on no contact.
        held_out_paid: Of these, within `LABEL_DAYS` days a payment came.
        contacted: Decisions in which it could have fallen so, and did not.
        contacted_paid: Likewise.
    """

    held_out: int
    held_out_paid: int
    contacted: int
    contacted_paid: int


def aged_before(connection: Connection, business_date: date) -> date | None:
    """The last date before this one that was aged; None = none was."""
    found: date | None = connection.execute(_AGED_BEFORE, {"before": business_date}).scalar()
    return found


def is_aged(connection: Connection, business_date: date) -> bool:
    """Whether a date was aged."""
    return bool(connection.execute(_IS_AGED, {"on": business_date}).scalar_one())


def moved(source: Source, *, since: date, until: date, stage: str | None, scope: str = ALL) -> Moved:
    """The loans of a stage (None = of the whole portfolio, those that were not late too) at one date, and what became of them by another.

    A loan that is not late any more though no money has come in since is `re-aged`: an instalment or an older payment was corrected.

    Args:
        source: Either kind of connection.
        since: t0; must have been aged.
        until: t1; must have been aged.
        stage: pre_due, early, …; the treatment at t0.
        scope: `all`, or the creditors' country.
    """
    # A stage is one of a closed list of words, a scope two letters or `all`, dates are dates: nothing comes from outside.
    which = ("true" if stage is None else f"a.stage = '{stage}'") + ("" if scope == ALL else _OF_COUNTRY.format(scope=scope))
    days = {"since": f"'{since.isoformat()}'::date", "until": f"'{until.isoformat()}'::date"}
    loans = _PORTFOLIO if stage is None else _STAGE
    before = read(source, loans.format(which=which, **days), FROM)
    after = read(source, _AFTER.format(loans=loans.format(which=which, **days), **days), TO)
    return Moved(since=since, until=until, before=before, after=after)


def cured_borrowers(pair: Moved) -> int:
    """Borrowers whose every loan of the stage at t0 is current or paid off at t1."""
    return cured_by_borrower(pair).filter("cured").height


def cured_by_borrower(pair: Moved) -> pl.DataFrame:
    """`party_id`, `cured`: of each borrower with a late loan at t0, whether every one of them is current or paid off at t1."""
    each = pair.before.join(pair.after, on="loan_id", suffix="_after")
    cured = pl.col("bucket_after").is_in([CURRENT, PAID_OFF])
    late = each.filter(~pl.col("bucket").is_in([CURRENT, WRITTEN_OFF]))
    return late.group_by("party_id").agg(cured=cured.all())


def contacts_made(connection: Connection, *, stage: str | None, since: date, until: date, scope: str = ALL) -> int:
    """Contacts (what the caps count) with the borrowers who were in a stage (None = late) at t0, from then until before t1."""
    return int(connection.execute(_CONTACTS, {"stage": stage, "since": since, "until": until, "scope": scope}).scalar_one())


def promises(connection: Connection, *, stage: str, first: date, last: date, scope: str = ALL) -> dict[str, int]:
    """Promises that fell due in a period, by state, of people whose last message before the promise was of that stage."""
    rows = connection.execute(_PROMISES, {"stage": stage, "first": first, "last": last, "scope": scope})
    return {row.state: row.promises for row in rows}


def answers(connection: Connection, run: int) -> dict[str, int]:
    """Borrowers by what they answered to the run's messages; stops that came through the provider are stops."""
    return {row.intent: row.borrowers for row in connection.execute(_ANSWERS, {"run": run})}


def contacted(connection: Connection, run: int) -> int:
    """Borrowers to whom at least one message of the run went out."""
    return int(connection.execute(_CONTACTED, {"run": run}).scalar_one())


def usage(connection: Connection, run: int) -> list[Usage]:
    """Segments that went out, by channel and country; a message whose segments nobody counted is one."""
    return [Usage(**row) for row in connection.execute(_USAGE, {"run": run}).mappings()]


def not_sent(connection: Connection, run: int, *, at: datetime) -> list[dict[str, Any]]:
    """Planned messages that reached nobody or have not gone out yet: `channel`, `state`, `because`, `messages`, most first."""
    return [dict(row) for row in connection.execute(_NOT_SENT, {"run": run, "at": at}).mappings()]


def hold_out(connection: Connection, *, stage: str, until: date, scope: str = ALL) -> HoldOut:
    """What the hold-out of a stage paid, over the decisions whose labels are frozen by a date; all 0 where there is none."""
    last = until - timedelta(days=LABEL_DAYS)
    keys = {"stage": stage, "first": last - timedelta(days=HOLD_OUT_DAYS), "last": last, "label_days": LABEL_DAYS, "scope": scope}
    return HoldOut(**connection.execute(_HOLD_OUT, keys).mappings().one())


_AGED_BEFORE = text("SELECT max(business_date) FROM loan_aging WHERE business_date < :before")
_IS_AGED = text("SELECT EXISTS (SELECT FROM loan_aging WHERE business_date = :on)")
_WAS_WRITTEN_OFF = "(v.status = 'written_off' OR v.servicing_status = 'written_off') AND v.effective_at::date <= {since}"
_STAGE = f"""
    SELECT a.loan_id, a.party_id, v.currency, a.outstanding_minor AS balance_minor, a.days_past_due > 0 AS late,
           CASE WHEN {_WAS_WRITTEN_OFF} THEN '{WRITTEN_OFF}' ELSE a.bucket END AS bucket
    FROM loan_aging a JOIN loan_version v ON v.loan_id = a.loan_id AND v.superseded_at IS NULL
    WHERE a.business_date = {{since}} AND {{which}}
"""  # noqa: S608  # our own words, as below
_OF_COUNTRY = " AND EXISTS (SELECT FROM loan l JOIN creditor c ON c.id = l.creditor_id WHERE l.id = v.loan_id AND c.country = '{scope}')"
# Of a loan that is not late only its number counts: what it owes was not aged.
_PORTFOLIO = f"""
    SELECT v.loan_id, coalesce(a.party_id, 0) AS party_id, v.currency, coalesce(a.outstanding_minor, 0) AS balance_minor,
           coalesce(a.days_past_due > 0, false) AS late,
           CASE WHEN {_WAS_WRITTEN_OFF} THEN '{WRITTEN_OFF}' WHEN a.stage = 'in_plan' THEN '{IN_PLAN}'
                ELSE coalesce(a.bucket, '{CURRENT}') END AS bucket
    FROM loan_version v LEFT JOIN loan_aging a ON a.loan_id = v.loan_id AND a.business_date = {{since}}
    WHERE v.superseded_at IS NULL AND {{which}}
      AND (a.loan_id IS NOT NULL OR (v.status = 'active' AND v.servicing_status IN ('active', 'in_plan', 'placed', 'estate')
           AND coalesce(v.opened_on, v.effective_at::date) <= {{since}}))
"""  # noqa: S608  # as above
_AFTER = f"""
    SELECT f.loan_id, CASE
        WHEN f.bucket = '{WRITTEN_OFF}' OR v.status = 'written_off' OR v.servicing_status = 'written_off' THEN '{WRITTEN_OFF}'
        WHEN b.stage = 'in_plan' THEN '{IN_PLAN}'
        WHEN b.days_past_due > 0 THEN b.bucket
        WHEN v.servicing_status IN ('sold', 'settled', 'forgiven') OR v.status IN ('submitted', 'approved', 'rejected', 'withdrawn')
            THEN '{CLOSED}'
        WHEN f.late AND NOT EXISTS (
            SELECT FROM payment y
            WHERE y.loan_id = f.loan_id AND y.superseded_at IS NULL AND y.state = 'posted' AND y.paid_on >= {{since}})
            THEN '{RE_AGED}'
        WHEN v.servicing_status = 'paid' OR v.status IN ('closed', 'overpaid') OR NOT EXISTS (
            SELECT FROM instalment i WHERE i.loan_id = f.loan_id AND i.superseded_at IS NULL AND i.due_on >= {{until}})
            THEN '{PAID_OFF}'
        ELSE '{CURRENT}' END AS bucket
    FROM ({{loans}}) f
    JOIN loan_version v ON v.loan_id = f.loan_id AND v.superseded_at IS NULL
    LEFT JOIN loan_aging b ON b.business_date = {{until}} AND b.loan_id = f.loan_id
"""  # noqa: S608  # as above
_IN_SCOPE = (
    "(:scope = 'all' OR EXISTS (SELECT FROM party y JOIN creditor c ON c.id = y.creditor_id WHERE y.id = {party} AND c.country = :scope))"
)
_CONTACTS = text(f"""
    SELECT count(*) FROM contact_event e
    WHERE {_IN_SCOPE.format(party="e.party_id")}
      AND e.business_date >= :since AND e.business_date < :until AND e.direction = 'outbound' AND e.counts
      AND e.party_id IN (
          SELECT a.party_id FROM loan_aging a WHERE a.business_date = :since
             AND CASE WHEN CAST(:stage AS text) IS NULL THEN a.days_past_due > 0 ELSE a.stage = :stage END)
      AND NOT EXISTS (
        SELECT FROM contact_event u
        WHERE u.business_date = e.business_date AND u.about_event_id = e.id AND u.party_id = e.party_id AND u.uncounts)
""")  # noqa: S608  # as above
_PROMISES = text(f"""
    SELECT p.state, count(*) AS promises
    FROM promise p
    CROSS JOIN LATERAL (
        SELECT a.stage FROM attempt a
        WHERE a.party_id = p.party_id AND a.submitted_at <= p.effective_at ORDER BY a.submitted_at DESC LIMIT 1) said
    WHERE p.superseded_at IS NULL AND p.due_on BETWEEN :first AND :last AND said.stage = :stage
      AND {_IN_SCOPE.format(party="p.party_id")}
    GROUP BY p.state ORDER BY p.state
""")  # noqa: S608  # as above
_ANSWERS = text("""
    SELECT intent, count(DISTINCT party_id) AS borrowers FROM (
        SELECT o.intent, o.party_id
        FROM outcome o JOIN attempt a ON a.business_date = o.attempt_business_date AND a.id = o.attempt_id
        WHERE a.campaign_run_id = :run
        UNION ALL
        SELECT 'stop', a.party_id
        FROM attempt a JOIN opt_out s ON s.party_id = a.party_id AND s.superseded_at IS NULL AND starts_with(s.source, 'provider:')
        WHERE a.campaign_run_id = :run AND s.at >= a.submitted_at AND s.at < a.submitted_at + interval '7 days'
    ) said GROUP BY intent ORDER BY borrowers DESC, intent
""")
WENT_OUT = "a.state IN ('accepted', 'sent', 'delivered', 'read', 'replied', 'undelivered', 'failed')"
_CONTACTED = text(f"SELECT count(DISTINCT a.party_id) FROM attempt a WHERE a.campaign_run_id = :run AND {WENT_OUT}")  # noqa: S608  # as above
_USAGE = text(f"""
    SELECT a.channel, v.country, a.business_date AS on, sum(coalesce(a.segments, 1))::bigint AS segments
    FROM attempt a LEFT JOIN contact_point_version v ON v.contact_point_id = a.contact_point_id AND v.superseded_at IS NULL
    WHERE a.campaign_run_id = :run AND {WENT_OUT}
    GROUP BY a.channel, v.country, a.business_date ORDER BY a.channel, v.country
""")  # noqa: S608  # as above
_NOT_SENT = text("""
    SELECT a.channel, a.state, because, count(*) AS messages
    FROM attempt a
    LEFT JOIN LATERAL (
        SELECT t.cause FROM attempt_transition t
        WHERE t.business_date = a.business_date AND t.attempt_id = a.id ORDER BY t.id DESC LIMIT 1) last ON true
    CROSS JOIN LATERAL (SELECT CASE
        WHEN a.state = 'withheld' AND jsonb_array_length(coalesce(a.permit -> 'blocked_by', '[]')) > 0
            THEN (SELECT string_agg(r, ', ' ORDER BY r) FROM jsonb_array_elements_text(a.permit -> 'blocked_by') r)
        WHEN a.state = 'planned' AND a.send_after > :at THEN 'its hour has not come'
        WHEN a.state = 'planned' AND a.expires_at <= :at THEN 'its window has passed'
        WHEN a.state = 'planned' THEN 'due: paused, or the run is not done'
        WHEN a.error_code IS NOT NULL THEN 'error ' || a.error_code
        ELSE coalesce(last.cause, '') END AS because) why
    WHERE a.campaign_run_id = :run AND a.state NOT IN ('accepted', 'sent', 'delivered', 'read', 'replied')
    GROUP BY a.channel, a.state, because ORDER BY messages DESC, a.channel, a.state, because
""")
_HOLD_OUT = text(f"""
    SELECT count(*) FILTER (WHERE d.action = 'no_contact') AS held_out,
           count(*) FILTER (WHERE d.action = 'no_contact' AND paid) AS held_out_paid,
           count(*) FILTER (WHERE d.action = 'contact') AS contacted,
           count(*) FILTER (WHERE d.action = 'contact' AND paid) AS contacted_paid
    FROM decision d
    CROSS JOIN LATERAL (SELECT EXISTS (
        SELECT FROM loan_party lp JOIN payment p ON p.loan_id = lp.loan_id AND p.superseded_at IS NULL AND p.state = 'posted'
        WHERE lp.party_id = d.party_id AND lp.superseded_at IS NULL
          AND p.paid_on >= d.business_date AND p.paid_on < d.business_date + CAST(:label_days AS integer)) AS paid) came
    WHERE d.stage = :stage AND d.business_date BETWEEN :first AND :last AND d.propensities ? 'no_contact'
      AND {_IN_SCOPE.format(party="d.party_id")}
""")  # noqa: S608  # as above
