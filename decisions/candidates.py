"""Candidates: what might be done for each borrower of a stage, before any rule has spoken.

In:   facts, a stage's strategy, the texts there are, an instant and a business date.
Out:  `owed`: what is asked for, one row a borrower (the gate fills messages from it too);
      `standing`: where the strategy stands with each borrower;
      `candidates`: the contact points through which a step could be taken, in the shape that rules judge.
Pure: no I/O, no clock. Rows come out in an order that the rows' own ids decide, whatever order they came in.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from decisions.facts import CANDIDATES, Facts, Schema, type_instant
from decisions.messages import Texts
from decisions.strategy import CHANNEL_OF_KIND, Strategy

STAGE_ORDER: Final = ("pre_due", "early", "mid", "late", "recovery")
# Who is asked to pay. A guarantor or an adviser is never written to as if the payment were hers.
ASKED_ROLES: Final = ("borrower", "co_borrower")
# Loans that are treated by stage; a plan, an agency or a sale is a treatment of its own.
ASKED_SERVICING: Final = ("active", "written_off")
# Results that say for sure that nothing reached the person: no pressure was felt.
NEVER_ARRIVED: Final = ("undelivered", "failed", "not_in_service")


def owed(loans: pl.DataFrame) -> pl.DataFrame:
    """What each borrower is asked for: the undisputed past-due part of her loans, in one currency.

    Loans in several currencies are not added up: the one with the oldest unpaid due date decides which are spoken of.

    Args:
        loans: decisions/facts.LOANS.

    Returns:
        `party_id`, `stage` (the worst one of all loans asked for), `day` (most delinquent days), `counterparty`,
        `loans: List[Int64]` ascending, `amount_minor` > 0, `currency`, `due_on`; one row a borrower who owes, by id.
    """
    late = (
        loans.filter(pl.col("role").is_in(ASKED_ROLES) & pl.col("servicing_status").is_in(ASKED_SERVICING))
        .with_columns(asked_minor=pl.col("past_due_minor") - pl.col("disputed_minor").fill_null(0))
        .filter((pl.col("asked_minor") > 0) & pl.col("stage").is_in(STAGE_ORDER) & pl.col("delinquent_days").is_not_null())
        .with_columns(stage_rank=pl.col("stage").replace_strict(STAGE_ORDER, range(len(STAGE_ORDER)), return_dtype=pl.Int8))
        .sort("party_id", "oldest_unpaid_due_on", "loan_id", nulls_last=True)
    )
    worst = late.group_by("party_id", maintain_order=True).agg(
        pl.col("stage_rank").max(), pl.col("currency").first(), day=pl.col("delinquent_days").max()
    )
    spoken_of = (
        late.join(worst.select("party_id", "currency"), on=["party_id", "currency"], how="semi")
        .group_by("party_id", maintain_order=True)
        .agg(
            counterparty=pl.col("role").min(),
            loans=pl.col("loan_id").unique().sort(),
            amount_minor=pl.col("asked_minor").sum(),
            due_on=pl.col("oldest_unpaid_due_on").first(),
        )
    )
    return (
        worst.join(spoken_of, on="party_id")
        .with_columns(stage=pl.col("stage_rank").replace_strict(range(len(STAGE_ORDER)), STAGE_ORDER, return_dtype=pl.String))
        .select("party_id", "stage", "day", "counterparty", "loans", "amount_minor", "currency", "due_on")
        .sort("party_id")
    )


def standing(facts: Facts, strategy: Strategy, *, at: datetime, business_date: date) -> pl.DataFrame:
    """Where the strategy stands with each borrower.

    Args:
        facts: About any borrowers.
        strategy: Of the stage.
        at: The instant of planning, UTC.
        business_date: The local day that is being treated, in each borrower's own zone.

    Returns:
        One row a borrower, by id: `owed`'s columns (null where nothing is asked for), `locale`, `creditor_role`,
        `at` (the earliest instant at which she may be contacted on that day: now, or the start of her day),
        `day_ends_at` (null = her zone is unknown), `in_stage`, `day_over`, `waits`, `budget_reached`, `step` (the last one
        reached through any channel; 0 = none).
    """
    reached = [(day, max((step.number for step in strategy.reached(day).values()), default=0)) for day in _days(strategy)]
    steps = pl.DataFrame(reached, schema={"day": pl.Int32, "step": pl.Int32}, orient="row")
    return (
        facts.borrowers.select("party_id", "locale", "creditor_role")
        .join(owed(facts.loans).with_columns(pl.col("day").cast(pl.Int32)), on="party_id", how="left")
        .join(steps, on="day", how="left")
        .join(_day_bounds(facts.borrowers, business_date), on="party_id", how="left")
        .join(_recent_contacts(facts, strategy, business_date), on="party_id", how="left")
        .with_columns(
            pl.col("step").fill_null(0),
            at=pl.max_horizontal(pl.lit(at.astimezone(UTC), dtype=type_instant), pl.col("day_starts_at")),
            in_stage=(pl.col("stage") == strategy.stage).fill_null(False),
            waits=(pl.col("last_contact_on") > business_date - timedelta(days=strategy.gap_days_min)).fill_null(False),
            budget_reached=(pl.col("contacts") >= strategy.contacts_max).fill_null(False),
        )
        .with_columns(day_over=(pl.col("at") >= pl.col("day_ends_at")).fill_null(False))
        .drop("day_starts_at", "contacts", "last_contact_on")
        .sort("party_id")
    )


def candidates(facts: Facts, stands: pl.DataFrame, strategy: Strategy, texts: Texts) -> pl.DataFrame:
    """Every contact point through which a borrower of the stage could be reached, with the last step of its channel.

    Args:
        facts: As for `standing`.
        stands: From `standing`.
        strategy: Of the stage.
        texts: All messages.

    Returns:
        decisions/facts.CANDIDATES and `step`, `message`, `offers: List[String]` (ranked), `text_locale` (null = there is no
        text that this person can read), `ownership`, `verified_on`; by borrower, latest step first, then contact point.
        A contact point that is not in use is none.
    """
    reachable = facts.contact_points.filter(pl.col("status") == "active").with_columns(
        channel=pl.col("kind").replace_strict(CHANNEL_OF_KIND, default=None, return_dtype=pl.String)
    )
    return (
        stands.filter("in_stage")
        .select("party_id", "at", "day", "loans", "counterparty", "locale", "creditor_role")
        .join(reachable.filter(pl.col("channel").is_not_null()).drop("zones", "country"), on="party_id")
        .join(_step_of_channel(strategy), on=["day", "channel"])
        .join(_text_locales(stands, strategy, texts), on=["locale", "creditor_role", "message", "channel"], how="left", nulls_equal=True)
        .sort("party_id", pl.col("step"), "contact_point_id", descending=[False, True, False])
        .with_columns(
            candidate=pl.int_range(pl.len(), dtype=pl.Int64),
            purpose=pl.lit(strategy.purpose),
            automated=pl.lit(True),
            # Someone else's phone makes that person the one who is contacted, whoever owes.
            counterparty=pl.when(pl.col("owner") == "borrower").then("counterparty").otherwise("owner"),
        )
        .select(*CANDIDATES, "step", "message", "offers", "text_locale", "ownership", "verified_on")
    )


def _days(strategy: Strategy) -> range:
    return range(strategy.first_day, strategy.last_day + 1)


def _step_of_channel(strategy: Strategy) -> pl.DataFrame:
    rows = [
        (day, channel, step.number, step.message, list(step.offers))
        for day in _days(strategy)
        for channel, step in strategy.reached(day).items()
    ]
    schema: Schema = {"day": pl.Int32, "channel": pl.String, "step": pl.Int32, "message": pl.String, "offers": pl.List(pl.String)}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _text_locales(stands: pl.DataFrame, strategy: Strategy, texts: Texts) -> pl.DataFrame:
    """The text that each kind of reader gets: a portfolio has a handful of languages, so each is looked up once."""
    said = sorted({(step.message, step.channel) for step in strategy.steps})
    rows = [
        (locale, role, message, channel, texts.locale_for(locale, message, channel, role))
        for locale, role in stands.select("locale", "creditor_role").unique().rows()
        for message, channel in said
    ]
    schema = dict.fromkeys(("locale", "creditor_role", "message", "channel", "text_locale"), pl.String)
    return pl.DataFrame(rows, schema=schema, orient="row")


def _day_bounds(borrowers: pl.DataFrame, business_date: date) -> pl.DataFrame:
    """The part of the business date that is that day in every zone a borrower may be in; none where a zone is unknown."""
    zones = borrowers.select(
        "party_id", zone=pl.when(pl.col("known_zone").is_not_null()).then(pl.concat_list("known_zone")).otherwise("zones")
    ).explode("zone", empty_as_null=True)
    names = zones["zone"].drop_nulls().unique().to_list()
    bounds = pl.DataFrame(
        [(name, *_midnights(name, business_date)) for name in names],
        schema={"zone": pl.String, "day_starts_at": type_instant, "day_ends_at": type_instant},
        orient="row",
    )
    known = zones.join(bounds, on="zone", how="left")
    return known.group_by("party_id").agg(
        pl.when(pl.col("day_ends_at").is_null().any()).then(None).otherwise(pl.col("day_starts_at").max()).alias("day_starts_at"),
        pl.when(pl.col("day_ends_at").is_null().any()).then(None).otherwise(pl.col("day_ends_at").min()).alias("day_ends_at"),
    )


def _midnights(zone: str, day: date) -> tuple[datetime | None, datetime | None]:
    try:
        local = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        return None, None
    starts, ends = (datetime.combine(on, time.min, local).astimezone(UTC) for on in (day, day + timedelta(days=1)))
    return starts, ends


def _recent_contacts(facts: Facts, strategy: Strategy, business_date: date) -> pl.DataFrame:
    """By borrower: contacts of this purpose within the budget's span, and the local date of the last one of all.

    A contact whose purpose is not known counts: a stranger's message is pressure too.
    """
    days = max(strategy.span_days, strategy.gap_days_min)
    # Two days of margin cover every zone; the exact local date decides below.
    from_at = datetime.combine(business_date - timedelta(days=days + 2), time.min, UTC)
    homes = facts.borrowers.select("party_id", home=pl.coalesce("known_zone", pl.col("zones").list.first(), pl.lit("UTC")))
    recent = (
        facts.history.filter(
            (pl.col("direction") == "outbound")
            & (pl.col("at") >= pl.lit(from_at, dtype=type_instant))
            & (pl.col("purpose").is_null() | (pl.col("purpose") == strategy.purpose))
            & ~pl.col("result").is_in(NEVER_ARRIVED)
        )
        .select("party_id", "at")
        .join(homes, on="party_id")
    )
    local = [
        group.select("party_id", contacted_on=pl.col("at").dt.convert_time_zone(_zone_or_utc(str(zone))).dt.date())
        for (zone,), group in recent.group_by("home")
    ]
    if not local:
        return pl.DataFrame(schema={"party_id": pl.Int64, "contacts": pl.UInt32, "last_contact_on": pl.Date})
    within_span = pl.col("contacted_on") > business_date - timedelta(days=strategy.span_days)
    return pl.concat(local).group_by("party_id").agg(contacts=within_span.sum(), last_contact_on=pl.col("contacted_on").max())


def _zone_or_utc(zone: str) -> str:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        return "UTC"
    return zone
