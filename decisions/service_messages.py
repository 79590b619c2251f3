"""Messages of their own, outside the stages: a correction of what was wrong, a reminder of a promise, a short lesson.

People who are named, through the contact point at which we last met them, or another one of theirs; at most one message
each. Every rule judges it, as it judges any contact: a stop is a stop, a number that is somebody else's is left alone. Only
a pause is not looked at: what is planned while operations have stopped contact waits at the gate like all else.

In:   facts about people, and where they were met; a message and its purpose, texts, rule packs, an instant, a business date.
Out:  decisions/choose.DECISIONS, one row a person.
Pure: no I/O, no clock, nothing left to chance.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import date, datetime
from typing import Final

import polars as pl

from decisions.candidates import by_channel, day_bounds
from decisions.choose import DAY_OVER, DECISIONS, NO_CONTACT_POINT, NO_TEXT, NO_ZONE
from decisions.facts import CANDIDATES, Facts, Schema
from decisions.messages import Texts
from decisions.packs import Packs
from decisions.rules import judge

CORRECTION: Final = "correction"
PROMISE_REMINDER: Final = "promise_reminder"
PLAN_REMINDER: Final = "plan_reminder"
# Where the wrong word arrived, or the answer came from.
REACHED: Final[Schema] = {"party_id": pl.Int64, "contact_point_id": pl.Int64}


def nobody_met() -> pl.DataFrame:
    """`REACHED` of people who were met nowhere in particular."""
    return pl.DataFrame(schema=REACHED)


def plan_messages(
    facts: Facts,
    reached: pl.DataFrame,
    message: str,
    texts: Texts,
    packs: Packs,
    *,
    purpose: str,
    at: datetime,
    business_date: date,
    channels: Collection[str] | None = None,
) -> pl.DataFrame:
    """Decide for everybody in `facts`.

    Args:
        facts: Read at one instant. Where the creditors' senders are known, nothing is planned on a channel without one.
        reached: `REACHED`: contact points at which they were met; these come first.
        message: Folder in config/messages.
        texts: All messages.
        packs: Rule packs in force.
        purpose: Of CASES.md.
        at: The instant of planning, UTC; nothing is planned before it.
        business_date: The local day; nothing is planned outside it.
        channels: Only these; None = all on which the message says something.

    Returns:
        Columns `DECISIONS`, one row a borrower, by id.
    """
    said = texts.channels_of(message) if channels is None else texts.channels_of(message) & frozenset(channels)
    facts = replace(
        facts, borrowers=facts.borrowers.with_columns(paused=pl.lit(False), paused_channels=pl.lit([], dtype=pl.List(pl.String)))
    )
    people = facts.borrowers.select("party_id", "locale", "creditor_role").join(
        day_bounds(facts.borrowers, business_date), on="party_id", how="left"
    )
    found = (
        _candidates(facts, people, reached, said, purpose, at)
        .with_columns(purpose=pl.lit(purpose))
        .pipe(_with_texts, message, texts.as_of(at))
    )
    judged = found.join(
        judge(facts, found.select(*CANDIDATES), packs).select(
            "candidate", "allowed", "next_allowed_at", "allowed_until", against=pl.concat_list("blocked_by", "asked_by")
        ),
        on="candidate",
    ).with_columns(
        send_after=pl.when("allowed").then("at").otherwise("next_allowed_at"),
        expires_at=pl.when(pl.col("day_ends_at").is_not_null()).then(pl.min_horizontal("day_ends_at", "allowed_until")),
    )
    in_time = (pl.col("send_after") < pl.col("expires_at")).fill_null(False)
    judged = judged.with_columns(plannable=in_time & pl.col("text_locale").is_not_null())
    chosen = (
        judged.filter("plannable")
        .sort("party_id", "rank", "contact_point_id", "way")
        .unique("party_id", keep="first", maintain_order=True)
        .select("party_id", "channel", "contact_point_id", "send_after", "expires_at", locale_of_text="text_locale")
    )
    rows = people.join(chosen, on="party_id", how="left").join(_reasons(people, judged, chosen), on="party_id", how="left")
    contact = pl.col("channel").is_not_null()
    return (
        rows.with_columns(
            action=pl.when(contact).then(pl.lit("contact")).otherwise(pl.lit("no_contact")),
            purpose=pl.when(contact).then(pl.lit(purpose)),
            message=pl.when(contact).then(pl.lit(message)),
            offer=pl.lit(None, dtype=pl.String),
            locale=pl.col("locale_of_text"),
            step=pl.lit(1),
            score=pl.lit(0),
            probability=pl.lit(1.0),
            propensities=pl.lit(None, dtype=pl.String),
            hour_slot=pl.lit(None, dtype=pl.Int32),
            reasons=pl.col("reasons").fill_null(pl.lit([], dtype=pl.List(pl.String))),
        )
        .select(pl.col(name).cast(kind) for name, kind in DECISIONS.items())
        .sort("party_id")
    )


def _candidates(
    facts: Facts, people: pl.DataFrame, reached: pl.DataFrame, channels: Collection[str], purpose: str, at: datetime
) -> pl.DataFrame:
    """Contact points in use × channels on which the message says something, those first at which they were met."""
    met = reached.select("party_id", "contact_point_id").unique().with_columns(rank=pl.lit(0, dtype=pl.Int8))
    now = pl.lit(at, dtype=DECISIONS["send_after"])
    return (
        by_channel(facts.contact_points.filter(pl.col("status") == "active"), channels)
        .select("party_id", "contact_point_id", "channel", "way", "owner")
        .pipe(_with_sender, facts, purpose)
        .join(people, on="party_id")
        .join(met, on=["party_id", "contact_point_id"], how="left")
        .with_columns(pl.col("rank").fill_null(1))
        .sort("party_id", "rank", "contact_point_id", "way")
        .with_columns(
            candidate=pl.int_range(pl.len(), dtype=pl.Int64),
            at=pl.max_horizontal(now, pl.col("day_starts_at")),
            loans=pl.lit([], dtype=pl.List(pl.Int64)),
            counterparty=pl.col("owner"),
            automated=pl.lit(True),
        )
    )


def _with_sender(points: pl.DataFrame, facts: Facts, purpose: str) -> pl.DataFrame:
    """Without channels on which the creditor could not speak; nothing is left out where the senders were not read."""
    if facts.senders.is_empty():
        return points
    usable = facts.senders.filter(pl.col("purpose").is_null() | (pl.col("purpose") == purpose)).select("creditor_id", "channel").unique()
    speaks = facts.borrowers.select("party_id", "creditor_id").join(usable, on="creditor_id")
    return points.join(speaks, on=["party_id", "channel"], how="semi", maintain_order="left")


def _with_texts(points: pl.DataFrame, message: str, texts: Texts) -> pl.DataFrame:
    """Add `text_locale`: that of the text which each person can read; null = there is none."""
    readers = points.select("locale", "creditor_role", "channel").unique().rows()
    said = pl.DataFrame(
        [(*reader, texts.locale_for(reader[0], message, reader[2], reader[1])) for reader in readers],
        schema=dict.fromkeys(("locale", "creditor_role", "channel", "text_locale"), pl.String),
        orient="row",
    )
    return points.join(said, on=["locale", "creditor_role", "channel"], how="left", nulls_equal=True, maintain_order="left")


def _reasons(people: pl.DataFrame, judged: pl.DataFrame, chosen: pl.DataFrame) -> pl.DataFrame:
    """Why somebody gets no message."""
    silent = people.join(chosen, on="party_id", how="anti")
    theirs = judged.join(silent.select("party_id"), on="party_id", how="semi")
    late = theirs.filter(pl.col("allowed") & (pl.col("at") >= pl.col("day_ends_at")))
    flags = [
        theirs.select("party_id", reason="against").explode("reason", empty_as_null=True).drop_nulls(),
        theirs.filter(pl.col("text_locale").is_null()).select("party_id", reason=pl.lit(NO_TEXT)),
        silent.filter(pl.col("day_ends_at").is_null()).select("party_id", reason=pl.lit(NO_ZONE)),
        late.select("party_id", reason=pl.lit(DAY_OVER)),
        silent.join(judged, on="party_id", how="anti").select("party_id", reason=pl.lit(NO_CONTACT_POINT)),
    ]
    return pl.concat(flags).unique().sort("party_id", "reason").group_by("party_id", maintain_order=True).agg(reasons="reason")
