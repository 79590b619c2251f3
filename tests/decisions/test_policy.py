"""A model's say: it orders what rules and ladder leave open, at prices that keep what is scarce within its cap, and logs with which chance."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.message_files import message_texts
from config.rule_files import rule_packs
from config.strategy_files import strategy
from decisions.assignment import Trial, asking, line_key, with_stopped
from decisions.choose import CAPPED, HELD_OUT, NOT_WEIGHED, NOT_WORTH_IT, By, consider, decide, defer, price
from decisions.facts import AGREEMENTS, CANDIDATES, FAILURES, WISHES, Facts
from decisions.parts import PARTS
from decisions.policy import PredictorMissingError, Prices, over_caps, uses_of
from decisions.prices import Price
from decisions.rules import judge
from decisions.strategy import Cap, Learned, Peace, Strategy
from tasks.weigh import looked_at
from tests.plugins.known_facts import LONG_AGO, NOON_IN_NEW_YORK, TODAY, Known, facts_of, loan, point

PACKS = rule_packs()
TEXTS = message_texts()
MORNING = NOON_IN_NEW_YORK.replace(hour=5)
SHIPPED = strategy("learned", "early")
LINE = line_key(b"an installation")


def _learned(ladder: Strategy) -> Learned:
    assert ladder.learned is not None
    return ladder.learned


# Nobody is held out, nothing is scarce; of 100.00 a written contact counts 1.50 for her peace, a call 4.50.
EARLY = replace(SHIPPED, learned=replace(_learned(SHIPPED), hold_outs=None, caps=(), peace=Peace(written=15_000, spoken=45_000)))


HARMS = "harm_7d"


@dataclass(frozen=True)
class Says:
    """A predictor of this test: how likely somebody pays by channel and slot; `none` = without a contact."""

    by_channel: dict[str, float]
    best_slot: int | None = None
    harms: dict[str, float] | None = None

    def version(self, kind: str) -> str:
        return f"{kind} of a test"

    def says(self, kind: str, arms: pl.DataFrame) -> npt.NDArray[np.float64]:
        if kind == HARMS:
            assert self.harms is not None
            return arms["channel"].replace_strict(self.harms, default=0.0, return_dtype=pl.Float64).to_numpy()
        assert kind == _learned(SHIPPED).model
        said = arms["channel"].replace_strict(self.by_channel, default=0.1, return_dtype=pl.Float64)
        bonus = (arms["hour_slot"] == self.best_slot).fill_null(False).cast(pl.Float64) * 0.05 if self.best_slot is not None else 0.0
        return (said + bonus).to_numpy()


SMS_HELPS = Says({"none": 0.10, "sms": 0.30, "push": 0.12})


def chosen(facts: Facts, ladder: Strategy = EARLY, says: Says | None = SMS_HELPS, *, at: datetime = MORNING, **how: Any) -> pl.DataFrame:
    return decide(facts, ladder, PACKS, TEXTS, at=at, business_date=TODAY, seed=b"seed", predicts=says, **how)


def many(count: int, **known: Any) -> Facts:
    return facts_of(*(Known(party_id=party, days=20, **known) for party in range(1, count + 1)))


def arms(facts: Facts, ladder: Strategy = EARLY, says: Says = SMS_HELPS, at: datetime = MORNING) -> pl.DataFrame:
    return consider(facts, ladder, PACKS, TEXTS, at=at, business_date=TODAY, predicts=says).arms


def test_without_a_model_nothing_is_decided() -> None:
    with pytest.raises(PredictorMissingError, match="learned/early decides by the model paid_7d"):
        chosen(many(1), says=None)


def test_the_arm_that_is_worth_most_is_taken_most_often_and_every_arm_sometimes() -> None:
    rows = chosen(many(2_000))
    shares = json.loads(rows["propensities"][0])
    assert sum(round(share * PARTS) for share in shares.values()) == PARTS
    assert min(shares.values()) >= EARLY.exploration / len(shares) - 1 / PARTS
    assert "no_contact" in shares
    assert rows.filter(pl.col("channel") == "sms").height / rows.height > 0.9
    expected = sum(share for arm, share in shares.items() if arm.startswith("sms"))
    assert abs(rows.filter(pl.col("channel") == "sms").height / rows.height - expected) < 4 * (expected * (1 - expected) / 2_000) ** 0.5


def test_what_helps_nobody_leaves_people_in_peace_and_says_so() -> None:
    rows = chosen(many(500), says=Says({"none": 0.2, "sms": 0.2, "push": 0.2}))
    silent = rows.filter(pl.col("action") == "no_contact")
    assert silent.height > 450
    assert all(NOT_WORTH_IT in reasons for reasons in silent["reasons"])


def test_the_value_is_money_less_cost_less_a_priced_harm() -> None:
    """100.00 owed, 20 points likelier by text: 20.00; a text costs 0.02 and counts 1.50, of 10,000 written ones 23 bring a complaint at 50.00."""
    sms = arms(many(1)).filter(pl.col("channel") == "sms").row(0, named=True)
    assert (sms["gain"], sms["spent"], sms["harm"]) == (2_000_000, 2_000, 150_000 + 11_500)
    assert sms["score"] == 2_000_000 - 2_000 - 150_000 - 11_500
    nothing = arms(many(1)).filter(pl.col("candidate").is_null()).row(0, named=True)
    assert (nothing["score"], nothing["gain"]) == (0, None)


def test_a_contact_that_helps_less_than_it_bothers_is_not_made_and_a_call_bothers_more() -> None:
    """Two points of 100.00 are 2.00: more than a text bothers, less than a call does."""
    shipped = _learned(SHIPPED).peace
    assert shipped.spoken > shipped.written
    says = Says({"none": 0.10, "sms": 0.12, "push": 0.11})
    best = arms(many(1), says=says).sort("score", descending=True).row(0, named=True)
    assert best["channel"] == "sms"
    calm = replace(EARLY, learned=replace(_learned(EARLY), peace=Peace(written=45_000, spoken=45_000)))
    best = arms(many(1), calm, says).sort("score", descending=True).row(0, named=True)
    assert best["channel"] is None


def test_a_model_of_harm_stands_in_for_the_figures_of_the_file() -> None:
    """A chance of 3 % of a complaint at 50.00 counts 1.50, beside the 1.50 for her peace; recent contacts are the model's to weigh."""
    asking = replace(EARLY, learned=replace(_learned(EARLY), harm_model=HARMS))
    sms = arms(many(1), asking, replace(SMS_HELPS, harms={"sms": 0.03})).filter(pl.col("channel") == "sms")
    assert set(sms["harm"]) == {150_000 + 150_000}


def test_harm_grows_with_the_contacts_of_the_last_seven_days() -> None:
    learned = _learned(EARLY)
    wide = replace(EARLY, contacts_max=9, learned=replace(learned, harm=replace(learned.harm, free=0)))
    before = [{"at": NOON_IN_NEW_YORK - timedelta(days=days), "channel": "email"} for days in (4, 5, 8)]
    sms = arms(facts_of(Known(days=20, history=before)), wide).filter(pl.col("channel") == "sms")
    assert sms["harm"][0] == 150_000 + round(11_500 * 1.5**2)


def test_a_price_of_the_provider_comes_before_what_a_contact_is_taken_to_cost() -> None:
    known = (Price(channel="sms", country="US", since=TODAY, currency="TWD", minor_per_1000=32_000_000, source="a test"),)
    sms = arms(many(1), replace(EARLY, prices=known)).filter(pl.col("channel") == "sms")
    # 320.00 TWD a text are 10.00 USD, by what the file says a dollar is worth.
    assert sms["spent"][0] % 1_000_000 == 0
    assert sms["spent"][0] >= 1_000_000


def test_an_arm_lies_within_the_lawful_hours_of_a_slot() -> None:
    found = arms(many(1)).filter(pl.col("channel") == "sms")
    assert found["hour_slot"].unique().sort().to_list() == [2, 3, 4, 5]
    opens = dict(found.select("hour_slot", pl.col("send_after").dt.convert_time_zone("America/New_York").dt.hour()).iter_rows())
    assert opens == {2: 8, 3: 12, 4: 16, 5: 20}
    row = chosen(many(1), replace(EARLY, exploration=0.0), replace(SMS_HELPS, best_slot=4)).row(0, named=True)
    assert (row["channel"], row["hour_slot"]) == ("sms", 4)
    assert row["send_after"] == NOON_IN_NEW_YORK.replace(hour=20)


TIMES = st.builds(time, st.integers(0, 23), st.sampled_from((0, 30)))
HALF_HOURS = [MORNING + timedelta(minutes=30 * number) for number in range(48)]


@given(
    quiet=st.lists(st.tuples(TIMES, TIMES), max_size=2), agreed=st.none() | st.tuples(TIMES, TIMES), now=st.sampled_from(HALF_HOURS[:40:5])
)
@settings(max_examples=25, deadline=None)
def test_there_is_an_arm_in_every_slot_that_is_open_at_some_time_and_in_no_other(
    quiet: list[tuple[time, time]], agreed: tuple[time, time] | None, now: datetime
) -> None:
    """Asked for quiet at midday, or agreed on nights: what opens again after a gap is an arm, and begins when it opens."""
    about = {"party_id": 1, "at": LONG_AGO, "starts_at": LONG_AGO, "form": "written", "requested_by": "borrower"}
    wishes = [{**about, "kind": "not_at", "opens": opens, "closes": closes} for opens, closes in quiet]
    agreements = [] if agreed is None else [{**about, "kind": "contact_hours", "opens": agreed[0], "closes": agreed[1]}]
    facts = replace(
        many(1),
        wishes=pl.DataFrame([{name: row.get(name) for name in WISHES} for row in wishes], schema=WISHES),
        agreements=pl.DataFrame([{name: row.get(name) for name in AGREEMENTS} for row in agreements], schema=AGREEMENTS),
    )
    found = arms(facts, at=now).filter(pl.col("channel") == "sms")
    first = {}
    # Until 24:00 in New York.
    for at in reversed(allowed_at(facts, [at for at in HALF_HOURS if now <= at < MORNING + timedelta(hours=23)])):
        first[at.astimezone(ZoneInfo("America/New_York")).hour // 4] = at
    assert dict(found.select("hour_slot", "send_after").iter_rows()) == first


def allowed_at(facts: Facts, instants: list[datetime]) -> list[datetime]:
    asked = {
        "party_id": 1,
        "contact_point_id": 11,
        "channel": "sms",
        "purpose": "collection",
        "loans": [100],
        "counterparty": "borrower",
        "automated": True,
    }
    candidates = [{**asked, "candidate": number, "at": at} for number, at in enumerate(instants)]
    said = judge(facts, pl.DataFrame(candidates, schema=CANDIDATES), PACKS, when=False)["allowed"]
    return [at for at, allowed in zip(instants, said, strict=True) if allowed]


def test_what_is_chosen_after_a_gap_has_the_rest_of_the_day() -> None:
    agreed = {"party_id": 1, "kind": "contact_hours", "opens": time(18), "closes": time(10), "requested_by": "borrower", "at": LONG_AGO}
    facts = replace(many(1), agreements=pl.DataFrame([{name: agreed.get(name) for name in AGREEMENTS}], schema=AGREEMENTS))
    evening = replace(SMS_HELPS, best_slot=4)
    row = chosen(facts, replace(EARLY, exploration=0.0), evening, at=NOON_IN_NEW_YORK.replace(hour=12)).row(0, named=True)
    assert (row["channel"], row["hour_slot"]) == ("sms", 4)
    assert (row["send_after"], row["expires_at"]) == (NOON_IN_NEW_YORK.replace(hour=22), MORNING + timedelta(hours=23))


def test_what_a_rule_forbids_is_no_arm_however_much_it_would_bring() -> None:
    greedy = Says({"none": 0.0, "sms": 1.0, "push": 0.0})
    for known in (Known(days=20, holds=[{"kind": "hardship"}]), Known(days=20, opt_outs=[{"channel": "all"}])):
        assert arms(facts_of(known), says=greedy).height == 1
        assert chosen(facts_of(known), says=greedy).row(0, named=True)["probability"] == 1.0
    assert "sms" not in arms(facts_of(Known(days=20, opt_outs=[{"channel": "sms"}])), says=greedy)["channel"].to_list()


def test_the_ladder_bounds_how_hard_one_may_go() -> None:
    """On its third day only the quiet ways are open, though a text would bring more."""
    assert set(arms(facts_of(Known(days=3)))["channel"]) == {"push", "in_app", None}


def test_what_is_owed_in_a_currency_that_nobody_weighs_is_left_alone() -> None:
    rows = chosen(facts_of(Known(days=None, loans=[loan(20, currency="ISK")])))
    assert rows["action"].to_list() == ["no_contact"]
    assert NOT_WEIGHED in rows["reasons"].to_list()[0]


def test_a_scarce_channel_keeps_within_its_cap_and_goes_where_it_is_worth_most() -> None:
    scarce = replace(EARLY, learned=replace(_learned(EARLY), caps=(Cap(name="texts", channels=frozenset({"sms"}), contacts=50),)))
    facts = facts_of(*(Known(party_id=party, days=None, loans=[loan(20, past_due_minor=100 * party)]) for party in range(1, 401)))
    rows = chosen(facts, scarce)
    texts = rows.filter(pl.col("channel") == "sms")
    assert 30 <= texts.height <= 60
    assert sorted(texts["party_id"].to_list())[texts.height // 2] > 250
    (found,) = consider(facts, scarce, PACKS, TEXTS, at=MORNING, business_date=TODAY, predicts=SMS_HELPS).prices.pools
    assert found.binds
    assert found.expected <= found.bound * 0.97 + 1_000


def test_I8_a_borrower_decided_alone_at_the_runs_prices_is_decided_as_among_others() -> None:  # the invariant's own name
    scarce = replace(EARLY, learned=replace(_learned(EARLY), caps=(Cap(name="texts", channels=frozenset({"sms"}), contacts=10),)))
    facts = many(60)
    prices = price(facts, scarce, By(packs=PACKS, texts=TEXTS, at=MORNING, business_date=TODAY, predicts=SMS_HELPS))
    whole = chosen(facts, scarce, prices=prices)
    alone = pl.concat([chosen(facts.about([party]), scarce, prices=prices) for party in (1, 17, 60)])
    assert alone.write_ndjson() == whole.filter(pl.col("party_id").is_in([1, 17, 60])).write_ndjson()
    assert not chosen(facts, scarce, prices=Prices()).equals(whole)


def lender(creditor_id: int, first: int, *owed_minor: int, currency: str = "USD") -> list[Known]:
    """Borrowers of one creditor, numbered from `first` on, who owe so much."""
    return [
        Known(
            party_id=first + place,
            days=None,
            loans=[loan(20, loan_id=first + place, past_due_minor=owed, outstanding_minor=owed, currency=currency)],
            person={"creditor_id": creditor_id},
        )
        for place, owed in enumerate(owed_minor)
    ]


# Nothing that is an amount counts against a contact, and nothing is left to chance: 3 points likelier by text, a contact counts 2.4 of the median.
FREE = {
    currency: replace(weights, harm=0, temperature=1, costs=dict.fromkeys(weights.costs, 0))
    for currency, weights in _learned(EARLY).weights.items()
}
CALM = replace(EARLY, exploration=0.0, learned=replace(_learned(EARLY), weights=FREE, peace=Peace(written=24_000, spoken=24_000)))
HELPS_A_LITTLE = Says({"none": 0.10, "sms": 0.13, "push": 0.10})
SMALL = [300 + 9 * place for place in range(101)]


def test_small_loans_and_large_ones_are_written_to_alike_for_a_contact_counts_beside_what_the_creditors_own_borrowers_owe() -> None:
    facts = facts_of(*lender(1, 1_000, *SMALL), *lender(2, 2_000, *(400 * owed for owed in SMALL)))
    rows = chosen(facts, CALM, HELPS_A_LITTLE)
    written = rows.filter(pl.col("action") == "contact")["party_id"].to_list()
    small = [party - 1_000 for party in written if party < 2_000]
    assert small == [party - 2_000 for party in written if party >= 2_000]
    # Whoever owes 2.4 / 3 of the median or more: from place 37 on, where 633 are owed, of a median of 750 it would be from 600 on.
    assert small == [place for place, owed in enumerate(SMALL) if 0.03 * owed > 0.024 * 750]


def test_of_an_even_number_of_borrowers_the_lower_one_in_the_middle_is_the_median_and_each_currency_has_its_own() -> None:
    known = [*lender(1, 1_000, 400, 100, 300, 200), *lender(2, 2_000, 70_000), *lender(2, 3_000, 900, 950, currency="TWD")]
    medians = price(facts_of(*known), CALM, By(packs=PACKS, texts=TEXTS, at=MORNING, business_date=TODAY)).medians
    assert [(one.creditor_id, one.currency, one.amount_minor) for one in medians] == [(1, "USD", 200), (2, "TWD", 900), (2, "USD", 70_000)]


def test_I8_each_shard_weighs_by_the_medians_of_the_run_and_not_by_its_own() -> None:  # the invariant's own name
    facts = facts_of(*lender(1, 1_000, *SMALL), *lender(2, 2_000, *(400 * owed for owed in SMALL)))
    prices = price(facts, CALM, By(packs=PACKS, texts=TEXTS, at=MORNING, business_date=TODAY))
    parties = facts.borrowers["party_id"].to_list()
    shards = [facts.about(parties[:60]), facts.about(parties[60:])]
    whole = chosen(facts, CALM, HELPS_A_LITTLE, prices=prices)
    assert whole.equals(chosen(facts, CALM, HELPS_A_LITTLE))
    apart = pl.concat([chosen(shard, CALM, HELPS_A_LITTLE, prices=prices) for shard in shards])
    assert apart.write_ndjson() == whole.write_ndjson()
    assert not pl.concat([chosen(shard, CALM, HELPS_A_LITTLE) for shard in shards]).equals(whole)


def test_where_a_run_has_no_median_of_a_creditor_a_contact_counts_a_share_of_what_she_owes_herself() -> None:
    facts = facts_of(*lender(1, 1_000, *SMALL))
    found = consider(facts, CALM, PACKS, TEXTS, at=MORNING, business_date=TODAY, predicts=HELPS_A_LITTLE, prices=Prices())
    sms = found.arms.filter(pl.col("channel") == "sms").unique("party_id").sort("party_id")
    assert sms["harm"].to_list() == [24 * owed for owed in SMALL]


def test_what_is_scarce_has_its_price_and_its_people_beside_a_ladder_too() -> None:
    ladder = strategy("static-ladder", "early")
    scarce = replace(EARLY, learned=replace(_learned(EARLY), caps=(Cap(name="texts", channels=frozenset({"sms"}), contacts=10),)))
    trial = Trial(name="beside", first=0, last=PARTS, arms=(("champion", PARTS // 2, ladder), ("challenger", PARTS // 2, scarce)))
    facts, by = many(120), By(packs=PACKS, texts=TEXTS, at=MORNING, business_date=TODAY, predicts=SMS_HELPS)
    (pool,) = price(facts, ladder, by, trials=(trial,), line=LINE).pools
    assert pool.binds
    assert price(facts, ladder, by, trials=(replace(trial, stopped=frozenset({"challenger"})),), line=LINE) == Prices()
    assert asking(ladder, (trial,)) == [("experiment:beside/challenger", scarce)]
    assert [name for name, _ in asking(scarce, with_stopped((trial,), {"beside": ["challenger"]}))] == ["ordinary"]
    assert looked_at(ladder, (trial,), TODAY)["falls_back"] is scarce.falls_back is True


def test_what_another_arm_looks_at_changes_nothing_for_a_ladder() -> None:
    """Facts of a run hold what any arm looks at: an address that failed of late is no matter to a ladder that does not fall back."""
    ladder = strategy("static-ladder", "early")
    assert not ladder.falls_back
    known = Known(party_id=1, days=20, points=[point(1, "mobile"), point(2, "mobile")])
    facts = facts_of(known)
    failed = pl.DataFrame([(1, 1, "sms", MORNING - timedelta(days=1))], schema=FAILURES, orient="row")
    for told in (facts, replace(facts, failures=failed)):
        (row,) = chosen(told, ladder, None).rows(named=True)
        assert row["contact_point_id"] == 1


def test_whoever_is_held_out_is_treated_by_the_champion_or_left_in_peace_every_day() -> None:
    facts = many(3_000)
    rows = chosen(facts, replace(SHIPPED, learned=replace(_learned(SHIPPED), caps=())), line=LINE)
    group = pl.col("reasons").list.eval(pl.element().filter(pl.element().str.starts_with("group:"))).list.first()
    counts = dict(rows.group_by(group.alias("of")).len().iter_rows())
    assert 100 < counts["group:champion"] < 200
    assert 30 < counts["group:minimum"] < 95
    champion = rows.filter(group == "group:champion")
    ladder = chosen(facts, strategy("static-ladder", "early"), None).filter(pl.col("party_id").is_in(champion["party_id"].implode()))
    same = ("channel", "contact_point_id", "message", "offer", "step", "send_after", "probability", "propensities")
    assert champion.select(same).equals(ladder.select(same))
    least = rows.filter(group == "group:minimum")
    assert set(least["action"]) == {"no_contact"}
    assert all(HELD_OUT in reasons for reasons in least["reasons"])
    assert rows.filter(group.is_null())["propensities"].null_count() == 0


def test_the_minimum_still_says_what_has_to_be_said() -> None:
    late = strategy("learned", "late")
    held = _learned(late).hold_outs
    assert held is not None
    everybody = replace(late, learned=replace(_learned(late), hold_outs=replace(held, champion_parts=0, minimum_parts=PARTS)))
    told = [
        chosen(
            facts_of(Known(days=days, points=[point(5, "address")], treatments=[{"stage": "mid", "message": "mid_talk"}])),
            everybody,
            line=LINE,
        )["message"][0]
        for days in (65, 70)
    ]
    assert told == [None, "formal_notice"]


def test_a_cap_on_money_is_held_to_as_one_on_contacts_by_the_least_worth_first() -> None:
    """A text costs 0.02: of 0.25 a day 12 are paid, of which the run has planned 2 already; another creditor's are its own."""
    owing = [Known(party_id=party, days=None, loans=[loan(20, past_due_minor=100 * party)]) for party in range(1, 41)]
    facts = facts_of(*owing, *(Known(party_id=party, days=20, person={"creditor_id": 2}) for party in range(41, 49)))
    cap = Cap(name="spending", channels=frozenset({"sms"}), money={"USD": 25_000})
    scarce = replace(EARLY, learned=replace(_learned(EARLY), caps=(cap,)))
    rows = chosen(facts, scarce, prices=Prices())
    uses = uses_of(rows, facts, scarce, TEXTS)
    assert set(uses["party_id"]) == set(rows.filter(pl.col("channel") == "sms")["party_id"])
    assert set(uses["used"]) == {2_000}
    planned = pl.DataFrame([(1, "USD", "spending", 4_000)], schema=["creditor_id", "currency", "cap", "used"], orient="row")
    over = over_caps(uses, _learned(scarce), planned)
    kept = uses.filter(~pl.col("party_id").is_in(over))
    assert kept.filter(pl.col("creditor_id") == 1).height == 10
    assert kept.filter(pl.col("creditor_id") == 2).height == uses.filter(pl.col("creditor_id") == 2).height > 0
    left_out = uses.filter(pl.col("party_id").is_in(over))
    assert left_out["score"].max() <= kept.filter(pl.col("creditor_id") == 1)["score"].min()  # type: ignore[operator]  # whole numbers
    texts = replace(_learned(scarce), caps=(replace(cap, contacts=12),))
    counted = uses_of(rows, facts, replace(scarce, learned=texts), TEXTS)
    assert over_caps(counted, texts, planned.with_columns(used=pl.lit(2_000))) == over


def test_whom_the_cap_itself_leaves_out_is_marked_and_keeps_her_probability() -> None:
    rows = chosen(many(20))
    contacted = rows.filter(pl.col("action") == "contact")["party_id"].to_list()
    deferred = defer(rows, contacted[:2])
    assert deferred.filter(pl.col("action") == "contact")["party_id"].to_list() == contacted[2:]
    out = deferred.filter(pl.col("party_id").is_in(contacted[:2]))
    assert all(CAPPED in reasons for reasons in out["reasons"])
    assert out["probability"].equals(rows.filter(pl.col("party_id").is_in(contacted[:2]))["probability"])
    assert out["channel"].null_count() == out["send_after"].null_count() == 2
