"""Facts: what is known of some borrowers at an instant, as frames. The one input of every rule and choice.

The same value is read for a shard of 20,000 borrowers at planning (ledger/facts.py), for a chunk of 256 under the
gate's lock, and for one case of a case file: a rule cannot tell the difference, so it has one implementation.

Shapes: every frame has the columns and types of its schema below; `party_id` joins them. Instants are UTC,
microseconds. A null means "not known", never a guess in favour of contacting.
Pure: values only.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, fields, replace
from typing import Final, Self, TypeAlias

import polars as pl

Schema: TypeAlias = dict[str, pl.DataType | type[pl.DataType]]

type_instant: Final = pl.Datetime("us", "UTC")

BORROWERS: Final[Schema] = {
    "party_id": pl.Int64,
    "creditor_id": pl.Int64,
    "creditor_role": pl.String,  # first_party | third_party | debt_buyer
    "country": pl.String,
    "region": pl.String,
    "locale": pl.String,
    "known_zone": pl.String,
    "zones": pl.List(pl.String),  # every plausible zone; empty = unknown = nobody is contacted
    "home_zones": pl.List(pl.String),  # of the state, or the country, where the person lives; empty = unknown
    "facts": pl.List(pl.String),  # attorney_represented, deceased, minor, ...
    # Jurisdictions that attach, most general first: ["US", "US-NY"]; empty = unknown = nobody is contacted.
    "jurisdictions": pl.List(pl.String),
    # When the payment feed's word is older than its limit, nobody is contacted (`stale_payments`). Null = no feed known = stale.
    "payments_fresh_until": type_instant,
    "paused": pl.Boolean,  # operations stopped all contact for this creditor or for the stage the borrower is in
    "paused_channels": pl.List(pl.String),  # ... or contact by these channels
}
# The loans that are late or nearly due; one that was paid up is gone from here, at planning and at the gate alike.
LOANS: Final[Schema] = {
    "party_id": pl.Int64,
    "loan_id": pl.Int64,
    "role": pl.String,  # borrower | co_borrower | guarantor | ...
    "product": pl.String,
    "account": pl.String,
    "currency": pl.String,
    "past_due_minor": pl.Int64,
    "outstanding_minor": pl.Int64,
    "days_past_due": pl.Int32,
    "delinquent_days": pl.Int32,
    "oldest_unpaid_due_on": pl.Date,
    "next_due_on": pl.Date,  # the earliest unpaid due date that is today or still to come
    "bucket": pl.String,
    "stage": pl.String,  # the stage of treatment, or `in_plan` while a plan is kept; null = within grace
    "disputed_minor": pl.Int64,
    "charged_off": pl.Boolean,
    "time_barred": pl.Boolean,
    "servicing_status": pl.String,
}
CONTACT_POINTS: Final[Schema] = {
    "party_id": pl.Int64,
    "contact_point_id": pl.Int64,
    "kind": pl.String,
    "owner": pl.String,
    "employer_owned": pl.Boolean,
    "country": pl.String,
    "zones": pl.List(pl.String),
    "verified_on": pl.Date,
    "status": pl.String,  # active | inactive | invalid | unreachable
    "ownership": pl.String,  # claimed | verified | shared | reassigned | wrong; of the value, not the row
}
CONSENTS: Final[Schema] = {"party_id": pl.Int64, "channel": pl.String, "given_to": pl.String, "at": type_instant, "until": type_instant}
OPT_OUTS: Final[Schema] = {
    "party_id": pl.Int64,
    "channel": pl.String,
    "contact_point_id": pl.Int64,
    "at": type_instant,
    "until": type_instant,
}
HOLDS: Final[Schema] = {
    "party_id": pl.Int64,
    "loan_id": pl.Int64,  # null = all loans of the party
    "kind": pl.String,
    "channel": pl.String,  # null = every channel
    "purpose": pl.String,  # null = every purpose
    "starts_at": type_instant,
    "until": type_instant,
}
WISHES: Final[Schema] = {
    "party_id": pl.Int64,
    "kind": pl.String,  # not_at | not_place | not_channel
    "days": pl.List(pl.String),  # mon..sun; empty = every day
    "opens": pl.Time,
    "closes": pl.Time,
    "place": pl.String,
    "channels": pl.List(pl.String),  # empty = every channel
    "starts_at": type_instant,
    "until": type_instant,
    "form": pl.String,  # oral | written; null = not known
}
AGREEMENTS: Final[Schema] = {
    "party_id": pl.Int64,
    "kind": pl.String,
    "days": pl.List(pl.String),
    "opens": pl.Time,
    "closes": pl.Time,
    "requested_by": pl.String,
    "at": type_instant,
    "until": type_instant,
}
NOTICES: Final[Schema] = {
    "party_id": pl.Int64,
    "loan_id": pl.Int64,
    "kind": pl.String,
    "sent_at": type_instant,
    "received_on": pl.Date,
    "bounced": pl.Boolean,
    "opt_out_by": pl.Date,
}
# How far back contacts are read, where nobody asks for more.
HISTORY_DAYS: Final = 40
HISTORY: Final[Schema] = {
    "party_id": pl.Int64,
    "event_id": pl.Int64,
    "at": type_instant,
    "channel": pl.String,
    "direction": pl.String,  # outbound | inbound
    "loans": pl.List(pl.Int64),
    "contact_point_id": pl.Int64,
    "counterparty": pl.String,
    "purpose": pl.String,
    "result": pl.String,  # the latest result known of the contact
}
# What stages have tried with a person, however long ago: decisions/offered.py asks whether a milder stage was offered.
TREATMENTS: Final[Schema] = {
    "party_id": pl.Int64,
    "stage": pl.String,
    "message": pl.String,
    "channel": pl.String,
    "at": type_instant,
    "loans": pl.List(pl.Int64),
    "contact_point_id": pl.Int64,
    "result": pl.String,  # the latest result known
}
# Ways to a person on which a message of ours surely did not arrive, or was refused, of late: decisions/candidates.py tries another first.
FAILURES: Final[Schema] = {
    "party_id": pl.Int64,
    "contact_point_id": pl.Int64,
    "channel": pl.String,
    "at": type_instant,  # the last time
}
# Loans for which money came in of late, and was not taken back: whoever stands for one is left in peace for some days.
PAYMENTS: Final[Schema] = {
    "party_id": pl.Int64,
    "loan_id": pl.Int64,
    "paid_on": pl.Date,  # the last of the days, by the loan's clock
}
# On which channels a creditor has a sender for contacts of one purpose or all.
SENDERS: Final[Schema] = {
    "creditor_id": pl.Int64,
    "channel": pl.String,
    "purpose": pl.String,  # null = every purpose without a sender of its own
}
# One thing that might be done: a contact point, a channel, a purpose, an instant.
CANDIDATES: Final[Schema] = {
    "candidate": pl.Int64,  # row number, unique in the frame
    "party_id": pl.Int64,
    "contact_point_id": pl.Int64,
    "channel": pl.String,
    "purpose": pl.String,
    "at": type_instant,
    "loans": pl.List(pl.Int64),
    "counterparty": pl.String,
    "automated": pl.Boolean,
}
# What a frame of candidates may say beside that; a column that is left out, or null, is not known.
BESIDE: Final[Schema] = {
    "place": pl.String,  # home | work | other
    "text": pl.String,  # what would be said
    "first": pl.Boolean,  # the first contact about these debts
    "form": pl.String,  # of a call: live | voicemail
}


def empty(schema: Schema) -> pl.DataFrame:
    """A frame of no rows with the given columns."""
    return pl.DataFrame(schema=schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All frames about the same borrowers, read at the same instant."""

    borrowers: pl.DataFrame
    loans: pl.DataFrame
    contact_points: pl.DataFrame
    consents: pl.DataFrame
    opt_outs: pl.DataFrame
    holds: pl.DataFrame
    wishes: pl.DataFrame
    agreements: pl.DataFrame
    notices: pl.DataFrame
    history: pl.DataFrame
    # Read only where a stage asks for it: of whom nothing is known, nothing was offered.
    treatments: pl.DataFrame = field(default_factory=lambda: empty(TREATMENTS))
    # Read only where a strategy falls back from one channel to the next.
    failures: pl.DataFrame = field(default_factory=lambda: empty(FAILURES))
    # Read only where a strategy rests after a payment.
    payments: pl.DataFrame = field(default_factory=lambda: empty(PAYMENTS))
    senders: pl.DataFrame = field(default_factory=lambda: empty(SENDERS))  # empty = not known: every channel is taken to have one

    def about(self, party_ids: Collection[int]) -> Self:
        """The same facts, of some of these borrowers alone."""
        frames = {one.name: getattr(self, one.name) for one in fields(self)}
        theirs = pl.col("party_id").is_in(list(party_ids))
        return replace(self, **{name: frame.filter(theirs) for name, frame in frames.items() if "party_id" in frame.columns})
