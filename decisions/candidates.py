"""Candidates: what might be done for each borrower of a stage, before any rule has spoken.

In:   facts, a stage's strategy, the texts there are, an instant and a business date.
Out:  `owed`: what is asked for, one row a borrower (the gate fills messages from it too);
      `standing`: where the strategy stands with each borrower;
      `candidates`: the contact points through which a step could be taken, in the shape that rules judge.
Pure: no I/O, no clock. Rows come out in an order that the rows' own ids decide, whatever order they came in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from decisions.facts import CANDIDATES, Facts, Schema, type_instant
from decisions.local_days import with_local_dates
from decisions.messages import Texts
from decisions.offered import ARRIVED, NEVER_ARRIVED, offered, written
from decisions.prices import price_of
from decisions.rests import KEPT, keeps_for_next_step, resting
from decisions.segments import SEGMENTED, measure
from decisions.strategy import CHANNELS_OF_KIND, DIALLED, PRE_DUE, STAGE_ORDER, Rests, Step, Strategy

# Who is asked to pay. A guarantor or an adviser is never written to as if the payment were hers.
ASKED_ROLES: Final = ("borrower", "co_borrower")
# Loans that are treated by stage; a plan, an agency or a sale is a treatment of its own.
ASKED_SERVICING: Final = ("active", "written_off")


def owed(loans: pl.DataFrame) -> pl.DataFrame:
    """What each borrower is asked for: the undisputed past-due part of her loans, in one currency.

    Loans in several currencies are not added up: the one with the oldest unpaid due date decides which are spoken of.
    Who owes nothing yet is asked for nothing: only the next due date, and the loans that are due on it, are spoken of.

    Args:
        loans: decisions/facts.LOANS.

    Returns:
        `party_id`, `stage` (the worst one of all loans asked for), `day` (most delinquent days; 0 where nothing is late),
        `counterparty`, `loans: List[Int64]` ascending, `amount_minor` > 0 and `currency` (null where nothing is late yet),
        `due_on`; one row a borrower who owes or soon will, by id.
    """
    treated = loans.filter(pl.col("role").is_in(ASKED_ROLES) & pl.col("servicing_status").is_in(ASKED_SERVICING))
    late = _late(treated)
    return pl.concat([late, _still_to_come(treated.join(late, on="party_id", how="anti"))]).sort("party_id")


def _late(treated: pl.DataFrame) -> pl.DataFrame:
    late = (
        treated.with_columns(asked_minor=pl.col("past_due_minor") - pl.col("disputed_minor").fill_null(0))
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
    )


def _still_to_come(treated: pl.DataFrame) -> pl.DataFrame:
    """Reminders, in `_late`'s columns. They name no amount: what will be due may change until then."""
    return (
        treated.filter((pl.col("stage") == PRE_DUE) & (pl.col("disputed_minor").fill_null(0) == 0) & pl.col("next_due_on").is_not_null())
        .filter(pl.col("next_due_on") == pl.col("next_due_on").min().over("party_id"))
        .group_by("party_id")
        .agg(
            stage=pl.lit(PRE_DUE),
            day=pl.lit(0, dtype=pl.Int32),
            counterparty=pl.col("role").min(),
            loans=pl.col("loan_id").unique().sort(),
            amount_minor=pl.lit(None, dtype=pl.Int64),
            currency=pl.lit(None, dtype=pl.String),
            due_on=pl.col("next_due_on").first(),
        )
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
        `day_ends_at` (null = her zone is unknown), `in_stage`, `offered` (whether the milder stage was, I12), `written` (the highest
        of `strategy.written_levels` that the messages which arrived reach), `day_over`, `waits`, `budget_reached`,
        `rests: List[String]` (reasons to leave her in peace now, decisions/rests.py), `step` (the last one reached through any
        channel; 0 = none). `day` is negative while the payment is still to come.
    """
    asked = owed(facts.loans).with_columns(
        day=pl.when(pl.col("stage") == PRE_DUE)
        .then((pl.lit(business_date) - pl.col("due_on")).dt.total_days())
        .otherwise("day")
        .cast(pl.Int32)
    )
    reached = [
        (day, was_offered, level, max((step.number for step in _reached(strategy, day, was_offered, level).values()), default=0))
        for day, was_offered, level in _rungs(strategy, asked["day"])
    ]
    steps = pl.DataFrame(reached, schema={**_RUNG, "step": pl.Int32}, orient="row")
    offered_to = offered(facts, asked, strategy).with_columns(offered=pl.lit(True))
    return (
        facts.borrowers.select("party_id", "locale", "creditor_role")
        .join(asked, on="party_id", how="left")
        .join(offered_to, on="party_id", how="left")
        .with_columns(pl.col("offered").fill_null(False))
        .pipe(_with_written, facts, asked, strategy)
        .join(steps, on=list(_RUNG), how="left")
        .join(day_bounds(facts.borrowers, business_date), on="party_id", how="left")
        .join(_recent_contacts(facts, strategy, business_date), on="party_id", how="left")
        .pipe(_with_rests, facts, strategy, business_date)
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


def _with_written(stood: pl.DataFrame, facts: Facts, asked: pl.DataFrame, strategy: Strategy) -> pl.DataFrame:
    """Add `written`, as far as some step asks for it."""
    if strategy.written_levels == (0,):
        return stood.with_columns(written=pl.lit(0, dtype=pl.Int32))
    levels = [pl.when(pl.col("written") >= level).then(level).otherwise(0).cast(pl.Int32) for level in strategy.written_levels]
    return stood.join(written(facts, asked), on="party_id", how="left").with_columns(written=pl.max_horizontal(levels))


def _with_rests(stood: pl.DataFrame, facts: Facts, strategy: Strategy, business_date: date) -> pl.DataFrame:
    """Add `rests`, sorted."""
    none = pl.lit([], dtype=pl.List(pl.String))
    if strategy.rests == Rests():
        return stood.with_columns(rests=none)
    known = resting(facts, strategy, business_date).group_by("party_id").agg(rests="reason")
    kept = pl.when(keeps_for_next_step(strategy)).then(pl.lit([KEPT], dtype=pl.List(pl.String))).otherwise(none)
    return stood.join(known, on="party_id", how="left").with_columns(
        rests=pl.concat_list(pl.col("rests").fill_null(none), kept).list.sort()
    )


def candidates(facts: Facts, stands: pl.DataFrame, strategy: Strategy, texts: Texts) -> pl.DataFrame:
    """Every contact point through which a borrower of the stage could be reached, with the last step of its channel.

    Args:
        facts: As for `standing`.
        stands: From `standing`.
        strategy: Of the stage.
        texts: All messages.

    Returns:
        decisions/facts.CANDIDATES and `step`, `place` (decisions/strategy.Strategy.places), `in_vain` (the step has other
        channels, and this way failed of late), `cost` (in parts of 1,000 of a minor unit of `priced_in`; null where it is not weighed
        or not known), `message`, `offers: List[String]` (ranked), `text_locale` (null = there is no text
        that this person can read), `has_sender` (false = the creditor cannot speak on that channel; asked where some step falls
        back), `ownership`, `verified_on`; by borrower, highest place first, then contact point; what was in vain comes last. A
        contact point that is not in use is none.
    """
    reachable = by_channel(facts.contact_points.filter(pl.col("status") == "active"), strategy.channels)
    reachable = _with_senders(reachable, facts, strategy)
    return (
        stands.filter("in_stage")
        .select("party_id", "at", *_RUNG, "loans", "counterparty", "locale", "creditor_role")
        .join(reachable.drop("zones", "country"), on="party_id")
        .join(_step_of_channel(strategy, stands["day"]), on=[*_RUNG, "channel"])
        .join(_text_locales(stands, strategy, texts), on=["locale", "creditor_role", "message", "channel"], how="left", nulls_equal=True)
        .join(_in_vain(facts, stands, strategy), on=["party_id", "contact_point_id", "channel"], how="left")
        .with_columns(in_vain=pl.col("in_vain").fill_null(False) & pl.col("falls_back"))
        .sort("party_id", "in_vain", "place", "contact_point_id", descending=[False, False, True, False])
        .with_columns(
            candidate=pl.int_range(pl.len(), dtype=pl.Int64),
            purpose=pl.lit(strategy.purpose),
            automated=pl.col("channel") != DIALLED,
            # Someone else's phone makes that person the one who is contacted, whoever owes.
            counterparty=pl.when(pl.col("owner") == "borrower").then("counterparty").otherwise("owner"),
        )
        .pipe(with_cost, facts, strategy, texts)
        .select(
            *CANDIDATES,
            "step",
            "place",
            "in_vain",
            "cost",
            "priced_in",
            "message",
            "offers",
            "text_locale",
            "has_sender",
            "ownership",
            "verified_on",
        )
    )


def by_channel(points: pl.DataFrame, channels: Collection[str]) -> pl.DataFrame:
    """Contact points × the channels through which each is reached.

    Args:
        points: With `kind`.
        channels: Only these: what nobody will use is never expanded.

    Returns:
        `points` with `channel` and `way` (place of the channel among those of the kind), a row for each channel; a kind that
        none of them reaches is missing.
    """
    ways = [
        (kind, channel, place) for kind, named in CHANNELS_OF_KIND.items() for place, channel in enumerate(named) if channel in channels
    ]
    schema: Schema = {"kind": pl.String, "channel": pl.String, "way": pl.Int8}
    return points.join(pl.DataFrame(ways, schema=schema, orient="row"), on="kind")


def _with_senders(reachable: pl.DataFrame, facts: Facts, strategy: Strategy) -> pl.DataFrame:
    """Add `has_sender`: whether the creditor could speak on the channel. A ladder of one channel a step does not ask (ADR 0032)."""
    if facts.senders.is_empty() or not strategy.falls_back:
        return reachable.with_columns(has_sender=pl.lit(True))
    usable = facts.senders.filter(pl.col("purpose").is_null() | (pl.col("purpose") == strategy.purpose)).select("creditor_id", "channel")
    speaks = facts.borrowers.select("party_id", "creditor_id").join(usable.unique(), on="creditor_id").select("party_id", "channel")
    known = speaks.with_columns(has_sender=pl.lit(True))
    return reachable.join(known, on=["party_id", "channel"], how="left").with_columns(pl.col("has_sender").fill_null(False))


def with_cost(found: pl.DataFrame, facts: Facts, strategy: Strategy, texts: Texts) -> pl.DataFrame:
    """Add what a message would cost. A person is charged for in one currency, else amounts could not be compared.

    Args:
        found: `party_id`, `channel`, `message`, `text_locale` (null = there is none), `at`.
        facts: Of the same people.
        strategy: Whose prices are asked.
        texts: All messages.

    Returns:
        The same with `cost` and `priced_in`, as in `candidates`.
    """
    if not strategy.weighs_cost:
        return found.with_columns(cost=pl.lit(None, dtype=pl.Int64), priced_in=pl.lit(None, dtype=pl.String))
    placed = found.join(facts.borrowers.select("party_id", "country"), on="party_id", how="left", maintain_order="left")
    placed = placed.with_columns(on=pl.col("at").dt.date())
    kinds = ["country", "channel", "message", "text_locale", "on"]
    rows = []
    for country, channel, message, locale, on in placed.select(kinds).unique().rows():
        price = price_of(strategy.prices, channel=channel, country=country, on=on)
        if price is not None and locale is not None:
            body = texts.text(message, locale).words[channel].body
            segments = measure(body).segments if channel in SEGMENTED else 1
            rows.append((country, channel, message, locale, on, price.minor_per_1000 * segments, price.currency))
    schema: Schema = {**dict.fromkeys(kinds[:-1], pl.String), "on": pl.Date, "cost": pl.Int64, "priced_in": pl.String}
    priced = placed.join(pl.DataFrame(rows, schema=schema, orient="row"), on=kinds, how="left", nulls_equal=True, maintain_order="left")
    alone = pl.col("priced_in").drop_nulls().n_unique().over("party_id") == 1
    return priced.with_columns(cost=pl.when(alone | pl.lit(strategy.learned is not None)).then("cost")).drop("country", "on")


def _in_vain(facts: Facts, stands: pl.DataFrame, strategy: Strategy) -> pl.DataFrame:
    """Ways on which the last message within the budget's span did not arrive: `party_id`, `contact_point_id`, `channel`, `in_vain`."""
    way = ["party_id", "contact_point_id", "channel"]
    if facts.failures.is_empty():
        return facts.failures.select(*way, in_vain=pl.lit(True))
    arrived = (
        facts.history.filter((pl.col("direction") == "outbound") & pl.col("result").is_in(ARRIVED))
        .group_by(way)
        .agg(arrived_at=pl.col("at").max())
    )
    return (
        facts.failures.join(stands.select("party_id", planned_at="at"), on="party_id")
        .filter(pl.col("at") > pl.col("planned_at") - timedelta(days=strategy.span_days))
        .join(arrived, on=way, how="left")
        .filter(pl.col("arrived_at").is_null() | (pl.col("arrived_at") < pl.col("at")))
        .select(*way, in_vain=pl.lit(True))
        .unique()
    )


_RUNG: Final[Schema] = {"day": pl.Int32, "offered": pl.Boolean, "written": pl.Int32}


def _rungs(strategy: Strategy, days: pl.Series) -> Iterator[tuple[int, bool, int]]:
    """Each of these days of the stage, before and after the milder stage was offered, at each number of messages that matters."""
    within = (day for day in days.unique().drop_nulls().sort() if strategy.first_day <= day <= strategy.last_day)
    return product(within, (False, True), strategy.written_levels)


def _reached(strategy: Strategy, day: int, was_offered: bool, level: int) -> dict[str, Step]:  # noqa: FBT001  # a rung's three parts
    return strategy.reached(day, offered=was_offered, written=level)


def _step_of_channel(strategy: Strategy, days: pl.Series) -> pl.DataFrame:
    places = strategy.places
    rows = [
        (*rung, channel, step.number, places[step.number, channel], step.falls_back, step.message, list(step.offers))
        for rung in _rungs(strategy, days)
        for channel, step in _reached(strategy, *rung).items()
    ]
    schema: Schema = {
        **_RUNG,
        "channel": pl.String,
        "step": pl.Int32,
        "place": pl.Int32,
        "falls_back": pl.Boolean,
        "message": pl.String,
        "offers": pl.List(pl.String),
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _text_locales(stands: pl.DataFrame, strategy: Strategy, texts: Texts) -> pl.DataFrame:
    """The text that each kind of reader gets: a portfolio has a handful of languages, so each is looked up once."""
    said = sorted({(step.message, channel) for step in strategy.steps for channel in step.channels})
    rows = [
        (locale, role, message, channel, texts.locale_for(locale, message, channel, role))
        for locale, role in stands.select("locale", "creditor_role").unique().rows()
        for message, channel in said
    ]
    schema = dict.fromkeys(("locale", "creditor_role", "message", "channel", "text_locale"), pl.String)
    return pl.DataFrame(rows, schema=schema, orient="row")


def day_bounds(borrowers: pl.DataFrame, business_date: date) -> pl.DataFrame:
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
    recent = facts.history.filter(
        (pl.col("direction") == "outbound")
        & (pl.col("at") >= pl.lit(from_at, dtype=type_instant))
        & (pl.col("purpose").is_null() | (pl.col("purpose") == strategy.purpose))
        & ~pl.col("result").is_in(NEVER_ARRIVED)
    ).select("party_id", "at")
    within_span = pl.col("contacted_on") > business_date - timedelta(days=strategy.span_days)
    return (
        with_local_dates(recent, facts.borrowers)
        .group_by("party_id")
        .agg(contacts=within_span.sum(), last_contact_on=pl.col("contacted_on").max())
    )
