"""A person's past as a lender sees it: the one input of every feature, as frames.

It says what was known at an instant, and nothing that became known or happened later: ledger/past.py reads it so, and whoever builds it
otherwise (a simulation) has to keep to it. Nothing else may come in: no sex, age, marriage, education, religion, language or region, no
contact list, photo, place or device (tests/decisions/test_features.py holds the list).

Shapes: every frame has the columns and types of its schema below; `party_id` joins them. Instants are UTC, microseconds; amounts are
minor units of the currency beside them.
Pure: values only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from decisions.facts import Schema, empty, type_instant

# One row a person asked for. The zone only turns instants into her hours and days; it is never a feature.
PEOPLE: Final[Schema] = {"party_id": pl.Int64, "zone": pl.String}
# Late or nearly due, as aged on the day; one that is paid up has no row.
LOANS: Final[Schema] = {
    "party_id": pl.Int64,
    "loan_id": pl.Int64,
    "currency": pl.String,
    "past_due_minor": pl.Int64,
    "outstanding_minor": pl.Int64,
    "days_past_due": pl.Int32,
    "next_due_on": pl.Date,
}
# Of all loans that she stands for, those still to come too.
INSTALMENTS: Final[Schema] = {"party_id": pl.Int64, "loan_id": pl.Int64, "due_on": pl.Date, "amount_minor": pl.Int64}
# Posted and not taken back.
PAYMENTS: Final[Schema] = {
    "party_id": pl.Int64,
    "loan_id": pl.Int64,
    "paid_on": pl.Date,
    "paid_at": type_instant,  # null where only the day is known
    "amount_minor": pl.Int64,
}
# What we made, on any channel: an attempt that left us, with what is known of it.
CONTACTS: Final[Schema] = {
    "party_id": pl.Int64,
    "at": type_instant,
    "channel": pl.String,
    "delivered": pl.Boolean,
    "read": pl.Boolean,
    "answered": pl.Boolean,  # a talk
}
# What she said, by the intents of `outcome`.
REPLIES: Final[Schema] = {"party_id": pl.Int64, "at": type_instant, "channel": pl.String, "intent": pl.String}
PROMISES: Final[Schema] = {
    "party_id": pl.Int64,
    "due_on": pl.Date,
    "state": pl.String,  # open | kept | partial | broken | withdrawn
}
PLANS: Final[Schema] = {"party_id": pl.Int64, "loan_id": pl.Int64, "status": pl.String}
# Days of a wallet: what came in and is counted on, what went out, what was left at the day's end (null = not told).
FLOWS: Final[Schema] = {
    "party_id": pl.Int64,
    "moved_on": pl.Date,
    "currency": pl.String,
    "income_minor": pl.Int64,
    "spent_minor": pl.Int64,
    "balance_minor": pl.Int64,
}
# Ways to her that work: active, and not somebody else's.
REACH: Final[Schema] = {"party_id": pl.Int64, "kind": pl.String, "verified": pl.Boolean}
# Stops in force, `all` or a channel.
STOPS: Final[Schema] = {"party_id": pl.Int64, "channel": pl.String}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "people": PEOPLE,
    "loans": LOANS,
    "instalments": INSTALMENTS,
    "payments": PAYMENTS,
    "contacts": CONTACTS,
    "replies": REPLIES,
    "promises": PROMISES,
    "plans": PLANS,
    "flows": FLOWS,
    "reach": REACH,
    "stops": STOPS,
}
# How far back it goes: days before the instant. Instalments and promises come whole.
PAYMENT_DAYS: Final = 180
CONTACT_DAYS: Final = 90
FLOW_DAYS: Final = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """All frames about the same people, as of the same instant. What is left out is not known."""

    people: pl.DataFrame
    loans: pl.DataFrame = field(default_factory=lambda: empty(LOANS))
    instalments: pl.DataFrame = field(default_factory=lambda: empty(INSTALMENTS))
    payments: pl.DataFrame = field(default_factory=lambda: empty(PAYMENTS))
    contacts: pl.DataFrame = field(default_factory=lambda: empty(CONTACTS))
    replies: pl.DataFrame = field(default_factory=lambda: empty(REPLIES))
    promises: pl.DataFrame = field(default_factory=lambda: empty(PROMISES))
    plans: pl.DataFrame = field(default_factory=lambda: empty(PLANS))
    flows: pl.DataFrame = field(default_factory=lambda: empty(FLOWS))
    reach: pl.DataFrame = field(default_factory=lambda: empty(REACH))
    stops: pl.DataFrame = field(default_factory=lambda: empty(STOPS))
