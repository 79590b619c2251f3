"""The choice: for each borrower at most one contact, with the probability with which it was chosen.

Facts become candidates, every rule says yes or no to each, the strategy says how much it wants what is left, and one
arm is drawn. Doing nothing is always an arm. With the strategy's `exploration` and `temperature` at 0 the best allowed
arm has probability 1 and nothing is left to chance.

The draw is keyed, not stateful: the same seed, stage, date and borrower always give the same number, so that a retry
repeats the choice and an auditor can replay it (I8). Probabilities are whole parts of 1,000,000,000 before anything is
drawn, so that no rounding of a floating-point unit decides.

In:   facts, strategy, rule packs, texts, an instant, a business date, a seed.
Out:  one decision a borrower, with every reason; the steps on the way are kept for `tideover explain`.
Pure: no clock, no I/O; the only chance comes from the seed.
Source: SCIENCE.md C1: p = (1-ε) softmax(score / temperature) + ε uniform; the draw is a hash of seed, stage, date and
        borrower: BLAKE2b makes a key of the first three, SplitMix64's finaliser (Steele, Lea & Flood 2014) mixes in the
        fourth, twice. Both are arithmetic on integers, equal on every machine and in every version of a library.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from decisions.candidates import candidates, standing
from decisions.facts import CANDIDATES, Facts, Schema, type_instant
from decisions.messages import Texts
from decisions.packs import Packs
from decisions.rules import judge
from decisions.scoring import NO_CONTACT_SCORE, score
from decisions.strategy import Strategy

PARTS: Final = 1_000_000_000

DECISIONS: Final[Schema] = {
    "party_id": pl.Int64,
    "action": pl.String,  # contact | no_contact
    "channel": pl.String,
    "contact_point_id": pl.Int64,
    "purpose": pl.String,
    "message": pl.String,
    "offer": pl.String,
    "locale": pl.String,
    "step": pl.Int32,
    "score": pl.Int64,
    "probability": pl.Float64,  # > 0, ≤ 1
    "propensities": pl.String,  # JSON object of arm → probability; null where one arm had all of it
    "reasons": pl.List(pl.String),  # sorted; why not, for no_contact; what stood against better candidates, for contact
    "send_after": type_instant,
    "expires_at": type_instant,
}
# Reasons of the strategy's own; the others are rule ids.
NOT_IN_STAGE: Final = "not_in_stage"
DAY_OVER: Final = "business_day_over"
WAIT: Final = "strategy_wait"
BUDGET: Final = "strategy_budget"
NOT_OFFERED: Final = "milder_stage_not_offered"
NO_CONTACT_POINT: Final = "no_contact_point"
NO_SENDER: Final = "no_sender"
NO_TEXT: Final = "locale_without_text"
NO_ZONE: Final = "zone_unknown"
DRAWN: Final = "drawn_no_contact"
# The arm of doing nothing, as the log names it.
NO_CONTACT: Final = "no_contact"


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """Everything between the facts and the draw.

    Attributes:
        stands: decisions/candidates.standing.
        candidates: decisions/candidates.candidates, with the verdict's `allowed`, `blocked_by`, `blocked_for_good`,
            `next_allowed_at` (null where nothing was judged: the creditor has no sender), and `plannable`, `send_after`, `expires_at`.
        verdicts: What decisions/rules.judge said: one Boolean a rule.
        arms: What may be done, doing nothing included: `party_id`, `candidate` (null = no contact), `offer`, `score`,
            `parts` (its probability in parts of 1,000,000,000); best first within a borrower.
    """

    stands: pl.DataFrame
    candidates: pl.DataFrame
    verdicts: pl.DataFrame
    arms: pl.DataFrame


def consider(facts: Facts, strategy: Strategy, packs: Packs, texts: Texts, *, at: datetime, business_date: date) -> Considered:
    """Find what might be done, let every rule judge it, and weigh what is left."""
    stands = standing(facts, strategy, at=at, business_date=business_date)
    found = candidates(facts, stands, strategy, texts)
    verdicts = judge(facts, found.filter("has_sender").select(*CANDIDATES), packs)
    judged = _plannable(found, verdicts, stands)
    return Considered(stands=stands, candidates=judged, verdicts=verdicts, arms=weigh(_arms(judged, stands), strategy))


def decide(facts: Facts, strategy: Strategy, packs: Packs, texts: Texts, *, at: datetime, business_date: date, seed: bytes) -> pl.DataFrame:
    """Choose for every borrower in `facts`.

    Args:
        facts: Read at one instant.
        strategy: Of the stage.
        packs: Rule packs in force.
        texts: All messages.
        at: The instant of planning, UTC; no contact is planned before it.
        business_date: The local day that is treated; no contact is planned outside it.
        seed: Secret of the installation and of the run.

    Returns:
        Columns `DECISIONS`, one row a borrower, by id.
    """
    considered = consider(facts, strategy, packs, texts, at=at, business_date=business_date)
    return conclude(considered, key=draw_key(seed, strategy.stage, business_date))


def conclude(considered: Considered, *, key: bytes) -> pl.DataFrame:
    """Draw one arm for every borrower and write down why."""
    drawn = draw(considered.arms, key)
    chosen = considered.candidates.select(
        "candidate", "channel", "contact_point_id", "purpose", "message", "step", "send_after", "expires_at", locale="text_locale"
    )
    rows = (
        considered.stands.select("party_id", reached="step")
        .join(drawn, on="party_id")
        .join(chosen, on="candidate", how="left")
        .join(_reasons(considered, drawn), on="party_id", how="left")
    )
    contact = pl.col("candidate").is_not_null()
    return (
        rows.with_columns(
            action=pl.when(contact).then(pl.lit("contact")).otherwise(pl.lit("no_contact")),
            step=pl.when(contact).then("step").otherwise("reached"),
            # Divided by numpy: Polars multiplies by the reciprocal, which is off by a unit of the last place.
            probability=pl.Series(rows["parts"].to_numpy() / PARTS),
            reasons=pl.col("reasons").fill_null(pl.lit([], dtype=pl.List(pl.String))),
        )
        .select(pl.col(name).cast(kind) for name, kind in DECISIONS.items())
        .sort("party_id")
    )


def weigh(arms: pl.DataFrame, strategy: Strategy) -> pl.DataFrame:
    """Give every arm its probability, in parts of `PARTS`; they add up to it for each borrower.

    Args:
        arms: `party_id`, `candidate`, `offer`, `offer_rank`, `score`, `cost` (of equals the cheapest is the best).
        strategy: Its `exploration` and `temperature`.

    Returns:
        The arms, best first within a borrower, with `parts`.
    """
    by = ("party_id", "score", "cost", "candidate", "offer_rank")
    ranked = arms.sort(*by, descending=[name == "score" for name in by], nulls_last=True)
    best = ranked["party_id"].rle_id().is_first_distinct()
    even = round(strategy.exploration * PARTS)
    if even == 0 and strategy.temperature == 0:
        return ranked.with_columns(parts=pl.when(best).then(PARTS).otherwise(0).cast(pl.Int64))
    if strategy.temperature == 0:
        wanted = pl.when(best).then(PARTS - even).otherwise(0)
    else:
        weight = ((pl.col("score") - pl.col("score").max().over("party_id")) / strategy.temperature).exp()
        wanted = (weight / weight.sum().over("party_id") * (PARTS - even)).floor().cast(pl.Int64)
    parts = ranked.with_columns(parts=wanted + even // pl.len().over("party_id").cast(pl.Int64))
    # Rounding down leaves a few parts over; the best arm takes them.
    left_over = PARTS - pl.col("parts").sum().over("party_id")
    return parts.with_columns(parts=(pl.col("parts") + pl.when(best).then(left_over).otherwise(0)).cast(pl.Int64))


def draw(arms: pl.DataFrame, key: bytes) -> pl.DataFrame:
    """Take one arm for each borrower: the one whose parts, laid end to end with those before it, cover the borrower's number.

    Args:
        arms: From `weigh`: a borrower's arms stand together and their parts add up to `PARTS`.
        key: From `draw_key`.

    Returns:
        The chosen arms with `propensities`: a JSON object where more than one arm could have been taken, else null.
    """
    borrower = arms["party_id"].rle_id()
    numbers = pl.Series(keyed_numbers(arms["party_id"].unique(maintain_order=True).to_numpy(), key)).gather(borrower)
    reaches = arms["parts"].cum_sum() - borrower.cast(pl.Int64) * PARTS
    chosen = arms.filter((numbers < reaches) & (numbers >= reaches - arms["parts"]))
    return chosen.join(_propensities(arms), on="party_id", how="left", maintain_order="left")


def draw_key(seed: bytes, stage: str, business_date: date) -> bytes:
    """Sixteen bytes that stand for seed, stage and date."""
    message = f"{stage}\0{business_date.isoformat()}".encode()
    return blake2b(message, key=blake2b(seed).digest(), digest_size=16, person=b"tideover-draw").digest()


def keyed_numbers(party_ids: npt.NDArray[np.int64], key: bytes) -> npt.NDArray[np.int64]:
    """A number in [0, PARTS) for each borrower, as good as random to whoever does not know the key.

    The remainder of 2^64 favours small numbers by less than one in 10^10.
    """
    first, second = (np.uint64(int.from_bytes(half, "big")) for half in (key[:8], key[8:]))
    mixed = _mix(_mix(party_ids.astype(np.uint64) ^ first) ^ second)
    return (mixed % np.uint64(PARTS)).astype(np.int64)


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64's step and finaliser; arithmetic is modulo 2^64 by definition."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _plannable(found: pl.DataFrame, verdicts: pl.DataFrame, stands: pl.DataFrame) -> pl.DataFrame:
    """Candidates with their verdict, and whether they may be planned: allowed now, or from some instant of the same day on."""
    # What asks for a person is withheld like what is forbidden, until one has decided.
    against = pl.concat_list("blocked_by", "asked_by") if verdicts["asked_by"].list.len().sum() else pl.col("blocked_by")
    said = verdicts.select("candidate", "allowed", "blocked_for_good", "next_allowed_at", "allowed_until", blocked_by=against)
    later = pl.col("next_allowed_at").is_not_null()
    return (
        found.join(said, on="candidate", how="left", maintain_order="left")
        .join(
            stands.select("party_id", "day_ends_at", "waits", "budget_reached", "rests"), on="party_id", how="left", maintain_order="left"
        )
        .with_columns(
            send_after=pl.when("allowed").then("at").when(later).then(pl.max_horizontal("at", "next_allowed_at")),
            # What waits for its hour gets the whole day; the gate looks at every instant again.
            expires_at=pl.when(pl.col("day_ends_at").is_not_null()).then(pl.min_horizontal("day_ends_at", "allowed_until")),
        )
        .with_columns(in_time=(pl.col("send_after") < pl.col("expires_at")).fill_null(False))
        .with_columns(
            plannable=pl.col("in_time")
            & pl.col("text_locale").is_not_null()
            & ~pl.col("waits")
            & ~pl.col("budget_reached")
            & (pl.col("rests").list.len() == 0)
        )
        .drop("day_ends_at", "waits", "budget_reached", "rests")
    )


def _arms(judged: pl.DataFrame, stands: pl.DataFrame) -> pl.DataFrame:
    """What may be done: each plannable candidate with each of its offers, and nothing."""
    contacts = (
        judged.filter("plannable")
        .select(
            "party_id", "candidate", "place", "in_vain", "cost", "ownership", "verified_on", "contact_point_id", "channel", offer="offers"
        )
        .with_columns(offer_rank=pl.int_ranges(pl.max_horizontal(pl.col("offer").list.len().cast(pl.Int64), 1)))
        .with_columns(offer=pl.when(pl.col("offer").list.len() == 0).then(pl.lit([None], dtype=pl.List(pl.String))).otherwise("offer"))
        .explode("offer", "offer_rank")
        .with_columns(score())
        .select("party_id", "candidate", "channel", "contact_point_id", "offer", pl.col("offer_rank").cast(pl.Int64), "score", "cost")
    )
    nothing = stands.select(
        "party_id",
        candidate=pl.lit(None, dtype=pl.Int64),
        channel=pl.lit(None, dtype=pl.String),
        contact_point_id=pl.lit(None, dtype=pl.Int64),
        offer=pl.lit(None, dtype=pl.String),
        offer_rank=pl.lit(0, dtype=pl.Int64),
        score=pl.lit(NO_CONTACT_SCORE, dtype=pl.Int64),
        cost=pl.lit(None, dtype=pl.Int64),
    )
    return pl.concat([contacts, nothing])


def arm_name() -> pl.Expr:
    """What the log calls an arm with `channel` (null = no contact), `contact_point_id` and `offer`."""
    way = pl.concat_str("channel", "contact_point_id", pl.col("offer").fill_null("-"), separator=":")
    return pl.when(pl.col("channel").is_null()).then(pl.lit(NO_CONTACT)).otherwise(way)


def _propensities(arms: pl.DataFrame) -> pl.DataFrame:
    possible = arms.filter(pl.col("parts").is_between(1, PARTS - 1))
    # Written by hand: nine digits after the point are exact.
    entry = pl.concat_str(pl.lit('"'), arm_name(), pl.lit('": 0.'), pl.col("parts").cast(pl.String).str.zfill(9))
    return possible.group_by("party_id").agg(propensities=pl.concat_str(pl.lit("{"), entry.str.join(", "), pl.lit("}")).first())


def _reasons(considered: Considered, drawn: pl.DataFrame) -> pl.DataFrame:
    """Why each borrower is not contacted, or what stood against the candidates that came before the chosen one."""
    chosen = drawn.select("party_id", chosen="candidate", possible="propensities")
    judged = considered.candidates.join(chosen, on="party_id").filter(pl.col("chosen").is_null() | (pl.col("candidate") < pl.col("chosen")))
    against = judged.filter(~pl.col("plannable"))
    by_rule = against.filter(~pl.col("in_time")).select("party_id", reason="blocked_by").explode("reason", empty_as_null=True).drop_nulls()
    silent = considered.stands.join(chosen.filter(pl.col("chosen").is_null()), on="party_id")
    # Whom the creditor could speak to in some way is left in peace for another reason.
    could_speak = silent.join(considered.candidates.filter("has_sender"), on="party_id", how="semi")
    flags = [
        by_rule,
        _flag(against.filter(~pl.col("has_sender")).join(could_speak, on="party_id", how="anti"), NO_SENDER),
        _flag(against.filter("has_sender", pl.col("text_locale").is_null()), NO_TEXT),
        _flag(against.filter(pl.col("expires_at").is_null() & pl.col("allowed")), NO_ZONE),
    ]
    # Said of whom is contacted too: it is why she gets onboarding and not the ladder.
    flags.append(_flag(considered.stands.filter(pl.col("in_stage") & ~pl.col("offered")), NOT_OFFERED))
    in_stage = silent.filter("in_stage")
    flags += [
        _flag(silent.filter(~pl.col("in_stage")), NOT_IN_STAGE),
        _flag(in_stage.filter("waits"), WAIT),
        _flag(in_stage.filter(pl.col("step") == 0), WAIT),
        _flag(in_stage.filter("budget_reached"), BUDGET),
        in_stage.select("party_id", reason="rests").explode("reason", empty_as_null=True).drop_nulls(),
        _flag(in_stage.filter("day_over"), DAY_OVER),
        _flag(in_stage.filter(pl.col("step") > 0).join(considered.candidates, on="party_id", how="anti"), NO_CONTACT_POINT),
        _flag(silent.join(considered.candidates.filter("plannable"), on="party_id", how="semi"), DRAWN),
    ]
    return pl.concat(flags).unique().sort("party_id", "reason").group_by("party_id", maintain_order=True).agg(reasons="reason")


def _flag(rows: pl.DataFrame, reason: str) -> pl.DataFrame:
    return rows.select("party_id", reason=pl.lit(reason))
