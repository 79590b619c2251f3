"""Features: what a model may look at of a person, worked out from her past as of an instant.

All of it is behaviour towards this lender and her wallet: what she paid and when, when money comes in, how she was contacted and what came
of it, how she may be reached, how much is due beside what she usually has. A null means "not known"; a model has to cope with it.
Ratios take amounts of one currency: that of the loan that is latest.

In:   `Past` (decisions/past.py), the instant.
Out:  one row a person, columns `FEATURES`, Float64.
Pure: no I/O, no clock.
Source: SCIENCE.md A2 to A5 (what matters), C3 (what may never come in).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl

from decisions.past import Past
from decisions.words import CHANNELS

WEEK_DAYS: Final = 7
MONTH_DAYS: Final = 30
QUARTER_DAYS: Final = 90
# The hours of a day in six slots of four: 0 = midnight to four.
SLOTS: Final = 6
SLOT_HOURS: Final = 4
# A day that brings less than this part of the best one is no pay day (decisions/wallet_flows.py).
PAY_DAY_PART: Final = 4
# Below so many pay days no rhythm is guessed.
PAY_DAYS_MIN: Final = 2
SATURDAY: Final = 6
# A day on which summer time ends.
DAY_MAX: Final = timedelta(hours=25)
# On which channels time since the last contact is told apart.
TOLD_APART: Final = ("push", "in_app", "sms", "whatsapp", "email", "voice", "call")
# Kinds of contact points by which she may be reached.
REACHED_BY: Final = ("mobile", "landline", "email", "push", "whatsapp", "address")

_OWED: Final = ("days_past_due", "loans_late", "past_due_instalments", "past_due_share", "past_due_to_income", "days_to_next_due")
_PAYING: Final = (
    "payments_30d", "payments_90d", "days_since_payment", "payment_to_instalment", "on_time_share", "paid_today_weekday_share",
    *(f"paid_slot_{slot}_share" for slot in range(SLOTS)),
)  # fmt: skip
_INCOME: Final = (
    "income_days", "income_gap_days", "days_since_income", "days_to_income", "income_30d_to_usual", "spare_share", "balance_to_past_due",
)  # fmt: skip
_CONTACT: Final = (
    "contacts_today", "contacts_7d", "contacts_30d", "days_since_contact", "delivered_share", "read_share", "answered_share",
    *(f"days_since_{channel}" for channel in TOLD_APART),
)  # fmt: skip
_SAID: Final = (
    "replies_30d", "days_since_reply", "cannot_pay_90d", "disputed_90d",
    "promises_kept", "promises_broken", "promise_open", "plan_active", "plans_broken",
)  # fmt: skip
_REACH: Final = (*(f"reach_{kind}" for kind in REACHED_BY), "verified", "stops")
_DAY: Final = ("weekend",)

FEATURES: Final[tuple[str, ...]] = (*_OWED, *_PAYING, *_INCOME, *_CONTACT, *_SAID, *_REACH, *_DAY)


def features(past: Past, *, as_of: datetime) -> pl.DataFrame:
    """What a model may look at, for each of the people.

    Args:
        past: As of that instant; what lies later in it is not looked at.
        as_of: In any zone.

    Returns:
        `party_id` and `FEATURES` (Float64; null = not known), one row a person, by id.
    """
    # A database may call UTC by another name, which Polars takes for another zone.
    as_of = as_of.astimezone(UTC)
    people = past.people.select("party_id", "zone").unique("party_id").sort("party_id")
    here = people.with_columns(now=_local(pl.lit(as_of), people)).with_columns(today=pl.col("now").dt.date())
    owed = _owed(past, here)
    parts = [
        owed,
        _paying(past, here),
        _income(past, here, owed),
        _contacts(past, here, as_of),
        _replies(past, as_of),
        _promises(past),
        _reach(past),
    ]
    rows = here
    for part in parts:
        rows = rows.join(part, on="party_id", how="left")
    counted = (*_COUNTS, *(f"reach_{kind}" for kind in REACHED_BY))
    return (
        rows.with_columns(
            pl.col(*counted).fill_null(0),
            weekend=pl.col("today").dt.weekday() >= SATURDAY,
        )
        .select(
            "party_id", *(pl.col(name).cast(pl.Float64).replace([float("inf"), float("-inf")], None).fill_nan(None) for name in FEATURES)
        )
        .sort("party_id")
    )


# Of whom there are no rows, there were none of these.
_COUNTS: Final = (
    "loans_late", "payments_30d", "payments_90d", "income_days", "contacts_today", "contacts_7d", "contacts_30d", "replies_30d",
    "cannot_pay_90d", "disputed_90d", "promises_kept", "promises_broken", "promise_open", "plan_active", "plans_broken", "verified",
    "stops",
)  # fmt: skip


def local_slot(people: pl.DataFrame, sent: pl.DataFrame) -> pl.DataFrame:
    """`party_id`, `hour_slot` (Int32): in which slot of each person's day an instant falls.

    Args:
        people: `decisions.past.PEOPLE`.
        sent: `party_id`, `send_after`; one row a person.
    """
    here = sent.select("party_id", "send_after").join(people, on="party_id")
    return here.select("party_id", hour_slot=slot_of(_local(pl.col("send_after"), people).dt.hour()))


def slot_of(hour: pl.Expr) -> pl.Expr:
    """The slot of an hour of the day, 0 to 5."""
    return (hour // SLOT_HOURS).cast(pl.Int32)


def _local(at: pl.Expr, people: pl.DataFrame) -> pl.Expr:
    """An instant by each person's clock, without a zone; UTC where hers is not known."""
    told = pl.lit(None, pl.Datetime("us"))
    for zone in people["zone"].drop_nulls().unique().sort():
        told = pl.when(pl.col("zone") == zone).then(at.dt.convert_time_zone(zone).dt.replace_time_zone(None)).otherwise(told)
    return pl.coalesce(told, at.dt.convert_time_zone("UTC").dt.replace_time_zone(None))


def _owed(past: Past, here: pl.DataFrame) -> pl.DataFrame:
    """What is due, beside what usually is; `currency` and `past_due_minor` are those of the loan that is latest."""
    usual = past.instalments.group_by("loan_id").agg(usual_minor=pl.col("amount_minor").median())
    loans = past.loans.join(usual, on="loan_id", how="left").join(here.select("party_id", "today"), on="party_id")
    latest = (
        loans.sort("party_id", "days_past_due", "past_due_minor", "loan_id", descending=[False, True, True, False])
        .unique("party_id", keep="first", maintain_order=True)
        .select("party_id", "currency", "days_past_due", "usual_minor", "today")
    )
    same = loans.join(latest.select("party_id", "currency"), on=["party_id", "currency"])
    summed = same.group_by("party_id").agg(
        past_due_minor=pl.col("past_due_minor").sum(),
        outstanding_minor=pl.col("outstanding_minor").sum(),
        loans_late=(pl.col("days_past_due") > 0).sum(),
        next_due_on=pl.col("next_due_on").min(),
    )
    return latest.join(summed, on="party_id").select(
        "party_id",
        "currency",
        "past_due_minor",
        "days_past_due",
        "loans_late",
        past_due_instalments=pl.col("past_due_minor") / pl.col("usual_minor"),
        past_due_share=pl.col("past_due_minor") / pl.col("outstanding_minor"),
        days_to_next_due=(pl.col("next_due_on") - pl.col("today")).dt.total_days(),
    )


def _paying(past: Past, here: pl.DataFrame) -> pl.DataFrame:
    usual = past.instalments.group_by("loan_id").agg(usual_minor=pl.col("amount_minor").median())
    paid = (
        past.payments.join(here, on="party_id")
        .filter(pl.col("paid_on") <= pl.col("today"))
        .join(usual, on="loan_id", how="left")
        .with_columns(
            ago=(pl.col("today") - pl.col("paid_on")).dt.total_days(),
            same_weekday=pl.col("paid_on").dt.weekday() == pl.col("today").dt.weekday(),
        )
    )
    clocked = paid.filter(pl.col("paid_at").is_not_null())
    slots = clocked.with_columns(slot=slot_of(_local(pl.col("paid_at"), here).dt.hour()))
    return (
        here.select("party_id")
        .join(
            paid.group_by("party_id").agg(
                payments_30d=(pl.col("ago") < MONTH_DAYS).sum(),
                payments_90d=(pl.col("ago") < QUARTER_DAYS).sum(),
                days_since_payment=pl.col("ago").min(),
                payment_to_instalment=(pl.col("amount_minor") / pl.col("usual_minor")).median(),
                paid_today_weekday_share=pl.col("same_weekday").mean(),
            ),
            on="party_id",
            how="left",
        )
        .join(
            slots.group_by("party_id").agg((pl.col("slot") == slot).mean().alias(f"paid_slot_{slot}_share") for slot in range(SLOTS)),
            on="party_id",
            how="left",
        )
        .join(_on_time(past, here), on="party_id", how="left")
    )


def _on_time(past: Past, here: pl.DataFrame) -> pl.DataFrame:
    """Of the instalments that have fallen due: the share at whose day as much had been paid as was due until then."""
    due = (
        past.instalments.join(here.select("party_id", "today"), on="party_id")
        .filter(pl.col("due_on") < pl.col("today"))
        .sort("due_on")
        .with_columns(due_minor=pl.col("amount_minor").cum_sum().over("party_id", "loan_id"))
    )
    paid = past.payments.sort("paid_on").with_columns(paid_minor=pl.col("amount_minor").cum_sum().over("party_id", "loan_id"))
    met = due.join_asof(
        paid.select("party_id", "loan_id", "paid_on", "paid_minor"),
        left_on="due_on",
        right_on="paid_on",
        by=["party_id", "loan_id"],
        strategy="backward",
        check_sortedness=False,
    )
    return met.group_by("party_id").agg(on_time_share=(pl.col("paid_minor").fill_null(0) >= pl.col("due_minor")).mean())


def _income(past: Past, here: pl.DataFrame, owed: pl.DataFrame) -> pl.DataFrame:
    """When money comes in, how much of it is spare, and what is due beside it."""
    told = past.flows.join(here.select("party_id", "today"), on="party_id").join(
        owed.select("party_id", "past_due_minor", owed_in="currency"), on="party_id", how="left"
    )
    told = told.filter(
        (pl.col("moved_on") <= pl.col("today")) & (pl.col("owed_in").is_null() | (pl.col("currency") == pl.col("owed_in")))
    ).with_columns(ago=(pl.col("today") - pl.col("moved_on")).dt.total_days())
    sums = told.group_by("party_id").agg(
        income_minor=pl.col("income_minor").sum(),
        spent_minor=pl.col("spent_minor").sum(),
        recent_minor=pl.col("income_minor").filter(pl.col("ago") < MONTH_DAYS).sum(),
        days=pl.col("ago").max() + 1,
        balance_minor=pl.col("balance_minor").sort_by("moved_on").drop_nulls().last(),
        past_due_minor=pl.col("past_due_minor").first(),
    )
    best = pl.col("income_minor").max().over("party_id")
    pay_days = told.filter((pl.col("income_minor") > 0) & (pl.col("income_minor") * PAY_DAY_PART >= best)).sort("party_id", "moved_on")
    gaps = pl.col("moved_on").diff().dt.total_days().over("party_id")
    rhythm = (
        pay_days.with_columns(gap=gaps)
        .group_by("party_id")
        .agg(income_days=pl.len(), income_gap_days=pl.col("gap").median(), days_since_income=pl.col("ago").min())
        .with_columns(income_gap_days=pl.when(pl.col("income_days") >= PAY_DAYS_MIN).then("income_gap_days"))
    )
    # A month's income, as her rhythm of at least one month shows it.
    monthly = pl.when(pl.col("days") >= MONTH_DAYS).then(pl.col("income_minor") / pl.col("days") * MONTH_DAYS)
    return (
        sums.join(rhythm, on="party_id", how="left")
        .with_columns(usual=pl.when(monthly > 0).then(monthly))
        .select(
            "party_id",
            "income_days",
            "income_gap_days",
            "days_since_income",
            # It is overdue where this is negative.
            days_to_income=pl.col("income_gap_days") - pl.col("days_since_income"),
            income_30d_to_usual=pl.col("recent_minor") / pl.col("usual"),
            spare_share=(pl.col("income_minor") - pl.col("spent_minor")) / pl.when(pl.col("income_minor") > 0).then("income_minor"),
            balance_to_past_due=pl.col("balance_minor") / pl.when(pl.col("past_due_minor") > 0).then("past_due_minor"),
            past_due_to_income=pl.col("past_due_minor") / pl.col("usual"),
        )
    )


def _contacts(past: Past, here: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    made = (
        past.contacts.filter(pl.col("at") < as_of)
        .join(here.select("party_id", "zone", "today"), on="party_id")
        .with_columns(ago=(pl.lit(as_of) - pl.col("at")).dt.total_seconds() / timedelta(days=1).total_seconds())
    )
    talks = pl.col("channel").is_in(["call", "voice"])
    # No day of hers has more hours; the others' days need not be worked out.
    lately = made.filter(pl.col("ago") <= DAY_MAX / timedelta(days=1))
    today = lately.filter(_local(pl.col("at"), here).dt.date() == pl.col("today")).group_by("party_id").agg(contacts_today=pl.len())
    found = made.group_by("party_id").agg(
        contacts_7d=(pl.col("ago") <= WEEK_DAYS).sum(),
        contacts_30d=(pl.col("ago") <= MONTH_DAYS).sum(),
        days_since_contact=pl.col("ago").min(),
        delivered_share=pl.col("delivered").filter(~talks).mean(),
        read_share=pl.col("read").filter(~talks).mean(),
        answered_share=pl.col("answered").filter(talks).mean(),
        **{f"days_since_{channel}": pl.col("ago").filter(pl.col("channel") == channel).min() for channel in TOLD_APART},
    )
    return found.join(today, on="party_id", how="left")


def _replies(past: Past, as_of: datetime) -> pl.DataFrame:
    said = past.replies.filter(pl.col("at") < as_of).with_columns(
        ago=(pl.lit(as_of) - pl.col("at")).dt.total_seconds() / timedelta(days=1).total_seconds()
    )
    lately = pl.col("ago") <= QUARTER_DAYS
    return said.group_by("party_id").agg(
        replies_30d=(pl.col("ago") <= MONTH_DAYS).sum(),
        days_since_reply=pl.col("ago").min(),
        cannot_pay_90d=(lately & (pl.col("intent") == "cannot_pay")).sum(),
        disputed_90d=(lately & pl.col("intent").is_in(["dispute", "complaint"])).sum(),
    )


def _promises(past: Past) -> pl.DataFrame:
    promised = past.promises.group_by("party_id").agg(
        promises_kept=(pl.col("state") == "kept").sum(),
        promises_broken=(pl.col("state") == "broken").sum(),
        promise_open=(pl.col("state") == "open").any(),
    )
    planned = past.plans.group_by("party_id").agg(
        plan_active=pl.col("status").is_in(["active", "late"]).any(), plans_broken=(pl.col("status") == "broken").sum()
    )
    return promised.join(planned, on="party_id", how="full", coalesce=True)


def _reach(past: Past) -> pl.DataFrame:
    ways = past.reach.group_by("party_id").agg(
        **{f"reach_{kind}": (pl.col("kind") == kind).any() for kind in REACHED_BY}, verified=pl.col("verified").any()
    )
    everything = pl.when((pl.col("channel") == "all").any()).then(len(CHANNELS)).otherwise(pl.col("channel").n_unique())
    return ways.join(past.stops.group_by("party_id").agg(stops=everything), on="party_id", how="full", coalesce=True)
