"""Facts of made-up borrowers, built in memory: for tests of what is decided, without a ledger.

One borrower is one `Known`; columns that a test does not name have values with which nothing stands in the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from decisions import facts
from decisions.facts import Facts, Schema

TODAY = date(2026, 3, 17)
NOON_IN_NEW_YORK = datetime(2026, 3, 17, 16, tzinfo=UTC)
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of one borrower: one row's worth of columns, and rows of the other frames.

    Attributes:
        party_id: Her id; contact points and loans of one's own making are numbered from it.
        days: Days since the due date of her one loan, negative while it is still to come; None = she has the `loans` given instead.
        person: Columns of BORROWERS that differ.
        points: Rows of CONTACT_POINTS; None = a mobile phone (id 10 × party + 1) and a push token (10 × party + 2).
        loans: Rows of LOANS, in place of the one loan.
        history: Rows of HISTORY.
        holds: Rows of HOLDS.
        opt_outs: Rows of OPT_OUTS.
        treatments: Rows of TREATMENTS; columns that they leave out are those of `TRY`, about her one loan.
    """

    party_id: int = 1
    days: int | None = 5
    person: Row = field(default_factory=dict)
    points: Sequence[Row] | None = None
    loans: Sequence[Row] = ()
    history: Sequence[Row] = ()
    holds: Sequence[Row] = ()
    opt_outs: Sequence[Row] = ()
    treatments: Sequence[Row] = ()


def facts_of(*people: Known) -> Facts:
    """The frames of some borrowers."""
    return Facts(
        borrowers=_frame(facts.BORROWERS, [{**PERSON, "party_id": one.party_id, **one.person} for one in people]),
        loans=_frame(facts.LOANS, [row for one in people for row in _loans(one)]),
        contact_points=_frame(facts.CONTACT_POINTS, [row for one in people for row in _points(one)]),
        consents=_frame(facts.CONSENTS, [{**consent, "party_id": one.party_id} for one in people for consent in CONSENTS]),
        opt_outs=_frame(facts.OPT_OUTS, _of(people, "opt_outs", {"channel": "all", "at": LONG_AGO})),
        holds=_frame(facts.HOLDS, _of(people, "holds", {"starts_at": LONG_AGO})),
        wishes=facts.empty(facts.WISHES),
        agreements=facts.empty(facts.AGREEMENTS),
        notices=facts.empty(facts.NOTICES),
        history=_frame(facts.HISTORY, [{"event_id": number, **row} for number, row in enumerate(_of(people, "history", CONTACT), start=1)]),
        treatments=_frame(
            facts.TREATMENTS,
            [{"loans": [100 * one.party_id], **TRY, "party_id": one.party_id, **row} for one in people for row in one.treatments],
        ),
    )


def loan(days: int, **columns: Any) -> Row:
    """A loan that is `days` days late, of 100.00; of which nothing is late yet where `days` is not above 0."""
    due_on = TODAY - timedelta(days=days)
    if days <= 0:
        still_to_come = {"past_due_minor": 0, "days_past_due": 0, "delinquent_days": 0, "oldest_unpaid_due_on": None, "next_due_on": due_on}
        columns = {**still_to_come, "bucket": "current", "stage": "pre_due", **columns}
    return {
        "loan_id": 100,
        "role": "borrower",
        "product": "wallet_credit",
        "currency": "USD",
        "past_due_minor": 10_000,
        "outstanding_minor": 10_000,
        "days_past_due": days,
        "delinquent_days": days,
        "oldest_unpaid_due_on": due_on,
        "bucket": "M1",
        "stage": next((stage for stage, last in (("early", 30), ("mid", 60), ("late", 90)) if days <= last), "recovery"),
        "disputed_minor": 0,
        "charged_off": False,
        "time_barred": False,
        "servicing_status": "active",
        **columns,
    }


def point(contact_point_id: int, kind: str = "mobile", **columns: Any) -> Row:
    """A contact point in use that belongs to the borrower."""
    return {
        "contact_point_id": contact_point_id,
        "kind": kind,
        "owner": "borrower",
        "employer_owned": False,
        "country": "US",
        "zones": ["America/New_York"],
        "verified_on": date(2026, 3, 1),
        "status": "active",
        "ownership": "claimed",
        **columns,
    }


LONG_AGO = datetime(2026, 1, 16, 12, tzinfo=UTC)
TRY: Row = {
    "stage": "early",
    "message": "early_reminder",
    "channel": "sms",
    "at": NOON_IN_NEW_YORK - timedelta(days=10),
    "contact_point_id": 11,
    "result": "delivered",
}
PERSON: Row = {
    "creditor_id": 1,
    "creditor_role": "first_party",
    "country": "US",
    "region": "US-NY",
    "locale": "en",
    "zones": ["America/New_York"],
    "facts": [],
    "jurisdictions": ["US", "US-NY"],
    "home_zones": ["America/New_York"],
    "payments_fresh_until": datetime(2026, 3, 18, 23, tzinfo=UTC),
    "paused": False,
    "paused_channels": [],
}
CONSENTS: Sequence[Row] = [{"channel": channel, "given_to": "creditor", "at": LONG_AGO} for channel in ("sms", "push")]
CONTACT: Row = {
    "at": LONG_AGO,
    "channel": "sms",
    "direction": "outbound",
    "loans": [],
    "counterparty": "borrower",
    "purpose": "collection",
    "result": "delivered",
}


def _of(people: Sequence[Known], which: str, usual: Mapping[str, Any]) -> list[Row]:
    return [{**usual, "party_id": one.party_id, **row} for one in people for row in getattr(one, which)]


def _loans(one: Known) -> list[Row]:
    rows = one.loans if one.days is None else [loan(one.days, loan_id=100 * one.party_id)]
    return [{**row, "party_id": one.party_id} for row in rows]


def _points(one: Known) -> list[Row]:
    rows = [point(10 * one.party_id + 1), point(10 * one.party_id + 2, "push")] if one.points is None else one.points
    return [{**row, "party_id": one.party_id} for row in rows]


def _frame(schema: Schema, rows: Sequence[Row]) -> pl.DataFrame:
    unknown = {name for row in rows for name in row} - set(schema)
    assert not unknown, f"no such columns: {unknown}"
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)
