"""Promises to pay: whether one gives peace, and what became of it once its day and the days of settlement are over.

Every judgement is a new version of the fact: what was known before stays (two times). It is corrected for some weeks, when
a payment arrives late in a file or is taken back. A promise is never called broken while the payment feed does not cover
its last day. Everything here runs under the borrowers' lock.

In:   a connection inside a transaction; parties, a local date, the business instant, the terms.
Out:  versions of `promise`, ends of its `hold`, an outcome for a person who offers a plan.
Pure: no; reads and writes the ledger. Judging again finds the same and writes nothing.
Source: DOMAIN.md, "promise to pay".
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import polars as pl
from sqlalchemy import Connection, Row, TextClause, text

from decisions.business_days import business_day_after, day_ends_at
from decisions.promises import BROKEN, KEPT, OPEN, USED_UP, PromiseTerms, StillPromised, gives_peace, judged, still_promised
from decisions.service_messages import REACHED
from ledger.aging_facts import age_loans
from ledger.frames import Known
from ledger.locks import lock_borrowers

SOURCE: Final = "promises"
# Why a person looks at somebody whose promises were broken.
PLAN_DUE: Final = "promises_broken"
NOW: Final = Known(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paid:
    """A posted payment, or what was taken back of one (negative): its day and instant, and the day from which the books show it."""

    paid_on: date
    paid_at: datetime | None
    booked_on: date
    amount_minor: int


def is_good(
    connection: Connection, party_id: int, due_on: date, *, amount_minor: int | None, currency: str | None, today: date, terms: PromiseTerms
) -> bool:
    """Whether a promise is good enough to be waited for, by what is past due today."""
    owed = _past_due(connection, _loans(connection, [party_id], today).get(party_id, {}), today)
    past_due = owed.get(currency, 0) if currency is not None else 0
    return gives_peace(due_on, amount_minor, terms, today=today, past_due_minor=past_due)


def make_room(connection: Connection, party_id: int, due_on: date, *, amount_minor: int | None, at: datetime) -> None:
    """Let a new promise take the place of those that are open: one of another day is withdrawn, one of the same day said anew."""
    asked = {"party": party_id, "due_on": due_on, "amount": amount_minor, "at": at, "source": SOURCE}
    connection.execute(_WITHDRAW_OTHERS, asked)
    connection.execute(_SAY_ANEW, asked)


def plan_is_due(connection: Connection, party_id: int, *, today: date, terms: PromiseTerms) -> bool:
    """Whether so many promises were broken or moved that the next one gives no pause: a person offers a plan."""
    since = today - timedelta(days=terms.broken_within_days)
    used_up = connection.execute(_USED_UP, {"party": party_id, "since": since, "states": list(USED_UP)}).scalar_one()
    return int(used_up) >= terms.broken_max


def waiting(connection: Connection, *, on: date, terms: PromiseTerms, after: int, at_most: int) -> list[int]:
    """Parties with a promise that may be judged on a date, by id.

    Args:
        connection: Any.
        on: Local date.
        terms: In force.
        after: Only parties with a higher id.
        at_most: How many.
    """
    keys = {"since": on - timedelta(days=terms.watched_days), "after": after, "at_most": at_most}
    return list(connection.execute(_WAITING, keys).scalars())


def to_remind(connection: Connection, due_on: date, *, at: datetime) -> pl.DataFrame:
    """Who is waited for because of a promise for a day, and where their last answer came from.

    Returns:
        `REACHED`, one row a person, by id; the contact point is null where no answer came by one that we know.
    """
    rows = connection.execute(_TO_REMIND, {"due_on": due_on, "at": at}).all()
    return pl.DataFrame([tuple(row) for row in rows], schema=REACHED, orient="row")


def still_open(
    connection: Connection, party_ids: Iterable[int], *, on: date, until: date, known_at: datetime | None = None
) -> dict[int, StillPromised]:
    """What is still open of promises that are near, by party: nothing of whom nothing is, or who named another day meanwhile.

    Args:
        connection: Under the borrowers' lock, where somebody is told.
        party_ids: Whose.
        on: Local date.
        until: Only promises for this day at the latest.
        known_at: See `ledger.frames.Known`.
    """
    known, ids = Known(known_at), sorted(set(party_ids))
    keys = {"parties": ids, "since": on}
    near = [row for row in connection.execute(_promises(known), keys) if row.state == OPEN and on <= row.due_on <= until]
    # Whoever promised several payments for one day is told of none: a text names one amount.
    several = {party_id for party_id, promises in Counter(row.party_id for row in near).items() if promises > 1}
    found = [row for row in near if row.party_id not in several]
    loans = _loans(connection, ids, on, known)
    owed = _owed_on(connection, found, loans, known=known)
    outstanding = _owed_on(connection, found, loans, what="outstanding_minor", known=known)
    paid = _payments(connection, [loan_id for theirs in loans.values() for loan_id in theirs], known)
    told = {}
    for promise in found:
        theirs = loans.get(promise.party_id, {})
        promised, came = _sums(promise, theirs, owed, paid, promise.due_on)
        left: Counter[str] = Counter()
        for loan_id, loan in _of_promise(promise, theirs).items():
            left[loan.currency] += max(0, outstanding[promise.due_on].get(loan_id, 0) - loan.disputed_minor)
        told[promise.party_id] = still_promised(promise.due_on, promised, came, left)
    return {party_id: one for party_id, one in told.items() if one is not None}


def judge(connection: Connection, party_ids: Iterable[int], *, on: date, at: datetime, terms: PromiseTerms) -> Counter[str]:
    """Judge the promises of some people on a date.

    Args:
        connection: Inside a transaction; the borrowers are locked by it.
        party_ids: Whose.
        on: Local date: a promise is over when the last business day on which a payment counts lies before it.
        at: Business instant.
        terms: In force.

    Returns:
        State → how many promises came into it now; `open` and `waiting for the feed` → how many stay as they are;
        `plan due` → how many people a person offers a plan from now on.
    """
    locked = lock_borrowers(connection, party_ids)
    since = on - timedelta(days=terms.watched_days)
    found = connection.execute(_promises(NOW), {"parties": locked, "since": since}).all()
    loans = _loans(connection, locked, on)
    owed = _owed_on(connection, [promise for promise in found if promise.amount_minor is None], loans)
    paid = _payments(connection, [loan_id for theirs in loans.values() for loan_id in theirs])
    counts: Counter[str] = Counter()
    for promise in found:
        last_day = business_day_after(promise.due_on, country=promise.country, business_days=terms.settlement_business_days)
        over = on > last_day
        covered = _is_covered(promise, last_day)
        wanted, came = _sums(promise, loans.get(promise.party_id, {}), owed, paid, last_day)
        state = judged(wanted, came, terms, is_over=over and covered)
        if over and not covered and state == OPEN:
            counts["waiting for the feed"] += promise.state == OPEN
            continue
        if state == promise.state:
            counts["open"] += state == OPEN
        elif state != OPEN:
            counts[state] += 1
            counts["plan due"] += _write(connection, promise, state, on=on, at=at, terms=terms)
    return +counts


def _write(connection: Connection, promise: Row[Any], state: str, *, on: date, at: datetime, terms: PromiseTerms) -> bool:
    """Write a judgement and what follows; whether a plan is due from now on."""
    due_before = plan_is_due(connection, promise.party_id, today=on, terms=terms)
    connection.execute(_JUDGE, {"id": promise.id, "state": state, "at": at, "source": SOURCE})
    if state == KEPT:
        # The day itself stays quiet; the days of settlement need not be waited for.
        ends_at = max(at, day_ends_at(promise.due_on, zones=_zones(promise)))
        connection.execute(_END_HOLDS, {"party": promise.party_id, "until": ends_at, "source": SOURCE})
    if state != BROKEN or due_before or not plan_is_due(connection, promise.party_id, today=on, terms=terms):
        return False
    connection.execute(_ASK_A_PERSON, {"party": promise.party_id, "because": PLAN_DUE, "at": at})
    return True


def _is_covered(promise: Row[Any], last_day: date) -> bool:
    """Whether the creditor's payment feed covers the last day on which a payment counts."""
    return promise.covers_until is not None and promise.covers_until >= day_ends_at(last_day, zones=_zones(promise))


def _zones(promise: Row[Any]) -> tuple[str, ...]:
    return (promise.known_zone,) if promise.known_zone else tuple(promise.zones)


def _promises(known: Known) -> TextClause:
    return text(_PROMISES.format(known=known, recorded=known.recorded("v")))


def _loans(connection: Connection, party_ids: Sequence[int], on: date, known: Known = NOW) -> dict[int, dict[int, Row[Any]]]:
    """Party → the loans that they stand for as borrowers."""
    found: defaultdict[int, dict[int, Row[Any]]] = defaultdict(dict)
    for row in connection.execute(text(_LOANS.format(known=known)), {"parties": list(party_ids), "on": on}):
        found[row.party_id][row.loan_id] = row
    return found


def _past_due(connection: Connection, loans: Mapping[int, Row[Any]], on: date) -> dict[str, int]:
    """Currency → what is past due and undisputed on a day."""
    sums: Counter[str] = Counter()
    for loan_id, past_due in _aged(connection, list(loans), on).items():
        sums[loans[loan_id].currency] += max(0, past_due - loans[loan_id].disputed_minor)
    return dict(sums)


def _aged(connection: Connection, loan_ids: Sequence[int], on: date, *, what: str = "past_due_minor", known: Known = NOW) -> dict[int, int]:
    if not loan_ids:
        return {}
    aged = age_loans(connection, sorted(set(loan_ids)), business_date=on, known_at=known.at)
    return dict(aged.select("loan_id", what).iter_rows())


def _owed_on(
    connection: Connection,
    found: Sequence[Row[Any]],
    loans: Mapping[int, Mapping[int, Row[Any]]],
    *,
    what: str = "past_due_minor",
    known: Known = NOW,
) -> dict[date, dict[int, int]]:
    """Day that some promises name → loan → what is past due (or outstanding) on it."""
    wanted: defaultdict[date, set[int]] = defaultdict(set)
    for promise in found:
        wanted[promise.due_on] |= set(_of_promise(promise, loans.get(promise.party_id, {})))
    return {day: _aged(connection, sorted(which), day, what=what, known=known) for day, which in wanted.items()}


def _of_promise(promise: Row[Any], loans: Mapping[int, Row[Any]]) -> dict[int, Row[Any]]:
    """The loans that a promise is about: the one that it names, else all in its currency."""
    return {
        loan_id: loan for loan_id, loan in loans.items() if promise.loan_id in {None, loan_id} and promise.currency in {None, loan.currency}
    }


def _payments(connection: Connection, loan_ids: Sequence[int], known: Known = NOW) -> dict[int, list[_Paid]]:
    found: defaultdict[int, list[_Paid]] = defaultdict(list)
    for row in connection.execute(text(_PAYMENTS.format(known=known)), {"loans": sorted(set(loan_ids))}):
        found[row.loan_id].append(_Paid(paid_on=row.paid_on, paid_at=row.paid_at, booked_on=row.booked_on, amount_minor=row.amount_minor))
    return found


def _sums(
    promise: Row[Any],
    loans: Mapping[int, Row[Any]],
    owed: Mapping[date, Mapping[int, int]],
    paid: Mapping[int, Sequence[_Paid]],
    last_day: date,
) -> tuple[dict[str, int], dict[str, int]]:
    """(wanted, paid in time) by currency. A promise without an amount is of what would be past due on its day had nothing come in since."""
    concerned = _of_promise(promise, loans)
    zone = ZoneInfo((_zones(promise) or ("UTC",))[0])
    made_on = promise.promised_at.astimezone(zone).date()
    wanted: Counter[str] = Counter()
    came: Counter[str] = Counter()
    for loan_id, loan in concerned.items():
        since = [one for one in paid.get(loan_id, ()) if _is_since(one, promise.promised_at, made_on)]
        came[loan.currency] += sum(one.amount_minor for one in since if one.paid_on <= last_day)
        if promise.amount_minor is None:
            open_then = max(0, owed[promise.due_on].get(loan_id, 0) - loan.disputed_minor)
            wanted[loan.currency] += open_then + sum(one.amount_minor for one in since if one.booked_on <= promise.due_on)
    if promise.amount_minor is not None:
        # An amount whose currency nobody knows is one of the only currency that there is; of several, nothing is guessed.
        currencies = {loan.currency for loan in concerned.values()}
        wanted.update(dict.fromkeys([promise.currency] if promise.currency else currencies, promise.amount_minor))
    return dict(wanted), dict(came)


def _is_since(one: _Paid, promised_at: datetime, made_on: date) -> bool:
    return one.paid_at >= promised_at if one.paid_at is not None else one.paid_on >= made_on


# Only who is left in peace for it: whoever is not gets the stage's own words.
_TO_REMIND = text("""
    SELECT DISTINCT p.party_id, e.contact_point_id
    FROM promise p
    LEFT JOIN LATERAL (
        SELECT c.contact_point_id FROM contact_event c WHERE c.party_id = p.party_id AND c.direction = 'inbound'
        ORDER BY c.at DESC, c.id DESC LIMIT 1) e ON true
    WHERE p.due_on = :due_on AND p.state = 'open' AND p.superseded_at IS NULL AND EXISTS (
        SELECT 1 FROM hold h WHERE h.party_id = p.party_id AND h.kind = 'promise' AND h.superseded_at IS NULL
          AND h.starts_at <= :at AND (h.until IS NULL OR h.until > :at))
    ORDER BY p.party_id
""")
_WAITING = text("""
    SELECT DISTINCT party_id FROM promise
    WHERE superseded_at IS NULL AND party_id > :after
      AND (state = 'open' OR (state IN ('kept', 'partial', 'broken') AND due_on >= :since))
    ORDER BY party_id LIMIT :at_most
""")
# The instant at which it was promised is that of the first version; a judgement's own is that of the judgement.
_PROMISES: Final = """
    SELECT p.id, p.party_id, p.loan_id, p.due_on, p.amount_minor, p.currency, p.state, o.promised_at, b.country, b.known_zone,
           coalesce(b.zones, '{{}}') AS zones, f.covers_until
    FROM promise p
    JOIN party y ON y.id = p.party_id
    CROSS JOIN LATERAL (
        SELECT max(v.effective_at) AS promised_at FROM promise v
        WHERE v.party_id = p.party_id AND v.due_on = p.due_on AND v.loan_id IS NOT DISTINCT FROM p.loan_id AND v.state = 'open'
          AND v.amount_minor IS NOT DISTINCT FROM p.amount_minor AND {recorded}) o
    LEFT JOIN party_version b ON b.party_id = p.party_id AND {known[b]}
    LEFT JOIN feed f ON f.creditor_id = y.creditor_id AND f.kind = 'payments' AND {known[f]}
    WHERE p.party_id = ANY(:parties) AND {known[p]} AND o.promised_at IS NOT NULL
      AND (p.state = 'open' OR (p.state IN ('kept', 'partial', 'broken') AND p.due_on >= :since))
    ORDER BY p.party_id, p.due_on, p.id
"""
_LOANS: Final = """
    SELECT DISTINCT lp.party_id, lp.loan_id, v.currency, v.disputed_minor
    FROM loan_party lp JOIN loan_version v ON v.loan_id = lp.loan_id AND {known[v]}
    WHERE lp.party_id = ANY(:parties) AND {known[lp]} AND lp.role IN ('borrower', 'co_borrower')
      AND (lp.starts_on IS NULL OR lp.starts_on <= :on) AND (lp.ends_on IS NULL OR lp.ends_on > :on)
    ORDER BY lp.party_id, lp.loan_id
"""
# What was taken back counts from the day of the payment that it takes back, and stands in the books from its own.
_PAYMENTS: Final = """
    SELECT y.loan_id, o.paid_on, o.paid_at, y.paid_on AS booked_on, y.amount_minor
    FROM payment y
    JOIN payment o ON o.loan_id = y.loan_id AND o.external_id = coalesce(y.reverses_external_id, y.external_id)
     AND o.state = 'posted' AND {known[o]}
    WHERE y.loan_id = ANY(:loans) AND y.state IN ('posted', 'reversed') AND {known[y]}
    ORDER BY y.loan_id, y.id
"""
_JUDGE = text("""
    WITH old AS (
        UPDATE promise SET superseded_at = clock_timestamp() WHERE id = :id AND superseded_at IS NULL RETURNING *
    )
    INSERT INTO promise (effective_at, source, party_id, loan_id, due_on, amount_minor, currency, state)
    SELECT :at, :source, party_id, loan_id, due_on, amount_minor, currency, :state FROM old
""")
_WITHDRAW_OTHERS = text("""
    WITH old AS (
        UPDATE promise SET superseded_at = clock_timestamp()
        WHERE party_id = :party AND due_on <> :due_on AND state = 'open' AND superseded_at IS NULL RETURNING *
    )
    INSERT INTO promise (effective_at, source, party_id, loan_id, due_on, amount_minor, currency, state)
    SELECT :at, :source, party_id, loan_id, due_on, amount_minor, currency, 'withdrawn' FROM old
""")
_SAY_ANEW = text("""
    UPDATE promise SET superseded_at = clock_timestamp()
    WHERE party_id = :party AND due_on = :due_on AND superseded_at IS NULL
      AND (state <> 'open' OR amount_minor IS DISTINCT FROM CAST(:amount AS bigint))
""")
_USED_UP = text("""
    SELECT count(*) FROM promise WHERE party_id = :party AND superseded_at IS NULL AND state = ANY(:states) AND due_on >= :since
""")
# Unless another promise is waited for, with the same peace.
_END_HOLDS = text("""
    WITH old AS (
        UPDATE hold SET superseded_at = clock_timestamp()
        WHERE party_id = :party AND kind = 'promise' AND superseded_at IS NULL AND starts_at <= :until AND until > :until
          AND NOT EXISTS (SELECT 1 FROM promise p WHERE p.party_id = :party AND p.state = 'open' AND p.superseded_at IS NULL)
        RETURNING *
    )
    INSERT INTO hold (effective_at, source, party_id, loan_id, all_liable, kind, channel, purpose, starts_at, until)
    SELECT :until, :source, party_id, loan_id, all_liable, kind, channel, purpose, starts_at, :until FROM old
""")
# Asked for once: whoever waits for a plan already is not asked for again.
_ASK_A_PERSON = text("""
    INSERT INTO outcome (party_id, channel, intent, because, needs_person, at)
    SELECT :party, coalesce((SELECT o.channel FROM outcome o WHERE o.party_id = :party AND o.intent = 'promise' ORDER BY o.id DESC LIMIT 1),
                            'sms'), 'promise', :because, true, :at
    WHERE NOT EXISTS (
        SELECT 1 FROM outcome w WHERE w.party_id = :party AND w.because = :because AND w.needs_person AND w.handled_at IS NULL)
""")
