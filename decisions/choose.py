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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

import numpy as np
import polars as pl

from decisions.assignment import MINIMUM, ORDINARY, Group, Trial, groups, who_asks
from decisions.candidates import candidates, standing
from decisions.draws import draw_key, keyed_numbers
from decisions.facts import CANDIDATES, Facts, Schema, type_instant
from decisions.messages import Texts
from decisions.packs import Packs
from decisions.parts import PARTS, drawn, parts
from decisions.policy import (
    NO_PRICES,
    VALUED,
    MedianOwed,
    PredictorMissingError,
    Predicts,
    Prices,
    by_slot,
    find_prices,
    medians_owed,
    sample,
    valued,
    weighable,
    with_prices,
)
from decisions.rules import judge
from decisions.scoring import NO_CONTACT_SCORE, score
from decisions.strategy import Strategy

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
    "hour_slot": pl.Int32,  # of the chosen arm, where a model weighs hours (decisions/policy.py)
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
NOT_WORTH_IT: Final = "no_contact_is_worth_more"
NOT_WEIGHED: Final = "currency_not_weighed"
HELD_OUT: Final = "held_out_minimum"
CAPPED: Final = "capped"
# How somebody who is not treated by the run's own strategy is marked, among her reasons: group:champion, group:experiment:NAME/ARM.
GROUP: Final = "group:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """Everything between the facts and the draw.

    Attributes:
        stands: decisions/candidates.standing.
        candidates: decisions/candidates.candidates, with the verdict's `allowed`, `blocked_by`, `blocked_for_good`,
            `next_allowed_at` (null where nothing was judged: the creditor has no sender), and `plannable`, `send_after`, `expires_at`.
        verdicts: What decisions/rules.judge said: one Boolean a rule.
        arms: What may be done, doing nothing included: `party_id`, `candidate` (null = no contact), `offer`, `score`,
            `parts` (its probability in parts of 1,000,000,000) and decisions/policy.VALUED; best first within a borrower.
        group: By which name its borrowers are assigned to the strategy.
        prices: Of scarce capacity and of a contact, where a model weighs.
    """

    stands: pl.DataFrame
    candidates: pl.DataFrame
    verdicts: pl.DataFrame
    arms: pl.DataFrame
    group: str = ORDINARY
    prices: Prices = NO_PRICES


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """By what borrowers are decided for, beside facts and strategy: what one run has in common for all of them.

    Attributes:
        packs: Rule packs in force.
        texts: All messages.
        at: The instant of planning, UTC; no contact is planned before it.
        business_date: The local day that is treated; no contact is planned outside it.
        predicts: What a strategy with a model asks; None = there is none, and such a strategy decides nothing.
        prices: Of scarce capacity and of a contact; None = found on the borrowers at hand.
    """

    packs: Packs
    texts: Texts
    at: datetime
    business_date: date
    predicts: Predicts | None = None
    prices: Prices | None = None


def consider(
    facts: Facts,
    strategy: Strategy,
    packs: Packs,
    texts: Texts,
    *,
    at: datetime,
    business_date: date,
    predicts: Predicts | None = None,
    prices: Prices | None = None,
) -> Considered:
    """Find what might be done, let every rule judge it, and weigh what is left.

    Raises:
        PredictorMissingError: The strategy has a model's say, and nobody predicts.
    """
    by = By(packs=packs, texts=texts, at=at, business_date=business_date, predicts=predicts)
    stands = _stands(facts, strategy, by)
    medians = medians_owed(stands, facts) if prices is None else prices.medians
    judged, verdicts, arms = _arms_of(facts, stands, strategy, by, medians)
    if strategy.learned is not None:
        prices = find_prices(arms, strategy, medians) if prices is None else prices
        arms = with_prices(arms, strategy.learned, prices)
    return Considered(stands=stands, candidates=judged, verdicts=verdicts, arms=weigh(arms, strategy), prices=prices or NO_PRICES)


def _stands(facts: Facts, strategy: Strategy, by: By) -> pl.DataFrame:
    return standing(facts, strategy, at=by.at, business_date=by.business_date).with_columns(weighable=weighable(strategy))


def _arms_of(
    facts: Facts, stands: pl.DataFrame, strategy: Strategy, by: By, medians: Sequence[MedianOwed]
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Judged candidates, verdicts, and arms with what each is worth."""
    found = candidates(facts, stands, strategy, by.texts)
    verdicts = judge(facts, found.filter("has_sender").select(*CANDIDATES), by.packs)
    judged = _plannable(found, verdicts, stands)
    if strategy.learned is None:
        return judged, verdicts, _arms(judged, stands)
    if by.predicts is None:
        raise PredictorMissingError(f"{strategy.name}/{strategy.stage} decides by the model {strategy.learned.model}, and there is none")
    contacts, nothing = _contacts(judged), _nothing(stands)
    slots = _within_hours(facts, judged, contacts, stands.select("party_id", "day_ends_at"), by.packs)
    arms = pl.concat([slots, nothing], how="diagonal").sort("party_id", "candidate", "offer_rank", "hour_slot", nulls_last=True)
    return judged, verdicts, valued(arms, stands, facts, strategy.learned, by.predicts, medians, at=by.at)


def _within_hours(facts: Facts, judged: pl.DataFrame, contacts: pl.DataFrame, day_ends: pl.DataFrame, packs: Packs) -> pl.DataFrame:
    """Each contact in every slot in which it is allowed at some time.

    A rule's own hours are one span a day. What somebody asked for or agreed to may leave a gap in it: then each slot is asked about.
    """
    own = (facts.wishes.filter(pl.col("kind") == "not_at"), facts.agreements.filter(pl.col("kind") == "contact_hours"))
    apart = pl.concat(frame.select("party_id") for frame in own).unique()
    usual = contacts.join(apart, on="party_id", how="anti").join(_open_until(facts, judged, packs), on="candidate")
    slots = by_slot(usual, day_ends)
    if len(usual) < len(contacts):
        days = contacts.join(apart, on="party_id", how="semi").join(day_ends.rename({"day_ends_at": "open_until"}), on="party_id")
        asked = by_slot(days, day_ends)
        slots = pl.concat([slots, asked.join(_opens(judged, asked, facts, packs), on=["candidate", "hour_slot"])], how="diagonal")
        slots = (
            slots.with_columns(send_after=pl.coalesce("opens", "send_after")).filter(pl.col("send_after") < pl.col("closes")).drop("opens")
        )
    return slots.drop("closes")


def _opens(judged: pl.DataFrame, asked: pl.DataFrame, facts: Facts, packs: Packs) -> pl.DataFrame:
    """From when on each candidate is allowed, asked at the instants at which its slots begin: `candidate`, `hour_slot`, `opens`."""
    at = asked.select("candidate", "hour_slot", "send_after").unique(maintain_order=True).with_row_index("ask")
    instants = at.select("ask", "candidate", at=pl.col("send_after"))
    rows = instants.join(judged.drop("at"), on="candidate", maintain_order="left").with_columns(candidate=pl.col("ask").cast(pl.Int64))
    opens = judge(facts, rows.select(*CANDIDATES), packs).select("candidate", opens="next_allowed_at")
    named = at.select("hour_slot", "candidate", ask=pl.col("ask").cast(pl.Int64))
    return named.join(opens.drop_nulls(), left_on="ask", right_on="candidate").drop("ask")


def _open_until(facts: Facts, judged: pl.DataFrame, packs: Packs) -> pl.DataFrame:
    """Until when each plannable candidate may be contacted from `send_after` on, without a gap: `candidate`, `open_until`.

    What opens later was judged at the instant of planning; the end of its hours is asked for at the instant at which they begin.
    """
    plannable = judged.filter("plannable")
    later = plannable.filter(~pl.col("allowed"))
    again = judge(facts, later.with_columns(at="send_after").select(*CANDIDATES), packs).select("candidate", ends="allowed_until")
    ends = pl.when(pl.col("allowed")).then("expires_at").otherwise(pl.min_horizontal("ends", "expires_at"))
    return plannable.join(again, on="candidate", how="left").select("candidate", open_until=ends)


def price(
    facts: Facts,
    strategy: Strategy,
    by: By,
    *,
    trials: Sequence[Trial] = (),
    line: bytes | None = None,
    totals: Mapping[int, int] | None = None,
) -> Prices:
    """Find what scarce capacity and a contact cost in a run, on some of its borrowers, before anybody is decided for.

    Args:
        facts: Of a sample of the run's borrowers.
        strategy: Of the run.
        by: As for the run; its `prices` are not looked at, and it predicts where something is scarce.
        trials: Experiments in the stage.
        line: From decisions/assignment.line_key.
        totals: Creditor → borrowers of the run.
    """
    asking = who_asks(strategy, trials)
    if asking is None or asking.learned is None:
        return NO_PRICES
    ids = sample(facts.borrowers["party_id"], asking.learned.sample_max)
    theirs = [group.party_ids for group in groups(ids, strategy, trials, key=line) if group.strategy.learned is not None]
    looked_at = facts.about([party for parties in theirs for party in parties])
    stands = _stands(looked_at, asking, by)
    medians = medians_owed(stands, looked_at)
    if not asking.learned.caps:
        return Prices(medians=medians)
    return find_prices(_arms_of(looked_at, stands, asking, by, medians)[2], asking, medians, totals=totals)


def decide(
    facts: Facts,
    strategy: Strategy,
    packs: Packs,
    texts: Texts,
    *,
    at: datetime,
    business_date: date,
    seed: bytes,
    predicts: Predicts | None = None,
    prices: Prices | None = None,
    trials: Sequence[Trial] = (),
    line: bytes | None = None,
) -> pl.DataFrame:
    """Choose for every borrower in `facts`.

    Args:
        facts: Read at one instant.
        strategy: Of the stage.
        packs: Rule packs in force.
        texts: All messages.
        at: The instant of planning, UTC; no contact is planned before it.
        business_date: The local day that is treated; no contact is planned outside it.
        seed: Secret of the installation and of the run.
        predicts: Whom a strategy with a model asks.
        prices: Of scarce capacity and of a contact in the run; None = found on these borrowers.
        trials: Experiments that run in the stage.
        line: Who is held out or tried on (decisions/assignment.line_key); None where nobody is.

    Returns:
        Columns `DECISIONS`, one row a borrower, by id.

    Raises:
        PredictorMissingError: A strategy has a model's say, and nobody predicts.
        UnassignableError: Somebody is held out or tried on, and `line` is missing, or two of them want the same borrowers.
    """
    by = By(packs=packs, texts=texts, at=at, business_date=business_date, predicts=predicts, prices=prices)
    key = draw_key(seed, strategy.stage, business_date)
    parted = groups(facts.borrowers["party_id"], strategy, trials, key=line)
    if not parted:
        parted = [Group(name=ORDINARY, strategy=strategy, party_ids=[])]
    rows = [conclude(consider_group(facts if len(parted) == 1 else facts.about(group.party_ids), group, by), key=key) for group in parted]
    return pl.concat(rows).sort("party_id")


def consider_group(facts: Facts, group: Group, by: By) -> Considered:
    """`consider` for borrowers who are treated alike."""
    considered = consider(
        facts,
        group.strategy,
        by.packs,
        by.texts,
        at=by.at,
        business_date=by.business_date,
        predicts=by.predicts,
        prices=by.prices,
    )
    return replace(considered, group=group.name)


def defer(decisions: pl.DataFrame, party_ids: Sequence[int]) -> pl.DataFrame:
    """Take back the contacts of whom a hard cap leaves out today: they keep their probability, and are left out of every evaluation."""
    over = pl.col("party_id").is_in(list(party_ids)) & (pl.col("action") == "contact")
    if not party_ids:
        return decisions
    gone = ("channel", "contact_point_id", "purpose", "message", "offer", "locale", "send_after", "expires_at", "hour_slot")
    return decisions.with_columns(
        *(pl.when(over).then(None).otherwise(pl.col(name)).alias(name) for name in gone),
        action=pl.when(over).then(pl.lit("no_contact")).otherwise("action"),
        reasons=pl.when(over).then(pl.concat_list("reasons", pl.lit([CAPPED], dtype=pl.List(pl.String))).list.sort()).otherwise("reasons"),
    )


def conclude(considered: Considered, *, key: bytes) -> pl.DataFrame:
    """Draw one arm for every borrower and write down why."""
    taken = draw(considered.arms, key).rename({"send_after": "arm_send_after"})
    chosen = considered.candidates.select(
        "candidate", "channel", "contact_point_id", "purpose", "message", "step", "send_after", "expires_at", locale="text_locale"
    )
    rows = (
        considered.stands.select("party_id", "day_ends_at", reached="step")
        .join(taken, on="party_id")
        .join(chosen, on="candidate", how="left")
        .join(_reasons(considered, taken), on="party_id", how="left")
    )
    contact = pl.col("candidate").is_not_null()
    return (
        rows.with_columns(
            action=pl.when(contact).then(pl.lit("contact")).otherwise(pl.lit("no_contact")),
            step=pl.when(contact).then("step").otherwise("reached"),
            # Divided by numpy: Polars multiplies by the reciprocal, which is off by a unit of the last place.
            probability=pl.Series(rows["parts"].to_numpy() / PARTS),
            reasons=pl.col("reasons").fill_null(pl.lit([], dtype=pl.List(pl.String))),
            # Where a model weighs hours, the arm says which.
            send_after=pl.coalesce("arm_send_after", "send_after"),
            # What is sent after a gap in her hours has the rest of the day.
            expires_at=pl.when(pl.col("arm_send_after") >= pl.col("expires_at")).then("day_ends_at").otherwise("expires_at"),
        )
        .select(pl.col(name).cast(kind) for name, kind in DECISIONS.items())
        .sort("party_id")
    )


def weigh(arms: pl.DataFrame, strategy: Strategy) -> pl.DataFrame:
    """Give every arm its probability, in parts of `PARTS`; they add up to it for each borrower.

    Args:
        arms: `party_id`, `candidate`, `offer`, `offer_rank`, `score`, `cost` (of equals the cheapest is the best); where a model weighs
            also `hour_slot`, and `weighed`, `temperature` and `explored` in the place of the score, the strategy's temperature, and all.
        strategy: Its `exploration` and `temperature`.

    Returns:
        The arms, best first within a borrower, with `parts`.
    """
    modelled = "weighed" in arms.columns
    value = "weighed" if modelled else "score"
    by = ("party_id", value, "cost", "candidate", "offer_rank", *(("hour_slot",) if modelled else ()))
    ranked = arms.sort(*by, descending=[name == value for name in by], nulls_last=True)
    best = ranked["party_id"].rle_id().is_first_distinct()
    even = round(strategy.exploration * PARTS)
    if not modelled and even == 0 and strategy.temperature == 0:
        return ranked.with_columns(parts=pl.when(best).then(PARTS).otherwise(0).cast(pl.Int64))
    starts = best.arg_true().cast(pl.Int64).to_numpy()
    temperatures = ranked.filter(best)["temperature"].to_numpy() if modelled else np.full(len(starts), strategy.temperature, dtype=np.int64)
    explored = ranked["explored"].to_numpy() if modelled else None
    return ranked.with_columns(parts=pl.Series(parts(ranked[value].to_numpy(), starts, temperatures, even=even, explored=explored)))


def draw(arms: pl.DataFrame, key: bytes) -> pl.DataFrame:
    """Take one arm for each borrower: the one whose parts, laid end to end with those before it, cover the borrower's number.

    Args:
        arms: From `weigh`: a borrower's arms stand together and their parts add up to `PARTS`.
        key: From `draw_key`.

    Returns:
        The chosen arms with `propensities`: a JSON object where more than one arm could have been taken, else null.
    """
    numbers = keyed_numbers(arms["party_id"].unique(maintain_order=True).to_numpy(), key)
    chosen = arms[drawn(arms["parts"].to_numpy(), numbers)]
    return chosen.join(_propensities(arms), on="party_id", how="left", maintain_order="left")


def _plannable(found: pl.DataFrame, verdicts: pl.DataFrame, stands: pl.DataFrame) -> pl.DataFrame:
    """Candidates with their verdict, and whether they may be planned: allowed now, or from some instant of the same day on."""
    # What asks for a person is withheld like what is forbidden, until one has decided.
    against = pl.concat_list("blocked_by", "asked_by") if verdicts["asked_by"].list.len().sum() else pl.col("blocked_by")
    said = verdicts.select("candidate", "allowed", "blocked_for_good", "next_allowed_at", "allowed_until", blocked_by=against)
    later = pl.col("next_allowed_at").is_not_null()
    return (
        found.join(said, on="candidate", how="left", maintain_order="left")
        .join(
            stands.select("party_id", "day_ends_at", "waits", "budget_reached", "rests", "weighable"),
            on="party_id",
            how="left",
            maintain_order="left",
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
            & pl.col("weighable")
        )
        .drop("day_ends_at", "waits", "budget_reached", "rests", "weighable")
    )


def _arms(judged: pl.DataFrame, stands: pl.DataFrame) -> pl.DataFrame:
    """What may be done: each plannable candidate with each of its offers, and nothing; by the ladder's score."""
    unasked = {name: pl.lit(None, dtype=kind) for name, kind in VALUED.items()}
    scored = _contacts(judged).with_columns(score()).select(*_ARM, "score")
    nothing = _nothing(stands).with_columns(score=pl.lit(NO_CONTACT_SCORE, dtype=pl.Int64)).select(*_ARM, "score")
    return pl.concat([scored, nothing]).with_columns(**unasked)


_ARM: Final = ("party_id", "candidate", "channel", "contact_point_id", "offer", "offer_rank", "cost")


def _contacts(judged: pl.DataFrame) -> pl.DataFrame:
    """Each plannable candidate with each of its offers."""
    return (
        judged.filter("plannable")
        .select(*_ARM[:4], "place", "in_vain", "cost", "priced_in", "ownership", "verified_on", "send_after", offer="offers")
        .with_columns(offer_rank=pl.int_ranges(pl.max_horizontal(pl.col("offer").list.len().cast(pl.Int64), 1)))
        .with_columns(offer=pl.when(pl.col("offer").list.len() == 0).then(pl.lit([None], dtype=pl.List(pl.String))).otherwise("offer"))
        .explode("offer", "offer_rank")
        .with_columns(pl.col("offer_rank").cast(pl.Int64))
    )


def _nothing(stands: pl.DataFrame) -> pl.DataFrame:
    """Doing nothing, once a borrower."""
    return stands.select(
        "party_id",
        candidate=pl.lit(None, dtype=pl.Int64),
        channel=pl.lit(None, dtype=pl.String),
        contact_point_id=pl.lit(None, dtype=pl.Int64),
        offer=pl.lit(None, dtype=pl.String),
        offer_rank=pl.lit(0, dtype=pl.Int64),
        cost=pl.lit(None, dtype=pl.Int64),
    )


def arm_name() -> pl.Expr:
    """What the log calls an arm with `channel` (null = no contact), `contact_point_id`, `offer` and `hour_slot` (null = none)."""
    way = pl.concat_str("channel", "contact_point_id", pl.col("offer").fill_null("-"), "hour_slot", separator=":", ignore_nulls=True)
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
        *_left_to_chance(considered, silent),
        _flag(in_stage.filter(~pl.col("weighable")), NOT_WEIGHED),
    ]
    if considered.group != ORDINARY:
        flags.append(_flag(considered.stands, f"{GROUP}{considered.group}"))
    if considered.group == MINIMUM:
        flags.append(_flag(in_stage, HELD_OUT))
    return pl.concat(flags).unique().sort("party_id", "reason").group_by("party_id", maintain_order=True).agg(reasons="reason")


def _left_to_chance(considered: Considered, silent: pl.DataFrame) -> list[pl.DataFrame]:
    """Who might have been contacted and is not: because nothing else is worth more, or because the draw fell so."""
    might = silent.join(considered.candidates.filter("plannable"), on="party_id", how="semi")
    best = considered.arms.filter(considered.arms["party_id"].rle_id().is_first_distinct() & pl.col("candidate").is_null())
    return [
        _flag(might.join(best, on="party_id", how="semi"), NOT_WORTH_IT),
        _flag(might.join(best, on="party_id", how="anti"), DRAWN),
    ]


def _flag(rows: pl.DataFrame, reason: str) -> pl.DataFrame:
    return rows.select("party_id", reason=pl.lit(reason))
