"""A log of decisions as arms: what was chosen, with which probability, and with which another strategy would have chosen it.

Two arms are the same when they say the same message by the same channel to the same contact point with the same offer, and, where one
of them weighs hours, in the same part of the day; doing nothing is the same everywhere. An arm of one strategy alone has no probability
in the other.

In:   decisions as logged; the messages that the log's strategy had for each way; the other strategy's arms.
Out:  one row an arm, both probabilities; then a `decisions.off_policy.Log`.
Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from decisions.candidates import owed
from decisions.choose import NO_CONTACT, Considered, arm_name
from decisions.facts import Facts, Schema, type_instant
from decisions.off_policy import Log
from decisions.parts import PARTS
from decisions.policy import SLOT, SLOTS
from decisions.strategy import STAGE_ORDER

ARMS: Final[Schema] = {
    "party_id": pl.Int64,
    "arm": pl.String,
    "message": pl.String,  # empty = no contact
    "logged": pl.Float64,
    "target": pl.Float64,
    "chosen": pl.Boolean,
}
# What the outcome model may look at: how late, how much, how often we have written of late and when last, whether they have.
CONTEXT: Final = ("day", "asked_log", "written_7", "written_30", "days_since", "answered_30")
WEEK_DAYS: Final = 7
MONTH_DAYS: Final = 30
SECONDS_A_DAY: Final = 86_400
MICROSECOND: Final = timedelta(microseconds=1)


def message_of_ways(candidates: pl.DataFrame) -> pl.DataFrame:
    """`party_id`, `channel`, `contact_point_id`, `message`: what a strategy says to whom by which way."""
    return candidates.select("party_id", "channel", "contact_point_id", "message").unique(["party_id", "channel", "contact_point_id"])


def slots_of_ways(considered: Considered) -> pl.DataFrame:
    """`party_id`, `channel`, `contact_point_id`, `hour_slot`: the part of the day in which a strategy without hours would use each way.

    It sends as soon as it may; a model that weighs hours has an arm for each part (decisions/policy.by_slot).
    """
    left = pl.col("day_ends_at") - pl.col("send_after")
    slot = SLOTS - (left.dt.total_microseconds() / (SLOT / MICROSECOND)).ceil()
    return (
        considered.candidates.filter("plannable")
        .join(considered.stands.select("party_id", "day_ends_at"), on="party_id")
        .select("party_id", "channel", "contact_point_id", hour_slot=slot.cast(pl.Int32).clip(0, SLOTS - 1))
        .unique(["party_id", "channel", "contact_point_id"])
    )


def _in_slots(arms: pl.DataFrame, slots: pl.DataFrame) -> pl.DataFrame:
    """The arms, named with the part of the day as well."""
    way = pl.col("arm").str.split(":")
    named = arms.with_columns(channel=way.list.get(0), contact_point_id=way.list.get(1, null_on_oob=True).cast(pl.Int64, strict=False))
    return (
        named.join(slots, on=["party_id", "channel", "contact_point_id"], how="left", maintain_order="left")
        .with_columns(arm=pl.concat_str("arm", "hour_slot", separator=":", ignore_nulls=True))
        .drop("channel", "contact_point_id", "hour_slot")
    )


def arms_of_target(considered: Considered, *, in_slots: bool = False) -> pl.DataFrame:
    """`party_id`, `arm`, `message`, `target`: what the strategy that is judged would do, with which probability.

    Args:
        considered: By the strategy that is judged.
        in_slots: The log's strategy weighs hours, and this one does not: its arms get the part of the day in which it would send.
    """
    arms = _arms_of_target(considered)
    return _in_slots(arms, slots_of_ways(considered)) if in_slots else arms


def _arms_of_target(considered: Considered) -> pl.DataFrame:
    ways = considered.candidates.select("candidate", "channel", "contact_point_id", "message")
    possible = considered.arms.filter(pl.col("parts") > 0).drop("channel", "contact_point_id", strict=False)
    named = possible.join(ways, on="candidate", how="left", maintain_order="left").with_columns(arm=arm_name())
    return named.select("party_id", "arm", pl.col("message").fill_null(""), target=pl.Series(named["parts"].to_numpy() / PARTS))


def arms_of_log(decided: pl.DataFrame, ways: pl.DataFrame, slots: pl.DataFrame | None = None) -> pl.DataFrame:
    """What was chosen, and what might have been.

    Args:
        decided: ledger/logged.LOGGED.
        ways: From `message_of_ways`, of the log's strategy.
        slots: From `slots_of_ways`, of the log's strategy, where only the one that is judged weighs hours.

    Returns:
        `party_id`, `arm`, `message`, `logged`, `chosen`. An arm that was not chosen, and of which the strategy's message is not known any
        more, bears the message "?": it is like no other.
    """
    rows = decided.with_columns(chosen_arm=arm_name())
    alone = rows.filter(pl.col("propensities").is_null()).select(
        "party_id", arm="chosen_arm", logged=pl.lit(1.0), chosen=pl.lit(True), said=pl.col("message")
    )
    several = rows.filter(pl.col("propensities").is_not_null())
    pairs = (
        several.with_columns(pl.col("propensities").str.strip_chars("{} ").str.split(", "))
        .explode("propensities")
        .with_columns(parts=pl.col("propensities").str.split('": '))
        .with_columns(
            arm=pl.col("parts").list.get(0).str.strip_chars('" '), logged=pl.col("parts").list.get(1).str.strip_chars().cast(pl.Float64)
        )
        .with_columns(chosen=pl.col("arm") == pl.col("chosen_arm"))
        .select("party_id", "arm", "logged", "chosen", said=pl.when("chosen").then("message"))
    )
    way = pl.col("arm").str.split(":")
    arms = (
        pl.concat([alone, pairs])
        .with_columns(
            channel=way.list.get(0),
            contact_point_id=way.list.get(1, null_on_oob=True).cast(pl.Int64, strict=False),
        )
        .join(ways, on=["party_id", "channel", "contact_point_id"], how="left", maintain_order="left")
        .select(
            "party_id",
            "arm",
            pl.when(pl.col("arm") == NO_CONTACT).then(pl.lit("")).otherwise(pl.coalesce("said", "message", pl.lit("?"))).alias("message"),
            "logged",
            "chosen",
        )
    )
    return arms if slots is None else _in_slots(arms, slots)


def side_by_side(logged: pl.DataFrame, target: pl.DataFrame) -> pl.DataFrame:
    """`ARMS` of everybody in the log, a borrower's arms together, by party."""
    both = logged.join(
        target.join(logged.select("party_id").unique(), on="party_id", how="semi"),
        on=["party_id", "arm", "message"],
        how="full",
        coalesce=True,
    )
    return (
        both.with_columns(pl.col("logged", "target").fill_null(0.0), pl.col("chosen").fill_null(False))
        .select(pl.col(name).cast(kind) for name, kind in ARMS.items())
        .sort("party_id", "arm", "message")
    )


def context(facts: Facts, at: datetime) -> pl.DataFrame:
    """`party_id` and `CONTEXT`, Float64: what was known of each borrower at the decision's instant; null = unknown."""
    asked = owed(facts.loans).select(
        "party_id", day=pl.col("day").cast(pl.Float64), asked_log=(pl.col("amount_minor").cast(pl.Float64) + 1).log()
    )
    ago = (pl.lit(at, dtype=type_instant) - pl.col("at")).dt.total_seconds() / SECONDS_A_DAY
    ours, theirs = pl.col("direction") == "outbound", pl.col("direction") == "inbound"
    counted = (
        facts.history.with_columns(ago=ago)
        .filter(pl.col("ago") >= 0)
        .group_by("party_id")
        .agg(
            written_7=(ours & (pl.col("ago") <= WEEK_DAYS)).sum().cast(pl.Float64),
            written_30=(ours & (pl.col("ago") <= MONTH_DAYS)).sum().cast(pl.Float64),
            days_since=pl.col("ago").filter(ours).min(),
            answered_30=(theirs & (pl.col("ago") <= MONTH_DAYS)).sum().cast(pl.Float64),
        )
    )
    return (
        facts.borrowers.select("party_id")
        .join(asked, on="party_id", how="left")
        .join(counted, on="party_id", how="left")
        .with_columns(pl.col("written_7", "written_30", "answered_30").fill_null(0.0))
        .select("party_id", *CONTEXT)
    )


def as_log(arms: pl.DataFrame, known: pl.DataFrame) -> Log:
    """The log as arrays.

    Args:
        arms: `decision` (0 … n - 1, ascending), `party_id`, `stage`, `arm`, `logged`, `target`, `chosen`; a decision's arms together.
        known: One row a decision, in their order: `party_id`, `stage`, `weekday` and `CONTEXT`.

    Raises:
        decisions.off_policy.MalformedLogError: As there.
    """
    kinds = _kinds(arms)
    stages: Sequence[str] = STAGE_ORDER
    columns = [known[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() for name in CONTEXT]
    columns += [(known["stage"] == stage).cast(pl.Float64).to_numpy() for stage in stages if (known["stage"] == stage).any()]
    columns += [(known["weekday"] == day).cast(pl.Float64).to_numpy() for day in range(1, 7)]
    return Log(
        borrower=known["party_id"].to_numpy().astype(np.int64),
        context=np.column_stack(columns) if len(known) else np.zeros((0, len(columns))),
        decision=arms["decision"].to_numpy().astype(np.int64),
        kind=kinds,
        logged=arms["logged"].to_numpy(),
        target=arms["target"].to_numpy(),
        chosen=np.flatnonzero(arms["chosen"].to_numpy()).astype(np.int64),
    )


def _kinds(arms: pl.DataFrame) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """0 = no contact, then one number for each channel with each offer and message."""
    parts = pl.col("arm").str.split(":")
    sort = pl.concat_str(parts.list.get(0), parts.list.get(2, null_on_oob=True).fill_null("-"), pl.col("message"), separator=":")
    named = arms.select(sort=pl.when(pl.col("arm") == NO_CONTACT).then(pl.lit("")).otherwise(sort))["sort"]
    others = sorted(set(named.unique()) - {""})
    numbers = {"": 0} | {name: number for number, name in enumerate(others, 1)}
    return named.replace_strict(numbers, return_dtype=pl.Int64).to_numpy()
