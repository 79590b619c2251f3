"""The choice: at most one contact a borrower, never without reasons, the same whenever it is made again."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.message_files import message_texts
from config.strategy_files import strategy
from decisions.choose import DECISIONS, decide, draw, weigh
from decisions.draws import draw_key, keyed_numbers
from decisions.facts import Facts
from decisions.packs import Pack, Packs
from decisions.parts import PARTS
from decisions.strategy import Step, Strategy
from tests.plugins.known_facts import NOON_IN_NEW_YORK, TODAY, Known, facts_of, loan, point

EARLY = strategy("static-ladder", "early")
TEXTS = message_texts()
CURIOUS = replace(EARLY, exploration=0.3, temperature=800)
SOURCE = [{"title": "made up for this test", "read_on": "2026-03-01"}]


def rule(rule_id: str, kind: str, says: str = "A rule of this test only.", **more: Any) -> dict[str, Any]:
    return {
        "id": rule_id,
        "kind": kind,
        "says": says,
        "basis": "house",
        "reason": "test",
        "reference": SOURCE,
        "confidence": "R",
        "reviewed_by": None,
        "values": {"2020-01-01": {}},
        **more,
    }


PACKS = Packs(
    packs=(
        Pack.model_validate(
            {
                "jurisdiction": "house",
                "title": "Rules of this test",
                "owner": "test",
                "status": "ready",
                "reviewed_on": "2026-03-01",
                "rules": [
                    rule(
                        "HOUSE-HOURS", "window", clock="every_plausible_zone", values={"2020-01-01": {"opens": "08:00", "closes": "21:00"}}
                    ),
                    rule("HOUSE-HOLDS", "hold", holds="all"),
                    rule("HOUSE-STOPS", "optout"),
                    rule("HOUSE-ZONES", "zone", condition="unknown_zone"),
                ],
            }
        ),
    )
)


def decisions(
    facts: Facts, *, ladder: Strategy = EARLY, at: datetime = NOON_IN_NEW_YORK, on: date = TODAY, seed: bytes = b"seed"
) -> pl.DataFrame:
    return decide(facts, ladder, PACKS, TEXTS, at=at, business_date=on, seed=seed)


def one(known: Known, **how: Any) -> dict[str, Any]:
    return decisions(facts_of(known), **how).row(0, named=True)


def new_york(clock: str, day: int = 17) -> datetime:
    hours, minutes = clock.split(":")
    return (
        datetime(2026, 3, day, int(hours) + 4, int(minutes), tzinfo=UTC)
        if int(hours) < 20
        else datetime(2026, 3, day + 1, int(hours) - 20, int(minutes), tzinfo=UTC)
    )


def test_the_last_step_reached_is_taken_where_every_rule_allows_it() -> None:
    row = one(Known(days=20))
    assert {name: row[name] for name in ("action", "channel", "contact_point_id", "message", "offer", "locale", "step", "purpose")} == {
        "action": "contact",
        "channel": "sms",
        "contact_point_id": 11,
        "message": "early_need_time",
        "offer": "more_time",
        "locale": "en",
        "step": 4,
        "purpose": "collection",
    }
    assert (row["probability"], row["propensities"], row["reasons"]) == (1.0, None, [])
    assert (row["send_after"], row["expires_at"]) == (NOON_IN_NEW_YORK, new_york("21:00"))


def test_the_step_before_is_taken_where_the_last_ones_channel_is_not_allowed_and_the_reason_says_why() -> None:
    row = one(Known(days=20, opt_outs=[{"channel": "sms"}]))
    assert (row["channel"], row["step"], row["reasons"]) == ("push", 3, ["HOUSE-STOPS"])


@pytest.mark.parametrize(
    ("known", "reasons"),
    [
        (Known(days=20, holds=[{"kind": "hardship"}]), ["HOUSE-HOLDS"]),
        (Known(days=20, holds=[{"kind": "hardship"}], opt_outs=[{"channel": "sms"}]), ["HOUSE-HOLDS", "HOUSE-STOPS"]),
        (Known(days=20, history=[{"at": NOON_IN_NEW_YORK - timedelta(days=1)}]), ["strategy_wait"]),
        (Known(days=20, history=[{"at": NOON_IN_NEW_YORK - timedelta(days=days)} for days in (4, 5)]), ["strategy_budget"]),
        (
            Known(days=20, history=[{"at": NOON_IN_NEW_YORK - timedelta(days=days)} for days in (1, 5)], holds=[{"kind": "dispute"}]),
            ["HOUSE-HOLDS", "strategy_budget", "strategy_wait"],
        ),
        (Known(days=2, points=[point(1)]), ["no_contact_point"]),
        (Known(days=20, points=[]), ["no_contact_point"]),
        (Known(days=20, person={"locale": "fr"}), ["locale_without_text"]),
        (Known(days=20, person={"creditor_role": "third_party"}), ["locale_without_text"]),
        (Known(days=40), ["not_in_stage"]),
        (Known(days=None), ["not_in_stage"]),
        (Known(days=None, loans=[loan(5, servicing_status="in_plan")]), ["not_in_stage"]),
        (Known(days=20, person={"zones": []}), ["HOUSE-HOURS", "HOUSE-ZONES"]),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, list) else "",
)
def test_whoever_is_left_in_peace_is_so_for_every_reason_there_is(known: Known, reasons: list[str]) -> None:
    row = one(known)
    assert (row["action"], row["reasons"]) == ("no_contact", reasons)
    assert [row[name] for name in ("channel", "contact_point_id", "message", "offer", "locale", "send_after", "expires_at")] == [None] * 7
    assert (row["probability"], row["score"]) == (1.0, 0)


def test_a_contact_is_planned_for_the_hour_that_opens_later_the_same_day() -> None:
    row = one(Known(), at=new_york("06:30"))
    assert (row["action"], row["send_after"], row["expires_at"]) == ("contact", new_york("08:00"), new_york("00:00", 18))


def test_after_the_last_hour_of_the_day_nothing_is_planned_for_tomorrow() -> None:
    row = one(Known(), at=new_york("21:00"))
    assert (row["action"], row["reasons"]) == ("no_contact", ["HOUSE-HOURS"])


def test_a_day_that_has_not_begun_where_the_borrower_lives_is_planned_from_its_first_lawful_hour() -> None:
    row = one(Known(), at=new_york("20:00", 16))
    assert (row["action"], row["send_after"]) == ("contact", new_york("08:00"))


def test_a_day_that_is_over_where_the_borrower_lives_is_not_made_up_for() -> None:
    row = one(Known(), at=new_york("12:00", 18))
    assert (row["action"], row["reasons"]) == ("no_contact", ["business_day_over"])


def test_a_verified_contact_point_comes_first() -> None:
    points = [point(1, verified_on=None), point(2), point(3, verified_on=None, ownership="verified"), point(4, ownership="verified")]
    taken = [one(Known(days=20, points=points[: number + 1]))["contact_point_id"] for number in range(4)]
    assert taken == [1, 2, 3, 4]


def test_of_equal_contact_points_the_first_one_is_taken() -> None:
    assert one(Known(days=20, points=[point(8), point(7)]))["contact_point_id"] == 7


def test_offers_are_arms_of_their_own_and_the_first_one_is_preferred() -> None:
    ladder = replace(
        EARLY, steps=(Step(number=1, from_day=1, channels=("sms",), message="early_reminder", offers=("pay_link", "more_time")),)
    )
    assert one(Known(), ladder=ladder)["offer"] == "pay_link"
    explored = one(Known(), ladder=replace(ladder, exploration=0.3))
    assert set(json.loads(explored["propensities"])) == {"sms:11:pay_link", "sms:11:more_time", "no_contact"}


def test_a_step_without_offers_offers_nothing() -> None:
    ladder = replace(EARLY, steps=(Step(number=1, from_day=1, channels=("sms",), message="early_reminder", offers=()),))
    row = one(Known(), ladder=ladder)
    assert (row["action"], row["offer"]) == ("contact", None)
    assert "sms:11:-" in json.loads(one(Known(), ladder=replace(ladder, exploration=0.3))["propensities"])


def test_nobody_at_all_is_no_error() -> None:
    empty = decisions(facts_of())
    assert empty.is_empty()
    assert empty.schema == DECISIONS


def many(count: int, **known: Any) -> Facts:
    return facts_of(*(Known(party_id=party, days=20, **known) for party in range(1, count + 1)))


def test_every_borrower_gets_exactly_one_decision_in_the_order_of_ids() -> None:
    rows = decisions(facts_of(*(Known(party_id=party, days=party) for party in (40, 3, 17))))
    assert rows["party_id"].to_list() == [3, 17, 40]


def test_I8_a_choice_made_again_is_the_same_byte_for_byte() -> None:  # the invariant's own name
    facts = many(300)
    turned = replace(facts, borrowers=facts.borrowers[::-1], loans=facts.loans[::-1], contact_points=facts.contact_points[::-1])
    first, again = decisions(facts, ladder=CURIOUS), decisions(turned, ladder=CURIOUS)
    assert first.write_ndjson().encode() == again.write_ndjson().encode()
    assert first["propensities"].null_count() == 0


def test_I8_a_borrower_chosen_alone_is_chosen_as_among_others() -> None:  # as above
    """Shards may be cut otherwise by a later version; nobody's choice hangs on who stands beside her."""
    whole = decisions(many(50), ladder=CURIOUS)
    alone = pl.concat([decisions(facts_of(Known(party_id=party, days=20)), ladder=CURIOUS) for party in range(1, 51)])
    assert whole.write_ndjson() == alone.write_ndjson()


def test_another_seed_stage_or_date_draws_anew() -> None:
    keys = {
        draw_key(b"a", "early", TODAY),
        draw_key(b"b", "early", TODAY),
        draw_key(b"a", "mid", TODAY),
        draw_key(b"a", "early", TODAY + timedelta(days=1)),
    }
    assert len(keys) == 4
    facts = many(200)
    assert not decisions(facts, ladder=CURIOUS, seed=b"a").equals(decisions(facts, ladder=CURIOUS, seed=b"b"))


def test_I10_every_probability_is_the_one_with_which_the_arm_is_drawn() -> None:  # as above
    rows = decisions(many(4_000), ladder=CURIOUS)
    vectors = rows["propensities"].unique().to_list()
    assert rows.filter((pl.col("probability") <= 0) | (pl.col("probability") > 1)).is_empty()
    promised = json.loads(rows["propensities"][0].replace(f":{rows['party_id'][0]}", ":"))
    assert len(vectors) == rows.height
    for row in rows.head(50).iter_rows(named=True):
        arm = "no_contact" if row["action"] == "no_contact" else f"{row['channel']}:{row['contact_point_id']}:{row['offer']}"
        told = json.loads(row["propensities"])
        assert told[arm] == row["probability"]
        assert sum(round(share * PARTS) for share in told.values()) == PARTS
    drawn = {channel or "no_contact": count / rows.height for channel, count in rows.group_by("channel").len().rows()}
    for arm, share in promised.items():
        # Four standard errors of 4,000 draws.
        assert abs(drawn[arm.split(":")[0]] - share) < 4 * (share * (1 - share) / rows.height) ** 0.5


def test_with_nothing_left_to_chance_the_seed_changes_nothing() -> None:
    facts = many(100)
    assert decisions(facts, seed=b"a").equals(decisions(facts, seed=b"b"))


@given(
    scores=st.lists(st.integers(-5_000, 5_000), min_size=1, max_size=6),
    exploration=st.floats(0, 1),
    temperature=st.integers(0, 3_000),
)
def test_the_parts_of_a_borrowers_arms_always_add_up(scores: list[int], exploration: float, temperature: int) -> None:
    arms = pl.DataFrame(
        {
            "party_id": [1] * len(scores),
            "candidate": list(range(len(scores))),
            "offer": [None] * len(scores),
            "offer_rank": [0] * len(scores),
            "score": scores,
            "cost": [None] * len(scores),
        },
        schema_overrides={**dict.fromkeys(("party_id", "candidate", "offer_rank", "score", "cost"), pl.Int64), "offer": pl.String},
    )
    weighed = weigh(arms, replace(EARLY, exploration=exploration, temperature=temperature))
    assert weighed["parts"].sum() == PARTS
    assert min(weighed["parts"].to_list()) >= round(exploration * PARTS) // len(scores)
    assert weighed["parts"].is_sorted(descending=True) or weighed["score"].n_unique() < len(scores)


def test_the_arm_whose_parts_cover_the_number_is_drawn() -> None:
    key = draw_key(b"seed", "early", TODAY)
    number = int(keyed_numbers(np.array([1]), key)[0])
    sides = [number, PARTS - number], [number + 1, PARTS - number - 1]
    drawn = []
    for parts in sides:
        arms = pl.DataFrame(
            {
                "party_id": [1, 1],
                "candidate": [0, 1],
                "channel": ["sms", "push"],
                "contact_point_id": [1, 2],
                "offer": ["a", "b"],
                "hour_slot": pl.Series([None, None], dtype=pl.Int32),
                "parts": parts,
            }
        )
        drawn.append(draw(arms, key)["candidate"].to_list())
    assert drawn == [[1], [0]]


def test_numbers_are_even_and_unlike_their_neighbours() -> None:
    numbers = keyed_numbers(np.arange(1, 100_001), draw_key(b"seed", "early", TODAY))
    assert numbers.min() >= 0
    assert numbers.max() < PARTS
    tenths = np.bincount(numbers * 10 // PARTS, minlength=10)
    assert abs(tenths - 10_000).max() < 4 * (10_000 * 0.9) ** 0.5
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 4 / len(numbers) ** 0.5


def test_numbers_are_the_same_in_every_version_of_every_library() -> None:
    """Frozen: if this fails, no earlier decision replays any more. Computed here with plain integers."""
    key = draw_key(b"seed", "early", date(2026, 3, 17))
    assert key.hex() == "a1704fbf94001a8971d52bb2ac26b83c"
    parties = [1, 2, 10**15]
    numbers = []
    for party in parties:
        value = party
        for half in (key[:8], key[8:]):
            value = ((value ^ int.from_bytes(half, "big")) + 0x9E3779B97F4A7C15) % 2**64
            value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
            value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) % 2**64
            value ^= value >> 31
        numbers.append(value % PARTS)
    assert keyed_numbers(np.array(parties), key).tolist() == numbers
