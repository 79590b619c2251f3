"""Facts: what is known of some borrowers, read from the ledger as the frames of decisions/facts.py.

The same function serves a shard of 20,000 borrowers at planning (ADBC, Arrow), a chunk of 256 under the gate's lock
(the locked transaction's own connection) and one borrower in `tideover explain` (as known at an instant of the past).

In:   an open connection; party ids; a business instant and a local business date.
Out:  `decisions.facts.Facts`.
Pure: no; reads.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal

import polars as pl

from config.places import with_places
from decisions import facts
from decisions.aging import AgingPolicy
from decisions.facts import HISTORY_DAYS, Facts, Schema
from decisions.gate_verdict import NO_ENVELOPE, TEMPLATE_NOT_REGISTERED, WINDOW_CLOSED
from ledger.aging_facts import age_loans
from ledger.frames import Ids, Known, Source, ids_clause, instant, read, widened
from ledger.partitions import dated_from
from ledger.tables import STAGES

# An offer of longer ago is none that a stage may build on.
TREATMENT_DAYS: Final = 730


def read_facts(
    source: Source,
    *,
    parties: Ids,
    at: datetime,
    business_date: date,
    loans: Literal["planned", "now"],
    known_at: datetime | None = None,
    history_days: int = HISTORY_DAYS,
    treated_by: Collection[str] = (),
    falls_back: bool = False,
    payments_since: date | None = None,
    ageing: AgingPolicy | None = None,
) -> Facts:
    """Read everything that a rule or a choice may look at.

    Args:
        source: An ADBC connection, or a SQLAlchemy connection (the gate: after `lock_borrowers`, same transaction).
        parties: Party ids, a range or a list. Those that do not exist are left out.
        at: Business instant: which pauses are in force, where history begins. Nothing else is cut off by it: consents,
            holds and wishes come whole, because a candidate's own instant decides.
        business_date: Local date as of which loans are late and parties liable.
        loans: `planned` = as `tasks/pick` aged them for the date; `now` = aged here and now.
        known_at: Wall clock: read the facts as we knew them then, to replay a decision. Not with `planned`, whose
            ageing is kept once a date.
        history_days: How far back contacts are read.
        treated_by: Stages whose tries of two years are read (`decisions.strategy.Strategy.looks_at`); none = none.
        falls_back: Whether failed ways and the creditors' senders are read (`decisions.strategy.Strategy.falls_back`).
        payments_since: From which day on payments are read (`decisions.strategy.Strategy.payments_since`); None = none are.
        ageing: Schemes of buckets and stages, for `now`; None = those in force.

    Returns:
        Frames with the schemas of decisions/facts.py, ordered by party and by id.

    Raises:
        ValueError: An instant without a zone; `planned` with `known_at`; no such stage.
    """
    if loans == "planned" and known_at is not None:
        raise ValueError("what was planned is kept once a date: a replay reads loans='now'")
    who = widened(parties)
    asked = _Asked(
        who=ids_clause(who),
        only=None if who is parties or len(who) == len(parties) else pl.Series(parties, dtype=pl.Int64),
        on=f"'{business_date.isoformat()}'::date",
        at=instant(at),
        history_from=instant(at - timedelta(days=history_days)),
        history_on=dated_from(at - timedelta(days=history_days)),
        treated_on=dated_from(at - timedelta(days=TREATMENT_DAYS)),
        known=Known(known_at),
    )
    if loans == "planned" or payments_since is not None:
        liable = asked.read(source, _LIABLE, _names(facts.LOANS, "party_id", "loan_id", "role"))
    else:
        liable = facts.empty(_names(facts.LOANS, "party_id", "loan_id", "role"))
    owed = _planned_loans(source, asked, liable) if loans == "planned" else _loans_now(source, asked, business_date, known_at, ageing)
    return Facts(
        borrowers=_borrowers(source, asked, owed),
        loans=owed,
        contact_points=_contact_points(source, asked),
        consents=asked.read(source, _CONSENTS, facts.CONSENTS),
        opt_outs=asked.read(source, _OPT_OUTS, facts.OPT_OUTS),
        holds=asked.read(source, _HOLDS, facts.HOLDS),
        wishes=asked.read(source, _WISHES, facts.WISHES),
        agreements=asked.read(source, _AGREEMENTS, facts.AGREEMENTS),
        notices=asked.read(source, _NOTICES, facts.NOTICES),
        history=_history(source, asked),
        treatments=_treatments(source, asked, treated_by),
        failures=asked.read(source, _FAILURES, facts.FAILURES) if falls_back else facts.empty(facts.FAILURES),
        payments=_payments(source, asked, liable, payments_since),
        senders=asked.read(source, _SENDERS, facts.SENDERS) if falls_back else facts.empty(facts.SENDERS),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is asked for, as the statements below want it written: conditions and dates, no text from outside.

    Where the condition reaches further than the people who are meant, `only` says who they are.
    """

    who: str
    only: pl.Series | None
    on: str
    at: str
    history_from: str
    history_on: str
    treated_on: str
    known: Known

    def read(self, source: Source, statement: str, schema: Schema, **keys: Ids) -> pl.DataFrame:
        """Run one of the statements below; `keys` are the lists of ids that it names: rows of others may come too."""
        liable = _LIABLE.format(who=self.who, on=self.on, known=self.known)
        filled = statement.format(
            who=self.who,
            on=self.on,
            at=self.at,
            history_from=self.history_from,
            history_on=self.history_on,
            treated_on=self.treated_on,
            known=self.known,
            recorded_e=self.known.recorded("e"),
            recorded_c=self.known.recorded("c"),
            liable=liable,
            servicing=_SERVICING.format(at=self.at, known=self.known),
            closed=_CLOSED,
            **{name: ids_clause(widened(ids)) for name, ids in keys.items()},
        )
        found = read(source, filled, schema)
        if self.only is None or "party_id" not in schema:
            return found
        return found.filter(pl.col("party_id").is_in(self.only.implode()))


def _borrowers(source: Source, asked: _Asked, loans: pl.DataFrame) -> pl.DataFrame:
    derived = {"home_zones", "jurisdictions", "paused", "paused_channels"}
    columns: Schema = {name: kind for name, kind in facts.BORROWERS.items() if name not in derived} | {"postal_code": pl.String}
    people = asked.read(source, _BORROWERS, columns)
    pauses = asked.read(source, _PAUSES, {"creditor_id": pl.Int64, "stage": pl.String, "channel": pl.String, "jurisdiction": pl.String})
    return people.pipe(with_places).pipe(_with_pauses, pauses, loans).select(facts.BORROWERS.keys())


def _with_pauses(people: pl.DataFrame, pauses: pl.DataFrame, loans: pl.DataFrame) -> pl.DataFrame:
    """Add `paused` and `paused_channels`. A pause of a stage concerns whoever is in it with their worst loan."""
    worst = loans.group_by("party_id").agg(worst=pl.col("stage").replace_strict(_SEVERITY, default=None, return_dtype=pl.Int8).max())
    staged = people.join(worst, on="party_id", how="left", maintain_order="left")
    everything, by_channel = pl.lit(False), []
    for pause in pauses.iter_rows(named=True):  # a handful: each was somebody's decision
        concerned = pl.lit(True)
        if pause["creditor_id"] is not None:
            concerned &= pl.col("creditor_id") == pause["creditor_id"]
        if pause["stage"] is not None:
            concerned &= (pl.col("worst") == _SEVERITY.get(pause["stage"])).fill_null(False)
        if pause["jurisdiction"] is not None:
            concerned &= pl.col("jurisdictions").list.contains(pause["jurisdiction"])
        if pause["channel"] is None:
            everything |= concerned
        else:
            by_channel.append(pl.when(concerned).then(pl.lit(pause["channel"])))
    channels = pl.concat_list(by_channel).list.drop_nulls().list.unique(maintain_order=True) if by_channel else _NO_WORDS
    return staged.with_columns(paused=everything, paused_channels=channels)


def _planned_loans(source: Source, asked: _Asked, liable: pl.DataFrame) -> pl.DataFrame:
    columns = {name: kind for name, kind in facts.LOANS.items() if name not in {"party_id", "role"}}
    planned = asked.read(source, _LOANS_PLANNED, columns, loans=liable["loan_id"].unique().to_list())
    return liable.join(planned, on="loan_id", maintain_order="left").select(facts.LOANS.keys())


def _loans_now(source: Source, asked: _Asked, business_date: date, known_at: datetime | None, ageing: AgingPolicy | None) -> pl.DataFrame:
    stated = asked.read(source, _LOANS_STATED, _STATED)
    aged = age_loans(source, stated["loan_id"].unique().to_list(), business_date=business_date, known_at=known_at, policy=ageing)
    return stated.join(aged, on="loan_id", maintain_order="left").select(pl.col(name).cast(kind) for name, kind in facts.LOANS.items())


def _contact_points(source: Source, asked: _Asked) -> pl.DataFrame:
    points = asked.read(source, _CONTACT_POINTS, _names(facts.CONTACT_POINTS, "party_id", "contact_point_id", "kind"))
    columns = {name: kind for name, kind in facts.CONTACT_POINTS.items() if name not in {"party_id", "kind"}}
    stated = asked.read(source, _CONTACT_POINTS_STATED, columns, points=points["contact_point_id"].to_list())
    return points.join(stated, on="contact_point_id", maintain_order="left").select(facts.CONTACT_POINTS.keys())


def _names(schema: Schema, *names: str) -> Schema:
    """Some columns of a schema."""
    return {name: schema[name] for name in names}


def _history(source: Source, asked: _Asked) -> pl.DataFrame:
    """Contacts, each with the latest result known of it, without those that were taken back."""
    rows = asked.read(source, _HISTORY, {**facts.HISTORY, "about_event_id": pl.Int64, "uncounts": pl.Boolean})
    # Sorted here: the database would sort whole rows, with all their words.
    return _with_latest_results(rows).sort("party_id", "at", "event_id").select(facts.HISTORY.keys())


def _payments(source: Source, asked: _Asked, liable: pl.DataFrame, since: date | None) -> pl.DataFrame:
    """Loans for which money came in on that day or later, and is still here."""
    if since is None:
        return facts.empty(facts.PAYMENTS)
    statement = _PAYMENTS.replace("{since}", f"'{since.isoformat()}'::date")
    paid = asked.read(source, statement, _names(facts.PAYMENTS, "loan_id", "paid_on"), loans=liable["loan_id"].unique().to_list())
    return liable.join(paid, on="loan_id", maintain_order="left").select(facts.PAYMENTS.keys())


def _treatments(source: Source, asked: _Asked, stages: Collection[str]) -> pl.DataFrame:
    """Tries of some stages, each with the latest result known of it, without those that were taken back."""
    if unknown := sorted(set(stages) - set(STAGES)):
        raise ValueError(f"unknown stage {unknown[0]!r}: one of {', '.join(STAGES)}")
    if not stages:
        return facts.empty(facts.TREATMENTS)
    named = ", ".join(f"'{stage}'" for stage in sorted(stages))
    columns: Schema = {**facts.TREATMENTS, "event_id": pl.Int64, "about_event_id": pl.Int64, "uncounts": pl.Boolean}
    return _with_latest_results(asked.read(source, _TREATMENTS.replace("{stages}", named), columns)).select(facts.TREATMENTS.keys())


def _with_latest_results(rows: pl.DataFrame) -> pl.DataFrame:
    """Events of the one log folded: results and un-counting are further rows about an earlier one."""
    said = rows.filter(pl.col("about_event_id").is_not_null())
    latest = (
        said.sort("event_id")
        .group_by("about_event_id")
        .agg(latest=pl.col("result").filter(~pl.col("uncounts")).last(), taken_back=pl.col("uncounts").any())
    )
    return (
        rows.filter(pl.col("about_event_id").is_null())
        .join(latest, left_on="event_id", right_on="about_event_id", how="left", maintain_order="left")
        .filter(pl.col("taken_back").is_null() | ~pl.col("taken_back"))
        .with_columns(result=pl.coalesce("latest", "result"))
    )


# Causes of attempts that were withheld only because their way was shut.
_CLOSED: Final = ", ".join(f"'blocked: {reason}'" for reason in (WINDOW_CLOSED, TEMPLATE_NOT_REGISTERED, NO_ENVELOPE))
_SEVERITY: Final[Mapping[str, int]] = {stage: number for number, stage in enumerate(STAGES)}
_NO_WORDS: Final = pl.lit([], pl.List(pl.String))
_STATED: Final = _names(
    facts.LOANS,
    "party_id",
    "loan_id",
    "role",
    "product",
    "account",
    "currency",
    "disputed_minor",
    "charged_off",
    "time_barred",
    "servicing_status",
)

# Who stands for which loan on the date, once a loan: a person with several roles has the first of these.
_LIABLE = """
    SELECT DISTINCT ON (lp.party_id, lp.loan_id) lp.party_id, lp.loan_id, lp.role
    FROM loan_party lp
    WHERE lp.party_id {who} AND {known[lp]}
      AND (lp.starts_on IS NULL OR lp.starts_on <= {on}) AND (lp.ends_on IS NULL OR lp.ends_on > {on})
    ORDER BY lp.party_id, lp.loan_id,
             array_position(ARRAY['borrower', 'co_borrower', 'guarantor', 'executor', 'attorney', 'debt_adviser'], lp.role)
"""
# Where a table has another key than the party's, its keys are read first and handed to it as a list: the planner would
# otherwise read the whole table once a shard, or, with a subquery for a list, compare each of its rows with every key.
_BORROWERS = """
    SELECT p.id AS party_id, p.creditor_id, c.role AS creditor_role, v.country, v.region, v.postal_code,
           coalesce(w.locale, v.locale) AS locale, v.known_zone, coalesce(v.zones, '{{}}') AS zones, coalesce(v.facts, '{{}}') AS facts,
           f.covers_until + make_interval(secs => f.age_seconds_max) AS payments_fresh_until
    FROM party p
    JOIN creditor c ON c.id = p.creditor_id
    LEFT JOIN party_version v ON v.party_id = p.id AND v.party_id {who} AND {known[v]}
    LEFT JOIN language_wish w ON w.party_id = p.id AND w.party_id {who} AND {known[w]}
    LEFT JOIN feed f ON f.creditor_id = p.creditor_id AND f.kind = 'payments' AND {known[f]}
    WHERE p.id {who}
    ORDER BY p.id
"""
# A pause of a sender stops the channels on which creditors send from it.
_PAUSES = """
    SELECT coalesce(c.creditor_id, u.creditor_id) AS creditor_id, u.stage, coalesce(c.channel, u.channel) AS channel, u.jurisdiction
    FROM pause u
    LEFT JOIN (
        SELECT c.id AS creditor_id, s.key AS channel, s.value AS sender FROM creditor c CROSS JOIN LATERAL jsonb_each_text(c.senders) s
    ) c ON c.sender = u.sender AND (u.channel IS NULL OR u.channel = c.channel) AND (u.creditor_id IS NULL OR u.creditor_id = c.creditor_id)
    WHERE {known[u]} AND u.starts_at <= {at} AND (u.until IS NULL OR u.until > {at}) AND (u.sender IS NULL OR c.sender IS NOT NULL)
    ORDER BY u.id, c.creditor_id, c.channel
"""
# A loan that we have placed with an agency is placed from that instant on, whatever the last import said (ledger/placements.py).
_SERVICING = """CASE
        WHEN EXISTS (
            SELECT 1 FROM hold w
            WHERE w.loan_id = v.loan_id AND w.kind = 'placed' AND {known[w]}
              AND w.starts_at <= {at} AND (w.until IS NULL OR w.until > {at}))
        THEN 'placed' ELSE v.servicing_status END"""
_LOANS_STATED = """
    SELECT l.party_id, l.loan_id, l.role, v.product, v.account, v.currency, v.disputed_minor, v.charged_off, v.time_barred,
           {servicing} AS servicing_status
    FROM ({liable}) l JOIN loan_version v ON v.loan_id = l.loan_id AND {known[v]}
    ORDER BY l.party_id, l.loan_id
"""
_LOANS_PLANNED = """
    SELECT a.loan_id, v.product, v.account, v.currency, a.past_due_minor, a.outstanding_minor, a.days_past_due,
           a.delinquent_days, a.oldest_unpaid_due_on, a.next_due_on, a.bucket, a.stage, v.disputed_minor, v.charged_off, v.time_barred,
           {servicing} AS servicing_status
    FROM loan_aging a
    JOIN loan_version v ON v.loan_id = a.loan_id AND v.loan_id {loans} AND {known[v]}
    WHERE a.business_date = {on} AND a.loan_id {loans}
"""
_CONTACT_POINTS = """
    SELECT t.party_id, t.id AS contact_point_id, t.kind FROM contact_point t WHERE t.party_id {who} ORDER BY t.party_id, t.id
"""
# One look-up for each value, in an index of those of which more is known than that they were given: of so many values the planner
# would rather read all there are.
_CONTACT_POINTS_STATED = """
    SELECT v.contact_point_id, v.owner, v.employer_owned, v.country, v.zones, v.verified_on, v.status,
           coalesce(o.ownership, 'claimed') AS ownership
    FROM contact_point_version v
    LEFT JOIN LATERAL (
        SELECT w.ownership FROM contact_value w WHERE w.blind_index = v.blind_index AND w.ownership <> 'claimed' AND {known[w]} OFFSET 0
    ) o ON true
    WHERE v.contact_point_id {points} AND {known[v]}
"""
# What was taken back ended when it was taken back, whatever end it was given for.
_CONSENTS = """
    SELECT c.party_id, c.channel, c.given_to, c.at, least(c.until, c.withdrawn_at) AS until
    FROM consent c WHERE c.party_id {who} AND {known[c]} ORDER BY c.party_id, c.id
"""
_OPT_OUTS = """
    SELECT o.party_id, o.channel, o.contact_point_id, o.at, o.until
    FROM opt_out o WHERE o.party_id {who} AND {known[o]} ORDER BY o.party_id, o.id
"""
# A person's own holds, and those of somebody else that reach all who stand for the same loan. One that names no loan
# reaches the others for the loans that they share.
_HOLDS = """
    WITH mine AS ({liable}),
    found AS (
        SELECT h.id, h.party_id, h.loan_id, h.kind, h.channel, h.purpose, h.starts_at, h.until
        FROM hold h WHERE h.party_id {who} AND {known[h]}
        UNION
        SELECT h.id, m.party_id, h.loan_id, h.kind, h.channel, h.purpose, h.starts_at, h.until
        FROM mine m JOIN hold h ON h.loan_id = m.loan_id AND h.all_liable AND {known[h]}
        WHERE h.party_id <> m.party_id
        UNION
        SELECT h.id, m.party_id, m.loan_id, h.kind, h.channel, h.purpose, h.starts_at, h.until
        FROM mine m
        JOIN loan_party o ON o.loan_id = m.loan_id AND o.party_id <> m.party_id AND {known[o]}
        JOIN hold h ON h.party_id = o.party_id AND h.loan_id IS NULL AND h.all_liable AND {known[h]}
    )
    SELECT party_id, loan_id, kind, channel, purpose, starts_at, until FROM found ORDER BY party_id, id, loan_id
"""
_WISHES = """
    SELECT w.party_id, w.kind, w.days, w.opens::time AS opens, w.closes::time AS closes, w.place, w.channels, w.starts_at,
           w.until, w.form
    FROM wish w WHERE w.party_id {who} AND {known[w]} ORDER BY w.party_id, w.id
"""
_AGREEMENTS = """
    SELECT a.party_id, a.kind, a.days, a.opens::time AS opens, a.closes::time AS closes, a.requested_by, a.at, a.until
    FROM agreement a WHERE a.party_id {who} AND {known[a]} ORDER BY a.party_id, a.id
"""
_NOTICES = """
    SELECT n.party_id, n.loan_id, n.kind, n.sent_at, n.received_on, n.bounced, n.opt_out_by
    FROM notice n WHERE n.party_id {who} AND {known[n]} ORDER BY n.party_id, n.id
"""
# Inbound messages count towards no cap, but rules look at them (what is answered, when a person last wrote).
_HISTORY = """
    SELECT e.party_id, e.id AS event_id, e.at, e.channel, e.direction, e.loans, e.contact_point_id, e.counterparty, e.purpose,
           e.result, e.about_event_id, e.uncounts
    FROM contact_event e
    WHERE e.party_id {who} AND e.at >= {history_from} AND e.business_date >= {history_on} AND {recorded_e}
      AND (e.about_event_id IS NOT NULL OR e.counts OR e.direction = 'inbound')
"""
# A later correction (undelivered, and then delivered after all) takes a failure back.
_FAILURES = """
    SELECT a.party_id, a.contact_point_id, a.channel, max(e.at) AS at
    FROM attempt a
    JOIN attempt_transition e ON e.business_date = a.business_date AND e.attempt_id = a.id
     AND (e.to_state IN ('rejected', 'undelivered', 'failed') OR (e.to_state = 'withheld' AND e.cause IN ({closed})))
     AND {recorded_e}
    WHERE a.party_id {who} AND e.at >= {history_from} AND a.business_date >= {history_on} AND e.business_date >= {history_on}
      AND NOT EXISTS (
        SELECT FROM attempt_transition c
        WHERE c.business_date = a.business_date AND c.attempt_id = a.id AND c.id > e.id
          AND c.to_state IN ('delivered', 'read', 'replied') AND {recorded_c})
    GROUP BY a.party_id, a.contact_point_id, a.channel ORDER BY a.party_id, a.contact_point_id, a.channel
"""
# Money that is only claimed or pending may not arrive, and what was taken back did not.
_PAYMENTS = """
    SELECT y.loan_id, max(y.paid_on) AS paid_on
    FROM payment y
    WHERE y.loan_id {loans} AND {known[y]} AND y.state = 'posted' AND y.paid_on >= {since}
      AND NOT EXISTS (
        SELECT FROM payment r WHERE r.loan_id = y.loan_id AND r.reverses_external_id = y.external_id AND {known[r]})
    GROUP BY y.loan_id ORDER BY y.loan_id
"""
# `sms`, or `sms/receipt` (ledger/senders.py). What a creditor sends from has one time only: an import changes it.
_SENDERS = """
    SELECT c.id AS creditor_id, split_part(s.key, '/', 1) AS channel, nullif(split_part(s.key, '/', 2), '') AS purpose
    FROM creditor c CROSS JOIN LATERAL jsonb_object_keys(c.senders) AS s(key)
    WHERE c.id IN (SELECT p.creditor_id FROM party p WHERE p.id {who}) ORDER BY c.id, s.key
"""
# Our own contacts only: what an agency or a former lender said was not this stage's offer.
_TREATMENTS = """
    SELECT e.party_id, a.stage, a.message, e.channel, e.at, e.loans, e.contact_point_id, e.result, e.id AS event_id, e.about_event_id,
           e.uncounts
    FROM contact_event e JOIN attempt a ON a.business_date = e.attempt_business_date AND a.id = e.attempt_id
    WHERE e.party_id {who} AND e.business_date >= {treated_on} AND {recorded_e} AND a.stage IN ({stages})
      AND (e.about_event_id IS NOT NULL OR e.counts)
    ORDER BY e.party_id, e.at, e.id
"""
