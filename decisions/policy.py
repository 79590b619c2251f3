"""What a model may weigh: of the arms that rules and the ladder leave open, what each is worth, and how much of it what is scarce allows.

An arm is a contact point, a channel, an offer of the ladder's step and a slot of four hours that lies inside the lawful hours; doing
nothing is always one. Its value is what it is expected to bring beyond doing nothing, less what it costs, less what its complaints and
opt-outs count for. The model orders what is allowed; it allows nothing, and terms are none of its business (decisions/affordability.py
has fixed them before).

In:   arms as decisions/choose.py has found them, facts, a strategy's `Learned`, whoever predicts.
Out:  the same arms by slots, with whole values, prices and temperatures.
Pure: no I/O, no clock, no randomness.
Source: SCIENCE.md C1. Values are thousandths of a minor unit of what is owed in, so that a decision replays (I8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from decisions.candidates import owed, with_cost
from decisions.capacity import NO_POOL, THOUSAND, Sampled, Use, lowered, prices, unexplored
from decisions.draws import keyed_numbers
from decisions.facts import Facts, Schema, empty, type_instant
from decisions.messages import Texts
from decisions.offered import NEVER_ARRIVED
from decisions.parts import PARTS
from decisions.strategy import SPOKEN, Cap, Harm, Learned, Strategy

# Of the day, four hours each; the same ones that models know (decisions/features.py).
SLOTS: Final = 6
SLOT: Final = timedelta(hours=4)
RECENT: Final = timedelta(days=7)
PER_MILLION: Final = 1_000_000
NONE: Final = "none"
FULL: Final = 100
# Beyond it a contact's harm is certain long since.
RECENT_MAX: Final = 50
# Whom prices are found on is no secret, and has nothing to do with what is drawn.
SAMPLE_KEY: Final = b"prices on sample"

# What a predictor is asked about, one row an arm.
ASKED: Final[Schema] = {
    "party_id": pl.Int64,
    "channel": pl.String,  # `none` = no contact
    "hour_slot": pl.Int32,  # 0 to 5 by her clock; null for no contact
    "offer": pl.String,  # `none` = nothing but the text, or no contact
}
# What stands beside an arm once it is valued; amounts are thousandths of a minor unit, null for no contact.
VALUED: Final[Schema] = {
    "hour_slot": pl.Int32,
    "send_after": type_instant,
    "gain": pl.Int64,  # expected beyond doing nothing
    "spent": pl.Int64,  # what the contact costs
    "harm": pl.Int64,  # what it counts for her peace, and for its complaints and opt-outs
    "price": pl.Int64,  # what scarce capacity costs it
}


class Predicts(Protocol):
    """Whoever says how likely something is, for each arm; a model with the features of the people, or a stand-in for tests."""

    def version(self, kind: str) -> str:
        """Hash of what it predicts this kind of thing by."""
        ...

    def says(self, kind: str, arms: pl.DataFrame) -> npt.NDArray[np.float64]:
        """Probability of what a kind of model is about (decisions/learning.KINDS), for each row of `ASKED`."""
        ...


class PredictorMissingError(RuntimeError):
    """A strategy wants a model, and none is given; nothing is decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPrice:
    """What one creditor's capacity costs.

    Attributes:
        creditor_id: Whose.
        currency: Of what is owed; money is bounded in each apart.
        cap: Its name.
        bound: Thousandths of contacts, or of a minor unit, that may be used in the day.
        expected: Thousandths expected to be used.
        price: Thousandths of a minor unit for a contact, or for a minor unit spent.
        binds: Whether without a price more would be used; nothing of it is given away evenly then.
    """

    creditor_id: int
    currency: str
    cap: str
    bound: int
    expected: int
    price: int
    binds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MedianOwed:
    """What is asked of a creditor's median borrower: a contact counts a share of it against itself.

    Attributes:
        creditor_id: Whose.
        currency: Of what is owed.
        amount_minor: The lower median, so that it is what somebody owes, to the minor unit.
    """

    creditor_id: int
    currency: str
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Prices of a run, found before anybody is decided for.

    Attributes:
        pools: Of scarce capacity.
        medians: What contacts count a share of.
        borrowers: On so many prices of scarce capacity were found.
    """

    pools: tuple[PoolPrice, ...] = ()
    medians: tuple[MedianOwed, ...] = ()
    borrowers: int = 0

    @property
    def by_pool(self) -> Mapping[tuple[int, str, str], PoolPrice]:
        """(Creditor, currency, cap's name) → its price."""
        return {(pool.creditor_id, pool.currency, pool.cap): pool for pool in self.pools}


NO_PRICES: Final = Prices()
Amount = TypeVar("Amount", int, pl.Expr)


def medians_owed(stands: pl.DataFrame, facts: Facts) -> tuple[MedianOwed, ...]:
    """What the median borrower of each creditor owes in each currency, among those of the stage of whom something is asked.

    Args:
        stands: decisions/candidates.standing, with `weighable`.
        facts: Of the same people.
    """
    asked = stands.filter("in_stage", "weighable", pl.col("amount_minor").is_not_null())
    found = (
        asked.join(facts.borrowers.select("party_id", "creditor_id"), on="party_id")
        .group_by("creditor_id", "currency")
        .agg(pl.col("amount_minor").sort().get((pl.len() - 1) // 2))
        .sort("creditor_id", "currency")
    )
    return tuple(MedianOwed(**row) for row in found.iter_rows(named=True))


def for_her_peace(owed_minor: Amount, share: Amount) -> Amount:
    """What a contact counts, in thousandths of a minor unit: so many parts of 1,000,000 of an amount in minor units."""
    return owed_minor * share // (PER_MILLION // THOUSAND)


def by_slot(arms: pl.DataFrame, day_ends: pl.DataFrame) -> pl.DataFrame:
    """Each contact once for every slot in which it may be made.

    Args:
        arms: Contacts with `send_after` and `open_until`: the lawful hours without a gap in them.
        day_ends: `party_id`, `day_ends_at`.

    Returns:
        The same with `hour_slot`, `send_after` moved to the slot's beginning where that lies later, and `closes`: the end of the slot or
        of the hours.
    """
    ends = pl.col("day_ends_at") - SLOT * (SLOTS - 1) + SLOT * pl.col("hour_slot")
    return (
        arms.join(day_ends, on="party_id", maintain_order="left")
        .with_columns(hour_slot=pl.lit(list(range(SLOTS)), dtype=pl.List(pl.Int32)))
        .explode("hour_slot")
        .with_columns(send_after=pl.max_horizontal("send_after", ends - SLOT), closes=pl.min_horizontal("open_until", ends))
        .filter(pl.col("send_after") < pl.col("closes"))
        .drop("day_ends_at", "open_until")
    )


def recent_contacts(facts: Facts, at: datetime) -> pl.DataFrame:
    """Contacts of the last seven days that were not surely lost: `party_id`, `recent`."""
    since = pl.lit(at - RECENT, dtype=type_instant)
    made = (pl.col("direction") == "outbound") & (pl.col("at") >= since) & ~pl.col("result").is_in(NEVER_ARRIVED).fill_null(False)
    return facts.history.filter(made).group_by("party_id").agg(recent=pl.len().cast(pl.Int64))


def weighable(strategy: Strategy) -> pl.Expr:
    """Whether something is asked for in a currency that the strategy weighs."""
    if strategy.learned is None:
        return pl.lit(True)
    return (pl.col("amount_minor").is_not_null() & pl.col("currency").is_in(list(strategy.learned.weights))).fill_null(False)


def valued(
    arms: pl.DataFrame,
    stands: pl.DataFrame,
    facts: Facts,
    learned: Learned,
    predicts: Predicts,
    medians: Sequence[MedianOwed],
    *,
    at: datetime,
) -> pl.DataFrame:
    """Say what every arm is worth.

    Args:
        arms: By borrower; doing nothing has no `candidate`. With `channel`, `offer`, `hour_slot`, `cost`, `priced_in`.
        stands: decisions/candidates.standing: what is asked for.
        facts: Of the same people.
        learned: Of the strategy.
        predicts: Whom to ask.
        medians: What contacts count a share of; where a creditor's is missing, it is what she herself owes.
        at: Instant of planning.

    Returns:
        The same rows in the same order with `score` (the value), `gain`, `spent`, `harm`, `temperature`, `creditor_id`, `currency`.
    """
    about = (
        stands.select("party_id", "amount_minor", "currency")
        .join(facts.borrowers.select("party_id", "creditor_id"), on="party_id", how="left")
        .join(recent_contacts(facts, at), on="party_id", how="left")
    )
    rows = arms.join(about, on="party_id", how="left", maintain_order="left")
    rows = rows.join(_weights(learned), on="currency", how="left", maintain_order="left")
    rows = rows.join(_medians(medians), on=["creditor_id", "currency"], how="left", maintain_order="left")
    asked = rows.select(
        "party_id",
        pl.col("channel").fill_null(NONE),
        "hour_slot",
        pl.col("offer").fill_null(NONE),
    )
    rows = rows.with_columns(
        pays=pl.Series(predicts.says(learned.model, asked)),
        harms=_harms(learned.harm) if learned.harm_model is None else pl.Series(predicts.says(learned.harm_model, asked)),
    )
    nothing = rows.filter(pl.col("candidate").is_null()).select("party_id", unasked="pays")
    contact = pl.col("candidate").is_not_null()
    share = pl.when(pl.col("channel").is_in(list(SPOKEN))).then(learned.peace.spoken).otherwise(learned.peace.written).cast(pl.Int64)
    peace = for_her_peace(pl.coalesce("median", "amount_minor"), share)
    gain = ((pl.col("pays") - pl.col("unasked")) * pl.col("amount_minor") * THOUSAND).round().cast(pl.Int64)
    kept = [name for name in arms.columns if name not in {"score", "cost", "priced_in"}]
    return (
        rows.join(nothing, on="party_id", how="left", maintain_order="left")
        .pipe(_with_spent, learned)
        .with_columns(
            gain=pl.when(contact).then(gain),
            spent=pl.when(contact).then("spent"),
            harm=pl.when(contact).then((pl.col("harms") * pl.col("kappa")).round().cast(pl.Int64) + peace),
        )
        .with_columns(
            score=pl.when(contact).then(pl.col("gain") - pl.col("spent") - pl.col("harm")).otherwise(0).cast(pl.Int64),
            temperature=pl.col("temperature").fill_null(1),
        )
        .select(*kept, "score", "gain", "spent", "harm", "temperature", "creditor_id", "currency", cost="spent")
    )


def _weights(learned: Learned) -> pl.DataFrame:
    rows = [(currency, weights.harm, weights.temperature, weights.unit) for currency, weights in learned.weights.items()]
    schema: Schema = {"currency": pl.String, "kappa": pl.Int64, "temperature": pl.Int64, "unit": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _medians(medians: Sequence[MedianOwed]) -> pl.DataFrame:
    rows = [(one.creditor_id, one.currency, one.amount_minor) for one in medians]
    schema: Schema = {"creditor_id": pl.Int64, "currency": pl.String, "median": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _with_spent(rows: pl.DataFrame, learned: Learned) -> pl.DataFrame:
    """What each contact costs: its price where there is one, in the currency of what is owed; else what the strategy takes it to cost."""
    taken = [(currency, channel, cost) for currency, weights in learned.weights.items() for channel, cost in weights.costs.items()]
    schema: Schema = {"currency": pl.String, "channel": pl.String, "taken": pl.Int64}
    units = _weights(learned).select(priced_in="currency", priced_unit="unit")
    known = pl.col("cost") * pl.col("unit") / pl.col("priced_unit")
    return (
        rows.join(pl.DataFrame(taken, schema=schema, orient="row"), on=["currency", "channel"], how="left", maintain_order="left")
        .join(units, on="priced_in", how="left", maintain_order="left")
        .with_columns(spent=pl.coalesce(known.round().cast(pl.Int64), "taken"))
    )


def _harms(harm: Harm) -> pl.Expr:
    """The strategy's own figures: rarer by letter than by voice, and more with every contact of late."""
    rate = pl.when(pl.col("channel").is_in(list(SPOKEN))).then(harm.spoken).otherwise(harm.written) / PER_MILLION
    above = (pl.col("recent").fill_null(0) - harm.free).clip(0, RECENT_MAX)
    return (rate * pl.lit(harm.growth).pow(above)).clip(0, 1)


def with_prices(arms: pl.DataFrame, learned: Learned, found: Prices) -> pl.DataFrame:
    """Lower each arm's value by what the capacity it uses costs.

    Args:
        arms: From `valued`.
        learned: Of the strategy.
        found: Of the run; a creditor that it does not name pays nothing.

    Returns:
        The same rows with `price`, `weighed` (value less price) and `explored` (whether it may be drawn for the log's sake alone).
    """
    if not learned.caps or arms.is_empty():
        return arms.with_columns(price=pl.lit(0, dtype=pl.Int64), weighed="score", explored=pl.lit(True))
    keys, uses = _uses(arms, learned)
    pools = found.by_pool
    priced = [np.array([pools[key].price if key in pools else 0 for key in named], dtype=np.int64) for named in keys]
    binds = [np.array([key in pools and pools[key].binds for key in named], dtype=np.bool_) for named in keys]
    values = arms["score"].to_numpy()
    less = lowered(values, uses, priced)
    return arms.with_columns(price=pl.Series(values - less), weighed=pl.Series(less), explored=pl.Series(~unexplored(uses, binds)))


def find_prices(
    arms: pl.DataFrame, strategy: Strategy, medians: tuple[MedianOwed, ...], *, totals: Mapping[int, int] | None = None
) -> Prices:
    """Find what each creditor's capacity costs, on some of its borrowers.

    Args:
        arms: From `valued`, those of a borrower together; at most `sample_max` borrowers of them are looked at.
        strategy: Of the run.
        medians: By which the arms were valued.
        totals: Creditor → borrowers of the run; None = those in `arms` are all.

    Returns:
        A price for every pool that anybody could draw on, beside the medians.
    """
    learned = strategy.learned
    if learned is None or not learned.caps or arms.is_empty():
        return Prices(medians=medians)
    of_all = arms.group_by("creditor_id").agg(pl.col("party_id").n_unique())
    whole = dict(of_all.iter_rows()) if totals is None else totals
    looked_at = sample(arms["party_id"].unique(), learned.sample_max)
    arms = arms.filter(pl.col("party_id").is_in(looked_at.implode())).sort("party_id", maintain_order=True)
    seen = dict(arms.group_by("creditor_id").agg(pl.col("party_id").n_unique()).iter_rows())
    keys, uses = _uses(arms, learned)
    times = {creditor: max(whole.get(creditor, count), count) / count for creditor, count in seen.items()}
    scaled = [
        Use(use.pools, use.amounts, _scaled(use.caps, [1 / times[creditor] for creditor, _, _ in named], learned.fill))
        for named, use in zip(keys, uses, strict=True)
    ]
    first = arms["party_id"].rle_id().is_first_distinct()
    sampled = Sampled(
        values=arms["score"].to_numpy(),
        starts=first.arg_true().cast(pl.Int64).to_numpy(),
        temperatures=arms.filter(first)["temperature"].to_numpy(),
        even=round(strategy.exploration * PARTS),
    )
    pools = []
    for named, use, one in zip(keys, uses, prices(sampled, scaled), strict=True):
        for number, (creditor, currency, cap) in enumerate(named):
            pools.append(
                PoolPrice(
                    creditor_id=creditor,
                    currency=currency,
                    cap=cap,
                    bound=int(use.caps[number]),
                    expected=round(int(one.expected[number]) * times[creditor]),
                    price=int(one.prices[number]),
                    binds=bool(one.binds[number]),
                )
            )
    in_order = sorted(pools, key=lambda pool: (pool.creditor_id, pool.currency, pool.cap))
    return Prices(pools=tuple(in_order), medians=medians, borrowers=len(looked_at))


def sample(party_ids: pl.Series, at_most: int) -> pl.Series:
    """Some borrowers, the same ones each time, whatever order they come in."""
    ids = party_ids.sort()
    if len(ids) <= at_most:
        return ids
    order = np.argsort(keyed_numbers(ids.to_numpy(), SAMPLE_KEY), kind="stable")[:at_most]
    return ids.gather(np.sort(order))


def _scaled(caps: npt.NDArray[np.int64], shares: list[float], fill: int) -> npt.NDArray[np.int64]:
    """Of each pool what the sample may use: its share of the cap, and not all of it."""
    found: npt.NDArray[np.int64] = np.floor(caps * np.array(shares) * fill / FULL).astype(np.int64)
    return found


Keys = list[tuple[int, str, str]]


def _uses(arms: pl.DataFrame, learned: Learned) -> tuple[list[Keys], list[Use]]:
    """For each cap: its pools, one a creditor and currency, and what every arm draws on them."""
    by = ["creditor_id", "currency"]
    whose = arms.select(by).unique().sort(by, nulls_last=True).with_row_index("pool")
    pool = arms.select(by).join(whose, on=by, how="left", nulls_equal=True, maintain_order="left")["pool"].cast(pl.Int64)
    none = pl.repeat(NO_POOL, arms.height, dtype=pl.Int64, eager=True)
    keys, uses = [], []
    for cap in learned.caps:
        draws = arms["channel"].is_in(list(cap.channels)).fill_null(False)
        amounts = arms["spent"].fill_null(0) if cap.contacts is None else pl.repeat(THOUSAND, arms.height, dtype=pl.Int64, eager=True)
        keys.append([(creditor, currency or "", cap.name) for creditor, currency in whose.select(by).rows()])
        uses.append(
            Use(
                pools=pool.zip_with(draws, none).to_numpy(),
                amounts=amounts.to_numpy(),
                caps=np.array([bound(cap, currency) for _, currency, _ in keys[-1]], dtype=np.int64),
            )
        )
    return keys, uses


def bound(cap: Cap, currency: str) -> int:
    """Thousandths of contacts, or of a minor unit, that a creditor may use of a capacity in a day."""
    return cap.contacts * THOUSAND if cap.contacts is not None else cap.money.get(currency, 0)


# What a contact draws on, once a cap: thousandths of a contact, or of a minor unit.
USES: Final[Schema] = {
    "party_id": pl.Int64,
    "creditor_id": pl.Int64,
    "currency": pl.String,
    "cap": pl.String,
    "score": pl.Int64,
    "used": pl.Int64,
}


def uses_of(decisions: pl.DataFrame, facts: Facts, strategy: Strategy, texts: Texts) -> pl.DataFrame:
    """What the contacts among some decisions draw on: columns `USES`.

    Args:
        decisions: decisions/choose.DECISIONS.
        facts: Of the same people.
        strategy: With a model's say: its caps and what its contacts cost.
        texts: All messages.
    """
    learned = strategy.learned
    if learned is None or not learned.caps:
        return empty(USES)
    about = owed(facts.loans).select("party_id", "currency").join(facts.borrowers.select("party_id", "creditor_id"), on="party_id")
    made = (
        decisions.filter(pl.col("action") == "contact")
        .select("party_id", "channel", "message", "score", text_locale="locale", at="send_after")
        .join(about, on="party_id", maintain_order="left")
        .join(_weights(learned), on="currency", how="left", maintain_order="left")
        .pipe(with_cost, facts, strategy, texts)
        .pipe(_with_spent, learned)
    )
    drawn = [
        made.filter(pl.col("channel").is_in(list(cap.channels))).with_columns(
            cap=pl.lit(cap.name), used=pl.col("spent").fill_null(0) if cap.contacts is None else pl.lit(THOUSAND, dtype=pl.Int64)
        )
        for cap in learned.caps
    ]
    return pl.concat(drawn).select(pl.col(name).cast(kind) for name, kind in USES.items())


def over_caps(uses: pl.DataFrame, learned: Learned, before: pl.DataFrame) -> list[int]:
    """Who is left out today because a cap is full: of each creditor those of the lowest value, and all below.

    Prices keep expected use below the caps; the draw may pass one by chance, and then this holds to it.

    Args:
        uses: From `uses_of`.
        learned: Its caps: of contacts one bound for all that a creditor is owed, of money one for each currency.
        before: What the run has planned already: `creditor_id`, `currency`, `cap`, `used`.
    """
    out: set[int] = set()
    for cap in learned.caps:
        pool = ["creditor_id"] if cap.contacts is not None else ["creditor_id", "currency"]
        used = before.filter(pl.col("cap") == cap.name).group_by(pool).agg(before=pl.col("used").sum())
        ranked = (
            uses.filter((pl.col("cap") == cap.name) & ~pl.col("party_id").is_in(list(out)))
            .join(used, on=pool, how="left")
            .sort(*pool, "score", "party_id", descending=[*(False for _ in pool), True, False])
            .with_columns(total=pl.col("used").cum_sum().over(pool) + pl.col("before").fill_null(0))
        )
        if ranked.is_empty():
            continue
        bounds = {currency: bound(cap, currency) for currency in ranked["currency"].unique()}
        most = pl.col("currency").replace_strict(bounds, return_dtype=pl.Int64)
        out |= set(ranked.filter(pl.col("total") > most)["party_id"])
    return sorted(out)
