"""What a month came to for one country's creditors, read whole from the ledger: flow, promises, plans, cohorts, contacts, harm.

In:   a connection; a country; the month's first and last date.
Out:  frames and counts for decisions/month_kpis.py and decisions/kpis.py; no ids, nothing personal.
Pure: no; reads.
Source: SCIENCE.md F. A contact is what the caps count and was not un-counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, text

from decisions.assignment import CHAMPION, MINIMUM, ORDINARY
from decisions.choose import GROUP
from decisions.facts import Schema
from decisions.kpis import COMPLAINTS
from decisions.prices import Usage
from ledger.figures import WENT_OUT
from ledger.tables import SENDING_APPROVALS

FLOW: Final[Schema] = {
    "business_date": pl.Date,
    "scheme": pl.String,
    "bucket": pl.String,
    "currency": pl.String,
    "loans": pl.Int64,
    "owed_minor": pl.Int64,
}
PROMISED: Final[Schema] = {"state": pl.String, "currency": pl.String, "promises": pl.Int64, "amount_minor": pl.Int64}
LIVES: Final[Schema] = {"days": pl.Int64, "ended": pl.Boolean}
PLACED: Final[Schema] = {"cohort": pl.String, "currency": pl.String, "loans": pl.Int64, "owed_minor": pl.Int64, "last_placed_on": pl.Date}
PAID: Final[Schema] = {"cohort": pl.String, "currency": pl.String, "day": pl.Int64, "paid_minor": pl.Int64}
BOOKED: Final[Schema] = {"cohort": pl.String, "seen_months": pl.Int64, "late_months": pl.Int64, "loans": pl.Int64}
HOURS: Final[Schema] = {"weekday": pl.Int64, "hour": pl.Int64, "contacts": pl.Int64, "answered": pl.Int64, "paid": pl.Int64}
# Within so many days of a contact somebody answers it, or pays.
ANSWERED_DAYS: Final = 1
PAID_DAYS: Final = 7
NEW_LOAN_DAYS: Final = 7
COHORTS_MAX: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """One month of one country.

    Attributes:
        country: Of the creditors.
        first: The month's first date.
        last: Its last one, or that of the look where it is not over.
    """

    country: str
    first: date
    last: date

    @property
    def keys(self) -> dict[str, Any]:
        """As the statements below want it."""
        return {"country": self.country, "first": self.first, "last": self.last}


def countries(connection: Connection) -> list[str]:
    """Countries whose creditors have loans here."""
    return list(connection.execute(_COUNTRIES).scalars())


def last_aged(connection: Connection, *, from_: date, until: date) -> date | None:
    """The last date in a time that was aged; None = none was."""
    found: date | None = connection.execute(_LAST_AGED, {"from": from_, "until": until}).scalar()
    return found


def schemes(connection: Connection, country: str) -> pl.DataFrame:
    """`loan_id`, `scheme`: by which buckets each loan is counted."""
    rows = connection.execute(_SCHEMES, {"country": country}).all()
    return pl.DataFrame(rows, schema={"loan_id": pl.Int64, "scheme": pl.String}, orient="row")


def flow(connection: Connection, period: Period) -> pl.DataFrame:
    """Late loans by aged date, scheme, bucket and currency: `FLOW`."""
    return _frame(connection, _FLOW, period, FLOW)


def promised(connection: Connection, period: Period) -> pl.DataFrame:
    """Promises that fell due, by state and currency (null: no amount was named): `PROMISED`."""
    return _frame(connection, _PROMISED, period, PROMISED)


def plan_lives(connection: Connection, period: Period) -> pl.DataFrame:
    """Days from a plan's agreement until it broke, or until it was last seen whole: `LIVES`; all that were agreed until the month's end."""
    return _frame(connection, _LIVES, period, LIVES)


def plan_takeup(connection: Connection, period: Period) -> tuple[int, int]:
    """Borrowers who saw what fits them, and of these who took a choice."""
    took, offered = connection.execute(_TAKEUP, period.keys).one()
    return int(took), int(offered)


def placed(connection: Connection, period: Period) -> pl.DataFrame:
    """Cohorts by the month in which a loan was first late, what it owed then: `PLACED`, at most the last twelve."""
    return _frame(connection, _PLACED, period, PLACED)


def paid_since(connection: Connection, period: Period) -> pl.DataFrame:
    """What came in on these cohorts by day since a loan's first late day, net of what was taken back: `PAID`."""
    return _frame(connection, _PAID, period, PAID)


def booked(connection: Connection, period: Period) -> pl.DataFrame:
    """Loans by origination month, months on book and month of first being 30 days late: `BOOKED`, at most the last twelve months."""
    return _frame(connection, _BOOKED, period, BOOKED)


def contacts_a_week(connection: Connection, period: Period) -> dict[int, int]:
    """Contacts of a borrower in a calendar week → how many borrower-weeks, of everybody late in it; weeks that ended in the month."""
    return {row.contacts: row.weeks for row in connection.execute(_A_WEEK, period.keys)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """What was sent, and what people said of it.

    Attributes:
        contacts: Made.
        borrowers: Contacted at least once.
        complaints: What was said (`decisions.kpis.COMPLAINTS`) → borrowers.
        upheld: Of complaints closed in the month, upheld.
        closed: Complaints closed in the month.
    """

    contacts: int
    borrowers: int
    complaints: dict[str, int]
    upheld: int
    closed: int


def spoken(connection: Connection, period: Period) -> Spoken:
    """Contacts and complaints of a month."""
    contacts, borrowers = connection.execute(_CONTACTED, period.keys).one()
    said = {row.intent: row.borrowers for row in connection.execute(_SAID, {**period.keys, "intents": list(COMPLAINTS)})}
    upheld, closed = connection.execute(_UPHELD, period.keys).one()
    return Spoken(contacts=contacts, borrowers=borrowers, complaints=said, upheld=upheld, closed=closed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Harm:
    """What must not happen, or is watched.

    Attributes:
        payments: Payments of the month by people whose wallet's end of day is known.
        short: Of these, after which it held less than what is left aside.
        payers: Payments of the month.
        new_loans: Of these, after which the same person took a new loan here within seven days.
        after_stop: Contacts about money after she had said stop to that way, still in force.
    """

    payments: int
    short: int
    payers: int
    new_loans: int
    after_stop: int


def harm(connection: Connection, period: Period, *, aside_minor: dict[str, int]) -> Harm:
    """Harm watch; `aside_minor`: currency → what a wallet should keep."""
    short, known = 0, 0
    for currency, least in aside_minor.items():
        row = connection.execute(_SHORT, {**period.keys, "currency": currency, "least": least}).one()
        short, known = short + row.short, known + row.known
    new_loans, payers = connection.execute(_NEW_LOANS, period.keys).one()
    return Harm(
        payments=known,
        short=short,
        payers=payers,
        new_loans=new_loans,
        after_stop=int(connection.execute(_AFTER_STOP, period.keys).scalar_one()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Whom contacts got through to, and what was promised then.

    Attributes:
        contacts: Made.
        calls: Of these, by telephone.
        answered: Calls in which somebody talked.
        right_party: Contacts in which the borrower herself talked.
        spoken_with: Borrowers with whom there was such a talk.
        logged_in: Borrowers who opened their page by a link of the month, which asks who they are.
        talk_promises: Promises that were made in talks.
        replies: Messages that people wrote.
        reply_promises: Promises that were made in them, or on the page.
    """

    contacts: int
    calls: int
    answered: int
    right_party: int
    spoken_with: int
    logged_in: int
    talk_promises: int
    replies: int
    reply_promises: int


def reach(connection: Connection, period: Period) -> Reach:
    """Whom the month's contacts got through to."""
    return Reach(**connection.execute(_REACH, period.keys).mappings().one())


def late_again(connection: Connection, loans: Sequence[int], *, after: date, until: date) -> int:
    """Of these loans, those that were late on some aged date after a date, until another."""
    return int(connection.execute(_LATE_AGAIN, {"loans": list(loans), "after": after, "until": until}).scalar_one())


@dataclass(frozen=True, slots=True, kw_only=True)
class Compliance:
    """What was looked for that must not be, and what went wrong.

    Attributes:
        nights: Dates up to which an audit looked, the last one of each date.
        broken: Of these, how many found something; of all countries.
        incidents: Opened in the month that concern somebody of the country.
        concerned: Borrowers whom they concern.
        offers: Plan offers made in circumstances, to the last minor unit, in which another one was made by the same rule.
        apart: Of these circumstances, those in which different things were offered.
    """

    nights: int
    broken: int
    incidents: int
    concerned: int
    offers: int
    apart: int


def compliance(connection: Connection, period: Period) -> Compliance:
    """What audits of the month found, its incidents, and offers that differ."""
    found = {**connection.execute(_AUDITED, period.keys).mappings().one(), **connection.execute(_INCIDENTS, period.keys).mappings().one()}
    return Compliance(**found, **connection.execute(_OFFERS_ALIKE, period.keys).mappings().one())


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A model by which runs of the month decided.

    Attributes:
        kind: paid_7d, ….
        version: Of it.
        runs: How many runs.
        calibration: Rows of decisions/learning.CALIBRATION, as it was measured when it was learned; None = it was not learned here.
    """

    kind: str
    version: str
    runs: int
    calibration: list[dict[str, Any]] | None


def weighed(connection: Connection, period: Period) -> list[Weighed]:
    """Models by which runs of the month decided, by kind, the most used first."""
    keys = {**period.keys, "approvals": list(SENDING_APPROVALS)}
    return [Weighed(**row) for row in connection.execute(_WEIGHED, keys).mappings()]


def hours(connection: Connection, period: Period) -> pl.DataFrame:
    """Contacts by weekday (1 = Monday) and hour where the person is; answered within a day, paid within seven: `HOURS`."""
    return _frame(connection, _HOURS, period, HOURS)


def funnel(connection: Connection, period: Period) -> dict[str, int]:
    """Step → borrowers: looked at, planned, sent to, delivered, seen, spoken with or answered, promised, kept or paid."""
    return dict(connection.execute(_FUNNEL, period.keys).mappings().one())


def not_contacted(connection: Connection, period: Period) -> list[tuple[str, int]]:
    """Reason → borrowers who were left in peace for it on some day of the month, most first."""
    keys = {**period.keys, "approvals": list(SENDING_APPROVALS)}
    return [(row.reason, row.borrowers) for row in connection.execute(_NOT_CONTACTED, keys)]


def near_misses(connection: Connection, period: Period) -> list[tuple[str, int]]:
    """Rule → planned contacts that the gate held back by it, most first."""
    return [(row.rule, row.attempts) for row in connection.execute(_NEAR_MISSES, period.keys)]


def held_back(connection: Connection, period: Period) -> int:
    """Planned contacts that the gate held back, by whichever rules."""
    return int(connection.execute(_HELD_BACK, period.keys).scalar_one())


def usage(connection: Connection, period: Period) -> list[Usage]:
    """Segments that went out, by channel, country and date."""
    return [Usage(**row) for row in connection.execute(_USAGE, period.keys).mappings()]


def collected(connection: Connection, period: Period) -> dict[str, int]:
    """Currency → what came in on loans that were late, net of what was taken back."""
    return {row.currency: row.paid_minor for row in connection.execute(_COLLECTED, period.keys)}


def relief(connection: Connection, period: Period) -> tuple[int, int, float | None, int | None]:
    """Borrowers of whom the rule says that nothing remains; of these, who were left in peace or got a plan; median days to it.

    The last one: days since the oldest open hardship case was opened; None = there is none.
    """
    row = connection.execute(_RELIEF, period.keys).one()
    oldest = connection.execute(_OLDEST, period.keys).scalar()
    return int(row.reached), int(row.granted), None if row.days is None else float(row.days), oldest


def _frame(connection: Connection, statement: Any, period: Period, schema: Schema, **keys: Any) -> pl.DataFrame:
    rows = connection.execute(statement, {**period.keys, **keys}).all()
    return pl.DataFrame([tuple(row) for row in rows], schema=schema, orient="row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Decisions of one kind whose arm was drawn, no contact among the arms; by what they stand for.

    Attributes:
        people: Decisions.
        weights: Sum of 1 / probability.
        paid: The same of those after which money came within seven days.
        squares: Sum of the squares of 1 / probability.
    """

    people: int
    weights: float
    paid: float
    squares: float


def drawn(connection: Connection, period: Period) -> dict[str, Drawn]:
    """`contact`, `no_contact` → what came of the month's drawn decisions whose labels are frozen by its last date."""
    rows = connection.execute(_DRAWN, {**period.keys, "approvals": list(SENDING_APPROVALS)}).mappings()
    found = {row["action"]: Drawn(**{name: value for name, value in row.items() if name != "action"}) for row in rows}
    return {action: found.get(action, Drawn(people=0, weights=0, paid=0, squares=0)) for action in ("contact", "no_contact")}


def assigned(connection: Connection, period: Period) -> pl.DataFrame:
    """`party_id`, `assigned`: minimum, champion or ordinary, of all decided for in runs that held some out; nobody of an experiment."""
    rows = connection.execute(_ASSIGNED, period.keys).all()
    return pl.DataFrame([tuple(row) for row in rows], schema={"party_id": pl.Int64, "assigned": pl.String}, orient="row")


# Our own words in all statements below.
_OF = "(SELECT id FROM creditor WHERE country = :country)"
_PARTIES = f"(SELECT id FROM party WHERE creditor_id IN {_OF})"  # noqa: S608
MADE: Final = (
    "e.direction = 'outbound' AND e.counts"
    " AND NOT EXISTS (SELECT FROM contact_event u"
    " WHERE u.business_date = e.business_date AND u.about_event_id = e.id AND u.party_id = e.party_id AND u.uncounts)"
)
_COUNTRIES = text("SELECT DISTINCT country FROM creditor c WHERE EXISTS (SELECT FROM loan l WHERE l.creditor_id = c.id) ORDER BY country")
_LAST_AGED = text("SELECT max(business_date) FROM loan_aging WHERE business_date BETWEEN :from AND :until")
_SCHEMES = text(f"""
    SELECT v.loan_id, v.bucket_scheme FROM loan_version v JOIN loan l ON l.id = v.loan_id
    WHERE v.superseded_at IS NULL AND l.creditor_id IN {_OF}
""")  # noqa: S608
_FLOW = text(f"""
    SELECT a.business_date, v.bucket_scheme, a.bucket, v.currency, count(*), sum(a.outstanding_minor)::bigint
    FROM loan_aging a JOIN loan l ON l.id = a.loan_id JOIN loan_version v ON v.loan_id = l.id AND v.superseded_at IS NULL
    WHERE a.business_date BETWEEN :first AND :last AND a.days_past_due > 0 AND a.bucket <> 'current' AND l.creditor_id IN {_OF}
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
""")  # noqa: S608
_PROMISED = text(f"""
    SELECT state, currency, count(*), coalesce(sum(amount_minor), 0)::bigint FROM promise
    WHERE superseded_at IS NULL AND due_on BETWEEN :first AND :last AND party_id IN {_PARTIES}
    GROUP BY 1, 2 ORDER BY 1, 2
""")  # noqa: S608
_LIVES = text(f"""
    SELECT greatest(0, coalesce(broken_on, whole_on, :last) - agreed_on)::bigint AS days, broken_on IS NOT NULL AS ended FROM (
        SELECT min(v.agreed_on) AS agreed_on,
               min(v.effective_at::date) FILTER (WHERE v.status = 'broken' AND v.effective_at::date <= :last) AS broken_on,
               min(v.effective_at::date) FILTER (
                   WHERE v.status IN ('completed', 'renegotiated') AND v.effective_at::date <= :last) AS whole_on
        FROM plan p JOIN plan_version v ON v.plan_id = p.id JOIN loan l ON l.id = p.loan_id
        WHERE p.kind IN ('plan', 'extension') AND v.agreed_on IS NOT NULL
          AND v.status IN ('active', 'late', 'broken', 'renegotiated', 'completed') AND v.agreed_on <= :last AND l.creditor_id IN {_OF}
        GROUP BY p.id) lives ORDER BY 1, 2
""")  # noqa: S608
_TAKEUP = text(f"""
    SELECT count(DISTINCT c.party_id), count(DISTINCT o.party_id)
    FROM plan_offer o LEFT JOIN plan_choice c ON c.offer_id = o.id
    WHERE o.at::date BETWEEN :first AND :last AND o.road IN ('plan', 'extension') AND o.party_id IN {_PARTIES}
""")  # noqa: S608
_COHORTS = f"""
    WITH placed AS (
        SELECT DISTINCT ON (a.loan_id) a.loan_id, a.business_date AS placed_on, a.outstanding_minor,
               to_char(a.business_date, 'YYYY-MM') AS cohort, v.currency
        FROM loan_aging a JOIN loan l ON l.id = a.loan_id JOIN loan_version v ON v.loan_id = l.id AND v.superseded_at IS NULL
        WHERE a.days_past_due > 0 AND a.business_date <= :last AND l.creditor_id IN {_OF}
        ORDER BY a.loan_id, a.business_date)
"""  # noqa: S608
_LAST_COHORTS = f"cohort > to_char(CAST(:last AS date) - interval '{COHORTS_MAX} months', 'YYYY-MM')"
_PLACED = text(f"""
    {_COHORTS} SELECT cohort, currency, count(*), sum(outstanding_minor)::bigint, max(placed_on)
    FROM placed WHERE {_LAST_COHORTS} GROUP BY 1, 2 ORDER BY 1, 2
""")  # noqa: S608
_PAID = text(f"""
    {_COHORTS} SELECT cohort, currency, (p.paid_on - placed_on)::bigint, sum(p.amount_minor)::bigint
    FROM placed JOIN payment p ON p.loan_id = placed.loan_id AND p.superseded_at IS NULL AND p.state IN ('posted', 'reversed')
    WHERE {_LAST_COHORTS} AND p.paid_on >= placed_on AND p.paid_on <= :last GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
""")  # noqa: S608
_BOOKED = text(f"""
    WITH late AS (
        SELECT loan_id, min(business_date) AS late_on FROM loan_aging WHERE days_past_due >= 30 AND business_date <= :last GROUP BY loan_id)
    SELECT cohort, seen, late_after, count(*) FROM (
        SELECT to_char(v.opened_on, 'YYYY-MM') AS cohort,
               (extract(YEAR FROM age(:last, v.opened_on)) * 12 + extract(MONTH FROM age(:last, v.opened_on)))::bigint AS seen,
               (extract(YEAR FROM age(late_on, v.opened_on)) * 12 + extract(MONTH FROM age(late_on, v.opened_on)))::bigint AS late_after
        FROM loan l JOIN loan_version v ON v.loan_id = l.id AND v.superseded_at IS NULL LEFT JOIN late ON late.loan_id = l.id
        WHERE v.opened_on IS NOT NULL AND v.opened_on <= :last AND v.opened_on > CAST(:last AS date) - interval '{COHORTS_MAX} months'
          AND l.creditor_id IN {_OF}) loans
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
""")  # noqa: S608
_WEEK = "date_trunc('week', business_date)::date"
_WHOLE_WEEKS = f"{_WEEK} + 6 BETWEEN :first AND :last"
_A_WEEK = text(f"""
    WITH late AS (
        SELECT DISTINCT {_WEEK} AS week, party_id FROM loan_aging
        WHERE business_date BETWEEN CAST(:first AS date) - 6 AND :last AND {_WHOLE_WEEKS} AND days_past_due > 0 AND party_id IN {_PARTIES}),
    made AS (
        SELECT {_WEEK} AS week, e.party_id, count(*) AS contacts FROM contact_event e
        WHERE business_date BETWEEN CAST(:first AS date) - 6 AND :last AND {_WHOLE_WEEKS} AND {MADE} GROUP BY 1, 2)
    SELECT coalesce(contacts, 0) AS contacts, count(*) AS weeks FROM late LEFT JOIN made USING (week, party_id) GROUP BY 1 ORDER BY 1
""")  # noqa: S608
_CONTACTED = text(f"""
    SELECT count(*), count(DISTINCT e.party_id) FROM contact_event e
    WHERE e.business_date BETWEEN :first AND :last AND {MADE} AND e.party_id IN {_PARTIES}
""")  # noqa: S608
_SAID = text(f"""
    SELECT intent, count(DISTINCT party_id) AS borrowers FROM (
        SELECT intent, party_id FROM outcome WHERE at::date BETWEEN :first AND :last AND intent = ANY(:intents)
        UNION ALL SELECT 'stop', party_id FROM opt_out WHERE superseded_at IS NULL AND at::date BETWEEN :first AND :last
        UNION ALL SELECT 'complaint', party_id FROM borrower_case WHERE kind = 'complaint' AND opened_on BETWEEN :first AND :last
    ) said WHERE party_id IN {_PARTIES} GROUP BY 1
""")  # noqa: S608
_UPHELD = text(f"""
    SELECT count(*) FILTER (WHERE result IN ('upheld', 'partly_upheld')), count(*) FROM borrower_case
    WHERE kind = 'complaint' AND closed_at::date BETWEEN :first AND :last AND party_id IN {_PARTIES}
""")  # noqa: S608
_CAME = f"""
    SELECT p.paid_on, lp.party_id, v.currency
    FROM payment p JOIN loan_version v ON v.loan_id = p.loan_id AND v.superseded_at IS NULL
    JOIN loan_party lp ON lp.loan_id = p.loan_id AND lp.superseded_at IS NULL AND lp.role = 'borrower'
    WHERE p.superseded_at IS NULL AND p.state = 'posted' AND p.paid_on BETWEEN :first AND :last AND lp.party_id IN {_PARTIES}
"""  # noqa: S608
_SHORT = text(f"""
    SELECT count(*) FILTER (WHERE w.amount_minor < :least) AS short, count(*) AS known
    FROM ({_CAME}) came JOIN wallet_flow w ON w.party_id = came.party_id AND w.moved_on = came.paid_on AND w.kind = 'balance'
        AND w.currency = came.currency AND w.superseded_at IS NULL
    WHERE came.currency = :currency
""")  # noqa: S608
_NEW_LOANS = text(f"""
    SELECT count(*) FILTER (WHERE EXISTS (
               SELECT FROM loan_party o JOIN loan_version n ON n.loan_id = o.loan_id AND n.superseded_at IS NULL
               WHERE o.party_id = came.party_id AND o.superseded_at IS NULL AND o.role = 'borrower'
                 AND n.opened_on BETWEEN came.paid_on AND came.paid_on + {NEW_LOAN_DAYS})), count(*)
    FROM ({_CAME}) came
""")  # noqa: S608
_AFTER_STOP = text(f"""
    SELECT count(*) FROM contact_event e
    WHERE e.business_date BETWEEN :first AND :last AND {MADE} AND e.party_id IN {_PARTIES} AND e.purpose IN ('collection', 'reminder')
      AND EXISTS (SELECT FROM opt_out s WHERE s.party_id = e.party_id AND s.superseded_at IS NULL AND s.channel IN (e.channel, 'all')
                    AND (s.contact_point_id IS NULL OR s.contact_point_id = e.contact_point_id)
                    AND s.at < e.at AND (s.until IS NULL OR s.until > e.at))
""")  # noqa: S608
_REACH = text(f"""
    WITH made AS (
        SELECT e.id, e.party_id, e.channel IN ('call', 'voice') AS is_call FROM contact_event e
        WHERE e.business_date BETWEEN :first AND :last AND {MADE} AND e.party_id IN {_PARTIES}),
    ended AS (
        SELECT coalesce(e.about_event_id, e.id) AS id, bool_or(e.result = 'conversation') AS talked,
               bool_or(e.result = 'conversation' AND e.counterparty = 'borrower') AS with_her
        FROM contact_event e
        WHERE e.business_date BETWEEN :first AND CAST(:last AS date) + {PAID_DAYS} AND e.direction = 'outbound' AND e.party_id IN {_PARTIES}
        GROUP BY 1),
    said AS (
        SELECT count(*) FILTER (WHERE channel IN ('call', 'voice')) AS talk_promises,
               count(*) FILTER (WHERE channel NOT IN ('call', 'voice')) AS reply_promises
        FROM outcome WHERE intent = 'promise' AND at::date BETWEEN :first AND :last AND party_id IN {_PARTIES})
    SELECT count(*) AS contacts, count(*) FILTER (WHERE is_call) AS calls, count(*) FILTER (WHERE is_call AND talked) AS answered,
           count(*) FILTER (WHERE with_her) AS right_party, count(DISTINCT party_id) FILTER (WHERE with_her) AS spoken_with,
           (SELECT count(DISTINCT party_id) FROM page_session
            WHERE link_business_date BETWEEN :first AND :last AND party_id IN {_PARTIES}) AS logged_in,
           (SELECT talk_promises FROM said) AS talk_promises,
           (SELECT count(*) FROM contact_event i WHERE i.business_date BETWEEN :first AND :last AND i.direction = 'inbound'
              AND i.channel NOT IN ('call', 'voice') AND i.party_id IN {_PARTIES}) AS replies,
           (SELECT reply_promises FROM said) AS reply_promises
    FROM made JOIN ended USING (id)
""")  # noqa: S608
_LATE_AGAIN = text("""
    SELECT count(DISTINCT loan_id) FROM loan_aging
    WHERE business_date > :after AND business_date <= :until AND days_past_due > 0 AND loan_id = ANY(:loans)
""")
_AUDITED = text("""
    SELECT count(*) AS nights, count(*) FILTER (WHERE violations > 0) AS broken FROM (
        SELECT DISTINCT ON (last) violations FROM audit_result WHERE last BETWEEN :first AND :last ORDER BY last, id DESC) newest
""")
_INCIDENTS = text(f"""
    SELECT count(DISTINCT i.id) AS incidents, count(DISTINCT p.party_id) AS concerned
    FROM incident i JOIN incident_person p ON p.incident_id = i.id
    WHERE i.opened_at::date BETWEEN :first AND :last AND p.party_id IN {_PARTIES}
""")  # noqa: S608
_OFFERS_ALIKE = text(f"""
    SELECT coalesce(sum(offers), 0)::bigint AS offers, count(*) FILTER (WHERE different > 1) AS apart FROM (
        SELECT count(*) AS offers, count(DISTINCT offer_digest) AS different FROM plan_offer
        WHERE at::date BETWEEN :first AND :last AND circumstances_digest <> '' AND party_id IN {_PARTIES}
        GROUP BY rule_hash, circumstances_digest HAVING count(*) > 1) alike
""")  # noqa: S608
_WEIGHED = text("""
    SELECT substr(p.key, length('model/') + 1) AS kind, p.value AS version, count(*) AS runs, m.calibration
    FROM campaign_run r CROSS JOIN LATERAL jsonb_each_text(r.policy_hashes) p LEFT JOIN model_version m ON m.version = p.value
    WHERE r.business_date BETWEEN :first AND :last AND NOT r.preview AND r.approval = ANY(:approvals)
      AND r.scope IN ('all', :country) AND starts_with(p.key, 'model/')
    GROUP BY 1, 2, m.calibration ORDER BY 1, 3 DESC, 2
""")
_HOURS = text(f"""
    WITH made AS MATERIALIZED (
        SELECT e.id, e.party_id, e.at, e.business_date FROM contact_event e
        WHERE e.business_date BETWEEN :first AND :last AND {MADE} AND e.party_id IN {_PARTIES}),
    answered AS (
        SELECT DISTINCT m.id FROM contact_event i JOIN made m ON m.party_id = i.party_id AND m.at < i.at
            AND m.at > i.at - interval '{ANSWERED_DAYS} days'
        WHERE i.direction = 'inbound' AND i.business_date BETWEEN CAST(:first AS date) - 2 AND CAST(:last AS date) + {ANSWERED_DAYS} + 2),
    paid AS (
        SELECT DISTINCT lp.party_id, p.paid_on - back AS business_date
        FROM payment p JOIN loan_party lp ON lp.loan_id = p.loan_id AND lp.superseded_at IS NULL
        CROSS JOIN generate_series(0, {PAID_DAYS} - 1) back
        WHERE p.superseded_at IS NULL AND p.state = 'posted' AND p.paid_on BETWEEN :first AND CAST(:last AS date) + {PAID_DAYS})
    SELECT extract(ISODOW FROM local)::bigint, extract(HOUR FROM local)::bigint, count(*), count(answered_id), count(paid_on)
    FROM (
        SELECT m.at AT TIME ZONE coalesce(y.known_zone, y.zones[1], 'UTC') AS local, answered.id AS answered_id,
               paid.business_date AS paid_on
        FROM made m JOIN party_version y ON y.party_id = m.party_id AND y.superseded_at IS NULL
        LEFT JOIN answered ON answered.id = m.id LEFT JOIN paid ON paid.party_id = m.party_id AND paid.business_date = m.business_date) here
    GROUP BY 1, 2 ORDER BY 1, 2
""")  # noqa: S608
_FUNNEL = text(f"""
    WITH looked AS (
        SELECT DISTINCT party_id FROM decision WHERE business_date BETWEEN :first AND :last AND party_id IN {_PARTIES}),
    tried AS (
        SELECT a.party_id, bool_or({WENT_OUT}) AS sent, bool_or(a.state IN ('delivered', 'read', 'replied')) AS delivered,
               bool_or(a.state IN ('read', 'replied')) AS seen
        FROM attempt a JOIN looked USING (party_id) WHERE a.business_date BETWEEN :first AND :last GROUP BY 1),
    spoke AS (
        SELECT DISTINCT e.party_id FROM contact_event e JOIN tried USING (party_id)
        WHERE e.business_date BETWEEN :first AND :last AND e.counterparty = 'borrower'
          AND (e.direction = 'inbound' OR e.result = 'conversation')
          AND tried.delivered),
    promised AS (
        SELECT p.party_id, bool_or(p.state = 'kept') AS kept FROM promise p JOIN spoke USING (party_id)
        WHERE p.superseded_at IS NULL AND p.effective_at::date BETWEEN :first AND :last GROUP BY 1)
    SELECT (SELECT count(*) FROM looked) AS "looked at", (SELECT count(*) FROM tried) AS planned,
           (SELECT count(*) FROM tried WHERE sent) AS "sent to", (SELECT count(*) FROM tried WHERE delivered) AS delivered,
           (SELECT count(*) FROM tried WHERE seen) AS seen, (SELECT count(*) FROM spoke) AS "spoke or answered",
           (SELECT count(*) FROM promised) AS promised, (SELECT count(*) FROM promised WHERE kept) AS kept
""")  # noqa: S608
_NOT_CONTACTED = text(f"""
    SELECT reason, count(DISTINCT d.party_id) AS borrowers
    FROM decision d JOIN campaign_run c ON c.id = d.campaign_run_id JOIN reason_set r ON r.id = d.reason_set_id
    CROSS JOIN LATERAL unnest(r.reasons) AS reason
    WHERE d.business_date BETWEEN :first AND :last AND d.action = 'no_contact' AND NOT c.preview AND c.approval = ANY(:approvals)
      AND d.party_id IN {_PARTIES}
    GROUP BY 1 ORDER BY 2 DESC, 1
""")  # noqa: S608
_NEAR_MISSES = text(f"""
    SELECT rule, count(DISTINCT a.id) AS attempts
    FROM attempt a CROSS JOIN LATERAL jsonb_array_elements_text(a.permit -> 'blocked_by') AS rule
    WHERE a.business_date BETWEEN :first AND :last AND a.state = 'withheld' AND a.party_id IN {_PARTIES}
    GROUP BY 1 ORDER BY 2 DESC, 1
""")  # noqa: S608
_HELD_BACK = text(f"""
    SELECT count(*) FROM attempt a
    WHERE a.business_date BETWEEN :first AND :last AND a.state = 'withheld'
      AND jsonb_array_length(coalesce(a.permit -> 'blocked_by', '[]')) > 0 AND a.party_id IN {_PARTIES}
""")  # noqa: S608
_USAGE = text(f"""
    SELECT a.channel, v.country, a.business_date AS on, sum(coalesce(a.segments, 1))::bigint AS segments
    FROM attempt a LEFT JOIN contact_point_version v ON v.contact_point_id = a.contact_point_id AND v.superseded_at IS NULL
    WHERE a.business_date BETWEEN :first AND :last AND {WENT_OUT} AND a.party_id IN {_PARTIES}
    GROUP BY 1, 2, 3 ORDER BY 3, 1, 2
""")  # noqa: S608
_COLLECTED = text(f"""
    SELECT v.currency, sum(p.amount_minor)::bigint AS paid_minor
    FROM payment p JOIN loan l ON l.id = p.loan_id JOIN loan_version v ON v.loan_id = l.id AND v.superseded_at IS NULL
    WHERE p.superseded_at IS NULL AND p.state IN ('posted', 'reversed') AND p.paid_on BETWEEN :first AND :last AND l.creditor_id IN {_OF}
      AND EXISTS (SELECT FROM loan_aging a WHERE a.loan_id = l.id AND a.days_past_due > 0 AND a.business_date BETWEEN :first AND p.paid_on)
    GROUP BY 1 ORDER BY 1
""")  # noqa: S608
_RELIEF = text(f"""
    WITH asked AS (
        SELECT party_id, min(at) AS at FROM plan_offer
        WHERE at::date BETWEEN :first AND :last AND road = 'hardship' AND party_id IN {_PARTIES} GROUP BY 1),
    given AS (
        SELECT asked.party_id, (SELECT min(h.starts_at) FROM hold h WHERE h.party_id = asked.party_id AND h.superseded_at IS NULL
                                  AND h.kind IN ('hardship', 'plan') AND h.starts_at >= asked.at) - asked.at AS waited FROM asked)
    SELECT count(*) AS reached, count(waited) AS granted,
           extract(EPOCH FROM percentile_cont(0.5) WITHIN GROUP (ORDER BY waited)) / 86400 AS days FROM given
""")  # noqa: S608
_OLDEST = text(f"""
    SELECT max(CAST(:last AS date) - opened_on) FROM borrower_case
    WHERE kind = 'hardship' AND state <> 'closed' AND opened_on <= :last AND party_id IN {_PARTIES}
""")  # noqa: S608
_DRAWN = text(f"""
    SELECT d.action, count(*) AS people, sum(1 / d.probability) AS weights, coalesce(sum(1 / d.probability) FILTER (WHERE paid), 0) AS paid,
           sum(1 / d.probability ^ 2) AS squares
    FROM decision d JOIN campaign_run r ON r.id = d.campaign_run_id
    CROSS JOIN LATERAL (SELECT EXISTS (
        SELECT FROM loan_party lp JOIN payment p ON p.loan_id = lp.loan_id AND p.superseded_at IS NULL AND p.state = 'posted'
        WHERE lp.party_id = d.party_id AND lp.superseded_at IS NULL
          AND p.paid_on >= d.business_date AND p.paid_on < d.business_date + {PAID_DAYS}) AS paid) came
    WHERE d.business_date BETWEEN :first AND CAST(:last AS date) - {PAID_DAYS} AND d.propensities ? 'no_contact'
      AND NOT r.preview AND r.approval = ANY(:approvals) AND d.party_id IN {_PARTIES}
    GROUP BY d.action
""")  # noqa: S608
_ASSIGNED = text(f"""
    WITH decided AS (
        SELECT d.party_id, d.campaign_run_id,
               (SELECT substr(one, {len(GROUP) + 1}) FROM unnest(r.reasons) AS one WHERE starts_with(one, '{GROUP}') LIMIT 1) AS assigned
        FROM decision d JOIN reason_set r ON r.id = d.reason_set_id JOIN campaign_run c ON c.id = d.campaign_run_id
        WHERE d.business_date BETWEEN :first AND :last AND NOT c.preview AND d.party_id IN {_PARTIES}),
    holding AS (SELECT DISTINCT campaign_run_id FROM decided WHERE assigned = '{MINIMUM}')
    SELECT party_id, coalesce(max(assigned), '{ORDINARY}') AS assigned FROM decided JOIN holding USING (campaign_run_id)
    GROUP BY 1 HAVING coalesce(max(assigned), '{ORDINARY}') IN ('{MINIMUM}', '{CHAMPION}', '{ORDINARY}') ORDER BY 1
""")  # noqa: S608
